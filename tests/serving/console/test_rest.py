"""What programs ask the console, and what it answers."""

import time
from urllib.request import urlopen

import numpy as np
import pytest

from clients.triton import TritonClient
from pipeline.files.bundle import Bundle
from pipeline.files.dataset import read_texts
from pipeline.files.feedback import read_feedback
from pipeline.predictor import Predictor
from tests.serving.console.running import Console
from tests.serving.tiny_model import eventually

TEXT = "某公司宣布裁员两千人"


@pytest.fixture(scope="module")
def texts(sample_dataset):
    return list(read_texts(sample_dataset / "data.txt"))[:20]


def as_pairs(answers):
    return [
        [(each["label"], pytest.approx(each["confidence"], abs=1e-5)) for each in answer["labels"]]
        for answer in answers
    ]


def test_it_answers_as_the_predictor_does(console, bundle_path, texts):
    status, given, headers = console.ask("/classify", {"texts": texts})
    predictor = Predictor(bundle_path)
    assert status == 200
    assert given["bundle"] == predictor.bundle.identity
    assert as_pairs(given["answers"]) == [list(answer) for answer in predictor.predict(texts)]
    assert {answer["truncated"] for answer in given["answers"]} == {False}
    assert headers["cache-control"] == "no-store"


def test_it_answers_as_the_server_that_it_asks(triton, texts):
    address = f"127.0.0.1:{triton.ports.grpc}"
    with Console("--url", address) as console, TritonClient(address) as client:
        assert f"answered by Triton {address}: version 1, bundle " in console.said
        given = console.ask("/classify", {"texts": texts, "threshold": 0.2, "policy": "top_down", "top_k": 2})[1]
        assert as_pairs(given["answers"]) == [list(each) for each in client.classify(texts, 0.2, "top_down", 2)]
        described = console.ask("/model")[1]
        assert described["labels"] == client.labels()
        assert described["decoding"] == {"policy": "ancestors", "at_least_one": True, "top_k": None}
        assert len(described["thresholds"]) == len(described["parents"]) == len(described["labels"])


def test_the_page_gets_scores_to_the_bit(console, bundle_path, texts):
    decoded = Predictor(bundle_path).decode(texts[:1])
    (given,) = console.ask("/scores", {"texts": texts[:1]})[1]["answers"]
    np.testing.assert_array_equal(np.array(given["scores"], np.float32), decoded.scores[0, given["columns"]])


def test_clients_of_vllm_and_of_text_embeddings_inference_change_an_address(console, bundle_path):
    scores = Predictor(bundle_path).decode([TEXT, "地震"]).scores
    given = console.ask("/classify", {"model": "any", "input": [TEXT, "地震"]})[1]
    assert given["object"] == "list"
    assert [each["index"] for each in given["data"]] == [0, 1]
    np.testing.assert_allclose([each["probs"] for each in given["data"]], scores, atol=1e-5)
    one = console.ask("/predict", {"inputs": TEXT})[1]
    assert [each["score"] for each in one] == pytest.approx(sorted(scores[0], reverse=True), abs=1e-5)
    assert console.ask("/predict", {"inputs": [[TEXT], ["地震"]]})[1][0] == one
    status, refused, _ = console.ask("/predict", {"inputs": [TEXT, "地震"]})
    assert status == 400
    assert "pairs of texts" in refused["error"]


def test_it_says_which_words_carry_a_label(console, bundle_path):
    given = console.ask("/classify", {"texts": [TEXT], "explain": True})[1]["answers"][0]
    assert given["explanation"] == Predictor(bundle_path).explain([TEXT])[0].why.fields()
    assert console.ask("/classify", {"texts": [TEXT]})[1]["answers"][0]["explanation"] is None
    status, refused, _ = console.ask("/classify", {"texts": [TEXT] * 17, "explain": True})
    assert (status, refused["error"]) == (400, "17 texts are to be explained; ask for at most 16 at once")


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"texts": ["", TEXT]}, 400, "row 0: text is empty"),
        ({"texts": [TEXT, "a" * 200_001]}, 400, "row 1: text of 200,001 characters"),
        ({"texts": []}, 422, "at least 1 item"),
        ({"texts": ["a"] * 1025}, 422, "at most 1024 items"),
        ({"texts": TEXT}, 422, "valid list"),
        ({"texts": [TEXT], "threshhold": 0.2}, 422, "threshhold"),
        ({"texts": [TEXT], "threshold": 1}, 422, "less than 1"),
        ({"texts": [TEXT], "policy": "best"}, 422, "policy"),
        ({"texts": [TEXT], "input": TEXT}, 422, "input: Extra inputs are not permitted"),
        ({"texts": [TEXT], "top_k": 0}, 422, "top_k"),
        ([], 422, ""),
        (b"{", 422, "the body is no JSON: "),
        (b'{"texts": ["a"], "texts": ["b"]}', 400, "an object has the key 'texts' twice"),
        pytest.param(b"[" * 5000, 400, "parsing the body", id="nested"),
        (b'{"texts": ["a\\ud800"]}', 400, "row 0: 'a\\ud800' holds half of a surrogate pair at character 2"),
    ],
)
def test_what_cannot_be_answered_is_refused_with_a_reason(console, body, status, said):
    given, refused, _ = console.ask("/classify", body)
    assert given == status
    assert said in refused["error"]
    assert TEXT not in refused["error"]


def test_prometheus_reads_how_much_it_answers(console):
    before = console.ask("/metrics")[1]
    console.ask("/classify", {"texts": [TEXT]})
    console.ask("/classify", {"texts": [""]})
    after = console.ask("/metrics")[1]

    def value(page, name):
        return float(next((line for line in page.splitlines() if line.startswith(name)), "0 0").split()[1])

    for name in ("text_classifier_console_texts_total", 'text_classifier_console_refused_requests_total{status="400"}'):
        assert value(after, name) == value(before, name) + 1
    assert console.ask("/health")[:2] == (200, "ok\n")


@pytest.mark.parametrize("path", ["/absent", "/classify"])
def test_other_paths_and_methods_are_refused_in_the_same_form(console, path):
    status, refused, _ = console.ask(path)
    assert status in (404, 405)
    assert list(refused) == ["error"]


def test_a_refusal_says_which_row_whoever_answers(console, triton):
    with Console("--url", f"127.0.0.1:{triton.ports.grpc}") as asks_triton:
        for each in (console, asks_triton):
            for bad in ("\u200b", "a" * 200_001, "a\ud800"):
                status, refused, _ = each.ask("/scores", {"texts": [TEXT, bad, TEXT]})
                assert (status, refused["row"], refused["error"][:7]) == (400, 1, "row 1: ")


def test_looking_whether_it_is_there_counts_as_no_text(triton):
    def texts():
        with urlopen(f"http://127.0.0.1:{triton.ports.metrics}/metrics") as page:
            return [
                line for line in page.read().decode().splitlines() if line.startswith("text_classifier_texts_total")
            ]

    def settled():
        before = texts()
        time.sleep(1)
        return texts() == before

    with Console("--url", f"127.0.0.1:{triton.ports.grpc}") as console:
        assert eventually(settled)
        before = texts()
        assert [console.ask("/health")[0] for _ in range(5)] == [200] * 5
        time.sleep(1)
        assert texts() == before


def test_openapi_describes_it_without_another_site(console):
    described = console.ask("/openapi.json")[1]
    assert {"/classify", "/predict", "/scores", "/model", "/health", "/metrics"} <= set(described["paths"])
    assert console.ask("/docs")[0] == console.ask("/redoc")[0] == 404


def test_it_says_what_to_do_where_nothing_answers():
    with Console("--url", "127.0.0.1:9") as console:
        pass
    assert console.status == 4
    assert "start a server (make serve), or name a bundle" in console.said + console.output


def test_what_people_say_of_answers_is_kept(bundle_path, tmp_path):
    said = {
        "who": "Anna",
        "text": TEXT,
        "answered": ["组织关系"],
        "labels": ["组织关系##裁员"],
        "bundle": "0123456789ab",
    }
    with Console("--bundle", bundle_path, "--feedback_file", tmp_path / "feedback.jsonl") as console:
        live = Bundle(bundle_path).identity
        assert console.ask("/feedback", said)[:2] == (200, {"kept": True, "bundle": live})
        assert console.ask("/feedback", said)[:2] == (200, {"kept": False, "bundle": live})
        assert console.ask("/feedback", {**said, "labels": None})[1] == {"kept": True, "bundle": live}
        for change, reason in (
            ({"labels": ["无"]}, "'无' is no label of the model"),
            ({"who": " "}, "give a name"),
            ({"text": ""}, "text is empty"),
        ):
            status, refused, _ = console.ask("/feedback", {**said, **change})
            assert (status, reason in refused["error"]) == (400, True)
    kept = list(read_feedback(tmp_path / "feedback.jsonl"))
    assert [(each.who, each.text, each.labels) for each in kept] == [
        ("Anna", TEXT, ("组织关系##裁员",)),
        ("Anna", TEXT, None),
    ]
