"""A port that another process has is named, along with how to choose another one."""

from __future__ import annotations

import os
import socket

import pytest

from pipeline.errors import EnvironmentFault
from serving.paddle.deployment import PaddleDeployment
from serving.paddle.options import PaddleOptions
from serving.paddle.server import PaddlePorts, PaddleServer
from serving.process.ports import LOOPBACK, Ports


@pytest.fixture
def taken():
    """A port that this process listens on."""
    with socket.create_server((LOOPBACK, 0)) as listener:
        yield listener.getsockname()[1]


@pytest.mark.parametrize("name", ["grpc", "http", "metrics"])
def test_each_port_of_triton_has_a_variable_of_make(name, taken):
    said = rf"{name} port {taken} on .* is taken by .*\b{os.getpid()}\b.*\({name.upper()}_PORT=, --{name}_port\)"
    with pytest.raises(EnvironmentFault, match=said):
        Ports(**{**vars(Ports.free()), name: taken}).require_free(LOOPBACK)


@pytest.mark.parametrize(("name", "variable"), [("rpc", "RPC_PORT"), ("http", "PADDLE_HTTP_PORT")])
def test_so_has_each_port_of_paddle_serving(name, variable, taken, python39, bundle, tmp_path):
    PaddleDeployment(tmp_path / "paddle").publish(bundle, PaddleOptions())
    ports = PaddlePorts(**{**vars(PaddlePorts.free()), name: taken})
    with pytest.raises(EnvironmentFault, match=rf"\({variable}=, --{name}_port\)"):
        PaddleServer(tmp_path / "paddle", ports, state_dir=tmp_path / "state").start()
