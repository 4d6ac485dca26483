"""What a request gets that asks why, from a real Triton server."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request

import numpy as np
import pytest
from tritonclient import grpc
from tritonclient.utils import InferenceServerException

from clients.triton import TritonClient
from clients.triton_async import AsyncTritonClient
from pipeline.errors import InputError
from pipeline.explanation.pieces import Pieces
from pipeline.labels.explanation import Explanation
from pipeline.predictor import Predictor
from serving.triton.backend.counts import texts_answered
from tests.explanations import assert_same_reasons


@pytest.fixture(scope="module")
def predictor(bundle_path):
    return Predictor(bundle_path)


@pytest.fixture(scope="module")
def texts(sample_dataset):
    rows = (sample_dataset / "test.txt").read_text(encoding="utf-8").splitlines()[:8]
    return [*(row.split("\t")[0] for row in rows), "!?", "裁", rows[0] * 20]


def ask(triton, texts, parameters, *outputs):
    body = {"inputs": [{"name": "INPUT", "datatype": "BYTES", "shape": [len(texts), 1], "data": texts}]}
    body |= {"parameters": parameters, "outputs": [{"name": name} for name in outputs]}
    url = f"http://{triton.http_address}/v2/models/seqcls/infer"
    with urllib.request.urlopen(url, json.dumps(body).encode(), timeout=30) as response:
        return {output["name"]: output for output in json.load(response)["outputs"]}


def test_the_words_that_carry_a_label_are_those_of_the_predictor(triton, predictor, texts):
    expected = predictor.explain(texts)
    assert any(reasons for answer in expected for reasons in answer.why.labels.values())
    with TritonClient(triton.grpc_address) as client:
        assert_same_reasons(client.classify(texts, explain=True), expected)
        assert [answer.why for answer in client.classify(texts)] == [None] * len(texts)

    async def asked():
        async with AsyncTritonClient(triton.grpc_address) as client:
            return await client.classify(texts, explain=True)

    assert_same_reasons(asyncio.run(asked()), expected)


def test_other_choices_hold_for_it_too(triton, texts):
    with TritonClient(triton.grpc_address) as client:
        for answer in client.classify(texts[:3], threshold=0.01, top_k=1, explain=True):
            assert [label for label, _ in answer] == list(answer.why.labels)
            assert len(answer) <= 1


@pytest.mark.parametrize("value", [True, "True", "true", "1", 1])
def test_a_request_in_plain_json_is_told_why(triton, texts, value):
    answer = ask(triton, texts[:2], {"explain": value}, "label", "truncated", "explanation")
    assert {name: output["shape"][0] for name, output in answer.items()} == dict.fromkeys(answer, 2)
    for text, told in zip(texts, answer["explanation"]["data"]):
        for reasons in Explanation.from_json(told).labels.values():
            assert all(text[reason.start : reason.end] == reason.text for reason in reasons)


@pytest.mark.parametrize("parameters", [{}, {"explain": False}, {"explain": "false"}])
def test_who_does_not_ask_why_gets_nothing_there(triton, texts, parameters):
    assert ask(triton, texts[:2], parameters, "explanation")["explanation"]["data"] == ["", ""]


@pytest.mark.parametrize(
    ("parameters", "count", "reason"),
    [
        ({"explain": "yes"}, 1, "request parameter explain is 'yes'; give true or false"),
        ({"explian": True}, 1, "unknown request parameter 'explian'; did you mean 'explain'?"),
        ({"explain": True}, 8, "and one request may hold 128, copies without some words included; send fewer"),
    ],
)
def test_what_cannot_be_told_is_refused(triton, texts, parameters, count, reason):
    with pytest.raises(urllib.error.HTTPError) as refused:
        ask(triton, texts[:count], parameters, "label")
    assert refused.value.code == 400
    assert reason in json.load(refused.value)["error"]


def test_copies_count_as_texts_under_way(triton, predictor, texts):
    copies = len(Pieces.of(texts[0], predictor.encoder).pieces)
    before = texts_answered(triton.pid, 1)
    ask(triton, texts[:1], {"explain": True}, "label")
    assert copies > 5
    assert texts_answered(triton.pid, 1) - before == 1 + copies
    ask(triton, texts[:1], {}, "label")
    assert texts_answered(triton.pid, 1) - before == 2 + copies


def test_requests_that_do_not_ask_why_carry_no_pieces_and_travel_beside_those_that_do(triton, predictor, texts):
    given = grpc.InferInput("INPUT", [2, 1], "BYTES")
    given.set_data_from_numpy(np.array([[text.encode()] for text in texts[:2]], object))
    with grpc.InferenceServerClient(triton.grpc_address) as client:
        plain, asked = (client.infer("tokenizer", [given], parameters=each) for each in ({}, {"explain": "true"}))
    assert plain.as_numpy("pieces") is None and all(asked.as_numpy("pieces")[:2, 0])

    async def together():
        async with AsyncTritonClient(triton.grpc_address) as client:
            return await asyncio.gather(*(client.classify(texts[:1], explain=number % 3 == 0) for number in range(48)))

    (expected,) = predictor.explain(texts[:1])
    for number, (answer,) in enumerate(asyncio.run(together())):
        assert (answer.why is not None) == (number % 3 == 0)
        assert [label for label, _ in answer] == [label for label, _ in expected]


@pytest.mark.parametrize("pieces", [b"x", b"[1, [1], 1]", b'[9, [["a", 0, 1, 1]], "a"]'])
def test_the_last_step_takes_no_pieces_that_do_not_fit(triton, predictor, pieces):
    logits = np.zeros((2, len(predictor.labels)), np.float32)
    given = {"logits": logits, "pieces": np.array([[pieces], [pieces]], object)}
    inputs = []
    for name, values in given.items():
        inputs.append(grpc.InferInput(name, list(values.shape), "FP32" if name == "logits" else "BYTES"))
        inputs[-1].set_data_from_numpy(values)
    refused = pytest.raises(InferenceServerException, match="no pieces of a text|do not fit the rows")
    with grpc.InferenceServerClient(triton.grpc_address) as client, refused:
        client.infer("seqcls_postprocess", inputs)


def test_a_server_of_an_earlier_release_refuses(triton, texts, monkeypatch):
    monkeypatch.setattr("clients.triton_request.EXPLANATION", "why")
    with TritonClient(triton.grpc_address) as client, pytest.raises(InputError, match="why"):
        client.classify(texts[:1], explain=True)
