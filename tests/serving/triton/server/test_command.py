"""The launcher in the foreground, as `make serve` and `make stop` use it."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.errors import EnvironmentFault
from serving import stop
from serving.process.ports import Ports
from serving.process.record import ProcessRecord
from serving.triton import serve
from tests.conftest import PROJECT
from tests.serving.tiny_model import PATIENCE_SECONDS, eventually, traces


class Command:
    """`python -m serving.triton` in the foreground, waited for until it says that it is ready."""

    def __init__(self, repository: Path, state_dir: Path) -> None:
        self.ports, self.state_dir = Ports.free(), state_dir
        arguments = ["--model_repository", repository, "--state_dir", state_dir]
        for service in ("grpc", "http", "metrics"):
            arguments += [f"--{service}_port", getattr(self.ports, service)]
        # As at a terminal, even where the tests run in the background or under nohup, which ignore these signals.
        terminal = ["env", "--default-signal=INT,HUP"]
        self.process = subprocess.Popen(
            [*terminal, sys.executable, "-m", "serving.triton", *map(str, arguments)],
            cwd=PROJECT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.first_line = self.process.stdout.readline()
        self.prefix = json.loads((state_dir / f"triton-{self.ports.grpc}.process.json").read_text())[
            "shared_memory_prefix"
        ]

    def __enter__(self) -> Command:
        return self

    def __exit__(self, *exception: object) -> None:
        self.process.kill()
        self.process.communicate()
        stop.main(["--state_dir", str(self.state_dir)])


@pytest.fixture
def command(repository, tmp_path):
    with Command(repository, tmp_path / "run") as started:
        yield started


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_end_the_command_and_all_it_started(command, number):
    assert re.match(rf"Triton is ready after .* gRPC 127.0.0.1:{command.ports.grpc}, ", command.first_line)
    command.process.send_signal(number)
    rest, _ = command.process.communicate(timeout=PATIENCE_SECONDS)
    assert (rest, command.process.returncode) == ("Triton stopped\n", 0)
    assert traces(command.prefix) == []


def test_killed_command_leaves_no_server(command, capsys):
    assert traces(command.prefix)
    command.process.kill()
    assert eventually(lambda: traces(command.prefix) == [])
    stop.main(["--state_dir", str(command.state_dir)])
    assert "no server is running" in capsys.readouterr().out


def test_stop_from_elsewhere_and_twice(command, capsys):
    for expected in (f"stopped triton-{command.ports.grpc} ", "no server is running"):
        assert stop.main(["--state_dir", str(command.state_dir)]) == 0
        assert expected in capsys.readouterr().out
    rest, _ = command.process.communicate(timeout=PATIENCE_SECONDS)
    assert (rest, command.process.returncode) == ("Triton stopped\n", 0)
    assert traces(command.prefix) == []


def test_stop_spares_a_process_with_a_recycled_id(tmp_path, capsys):
    bystander = subprocess.Popen(["sleep", "60"])
    try:
        replace(ProcessRecord.of("triton-8001", bystander.pid, 1.0), identity="another start").write(tmp_path)
        assert stop.main(["--state_dir", str(tmp_path)]) == 0
        assert bystander.poll() is None
        assert "no server is running" in capsys.readouterr().out
        assert list(tmp_path.iterdir()) == []
        ProcessRecord.of("triton-8001", bystander.pid, 1.0).write(tmp_path)
        (tmp_path / "cut-short.process.json").write_text('{"name": "tri')
        for options in (["--dry_run"], []):
            with pytest.raises(EnvironmentFault, match=r"cut-short\.process\.json is damaged: whether its server runs"):
                stop.main([*options, "--state_dir", str(tmp_path)])
        assert [path.name for path in tmp_path.iterdir()] == ["cut-short.process.json"]
        bystander.wait(PATIENCE_SECONDS)
    finally:
        bystander.kill()
        bystander.wait()


def test_while_the_server_stops_no_interrupted_call_keeps_a_connection_open(monkeypatch, tmp_path):
    """Triton waits for open connections before it stops."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        class Server:
            def __init__(self, *arguments, **options):
                pass

            def __enter__(self):
                return self

            def __exit__(self, *exception):
                with listening.accept()[0] as connection:
                    connection.settimeout(10)
                    assert connection.recv(1) == b""

        def interrupted(server, options):
            connection = socket.create_connection(listening.getsockname())  # as in http.client, before it is kept
            raise KeyboardInterrupt(connection.fileno())

        monkeypatch.setattr(serve, "TritonServer", Server)
        monkeypatch.setattr(serve, "keep_answering", interrupted)
        handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
        try:
            serve.serve(serve.ServeOptions(state_dir=tmp_path))
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
