"""The model repository of the launcher's tests."""

import pytest

from tests.serving.tiny_model import SLEEPY_ECHO, write_model


@pytest.fixture
def repository(tmp_path):
    return write_model(tmp_path / "repository", "echo", SLEEPY_ECHO)
