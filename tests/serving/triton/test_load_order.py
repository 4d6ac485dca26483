"""Two versions may differ in any option: callers notice nothing while one follows the other in a real server."""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from dataclasses import fields, replace

import pytest

from clients.triton import TritonClient
from pipeline.errors import ClassifierError
from pipeline.files.bundle import Bundle
from serving.process.ports import Ports
from serving.triton.deployment import TritonDeployment
from serving.triton.options import ServingOptions
from serving.triton.repository import ModelRepository
from serving.triton.server.options import TritonOptions
from serving.triton.server.supervision import Supervisor
from tests.serving.native_stand_in import OPTIONS as NATIVE
from tests.serving.native_stand_in import let_python_stand_in
from tests.serving.passing import PassingServer

PYTHON = ServingOptions(queue_size=512)
CHANGES = [
    {"max_batch_size": 2, "queue_size": 300, "queue_milliseconds": 50},
    {"instances": 2, "runtime": "openvino", "threads": 1},
    {"precision": "int8", "token_budget": 512, "padded_lengths": (32,)},
]
"""Of each option that may differ another value; both directions are tried."""
OTHER_PLACES = {"backend", "device", "devices", "tensorrt", "engine_cache"}
"""Options that make another kind of model, or need a GPU."""


class Traffic:
    """Callers who ask all the time."""

    def __init__(self, server):
        self.answered, self.faults = 0, []
        self._server, self._over = server, threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(3)]

    def _ask(self):
        with TritonClient(self._server.grpc_address, retries=0) as client:
            while not self._over.is_set():
                try:
                    client.classify(["某公司宣布裁员两千人", "一货车与客车相撞"])
                    self.answered += 1
                except ClassifierError as error:
                    self.faults.append(str(error))
                time.sleep(0.02)

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exception):
        self._over.set()
        for thread in self._threads:
            thread.join()


@contextlib.contextmanager
def stopped(server, watch):
    """Stop the server, and wait for who watches it, at the end."""
    try:
        yield
    finally:
        server.terminate()
        watch.join()


@pytest.fixture
def stand_in(monkeypatch, tmp_path):
    let_python_stand_in(monkeypatch, tmp_path)


def test_every_option_is_tried():
    assert {*itertools.chain(*CHANGES), *OTHER_PLACES} == {each.name for each in fields(ServingOptions)}


@pytest.mark.slow
@pytest.mark.parametrize("options", [PYTHON, NATIVE], ids=["python", "native"])
def test_callers_notice_no_change_of_any_option(options, bundle_path, tmp_path, request):
    if options is NATIVE:
        request.getfixturevalue("stand_in")
    repository, bundle = ModelRepository(tmp_path / "repository"), Bundle(bundle_path)
    TritonDeployment(repository).publish(bundle, options)
    explicit = TritonOptions(model_control_mode="explicit", load_model=("*",))
    reports, faults = [], []
    with PassingServer(repository.path, ports=Ports.free(), state_dir=tmp_path / "state", options=explicit) as server:
        server.wait_ready()
        supervisor = Supervisor(server, reports.append, print)
        watch = threading.Thread(target=supervisor.run)
        watch.start()
        deployment = TritonDeployment(repository, [server.control])
        with stopped(server, watch), Traffic(server) as traffic:
            for change in CHANGES:
                kept = {"runtime"} if options is NATIVE else set()  # of native ones none can be beside another
                changed = replace(options, **{name: change[name] for name in change.keys() - kept})
                for step in (changed, options):
                    deployment.publish(bundle, step)
                    news = [each for each in reports if not each.startswith("now answering with ")]
                    faults += [*traffic.faults[:2], *news]
                    assert faults == [], f"{step} follows"
    assert traffic.answered > len(CHANGES)
