"""BASELINE, see the package: writes what its service needs, makes its environment, and starts it."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import time
from pathlib import Path

from benchmarks.serving.origin_design.repository import write_tokeniser
from pipeline.errors import EnvironmentFault, ServerError
from pipeline.files.bundle import PADDLE_GRAPH_FILE, PADDLE_PARAMETERS_FILE, Bundle
from serving.folders import PROJECT, build_dir
from serving.paddle.configuration import MODEL_FOLDER, write_model_config
from serving.paddle.environment import UV, serving_python
from serving.process.guarded_server import GuardedServer

PADDLENLP = "paddlenlp==2.8.1"
LOCK = PROJECT / "requirements" / "serving.txt"
SERVICE = Path(__file__).with_name("service.py")
DATE = "2025-09-01"
"""Newer releases of what paddlenlp needs break it."""
READY_SECONDS = 90.0

CONFIG = """\
rpc_port: {port}
worker_num: 1
build_dag_each_worker: false
dag:
  is_thread_op: False
  retry: 1
  use_profile: false
  tracer:
    interval_s: 10
op:
  seq_cls:
    concurrency: 1
    local_service_conf:
      client_type: local_predictor
      model_config: {model}
      fetch_list: [logits]
      device_type: 0
      devices: ""
      use_mkldnn: True
      thread_num: {threads}
      ir_optim: True
"""


class BaselineServer(GuardedServer):
    """The baseline's service for a bundle.

    Args:
        bundle: whose graph, labels and vocabulary it serves.
        port: for RPC.
        folder: takes its files and log.
    """

    def __init__(self, bundle: Bundle, port: int, folder: Path) -> None:
        name = f"baseline-{port}"
        super().__init__(name, folder, folder / f"{name}.log", patience_seconds=5.0)
        self.port = port
        self._write(bundle)

    @property
    def rpc_address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        command = [str(environment()), "-W", "ignore", str(SERVICE), str(self.state_dir)]
        self.launch(command, {**os.environ, "SERVING_LOG_PATH": str(self.state_dir)}, self.state_dir)

    def wait_listening(self) -> None:
        """Wait until the port is open; raises ServerError where it does not open."""
        deadline = time.monotonic() + READY_SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1.0).close()
                return
            except OSError:
                if self.status() is not None or time.monotonic() > deadline:
                    raise ServerError(f"the baseline did not come up; its log: {self.log_path}") from None
                time.sleep(0.2)

    def _write(self, bundle: Bundle) -> None:
        model, tokeniser = self.state_dir / MODEL_FOLDER, self.state_dir / "tokeniser"
        model.mkdir(parents=True)
        tokeniser.mkdir()
        for name in (PADDLE_GRAPH_FILE, PADDLE_PARAMETERS_FILE):
            shutil.copyfile(bundle.file(name), model / name)
        write_model_config(bundle, model)
        write_tokeniser(bundle, tokeniser)
        labels = json.dumps([bundle.manifest.labels, bundle.manifest.max_seq_length], ensure_ascii=False)
        (self.state_dir / "labels.json").write_text(labels, encoding="utf-8")
        config = CONFIG.format(port=self.port, model=model, threads=os.cpu_count())
        (self.state_dir / "config.yml").write_text(config, encoding="utf-8")


def environment() -> Path:
    """The interpreter of the baseline's environment, which is made where it is not there.

    Raises:
        EnvironmentFault: .venv-serving is not there, or a package cannot be had.
    """
    folder = build_dir() / "origin_paddle_serving" / "venv"
    python, ready = folder / "bin" / "python", folder / ".ready"
    if ready.exists():
        return python
    pins = folder.with_name("pins.txt")
    pins.parent.mkdir(parents=True, exist_ok=True)
    # paddlenlp asks for newer ones of what Paddle Serving pins, and runs without.
    pins.write_text("\n".join(re.findall(r"^[\w-]+==[\w.]+", LOCK.read_text(encoding="utf-8"), re.MULTILINE)))
    into = ["--python", str(python)]
    for command in (
        ["venv", "--clear", "--seed", "--python", str(serving_python()), str(folder)],
        ["pip", "install", *into, "--no-deps", "--require-hashes", "-r", str(LOCK)],
        ["pip", "install", *into, "--exclude-newer", DATE, "--override", str(pins), PADDLENLP, "aistudio-sdk<0.3"],
    ):
        done = subprocess.run([str(UV), *command, "--quiet"], capture_output=True, text=True, check=False)
        if done.returncode:
            raise EnvironmentFault(f"the baseline's environment could not be made: {done.stderr.strip()}")
    ready.touch()
    return python
