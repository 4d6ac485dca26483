"""config.yml and the prototxt files of the Paddle Serving service, made from a bundle."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from pipeline.compute.batching import TOKEN_BUDGET
from pipeline.compute.runtimes import DEVICES
from pipeline.errors import InputError
from pipeline.files.bundle import Bundle
from pipeline.service_messages import HTTP_PORT, RPC_PORT, SERVICE
from pipeline.tensors import INPUT_IDS, LOGITS, TOKEN_TYPE_IDS

CONFIG_FILE, MODEL_FOLDER = "config.yml", "serving_server"
SERVER_PROTOTXT, STREAM_PROTOTXT = "serving_server_conf.prototxt", "serving_server_conf.stream.prototxt"
INT64, FLOAT32 = 0, 1
"""Upstream's numbers of types."""
PRECISIONS = {"float32": "fp32", "bfloat16": "bf16"}
CPU, GPU = DEVICES


@dataclass(frozen=True)
class PaddleOptions:
    """How Paddle Serving serves a bundle.

    Attributes:
        precision: a key of PRECISIONS; bfloat16 needs a processor that has it.
        threads: processor threads that compute, of all processes together; 0 takes one per core.
        workers: requests that are served at the same time, by each process; one more is refused at once.
        processes: with a model of its own each; 0 serves from one process, without those that would watch over it.
        batch_requests: requests that are computed together at most.
        token_budget: tokens, padding included, that one run of the model takes at most.
        max_batch_size: texts that one request may hold.
        request_bytes: that it may have.
        request_seconds: that it may take to arrive, and that it may wait for the model.
        device: cpu, or gpu with the package paddle-serving-server-gpu.
        devices: which GPUs, such as 0 or 0,1.

    Raises:
        InputError: a value outside those.
    """

    precision: str = "float32"
    threads: int = 0
    workers: int = 32
    processes: int = 0
    batch_requests: int = 32
    token_budget: int = TOKEN_BUDGET
    max_batch_size: int = 128
    request_bytes: int = 4 << 20
    request_seconds: int = 10
    device: str = CPU
    devices: str = "0"

    def __post_init__(self) -> None:
        for name, known in (("precision", tuple(PRECISIONS)), ("device", DEVICES)):
            if getattr(self, name) not in known:
                raise InputError(f"unknown {name} {getattr(self, name)!r}; choose one of {', '.join(known)}")
        if self.device == GPU and self.precision != "float32":
            raise InputError(f"Paddle Serving computes {self.precision} on the CPU alone; choose float32 for the GPU")
        if self.processes < 0:
            raise InputError(f"processes is {self.processes}; give 0 for none beside the service's own, or a count")
        if self.threads < 0:
            raise InputError(f"threads is {self.threads}; give 0 for one per core, or a count")
        counts = ("workers", "batch_requests", "token_budget", "max_batch_size", "request_bytes", "request_seconds")
        for name in counts:
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}; give at least 1")
        if not all(part.isdigit() for part in self.devices.split(",")):
            raise InputError(f"devices {self.devices!r}: give numbers of GPUs, such as 0 or 0,1")


def config_text(options: PaddleOptions) -> str:
    """The text of config.yml."""
    on_gpu = options.device == GPU
    threads = max(1, (options.threads or os.cpu_count() or 1) // max(1, options.processes))
    return f"""\
# Written by serving.paddle.publication. Keys as in Paddle Serving's pipeline services, host and limits added.

host: 127.0.0.1      # where to listen; 0.0.0.0 for all interfaces
rpc_port: {RPC_PORT}
http_port: {HTTP_PORT}      # POST /{SERVICE}/prediction
worker_num: {options.processes or options.workers}  # requests at the same time, or processes with build_dag_each_worker
build_dag_each_worker: {_yaml(options.processes > 0)}

limits:
  texts_per_request: {options.max_batch_size}
  request_bytes: {options.request_bytes}
  request_seconds: {options.request_seconds}  # to arrive, and to wait for the model
  requests_at_once: {options.workers}  # of each process with build_dag_each_worker
  token_budget: {options.token_budget}  # tokens, padding included, that one run of the model takes at most

dag:
  is_thread_op: true  # as processes, operators would exchange pickles
  retry: 1
  use_profile: false
  channel_size: 0
  tracer:
    interval_s: -1

op:
  {SERVICE}:
    concurrency: 1
    batch_size: {options.batch_requests}  # requests that are computed together at most
    auto_batching_timeout: 1  # above 0; those that wait are taken together, and nobody waits for more
    timeout: -1  # upstream's would leave the model running; limits has one that is kept
    local_service_conf:
      client_type: local_predictor
      model_config: {MODEL_FOLDER}
      fetch_list: [{LOGITS}]
      device_type: {1 if on_gpu else 0}  # 0: CPU, 1: GPU, 2: TensorRT
      devices: {_yaml(options.devices if on_gpu else "")}
      thread_num: {threads}
      use_mkldnn: {_yaml(not on_gpu)}
      mkldnn_cache_capacity: 0
      ir_optim: true
      mem_optim: true
      precision: {PRECISIONS[options.precision]}
"""


def write_model_config(bundle: Bundle, folder: Path) -> None:
    """Describe the graph's inputs and output in `folder`, as upstream's own converter would if it still ran."""
    inputs = "".join(_variable("feed", name, INT64, [-1, -1]) for name in (INPUT_IDS, TOKEN_TYPE_IDS))
    output = _variable("fetch", LOGITS, FLOAT32, [-1, len(bundle.manifest.labels)])
    for name in (SERVER_PROTOTXT, STREAM_PROTOTXT):
        (folder / name).write_text(inputs + output, encoding="utf-8")


def _variable(kind: str, name: str, type_number: int, shape: list[int]) -> str:
    lines = [f'name: "{name}"', f'alias_name: "{name}"', "is_lod_tensor: false", f"{kind}_type: {type_number}"]
    lines += [f"shape: {size}" for size in shape]
    return f"{kind}_var {{\n" + "".join(f"  {line}\n" for line in lines) + "}\n"


def _yaml(value: bool | str) -> str:
    return str(value).lower() if isinstance(value, bool) else f'"{value}"'
