"""A real Triton server whose model `seqcls` does what its texts say.

A classifier cannot be made to fail twice and then answer, or to take half a second, on command.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from clients.triton import TritonClient
from pipeline.errors import ServerError
from serving.process.ports import LOOPBACK, Ports
from serving.triton.server.launcher import TritonServer
from serving.triton.server.options import TritonOptions
from tests.serving.passing import PassingServer
from tests.serving.tiny_model import eventually

MAX_QUEUE_SIZE = 4
MAX_BATCH_SIZE = 128

CONFIG = f"""
name: "seqcls" backend: "python" max_batch_size: {MAX_BATCH_SIZE}
input [{{ name: "INPUT" data_type: TYPE_STRING dims: [ 1 ] }}]
output [
  {{ name: "label" data_type: TYPE_STRING dims: [ -1 ] }},
  {{ name: "confidence" data_type: TYPE_FP32 dims: [ -1 ] }},
  {{ name: "scores" data_type: TYPE_FP32 dims: [ 3 ] }}
]
instance_group [{{ kind: KIND_CPU count: 1 }}]
dynamic_batching {{
  default_queue_policy {{ max_queue_size: {MAX_QUEUE_SIZE} allow_timeout_override: true timeout_action: REJECT }}
}}
"""
MODEL = """
import json
import time
from collections import Counter
from pathlib import Path

import numpy as np
import triton_python_backend_utils as pb_utils

HERE = Path(__file__).parent


class ToldToFail(Exception):
    pass


class TritonPythonModel:
    def initialize(self, args):
        self.asked = Counter()

    def execute(self, requests):
        return [self._respond(request) for request in requests]

    def _respond(self, request):
        texts = [text.decode() for text in pb_utils.get_input_tensor_by_name(request, "INPUT").as_numpy()[:, 0]]
        verb, *words = texts[0].split()
        try:
            answer = getattr(self, f"_{verb}", lambda request: texts)(request, *words)
        except ToldToFail as error:
            return pb_utils.InferenceResponse(error=pb_utils.TritonError(*error.args))
        labels = np.array([[label] for label in answer], object)
        every = {
            "label": labels,
            "confidence": np.full(labels.shape, 0.75, np.float32),
            "scores": np.array([[len(text), 0.25, 0.5] for text in texts], np.float32),
        }
        return pb_utils.InferenceResponse(
            [pb_utils.Tensor(name, every[name]) for name in every if name in request.requested_output_names()]
        )

    def _sleep(self, request, milliseconds):
        (HERE / "busy").touch()
        time.sleep(int(milliseconds) / 1000)
        (HERE / "busy").unlink()
        return ["slept"]

    def _at_its_pace(self, request):
        pace = HERE / "milliseconds"
        time.sleep(int(pace.read_text()) / 1000 if pace.exists() else 0)
        return [str(HERE)]

    def _fail(self, request, code, times, key):
        self.asked[key] += 1
        if self.asked[key] <= int(times):
            raise ToldToFail(f"told to fail with {code}", getattr(pb_utils.TritonError, code))
        return ["well"]

    def _asked_for(self, request, key):
        return [str(self.asked[key])]

    def _where(self, request):
        return [str(HERE)]

    def _outputs(self, request):
        return [" ".join(sorted(request.requested_output_names()))]

    def _parameters(self, request):
        return [request.parameters() or "{}"]

    def _timeout(self, request):
        return [str(request.timeout())]
"""


@contextmanager
def stand_in_server(
    folder: Path,
    *extra_arguments: str,
    ports: Ports | None = None,
    options: TritonOptions | None = None,
    host: str = LOOPBACK,
) -> Iterator[TritonServer]:
    """A ready server of the stand-in, which lies in `folder`."""
    (folder / "repository" / "seqcls" / "1").mkdir(parents=True)
    (folder / "repository" / "seqcls" / "config.pbtxt").write_text(CONFIG, encoding="utf-8")
    (folder / "repository" / "seqcls" / "1" / "model.py").write_text(MODEL, encoding="utf-8")
    with PassingServer(
        folder / "repository",
        ports=ports or Ports.free(host),
        host=host,
        state_dir=folder / "run",
        options=options,
        extra_arguments=extra_arguments,
    ) as server:
        server.wait_ready()
        yield server


@contextmanager
def busy(server: TritonServer, milliseconds: int) -> Iterator[None]:
    """The server's model computes for that long, from before the block begins until after it has ended."""
    with TritonClient(server.grpc_address) as client, ThreadPoolExecutor(1) as thread:
        sleeping = thread.submit(client.classify, [f"sleep {milliseconds}"])
        assert eventually((server.model_repository / "seqcls" / "1" / "busy").exists)
        yield
        sleeping.result()


def says(client: TritonClient, text: str) -> str:
    """The stand-in's answer to one text."""
    [[prediction]] = client.classify([text])
    return prediction.label


def refusals(client: TritonClient, text: str) -> list[str]:
    """The messages of more calls at once than the queue holds, sent while the model is busy; those that failed."""

    def ask(_: int) -> str:
        try:
            client.classify([text])
        except ServerError as error:
            return str(error)
        return ""

    with ThreadPoolExecutor(4 * MAX_QUEUE_SIZE) as threads:
        return [message for message in threads.map(ask, range(4 * MAX_QUEUE_SIZE)) if message]
