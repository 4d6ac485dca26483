"""What the RPC client makes of gRPC's errors; upstream's package, which is not here, has a stand-in."""

from concurrent.futures import ThreadPoolExecutor
from types import ModuleType, SimpleNamespace

import grpc
import pytest

from clients import rpc_client
from clients.paddle_client import Overloaded, TooLate, Unavailable
from clients.rpc_client import RpcClient
from pipeline.errors import InputError, ServerError

METHOD = "/service/inference"


class PipelineClient:
    def _pack_request_package(self, fields, *_):
        return SimpleNamespace(name="")


class Stub:
    def __init__(self, channel):
        self.inference = channel.unary_unary(METHOD, request_serializer=lambda request: b"")


@pytest.fixture
def upstream(monkeypatch):
    module = ModuleType("stand_in_of_upstream")
    module.pipeline_service_pb2_grpc = SimpleNamespace(PipelineServiceStub=Stub)
    monkeypatch.setitem(rpc_client.sys.modules, module.__name__, module)
    monkeypatch.setattr(PipelineClient, "__module__", module.__name__)
    monkeypatch.setattr(rpc_client, "_pipeline_client", lambda: PipelineClient)


@pytest.mark.parametrize(
    ("code", "details", "kind", "message"),
    [
        ("RESOURCE_EXHAUSTED", "too many requests", Overloaded, "is overloaded .too many requests.; send less at once"),
        ("RESOURCE_EXHAUSTED", "Received message larger than max", InputError, "send fewer texts in one request"),
        ("UNAVAILABLE", "Socket closed", Unavailable, "no Paddle Serving service answers at"),
        ("DEADLINE_EXCEEDED", "late", TooLate, "gave no answer within 60 s"),
        ("INTERNAL", "a fault", ServerError, "a fault"),
    ],
)
def test_each_code_has_its_meaning(upstream, code, details, kind, message):
    def refuse(_, context):
        context.abort(grpc.StatusCode[code], details)

    handler = grpc.method_handlers_generic_handler(
        "service", {"inference": grpc.unary_unary_rpc_method_handler(refuse)}
    )
    server = grpc.server(ThreadPoolExecutor(1), handlers=[handler])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        with RpcClient(f"127.0.0.1:{port}", retries=0) as client, pytest.raises(kind, match=message) as raised:
            client.classify(["text"])
        assert raised.type is kind
    finally:
        server.stop(0)


def test_upstream_warns_nobody_of_what_it_imports_itself(monkeypatch, tmp_path):
    package = tmp_path / "paddle_serving_server"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "pipeline.py").write_text(
        "import warnings\n"
        "warnings.warn('pkg_resources is deprecated as an API. See its page.', UserWarning)\n"
        "warnings.warn('something else', UserWarning)\n"
        "class PipelineClient: pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("SERVING_LOG_PATH", "")
    try:
        with pytest.warns(UserWarning) as warned:
            assert rpc_client._pipeline_client.__wrapped__().__name__ == "PipelineClient"
    finally:
        for name in ("paddle_serving_server.pipeline", "paddle_serving_server"):
            rpc_client.sys.modules.pop(name, None)
    assert [str(each.message) for each in warned] == ["something else"]
