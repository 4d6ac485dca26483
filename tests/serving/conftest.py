"""Bundles to publish, and the model repository of the launcher's tests."""

from pathlib import Path

import pytest

from pipeline.files.bundle import Bundle
from tests.conftest import first_rows
from tests.processes import made_once
from tests.serving.bundles import top_level_bundle
from tests.serving.tiny_model import SLEEPY_ECHO, write_model


@pytest.fixture
def repository(tmp_path):
    return write_model(tmp_path / "repository", "echo", SLEEPY_ECHO)


@pytest.fixture(scope="session")
def bundle(bundle_path):
    return Bundle(bundle_path)


@pytest.fixture(scope="session")
def other(bundle, tmp_path_factory):
    """A bundle of another identity, which answers with the top labels alone."""
    return top_level_bundle(bundle, tmp_path_factory.mktemp("other") / "bundle")


@pytest.fixture(scope="session")
def linear(sample_dataset, tmp_path_factory) -> Bundle:
    """A linear model's bundle."""

    def make(folder: Path) -> None:
        from training.export_model import ExportOptions, export
        from training.loop.options import TrainingRun
        from training.train import train

        few = first_rows(sample_dataset, folder / "data", 600, 150)
        checkpoint = train(TrainingRun(dataset_dir=few, model_name="linear", save_dir=folder / "checkpoint"))
        export(ExportOptions(params_path=checkpoint.path, output_path=folder / "export"))

    return Bundle(made_once(tmp_path_factory, "linear", make) / "export")
