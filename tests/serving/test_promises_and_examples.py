"""What only some bundles hold is answered alike by whoever answers: promises, and training rows."""

import json
import shutil
from dataclasses import replace

import pytest

from clients.http_client import HttpClient
from clients.triton import TritonClient
from pipeline.errors import InputError
from pipeline.files.bundle import EXAMPLES_FILE, seal
from pipeline.files.dataset import read_examples, read_texts, write_examples
from pipeline.labels.promises import Promise
from pipeline.output import as_json_line
from pipeline.predictor import Predictor
from serving.paddle.deployment import PaddleDeployment
from serving.paddle.options import PaddleOptions
from serving.paddle.server import PaddlePorts, PaddleServer
from serving.process.ports import Ports
from serving.triton.deployment import TritonDeployment
from serving.triton.options import ServingOptions
from serving.triton.repository import ModelRepository
from tests.explanations import assert_same_reasons
from tests.serving.console.running import Console
from tests.serving.passing import PassingServer


@pytest.fixture(scope="module")
def promising(bundle, sample_dataset, tmp_path_factory):
    """The tests' bundle with training rows, and two promises, of which nobody has asked whether it keeps them."""
    folder = tmp_path_factory.mktemp("promising") / "bundle"
    shutil.copytree(bundle.path, folder)
    rows = list(read_examples(sample_dataset / "train.txt", bundle.hierarchy))[:500]
    write_examples(folder / EXAMPLES_FILE, rows, bundle.hierarchy)
    promises = (Promise(0.8, (0.5, 0.6)), Promise(0.95, (0.9,)))
    return seal(folder, replace(bundle.manifest, promises=promises, examples=len(rows)))


@pytest.fixture(scope="module")
def texts(sample_dataset):
    texts = [text.split("\t")[0] for text in read_texts(sample_dataset / "test.txt", tabs=True)]
    return [*texts[:100], *(text[:3] for text in texts[:20])]


@pytest.fixture(scope="module", params=["Triton", "Paddle Serving"])
def client(request, promising, tmp_path_factory):
    """A client of a real server."""
    folder = tmp_path_factory.mktemp("served")
    if request.param == "Triton":
        repository = ModelRepository(folder / "repository")
        TritonDeployment(repository).publish(promising, ServingOptions())
        with PassingServer(repository.path, ports=Ports.free(), state_dir=folder / "state") as server:
            server.wait_ready()
            with TritonClient(server.grpc_address) as client:
                yield client
    else:
        request.getfixturevalue("python39")
        PaddleDeployment(folder / "published").publish(promising, PaddleOptions())
        with PaddleServer(folder / "published", PaddlePorts.free(), state_dir=folder / "state") as server:
            server.wait_ready()
            with HttpClient(server.http_address) as client:
                yield client


def test_a_promise_is_kept(client, promising, texts):
    predictor = Predictor(promising)
    for asked in ({}, {"promise": 0.8}, {"promise": 0.95}):
        expected = predictor.predict(texts, **asked)
        for answer, wanted in zip(client.classify(texts, **asked), expected, strict=True):
            assert dict(answer) == pytest.approx(dict(wanted), abs=1e-3)
            assert answer.promised == wanted.promised and len(wanted.promised) == len(wanted)
    assert min(map(len, expected)) == 0 < max(map(len, expected))  # some are unsure
    assert all("##" not in label for answer in expected for label, _ in answer)  # of the first level alone
    said = [label for answer in client.classify(texts) for label in json.loads(as_json_line("", answer))["labels"]]
    assert {label["promised"] for label in said} == {0, 0.8, 0.95}
    with pytest.raises(InputError, match="promise is 0.9; this model can promise 0.8, 0.95"):
        client.classify(texts, promise=0.9)
    with pytest.raises(InputError, match="leave out top_k"):
        client.classify(texts, promise=0.8, top_k=1)


def test_training_rows_that_a_text_is_like_are_told(client, promising, texts):
    expected = Predictor(promising).explain(texts[:6])
    answers = client.classify(texts[:6], explain=True)
    assert_same_reasons(answers, expected)
    assert [answer.why.neighbours for answer in answers] == [wanted.why.neighbours for wanted in expected]
    for answer in answers:
        assert list(answer.why.neighbours) == [label for label, _ in answer]
        for label, rows in answer.why.neighbours.items():
            assert len(rows) == 3 and all(label in row.labels for row in rows)


def test_the_console_tells_them_too(promising, texts):
    with Console("--bundle", promising.path) as console:
        given = console.ask("/classify", {"texts": texts[:1], "explain": True})[1]["answers"][0]
    (expected,) = Predictor(promising).explain(texts[:1])
    assert given["explanation"] == expected.why.fields()
    assert given["explanation"]["labels"][0]["neighbours"][0]["similarity"] > 0
