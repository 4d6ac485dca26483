"""Bundles to publish, and the model repository of the launcher's tests."""

import pytest

from pipeline.files.bundle import Bundle
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
