import sys

import pytest

from tests.prediction import use_stand_in, write_texts_to


@pytest.fixture
def stand_in(monkeypatch):
    """A classifier at no cost, and chunks of three rows, for what is about files rather than models."""
    use_stand_in(monkeypatch)


@pytest.fixture
def folder(tmp_path):
    """A dataset folder with texts alone."""
    return write_texts_to(tmp_path)


@pytest.fixture
def command(bundle_path, sample_dataset):
    """The words of a command that predicts with the bundle."""
    options = ("--device", "cpu", "--dataset_dir", sample_dataset, "--params_path", bundle_path)
    return list(map(str, (sys.executable, "training/predict.py", *options)))
