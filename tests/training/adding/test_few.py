"""A label by one to four examples: where to draw the line is told by the labels that are known."""

from __future__ import annotations

import numpy as np
import pytest

from tests.conftest import run_in_process
from tests.training.adding.test_adding import WHO, written
from tests.training.label_changes.small import write_small_checkpoint
from training import labels
from training.adding.few import LEAST_ROWS, borrowed
from training.adding.planes import discriminant, machine
from training.checkpoint.classifier import load_classifier

OLD = ("裁员", "上涨", "地震", "夺冠")
SAID = {"裁员": "公司宣布裁员{}人", "上涨": "的股价上涨{}成", "地震": "地发生{}级地震", "夺冠": "队在{}月的联赛夺冠"}
TRAIN = [f"{who}{SAID[label].format(count)}\t{label}" for label in OLD for who in WHO for count in "三四五"]


@pytest.mark.parametrize("count", [1, 2, 4])
def test_few_examples_are_enough_for_a_guess_and_its_worth_is_told(count, tmp_path):
    examples = [f"{who}厂工人罢工{number}天\t罢工" for who, number in zip(WHO[:count], "一二三四")]
    data = tmp_path / "data"
    data.mkdir()
    for name, lines in (("label", OLD), ("train", TRAIN), ("dev", TRAIN[:2])):
        written(data / f"{name}.txt", lines)
    texts = [line.split("\t")[0] for line in (*TRAIN, *examples)]
    model = write_small_checkpoint(tmp_path / "checkpoint", OLD, encoder=False, texts=texts, thresholds=[0.4])
    places = {"params_path": model, "output_path": tmp_path / "grown", "examples": written(tmp_path / "new", examples)}
    places |= {"dataset_dir": data, "dataset_output_dir": tmp_path / "grown_data"}
    done = run_in_process(labels.main, "add", "罢工", *(f"--{name}={path}" for name, path in places.items()))
    assert done.returncode == 0, done.stderr
    noun = f"{count} example{'s' * (count > 1)}"
    assert f"罢工: by {noun}; where to draw the line was told by 4 labels that the model has" in done.stdout
    assert f"note: '罢工' has {noun}, which is little; show at least 5" in done.stdout
    grown = load_classifier(tmp_path / "grown", "cpu", None, 8)
    decoded = grown.decoder.decode(grown.logits(["壬厂工人罢工九天", *(line.split("\t")[0] for line in TRAIN[::7])]))
    assert decoded.selected[:, -1].tolist() == [True] + [False] * (len(decoded.selected) - 1)


def test_what_is_borrowed_is_worth_on_other_labels_what_is_said():
    """Labels in clouds of equal width: a new one by two rows is found about as well as the known ones."""
    random = np.random.default_rng(0)
    labels_, width = 8, 12
    centres = random.normal(size=(labels_ + 1, width)) * 2
    owners = np.repeat(np.arange(labels_ + 1), 60)
    features = centres[owners] + random.normal(size=(len(owners), width))
    known = owners[:, None] == np.arange(labels_)
    old = owners < labels_
    for make in (discriminant, machine):
        told = borrowed([(features[old], make)], known[old], 2, 1.0, 0.5)
        rows = np.concatenate([np.flatnonzero(owners == labels_)[:2], np.flatnonzero(old)])
        given = np.arange(len(rows)) < 2
        plane = make(features[rows], given, held_back=False)
        logits = told.of([plane], given)((features @ plane.weights + plane.offset)[:, None])
        new = owners == labels_
        f1 = 2 * ((logits >= 0) & new)[2:].sum() / ((logits >= 0).sum() + new.sum())
        assert told.labels == labels_ and abs(f1 - told.f1) < 0.2 and f1 > 0.6


def test_too_few_known_labels_tell_nothing():
    known = np.zeros((100, 3), bool)
    known[: LEAST_ROWS - 1, 0] = known[30:60, 1] = known[60:90, 2] = True
    features = np.random.default_rng(0).normal(size=(100, 4))
    assert borrowed([(features, discriminant)], known, 1, 0.5, 0.5) is None
