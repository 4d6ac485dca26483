"""Texts that are longer than the model takes at once get one answer, whoever gives it."""

import itertools
import shutil
from dataclasses import replace

import numpy as np
import pytest

from clients.http_client import HttpClient
from clients.triton import TritonClient
from pipeline.compute.engine import Engine
from pipeline.errors import InputError
from pipeline.files.bundle import Bundle, seal
from pipeline.files.dataset import read_texts
from pipeline.predictor import Predictor
from pipeline.text.long_texts import LongTexts
from serving.paddle.deployment import PaddleDeployment
from serving.paddle.options import PaddleOptions
from serving.paddle.server import PaddlePorts, PaddleServer
from serving.process.ports import Ports
from serving.publish import PublishOptions, publish
from serving.triton.deployment import TritonDeployment
from serving.triton.options import ServingOptions
from serving.triton.repository import ModelRepository
from tests.explanations import assert_same_reasons
from tests.serving.passing import PassingServer

WAYS = {"head_tail": LongTexts("head_tail"), "windows": LongTexts("windows", "mean", 4)}


@pytest.fixture(scope="module", params=WAYS)
def long_bundle(request, bundle, tmp_path_factory):
    """The tests' bundle, which reads long texts in another way."""
    folder = tmp_path_factory.mktemp("long") / request.param
    shutil.copytree(bundle.path, folder)
    return seal(folder, replace(bundle.manifest, long_texts=WAYS[request.param]))


@pytest.fixture(scope="module")
def texts(sample_dataset):
    """Of less than a window to more than four, one after the other; and of a thousand."""
    single = itertools.cycle([text.split("\t")[0] for text in read_texts(sample_dataset / "test.txt", tabs=True)])
    joined = ["".join(itertools.islice(single, count)) for count in (1, 3, 5, 8, 12, 1, 20, 2, 16, 4)]
    return [*joined, joined[-1] * 1000]


@pytest.fixture(scope="module")
def expected(long_bundle, texts):
    answers = Predictor(long_bundle).predict(texts)
    read = long_bundle.manifest.most_tokens
    assert [answer.truncated for answer in answers] == [len(text) > read for text in texts]
    assert sum(answer.truncated for answer in answers) >= 3
    return answers


def assert_same(answers, expected):
    assert [answer.truncated for answer in answers] == [answer.truncated for answer in expected]
    for answer, wanted in zip(answers, expected, strict=True):
        assert dict(answer) == pytest.approx(dict(wanted), abs=1e-3)


@pytest.mark.parametrize("batch_size", [1, 11])
def test_triton_answers_as_in_process(long_bundle, texts, expected, tmp_path, batch_size):
    repository = ModelRepository(tmp_path / "repository")
    padded = (64, 96) if batch_size == 1 else ()
    TritonDeployment(repository).publish(long_bundle, ServingOptions(padded_lengths=padded))
    with PassingServer(repository.path, ports=Ports.free(), state_dir=tmp_path / "state") as server:
        server.wait_ready()
        with TritonClient(server.grpc_address) as client:
            assert_same([answer for _, answer in client.classify_stream(texts, batch_size)], expected)
            few = texts[-2:]
            assert_same_reasons(client.classify(few, explain=True), Predictor(long_bundle).explain(few))
            assert client.model().max_seq_length == long_bundle.manifest.most_tokens


def test_paddle_serving_answers_as_in_process(python39, long_bundle, texts, expected, tmp_path):
    folder = tmp_path / "published"
    PaddleDeployment(folder).publish(long_bundle, PaddleOptions(request_seconds=10))
    with PaddleServer(folder, PaddlePorts.free(), state_dir=tmp_path / "state") as server:
        server.wait_ready()
        with HttpClient(server.http_address) as client:
            assert_same(client.classify(texts), expected)
            few = texts[-2:]
            assert_same_reasons(client.classify(few, explain=True), Predictor(long_bundle).explain(few))
            assert client.model().max_seq_length == long_bundle.manifest.most_tokens


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_packed_and_padded_batches_of_windows_give_the_same(long_bundle, texts, runtime):
    rows = long_bundle.encoder().encode(texts)
    engine = Engine(long_bundle, runtime)
    alone = np.concatenate([engine.logits([row]) for row in rows])
    assert engine.logits(rows) == pytest.approx(alone, abs=1e-4)
    assert alone == pytest.approx(Predictor(long_bundle).logits(texts), abs=1e-4)


def test_shorter_windows_are_read_where_fewer_tokens_are_asked_for(long_bundle, texts):
    predictor = Predictor(long_bundle, max_seq_length=16)
    read = long_bundle.manifest.long_texts.most_tokens(16)
    assert [len(row) for row in predictor.encoder.encode(texts[-2:])] == [read, read]
    assert predictor.predict(texts)[-1].truncated


def test_a_native_backend_cannot_read_windows(long_bundle, tmp_path):
    options = PublishOptions(
        bundle=long_bundle.path, only="triton", backend="native", model_repository=tmp_path / "repository"
    )
    if long_bundle.manifest.long_texts.way == "head_tail":
        publish(options)
        return
    with pytest.raises(InputError, match="reads long texts in windows, which Triton's own backends cannot; leave out"):
        publish(options)
    assert not (tmp_path / "repository").exists() or not ModelRepository(tmp_path / "repository").versions()


def test_the_format_is_the_oldest_that_says_so(long_bundle, bundle):
    plain = [replace(each.manifest, calibration=None) for each in (bundle, long_bundle)]
    assert [manifest.to_json()["format_version"] for manifest in plain] == [1, 3]
    assert Bundle(long_bundle.path).manifest.long_texts == long_bundle.manifest.long_texts
