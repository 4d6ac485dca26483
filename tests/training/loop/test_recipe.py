"""What training chooses by itself: from the rows, their length and the encoder, and never against what was given."""

import json

import numpy as np
import pytest
from safetensors.numpy import save_file

from pipeline.files.dataset import read_labels
from tests.conftest import first_rows, run_in_process
from training.checkpoint.files import read_checkpoint
from training.loop.options import CHOSEN, CHOSEN_BESIDE, TrainingRun
from training.loop.recipe import with_recipe
from training.train import main


def dataset(folder, rows, words):
    (folder / "label.txt").write_text("事件\n")
    (folder / "train.txt").write_text(f"{'字' * words}\t事件\n" * rows)
    return {"dataset_dir": folder}


def chosen(options):
    run, choices = with_recipe(options, read_labels(options.folder / "label.txt"), 1)
    told = [choice.option for choice in choices if choice.option in CHOSEN]
    assert told == [name for name in ORDER if name not in options.given(*CHOSEN)]
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


def without_pooler(folder, layers=12):
    """As `make e5` leaves it; only names are looked at."""
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"hidden_size": 384, "num_hidden_layers": layers}))
    save_file({"embeddings.word_embeddings.weight": np.zeros((2, 2), np.float32)}, folder / "model.safetensors")
    return str(folder)


def beside(options, on_cpu=True):
    run, choices = with_recipe(options, read_labels(options.folder / "label.txt"), 1, on_cpu)
    told = [choice.option for choice in choices if choice.option in CHOSEN_BESIDE]
    return {name: getattr(run, name) for name in CHOSEN_BESIDE}, told


def test_an_encoder_without_a_pooler_learns_in_its_upper_half_and_faster_in_the_classifier(tmp_path):
    name, data = without_pooler(tmp_path / "e5"), dataset(tmp_path, 10_000, 9)
    expected = {"batch_size": 32, "epochs": 3, "warmup": True, "warmup_steps": 94, "max_seq_length": 128}
    assert chosen(TrainingRun(**data, model_name=name)) == {**expected, "learning_rate": pytest.approx(5e-5)}
    expected = {"weight_decay": 0.01, "head_learning_rate": 1e-3, "freeze_layers": 6}
    assert beside(TrainingRun(**data, model_name=name)) == (expected, list(expected))
    assert beside(TrainingRun(**data, model_name=name), on_cpu=False)[0] == {**expected, "freeze_layers": None}
    given = {"weight_decay": 0.0, "head_learning_rate": 2e-3, "freeze_layers": 0}
    assert beside(TrainingRun(**data, model_name=name, **given)) == (given, [])
    one = without_pooler(tmp_path / "one", layers=1)
    assert beside(TrainingRun(**data, model_name=one))[0]["freeze_layers"] is None


def test_other_encoders_get_no_further_choices(tmp_path):
    nothing = ({"weight_decay": 0.0, "head_learning_rate": None, "freeze_layers": None}, [])
    data, name = dataset(tmp_path, 10, 9), without_pooler(tmp_path / "e5")
    for other in ("scratch-tiny", "ernie-3.0-medium-zh"):
        assert beside(TrainingRun(**data, model_name=other)) == nothing
    save_file({"bert.pooler.dense.bias": np.zeros(2, np.float32)}, tmp_path / "e5" / "model.safetensors")
    assert beside(TrainingRun(**data, model_name=name)) == nothing
    (tmp_path / "e5" / "model.safetensors").write_bytes(b"no such format")
    assert beside(TrainingRun(**data, model_name=name)) == nothing
    config = {"hidden_size": 384, "num_hidden_layers": 12, "pooling": "mean"}  # a checkpoint that began so
    (tmp_path / "e5" / "config.json").write_text(json.dumps(config))
    assert beside(TrainingRun(**data, model_name=name))[1] == list(CHOSEN_BESIDE)


def test_a_warm_up_that_was_refused_is_not_chosen(tmp_path):
    options = TrainingRun(**dataset(tmp_path, 10, 9), recipe="auto", warmup=False)
    run, choices = with_recipe(options, read_labels(tmp_path / "label.txt"), 1)
    assert run.warmup is False and run.rising_steps == 0
    assert not {"warmup", "warmup_steps"} & {choice.option for choice in choices}


def test_the_width_of_a_named_encoder_and_of_an_older_folder_is_known(tmp_path):
    found = chosen(TrainingRun(**dataset(tmp_path, 100, 9), model_name="ernie-3.0-mini-zh"))
    assert found["learning_rate"] == pytest.approx(1.2e-4)
    (tmp_path / "model_config.json").write_text(json.dumps({"init_args": [{"hidden_size": 384}], "num_classes": 2}))
    assert chosen(TrainingRun(**dataset(tmp_path, 100, 9), model_name=str(tmp_path))) == found


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


def test_runs_without_spaces_are_no_single_words(tmp_path):
    (tmp_path / "label.txt").write_text("ข่าว\n")
    (tmp_path / "train.txt").write_text(f"{'สวัสดีครับ' * 60}\tข่าว\n" * 10)
    assert chosen(TrainingRun(dataset_dir=tmp_path, model_name="scratch-tiny"))["max_seq_length"] == 256
