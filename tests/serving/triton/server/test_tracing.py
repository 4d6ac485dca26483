"""Traces that a real server exports to an OpenTelemetry collector, here one that only keeps what it gets."""

from __future__ import annotations

import http.client
import json
import threading
from collections import defaultdict
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from clients.triton import TritonClient
from pipeline.errors import InputError
from pipeline.tensors import ENSEMBLE, TEXT
from serving.process.ports import Ports
from serving.triton.server.launcher import TritonServer
from serving.triton.server.options import TritonOptions

RATE = 5
TEXTS = ["某公司宣布裁员", "两地相继发生地震"]
CALLERS_TRACE = "0af7651916cd43dd8448eb211c80319c"
CALLERS_SPAN = "b7ad6b7169203331"
STEPS = ["tokenizer", "seqcls_model", "seqcls_postprocess"]


def traced(url: str) -> TritonOptions:
    return TritonOptions(trace_endpoint=url, trace_one_in=RATE)


@pytest.fixture(scope="module")
def collector() -> Iterator[ThreadingHTTPServer]:
    """Keeps the path and the body of each export."""

    class Export(BaseHTTPRequestHandler):
        def do_POST(self):
            self.server.exports.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Export) as server:
        server.exports = []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture(scope="module")
def exports(model_repository, collector, tmp_path_factory) -> list[tuple[str, bytes]]:
    """What was exported of 2 * RATE requests over gRPC and of one over HTTP that belongs to a caller's trace."""
    state = tmp_path_factory.mktemp("traced")
    url = f"http://127.0.0.1:{collector.server_port}/v1/traces"
    with TritonServer(model_repository, ports=Ports.free(), state_dir=state, options=traced(url)) as server:
        server.wait_ready()
        with TritonClient(server.grpc_address) as client:
            answers = [client.classify(TEXTS) for _ in range(2 * RATE)]
        assert any(answers[0])
        tensor = {"name": TEXT, "shape": [1, 1], "datatype": "BYTES", "data": TEXTS[:1]}
        body = json.dumps({"inputs": [tensor], "parameters": {"threshold": "0.0625"}})
        connection = http.client.HTTPConnection(server.http_address, timeout=60)
        headers = {"traceparent": f"00-{CALLERS_TRACE}-{CALLERS_SPAN}-01"}
        connection.request("POST", f"/v2/models/{ENSEMBLE}/infer", body, headers)
        assert connection.getresponse().status == 200
        connection.close()
    return collector.exports  # a server that ends sends what it still has


@pytest.fixture(scope="module")
def traces(exports) -> dict[str, list[dict]]:
    """Spans by the id of their trace."""
    found = defaultdict(list)
    for _, body in exports:
        for resource in json.loads(body)["resourceSpans"]:
            for scope in resource["scopeSpans"]:
                for span in scope["spans"]:
                    found[span["traceId"]].append(span)
    return found


def test_every_nth_request_is_traced_and_each_that_a_caller_traces(traces):
    assert len(traces) == 2 + 1
    assert CALLERS_TRACE in traces


def test_a_trace_holds_the_ensemble_and_its_steps(traces):
    for spans in traces.values():
        names = {span["spanId"]: span["name"] for span in spans}
        parents = {span["name"]: names.get(span.get("parentSpanId")) for span in spans if span["name"] != "compute"}
        assert parents == {"InferRequest": None, ENSEMBLE: "InferRequest", **dict.fromkeys(STEPS, ENSEMBLE)}
        assert sorted(names[span["parentSpanId"]] for span in spans if span["name"] == "compute") == sorted(STEPS)
        times = {span["name"]: int(span["startTimeUnixNano"]) for span in spans}
        assert sorted(STEPS, key=times.__getitem__) == STEPS


def test_the_trace_of_a_caller_goes_on(traces):
    [root] = [span for span in traces[CALLERS_TRACE] if span["name"] == "InferRequest"]
    assert root["parentSpanId"] == CALLERS_SPAN


def test_no_text_label_or_parameter_is_exported(exports):
    assert {path for path, _ in exports} == {"/v1/traces"}
    for _, body in exports:
        readable = json.dumps(json.loads(body), ensure_ascii=False)
        assert '"text-classifier"' in readable and ENSEMBLE in readable
        for secret in (*TEXTS, "裁员", "地震", "##", "threshold", "0.0625"):
            assert secret not in readable


def test_a_collector_that_is_gone_costs_no_answer(model_repository, tmp_path):
    url = f"http://127.0.0.1:{Ports.free().http}/v1/traces"
    with TritonServer(model_repository, ports=Ports.free(), state_dir=tmp_path, options=traced(url)) as server:
        server.wait_ready()
        with TritonClient(server.grpc_address) as client:
            assert len([client.classify(TEXTS) for _ in range(2 * RATE)]) == 2 * RATE
    assert "OTLP" in server.log_path.read_text()


@pytest.mark.parametrize("endpoint, one_in", [("127.0.0.1:4318", 1), ("", 1), ("http://127.0.0.1:4318/v1/traces", 0)])
def test_what_triton_would_silently_trace_to_nowhere_is_refused(endpoint, one_in):
    with pytest.raises(InputError, match="trace"):
        TritonOptions(trace_endpoint=endpoint, trace_one_in=one_in)
