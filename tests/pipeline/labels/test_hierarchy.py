import numpy as np
import pytest

from pipeline.errors import InputError
from pipeline.labels.hierarchy import LabelHierarchy, ancestor_paths, parent_path

CAT = LabelHierarchy(["猫", "猫##美国短毛猫", "猫##美国短毛猫##美短虎斑", "兔", "兔##侏儒兔"])


def test_a_path_knows_its_ancestors():
    assert parent_path("猫##美国短毛猫##美短虎斑") == "猫##美国短毛猫"
    assert parent_path("猫") is None
    assert list(ancestor_paths("猫##美国短毛猫##美短虎斑")) == ["猫##美国短毛猫", "猫"]


def test_parents_and_levels_follow_the_label_order():
    assert CAT.parents.tolist() == [-1, 0, 1, -1, 3]
    assert CAT.levels.tolist() == [1, 2, 3, 1, 2]
    assert CAT.depth == 3


def test_children_may_be_listed_before_their_parents():
    hierarchy = LabelHierarchy(["a##b##c", "a##b", "a"])
    assert hierarchy.parents.tolist() == [1, 2, -1]
    assert hierarchy.raise_ancestors(np.array([[True, False, False]])).all()


def test_labels_bring_their_ancestors():
    assert CAT.with_ancestors(["猫##美国短毛猫##美短虎斑"]) == {0, 1, 2}


def test_a_node_with_several_parents_has_a_label_per_path():
    graph = LabelHierarchy(["动物", "宠物", "动物##猫", "宠物##猫", "宠物##猫##波斯猫"])
    assert graph.with_ancestors(["宠物##猫##波斯猫"]) == {1, 3, 4}


def test_what_cannot_be_seen_may_stand_in_a_label_that_can():
    family, persian = "👨\u200d👩\u200d👧", "می\u200cخواهم"
    assert LabelHierarchy([family, persian]).labels == (family, persian)


def test_consistency_is_judged_row_by_row():
    selected = CAT.matrix([[0, 1], [1], [], [3, 4]])
    assert CAT.consistent_rows(selected).tolist() == [True, False, True, True]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([], "no labels"),
        (["a##b"], "label 'a##b' has no parent: add 'a'"),
        (["a", "b", "a"], "label 'a' is listed twice"),
        (["a", "a##"], "empty segment"),
        (["a", "a###b"], "'a###b' has a '#' beside '##', so that it can be read in two ways"),
        (["a", "a ##b"], "write 'a##b'"),
        (["a\u2028"], "control character U.2028"),
        (["a\\,b"], "backslash"),
        ([""], "empty"),
        (["a", "a##\u00ad"], r"label 'a##\\xad' has a segment of invisible characters"),
        (["\u3164"], "invisible"),
        (["a\u202eb"], r"control character U\+202E"),
        (["裁员", "裁员\u200b"], r"label '裁员\\u200b' looks like '裁员' and is another one"),
        (["a b", "a\u00a0b"], r"label 'a\\xa0b' looks like 'a b'"),
        (["caf\u00e9", "cafe\u0301"], r"label 'cafe\\u0301' looks like 'caf\u00e9'"),
        (["a", "a\ufe0f"], r"label 'a\\ufe0f' looks like 'a'"),
    ],
)
def test_unusable_labels_are_refused(labels, message):
    with pytest.raises(InputError, match=message):
        LabelHierarchy(labels)
