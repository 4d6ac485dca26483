"""One command speaks of both servers: publish, versions, rollback, health and stop, with a real server of each kind."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from clients import chosen, http_client
from clients import triton as triton_client
from clients.http_client import HttpClient
from clients.triton import TritonClient
from pipeline.errors import EnvironmentFault, InputError
from pipeline.files.bundle import Bundle
from serving import health, publish, rollback, stop, versions
from serving.paddle.deployment import PaddleDeployment
from serving.paddle.environment import serving_python
from serving.paddle.server import PaddlePorts
from serving.process.ports import Ports
from serving.process.record import ProcessRecord
from serving.triton.deployment import TritonDeployment
from serving.triton.repository import ModelRepository
from tests.conftest import ENVIRONMENT, PROJECT, run_in_process
from tests.serving.bundles import renamed_bundle, subword_bundle
from tests.serving.tiny_model import eventually


class Both:
    """`python -m serving.triton` and `python -m serving.paddle` over one publication, and how to ask them."""

    def __init__(self, folder: Path) -> None:
        self.repository, self.paddle_folder = folder / "repository", folder / "repository.paddle"
        self.places = ("--model_repository", self.repository, "--state_dir", folder / "state")
        self.triton, self.paddle = Ports.free(), PaddlePorts.free()
        self.processes: list[subprocess.Popen[str]] = []
        self.reports = folder / "reports"

    def start(self) -> None:
        ports = [
            word for name in ("grpc", "http", "metrics") for word in (f"--{name}_port", getattr(self.triton, name))
        ]
        state = ("--state_dir", self.places[3], "--check_seconds", 0.5)
        self._start("serving.triton", "--model_repository", self.repository, *ports, *state)
        ports = [f"--rpc_port={self.paddle.rpc}", f"--http_port={self.paddle.http}"]
        self._start("serving.paddle", "--folder", self.paddle_folder, *ports, *state)
        for process in self.processes:
            assert "is ready after" in process.stdout.readline()

    def _start(self, *words: object) -> None:
        command = [sys.executable, "-m", *map(str, words)]
        with self.reports.open("a") as reports:
            pipes = {"stdout": subprocess.PIPE, "stderr": reports}
            self.processes.append(subprocess.Popen(command, cwd=PROJECT, env=ENVIRONMENT, text=True, **pipes))

    def run(self, command, *words: object) -> str:
        """What a command prints."""
        done = run_in_process(command.main, *words, *self.places)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def refusal(self, command, *words: object) -> str:
        """What a command that fails says."""
        done = run_in_process(command.main, *words, *self.places)
        assert done.returncode != 0, done.stdout
        return done.stderr

    def tells(self, bundle: Bundle, number: int) -> bool:
        """Whether both servers' commands say that they have changed over."""
        said = f"now answering with version {number}, bundle {bundle.identity}, model "
        wanted = {f"Triton: {said}", f"Paddle Serving: {said}"}
        return eventually(lambda: all(any(line.startswith(each) for line in self.told()) for each in wanted))

    def live(self, bundle: Bundle) -> str:
        """What says that both answer by a bundle."""
        version = TritonDeployment(ModelRepository(self.repository)).require_live()
        assert version.bundle == bundle.identity
        return f"version {version.number}, bundle {bundle.identity}"

    def told(self) -> list[str]:
        return self.reports.read_text().splitlines()

    def from_triton(self, texts: list[str]) -> list[dict[str, float]]:
        with TritonClient(f"127.0.0.1:{self.triton.grpc}") as client:
            return [dict(answer) for answer in client.classify(texts)]

    def from_paddle(self, texts: list[str]) -> list[dict[str, float]]:
        with HttpClient(f"127.0.0.1:{self.paddle.http}", retries=100) as client:
            return [dict(answer) for answer in client.classify(texts)]

    def answer_by(self, bundle: Bundle) -> bool:
        """Whether both answer by a bundle, after Paddle Serving has had the time to change over."""
        texts = [golden.text for golden in bundle.manifest.goldens]
        wanted = [set(golden.labels) for golden in bundle.manifest.goldens]
        return [set(each) for each in self.from_triton(texts)] == wanted and eventually(
            lambda: [set(each) for each in self.from_paddle(texts)] == wanted
        )


@pytest.fixture(scope="module")
def both(bundle, tmp_path_factory):
    """Both servers, which serve version 1."""
    try:
        serving_python()
    except EnvironmentFault as fault:
        pytest.skip(f"Paddle Serving: {fault}")
    both = Both(tmp_path_factory.mktemp("both"))
    both.run(publish, "--bundle", bundle.path)
    try:
        both.start()
        yield both
    finally:
        for process in both.processes:
            process.kill()
            process.communicate()


def test_one_publication_changes_both_over_and_one_rollback_back(both, bundle, other):
    lines = both.run(publish, "--bundle", other.path).splitlines()
    assert lines == [
        f"Triton: published bundle {other.identity} to {both.repository} as version 2 (onnxruntime, float32); "
        "live in 1 running server",
        f"Paddle Serving: published bundle {other.identity} to {both.paddle_folder} as version 2 (paddle, float32); "
        "1 running service changes over to it",
        f"decoding: {other.decoder().in_words()}",
    ]
    assert both.answer_by(other)
    texts = ["某公司宣布裁员两千人", *(golden.text for golden in bundle.manifest.goldens)]
    for one, another in zip(both.from_triton(texts), both.from_paddle(texts), strict=True):
        assert one == pytest.approx(another, abs=1e-3)

    listed = both.run(versions).splitlines()
    assert [line.split()[0] for line in listed if line.split()[1] == "live"] == ["2", "2"]
    for port in (both.triton.http, both.paddle.http):
        said = f"      server 127.0.0.1:{port} has loaded: 2; answers by version 2, bundle {other.identity}"
        assert said in listed
    assert both.tells(other, 2)

    back = both.run(rollback).splitlines()
    assert f"Triton: version 1 (bundle {bundle.identity}) is live now; live in 1 running server" in back
    assert f"Paddle Serving: version 1 (bundle {bundle.identity}) is live now; 1 running service changes" in back[1]
    assert both.answer_by(bundle)
    assert both.tells(bundle, 1)
    said = both.run(health)
    assert said.count("answers, started from here, as ") == 2
    assert f"Triton at 127.0.0.1:{both.triton.http}: version 1 (bundle {bundle.identity}) answers" in said
    assert f"Paddle Serving at 127.0.0.1:{both.paddle.http}: version 1 (bundle {bundle.identity}) answers" in said


def test_what_paddle_serving_cannot_serve_is_live_in_neither(both, bundle, tmp_path):
    before = both.run(versions)
    without_paddle_graph = renamed_bundle(bundle, tmp_path / "bundle", "新")
    said = both.refusal(publish, "--bundle", without_paddle_graph.path)
    assert "error: Paddle Serving: " in said
    assert "holds no float32.pdmodel" in said
    assert "nothing has changed in either server, --only triton leaves this one out" in said
    assert both.run(versions) == before
    assert both.answer_by(bundle)


def test_a_switch_that_fails_in_the_second_is_taken_back_in_the_first(both, bundle, other, monkeypatch):
    before, switch = both.run(versions), PaddleDeployment.make_live
    at_triton = []

    def full_disk(self, version):
        if version.bundle == other.identity:
            at_triton.append([set(each) for each in both.from_triton([other.manifest.goldens[0].text])])
            raise OSError(28, "No space left on device")
        switch(self, version)

    monkeypatch.setattr(PaddleDeployment, "make_live", full_disk)
    said = both.refusal(publish, "--bundle", other.path)
    assert "error: Paddle Serving: [Errno 28] No space left on device; nothing has changed" in said
    assert at_triton == [[set(other.manifest.goldens[0].labels)]]  # it had changed over already
    assert both.run(versions) == before
    assert both.answer_by(bundle)


@pytest.fixture
def dead_proxies(monkeypatch):
    for name in ("http_proxy", "https_proxy", "grpc_proxy", "ALL_PROXY"):
        for spelt in (name, name.upper()):
            monkeypatch.setenv(spelt, "http://127.0.0.1:9")


def test_commands_ask_what_was_started_here_whatever_proxies_there_are(both, bundle, dead_proxies, monkeypatch):
    assert both.answer_by(bundle)
    assert both.run(health).count("started from here") == 2
    assert both.run(versions).count(f"; answers by {both.live(bundle)}\n") == 2
    monkeypatch.setattr(chosen, "default_state_dir", lambda: both.places[3])
    long = "裁员" * 200
    for client, port in ((triton_client, both.triton.grpc), (http_client, both.paddle.http)):
        done = run_in_process(client.main, "某公司宣布裁员两千人", long, "--format", "jsonl")
        assert [json.loads(line)["truncated"] for line in done.stdout.splitlines()] == [False, True], done.stderr
        who, cut = done.stderr.splitlines()
        assert who.startswith(f"answered by 127.0.0.1:{port}, started from {PROJECT}: {both.live(bundle)}, model ")
        assert cut == "1 of 2 texts was longer than 128 tokens and was read in part"


def test_a_client_says_that_it_asks_a_server_that_was_not_started_here(both, tmp_path, monkeypatch):
    monkeypatch.setattr(chosen, "default_state_dir", lambda: tmp_path)
    usual = f"127.0.0.1:{both.triton.grpc}"
    assert chosen.choose("triton", "client_address", usual) == (usual, f", not started from {PROJECT}")
    damaged = tmp_path / "triton-3.process.json"
    damaged.write_text('{"name": "triton-3"', encoding="utf-8")
    with pytest.raises(EnvironmentFault, match="triton-3.process.json is damaged: whether its server runs"):
        chosen.choose("triton", "client_address", usual)
    assert chosen.choose("paddle", "client_address", usual) == (usual, f", not started from {PROJECT}")
    damaged.unlink()
    for port in (1, 2):
        ProcessRecord.of(f"triton-{port}", os.getpid(), 1, client_address=f"127.0.0.1:{port}").write(tmp_path)
    with pytest.raises(InputError, match="several servers .* 127.0.0.1:1, 127.0.0.1:2; choose one by --url"):
        chosen.choose("triton", "client_address", usual)
    assert chosen.choose("triton", "client_address", "127.0.0.1:2") == ("127.0.0.1:2", f", started from {PROJECT}")


def test_a_server_of_another_folder_is_not_taken_for_ones_own(both, bundle, other, tmp_path):
    """Two clones, and the second one speaks to the server of the first."""
    elsewhere = ("--only", "triton", "--model_repository", tmp_path / "repository", "--state_dir", tmp_path / "state")
    published = run_in_process(publish.main, "--bundle", other.path, *elsewhere)
    assert "no server is running that was started from here" in published.stdout, published.stderr
    theirs = f"127.0.0.1:{both.triton.http}"
    said = f"the server at {theirs} answers by {both.live(bundle)}, model .* it serves another folder"
    for command, *words in ((health,), (publish, "--bundle", bundle.path, "--key_file", both.places[3] / "admin.key")):
        done = run_in_process(command.main, *words, *elsewhere, "--server", theirs)
        assert done.returncode == 4
        assert re.search(said, done.stderr)
    listed = run_in_process(versions.main, *elsewhere, "--server", theirs).stdout.splitlines()
    (line,) = (line for line in listed if theirs in line)
    assert line.endswith(f"; answers by {both.live(bundle)}; it was not started from here")
    nothing = ("--only", "triton", "--model_repository", tmp_path, "--state_dir", tmp_path / "state")
    done = run_in_process(health.main, *nothing, "--server", theirs)
    assert "it serves another folder" in done.stderr
    assert both.answer_by(bundle)


def test_a_bundle_with_another_kind_of_tokeniser_answers_alike(both, bundle, tmp_path):
    pieces = subword_bundle(bundle, tmp_path / "bundle")
    assert replace(pieces.manifest, calibration=None).to_json()["format_version"] == 2
    both.run(publish, "--bundle", pieces.path)
    assert both.answer_by(pieces)


def test_health_names_each_server_that_does_not_answer(both):
    nobody = f"127.0.0.1:{Ports.free().http}"
    said = both.refusal(health, "--paddle_server", nobody, "--server", nobody)
    assert f"no Triton server answers at {nobody}" in said
    assert f"no Paddle Serving service answers at {nobody}" in said
    assert "send less" not in said
    assert f"127.0.0.1:{both.paddle.http}: version" in both.run(health, "--only", "paddle")


def test_stop_ends_the_one_that_is_named_and_then_the_other(both):
    """The last one: nothing runs after it."""
    state = both.places[2:]
    listed = run_in_process(stop.main, "--dry_run", *state)
    assert listed.returncode == stop.RUNNING_STATUS
    assert [line.split()[0] for line in listed.stdout.splitlines()] == [
        f"paddle-{both.paddle.rpc}",
        f"triton-{both.triton.grpc}",
    ]
    assert f"stopped paddle-{both.paddle.rpc} " in run_in_process(stop.main, "--only", "paddle", *state).stdout
    assert both.processes[1].wait(30) == 0
    assert both.processes[0].poll() is None
    assert f"stopped triton-{both.triton.grpc} " in run_in_process(stop.main, *state).stdout
    assert both.processes[0].wait(30) == 0
