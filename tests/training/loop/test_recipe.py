"""What training chooses by itself: from the rows, their length and the encoder, and never against what was given."""

import json

import pytest

from pipeline.files.dataset import read_labels
from tests.conftest import first_rows, run_in_process
from training.checkpoint.files import read_checkpoint
from training.loop.options import CHOSEN, TrainingRun
from training.loop.recipe import with_recipe
from training.train import main


def dataset(folder, rows, words):
    (folder / "label.txt").write_text("事件\n")
    (folder / "train.txt").write_text(f"{'字' * words}\t事件\n" * rows)
    return {"dataset_dir": folder}


def chosen(options):
    run, choices = with_recipe(options, read_labels(options.folder / "label.txt"), 1)
    assert [choice.option for choice in choices] == [name for name in ORDER if name not in options.given(*CHOSEN)]
    return {name: getattr(run, name) for name in CHOSEN}


ORDER = ("batch_size", "epochs", "learning_rate", "warmup", "warmup_steps", "max_seq_length")


def test_few_rows_are_read_more_often_in_smaller_batches(tmp_path):
    expected = {"batch_size": 16, "epochs": 20, "learning_rate": 2e-3, "warmup": True, "warmup_steps": 126}
    data = dataset(tmp_path, 1000, 9)
    assert chosen(TrainingRun(**data, model_name="scratch-tiny")) == {**expected, "max_seq_length": 128}


def test_many_rows_take_the_least_epochs(tmp_path):
    expected = {"batch_size": 32, "epochs": 8, "learning_rate": 1e-3, "warmup": True, "warmup_steps": 150}
    data = dataset(tmp_path, 6000, 200)
    assert chosen(TrainingRun(**data, model_name="scratch-small")) == {**expected, "max_seq_length": 256}


def test_a_pretrained_encoder_takes_small_steps(tmp_path):
    expected = {"batch_size": 32, "epochs": 10, "learning_rate": 3e-5, "warmup": True, "warmup_steps": 188}
    assert chosen(TrainingRun(**dataset(tmp_path, 6000, 9))) == {**expected, "max_seq_length": 128}


def test_a_folder_tells_how_wide_its_encoder_is_and_how_much_it_reads(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"hidden_size": 384, "max_position_embeddings": 100}))
    found = chosen(TrainingRun(**dataset(tmp_path, 100, 9), model_name=str(tmp_path)))
    assert (found["learning_rate"], found["max_seq_length"]) == (pytest.approx(1.2e-4), 100)


@pytest.mark.parametrize("given", [{"epochs": 10}, {"learning_rate": 3e-5}, {"warmup": True}, {"recipe": "original"}])
def test_whoever_gives_one_of_them_gets_the_defaults_of_the_others(tmp_path, given):
    options = TrainingRun(**dataset(tmp_path, 10, 9), **given)
    assert with_recipe(options, read_labels(tmp_path / "label.txt"), 1) == (options, [])


def test_what_is_given_stays_beside_the_recipe(tmp_path):
    options = TrainingRun(
        **dataset(tmp_path, 10, 9), model_name="scratch-tiny", recipe="auto", epochs=10, batch_size=32
    )
    found = chosen(options)
    assert (found["epochs"], found["batch_size"], found["warmup_steps"]) == (10, 32, 1)


def test_choices_are_told_and_recorded(sample_dataset, tmp_path):
    data = first_rows(sample_dataset, tmp_path / "data", train=60, dev=20)
    options = ("--device", "cpu", "--model_name", "scratch-tiny", "--recipe", "auto", "--epochs", 1)
    done = run_in_process(main, "--dataset_dir", data, "--save_dir", tmp_path / "checkpoint", *options)
    assert done.returncode == 0, done.stderr
    assert "recipe: --learning_rate 0.002: an encoder that learns from nothing, 128 wide\n" in done.stdout
    record = read_checkpoint(tmp_path / "checkpoint").record.options
    assert (record["recipe"], record["epochs"], record["batch_size"], record["warmup_steps"]) == ("auto", 1, 16, 1)
