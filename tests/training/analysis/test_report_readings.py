"""What the report says beside the figures: how much was read, and labels that could not be learnt or measured."""

import pytest

from tests.evaluations import evaluation, scores

READING = {"length": 128, "cut": 0.5, "read": 0.4, "unknown": 0.01, "wanted_length": 600}


@pytest.fixture
def doubtful():
    made = evaluation(reading=READING, few_rows=10)
    for label, support in zip(made["labels"], (0, 9, 9, 10, 500, 500)):
        label["train"] = scores(0.9, support)
    return made


def test_it_tells_what_was_not_read_not_learnt_and_not_measured(opened, doubtful):
    page = opened(doubtful)
    assert page.texts(".readings li") == [
        "The model reads 128 tokens of a text: 50.0 % of the texts are longer, and 40.0 % of all tokens are read. "
        "A length of 600 would read 99 %.",
        "Hardly to be learnt: labels without a training row: 1; with fewer than 10: 2.",
        "Macro F1 counts all 6 labels; 1 of them have no evaluated row and count as 0.",
    ]
    page.click(".languages button")
    assert page.texts(".readings li")[1] == "难以学到的标签：没有训练样本的 1 个，少于 10 条的 2 个。"


def test_where_nothing_is_doubtful_it_says_how_much_was_read(opened):
    whole = {**READING, "cut": 0.0, "read": 1.0}
    made = evaluation(labels=("a", "b"), reading=whole, few_rows=10)
    made["labels"][-1]["dev"] = scores(0.5)
    assert opened(made).texts(".readings li") == [
        "The model reads 128 tokens of a text: 0.0 % of the texts are longer, and 100.0 % of all tokens are read."
    ]


def test_it_tells_what_explanations_are_worth(opened):
    names = ("comprehensiveness", "random_comprehensiveness", "sufficiency", "random_sufficiency")
    figures = {"texts": 200, "labels": 400, "words": 4.1, **dict(zip(names, (0.58, 0.076, -0.026, 0.689)))}
    page = opened(evaluation(explanations=figures))
    assert page.texts(".readings li")[-1] == (
        "Explanations of 200 texts: without the words that they name, 4.10 of a label, its score falls by 58.0 points, "
        "without as many random words by 7.6 (comprehensiveness); with these words alone by -2.6, with random ones by "
        "68.9 (sufficiency)."
    )


@pytest.mark.parametrize("width", [1280, 390])
def test_promises_are_drawn_where_there_are_any(opened, width):
    level = {"precision": 0.97, "coverage": 0.8, "kept": 0.93, "kept_coverage": 0.79, "best_coverage": 0.82}
    nothing = dict.fromkeys(level, None) | {"coverage": 0.0}
    promised = {
        "levels": [{"level": 1, "curve": [[0.5, 1.0], [0.9, 0.92]]}, {"level": 2, "curve": []}],
        "promises": [{"precision": 0.95, "levels": [level, nothing]}],
    }
    page = opened(evaluation(promised=promised, found_here=["promises"]), width=width)
    assert page.fits(width)
    assert "Promised precision" in page.texts("h2")
    assert ["found on these very rows" in hint for hint in page.texts("#promises .hint")[:1]] == [True]
    assert not any("found on these very rows" in hint for hint in page.texts("#calibration .hint"))
    assert page.texts("#promises tbody td")[:6] == ["95.0", "Level 1", "97.0", "80.0", "93.0", "79.0 / 82.0"]
    assert len(page.texts("#promises polyline")) == 2 and len(page.texts("#promises circle.before")) == 1
