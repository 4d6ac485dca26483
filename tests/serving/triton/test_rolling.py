"""A bundle that goes to one of three real servers first, while callers are answered."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
import threading
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks.serving.checked_load import RIGHT, CheckedCalls, reliable_answers
from clients import endpoints
from clients.triton import TritonClient
from pipeline.errors import InputError, ServerError
from pipeline.files.bundle import ONNX_FILE, seal
from pipeline.files.manifest import Golden
from pipeline.predictor import Predictor
from serving import publish, rollback, versions
from serving.process.ports import Ports
from serving.triton import rolling
from serving.triton.deployment import TritonDeployment
from serving.triton.metrics import Served, metrics_page
from serving.triton.repository import ModelRepository
from serving.triton.server.options import EXPLICIT, TritonOptions
from tests.conftest import ENVIRONMENT, PROJECT, run_in_process
from tests.serving.bundles import renamed_bundle
from tests.serving.passing import PassingServer
from tests.serving.tiny_model import eventually

KEY = "0123456789abcdef" * 4
CALLERS, WATCHED_SECONDS = 4, 8
HOSTS = ("127.0.0.1", "127.0.0.2", "127.0.0.3")


def texts(sample_dataset) -> list[str]:
    rows = (sample_dataset / "test.txt").read_text(encoding="utf-8").splitlines()
    return [row.partition("\t")[0] for row in rows]


@pytest.fixture(scope="module")
def new(bundle, tmp_path_factory):
    """Fine, and told from the first by any answer."""
    return renamed_bundle(bundle, tmp_path_factory.mktemp("new") / "bundle", "新")


@pytest.fixture(scope="module")
def silent(bundle, tmp_path_factory):
    """Gives its golden texts labels, and most others none: thresholds that the others do not reach."""
    folder = tmp_path_factory.mktemp("silent") / "bundle"
    shutil.copytree(bundle.path, folder)
    manifest = replace(
        bundle.manifest,
        thresholds=(0.95,) * len(bundle.manifest.thresholds),
        decoding=replace(bundle.manifest.decoding, at_least_one=False),
        goldens=(),
    )
    asked = [golden.text for golden in bundle.manifest.goldens]
    answers = zip(asked, Predictor(seal(folder, manifest)).predict(asked))
    goldens = tuple(Golden(text, tuple(label for label, _ in answer)) for text, answer in answers if answer)
    return seal(folder, replace(manifest, goldens=goldens))


@pytest.fixture(scope="module")
def slow(bundle, tmp_path_factory):
    """Answers as the first, after computing much that changes nothing."""
    import onnx

    folder = tmp_path_factory.mktemp("slow") / "bundle"
    shutil.copytree(bundle.path, folder)
    model = onnx.load(bundle.file(ONNX_FILE))
    graph, make = model.graph, onnx.helper.make_node
    (output,) = graph.output
    (source,) = [node for node in graph.node if output.name in node.output]
    source.output[list(source.output).index(output.name)] = "in_between"
    square = np.random.default_rng(1).uniform(0, 1e-3, (900, 900)).astype(np.float32)
    for name, value in (("square", square), ("none", np.zeros(1, np.float32))):
        graph.initializer.append(onnx.numpy_helper.from_array(value, name))
    nodes = [make("ReduceSum", ["in_between"], ["sum"], keepdims=0), make("Add", ["sum", "square"], ["product0"])]
    nodes += [make("MatMul", [f"product{step}", "square"], [f"product{step + 1}"]) for step in range(12)]
    nodes += [make("ReduceMean", ["product12"], ["mean"], keepdims=0), make("Mul", ["mean", "none"], ["nothing"])]
    graph.node.extend([*nodes, make("Add", ["in_between", "nothing"], [output.name])])
    onnx.save(model, folder / ONNX_FILE)
    return seal(folder, replace(bundle.manifest, model_name="slow"))


@pytest.fixture(scope="module")
def fleet(bundle, tmp_path_factory):
    """Three servers on one folder, as three pods have it."""
    folder = tmp_path_factory.mktemp("fleet")
    fleet = SimpleNamespace(
        folder=folder, repository=folder / "models", key_file=folder / "key", ports=Ports.free("0.0.0.0")
    )
    fleet.key_file.write_text(KEY)
    fleet.key_file.chmod(0o600)
    fleet.addresses = [f"{host}:{fleet.ports.http}" for host in HOSTS]
    fleet.urls = [f"{host}:{fleet.ports.grpc}" for host in HOSTS]
    fleet.places = ["--only", "triton", "--model_repository", fleet.repository, "--state_dir", folder / "publisher"]
    assert run_in_process(publish.main, "--bundle", bundle.path, *fleet.places).returncode == 0
    fleet.places += ["--key_file", fleet.key_file, *(f"--server={address}" for address in fleet.addresses)]
    with ExitStack() as stack:
        fleet.servers = []
        for host in HOSTS:
            options = TritonOptions(model_control_mode=EXPLICIT, load_model=("*",))
            server = PassingServer(
                fleet.repository, ports=fleet.ports, host=host, state_dir=folder / host, options=options, admin_key=KEY
            )
            fleet.servers.append(stack.enter_context(server))
            server.wait_ready()
        yield fleet


@contextmanager
def asked(fleet, expected):
    """Callers of all servers while the block runs; their tally."""
    calls, done = CheckedCalls(fleet.urls, expected), threading.Event()
    thread = threading.Thread(target=calls.run, args=(CALLERS, done.is_set))
    thread.start()
    try:
        yield calls
    finally:
        done.set()
        thread.join()


def rolled(fleet, bundle, *more) -> subprocess.CompletedProcess[str]:
    """Publish to one server first."""
    watched = ("--canary_seconds", WATCHED_SECONDS, "--metrics_port", fleet.ports.metrics)
    return run_in_process(publish.main, "--bundle", bundle.path, *watched, *fleet.places, *more)


def answering(fleet) -> list[int | None]:
    return [server.control.pinned_version() for server in fleet.servers]


@pytest.fixture
def expected(bundle, new, sample_dataset):
    """What the first bundle and the new one give each text."""
    return reliable_answers([Predictor(each) for each in (bundle, new)], texts(sample_dataset))


@pytest.fixture
def at_first(fleet):
    """All answer by version 1, and will again."""
    yield
    if answering(fleet) != [1, 1, 1]:
        done = run_in_process(rollback.main, *fleet.places, "--version", 1)
        assert done.returncode == 0, done.stderr
    assert answering(fleet) == [1, 1, 1]


@pytest.mark.usefixtures("at_first")
def test_a_fine_bundle_goes_to_one_server_and_then_to_all(fleet, new, expected, monkeypatch):
    monkeypatch.setattr(endpoints, "SLOW_SECONDS", 60.0)  # callers avoid no server that the machine holds up
    with asked(fleet, expected) as calls:
        done = rolled(fleet, new)
    assert done.returncode == 0, done.stderr
    assert "live in 3 running servers" in done.stdout
    assert f"{fleet.addresses[0]} answers by version" in done.stderr
    assert re.search(rf"note: {fleet.addresses[0]}: \d+ requests, 0 failed .*; the others: \d+ requests", done.stderr)
    assert set(calls.tally.outcomes) == {RIGHT}, calls.tally.messages
    assert min(calls.by_version[0], calls.by_version[1]) > 0
    assert len(set(answering(fleet))) == 1 and answering(fleet) != [1, 1, 1]
    assert all(len(server.control.ready_versions("tokenizer")) == 1 for server in fleet.servers)


@pytest.mark.slow
@pytest.mark.usefixtures("at_first")
@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_a_publisher_that_ends_in_the_middle_leaves_nothing_mixed_for_long(fleet, bundle, new, expected, sent):
    words = ["--bundle", new.path, "--canary_seconds", 600, "--metrics_port", fleet.ports.metrics, *fleet.places]
    command = [sys.executable, "-m", "serving.publish", *map(str, words)]
    with (
        asked(fleet, expected) as calls,
        subprocess.Popen(command, cwd=PROJECT, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True) as publisher,
    ):
        said = next((line for line in publisher.stderr if "is watched" in line), "")
        assert said.startswith(fleet.addresses[0])
        number = answering(fleet)[0]
        assert answering(fleet) == [number, 1, 1] and number > 1
        publisher.send_signal(sent)
        status = publisher.wait(60)
        if sent != signal.SIGKILL:
            assert status == 128 + sent
            assert answering(fleet) == [1, 1, 1]
        else:
            listed = run_in_process(versions.main, *fleet.places).stdout
            assert f"mixed: {fleet.addresses[0]} answers by version {number}, and version 1 is live" in listed
            done = run_in_process(rollback.main, *fleet.places)
            assert done.returncode == 0, done.stderr
            assert f"note: {fleet.addresses[0]} answered by version {number}, which is not the live one" in done.stderr
            assert "version 1 (bundle" in done.stdout
            assert answering(fleet) == [1, 1, 1]
    assert set(calls.tally.outcomes) == {RIGHT}, calls.tally.messages
    assert "mixed" not in run_in_process(versions.main, *fleet.places).stdout


@pytest.mark.usefixtures("at_first")
def test_a_bundle_whose_golden_texts_go_wrong_stops_at_the_first_server(fleet, new, expected, monkeypatch):
    """In the server; what is wrong here already is refused before."""
    write = TritonDeployment.write

    def lying(self, bundle, options, number, note=""):
        version = write(self, bundle, options, number, note)
        return replace(version, expected=tuple(replace(each, labels=("别的",)) for each in version.expected))

    monkeypatch.setattr(TritonDeployment, "write", lying)
    with asked(fleet, expected) as calls:
        done = rolled(fleet, new)
    assert done.returncode == ServerError.exit_status
    assert f"the server at {fleet.addresses[0]} gives a golden text the labels" in done.stderr
    assert set(calls.tally.outcomes) == {RIGHT} and not calls.by_version[1]
    assert answering(fleet) == [1, 1, 1]


@pytest.mark.slow
@pytest.mark.usefixtures("at_first")
@pytest.mark.parametrize(
    ("which", "more", "reason"),
    [
        ("silent", (), "texts get no label, of the others' 0 of"),
        ("slow", (), "a request takes|its callers avoid it"),
        ("bundle", ("--queue_size", 1, "--again"), "requests fail .* as surplus|its callers avoid it"),
    ],
    ids=["empty", "slow", "full"],
)
def test_what_only_live_traffic_shows_stops_at_the_first_server(fleet, sample_dataset, which, more, reason, request):
    with asked(fleet, {text: [] for text in texts(sample_dataset)}) as calls:
        done = rolled(fleet, request.getfixturevalue(which), *more)
    print(done.stderr, calls.tally.outcomes)
    assert done.returncode == ServerError.exit_status
    assert re.search(rf"error: {fleet.addresses[0]} serves worse by version \d+ than others: .*({reason})", done.stderr)
    assert set(calls.tally.outcomes) == {RIGHT}, calls.tally.messages
    assert answering(fleet) == [1, 1, 1]


def test_servers_that_are_started_anew_meanwhile_are_waited_for(tmp_path, monkeypatch):
    canary, back, new = (SimpleNamespace(looks=looks) for looks in (0, 2, 3))

    def is_ready(server):
        server.looks -= 1
        return server.looks < 0

    for server in (canary, back, new):
        server.is_ready = lambda server=server: is_ready(server)
    monkeypatch.setattr(rolling.time, "sleep", lambda seconds: None)
    deployment = rolling.RollingDeployment(ModelRepository(tmp_path), [canary, back], 1.0, lambda: [canary, back, new])
    deployment._look_up_anew(canary)
    assert deployment.servers == [canary, back, new]
    assert max(server.looks for server in deployment.servers) < 0


def test_one_server_has_none_to_be_compared_with(fleet, new):
    options = publish.PublishOptions(
        bundle=new.path,
        only="triton",
        canary_seconds=1,
        server=(fleet.addresses[0],),
        model_repository=fleet.repository,
        key_file=fleet.key_file,
    )
    with pytest.raises(InputError, match=r"compares a server with others .*\(servers: 1\)"):
        publish.publish(options)


def test_a_page_of_metrics_is_read_for_one_version(fleet):
    def page() -> str:
        return metrics_page(f"{HOSTS[2]}:{fleet.ports.metrics}")

    def read() -> Served:
        return Served.read(page(), 1)

    before = read()
    with TritonClient(fleet.urls[2], retries=0) as client:
        client.classify(["某公司宣布裁员两千人"] * 3)
        with pytest.raises(InputError):
            client.classify([" "])
    assert eventually(lambda: (read() - before).texts == 3)
    more = read() - before
    assert (more.failed, more.surplus, more.empty) == (1, 0, 0)
    assert more.answered >= 1 and more.seconds > 0
    assert Served.read(page(), 9).texts == 0
