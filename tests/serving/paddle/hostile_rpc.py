"""Requests that no honest client makes, sent over RPC from .venv-serving; prints a line of JSON for each answer."""

from __future__ import annotations

import io
import json
import os
import sys
import tempfile
import threading
import time

import grpc
import numpy as np

with tempfile.TemporaryDirectory() as folder:
    os.environ["SERVING_LOG_PATH"] = folder
    from paddle_serving_server.pipeline.proto import pipeline_service_pb2, pipeline_service_pb2_grpc


class Payload:
    """Creates a file when it is unpickled."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __reduce__(self):
        return (open, (self._path, "w"))


def pickled(path: str) -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.array([Payload(path)], object), allow_pickle=True)
    return stream.getvalue()


def requests(path: str):
    request = pipeline_service_pb2.Request
    with_tensor = request(key=["sentence"], value=["裁员"])
    with_tensor.tensors.add(name="sentence", elem_type=13, byte_data=pickled(path))
    yield "pickled tensor", with_tensor
    only_tensor = request()
    only_tensor.tensors.add(name="sentence", elem_type=13, byte_data=pickled(path))
    yield "pickled tensor alone", only_tensor
    yield "code for eval", request(key=["sentence"], value=[f"[open({path!r}, 'w')]"])
    yield "numpy's source text", request(key=["sentence"], value=["array([b'a'], dtype=object)"], name="other")
    yield "wrong key", request(key=["text"], value=["裁员"])
    yield "profile", request(key=["sentence", "pipeline.profile"], value=["裁员", "1"])
    yield "wrong JSON", request(key=["sentence"], value=['["裁员'])
    yield "deep JSON", request(key=["sentence"], value=["[" * 100_000])
    yield "numbers", request(key=["sentence"], value=["[1, 2]"])
    yield "empty array", request(key=["sentence"], value=["[]"])
    yield "missing value", request(key=["sentence"])
    yield "nothing", request()
    yield "twice", request(key=["sentence", "sentence"], value=["裁员", "裁员"])
    yield "too many texts", request(key=["sentence"], value=[json.dumps(["裁员"] * 129)])
    yield "too long a text", request(key=["sentence"], value=["a" * 200_001])
    yield "bad option", request(key=["sentence", "top_k"], value=["裁员", "-1"])
    yield "oversized", request(key=["sentence"], value=["裁" * 400_000])


def hold(url: str, number: int) -> None:
    """Begin requests whose message never comes; print how long one that comes takes, and until the others are ended."""
    channel, over = grpc.insecure_channel(url), threading.Event()
    name = pipeline_service_pb2.DESCRIPTOR.services_by_name["PipelineService"].full_name
    begin = channel.stream_unary(f"/{name}/inference", request_serializer=lambda sent: sent)

    def never():
        over.wait()
        yield from ()

    begun = time.monotonic()
    held = [begin.future(never()) for _ in range(number)]
    time.sleep(0.5)
    stub = pipeline_service_pb2_grpc.PipelineServiceStub(channel)
    answer = stub.inference(pipeline_service_pb2.Request(key=["sentence"], value=["裁员"]), timeout=10)
    print(json.dumps([answer.err_no, time.monotonic() - begun]))
    for future in held:
        future.exception(timeout=10)
    print(json.dumps(time.monotonic() - begun))
    over.set()


def main(url: str, path: str) -> None:
    if path.isdigit():
        hold(url, int(path))
        return
    stub = pipeline_service_pb2_grpc.PipelineServiceStub(grpc.insecure_channel(url))
    for name, request in requests(path):
        try:
            answer = stub.inference(request, timeout=10)
            print(json.dumps([name, answer.err_no, answer.err_msg]))
        except grpc.RpcError as error:
            print(json.dumps([name, error.code().value[0], error.details()]))


if __name__ == "__main__":
    main(*sys.argv[1:])
