"""Labels with several parents on both servers."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from clients.http_client import HttpClient
from clients.triton import TritonClient
from pipeline.files.bundle import Bundle, seal
from pipeline.files.manifest import Golden, LabelGraph
from pipeline.predictor import Predictor
from serving.paddle.deployment import PaddleDeployment
from serving.paddle.options import PaddleOptions
from serving.paddle.server import PaddlePorts, PaddleServer
from serving.process.ports import Ports
from serving.publish import PublishOptions, publish
from tests.serving.passing import PassingServer


@pytest.fixture
def graph(bundle_path, tmp_path) -> Bundle:
    """The tests' model, but each label of the second level has a second parent, every other one a path there."""
    folder = Path(shutil.copytree(bundle_path, tmp_path / "export"))
    manifest = Bundle(folder).manifest
    tops = [label for label in manifest.labels if "##" not in label]
    ways = {}
    for label in manifest.labels:
        above, _, name = label.partition("##")
        free = [top for top in tops if f"{top}##{name}" not in (*manifest.labels, *ways.values())]
        if name and "##" not in name and free:
            ways[free[len(ways) % len(free)], label] = f"{free[len(ways) % len(free)]}##{name}"
    made = replace(manifest, graph=LabelGraph(tuple(ways.values())[::2], tuple(ways)), goldens=())
    texts = [golden.text for golden in manifest.goldens]
    answers = Predictor(seal(folder, made)).predict(texts)
    goldens = tuple(Golden(text, tuple(label for label, _ in answer)) for text, answer in zip(texts, answers))
    return seal(folder, replace(made, goldens=goldens))


def test_both_servers_answer_with_all_parents_as_the_predictor_does(graph, sample_dataset, python39, tmp_path):
    lines = (sample_dataset / "dev.txt").read_text("utf-8").splitlines()[:50]
    texts = [line.split("\t")[0] for line in lines]
    expected = [{label for label, _ in answer} for answer in Predictor(graph).predict(texts)]
    assert any(labels & set(graph.manifest.graph.paths) for labels in expected)
    for labels in expected:
        positions = {graph.hierarchy.find(label) for label in labels}
        assert labels == {path for path in graph.hierarchy.paths if graph.hierarchy.find(path) in positions}
        assert positions == graph.hierarchy.with_ancestors(labels)
    repository = tmp_path / "repository"
    publish(PublishOptions(bundle=graph.path, model_repository=repository))
    with PassingServer(repository, ports=Ports.free(), state_dir=tmp_path) as server:
        server.wait_ready()
        with TritonClient(server.grpc_address) as client:
            assert [{label for label, _ in answer} for answer in client.classify(texts)] == expected
    folder = tmp_path / "paddle"
    PaddleDeployment(folder).publish(graph, PaddleOptions())
    with PaddleServer(folder, PaddlePorts.free(), state_dir=tmp_path) as service:
        service.wait_ready()
        with HttpClient(service.http_address) as client:
            assert [{label for label, _ in answer} for answer in client.classify(texts)] == expected
