"""What callers get over RPC and HTTP."""

from __future__ import annotations

import json
import socket
import threading
import urllib.request

import pytest

from clients.http_client import HttpClient
from pipeline.errors import InputError
from pipeline.predictor import Predictor
from tests.conftest import run_command
from tests.explanations import assert_same_reasons


@pytest.fixture(scope="module")
def texts(sample_dataset) -> list[str]:
    texts = [line.split("\t")[0] for line in (sample_dataset / "test.txt").read_text().splitlines()]
    return [*texts, texts[0] + "。" + "无关" * 500]


@pytest.fixture(scope="module")
def predicted(bundle_path, texts):
    return [dict(row) for row in Predictor(bundle_path).predict(texts)]


@pytest.fixture
def client(service):
    with HttpClient(service.http_address) as each:
        yield each


@pytest.mark.parametrize("way", ["rpc", "http"])
def test_both_ways_give_a_file_the_predictors_labels_and_confidences(
    service, in_serving, texts, predicted, tmp_path, way
):
    path = tmp_path / "texts.txt"
    path.write_text("\n".join(texts), encoding="utf-8")
    ask, module, url = {
        "rpc": (in_serving, "clients.rpc_client", service.rpc_address),
        "http": (run_command, "clients.http_client", service.http_address),
    }[way]
    lines = ask("-m", module, "--url", url, "--file", path, "--format", "jsonl").stdout.splitlines()
    answers = [json.loads(line) for line in lines]
    assert [answer["text"] for answer in answers] == texts
    for answer, expected in zip(answers, predicted):
        got = {entry["label"]: entry["confidence"] for entry in answer["labels"]}
        assert got == pytest.approx(expected, abs=1e-3)
    assert [answer["truncated"] for answer in answers] == [False] * (len(texts) - 1) + [True]


def test_the_words_that_carry_a_label_are_those_of_the_predictor(client, bundle_path, texts):
    asked = [*texts[:5], "!?", texts[-1]]
    assert_same_reasons(client.classify(asked, explain=True), Predictor(bundle_path).explain(asked))
    assert [answer.why for answer in client.classify(asked)] == [None] * len(asked)


@pytest.mark.parametrize(
    ("said", "times", "reason"), [("yes", 1, "give true or false"), ("1", 8, "send fewer, and the")]
)
def test_why_that_cannot_be_told_is_refused(client, texts, said, times, reason):
    with pytest.raises(InputError, match=reason):
        client.ask(["sentence", "explain"], [json.dumps(texts[:1] * times), said], 5)


UPSTREAM = """
import json, sys
import numpy as np
from paddle_serving_server.pipeline import PipelineClient
client, texts = PipelineClient(), json.loads(sys.argv[2])
client.connect([sys.argv[1]])
for sent in (texts, np.array([text.encode() for text in texts], dtype=np.object_)):
    answer = client.predict(feed_dict={"sentence": sent}, fetch=["label"])
    print(json.dumps([answer.err_no, answer.err_msg, list(answer.value)]))
"""


def test_upstreams_own_client_gets_an_answer_per_text(service, in_serving, texts, predicted):
    done = in_serving("-c", UPSTREAM, service.rpc_address, json.dumps(texts[:2], ensure_ascii=False))
    answers = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[")]
    assert len(answers) == 2
    for err_no, err_msg, value in answers:
        assert (err_no, err_msg) == (0, "")
        assert [{entry["label"] for entry in row} for row in json.loads(value[0])] == list(map(set, predicted[:2]))


def test_the_plainest_request_is_one_text_under_the_key_sentence(service, texts, predicted):
    body = json.dumps({"key": ["sentence"], "value": [texts[0]]}).encode()
    with urllib.request.urlopen(f"http://{service.http_address}/seq_cls/prediction", body, timeout=10) as response:
        answer = json.load(response)
    assert (answer["err_no"], answer["err_msg"], answer["key"]) == (0, "", ["label", "truncated"])
    (row,) = json.loads(answer["value"][0])
    assert json.loads(answer["value"][1]) == [False]
    assert {entry["label"] for entry in row} == set(predicted[0])
    assert [entry["confidence"] for entry in row] == sorted((entry["confidence"] for entry in row), reverse=True)


def test_a_request_may_choose_its_decoding(client, texts):
    everything = client.classify(texts[:2], threshold=0.000001, policy="threshold")
    assert all(len(row) > 50 for row in everything)
    assert [len(row) for row in client.classify(texts[:2], threshold=0.000001, top_k=3)] == [3, 3]
    with pytest.raises(InputError, match="policy"):
        client.classify(texts[:1], policy="best")


def test_a_text_that_begins_with_a_bracket_is_sent_in_an_array(client):
    assert len(client.classify(["[视频]某公司宣布裁员两千人"])) == 1
    with pytest.raises(InputError, match="begins with"):
        client.ask(["sentence"], ["[视频]某公司宣布裁员两千人"], 5)


def test_an_error_names_the_row(client, texts):
    with pytest.raises(InputError, match="row 1: text is empty"):
        client.classify([texts[0], ""])


def test_what_is_too_large_for_a_request_goes_in_several(client, service, texts, predicted, in_serving):
    answers = client.classify([*texts, "裁" * 100_000, *["裁" * 10_000] * 50])
    assert [set(dict(answer)) for answer in answers[: len(texts)]] == [set(row) for row in predicted]
    assert [answer.truncated for answer in answers[-51:]] == [True] * 51
    over_rpc = json.loads(in_serving("-c", TOO_LARGE, service.rpc_address).stdout)
    assert over_rpc == [[True] * 50, client.labels()]


TOO_LARGE = """
import json, os, sys
from clients.rpc_client import RpcClient
os.environ["http_proxy"] = "http://127.0.0.1:9"  # nobody is there
with RpcClient(sys.argv[1]) as client:
    answers = client.classify(["裁" * 10_000] * 50)
    print(json.dumps([[answer.truncated for answer in answers], client.labels()]))
"""


def test_the_labels_are_those_of_the_scores(client, bundle_path):
    predictor = Predictor(bundle_path)
    assert client.labels() == predictor.labels
    assert client.model().bundle == predictor.bundle.identity


def test_a_single_text_that_is_too_large_is_refused_and_not_sent_again(client):
    with pytest.raises(InputError, match="send at most 1048576"):
        client.classify(["裁员", "裁" * 400_000, "裁员"])
    with pytest.raises(InputError, match="row 2: "):
        client.classify(["裁员", "裁员", ""])


LATE = """
import sys
from clients.http_client import HttpClient
from clients.paddle_client import TooLate
try:
    HttpClient(sys.argv[1], timeout_seconds=0.5).classify(["裁员"])
except TooLate as error:
    print(error)
"""


def test_a_server_that_says_nothing_is_late_in_python_3_9_too(in_serving):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert "no answer within 0.5 s" in in_serving("-c", LATE, f"127.0.0.1:{silent.getsockname()[1]}").stdout


def test_clients_at_the_same_time_get_their_own_answers(service, texts, predicted):
    wrong = []

    def ask(start: int) -> None:
        with HttpClient(service.http_address) as client:
            for row in range(start, len(texts), 8):
                if {each.label for each in client.classify([texts[row]])[0]} != set(predicted[row]):
                    wrong.append(row)

    threads = [threading.Thread(target=ask, args=(start,)) for start in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.parametrize("right", [True, False])
def test_the_benchmarks_load_tells_right_answers_from_wrong_ones(
    service, in_serving, texts, predicted, tmp_path, right
):
    sent, expected = tmp_path / "texts.txt", tmp_path / "expected.jsonl"
    sent.write_text("\n".join(texts), encoding="utf-8")
    labels = [sorted(row) if right else ["another"] for row in predicted]
    expected.write_text("\n".join(map(json.dumps, labels)), encoding="utf-8")
    load = ("-m", "benchmarks.paddle.rpc_load", "--url", service.rpc_address, "--texts", sent, "--expected", expected)
    figures = json.loads(in_serving(*load, "--clients", 2, "--batch", 4, "--seconds", 0.5).stdout)
    assert figures["requests"] > 0
    assert (figures["errors"], figures["wrong"]) == (0, 0 if right else 4 * figures["requests"])
