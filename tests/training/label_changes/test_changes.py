"""Changes of labels, held against a model in plain Python: paths as tuples, one dictionary."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import DatasetError, InputError
from pipeline.labels.hierarchy import LabelHierarchy
from tests.training.label_changes.small import ORGANISED
from training.label_changes.changes import Change, Labels, notes, read_change, read_changes

NAMES = ("a", "b", "c, d", "e#f")
Path = tuple[str, ...]


@st.composite
def trees(draw) -> list[str]:
    """Label paths of a random forest, their order random."""
    paths: set[Path] = {(draw(st.sampled_from(NAMES)),)}
    for _ in range(draw(st.integers(0, 9))):
        above = draw(st.sampled_from([(), *sorted(paths)]))
        if len(above) < 4:
            paths.add((*above, draw(st.sampled_from(NAMES))))
    return draw(st.permutations(["##".join(path) for path in sorted(paths)]))


class Model:
    """What has to come out: who stands where, and where the rows of each went."""

    def __init__(self, labels: list[str]) -> None:
        self.place: dict[int, Path] = {column: tuple(label.split("##")) for column, label in enumerate(labels)}
        self.rows: dict[str, Path] = {label: tuple(label.split("##")) for label in labels}

    def below(self, path: Path) -> set[Path]:
        return {other for other in self.place.values() if other[: len(path)] == path}

    def can(self, verb: str, path: Path, target: Path) -> bool:
        every = set(self.place.values())
        if verb == "rename":
            return target[:-1] == path[:-1] and target not in every
        if verb == "move":
            return (not target or target in every - self.below(path)) and (*target, path[-1]) not in every
        if verb == "merge":
            return path != target and target in every and len(self.below(path)) == 1
        return self.below(path) != every

    def make(self, verb: str, path: Path, target: Path) -> None:
        gone = self.below(path) if verb in ("merge", "drop") else set()
        new = {"rename": target, "move": (*target, path[-1]), "merge": target, "drop": path[:-1]}[verb]

        def follow(old: Path) -> Path:
            if old[: len(path)] != path:
                return old
            return new if gone else new + old[len(path) :]

        self.place = {column: follow(old) for column, old in self.place.items() if old not in gone}
        self.rows = {label: follow(old) for label, old in self.rows.items()}


@given(st.data())
def test_labels_columns_and_rows_are_those_of_the_plain_model(data):
    before = data.draw(trees())
    labels, model = Labels(LabelHierarchy(before)), Model(before)
    for _ in range(data.draw(st.integers(1, 6))):
        there = sorted(set(model.place.values()))
        verb, path = data.draw(st.sampled_from(["rename", "move", "merge", "drop"])), data.draw(st.sampled_from(there))
        target = data.draw(st.sampled_from([(), *there])) if verb in ("move", "merge") else ()
        if verb == "rename":
            target = (*path[:-1], data.draw(st.sampled_from((*NAMES, "new"))))
        change = Change(verb, "##".join(path), "##".join(target))
        earlier = list(labels.paths), list(labels.columns), dict(labels.destinations)
        if model.can(verb, path, target):
            labels.apply([change])
            model.make(verb, path, target)
        else:
            with pytest.raises(InputError, match="give|merge|drop|there already|stands|needs one"):
                labels.apply([change])
            assert (labels.paths, labels.columns, labels.destinations) == earlier
        assert dict(zip(labels.columns, labels.paths)) == {c: "##".join(p) for c, p in model.place.items()}
        assert labels.columns == sorted(labels.columns)
        assert {old: now or "" for old, now in labels.destinations.items()} == {
            old: "##".join(now) for old, now in model.rows.items()
        }


@pytest.mark.parametrize(
    "words, said",
    [
        (["rename", "组织##裁员", "组织##罢工"], "there is a label '组织##罢工' already; merge"),
        (["rename", "组织##裁员", "产品##裁员"], "give '组织##裁员', or move it"),
        (["rename", "组织##裁员", "裁"], "give '组织##裁', or move it"),
        (["rename", "组织##裁员", "组织##裁\t员"], "control character U\\+0009"),
        (["rename", "组织##裁员", "组织##裁\\,员"], "backslash"),
        (["rename", "组织##裁员", "组织###裁"], "beside '##'"),
        (["rename", "组织##裁员", "组织##"], "empty segment"),
        (["rename", "财经", ""], "the label is empty"),
        (["rename", "组织##裁员", "组织##罢 工"], None),
        (["rename", "产品", "组织\u200b"], "looks like '组织'"),
        (["rename", "裁员", "减员"], "no label '裁员'; did you mean '组织##裁员'\\?"),
        (["drop", "组织##裁"], "did you mean '组织##裁员'"),
        (["drop", "xyz"], "label.txt lists its labels"),
        (["move", "组织", "组织"], "below itself"),
        (["move", "组织", "组织##罢工"], "below itself"),
        (["move", "组织##裁员", "组织"], "stands below '组织' already"),
        (["move", "财经", ""], "on the top level already"),
        (["move", "财经", "新##更新"], "the model has no '新', '新##更新', and a label takes training"),
        (["merge", "组织##罢工", "组织##裁员"], "1 label would lose '组织##罢工'.* '组织##罢工##全国'"),
        (["merge", "财经", "财经"], "into itself"),
        (["merge", "财经", "财政"], "no label '财政'"),
    ],
)
def test_what_cannot_be_done_says_why_and_what_to_do(words, said):
    labels = Labels(LabelHierarchy(ORGANISED))
    if said is None:
        labels.apply([read_change(words)])
        return
    with pytest.raises(InputError, match=said) as raised:
        labels.apply([read_change(words)])
    assert str(raised.value).startswith(f"{words[0]} {words[1]!r}")


def test_not_all_labels_can_be_dropped():
    labels = Labels(LabelHierarchy(ORGANISED))
    with pytest.raises(InputError, match="no label would be left"):
        labels.apply([read_change(["drop", path]) for path in ("组织", "产品", "财经")])


def test_letters_are_compared_in_nfc():
    labels = Labels(LabelHierarchy(["caf\u00e9"]))
    labels.apply([read_change(["rename", "cafe\u0301", "th\u00e9"])])
    assert labels.paths == ["th\u00e9"]


@pytest.mark.parametrize("words", [["remove", "a"], ["drop"], ["drop", "a", "b"], ["rename", "a"], ["drop", "\udcff"]])
def test_words_that_are_no_change_are_refused(words):
    with pytest.raises(InputError, match="give one of: rename OLD NEW|takes|surrogate"):
        read_change(words)


def test_a_file_holds_a_change_a_line(tmp_path):
    path = tmp_path / "changes.txt"
    path.write_text("# first\n\nmove\t组织##罢工\nrename\t罢工\t停 工\n", encoding="utf-8")
    labels = Labels(LabelHierarchy(ORGANISED))
    labels.apply(read_changes(path))
    assert labels.paths == ["组织", "组织##裁员", "停 工", "停 工##全国", "产品", "产品##发布", "财经"]

    path.write_text("drop\t财经\ndrop 产品\n", encoding="utf-8")
    with pytest.raises(DatasetError, match="changes.txt:2: 'drop 产品' is no change.*tabs separate"):
        read_changes(path)
    path.write_text("\n", encoding="utf-8")
    with pytest.raises(InputError, match="holds no change"):
        read_changes(path)


def test_merging_and_moving_say_what_takes_training():
    merge, move = notes([Change("merge", "a", "b"), Change("move", "c", "b"), Change("move", "c"), Change("drop", "a")])
    assert "'b' keeps its own scores" in merge and "train on the rewritten rows" in merge
    assert "'b' has not learnt from the texts of 'c'" in move
