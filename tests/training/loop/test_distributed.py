"""Two processes on a CPU, started as the documentation says."""

import pytest

from tests.conftest import first_rows, run_command
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
