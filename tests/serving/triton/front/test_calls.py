"""gRPC before a real Triton server: what would end that server gets an answer, and it lives on."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import struct
import time

import grpc
import numpy as np
import pytest
import tritonclient.grpc
from tritonclient.grpc import service_pb2, service_pb2_grpc
from tritonclient.utils import InferenceServerException

from serving.process import processes
from serving.process.arrivals import BODIES
from serving.process.ports import Ports
from serving.triton.admin_key import GRPC_HEADER
from serving.triton.front.calls import PROMPT_SECONDS, SLOW_BODIES
from serving.triton.server.options import TritonOptions
from tests.serving.passing import PassingServer
from tests.serving.tiny_model import PATIENCE_SECONDS, eventually

KEY = "secret"
MOST_BYTES = 1 << 20
INFER = "/inference.GRPCInferenceService/ModelInfer"


@pytest.fixture(scope="module")
def server(model_repository, tmp_path_factory):
    state, options = tmp_path_factory.mktemp("calls"), TritonOptions(request_bytes=MOST_BYTES)
    with PassingServer(model_repository, ports=Ports.free(), state_dir=state, options=options, admin_key=KEY) as server:
        server.wait_ready()
        yield server


@pytest.fixture
def channel(server):
    with grpc.insecure_channel(server.grpc_address, options=[("grpc.max_send_message_length", -1)]) as channel:
        yield channel


@pytest.fixture
def stub(channel):
    return service_pb2_grpc.GRPCInferenceServiceStub(channel)


@pytest.fixture(autouse=True)
def still_answers(server):
    """After each of these tests the same process answers a good request."""
    process = server.pid
    yield
    assert server.status() is None
    assert server.pid == process
    with grpc.insecure_channel(server.grpc_address) as channel:
        answer = service_pb2_grpc.GRPCInferenceServiceStub(channel).ModelInfer(request(), timeout=PATIENCE_SECONDS)
    assert answer.outputs[0].name == "label"


def request(model="seqcls", text="某公司宣布裁员两千人"):
    asked = service_pb2.ModelInferRequest(model_name=model)
    tensor = asked.inputs.add(name="INPUT", datatype="BYTES", shape=[1, 1])
    tensor.contents.bytes_contents.append(text.encode())
    asked.outputs.add(name="label")
    return asked


def refused(call, *arguments, **more):
    with pytest.raises(grpc.RpcError) as caught:
        call(*arguments, timeout=PATIENCE_SECONDS, **more)
    return caught.value.code().name, caught.value.details()


@pytest.mark.parametrize("model", ["seqcls", "seqcls_postprocess"])
def test_a_classification_of_texts_is_refused(stub, model):
    asked = request(model)
    asked.outputs[0].parameters["classification"].int64_param = 1
    code, said = refused(stub.ModelInfer, asked)
    assert (code, said[:40]) == ("INVALID_ARGUMENT", "output 0: classification is not offered;")


def test_what_the_first_step_makes_is_not_answered_alone(stub):
    """Triton would not run the others, and the first one would wait for them."""
    asked = request()
    asked.outputs[0].name = "truncated"
    assert refused(stub.ModelInfer, asked) == (
        "INVALID_ARGUMENT",
        "truncated is no answer by itself; ask for label with it",
    )


def test_the_word_in_a_text_is_no_request_for_it(stub):
    assert stub.ModelInfer(request(text="classification of tokenizer"), timeout=PATIENCE_SECONDS).outputs


def test_tritons_own_client_is_served(server):
    with tritonclient.grpc.InferenceServerClient(server.grpc_address) as client:
        tensor = tritonclient.grpc.InferInput("INPUT", [1, 1], "BYTES")
        tensor.set_data_from_numpy(np.array([["裁员".encode()]], object))
        assert client.infer("seqcls", [tensor]).as_numpy("label").size
        assert client.is_server_ready()
        assert client.is_model_ready("seqcls")
        assert client.get_model_metadata("seqcls").name == "seqcls"
        assert client.get_inference_statistics("seqcls").model_stats
        with pytest.raises(InferenceServerException, match="classification is not offered"):
            client.infer("seqcls", [tensor], outputs=[tritonclient.grpc.InferRequestedOutput("label", 1)])
        with pytest.raises(InferenceServerException, match="admin-key"):
            client.get_model_repository_index()
        assert client.get_model_repository_index(headers={GRPC_HEADER: KEY}).models


def test_components_are_for_the_operator(stub):
    for metadata in (), ((GRPC_HEADER, "wrong"),):
        code, said = refused(stub.ModelInfer, request("tokenizer"), metadata=metadata)
        assert (code, said[:30]) == ("PERMISSION_DENIED", "tokenizer is a part of the ens")
    code, said = refused(stub.ModelInfer, request("tokenizer\0"))
    assert (code, "there is no model" in said) == ("INVALID_ARGUMENT", True)
    asked = request("tokenizer")
    asked.outputs[0].name = "input_ids"
    assert stub.ModelInfer(asked, metadata=((GRPC_HEADER, KEY),), timeout=PATIENCE_SECONDS).outputs


def test_what_triton_says_of_an_input_is_handed_back_whatever_its_name(stub):
    asked = request()
    asked.inputs[0].name = "connect"
    code, said = refused(stub.ModelInfer, asked)
    assert (code, "connect" in said, "does not answer" in said) == ("INVALID_ARGUMENT", True, False)


def test_what_nobody_waits_for_is_not_computed(stub):
    asked = request()
    asked.parameters["timeout"].int64_param = 1
    code, said = refused(stub.ModelInfer, asked)
    assert (code, "timeout expired" in said) == ("UNAVAILABLE", True)


def test_what_is_no_request_is_refused(channel, stub):
    call = channel.unary_unary(INFER)
    assert refused(call, b"\x0a\xffclassification")[0] == "INVALID_ARGUMENT"
    assert refused(channel.stream_unary(INFER), iter([]))[0] == "INVALID_ARGUMENT"
    assert refused(channel.unary_unary("/inference.GRPCInferenceService/Nothing"), b"")[0] == "UNIMPLEMENTED"
    with pytest.raises(grpc.RpcError, match="UNIMPLEMENTED"):
        list(stub.ModelStreamInfer(iter([request()]), timeout=PATIENCE_SECONDS))
    code, said = refused(call, b"x" * (MOST_BYTES + 1))
    assert (code, "larger than max" in said) == ("RESOURCE_EXHAUSTED", True)
    packed = b"x" * MOST_BYTES
    assert refused(call, packed, compression=grpc.Compression.Gzip)[0] in ("UNIMPLEMENTED", "UNAVAILABLE", "INTERNAL")


def test_a_caller_that_leaves_cancels_nothing(channel):
    call = channel.unary_unary(INFER, request_serializer=service_pb2.ModelInferRequest.SerializeToString)
    for number in range(300):
        future = call.future(request())
        time.sleep(number % 30 / 10_000)
        future.cancel()


def frame(kind, flags, stream, content):
    """Of HTTP/2."""
    return len(content).to_bytes(3, "big") + struct.pack(">BBI", kind, flags, stream) + content


HEAD = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, b"")


def call_headers():
    """Of a call of INFER, as HPACK writes them."""

    def text(value):
        return bytes([len(value)]) + value.encode()

    names = b"\x83\x86" + b"\x04" + text(INFER) + b"\x01" + text("x")  # POST, http, path, authority
    names += b"\x0f\x10" + text("application/grpc") + b"\x00" + text("te") + text("trailers")
    return names


def stalled(server):
    """A connection with a call whose message never arrives, but for its beginning."""
    message = b"\0" + (MOST_BYTES - 10).to_bytes(4, "big") + b"x" * 100
    connection = socket.create_connection(("127.0.0.1", server.ports.grpc), timeout=PATIENCE_SECONDS)
    connection.sendall(HEAD + frame(1, 4, 1, call_headers()) + frame(0, 0, 1, message))
    return connection


def test_calls_that_are_begun_and_dropped_hold_up_nobody(server, stub):
    """HTTP/2 rapid reset; without a bound it took 17 s and a gigabyte."""
    with socket.create_connection(("127.0.0.1", server.ports.grpc), timeout=PATIENCE_SECONDS) as connection:
        connection.sendall(HEAD)
        cancel = struct.pack(">I", 8)
        for first in range(1, 100_001, 200):
            calls = (
                frame(1, 4, stream, call_headers()) + frame(3, 0, stream, cancel)
                for stream in range(first, first + 200, 2)
            )
            connection.sendall(b"".join(calls))
        started, front = time.monotonic(), server.fronts[1].pid
        computed = processes.processor_seconds(front)
        assert stub.ModelInfer(request(), timeout=PATIENCE_SECONDS).outputs
        assert processes.processor_seconds(front) - computed < 3
        assert time.monotonic() - started < 10  # others may use the processor


@pytest.mark.parametrize("shape", [[2**32 + 1, 1], [-(2**32) + 1, 1], [2**62, 1], [1] * 9])
def test_a_shape_that_cannot_be_is_refused(stub, shape):
    asked = request()
    asked.inputs[0].shape[:] = shape
    assert refused(stub.ModelInfer, asked)[0] == "INVALID_ARGUMENT"


def is_answered(connection):
    """Whether a call's connection has got HEADERS, with which a refusal begins."""
    connection.settimeout(0.1)
    got = b""
    with contextlib.suppress(TimeoutError):
        while piece := connection.recv(1 << 16):
            got += piece
    kinds = []
    while len(got) >= 9:
        kinds.append(got[3])
        got = got[9 + int.from_bytes(got[:3], "big") :]
    return 1 in kinds


def test_slow_large_messages_leave_memory_and_others_alone(server, stub):
    large = request(text="x" * (MOST_BYTES - 1000))
    connections = [stalled(server) for _ in range(BODIES + 4)]
    answered = set()

    def number_answered():
        answered.update(filter(is_answered, connections))
        return len(answered)

    try:
        assert eventually(lambda: number_answered() >= BODIES + 4 - SLOW_BODIES)
        time.sleep(PROMPT_SECONDS)  # those that got a place keep it
        assert number_answered() == BODIES + 4 - SLOW_BODIES
        assert stub.ModelInfer(request(), timeout=PATIENCE_SECONDS).outputs
        assert refused(stub.ModelInfer, large)[0] == "INVALID_ARGUMENT"  # it came in time, and is no text for a model
    finally:
        for connection in connections:
            connection.close()


def test_where_it_ended_or_hangs_it_is_started_again(server):
    said, front = [], server.fronts[1]
    for number in (signal.SIGKILL, signal.SIGSTOP):
        ended = front.pid
        os.kill(ended, number)
        if number == signal.SIGKILL:
            assert eventually(lambda: not front.is_running())
        front._next_check = front._next_start = 0.0
        for _ in range(3):
            front.keep(said.append)
            front._next_check = 0.0
        assert front.pid != ended
        assert eventually(lambda: server.ports.grpc in processes.listening_ports(front.pid))
    assert ["gRPC" in line and "starting it again" in line for line in said] == [True, True]
