"""A model repository with one tiny model, and how to see what a server left behind."""

from __future__ import annotations

import os
import time
from pathlib import Path

from serving.process import processes

PATIENCE_SECONDS = 20.0

CONFIG = """
name: "{name}" backend: "python" max_batch_size: 0
input [{{ name: "MILLISECONDS" data_type: TYPE_INT32 dims: [ 1 ] }}]
output [{{ name: "ECHO" data_type: TYPE_INT32 dims: [ 1 ] }}]
instance_group [{{ kind: KIND_CPU count: 1 }}]
"""
SLEEPY_ECHO = """
import time
from pathlib import Path

import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def execute(self, requests):
        answers = []
        Path(__file__).with_name("busy").touch()
        for request in requests:
            milliseconds = pb_utils.get_input_tensor_by_name(request, "MILLISECONDS").as_numpy()
            time.sleep(milliseconds[0] / 1000)
            answers.append(pb_utils.InferenceResponse([pb_utils.Tensor("ECHO", milliseconds)]))
        return answers
"""
NO_VOCABULARY = """
class TritonPythonModel:
    def initialize(self, args):
        raise ValueError("词表 vocab.txt is absent")

    def execute(self, requests):
        return []
"""


def write_model(repository: Path, name: str, code: str) -> Path:
    (repository / name / "1").mkdir(parents=True)
    (repository / name / "config.pbtxt").write_text(CONFIG.format(name=name), encoding="utf-8")
    (repository / name / "1" / "model.py").write_text(code, encoding="utf-8")
    return repository


def traces(prefix: str) -> list[str]:
    """Processes whose command line holds a server's shared-memory prefix, and its regions."""
    commands = [" ".join(processes.command_line(int(name))) for name in os.listdir("/proc") if name.isdigit()]
    return [each for each in [*commands, *os.listdir("/dev/shm")] if prefix in each]


def eventually(condition, seconds: float = PATIENCE_SECONDS) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()
