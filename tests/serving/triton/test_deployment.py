"""Versions of a bundle: published, rolled back, kept, and never half there, while a real server answers."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace

import pytest

from clients.triton import TritonClient
from pipeline.errors import BundleError, EnvironmentFault, InputError, ServerError
from pipeline.files.bundle import Bundle, seal
from serving import publish, rollback, versions
from serving.deployment import publish_together
from serving.folders import alone_in
from serving.paddle.deployment import PaddleDeployment
from serving.paddle.options import PaddleOptions
from serving.process.ports import Ports
from serving.triton.deployment import TritonDeployment
from serving.triton.options import ServingOptions
from serving.triton.repository import ModelRepository
from serving.triton.server.options import TritonOptions
from tests.conftest import ENVIRONMENT, PROJECT, run_in_process
from tests.serving.bundles import renamed_bundle, top_level_bundle
from tests.serving.passing import PassingServer

FLIPS = 6
OPTIONS = ServingOptions(queue_size=512)


@pytest.fixture(scope="module")
def other(bundle, tmp_path_factory):
    return renamed_bundle(bundle, tmp_path_factory.mktemp("other") / "bundle", "新")


@pytest.fixture(scope="module")
def shallow(bundle, tmp_path_factory):
    return top_level_bundle(bundle, tmp_path_factory.mktemp("shallow") / "bundle")


@pytest.fixture
def repository(bundle, tmp_path):
    repository = ModelRepository(tmp_path / "repository")
    TritonDeployment(repository).publish(bundle, OPTIONS)
    return repository


def explicit_server(repository, state_dir):
    options = TritonOptions(model_control_mode="explicit", load_model=("*",))
    return PassingServer(repository.path, ports=Ports.free(), state_dir=state_dir, options=options, admin_key="secret")


@pytest.fixture
def server(repository, tmp_path):
    with explicit_server(repository, tmp_path / "state") as server:
        server.wait_ready()
        yield server


def goldens(bundle):
    return {golden.text: set(golden.labels) for golden in bundle.manifest.goldens}


def answers(server, texts):
    with TritonClient(server.grpc_address) as client:
        return [{label for label, _ in answer} for answer in client.classify(list(texts))]


def numbers(repository):
    return [version.number for version in repository.versions()]


def test_every_request_is_answered_wholly_by_the_old_or_by_the_new_bundle(server, repository, bundle, other):
    wanted = [(set(golden.labels), goldens(other)[golden.text]) for golden in bundle.manifest.goldens]
    texts, seen, faults, done = list(goldens(bundle)), [0, 0], [], threading.Event()

    def ask():
        with TritonClient(server.grpc_address, retries=0) as client:
            while not done.is_set():
                try:
                    labels = [{label for label, _ in answer} for answer in client.classify(texts)]
                except (ServerError, InputError) as error:
                    faults.append(str(error))
                    continue
                which = [labels == [pair[side] for pair in wanted] for side in (0, 1)]
                if sum(which) != 1:
                    faults.append(f"neither the one nor the other: {labels}")
                seen[which.index(True) if any(which) else 0] += 1

    callers = [threading.Thread(target=ask) for _ in range(3)]
    for caller in callers:
        caller.start()
    deployment = TritonDeployment(repository, [server.control])
    try:
        deployment.publish(other, OPTIONS)
        for _ in range(FLIPS // 2):
            deployment.roll_back(1)
            deployment.roll_back(2)
    finally:
        time.sleep(0.5)
        done.set()
        for caller in callers:
            caller.join()
    assert faults == []
    assert min(seen) > 0
    assert server.control.ready_versions("seqcls_model") == [2]


def test_versions_are_listed_kept_and_rolled_back_by_commands(bundle_path, other, tmp_path):
    places = ("--model_repository", tmp_path / "repository", "--state_dir", tmp_path / "state", "--only", "triton")
    for path in (bundle_path, other.path, bundle_path):
        assert run_in_process(publish.main, "--bundle", path, "--keep", 2, *places).returncode == 0
    lines = run_in_process(versions.main, *places).stdout.splitlines()
    assert lines[0] == f"Triton: {tmp_path / 'repository'}"
    assert [line.split()[0] for line in lines[1::2]] == ["2", "3"]
    assert [line.split()[1] == "live" for line in lines[1::2]] == [False, True]
    back = run_in_process(rollback.main, *places).stdout
    assert f"version 2 (bundle {other.identity}) is live now; no server is running" in back
    nowhere = run_in_process(rollback.main, *places)
    assert nowhere.returncode == 2
    assert "there is no version before 2 in" in nowhere.stderr
    forward = run_in_process(rollback.main, "--forward", *places).stdout
    assert f"version 3 (bundle {Bundle(bundle_path).identity}) is live now" in forward
    assert "there is no version after 3 in" in run_in_process(rollback.main, "--forward", *places).stderr
    absent = run_in_process(rollback.main, "--version", 9, *places)
    assert "; versions there: 2, 3" in absent.stderr


def test_what_was_live_before_is_what_is_kept(repository, bundle, other):
    deployment = TritonDeployment(repository)
    deployment.publish(other, OPTIONS)
    deployment.roll_back()
    deployment.publish(other, OPTIONS, kept=2)
    assert numbers(repository) == [1, 3]
    deployment.publish(bundle, OPTIONS, kept=1)
    assert numbers(repository) == [4]


def test_a_bundle_that_answers_otherwise_than_it_states_is_not_published(repository, bundle, tmp_path):
    folder = tmp_path / "lying"
    shutil.copytree(bundle.path, folder)
    turned = tuple(replace(golden, labels=bundle.manifest.labels[:1]) for golden in bundle.manifest.goldens)
    lying = seal(folder, replace(bundle.manifest, goldens=turned))
    with pytest.raises(BundleError, match=r"gives golden text \d+ the labels .*, and states"):
        TritonDeployment(repository).publish(lying, OPTIONS)
    assert numbers(repository) == [1]


def test_a_version_that_a_server_does_not_load_changes_nothing(server, repository, bundle, other, monkeypatch):
    add = ModelRepository.add

    def spoilt(self, bundle, version):
        add(self, bundle, version)
        (self.path / "tokenizer" / str(version.number) / "vocab.txt").write_text("spoilt")

    monkeypatch.setattr(ModelRepository, "add", spoilt)
    with pytest.raises(ServerError, match=r"vocab\.txt is damaged"):
        TritonDeployment(repository, [server.control]).publish(other, OPTIONS)
    assert numbers(repository) == [1]
    assert repository.live().number == 1
    assert answers(server, goldens(bundle)) == list(goldens(bundle).values())


@pytest.mark.parametrize(
    "seconds", [0.9, 1.4, *(pytest.param(at, marks=pytest.mark.slow) for at in (0.4, 0.7, 1.1, 2))]
)
def test_a_publisher_that_is_killed_leaves_whole_folders(repository, bundle, shallow, tmp_path, seconds):
    paddle = PaddleDeployment(f"{repository.path}.paddle")
    with explicit_server(repository, tmp_path / "state") as server:
        server.wait_ready()
        words = ["-m", "serving.publish", "--bundle", shallow.path, "--model_repository", repository.path]
        command = [sys.executable, *map(str, words), "--state_dir", str(tmp_path / "state")]
        (tmp_path / "state" / "admin.key").write_text("secret")
        (tmp_path / "state" / "admin.key").chmod(0o600)
        with subprocess.Popen(command, cwd=PROJECT, env=ENVIRONMENT, stdout=subprocess.DEVNULL) as publisher:
            time.sleep(seconds)
            publisher.send_signal(signal.SIGKILL)
        known = (goldens(bundle), goldens(shallow))
        labels = answers(server, known[0])
        assert labels in [list(each.values()) for each in known]
    assert repository.live().number in (1, 2)
    for version in paddle.versions():
        assert Bundle(paddle.path / str(version.number) / "serving_server").manifest.labels
    with explicit_server(repository, tmp_path / "state") as server:
        server.wait_ready()
        assert answers(server, known[0]) == list(known[repository.live().number - 1].values())
        options = {TritonDeployment(repository, [server.control]): OPTIONS, paddle: PaddleOptions()}
        versions = publish_together(shallow, options)
        assert answers(server, known[1]) == list(known[1].values())
    assert [each.live() for each in versions] == list(versions.values())
    assert not [*repository.path.glob("*/.*"), *paddle.path.glob(".*")]


def test_a_full_disk_changes_nothing(repository, bundle, tmp_path):
    limit = f'ulimit -f 64; exec {sys.executable} -m serving.publish "$@"'
    words = ["--bundle", bundle.path, "--model_repository", repository.path, "--state_dir", tmp_path / "state"]
    done = subprocess.run(
        ["bash", "-c", limit, "publish", *map(str, words)],
        cwd=PROJECT,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "File too large" in done.stderr
    assert numbers(repository) == [1]
    assert repository.live().number == 1


def test_two_publishers_at_once(repository, other):
    with alone_in(repository.path), pytest.raises(EnvironmentFault, match="another process is publishing"):
        TritonDeployment(ModelRepository(repository.path)).publish(other, OPTIONS)


def test_wrong_number_of_kept_versions(repository, bundle):
    with pytest.raises(InputError, match="the number of versions to keep is 0"):
        TritonDeployment(repository).publish(bundle, OPTIONS, kept=0)
