"""The ensemble `seqcls` on a real Triton server."""

import json
import os
import queue
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from tritonclient import grpc
from tritonclient.utils import InferenceServerException

from clients.triton import TritonClient
from pipeline.errors import InputError
from pipeline.files.bundle import Bundle
from pipeline.files.dataset import read_examples
from pipeline.predictor import Predictor

MAX_RESIDENT_BYTES = 80 * 2**20


@pytest.fixture
def client(triton):
    with TritonClient(triton.grpc_address) as client:
        yield client


@pytest.fixture(scope="module")
def texts(sample_dataset, bundle_path):
    hierarchy = Bundle(bundle_path).hierarchy
    texts = [example.text for example in read_examples(sample_dataset / "test.txt", hierarchy)]
    return [*texts, texts[0] + "。" + "无关" * 50_000]


@pytest.fixture(scope="module")
def expected(bundle_path, texts):
    return Predictor(bundle_path).predict(texts)


def assert_same(answers, expected):
    for answer, wanted in zip(answers, expected, strict=True):
        assert {p.label for p in answer} == {p.label for p in wanted}
        confidences = dict(wanted)
        assert answer.truncated == wanted.truncated
        for prediction in answer:
            assert prediction.confidence == pytest.approx(confidences[prediction.label], abs=1e-3)


@pytest.mark.parametrize("batch_size", [1, 32, 128])
def test_every_text_of_every_batch_is_answered_as_in_process(client, texts, expected, batch_size):
    answers = [answer for _, answer in client.classify_stream(texts, batch_size)]
    assert len(answers) == len(texts)
    assert any(len({p.label for p in answer}) > 2 for answer in answers)
    assert [answer.truncated for answer in answers] == [False] * (len(texts) - 1) + [True]
    assert_same(answers, expected)


def test_the_golden_texts_get_their_golden_labels(client, bundle_path):
    goldens = Bundle(bundle_path).manifest.goldens
    answers = client.classify([golden.text for golden in goldens])
    assert [tuple(p.label for p in answer) for answer in answers] == [golden.labels for golden in goldens]


def test_the_interface_is_the_documented_one(triton):
    with grpc.InferenceServerClient(triton.grpc_address) as raw:
        metadata = raw.get_model_metadata("seqcls", as_json=True)
    assert metadata["versions"] == ["1"]
    assert metadata["inputs"] == [{"name": "INPUT", "datatype": "BYTES", "shape": ["-1", "1"]}]
    assert metadata["outputs"] == [
        {"name": "label", "datatype": "BYTES", "shape": ["-1", "-1"]},
        {"name": "confidence", "datatype": "FP32", "shape": ["-1", "-1"]},
        {"name": "scores", "datatype": "FP32", "shape": ["-1", "-1"]},
        {"name": "truncated", "datatype": "BOOL", "shape": ["-1", "1"]},
        {"name": "explanation", "datatype": "BYTES", "shape": ["-1", "1"]},
        {"name": "promised", "datatype": "FP32", "shape": ["-1", "-1"]},
    ]


@pytest.mark.parametrize("named", [(), ("scores",), ("label", "truncated")])
def test_a_request_in_plain_json_gets_the_outputs_that_it_names_or_all(triton, client, texts, named):
    body = {"inputs": [{"name": "INPUT", "datatype": "BYTES", "shape": [1, 1], "data": [texts[-1]]}]}
    if named:
        body["outputs"] = [{"name": name} for name in named]
    url = f"http://{triton.http_address}/v2/models/seqcls/infer"
    with urllib.request.urlopen(url, json.dumps(body).encode(), timeout=30) as response:
        answer = {output["name"]: output for output in json.load(response)["outputs"]}
    assert set(answer) == set(named or ("label", "confidence", "scores", "truncated", "explanation", "promised"))
    if "scores" in answer:
        assert answer["scores"]["shape"] == [1, len(client.labels())]
    if "truncated" in answer:
        assert answer["truncated"] == {"name": "truncated", "datatype": "BOOL", "shape": [1, 1], "data": [True]}


def test_labels_are_padded_to_the_widest_row_of_the_request(triton, texts, expected):
    widths = [len(answer) for answer in expected]
    narrow, wide = int(np.argmin(widths)), int(np.argmax(widths))
    result = infer(triton, np.array([[texts[narrow].encode()], [texts[wide].encode()]], object))
    labels, confidences = result.as_numpy("label"), result.as_numpy("confidence")
    assert labels.shape == confidences.shape == (2, widths[wide])
    assert (labels[0, widths[narrow] :] == b"").all()
    assert (confidences[0, widths[narrow] :] == 0).all()
    assert (np.diff(confidences, axis=1) <= 0).all()


def infer(triton, values, datatype="BYTES", name="INPUT"):
    tensor = grpc.InferInput(name, list(values.shape), datatype)
    tensor.set_data_from_numpy(values)
    with grpc.InferenceServerClient(triton.grpc_address) as raw:
        return raw.infer("seqcls", [tensor], client_timeout=30)


def texts_tensor(*rows):
    return np.array([[row] for row in rows], object)


@pytest.mark.parametrize(
    ("values", "datatype", "message"),
    [
        (texts_tensor(b"ok", b""), "BYTES", "row 1: .*empty"),
        (texts_tensor(b"ok", b"ok", "\u3000 \t\n".encode()), "BYTES", "row 2: .*only white space"),
        (texts_tensor(b"x" * 1_000_000), "BYTES", "row 0: .*1,?000,?000 characters.*200,?000"),
        (texts_tensor(b"ok", "裁员".encode() + b"\xff"), "BYTES", "row 1: text is not UTF-8: byte 0xff at offset 6"),
        (np.array([[1.5]], np.float32), "FP32", "data-type is 'FP32', but model 'seqcls' expects 'BYTES'"),
        (np.array([b"flat"], object), "BYTES", "shape"),
        (np.array([[b"two", b"columns"]], object), "BYTES", "shape"),
        (texts_tensor(*[b"many"] * 129), "BYTES", "batch-size must be <= 128"),
    ],
    ids=["empty", "blank", "1 MB", "not UTF-8", "wrong type", "one dimension", "two columns", "batch too large"],
)
def test_bad_input_gets_a_clear_error(triton, client, texts, expected, values, datatype, message):
    with pytest.raises(InferenceServerException, match=message) as caught:
        infer(triton, values, datatype)
    assert "INVALID_ARGUMENT" in caught.value.status()
    # The server goes on.
    assert_same(client.classify(texts[:3]), expected[:3])


def test_a_wrong_input_name_is_named(triton):
    with pytest.raises(InferenceServerException, match="'TEXT'"):
        infer(triton, texts_tensor(b"ok"), name="TEXT")


def test_more_texts_than_a_request_holds_are_asked_in_several(client, texts, expected):
    assert_same(client.classify(texts), expected)
    scores = client.scores(texts)
    assert scores.shape == (len(texts), len(client.labels()))
    with pytest.raises(InputError, match="row 150: text is empty"):
        client.classify([*texts[:150], "", *texts[150:]])


def test_labels_are_those_of_the_scores(client, bundle_path, texts):
    predictor = Predictor(bundle_path)
    assert client.labels() == predictor.labels
    assert client.model().bundle == predictor.bundle.identity
    best = client.scores(texts[:5]).argmax(axis=1)
    assert [client.labels()[column] for column in best] == [
        predictor.labels[column] for column in predictor.decode(texts[:5]).scores.argmax(axis=1)
    ]


def test_tokeniser_and_postprocess_stay_small_and_never_load_paddle(triton):
    stubs = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_text().split("\0")
            if "stub" in words[0] and words[1].startswith(str(triton.model_repository)):
                model = Path(words[1]).parts[-3]
                stubs[model] = (process / "maps").read_text(), (process / "statm").read_text()
        except OSError:  # it ended meanwhile
            continue
    assert set(stubs) == {"tokenizer", "seqcls_model", "seqcls_postprocess"}
    for model, (maps, statm) in stubs.items():
        assert "paddle" not in maps
        if model != "seqcls_model":
            assert int(statm.split()[1]) * os.sysconf("SC_PAGE_SIZE") < MAX_RESIDENT_BYTES


def test_concurrent_requests_of_mixed_lengths_get_their_own_answers(triton, texts, expected):
    with TritonClient(triton.grpc_address) as client:
        answers = [answer for _, answer in client.classify_stream(texts, batch_size=3, in_flight=24)]
    assert_same(answers, expected)


def test_a_bad_request_to_a_component_fails_no_other_request(triton, texts, expected):
    """Requests that arrive together are run together."""
    bad = grpc.InferInput("input_ids", [1, 3], "INT64"), grpc.InferInput("token_type_ids", [1, 3], "INT64")
    bad[0].set_data_from_numpy(np.array([[2, 10**9, 3]]))
    bad[1].set_data_from_numpy(np.zeros((1, 3), np.int64))
    faults: queue.Queue[Exception | None] = queue.Queue()
    with grpc.InferenceServerClient(triton.grpc_address) as raw, TritonClient(triton.grpc_address) as client:
        for _ in range(200):
            raw.async_infer("seqcls_model", list(bad), lambda result, error: faults.put(error))
        answers = [answer for _, answer in client.classify_stream(texts, batch_size=1, in_flight=16)]
        refused = [str(faults.get(timeout=30)) for _ in range(200)]
    assert_same(answers, expected)
    assert all("row 0: token id 1000000000 is outside the vocabulary" in fault for fault in refused)


def test_more_bytes_than_a_request_holds_are_asked_in_several(client):
    assert all(answer.truncated for answer in client.classify(["裁" * 199_000] * 40))
