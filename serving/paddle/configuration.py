"""config.yml and the prototxt files of the Paddle Serving service, made from a bundle."""

from __future__ import annotations

import os
from pathlib import Path

from pipeline.files.bundle import Bundle
from pipeline.service_messages import HTTP_PORT, RPC_PORT, SERVICE
from pipeline.tensors import INPUT_IDS, LOGITS, TOKEN_TYPE_IDS
from serving.options import GPU
from serving.paddle.options import PRECISIONS, PaddleOptions

CONFIG_FILE, PUBLISHED_FILE, MODEL_FOLDER = "config.yml", "published.json", "serving_server"
SERVER_PROTOTXT, STREAM_PROTOTXT = "serving_server_conf.prototxt", "serving_server_conf.stream.prototxt"
INT64, FLOAT32 = 0, 1
"""Upstream's numbers of types."""


def config_text(options: PaddleOptions) -> str:
    """The text of config.yml."""
    on_gpu = options.device == GPU
    threads = max(1, (options.threads or os.cpu_count() or 1) // max(1, options.processes))
    return f"""\
# Written by serving.publish. Keys as in Paddle Serving's pipeline services, host and limits added.

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
      devices: {_yaml(",".join(map(str, options.gpus)) if on_gpu else "")}
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
