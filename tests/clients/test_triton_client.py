import contextlib
import json
import signal
import socket
import subprocess
import sys
import threading

import numpy as np
import pytest
from tritonclient import grpc

from clients.http_client import HttpClient
from clients.triton import TritonClient
from pipeline.errors import InputError, ServerError
from pipeline.files.bundle import Bundle
from tests.clients.stand_in import says
from tests.conftest import ENVIRONMENT, PROJECT, run_command


def client(triton, *arguments, **options):
    return run_command("-m", "clients.triton", "--url", triton.grpc_address, *arguments, **options)


@pytest.fixture
def each(triton):
    with TritonClient(triton.grpc_address) as client:
        yield client


@pytest.fixture(scope="module")
def texts(sample_dataset):
    return (sample_dataset / "data.txt").read_text().splitlines()[:40]


def test_texts_from_the_command_line_are_answered_as_trees(triton):
    shown = client(triton, "某公司宣布裁员", "两地相继发生地震").stdout
    assert "某公司宣布裁员\n  " in shown
    assert "─ " in shown


def test_a_file_is_answered_line_by_line(triton, sample_dataset):
    path = sample_dataset / "data.txt"
    shown = client(triton, "--file", path, "--format", "jsonl", "--batch_size", 7).stdout.splitlines()
    assert [json.loads(line)["text"] for line in shown] == path.read_text().splitlines()


def test_standard_input_is_answered_as_a_stream(triton):
    words = [sys.executable, "-m", "clients.triton", "--url", triton.grpc_address, "--format", "jsonl"]
    done = subprocess.run(
        words, cwd=PROJECT, input="裁员\n地震\n", capture_output=True, text=True, check=True, timeout=60
    )
    assert len(done.stdout.splitlines()) == 2


def test_rows_before_a_wrong_line_are_answered(triton, tmp_path):
    path = tmp_path / "data.txt"
    path.write_text("裁员\n地震\n上市\t公司\n上市\n")
    done = client(triton, "--file", path, "--format", "jsonl", check=False)
    assert done.returncode == 2
    assert len(done.stdout.splitlines()) == 2
    assert f"error: {path}:3: there is a tab" in done.stderr


def test_blank_lines_are_passed_over_and_counted(triton, tmp_path):
    path = tmp_path / "data.txt"
    path.write_text("裁员\n\n地震\n \n")
    done = client(triton, "--file", path, "--format", "jsonl")
    assert [json.loads(line)["text"] for line in done.stdout.splitlines()] == ["裁员", "地震"]
    assert "passed over: 2 blank lines, the first of them line 2" in done.stderr


def test_a_text_that_the_server_refuses_is_placed(triton):
    with (
        TritonClient(triton.grpc_address) as each,
        pytest.raises(InputError, match="in text 4: (?!.*row).*empty"),
    ):
        list(each.classify_stream(["一", "二", "三", ""], batch_size=2))


def test_texts_before_one_that_cannot_be_sent_are_answered(triton):
    with TritonClient(triton.grpc_address) as each:
        answers = each.classify_stream(["一", "二", "\udcff"], batch_size=1)
        assert [next(answers)[0], next(answers)[0]] == ["一", "二"]
        with pytest.raises(InputError, match="holds a lone surrogate"):
            next(answers)


def test_nobody_listening_is_said_with_what_to_do():
    done = run_command("-m", "clients.triton", "--url", "127.0.0.1:9", "text", check=False)
    assert done.returncode == 4
    assert "no Triton server answers at 127.0.0.1:9" in done.stderr
    assert "make serve" in done.stderr


def test_an_impatient_client_gets_a_time_out(triton):
    with (
        TritonClient(triton.grpc_address, timeout_seconds=1e-4) as each,
        pytest.raises(ServerError, match=r"0\.0001 s"),
    ):
        each.classify(["裁员"])


def test_no_texts_are_no_request():
    with TritonClient("127.0.0.1:9") as each:
        assert each.classify([]) == []


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ("裁员", "texts is '裁员', a str; give a list of texts"),
        (b"text", "texts is b'text', a bytes; give a list of texts"),
        ({"text"}, "texts is {'text'}, a set; give a list of texts"),
        ({"text": 1}, "texts is {'text': 1}, a dict; give a list of texts"),
        (iter(["text"]), "texts is <list_iterator .*, a list_iterator; give a list of texts"),
        (["裁员", None], "row 1: None is a NoneType, not a text"),
        ([b"text"], "row 0: b'text' is a bytes, not a text"),
        (["\udcff"], "holds a lone surrogate"),
    ],
)
def test_what_is_no_list_of_texts_is_never_sent(texts, message):
    with TritonClient("127.0.0.1:9") as client:
        for ask in (client.classify, client.scores):
            with pytest.raises(InputError, match=message):
                ask(texts)


@pytest.mark.parametrize("texts", ["裁员", b"text", {"text"}, iter(["text"])])
def test_the_http_client_refuses_them_too(texts):
    with HttpClient("127.0.0.1:9") as client, pytest.raises(InputError, match="texts is .*; give a list of texts"):
        client.classify(texts)


def test_only_labels_and_confidences_are_asked_for(stand_in):
    with TritonClient(stand_in.grpc_address) as client:
        assert says(client, "outputs") == "confidence label"


def test_options_travel_with_the_request_as_text(stand_in):
    with TritonClient(stand_in.grpc_address) as client:
        options = {"threshold": np.float32(0.25), "policy": "top_down", "top_k": 3}
        [[prediction]] = client.classify(["parameters"], **options)
        assert json.loads(prediction.label).items() >= {"threshold": "0.25", "policy": "top_down", "top_k": "3"}.items()
        [[plain]] = client.classify(["parameters"])
        assert not json.loads(plain.label).keys() & options.keys()


def test_options_from_the_command_line_travel_too(stand_in):
    options = ("--threshold", 0.25, "--policy", "single_path", "--top_k", 2, "--format", "jsonl")
    shown = json.loads(client(stand_in, *options, "parameters").stdout)
    wanted = {"threshold": "0.25", "policy": "single_path", "top_k": "2"}
    assert json.loads(shown["labels"][0]["label"]).items() >= wanted.items()


def test_several_servers_from_the_command_line(stand_in):
    words = ("--url", "127.0.0.1:9", "--retries", 0, "--timeout_seconds", 20, "--batch_size", 1)
    assert client(stand_in, *words, "one", "two", "three").stdout.count("─ ") == 3


def test_a_threshold_of_one_request_decides_its_labels_and_no_other(each, texts):
    plain = each.classify(texts)
    for threshold in (0.05, 0.9):
        answers = each.classify(texts, threshold=threshold, policy="threshold")
        for row, answer in zip(each.scores(texts), answers, strict=True):
            assert len(answer) == max(1, (row >= threshold).sum())  # the bundle says at_least_one
            assert [p.confidence for p in answer] == sorted(row)[::-1][: len(answer)]
    assert each.classify(texts) == plain


def test_top_k_keeps_the_most_confident(each, texts):
    plain = each.classify(texts)
    assert max(map(len, plain)) > 1
    assert [len(answer) for answer in each.classify(texts, top_k=1)] == [1] * len(texts)
    assert each.classify(texts, top_k=10_000) == plain


def test_a_policy_shapes_the_sets(each, texts):
    for answer in each.classify(texts, policy="single_path", threshold=0.05):
        deepest = max((p.label for p in answer), key=lambda label: label.count("##"))
        assert all(deepest == p.label or deepest.startswith(f"{p.label}##") for p in answer)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": 1.5}, r"threshold 1\.5 lies outside \(0, 1\)"),
        ({"threshold": "half"}, "threshold.*'half'"),
        ({"threshold": float("nan")}, "threshold"),
        ({"policy": "best"}, "unknown decoding policy 'best'"),
        ({"top_k": 0}, "top_k is 0"),
        ({"top_k": 2.5}, "top_k.*2.5"),
    ],
)
def test_options_that_cannot_be_used_are_refused(each, options, message):
    with pytest.raises(InputError, match=message):
        each.classify(["裁员"], **options)
    assert each.classify(["裁员"])


def test_scores_are_those_of_every_label(each, texts, bundle_path):
    labels = Bundle(bundle_path).hierarchy.labels
    scores = each.scores(texts)
    assert (scores.dtype, scores.shape) == (np.float32, (len(texts), len(labels)))
    assert ((scores > 0) & (scores < 1)).all()
    for row, answer in zip(scores, each.classify(texts, policy="threshold")):
        for label, confidence in answer:
            assert row[labels.index(label)] == confidence


@pytest.mark.parametrize("way", ["infer", "async_infer"])
def test_the_way_of_asking_that_gets_all_it_needs_from_the_server_works(triton, texts, way):
    """Ready? Which inputs, which outputs? One text array for the one input, all outputs: as older clients ask."""
    model = {"model_name": "seqcls", "model_version": "1"}
    with grpc.InferenceServerClient(triton.grpc_address) as raw:
        assert raw.is_server_live()
        assert raw.is_server_ready()
        assert raw.is_model_ready(**model)
        metadata, config = raw.get_model_metadata(**model), raw.get_model_config(**model).config
        assert len(metadata.inputs) == len(config.input) == 1
        assert config.max_batch_size >= len(texts)
        values = np.array([[text.encode("utf-8")] for text in texts], np.object_)
        tensor = grpc.InferInput(metadata.inputs[0].name, list(values.shape), metadata.inputs[0].datatype)
        tensor.set_data_from_numpy(values)
        request = {**model, "inputs": [tensor], "client_timeout": 60}
        request["outputs"] = [grpc.InferRequestedOutput(output.name) for output in metadata.outputs]
        result = raw.infer(**request) if way == "infer" else infer_by_callback(raw, request)
        answer = {output.name: result.as_numpy(output.name) for output in metadata.outputs}
    with TritonClient(triton.grpc_address) as client:
        for labels, confidences, predictions in zip(
            answer["label"], answer["confidence"], client.classify(texts), strict=True
        ):
            found = [(label.decode(), confidence) for label, confidence in zip(labels, confidences) if label]
            assert found == predictions


def infer_by_callback(raw, request):
    done, answers = threading.Event(), []

    def finish(result, error):
        answers.append((result, error))
        done.set()

    raw.async_infer(**request, callback=finish)
    assert done.wait(60)
    [(result, error)] = answers
    assert error is None
    return result


@contextlib.contextmanager
def started(*arguments):
    # As at a terminal, even where the tests run in the background or under nohup, which ignore these signals.
    words = ["env", "--default-signal=INT,HUP", sys.executable, "-m", "clients.triton", *map(str, arguments)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(words, cwd=PROJECT, env=ENVIRONMENT, **pipes) as process:
        try:
            yield process
        finally:
            process.kill()


def test_a_reader_that_goes_away_is_no_error(stand_in, tmp_path):
    path = tmp_path / "data.txt"
    path.write_text("text\n" * 20_000)
    with started("--url", stand_in.grpc_address, "--file", path) as process:
        assert process.stdout.readline() == b"text\n"
        process.stdout.close()
        assert process.wait(60) == 0
        assert process.stderr.read() == b""


def test_an_interrupt_ends_it_at_once_whatever_is_under_way():
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        address = f"127.0.0.1:{mute.getsockname()[1]}"
        with started("--url", address, "--timeout_seconds", 3600, "--retries", 1000, "text") as process:
            mute.accept()[0].close()
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 130
            assert process.stderr.read() == b""


def test_a_client_may_be_used_from_many_threads(stand_in):
    answers = {}
    with TritonClient(stand_in.grpc_address, retries=20) as client:

        def ask(name):
            texts = [f"{name}-{number}" for number in range(40)]
            answers[name] = [(text, p[0].label) for text, p in client.classify_stream(texts, batch_size=3)]

        threads = [threading.Thread(target=ask, args=(name,)) for name in "abcd"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert answers == {name: [(f"{name}-{number}",) * 2 for number in range(40)] for name in "abcd"}
