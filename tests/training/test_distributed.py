"""Two processes on a CPU, started as the documentation says."""

from tests.conftest import run_command
from training.checkpoint import read_checkpoint

OPTIONS = ("--device", "cpu", "--model_name", "scratch-tiny", "--learning_rate", 4e-3, "--epochs", 5)


def test_two_processes_train_one_model(sample_dataset, checkpoint, tmp_path):
    launch = ("-m", "paddle.distributed.launch", "--nproc_per_node=2", "--backend=gloo", "--log_dir", tmp_path / "logs")
    train = ("training/train.py", "--dataset_dir", sample_dataset, "--save_dir", tmp_path / "checkpoint", *OPTIONS)
    output = run_command(*launch, *train).stdout
    together, alone = (read_checkpoint(path).record.metrics["dev"] for path in (tmp_path / "checkpoint", checkpoint))
    assert together["texts"] == alone["texts"] == 200
    # As many steps of twice the texts, with twice the learning rate, as the session's checkpoint had in half its time.
    assert together["micro_f1"] > 0.6
    assert output.count("kept in") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint", "checkpoint.logs", "logs"]
