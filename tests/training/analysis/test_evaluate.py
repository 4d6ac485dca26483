import json

import numpy as np
import pytest

from pipeline.errors import ClassifierError, DatasetError, EnvironmentFault, InputError
from pipeline.files.chunks import CHARACTERS_PER_CHUNK
from pipeline.files.dataset import read_examples, read_labels
from pipeline.labels.decoding import Decoder
from tests.conftest import run_command
from tests.prediction import checked, untold
from tests.training.analysis.conftest import LABELS, LOGITS, classifier
from training.analysis import evaluate as command
from training.analysis.evaluation import SHOWN_CASES, SHOWN_CHARACTERS
from training.checkpoint.classifier import Classifier
from training.checkpoint.files import read_checkpoint


def evaluate(*options):
    command.main(["--dataset_dir", "data", *map(str, options)])


def evaluation(*options):
    evaluate("--json", "evaluation.json", *options)
    with open("evaluation.json", encoding="utf-8") as stream:
        return json.load(stream)


def test_documented_defaults():
    documented = {
        "device": "auto",
        "params_path": "./checkpoint/",
        "max_seq_length": None,
        "batch_size": 32,
        "bad_case_path": "./bad_case.txt",
        "train_file": "train.txt",
        "data_file": "dev.txt",
        "label_file": "label.txt",
    }
    given = command.parse_args(["--dataset_dir", "data"])
    assert given == command.EvaluateOptions(dataset_dir="data", **documented)


def test_wrong_rows_are_written(folder):
    evaluate("--bad_case_path", "out/wrong.txt")
    assert (folder / "out" / "wrong.txt").read_text() == (
        "Prediction\tLabel\tText\n"
        "\t灾害,灾害##死亡\t无二\n"  # nothing was predicted
        "人生\t人生,人生##死亡\t半二\n"
        "灾害,灾害##死亡\t人生,人生##死亡\t灾，二\n"
    )


def test_the_evaluation_holds_what_a_page_needs(folder):
    found = evaluation()
    assert found["title"] == "checkpoint on data/dev.txt"
    assert (found["train_rows"], found["rows"]) == (3, 4)
    assert [(level["level"], level["labels"]) for level in found["levels"]] == [(1, 2), (2, 2)]
    assert found["labels"][1] == {
        "label": "人生##死亡",
        "level": 2,
        "threshold": 0.25,
        "train": {"support": 2, "precision": 1.0, "recall": 0.5, "f1": pytest.approx(2 / 3)},
        "dev": {"support": 3, "precision": 1.0, "recall": pytest.approx(1 / 3), "f1": 0.5},
    }
    assert len({len(column) for column in found["threshold_curve"].values()}) == 1
    assert sum(part["count"] for part in found["calibration"]) == 16
    assert found["confusions"] == [{"missed": "人生##死亡", "predicted": "灾害##死亡", "count": 1}]
    assert found["bad_cases"]["total"] == 3
    nothing, half, other = found["bad_cases"]["shown"]
    assert nothing == {"text": "无二", "labels": ["灾害", "灾害##死亡"], "predictions": []}
    assert half["predictions"] == [{"label": "人生", "confidence": pytest.approx(1, abs=1e-3)}]
    assert [prediction["label"] for prediction in other["predictions"]] == ["灾害", "灾害##死亡"]


def test_an_inconsistent_model_shows(folder, monkeypatch):
    monkeypatch.setattr(command.EvaluateOptions, "classifier", checked(classifier("threshold")))
    (folder / "data" / "dev.txt").write_text("孤\t人生,人生##死亡\n")
    summary = evaluation()["summary"]
    assert summary["micro_f1"] == pytest.approx(2 / 3)
    assert summary["consistent_share"] == summary["constrained_micro_f1"] == 0
    assert summary["hierarchical_f1"] == 1


def test_the_threshold_can_be_overridden(folder, monkeypatch):
    monkeypatch.setitem(LOGITS, "半", [9, 0.5, -9, -9])  # a score of 0.62
    assert [evaluation("--threshold", t)["bad_cases"]["total"] for t in (0.6, 0.65)] == [2, 3]
    assert evaluation("--threshold", 0.6)["labels"][1]["threshold"] == 0.6


def test_wrong_rows_hold_nothing_that_a_terminal_obeys(folder):
    (folder / "data" / "dev.txt").write_text("半\x1b[31m红\u202e字\t灾害\n")
    evaluation()
    assert (folder / "bad_case.txt").read_text().endswith("\t半 [31m红 字\n")


def test_rows_are_read_in_bounded_chunks(folder, monkeypatch):
    asked = []

    def logits(texts):
        asked.append(len(texts))
        return np.full((len(texts), 4), -9, np.float32)

    monkeypatch.setattr(command.EvaluateOptions, "classifier", checked(Classifier(Decoder(LABELS), untold(logits))))
    text = "长" * (SHOWN_CHARACTERS + 1)
    (folder / "data" / "dev.txt").write_text(f"{text}\t人生\n" * 2500)
    cases = evaluation()["bad_cases"]
    by_characters = CHARACTERS_PER_CHUNK // len(text) + 1
    assert asked[-5:] == [by_characters] * 4 + [2500 - 4 * by_characters]
    assert (cases["total"], len(cases["shown"])) == (2500, SHOWN_CASES)
    assert len(cases["shown"][0]["text"]) == SHOWN_CHARACTERS
    wrong = (folder / "bad_case.txt").read_text().splitlines()
    assert wrong[1:] == [f"\t人生\t{text}"] * 2500


def test_the_page_is_written_from_the_evaluation(folder, monkeypatch):
    written = {}
    monkeypatch.setattr(command, "write_report", lambda path, evaluation: written.update({path.name: evaluation}))
    found = evaluation("--report", "report.html")
    assert json.loads(json.dumps(written["report.html"])) == found


def test_files_are_written_though_the_reader_of_the_output_left(folder, monkeypatch):
    def closed(*_):
        raise BrokenPipeError

    monkeypatch.setattr("builtins.print", closed)
    with pytest.raises(BrokenPipeError):
        evaluate("--json", "evaluation.json")
    assert json.loads((folder / "evaluation.json").read_text())["rows"] == 4


def write(name, text):
    return lambda folder: (folder / "data" / name).write_text(text)


@pytest.mark.parametrize(
    ("spoil", "options", "error", "message"),
    [
        (write("dev.txt", ""), (), InputError, r"data/dev\.txt has no rows"),
        (write("train.txt", ""), (), InputError, r"data/train\.txt has no rows"),
        (write("dev.txt", "生\t人生\n生\t人死\n"), (), DatasetError, r"^data/dev\.txt:2: unknown label '人死'"),
        (write("dev.txt", "生\t人生\n人生\n"), (), DatasetError, r"^data/dev\.txt:2: there is no tab before '人生'"),
        (write("label.txt", "人生\n人生##死亡\n灾害\n灾害##死亡\n火"), (), InputError, "does not fit the model: '火'"),
        (write("label.txt", ""), (), DatasetError, "there are no labels"),
        (None, ("--train_file", "no.txt"), InputError, r"cannot read data/no\.txt: No such file"),
        (None, ("--data_file", "no.txt"), InputError, r"cannot read data/no\.txt: No such file"),
        (None, ("--label_file", "no.txt"), InputError, r"cannot read data/no\.txt: No such file"),
        (None, ("--threshold", "1"), InputError, "--threshold is 1.0; give a number, above 0 and below 1"),
        (None, ("--threshold", "nan"), InputError, "--threshold is nan; give a number"),
        (None, ("--bad_case_path", "data"), InputError, "--bad_case_path data is a folder"),
        (None, ("--bad_case_path", "data/../data/dev.txt"), InputError, r"would overwrite data/dev\.txt"),
        (None, ("--report", "data/test.txt"), InputError, r"would overwrite data/test\.txt"),
        (None, ("--json", "bad_case.txt"), InputError, "would overwrite what --bad_case_path writes"),
        (None, ("--json", "data/dev.txt/e.json"), InputError, r"--json .* cannot be written: .*dev\.txt is no folder"),
    ],
)
def test_what_cannot_be_evaluated_is_named_and_nothing_is_written(folder, spoil, options, error, message):
    (folder / "bad_case.txt").write_text("of the last time")
    if spoil:
        spoil(folder)
    with pytest.raises(error, match=message):
        evaluate(*options)
    assert (folder / "bad_case.txt").read_text() == "of the last time"
    assert {path.name for path in folder.iterdir()} == {"data", "bad_case.txt"}


def test_a_model_that_breaks_half_way_leaves_no_file(folder, monkeypatch):
    monkeypatch.setitem(LOGITS, "断", [np.nan] * 4)
    (folder / "data" / "dev.txt").write_text("无\t人生\n" * 1024 + "断\t人生\n")
    with pytest.raises(ClassifierError, match=r"^data/dev\.txt, rows 1025 to 1025: .*not finite"):
        evaluate()
    assert {path.name for path in folder.iterdir()} == {"data"}


def test_a_file_that_changes_meanwhile_is_noticed(folder, monkeypatch):
    def load(*_):
        with open("data/dev.txt", "a", encoding="utf-8") as stream:
            stream.write("生\t人生\n")
        return classifier()

    monkeypatch.setattr(command.EvaluateOptions, "classifier", load)
    with pytest.raises(InputError, match=r"data/dev\.txt had 4 rows and then 5"):
        evaluate()
    assert {path.name for path in folder.iterdir()} == {"data"}


def test_a_bundle_is_evaluated_with_its_policy(bundle_path, sample_dataset, tmp_path):
    wrong, figures = tmp_path / "bad_case.txt", tmp_path / "evaluation.json"
    options = ("--device", "cpu", "--dataset_dir", sample_dataset, "--params_path", bundle_path)
    command.main([*map(str, options), "--bad_case_path", str(wrong), "--json", str(figures)])
    found = json.loads(figures.read_text())
    assert found["decoding"]["at_least_one"]
    assert found["summary"]["consistent_share"] == 1
    assert 0.5 < found["summary"]["micro_f1"] < 1
    rows = [line.split("\t") for line in wrong.read_text().splitlines()]
    assert rows[0] == ["Prediction", "Label", "Text"]
    assert len(rows) - 1 == found["bad_cases"]["total"] == round((1 - found["summary"]["accuracy"]) * found["rows"])
    hierarchy = read_labels(sample_dataset / "label.txt")
    truth = {
        example.text: {hierarchy.labels[position] for position in example.labels}
        for example in read_examples(sample_dataset / "dev.txt", hierarchy)
    }
    for prediction, labels, text in rows[1:]:
        assert truth[text] == set(labels.split(","))
        assert prediction
        assert truth[text] != set(prediction.split(","))


def test_a_checkpoint_reaches_what_training_recorded(checkpoint, sample_dataset, tmp_path):
    done = run_command(
        "training/analysis/evaluate.py",
        *("--device", "cpu", "--dataset_dir", sample_dataset, "--params_path", checkpoint),
        *("--bad_case_path", tmp_path / "bad_case.txt", "--json", tmp_path / "evaluation.json"),
    )
    recorded = read_checkpoint(checkpoint).record.metrics["dev"]
    found = json.loads((tmp_path / "evaluation.json").read_text())
    assert found["summary"]["micro_f1"] == pytest.approx(recorded["micro_f1"], abs=2e-3)
    assert f"dev.txt: {found['rows']} rows, " in done.stdout
    # A line as each file begins, and no progress bar where there is no terminal.
    lines = [line for line in done.stderr.splitlines() if "classifying" not in line]
    assert lines == [f"wrong rows: {tmp_path}/bad_case.txt; figures: {tmp_path}/evaluation.json"]
    assert f"classifying {found['rows']} rows of dev.txt ...\n" in done.stderr.replace(",", "")


def test_a_bundle_needs_the_cpu(bundle_path, sample_dataset, tmp_path):
    options = ("--device", "gpu", "--dataset_dir", sample_dataset, "--params_path", bundle_path)
    with pytest.raises((InputError, EnvironmentFault), match="give --device cpu"):
        command.main([*map(str, options), "--bad_case_path", str(tmp_path / "bad_case.txt")])
    assert not list(tmp_path.iterdir())


def test_explanations_are_worth_more_than_random_words(bundle_path, sample_dataset, tmp_path, capsys):
    options = ("--dataset_dir", sample_dataset, "--params_path", bundle_path, "--explain", 20)
    figures = tmp_path / "evaluation.json"
    command.main([*map(str, options), "--bad_case_path", str(tmp_path / "wrong.txt"), "--json", str(figures)])
    found = json.loads(figures.read_text())["explanations"]
    assert found["texts"] == 20 and found["labels"] > 20
    assert 1 <= found["words"] <= 6
    assert found["comprehensiveness"] > 3 * found["random_comprehensiveness"]
    assert found["sufficiency"] < found["random_sufficiency"]
    assert f"its score falls by {found['comprehensiveness']:.3f}, " in capsys.readouterr().out
