"""A model that reads nothing but the first character of a text, a dataset folder that it fits, and its report."""

import numpy as np
import pytest

from pipeline.labels.decoding import Decoder, DecodingPolicy
from pipeline.labels.hierarchy import LabelHierarchy
from tests.browser import Browser
from tests.prediction import checked, untold
from training.analysis import evaluate as command
from training.analysis.report import write_report
from training.checkpoint.classifier import Classifier

# 死亡 stands in two places; label.txt lists the labels in another order than the model has them.
LABELS = LabelHierarchy(["人生", "人生##死亡", "灾害", "灾害##死亡"])
LISTED = ["灾害", "人生", "人生##死亡", "灾害##死亡"]
LOGITS = {
    "生": [9, 9, -9, -9],
    "灾": [-9, -9, 9, 9],
    "半": [9, -9, -9, -9],
    "无": [-9, -9, -9, -9],
    "孤": [-9, 9, -9, -9],
}


def classifier(policy="ancestors"):
    """A model that reads nothing but the first character of a text."""
    decoder = Decoder(LABELS, [0.5, 0.25, 0.5, 0.5], DecodingPolicy(policy))
    return Classifier(decoder, untold(lambda texts: np.array([LOGITS[text[0]] for text in texts], np.float32)))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A dataset folder, beside it nothing, and a model at any --params_path."""
    data = tmp_path / "data"
    data.mkdir()
    (data / "label.txt").write_text("\n".join(LISTED))
    (data / "train.txt").write_text("生一\t人生,人生##死亡\n灾一\t灾害,灾害##死亡\n半一\t人生,人生##死亡\n")
    (data / "dev.txt").write_text(
        "生二\t人生,人生##死亡\n无二\t灾害,灾害##死亡\n半二\t人生,人生##死亡\n灾，二\t人生,人生##死亡\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command.EvaluateOptions, "classifier", checked(classifier()))
    return tmp_path


@pytest.fixture
def opened(browser, tmp_path):
    """Opens the report of an evaluation in the browser and fails if the page complained until the test's end."""

    def open_report(example: dict, **view) -> Browser:
        write_report(tmp_path / "report.html", example)
        browser.open(tmp_path / "report.html", **view)
        return browser

    yield open_report
    assert browser.faults == []
    assert len(browser.requests) == 1
