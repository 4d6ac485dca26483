import json
import os
import pty
import subprocess

import numpy as np
import pytest

from pipeline.errors import BundleError, ClassifierError, DatasetError, EnvironmentFault, InputError
from pipeline.files.dataset import read_texts, write_labels
from pipeline.labels.decoding import Decoder
from pipeline.labels.hierarchy import LabelHierarchy
from pipeline.predictor import Predictor
from pipeline.text.encoding import TextEncoder
from tests.conftest import PROJECT, first_rows
from tests.prediction import LABELS, TEXTS, answers, checked, untold, write_texts_to
from training import predict
from training.checkpoint.classifier import Classifier


def printed(capfdbinary, folder, *options):
    predict.main(["--device", "cpu", "--dataset_dir", str(folder), *map(str, options)])
    return capfdbinary.readouterr().out.decode()


def test_a_bundle_answers_each_line_in_order(bundle_path, sample_dataset, capfdbinary):
    shown = printed(capfdbinary, sample_dataset, "--params_path", bundle_path, "--format", "jsonl")
    texts = list(read_texts(sample_dataset / "data.txt"))
    rows = [json.loads(line) for line in shown.splitlines()]
    assert [row["text"] for row in rows] == texts
    for row, expected in zip(rows, Predictor(bundle_path).predict(texts)):
        found = {label["label"]: label["confidence"] for label in row["labels"]}
        assert found == pytest.approx(dict(expected), abs=1e-4)


def test_a_checkpoint_says_why_as_its_bundle_does(bundle_path, checkpoint, sample_dataset, tmp_path, capfdbinary):
    folder = first_rows(sample_dataset, tmp_path / "few", 1, 1, 5)
    options = ("--format", "jsonl", "--explain", "--at_least_one")
    both = [printed(capfdbinary, folder, "--params_path", path, *options) for path in (checkpoint, bundle_path)]
    found, expected = ([json.loads(line)["explanation"] for line in shown.splitlines()] for shown in both)
    assert len(found) == 5
    for explanation, other in zip(found, expected):
        for label, same in zip(explanation["labels"], other["labels"]):
            assert label["label"] == same["label"]
            assert [word["text"] for word in label["words"][:1]] == [word["text"] for word in same["words"][:1]]


def test_a_model_that_reads_texts_by_itself_cannot_say_why(folder, stand_in):
    with pytest.raises(InputError, match="none of their words can be left out"):
        answers(folder, "--explain")


@pytest.mark.parametrize("kind", ["checkpoint", "bundle"])
def test_each_text_is_encoded_once(bundle_path, checkpoint, sample_dataset, monkeypatch, kind):
    encoded, encode = [], TextEncoder.encode_checked

    def counted(encoder, texts):
        encoded.extend(texts)
        return encode(encoder, texts)

    monkeypatch.setattr(TextEncoder, "encode_checked", counted)
    path = bundle_path if kind == "bundle" else checkpoint
    found = list(predict.predict(predict.PredictOptions(params_path=path, dataset_dir=sample_dataset, device="cpu")))
    assert encoded == [text for text, _ in found]
    assert {labels.truncated for _, labels in found} <= {True, False}


def test_a_checkpoint_answers_as_its_bundle_does(bundle_path, checkpoint, sample_dataset, capfdbinary):
    def label_sets(path):
        shown = printed(capfdbinary, sample_dataset, "--params_path", path, "--format", "tsv", "--at_least_one")
        return [(row.split("\t")[0], set(row.split("\t")[1].split(","))) for row in shown.splitlines()]

    assert label_sets(checkpoint / "model_state.pdparams") == label_sets(bundle_path)


@pytest.mark.parametrize("device", ["gpu", "xpu", "npu"])
def test_a_device_that_paddle_lacks_is_named(checkpoint, sample_dataset, device):
    with pytest.raises(EnvironmentFault, match=f"--device {device} is not available with the installed paddle"):
        predict.main(["--device", device, "--dataset_dir", str(sample_dataset), "--params_path", str(checkpoint)])


@pytest.mark.usefixtures("stand_in")
def test_the_command_line_overrides_the_model(folder):
    def labels(*options):
        return [row.split("\t")[1] for row in answers(folder, "--format", "tsv", *options).decode().splitlines()]

    assert any("," in row for row in labels())
    assert not any("," in row for row in labels("--top_k", 1))
    assert set(labels("--threshold", 0.99)) == {""}
    assert "" not in labels("--threshold", 0.99, "--at_least_one")
    assert "人生##死亡" in labels("--policy", "threshold")


def test_texts_that_are_cut_are_counted(bundle_path, sample_dataset, tmp_path, capfdbinary):
    (tmp_path / "texts.txt").write_text("短\n" + "长" * 200 + "\n", encoding="utf-8")
    options = ("--params_path", bundle_path, "--data_file", tmp_path / "texts.txt")
    predict.main(["--device", "cpu", "--dataset_dir", str(sample_dataset), *map(str, options)])
    told = capfdbinary.readouterr().err.decode()
    assert "a second; longer than 128 tokens and cut: 1" in told


@pytest.mark.usefixtures("stand_in")
def test_no_texts_are_no_answers(folder):
    write_texts_to(folder, [])
    assert answers(folder) == b""


@pytest.mark.usefixtures("stand_in")
@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (b"", "text is empty"),
        (b"a\xff\xfe", "byte 2 .0xff. is not UTF-8"),
        ("长".encode() * 200_001, "longer than the limit of 200,000"),
        ("长".encode() * 300_000, "longer than 200,000 characters"),
    ],
    ids=["empty", "not UTF-8", "long", "too long to read"],
)
def test_a_wrong_row_is_named_and_mended(folder, row, reason):
    whole = answers(folder)
    lines = [text.encode() for text in TEXTS]
    (folder / "data.txt").write_bytes(b"\n".join([*lines[:7], row, *lines[8:], b""]))
    with pytest.raises(DatasetError, match=f"^{folder}/data.txt:8: .*{reason}"):
        answers(folder)
    written = (folder / "out").read_bytes()
    assert written.count(b"text: ") == 7
    assert whole.startswith(written)
    write_texts_to(folder)
    assert answers(folder, "--resume") == whole


def test_an_endless_line_is_not_read_to_its_end(stand_in, folder):
    with pytest.raises(DatasetError, match="^/dev/zero:1: the text is longer than 200,000 characters"):
        predict.main(["--dataset_dir", str(folder), "--data_file", "/dev/zero"])


@pytest.mark.usefixtures("stand_in")
def test_the_file_that_a_link_leads_to_is_written(folder):
    (folder / "out").symlink_to(folder / "elsewhere")
    assert answers(folder) == (folder / "elsewhere").read_bytes()
    assert (folder / "out").is_symlink()


@pytest.mark.usefixtures("stand_in")
@pytest.mark.parametrize(
    ("output", "reason"),
    [
        ("data.txt", "is the file that the texts are read from"),
        (".", "is no ordinary file"),
        ("label.txt", "--output_file .* would overwrite .*label.txt; give another path"),
        ("train.txt", "--output_file .* would overwrite .*train.txt"),
    ],
)
def test_an_output_that_must_not_be_written_is_refused(folder, output, reason):
    with pytest.raises(InputError, match=reason):
        predict.main(["--dataset_dir", str(folder), "--output_file", str(folder / output)])
    assert (folder / "data.txt").read_text().splitlines() == TEXTS


@pytest.mark.usefixtures("stand_in")
def test_a_label_file_must_fit_the_model(folder):
    with pytest.raises(InputError, match="cannot read .*labels.txt"):
        answers(folder, "--label_file", "labels.txt")
    answers(folder)  # without one it goes by the model, unless one was asked for, be it by its usual name
    with pytest.raises(InputError, match="cannot read .*label.txt"):
        answers(folder, "--label_file", "label.txt")
    write_labels(folder / "label.txt", LabelHierarchy(reversed(LABELS.labels)))
    answers(folder)
    write_labels(folder / "label.txt", LabelHierarchy(["人生"]))
    with pytest.raises(InputError, match="label.txt does not fit the model: .*give the label file that the model"):
        answers(folder)


@pytest.mark.usefixtures("stand_in")
def test_another_known_encoder_is_refused_and_a_folder_is_not_judged(folder):
    answers(folder, "--model_name", "scratch-tiny")
    answers(folder, "--model_name", "/some/folder")
    with pytest.raises(InputError, match="--model_name is ernie-3.0-base-zh, and .* was trained with scratch-tiny"):
        answers(folder, "--model_name", "ernie-3.0-base-zh")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--top_k", 0), "--top_k is 0; give a whole number, at least 1"),
        (("--threshold", 1), "--threshold is 1.0; give a number, above 0 and below 1"),
        (("--data_file", "none.txt"), "cannot read .*none.txt: No such file or directory$"),
        (("--data_file", "tickets.csv"), "tickets.csv is by its name no file .*serving.bulk --input .*tickets.csv "),
        (("--dataset_dir", "nowhere"), "cannot read nowhere/data.txt: .*; that is the default of --data_file, give it"),
        (("--params_path", "/nowhere"), "there is no checkpoint at /nowhere"),
        (("--batch_size", 0), "--batch_size is 0; give a whole number, at least 1"),
    ],
)
def test_options_that_cannot_be_met_are_named(folder, options, reason):
    with pytest.raises((InputError, BundleError), match=reason):
        answers(folder, *options)
    assert not (folder / "out").exists()


def test_logits_that_are_not_finite_are_placed(folder, stand_in, monkeypatch):
    broken = Classifier(Decoder(LABELS), untold(lambda texts: np.full((len(texts), 3), np.nan, "f4")))
    monkeypatch.setattr(predict.PredictOptions, "classifier", checked(broken))
    with pytest.raises(ClassifierError, match=r"data.txt, lines 1 to 3: row 0: the model's logits are not finite"):
        answers(folder)


def test_standard_input_is_answered(command):
    words = [*command, "--data_file", "-", "--format", "jsonl"]
    done = subprocess.run(words, cwd=PROJECT, input="裁员\n地震\n\n".encode(), capture_output=True, check=False)
    assert [json.loads(line)["text"] for line in done.stdout.splitlines()] == ["裁员", "地震"]
    assert done.returncode == 2
    assert "error: <stdin>:3: text is empty" in done.stderr.decode()


def test_a_reader_that_stops_early_is_no_error(command):
    words = [*command, "--data_file", "/dev/stdin"]
    endless = subprocess.Popen(["yes", "裁员"], stdout=subprocess.PIPE)
    predicting = subprocess.Popen(
        words, cwd=PROJECT, stdin=endless.stdout, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert predicting.stdout.readline().decode() == "text: 裁员\n"
    predicting.stdout.close()
    assert predicting.wait(timeout=60) == 0
    assert b"error" not in predicting.stderr.read()
    endless.kill()
    endless.wait()


def test_a_terminal_shows_the_progress(command, tmp_path):
    leader, follower = pty.openpty()
    subprocess.run([*command, "--output_file", tmp_path / "out"], cwd=PROJECT, stderr=follower, check=True)
    os.close(follower)
    assert b"\r100% " in os.read(leader, 1 << 16)
