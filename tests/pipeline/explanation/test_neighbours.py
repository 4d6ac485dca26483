"""Which training rows a text is told to be like."""

import math

import numpy as np
import pytest

from pipeline.explanation.neighbours import MOST_NEIGHBOURS, Neighbours
from pipeline.files.dataset import Example
from pipeline.labels.explanation import Explanation, Neighbour
from pipeline.labels.hierarchy import LabelHierarchy

HIERARCHY = LabelHierarchy(["jobs", "jobs##layoff", "sport", "empty"])
ROWS = [
    Example("the bank fired 300 people", (0, 1)),
    Example("the bank hired 300 people", (0,)),
    Example("the club fired its coach", (0, 1, 2)),
    Example("某公司宣布裁员两千人", (0, 1)),
    Example("the club won the cup", (2,)),
]
SURE = np.array([1, 1, 0, 0], np.float32)


def nearest(text, scores=SURE, labels=("jobs", "jobs##layoff"), rows=ROWS):
    return Neighbours(HIERARCHY, rows, "half_width_composed").nearest(text, scores, labels)


def test_rows_that_carry_the_label_and_say_the_same_come_first():
    found = nearest("The bank ｆｉｒｅｄ 200 people")
    assert list(found) == ["jobs", "jobs##layoff"]
    assert [row.text for row in found["jobs##layoff"]] == [ROWS[0].text, ROWS[2].text, ROWS[3].text]
    assert found["jobs"][0].labels == ("jobs", "jobs##layoff")
    assert all(label in row.labels for label, rows in found.items() for row in rows)
    assert nearest("一家公司裁员")["jobs##layoff"][0].text == ROWS[3].text


def test_scores_count_beside_the_wording():
    sport = np.array([1, 1, 1, 0], np.float32)
    assert nearest("the people")["jobs"][0].text == ROWS[0].text
    assert nearest("the people", np.array([1, 0, 0, 0], np.float32))["jobs"][0].text == ROWS[1].text
    assert nearest("they", sport)["jobs"][0].text == ROWS[2].text
    assert nearest(ROWS[0].text, sport)["jobs"][0].text == ROWS[0].text


def test_a_similarity_is_the_mean_of_two_cosines():
    (row,) = nearest("ab", np.array([0.6, 0.8, 0, 0], np.float32), ["jobs"], [Example("ab", (0,)), Example("c", (2,))])[
        "jobs"
    ]
    assert row == Neighbour("ab", ("jobs",), round((6 / math.hypot(6, 8) + 1) / 2, 4))


def test_a_label_without_rows_has_none():
    assert nearest("the bank", labels=["empty", "sport"])["empty"] == ()
    assert len(nearest("the bank", rows=ROWS * 5)["jobs"]) == MOST_NEIGHBOURS


@pytest.mark.parametrize("text", ["", " ", "\0", "\ud800", "́" * 200, "𝒳" * 200, "裁", "….", "a" * 200])
def test_any_beginning_has_the_same_neighbours_twice(text):
    found = nearest(text)
    assert found == nearest(text) and len(found["jobs"]) == 3
    assert all(0 < row.similarity <= 1 for row in found["jobs"])


def test_what_shares_nothing_is_hardly_like():
    assert all(row.similarity < 0.01 for row in nearest("x", np.zeros(4, np.float32))["jobs"])


def test_they_survive_the_way_over_the_network():
    said = Explanation({"jobs": (), "empty": ()}, 1, 9, nearest("the bank", labels=["jobs", "empty"]))
    assert Explanation.from_json(said.to_json()) == said
    plain = Explanation({"jobs": ()}, 1, 9)
    assert "neighbours" not in plain.to_json() and Explanation.from_json(plain.to_json()) == plain
