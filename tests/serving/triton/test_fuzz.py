"""Requests that nobody sane would send: each gets a clear error or a right answer, and the server lives on.

`FUZZ_REQUESTS=10000 pytest tests/serving/triton/test_fuzz.py` sends that many.
"""

from __future__ import annotations

import http.client
import json
import os
import struct

import grpc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tritonclient.grpc import service_pb2, service_pb2_grpc

from clients.triton import TritonClient
from pipeline.files.bundle import Bundle
from serving.process.ports import Ports
from tests.serving.passing import PassingServer

REQUESTS = int(os.environ.get("FUZZ_REQUESTS", "400"))
CHECK_EVERY = 50
MODELS = ("seqcls", "tokenizer", "seqcls_model", "seqcls_postprocess")
NAMES = ("INPUT", "input_ids", "token_type_ids", "logits")
OUTPUTS = ("label", "confidence", "scores", "input_ids", "logits")
DATA_TYPES = ("BYTES", "INT64", "FP32", "BOOL", "UINT8", "FP16", "INT32", "", "BYTE", "STRING")
SECONDS = 20

numbers = st.one_of(st.integers(-3, 200), st.sampled_from([0, -1, 2**31, 2**63 - 1, -(2**63)]))
texts = st.one_of(
    st.text(max_size=40), st.sampled_from(["某公司宣布裁员两千人", "", "\0", "a" * 5000, "\U0001f600" * 300])
)
scalars = st.one_of(st.none(), st.booleans(), numbers, st.floats(), texts)
options = st.sampled_from(["threshold", "policy", "top_k", "timeout", "priority", "sequence_id", "binary_data", "x"])
parameters = st.dictionaries(options, st.one_of(scalars, st.lists(scalars, max_size=2)), max_size=3)
huge = st.sampled_from([[1, 2**63 - 1], [2**63 - 1, 1], [2**32, 2**32], [2**62, 4], [0, 2**63 - 1]])
shapes = st.one_of(st.just([1, 1]), huge, st.lists(numbers, max_size=4))
data = st.one_of(st.lists(scalars, max_size=6), st.lists(st.lists(scalars, max_size=3), max_size=3), scalars)


def mostly(value, otherwise):
    """What is right three times of four: a request with a single fault gets further than one of noise."""
    return st.one_of(*[st.just(value)] * 3, otherwise)


tensors = st.fixed_dictionaries(
    {
        "name": mostly("INPUT", st.sampled_from(NAMES)),
        "datatype": mostly("BYTES", st.sampled_from(DATA_TYPES)),
        "shape": shapes,
        "data": data,
    },
    optional={"parameters": parameters},
)
bodies = st.one_of(
    st.fixed_dictionaries(
        {"inputs": st.lists(tensors, max_size=3)},
        optional={
            "parameters": parameters,
            "outputs": st.lists(st.fixed_dictionaries({"name": st.sampled_from(OUTPUTS)}), max_size=2),
            "id": scalars,
        },
    ).map(lambda body: json.dumps(body).encode()),
    st.binary(max_size=200),
    st.sampled_from([b"", b"{}", b"[" * 2000, b'{"inputs":' * 200, b'{"inputs": [{"name": "INPUT"']),
    st.sampled_from([b"[" * 40_000, b'{"inputs":[],"x":' + b"[" * 40_000 + b"]" * 40_000 + b"}"]),
)
headers = mostly({}, st.fixed_dictionaries({"Inference-Header-Content-Length": numbers.map(str)}))
paths = st.builds(
    "/v2/models/{}{}/infer".format,
    mostly("seqcls", st.sampled_from((*MODELS, "nowhere"))),
    mostly("", st.sampled_from(["/versions/1", "/versions/99", "/versions/-1"])),
)


@pytest.fixture(scope="module")
def server(model_repository, tmp_path_factory):
    state = tmp_path_factory.mktemp("fuzz")
    with PassingServer(model_repository, ports=Ports.free(), state_dir=state, admin_key="secret") as server:
        server.wait_ready()
        yield server


@pytest.fixture(scope="module")
def stub(server):
    with grpc.insecure_channel(server.grpc_address) as channel:
        yield service_pb2_grpc.GRPCInferenceServiceStub(channel)


@pytest.fixture(scope="module")
def is_well(server, bundle_path):
    """Says whether the server answers a golden text rightly; asked now and then."""
    golden = Bundle(bundle_path).manifest.goldens[0]
    count = [0]

    def check(always=False):
        count[0] += 1
        if always or count[0] % CHECK_EVERY == 0:
            assert server.status() is None
            with TritonClient(server.grpc_address) as client:
                assert tuple(p.label for p in client.classify([golden.text])[0]) == golden.labels

    yield check
    check(always=True)


def fuzzed(**strategies):
    def decorate(test):
        health = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]
        return settings(max_examples=REQUESTS // 2, suppress_health_check=health)(given(**strategies)(test))

    return decorate


def pieces(body, size):
    return (body[start : start + size] for start in range(0, len(body), size))


@fuzzed(path=paths, body=bodies, header=headers, chunk=mostly(None, st.sampled_from([1, 100])))
def test_http(server, is_well, path, body, header, chunk):
    connection = http.client.HTTPConnection(server.http_address, timeout=SECONDS)
    # What is no bytes is sent in chunks.
    connection.request("POST", path, body if chunk is None else pieces(body, chunk), header)
    response = connection.getresponse()
    status, content = response.status, response.read()
    connection.close()
    if status == http.client.OK:
        assert b"outputs" in content
    else:
        assert 400 <= status < 600
        assert len(json.loads(content)["error"]) > 5
    is_well()


def grpc_values(tensor, value):
    """The value in whichever field of the message takes it."""
    if isinstance(value, bool):
        tensor.contents.bool_contents.append(value)
    elif isinstance(value, int):
        tensor.contents.int64_contents.append(max(-(2**63), min(value, 2**63 - 1)))
    elif isinstance(value, float):
        tensor.contents.fp32_contents.append(value)
    elif isinstance(value, str):
        tensor.contents.bytes_contents.append(value.encode("utf-8", "surrogatepass"))


def grpc_parameter(parameter, value):
    if isinstance(value, bool):
        parameter.bool_param = value
    elif isinstance(value, int):
        parameter.int64_param = max(-(2**63), min(value, 2**63 - 1))
    elif isinstance(value, float):
        parameter.double_param = value
    elif isinstance(value, str):
        parameter.string_param = value.encode("utf-8", "replace").decode()


raw_contents = st.one_of(
    st.binary(max_size=60),
    texts.map(lambda text: struct.pack("<I", len(raw := text.encode("utf-8", "replace"))) + raw),
    numbers.map(lambda number: struct.pack("<q", number) + b"text"),
    st.just(struct.pack("<I", 2**32 - 1) + b"short"),
)


@fuzzed(
    model=mostly("seqcls", st.sampled_from((*MODELS, "nowhere"))),
    version=mostly("", st.sampled_from(["1", "9", "-1", "x"])),
    inputs=st.lists(tensors, max_size=3),
    raw=mostly([], st.lists(raw_contents, max_size=3)),
    chosen=parameters,
)
def test_grpc(stub, is_well, model, version, inputs, raw, chosen):
    request = service_pb2.ModelInferRequest(model_name=model, model_version=version, raw_input_contents=raw)
    for name, value in chosen.items():
        grpc_parameter(request.parameters[name], value)
    for given_tensor in inputs:
        tensor = request.inputs.add(name=given_tensor["name"], datatype=given_tensor["datatype"])
        tensor.shape.extend(max(-(2**63), min(size, 2**63 - 1)) for size in given_tensor["shape"])
        values = given_tensor["data"] if isinstance(given_tensor["data"], list) else [given_tensor["data"]]
        for value in values if not raw else ():
            grpc_values(tensor, value)
    try:
        answer = stub.ModelInfer(request, timeout=SECONDS)
        assert answer.outputs
    except grpc.RpcError as error:
        assert error.code().name not in ("DEADLINE_EXCEEDED", "UNKNOWN", "CANCELLED"), error
        assert len(error.details()) > 5
    is_well()
