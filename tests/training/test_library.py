"""The library, as a notebook uses it: functions that take options and return what they made."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.errors import InputError
from pipeline.files.dataset import read_texts
from pipeline.predictor import Predictor
from training.analysis.evaluate import EvaluateOptions, evaluate
from training.export_model import ExportOptions, export
from training.predict import PredictOptions, WriteOptions, predict, write_predictions
from training.train import TrainingRun, train


@pytest.fixture
def few_rows(sample_dataset, tmp_path) -> Path:
    """The sample's first rows: eight steps an epoch."""
    for name, count in (("train.txt", 256), ("dev.txt", 100), ("data.txt", 20), ("label.txt", None)):
        lines = (sample_dataset / name).read_text(encoding="utf-8").splitlines(keepends=True)
        (tmp_path / name).write_text("".join(lines[:count]), encoding="utf-8")
    return tmp_path


def test_from_labelled_texts_to_a_bundle(few_rows, tmp_path):
    data, save_dir = {"device": "cpu", "dataset_dir": few_rows}, tmp_path / "checkpoint"
    checkpoint = train(TrainingRun(**data, save_dir=save_dir, model_name="scratch-tiny", learning_rate=3e-3, epochs=2))
    model = {**data, "params_path": checkpoint.path}
    figures = evaluate(EvaluateOptions(**model, bad_case_path=tmp_path / "bad_case.txt"))
    answers = list(predict(PredictOptions(**model, at_least_one=True)))
    bundle = export(ExportOptions(params_path=checkpoint.path, output_path=tmp_path / "export", at_least_one=True))

    recorded = checkpoint.record.metrics["dev"]["micro_f1"]
    assert figures["summary"]["micro_f1"] == pytest.approx(recorded, abs=2e-3)
    assert [answer.text for answer in answers] == list(read_texts(few_rows / "data.txt"))
    served = Predictor(bundle).predict([answer.text for answer in answers])
    assert [{label.label for label in labels} for _, labels in answers] == [{name for name, _ in row} for row in served]


@pytest.mark.usefixtures("stand_in")
def test_answers_are_given_or_written(folder):
    shared = {"dataset_dir": folder, "top_k": 1, "at_least_one": True}
    given = [f"{text}\t{labels[0].label}" for text, labels in predict(PredictOptions(**shared))]
    output = folder / "answers.tsv"
    assert write_predictions(WriteOptions(**shared, format="tsv", output_file=output)) == len(given) == 10
    assert [line.rpartition("\t")[0] for line in output.read_text().splitlines()] == given


@pytest.mark.usefixtures("stand_in")
def test_texts_are_answered_as_the_answers_are_asked_for(folder):
    """A file of any size is answered in constant memory; a wrong row shows when its turn comes."""
    (folder / "data.txt").write_text("裁员\n地震\n\n")
    answers = predict(PredictOptions(dataset_dir=folder))
    assert [next(answers).text, next(answers).text] == ["裁员", "地震"]
    with pytest.raises(InputError, match=r"data\.txt:3: text is empty"):
        next(answers)
