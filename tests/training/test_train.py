import json
import math
import re
import shutil

import pytest

import demo
from pipeline.files.bundle import Bundle
from pipeline.files.checksums import write_all_checksums
from pipeline.files.dataset import read_labels
from serving.publish import PublishOptions, publish
from serving.servers import PlaceOptions
from tests.conftest import first_rows, run_command, run_in_process
from training import export_model
from training.checkpoint.files import read_checkpoint
from training.data.encoded import shuffled_batches
from training.train import main

TINY = ("--device", "cpu", "--model_name", "scratch-tiny", "--epochs", 1, "--linear", "never")


def train(dataset, save_dir, *options):
    return run_in_process(main, "--dataset_dir", dataset, "--save_dir", save_dir, *options)


def test_a_checkpoint_holds_what_exporting_needs(checkpoint, sample_dataset):
    names = {file.name for file in checkpoint.iterdir()}
    assert {"model_state.pdparams", "config.json", "vocab.txt", "tokenizer_config.json", "label.txt"} <= names
    assert (checkpoint / "model_config.json").read_bytes() == (checkpoint / "config.json").read_bytes()
    read = read_checkpoint(checkpoint)
    assert read.hierarchy.labels == read_labels(sample_dataset / "label.txt").labels
    assert read.record.options["learning_rate"] == 2e-3
    assert read.record.metrics["dev"]["micro_f1"] > 0.5


def test_training_goes_on_from_a_checkpoint(checkpoint, sample_dataset, tmp_path):
    data = first_rows(sample_dataset, tmp_path / "data", train=100, dev=200)
    options = (*TINY, "--learning_rate", 1e-9, "--init_from_ckpt", checkpoint / "model_state.pdparams")
    done = train(data, tmp_path / "again", *options, "--logging_steps", 2)
    assert done.returncode == 0, done.stderr
    steps = re.findall(
        r"^global step (\d), epoch: 1, batch: (\d), loss: .+, micro f1 score: 0.[89]\d+, macro f1 score: 0.+, speed: ",
        done.stdout,
        re.MULTILINE,
    )
    assert steps == [("2", "2"), ("4", "4")]
    scores = [read_checkpoint(folder).record.metrics["dev"]["micro_f1"] for folder in (checkpoint, tmp_path / "again")]
    assert scores[0] == pytest.approx(scores[1], abs=1e-3)


def test_an_encoder_from_a_folder_learns_other_labels(checkpoint, sample_dataset, tmp_path):
    folder = tmp_path / "parents"
    folder.mkdir()
    for file, count in (("label.txt", None), ("train.txt", 600), ("dev.txt", None)):
        rows = [line.split("\t") for line in (sample_dataset / file).read_text().splitlines()[:count]]
        kept = [(*row[:-1], ",".join(label for label in row[-1].split(",") if "##" not in label)) for row in rows]
        (folder / file).write_text("".join("\t".join(row) + "\n" for row in kept if row[-1]))
    options = (
        "--device",
        "cpu",
        "--model_name",
        checkpoint,
        "--epochs",
        4,
        "--learning_rate",
        3e-3,
        "--linear",
        "never",
    )
    done = train(folder, tmp_path / "checkpoint", *options)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^epoch 1/4: loss .+, dev micro F1 .+, macro F1 .+, \d+ s, kept$", done.stdout, re.MULTILINE)
    assert "global step" not in done.stdout and not done.stderr
    scores = read_checkpoint(tmp_path / "checkpoint").record.metrics["dev"]
    assert len(read_checkpoint(tmp_path / "checkpoint").hierarchy) == 9
    assert scores["micro_f1"] > 0.7


def test_parameters_that_no_training_wrote_are_not_loaded(sample_dataset, tmp_path):
    """Loading such a file runs whatever its pickle says."""
    (tmp_path / "model_state.pdparams").write_bytes(b"cos\nsystem\n(S'touch %s'\ntR." % str(tmp_path / "ran").encode())
    done = train(sample_dataset, tmp_path / "again", *TINY, "--init_from_ckpt", tmp_path / "model_state.pdparams")
    assert done.returncode == 2
    assert "there is no checkpoint at" in done.stderr
    assert not (tmp_path / "ran").exists()


@pytest.fixture
def damaged(sample_dataset, tmp_path):
    """Some rows of the sample dataset, to spoil."""
    return first_rows(sample_dataset, tmp_path / "data", train=100, dev=30)


def test_a_wrong_row_stops_before_training(damaged, tmp_path):
    with open(damaged / "train.txt", "a") as stream:
        stream.write("没有标签的一行\t没有\n")
    rows = len((damaged / "train.txt").read_text().splitlines())
    done = train(damaged, tmp_path / "checkpoint", *TINY)
    assert done.returncode == 2
    assert f"error: {damaged}/train.txt:{rows}: unknown label '没有'" in done.stderr
    assert not (tmp_path / "checkpoint").exists()


def test_a_loss_that_explodes_stops_the_run(sample_dataset, tmp_path):
    done = train(sample_dataset, tmp_path / "checkpoint", *TINY, "--learning_rate", 1e9)
    assert done.returncode == 1
    assert "error: the loss is nan at epoch 1, step" in done.stderr
    assert "lower --learning_rate" in done.stderr


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (("--device", "gpu"), 3, "--device gpu is not available with the installed paddle"),
        (
            ("--device", "cpu", "--model_name", "bert-huge"),
            2,
            "unknown --model_name 'bert-huge'; give a local",
        ),
        (("--device", "cpu", "--epochs", 0), 2, "--epochs is 0; give a whole number, at least 1"),
        (("--device", "cpu", "--max_seq_length", 4096), 2, "--max_seq_length is 4096; give a whole number, at least 3"),
        (("--device", "cpu", "--token_dropout", 1), 2, "--token_dropout is 1.0"),
        ((*TINY, "--unlabelled_file", "more.txt"), 2, "cannot read {dataset}/more.txt: No such file"),
        (("--device", "cpu", "--seed", -1), 2, "--seed is -1; give a whole number, at least 0 and at most 4294967295"),
        (("--early_stop", "--early_stop_nums", 0), 2, "--early_stop_nums is 0"),
    ],
)
def test_options_that_cannot_be_met_are_named(sample_dataset, tmp_path, options, status, message):
    done = train(sample_dataset, tmp_path / "checkpoint", *options)
    assert done.returncode == status
    assert f"error: {message.format(dataset=sample_dataset)}" in done.stderr


def test_doubtful_rows_are_told_of(damaged, tmp_path):
    rows = (damaged / "train.txt").read_text().splitlines()
    text = rows[0].split("\t")[0]
    other = next(row.split("\t")[1] for row in rows if row.split("\t")[1] != rows[0].split("\t")[1])
    with open(damaged / "train.txt", "a") as stream:
        stream.write(f"{rows[0]}\n{text}\t{other}\n")
    with open(damaged / "dev.txt", "a") as stream:
        stream.write(f"{rows[0]}\n")
    output = train(damaged, tmp_path / "checkpoint", *TINY).stdout
    repeated = [line for line in output.splitlines() if "repeat the text" in line]
    assert f"1 of them with other labels (lines 1 and {len(rows) + 2} first): correct one" in repeated[0]
    assert f"stand in {damaged}/train.txt too" in output


def test_labels_in_another_order_start_from_their_own_parameters(checkpoint, sample_dataset, tmp_path):
    data = first_rows(sample_dataset, tmp_path / "data", train=100, dev=200)
    labels = (data / "label.txt").read_text().splitlines()
    (data / "label.txt").write_text("\n".join(labels[::-1]) + "\n")
    options = (*TINY, "--learning_rate", 1e-9, "--init_from_ckpt", checkpoint / "model_state.pdparams")
    done = train(data, tmp_path / "again", *options)
    assert done.returncode == 0, done.stderr
    scores = [read_checkpoint(folder).record.metrics["dev"]["micro_f1"] for folder in (checkpoint, tmp_path / "again")]
    assert scores[0] == pytest.approx(scores[1], abs=1e-3)


def test_tuned_thresholds_travel_to_the_bundle(sample_dataset, tmp_path):
    done = train(sample_dataset, tmp_path / "checkpoint", *TINY, "--learning_rate", 3e-3, "--thresholds", "global")
    assert done.returncode == 0, done.stderr
    record = read_checkpoint(tmp_path / "checkpoint").record
    export_model.main(["--params_path", str(tmp_path / "checkpoint"), "--output_path", str(tmp_path / "export")])
    manifest = Bundle(tmp_path / "export").manifest
    assert record.thresholds != (0.5,)
    each = record.thresholds if record.calibration else record.thresholds * len(manifest.labels)
    assert manifest.thresholds == pytest.approx(each) and manifest.calibration == record.calibration
    assert manifest.decoding == record.decoding
    assert manifest.metrics["dev"] == record.metrics["dev"]


def test_the_curves_are_drawn_and_logged(checkpoint):
    from visualdl import LogReader

    logs = checkpoint.with_name("checkpoint.logs")
    assert (logs / "curves.png").read_bytes().startswith(b"\x89PNG")
    (file,) = logs.glob("vdlrecords.*.log")
    logged = LogReader(file_path=str(file))
    steps = math.ceil(1500 / 32)
    assert [record.id for record in logged.get_data("scalar", "loss")][:4] == [5, 10, 15, 20]
    assert [record.id for record in logged.get_data("scalar", "micro_f1")][:2] == [steps, 2 * steps]


def test_one_dataset_is_asked_for(tmp_path):
    for options in ((), ("--dataset_dir", "data", "--dataset", "wos")):
        done = run_in_process(main, "--save_dir", tmp_path, *options)
        assert (done.returncode, "give either --dataset_dir" in done.stderr) == (2, True)


def test_batches_hold_every_row_once_and_little_padding():
    import numpy as np

    lengths = np.random.default_rng(3).integers(5, 128, 1000)
    batches = list(shuffled_batches(lengths, 16, np.random.default_rng(3)))
    assert sorted(row for batch in batches for row in batch) == list(range(1000))
    padded = sum(len(batch) * lengths[batch].max() for batch in batches)
    assert padded < 1.15 * lengths.sum()
    assert max(len(batch) for batch in batches) == 16


def run_demo(folder, *options, training):
    """The whole way, after a first try that was interrupted in the training; returns the last line."""
    interrupted = folder / "demo" / "checkpoint.resume"
    interrupted.mkdir(parents=True)
    (interrupted / "progress.json").write_text("{}")
    write_all_checksums(interrupted)
    places = ("--output_dir", folder / "demo", "--model_repository", folder / "model_repository")
    line = json.loads(run_command("demo.py", *places, *options, "--training", training).stdout.splitlines()[-1])
    assert line["consistent_share"] == 1.0
    assert line["triton_version"] == "2.51.0"
    assert 0.5 < line["micro_f1"] <= 1
    assert 0.9 < line["baseline_micro_f1"] < 0.99
    assert {"macro_f1", "seconds"} <= set(line)
    published = [each.live() for each in PlaceOptions(model_repository=folder / "model_repository").deployments()]
    assert [version and version.number for version in published] == [1, 1]
    return line


def test_the_demo_ends_with_one_line_of_json(sample_dataset, checkpoint, tmp_path):
    """On a dataset folder, from a checkpoint, so that a few rows are enough."""
    data = shutil.copytree(sample_dataset, tmp_path / "data")
    first_rows(sample_dataset, tmp_path / "few", train=100, dev=1)
    shutil.copyfile(tmp_path / "few" / "train.txt", data / "few.txt")
    start = f"--init_from_ckpt {checkpoint / 'model_state.pdparams'} --train_file few.txt"
    training = f"--model_name scratch-tiny --epochs 1 --learning_rate 1e-5 {start}"
    assert run_demo(tmp_path, "--dataset_dir", data, training=training)["texts"] == 200


def test_the_demo_leaves_what_is_served_as_it_is(bundle_path, tmp_path):
    repository = tmp_path / "model_repository"
    publish(PublishOptions(bundle=bundle_path, model_repository=repository, only="triton"))
    said = demo.offer(tmp_path / "export", repository, tmp_path / "demo" / "model_repository")
    assert f"`make serve MODEL_REPOSITORY={tmp_path / 'demo' / 'model_repository'}` serves the demo's" in said
    assert [version.number for version in PlaceOptions(model_repository=repository).triton().versions()] == [1]


@pytest.mark.slow
def test_the_demo_makes_a_sample_where_no_dataset_is_given(tmp_path):
    training = "--model_name scratch-tiny --epochs 2 --learning_rate 2e-3"
    assert run_demo(tmp_path, training=training)["texts"] == 500
