"""Two processes on a CPU, started as the documentation says: on one machine, or as if on two."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from serving.process.ports import free_ports
from tests.conftest import ENVIRONMENT, PROJECT, first_rows, run_command
from training.checkpoint.files import read_checkpoint


@pytest.mark.slow  # in small: test_two_processes_prune_as_one_does
def test_two_processes_train_as_one_does(sample_dataset, checkpoint, tmp_path):
    """The session's checkpoint again: each process takes half of each batch."""
    launch = ("-m", "paddle.distributed.launch", "--nproc_per_node=2", "--backend=gloo", "--log_dir", tmp_path / "logs")
    train = ("training/train.py", "--dataset_dir", sample_dataset, "--save_dir", tmp_path / "checkpoint")
    options = ("--device", "cpu", "--model_name", "scratch-tiny", "--learning_rate", 2e-3, "--epochs", 6)
    output = run_command(*launch, *train, *options, "--batch_size", 16).stdout
    together, alone = (read_checkpoint(path).record.metrics["dev"] for path in (tmp_path / "checkpoint", checkpoint))
    assert together["texts"] == alone["texts"] == 200
    assert together["micro_f1"] == pytest.approx(alone["micro_f1"], abs=0.04)
    assert output.count("kept in") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint", "checkpoint.logs", "logs"]


@pytest.mark.slow
def test_a_loss_that_is_no_number_stops_all_processes(sample_dataset, tmp_path):
    """With fewer dev rows than processes, and a frozen layer that no gradient reaches."""
    data = first_rows(sample_dataset, tmp_path / "data", train=200, dev=1)
    launch = ("-m", "paddle.distributed.launch", "--nproc_per_node=2", "--backend=gloo", "--log_dir", tmp_path / "logs")
    train = ("training/train.py", "--dataset_dir", data, "--save_dir", tmp_path / "checkpoint")
    options = ("--device", "cpu", "--model_name", "scratch-tiny", "--freeze_layers", 1, "--epochs", 4)
    done = run_command(*launch, *train, *options, "--batch_size", 50, "--learning_rate", 1e9, check=False)
    assert done.returncode != 0
    for rank in (0, 1):
        log = (tmp_path / "logs" / f"workerlog.{rank}").read_text()
        assert "error: the loss is nan at epoch" in log or "error: the parameters are no longer finite" in log
    assert not (tmp_path / "checkpoint.resume").exists()


class Machines:
    """Two launchers, each with one process, that know each other by an address on loopback."""

    def __init__(self, folder, *common):
        self._folder, self._common = folder, [*map(str, common)]
        self._address = f"127.0.0.1:{free_ports(1)[0]}"

    def start(self, *options):
        """Both; `options` of each are further ones of train.py."""
        self.launchers = [self._start(rank, own) for rank, own in enumerate(options)]

    def _start(self, rank, own):
        launch = ["-m", "paddle.distributed.launch", "--master", self._address, "--nnodes", "2", "--rank", str(rank)]
        launch += ["--nproc_per_node=1", "--backend=gloo", "--log_dir", str(self._folder / f"logs{rank}")]
        train = ["training/train.py", "--device", "cpu", "--model_name", "scratch-tiny", "--linear", "never"]
        with open(self._folder / f"printed{rank}", "w") as printed:
            command = [sys.executable, *launch, *train, *self._common, *map(str, own)]
            return subprocess.Popen(
                command, cwd=PROJECT, env=ENVIRONMENT, stdout=printed, stderr=printed, start_new_session=True
            )

    def printed(self, rank):
        return (self._folder / f"printed{rank}").read_text()

    def kill(self, rank, way=signal.SIGKILL):
        """A machine at once: the launcher and its process."""
        if self.launchers[rank].poll() is None:
            launcher = self.launchers[rank].pid
            for process in Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split():
                os.kill(int(process), way)
            os.kill(launcher, way)

    def ended(self):
        """The exit status of both launchers."""
        return [launcher.wait(600) for launcher in self.launchers]


@pytest.fixture
def machines(sample_dataset, tmp_path):
    data = first_rows(sample_dataset, tmp_path / "data", train=200, dev=50)
    made = Machines(tmp_path, "--dataset_dir", data, "--batch_size", 20)
    yield made
    for rank in (0, 1):
        made.kill(rank)


@pytest.mark.slow
@pytest.mark.parametrize("way", [signal.SIGKILL, signal.SIGSTOP])
def test_a_machine_that_is_lost_is_told_and_the_run_goes_on(machines, tmp_path, way):
    options = ("--save_dir", tmp_path / "checkpoint", "--epochs", 12)
    machines.start(options, options)
    deadline = time.monotonic() + 300
    while "epoch 2/12" not in machines.printed(0):
        assert time.monotonic() < deadline, machines.printed(0)
        time.sleep(0.2)
    machines.kill(1, way)
    assert machines.launchers[0].wait(200) != 0
    assert "; start all of them again, with --resume" in machines.printed(0)
    machines.kill(1)
    machines.start((*options, "--resume"), (*options, "--resume"))
    assert machines.ended() == [0, 0]
    assert "resumed at step" in machines.printed(0)
    assert "epoch 12/12" in machines.printed(0)
    assert read_checkpoint(tmp_path / "checkpoint").record.metrics["dev"]["texts"] == 50


@pytest.mark.slow
def test_machines_that_do_not_share_the_folder_or_the_options_are_told(machines, tmp_path):
    machines.start(("--save_dir", tmp_path / "own0"), ("--save_dir", tmp_path / "own1"))
    assert machines.ended() == [2, 2]
    assert "error: process 1 does not see" in machines.printed(0)
    options = ("--save_dir", tmp_path / "checkpoint")
    machines.start((*options, "--epochs", 2), (*options, "--epochs", 3))
    assert machines.ended() == [2, 2]
    for rank in (0, 1):
        assert "error: process 1 has another --epochs than process 0, 3 instead of 2" in machines.printed(rank)
    assert not (tmp_path / "checkpoint").exists()
