"""A linear part, beside an encoder and alone, gives the same answers from both servers and the predictor."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from clients.http_client import HttpClient
from clients.triton import TritonClient
from pipeline.files.bundle import Bundle, seal
from pipeline.files.manifest import Golden
from pipeline.predictor import Predictor
from pipeline.text.linear import LINEAR_FILE
from serving.paddle.deployment import PaddleDeployment
from serving.paddle.options import PaddleOptions
from serving.paddle.server import PaddlePorts, PaddleServer
from serving.process.ports import Ports
from serving.publish import PublishOptions, publish
from serving.triton.deployment import TritonDeployment
from serving.triton.options import ServingOptions
from serving.triton.repository import ModelRepository
from serving.triton.server.options import TritonOptions
from tests.explanations import assert_same_reasons
from tests.serving.passing import PassingServer


@pytest.fixture(scope="module")
def joint(linear, bundle_path, tmp_path_factory) -> Bundle:
    """The tests' encoder with that linear part beside it."""
    folder = Path(shutil.copytree(bundle_path, tmp_path_factory.mktemp("joint") / "export"))
    shutil.copyfile(linear.file(LINEAR_FILE), folder / LINEAR_FILE)
    manifest = replace(Bundle(bundle_path).manifest, encoder_weight=0.5, goldens=())
    texts = [golden.text for golden in Bundle(bundle_path).manifest.goldens]
    answers = Predictor(seal(folder, manifest)).predict(texts)
    goldens = tuple(Golden(text, tuple(label for label, _ in answer)) for text, answer in zip(texts, answers))
    return seal(folder, replace(manifest, goldens=goldens))


@pytest.mark.parametrize("name", ["linear", "joint"])
def test_both_servers_answer_as_the_predictor(name, request, sample_dataset, python39, tmp_path):
    bundle = request.getfixturevalue(name)
    texts = [line.split("\t")[0] for line in (sample_dataset / "dev.txt").read_text("utf-8").splitlines()][:100]
    expected = Predictor(bundle).predict(texts)
    assert any(expected)
    repository = tmp_path / "repository"
    publish(PublishOptions(bundle=bundle.path, model_repository=repository))
    with PassingServer(repository, ports=Ports.free(), state_dir=tmp_path) as server:
        server.wait_ready()
        with TritonClient(server.grpc_address) as client:
            same(client.classify(texts), expected)
            assert_same_reasons(client.classify(texts[:5], explain=True), Predictor(bundle).explain(texts[:5]))
            same([answer for _, answer in client.classify_stream(texts)], expected)
    folder = tmp_path / "paddle"
    PaddleDeployment(folder).publish(bundle, PaddleOptions())
    with PaddleServer(folder, PaddlePorts.free(), state_dir=tmp_path) as service:
        service.wait_ready()
        with HttpClient(service.http_address) as client:
            same(client.classify(texts), expected)
            assert_same_reasons(client.classify(texts[:5], explain=True), Predictor(bundle).explain(texts[:5]))


def test_bundles_with_and_without_a_linear_part_follow_each_other_in_a_server(linear, joint, bundle_path, tmp_path):
    repository = ModelRepository(tmp_path / "repository")
    TritonDeployment(repository).publish(Bundle(bundle_path), ServingOptions())
    options = TritonOptions(model_control_mode="explicit", load_model=("*",))
    places = {"ports": Ports.free(), "state_dir": tmp_path / "state"}
    with PassingServer(repository.path, options=options, admin_key="secret", **places) as server:
        server.wait_ready()
        deployment = TritonDeployment(repository, [server.control])
        for bundle in (linear, joint):
            deployment.publish(bundle, ServingOptions())
            assert deployment.check(server.control).bundle == bundle.identity
        for number in (2, 1, 3):
            deployment.roll_back(number)
            assert deployment.check(server.control).number == number


def same(answers, expected) -> None:
    for answer, wanted in zip(answers, expected, strict=True):
        assert {label for label, _ in answer} == {label for label, _ in wanted}
        assert dict(answer) == pytest.approx(dict(wanted), abs=1e-3)
        assert answer.truncated == wanted.truncated
