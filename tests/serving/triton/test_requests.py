"""What a request may choose for itself, and what happens when there are too many of them."""

from __future__ import annotations

import json
import threading
import time
import urllib.error
import urllib.request

import numpy as np
import pytest
from tritonclient import grpc
from tritonclient.utils import InferenceServerException

from pipeline.files.bundle import Bundle
from pipeline.files.dataset import read_examples
from pipeline.predictor import Predictor
from serving.process.ports import Ports
from serving.triton.backend.admission import LATER_SECONDS, STANDSTILL_SECONDS
from serving.triton.deployment import TritonDeployment
from serving.triton.options import ServingOptions
from serving.triton.repository import ModelRepository
from tests.serving.passing import PassingServer

QUEUE = 4


@pytest.fixture(scope="module")
def predictor(bundle_path):
    return Predictor(bundle_path)


@pytest.fixture(scope="module")
def texts(sample_dataset, bundle_path):
    hierarchy = Bundle(bundle_path).hierarchy
    return [example.text for example in read_examples(sample_dataset / "test.txt", hierarchy)][:64]


def request(texts):
    tensor = grpc.InferInput("INPUT", [len(texts), 1], "BYTES")
    tensor.set_data_from_numpy(np.array([[text.encode()] for text in texts], object))
    return [tensor]


def infer(triton, texts, outputs=None, **parameters):
    wanted = outputs and [grpc.InferRequestedOutput(name) for name in outputs]
    with grpc.InferenceServerClient(triton.grpc_address) as client:
        return client.infer("seqcls", request(texts), outputs=wanted, parameters=parameters, client_timeout=30)


def label_sets(result):
    return [{label.decode() for label in row if label} for row in result.as_numpy("label")]


@pytest.mark.parametrize(
    "parameters",
    [
        {"threshold": 0.05},
        {"threshold": "0.9"},
        {"policy": "top_down", "threshold": 0.3},
        {"policy": "single_path"},
        {"policy": "threshold", "threshold": 0.02},
        {"top_k": 1},
        {"top_k": "2", "threshold": 0.01},
    ],
    ids=str,
)
def test_a_request_chooses_threshold_policy_and_top_k(triton, predictor, texts, parameters):
    chosen = {name: value for name, value in parameters.items() if name != "threshold"}
    chosen |= {name: int(value) for name, value in chosen.items() if name == "top_k"}
    threshold = float(parameters["threshold"]) if "threshold" in parameters else None
    expected = predictor.bundle.decoder().changed(threshold, **chosen).decode(predictor.logits(texts))
    answers = label_sets(infer(triton, texts, **parameters))
    assert answers == [{label for label, _ in row} for row in expected.predictions()]


def test_choices_of_requests_that_are_decoded_together_do_not_mix(triton, predictor, texts):
    thresholds = [0.02, 0.3, 0.98]
    decoder = predictor.bundle.decoder()
    logits = predictor.logits(texts)
    wanted = {
        t: [{p.label for p in row} for row in decoder.changed(t).decode(logits).predictions()] for t in thresholds
    }
    faults = []

    def ask(threshold):
        with grpc.InferenceServerClient(triton.grpc_address) as client:
            for row in range(len(texts)):
                answer = client.infer("seqcls", request(texts[row : row + 1]), parameters={"threshold": threshold})
                if label_sets(answer) != wanted[threshold][row : row + 1]:
                    faults.append((threshold, row))

    callers = [threading.Thread(target=ask, args=(threshold,)) for threshold in thresholds * 2]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert faults == []


def test_all_scores_are_there_for_those_who_ask(triton, predictor, texts):
    result = infer(triton, texts, outputs=["scores"])
    assert result.as_numpy("label") is None
    np.testing.assert_allclose(result.as_numpy("scores"), predictor.decode(texts).scores, atol=1e-3)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"threshold": 0}, "threshold 0.0 lies outside"),
        ({"threshold": "much"}, "parameter threshold is 'much'; give a number between 0 and 1"),
        ({"threshold": True}, "parameter threshold is True"),
        ({"threshold": float("nan")}, "threshold"),
        ({"policy": "guess"}, "unknown decoding policy 'guess'; choose one of threshold, ancestors"),
        ({"policy": 1}, "parameter policy is 1; give a name"),
        ({"top_k": 0}, "top_k is 0"),
        ({"top_k": "many"}, "parameter top_k is 'many'; give a whole number"),
        ({"treshold": 0.5}, "unknown request parameter 'treshold'; did you mean 'threshold'?"),
    ],
    ids=str,
)
def test_a_wrong_choice_gets_a_clear_error(triton, texts, parameters, message):
    with pytest.raises(InferenceServerException, match=message.replace("?", r"\?")) as caught:
        infer(triton, texts[:1], **parameters)
    assert "INVALID_ARGUMENT" in caught.value.status()
    assert infer(triton, texts[:1], another="parameter").as_numpy("label").size


def test_choices_travel_over_http_too(triton, predictor, texts):
    tensor = {"name": "INPUT", "datatype": "BYTES", "shape": [2, 1], "data": texts[:2]}
    body = {"inputs": [tensor], "parameters": {"threshold": 0.02, "top_k": 3}, "outputs": [{"name": "label"}]}
    url = f"http://{triton.http_address}/v2/models/seqcls/infer"
    with urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode()), timeout=30) as answer:
        (output,) = json.load(answer)["outputs"]
    expected = predictor.bundle.decoder().changed(0.02, top_k=3).decode(predictor.logits(texts[:2])).predictions()
    assert [label for label in output["data"] if label] == [p.label for row in expected for p in row]
    body["parameters"] = {"top_k": [1]}
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode()), timeout=30)


@pytest.fixture(scope="module")
def narrow(bundle_path, tmp_path_factory):
    """A server that takes on few requests at once."""
    folder = tmp_path_factory.mktemp("narrow")
    options = ServingOptions(queue_size=QUEUE * 8, max_batch_size=8)
    TritonDeployment(ModelRepository(folder / "repository")).publish(Bundle(bundle_path), options)
    with PassingServer(folder / "repository", ports=Ports.free(), state_dir=folder / "state") as server:
        server.wait_ready()
        yield server


def test_the_surplus_is_refused_and_nothing_hangs(narrow, texts):
    batch = [text * 20 for text in texts[:8]]
    outcomes = []

    def ask(client):
        try:
            client.infer("seqcls", request(batch), client_timeout=20)
            outcomes.append("answered")
        except InferenceServerException as error:
            outcomes.append(f"{error.status()} {error.message()}")

    with grpc.InferenceServerClient(narrow.grpc_address) as client:
        callers = [threading.Thread(target=ask, args=(client,)) for _ in range(20 * QUEUE)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
        refused = [outcome for outcome in outcomes if outcome != "answered"]
        assert len(outcomes) == len(callers)
        assert len(refused) < len(outcomes)
        assert refused
        assert all("UNAVAILABLE" in outcome and "overloaded" in outcome for outcome in refused), refused
        assert client.infer("seqcls", request(texts[:1])).as_numpy("label").size


def test_who_asks_the_first_step_alone_keeps_nobody_waiting_for_long(narrow, texts):
    with grpc.InferenceServerClient(narrow.grpc_address) as client:
        for _ in range(QUEUE):
            client.infer("tokenizer", request(texts[:8]))
        with pytest.raises(InferenceServerException, match="overloaded"):
            client.infer("seqcls", request(texts[:1]))
        time.sleep(STANDSTILL_SECONDS + 0.2)
        client.infer("tokenizer", request(texts[:8]))  # takes the place of one that would show that the others are lost
        deadline = time.monotonic() + LATER_SECONDS / 2
        while True:
            try:
                client.infer("seqcls", request(texts[:1]))
                break
            except InferenceServerException:
                assert time.monotonic() < deadline


def test_who_waits_for_less_is_told_earlier(narrow, texts):
    """A request whose own time-out has passed while it waited is refused, and nothing is computed for it."""
    batch = [text * 20 for text in texts[:8]]
    faults = []
    with grpc.InferenceServerClient(narrow.grpc_address) as client:
        for _ in range(3):
            client.async_infer("seqcls", request(batch), lambda result, error: None)
        for _ in range(3):
            done = threading.Event()

            def finish(result, error, done=done):
                faults.append(error)
                done.set()

            client.async_infer("seqcls", request(texts[:1]), finish, timeout=1)
            assert done.wait(20)
            time.sleep(0.05)
    assert any(fault is not None and "UNAVAILABLE" in str(fault.status()) for fault in faults), faults
