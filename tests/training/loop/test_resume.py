"""Long runs are interrupted: by a kill, a full disk, a loss that is no number. Nothing good is lost."""

import contextlib
import errno
import hashlib
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import paddle
import pytest

import training.loop.interruptible
import training.loop.run
import training.loop.trainer
from pipeline.errors import BundleError, ClassifierError, EnvironmentFault, InputError
from tests.conftest import ENVIRONMENT, PROJECT, first_rows
from training.checkpoint.files import read_checkpoint
from training.loop.interruptible import alone, keep_previous
from training.loop.trainer import Trainer
from training.train import main

OPTIONS = (
    "--device",
    "cpu",
    "--model_name",
    "scratch-tiny",
    "--learning_rate",
    "2e-3",
    "--batch_size",
    "8",
    "--epochs",
    "2",
)
LONG = (*OPTIONS, "--token_dropout", "0.1", "--save_steps", "4", "--logging_steps", "1", "--thresholds", "global")


@pytest.fixture(scope="module")
def small_dataset(sample_dataset, tmp_path_factory) -> Path:
    """The sample's first rows: two epochs of twelve steps."""
    return first_rows(sample_dataset, tmp_path_factory.mktemp("small") / "data", train=95, dev=30)


def run(dataset, save_dir, *options):
    """Train in this process."""
    main(["--dataset_dir", str(dataset), "--save_dir", str(save_dir), *map(str, options)])


@pytest.fixture(scope="module")
def trained(small_dataset, tmp_path_factory) -> Path:
    """What a run with OPTIONS that nothing interrupts leaves behind."""
    folder = tmp_path_factory.mktemp("uninterrupted") / "checkpoint"
    run(small_dataset, folder, *OPTIONS)
    return folder


def parameters(checkpoint):
    """A checksum of the values alone: the file also holds names that count the layers made in a process."""
    state = paddle.load(str(checkpoint / "model_state.pdparams"))
    return hashlib.sha256(b"".join(np.asarray(state[name]).tobytes() for name in sorted(state))).hexdigest()


def killed_after(steps, dataset, save_dir):
    """Train in another process and kill it a moment after so many more steps."""
    words = [sys.executable, "-u", "training/train.py", "--dataset_dir", dataset, "--save_dir", save_dir, *LONG]
    with subprocess.Popen(
        [*words, "--resume"], cwd=PROJECT, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        while steps:
            line = process.stdout.readline()
            assert line, "the run ended before it was killed"
            steps -= line.startswith("global step")
        time.sleep(MOMENTS.uniform(0, 0.1))
        process.kill()


MOMENTS = random.Random(3)


@pytest.mark.parametrize("kills", [(7,), pytest.param((3, 7, 9), marks=pytest.mark.slow)])
def test_a_run_that_is_killed_ends_with_the_same_parameters(small_dataset, tmp_path, kills):
    run(small_dataset, tmp_path / "whole", *LONG)
    for steps in kills:
        killed_after(steps, small_dataset, tmp_path / "killed")
        assert (tmp_path / "killed.resume").exists()
    run(small_dataset, tmp_path / "killed", *LONG, "--resume")
    assert parameters(tmp_path / "killed") == parameters(tmp_path / "whole")
    records = [read_checkpoint(tmp_path / name).record for name in ("killed", "whole")]
    assert records[0].metrics == records[1].metrics
    assert sorted(path.name for path in tmp_path.iterdir()) == ["killed", "killed.logs", "whole", "whole.logs"]


def interrupt_after(steps, dataset, save_dir, monkeypatch, *options):
    """Train until so many steps are done, then stop as Ctrl-C does."""
    step = Trainer.step

    def stopping(trainer, batches):
        if trainer.progress.step == steps:
            raise KeyboardInterrupt
        return step(trainer, batches)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Trainer, "step", stopping)
        run(dataset, save_dir, *options)


def test_every_loss_and_setting_resumes_to_the_same_parameters(small_dataset, tmp_path, monkeypatch):
    options = (*LONG, "--loss", "zlpr", "--hierarchy_weight", 0.5, "--weight_decay", 0.01, "--warmup")
    options = (*options, "--warmup_steps", 6, "--freeze_layers", 1, "--early_stop", "--average_weights", 0.9)
    options = (*options, "--head_learning_rate", 5e-3)
    run(small_dataset, tmp_path / "whole", *options)
    for steps in (3, 9, 15):  # before the first saving; in the first epoch; in the second
        interrupt_after(steps, small_dataset, tmp_path / "stopped", monkeypatch, *options, "--resume")
    run(small_dataset, tmp_path / "stopped", *options, "--resume")
    assert parameters(tmp_path / "stopped") == parameters(tmp_path / "whole")


@pytest.mark.parametrize(
    ("owner", "name", "calls"),
    [
        (training.loop.run, "write_checkpoint", 1),  # the first best model
        (training.loop.trainer, "write_state", 3),  # the state after the first epoch
        (training.loop.interruptible, "remove_folder", 1),  # when all is done
    ],
)
@pytest.mark.parametrize("after", [False, True])
def test_no_moment_between_two_writings_is_a_bad_one(
    small_dataset, trained, tmp_path, monkeypatch, owner, name, calls, after
):
    options = (*OPTIONS, "--save_steps", 8)
    original, done = getattr(owner, name), []

    def interrupted(*arguments, **options):
        done.append(name)
        if len(done) == calls and not after:
            raise KeyboardInterrupt
        result = original(*arguments, **options)
        if len(done) == calls:
            raise KeyboardInterrupt
        return result

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(owner, name, interrupted)
        run(small_dataset, tmp_path / "stopped", *options)
    finished = not (tmp_path / "stopped.resume").exists()
    assert finished == (name == "remove_folder" and after)
    if not finished:
        run(small_dataset, tmp_path / "stopped", *options, "--resume")
    assert parameters(tmp_path / "stopped") == parameters(trained)


def test_only_the_same_run_resumes(small_dataset, tmp_path, monkeypatch):
    save_dir = tmp_path / "checkpoint"
    interrupt_after(9, small_dataset, save_dir, monkeypatch, *LONG)
    with pytest.raises(
        InputError, match="is of a run that was interrupted: go on with --resume, or begin anew with --overwrite"
    ):
        run(small_dataset, save_dir, *LONG)
    with pytest.raises(
        InputError, match=r"is of a run with --learning_rate 0.002, not 0.001; resume with --learning_rate 0.002,"
    ):
        run(small_dataset, save_dir, *LONG, "--learning_rate", "1e-3", "--resume")
    state = tmp_path / "checkpoint.resume" / "progress.json"
    state.write_text(state.read_text().replace('"step": 8', '"step": 9'))
    with pytest.raises(
        BundleError, match=r"progress\.json is damaged: its checksum differs.* begin anew with --overwrite"
    ):
        run(small_dataset, save_dir, *LONG, "--resume")
    run(small_dataset, save_dir, *OPTIONS, "--epochs", 1, "--overwrite")
    assert not state.parent.exists()
    with pytest.raises(InputError, match="there is nothing to resume: .* is the checkpoint of a run that has ended"):
        run(small_dataset, save_dir, *LONG, "--resume")
    before, previous = parameters(save_dir), tmp_path / "checkpoint.previous"
    assert not previous.exists()
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "link").symlink_to(save_dir)
    run(small_dataset, tmp_path / "links" / "link", *OPTIONS, "--epochs", 1, "--seed", 7)
    assert parameters(previous) == before != parameters(save_dir)
    assert os.listdir(tmp_path / "links") == ["link"]


def test_a_model_is_kept_where_a_file_system_knows_no_links(checkpoint, tmp_path, monkeypatch):
    def no_links(*_):
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    shutil.copytree(checkpoint, tmp_path / "model")
    monkeypatch.setattr(os, "link", no_links)
    keep_previous(tmp_path / "model")
    assert parameters(tmp_path / "model.previous") == parameters(checkpoint)
    (tmp_path / "model.previous").rename(tmp_path / "archive")
    (tmp_path / "model.previous").symlink_to("archive")
    with pytest.raises(InputError, match=r"model\.previous is a link, and the model that .* is to be kept there"):
        keep_previous(tmp_path / "model")


def test_two_runs_do_not_write_to_one_place(small_dataset, tmp_path):
    with alone(tmp_path / "checkpoint.logs"), pytest.raises(InputError, match="another run is writing to"):
        run(small_dataset, tmp_path / "checkpoint", *OPTIONS)


def test_a_start_that_is_never_bettered_is_kept(small_dataset, checkpoint, tmp_path):
    """--init_from_ckpt with its own folder for --save_dir: what was there stays unless something better is found."""
    save_dir, before = shutil.copytree(checkpoint, tmp_path / "checkpoint"), parameters(checkpoint)
    spoiling = ("--learning_rate", 5, "--epochs", 1, "--init_from_ckpt", save_dir / "model_state.pdparams")
    run(small_dataset, save_dir, *OPTIONS, *spoiling)
    assert parameters(save_dir) == before


def test_a_loss_that_is_no_number_keeps_the_best_model(small_dataset, tmp_path, monkeypatch):
    create, calls = training.loop.trainer.create_loss, []

    def diverging(*arguments):
        loss = create(*arguments)
        return lambda *tensors: loss(*tensors) * (1 if calls.append(1) or len(calls) <= 14 else float("nan"))

    monkeypatch.setattr(training.loop.trainer, "create_loss", diverging)
    with pytest.raises(ClassifierError, match=r"nan at epoch 2, step 3, on the batch of lines \d+, .* is kept"):
        run(small_dataset, tmp_path / "checkpoint", *OPTIONS)
    assert read_checkpoint(tmp_path / "checkpoint").record.metrics["dev"]["texts"] == 30
    assert not (tmp_path / "checkpoint.resume").exists()


def test_parameters_that_overflow_are_not_written(small_dataset, tmp_path, monkeypatch):
    step = Trainer.step

    def overflowing(trainer, batches):
        loss = step(trainer, batches)
        if trainer.progress.step == 12:
            trainer.model.classifier.bias.set_value(np.full(trainer.model.classifier.bias.shape, np.inf, np.float32))
        return loss

    monkeypatch.setattr(Trainer, "step", overflowing)
    with pytest.raises(ClassifierError, match="the parameters are no longer finite after step 12; lower --learning"):
        run(small_dataset, tmp_path / "checkpoint", *OPTIONS)
    assert not (tmp_path / "checkpoint").exists()


@pytest.fixture
def small_disk(tmp_path):
    """A file system of a few megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", folder]
    mounted = subprocess.run(mount, capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("only root can mount a small file system")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_disk_leaves_the_last_good_checkpoint(small_dataset, trained, small_disk):
    save_dir, before = shutil.copytree(trained, small_disk / "checkpoint"), parameters(trained)
    with contextlib.suppress(OSError), open(small_disk / "rest", "wb", buffering=0) as rest:
        while rest.write(bytes(1 << 16)):
            pass
    with pytest.raises(EnvironmentFault, match=r"No space left on device.*are whole: mend the cause"):
        run(small_dataset, save_dir, *OPTIONS)
    assert parameters(save_dir) == before
    read_checkpoint(save_dir)


def test_a_start_that_was_interrupted_while_it_was_judged_still_competes(
    small_dataset, checkpoint, tmp_path, monkeypatch
):
    save_dir, before = shutil.copytree(checkpoint, tmp_path / "checkpoint"), parameters(checkpoint)
    spoiling = ("--learning_rate", 5, "--epochs", 1, "--init_from_ckpt", save_dir / "model_state.pdparams")

    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(training.loop.run, "write_checkpoint", interrupted)
        run(small_dataset, save_dir, *OPTIONS, *spoiling)
    run(small_dataset, save_dir, *OPTIONS, *spoiling, "--resume")
    assert parameters(save_dir) == before
