"""The clients' servers that do as they are told."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from serving.triton.server.launcher import TritonServer
from tests.clients.stand_in import stand_in_server


@pytest.fixture(scope="session")
def other_stand_in(tmp_path_factory) -> Iterator[TritonServer]:
    with stand_in_server(tmp_path_factory.mktemp("other_stand_in")) as server:
        yield server


@pytest.fixture(scope="session")
def stand_in(tmp_path_factory) -> Iterator[TritonServer]:
    with stand_in_server(tmp_path_factory.mktemp("stand_in")) as server:
        yield server
