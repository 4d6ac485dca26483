"""A scratch model learns in every script what tells words apart; see `tests.made_up_sets`."""

import pytest

from tests.made_up_sets import write_made_up_set
from training.train import TrainingRun, train

SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    "language", ["thai", *(pytest.param(each, marks=SLOW) for each in ("japanese", "hindi", "vietnamese"))]
)
def test_marks_and_runs_without_spaces_are_learnt(language, tmp_path, capsys):
    data = write_made_up_set(tmp_path / "data", language)
    options = {"model_name": "scratch-tiny", "epochs": 8, "learning_rate": 2e-3, "device": "cpu"}
    checkpoint = train(TrainingRun(dataset_dir=data, save_dir=tmp_path / "checkpoint", **options))
    assert checkpoint.record.metrics["dev"]["micro_f1"] >= 0.98
    said = "are of scripts without spaces between words: the vocabulary is" in capsys.readouterr().out
    assert said == (language in ("thai", "japanese"))
