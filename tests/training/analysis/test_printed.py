"""What an evaluation prints: a summary, or the lines of the original application."""

import json
import re
from dataclasses import replace
from unittest import mock

import pytest

from pipeline.errors import InputError
from pipeline.files.bundle import MANIFEST_FILE
from pipeline.labels.calibration import Calibration
from pipeline.labels.decoding import Decoder
from pipeline.labels.promises import Promise
from tests.prediction import checked
from tests.training.analysis.conftest import classifier
from training.analysis import evaluate as command
from training.checkpoint.files import TrainingRecord


def evaluate(*options):
    command.main(["--dataset_dir", "data", *map(str, options)])


def test_the_summary_fits_a_screen_and_names_what_is_worst(folder, capsys):
    evaluate()
    printed = capsys.readouterr()
    assert printed.out.splitlines() == [
        "checkpoint on data/dev.txt: 4 rows, 4 labels",
        "",
        "               precision  recall      F1",
        "micro              60.00   37.50   46.15",
        "macro              50.00   25.00   32.50",
        "hierarchical       60.00   37.50   46.15",
        "level 1: 2 labels, micro F1 57.14, macro F1 40.00, accuracy 50.00",
        "level 2: 2 labels, micro F1 33.33, macro F1 25.00, accuracy 25.00",
        "accuracy (the whole label set is right) 25.00, consistent sets 100.00",
        "calibration error 43.74, of answered labels 39.99",
        "",
        "by F1          precision  recall      F1    rows  in train",
        "                    0.00    0.00    0.00       1         1  灾害",
        "                    0.00    0.00    0.00       1         1  灾害##死亡",
        "                  100.00   33.33   50.00       3         2  人生##死亡",
        "                  100.00   66.67   80.00       3         2  人生",
        "",
        "taken for another most often:",
        "      1 x  人生##死亡  as  灾害##死亡",
        "",
        "3 of 4 rows are wrong",
    ]
    assert printed.err.endswith("\nwrong rows: bad_case.txt\n")


def test_it_tells_what_was_found_on_the_very_rows(folder, capsys, monkeypatch):
    found = "found on these very rows: calibration and promises; --data_file test.txt is fairer to judge by"
    made, promise = classifier(), Promise(0.9, (0.5,), rests_on="dev.txt", rows=4)
    own = (made.decoder.thresholds, made.decoder.policy, Calibration((1.0,) * 4, (1.0,) * 4, (0.0,) * 4))
    made = replace(made, decoder=Decoder(made.hierarchy, *own, [promise]), chosen_on=("dev.txt", 4))
    for chosen_on, rests_on, said in (
        (("dev.txt", 4), "dev.txt", found),
        (("dev.txt", 4), "rows.txt", found.replace(" and promises", "")),
        (("dev.txt", 1190), "rows.txt", None),
        (None, "rows.txt", None),
    ):
        decoder = Decoder(made.hierarchy, *own, [replace(promise, rests_on=rests_on)])
        changed = replace(made, decoder=decoder, chosen_on=chosen_on)
        monkeypatch.setattr(command.EvaluateOptions, "classifier", checked(changed))
        evaluate()
        lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("found on")]
        assert lines == ([said] if said else [])


def test_the_figures_of_every_label_go_to_a_file_too(folder, capsys):
    evaluate("--per_class", "labels.txt")
    assert "by F1" in capsys.readouterr().out
    assert "Class name: 人生\nEvaluation examples in train" in (folder / "labels.txt").read_text()


def test_a_checkpoint_tells_its_dataset_folder(folder, capsys):
    def of(options):
        folder.joinpath("checkpoint").mkdir(exist_ok=True)
        record = TrainingRecord("scratch-tiny", 128, "none", options=options)
        with mock.patch("training.options.read_checkpoint", lambda path: mock.Mock(record=record)):
            command.main([])

    of({"dataset_dir": "data"})
    printed = capsys.readouterr()
    assert "dataset folder: data, on which checkpoint was trained\n" in printed.err
    assert printed.out.startswith("checkpoint on data/dev.txt: 4 rows")
    with pytest.raises(InputError, match="was trained on gone, which is not there; give --dataset_dir"):
        of({"dataset_dir": "gone"})
    with pytest.raises(InputError, match="checkpoint does not tell on which folder it was trained; give --dataset_dir"):
        of({})
    with pytest.raises(InputError, match="there is no checkpoint at nowhere; .* needs --dataset_dir"):
        command.main(["--params_path", "nowhere"])
    folder.joinpath("export").mkdir()
    folder.joinpath("export", MANIFEST_FILE).touch()
    with pytest.raises(
        InputError, match="^export is a bundle, which does not tell its dataset folder; give --dataset_dir$"
    ):
        command.main(["--run", "first", "--params_path", "export"])


def test_a_run_has_a_folder_of_its_own(folder):
    evaluate("--run", "first", "--json", "figures.json")
    assert sorted(path.name for path in (folder / "runs" / "first").iterdir()) == ["bad_case.txt", "report.html"]
    assert json.loads((folder / "figures.json").read_text())["title"] == "runs/first/checkpoint on data/dev.txt"
    with pytest.raises(InputError, match="--run is '../x'; give a name without a slash"):
        evaluate("--run", "../x")


def test_the_figures_of_every_label(folder, capsys):
    evaluate("--per_class")
    lines = capsys.readouterr().out.splitlines()
    stamp = re.compile(r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}\] \[    INFO\] - ")
    assert all(stamp.match(line) for line in lines)
    assert [stamp.sub("", line) for line in lines] == [
        "-----Evaluate model-------",
        "Train dataset size: 3",
        "Dev dataset size: 4",
        "Accuracy in dev dataset: 25.00%",
        "Macro avg in dev dataset: precision: 50.00 | recall: 25.00 | F1 score 32.50",
        "Micro avg in dev dataset: precision: 60.00 | recall: 37.50 | F1 score 46.15",
        "Level 1 Label Performance: Macro F1 score: 40.00 | Micro F1 score: 57.14 | Accuracy: 50.00",
        "Level 2 Label Performance: Macro F1 score: 25.00 | Micro F1 score: 33.33 | Accuracy: 25.00",
        "Hierarchical avg in dev dataset: precision: 60.00 | recall: 37.50 | F1 score 46.15",
        "Path-constrained in dev dataset: C-Macro F1 score: 32.50 | C-Micro F1 score: 46.15",
        "Consistent predictions in dev dataset: 100.00%",
        "Precision at k in dev dataset: P@1: 62.50 | P@3: 51.39 | P@5: 50.00",
        "Expected calibration error in dev dataset: 43.74% | of answered labels: 39.99%",
        "Class name: 人生",
        "Evaluation examples in train dataset: 2(66.7%) | precision: 100.00 | recall: 100.00 | F1 score 100.00",
        "Evaluation examples in dev dataset: 3(75.0%) | precision: 100.00 | recall: 66.67 | F1 score 80.00",
        "----------------------------",
        "Class name: 人生##死亡",
        "Evaluation examples in train dataset: 2(66.7%) | precision: 100.00 | recall: 50.00 | F1 score 66.67",
        "Evaluation examples in dev dataset: 3(75.0%) | precision: 100.00 | recall: 33.33 | F1 score 50.00",
        "----------------------------",
        "Class name: 灾害",
        "Evaluation examples in train dataset: 1(33.3%) | precision: 100.00 | recall: 100.00 | F1 score 100.00",
        "Evaluation examples in dev dataset: 1(25.0%) | precision: 0.00 | recall: 0.00 | F1 score 0.00",
        "----------------------------",
        "Class name: 灾害##死亡",
        "Evaluation examples in train dataset: 1(33.3%) | precision: 100.00 | recall: 100.00 | F1 score 100.00",
        "Evaluation examples in dev dataset: 1(25.0%) | precision: 0.00 | recall: 0.00 | F1 score 0.00",
        "----------------------------",
    ]
