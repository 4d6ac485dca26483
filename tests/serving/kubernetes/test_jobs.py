"""The Jobs of serving/kubernetes on two real servers with one folder, as two pods of a service have it.

The service's name is set in place of the machine's resolver; native backends, which these servers lack, are left out.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import pytest

from pipeline.errors import ServerError
from serving import health, publish, rollback
from serving.process.ports import Ports
from serving.triton.server.options import EXPLICIT, TritonOptions
from tests.conftest import ENVIRONMENT, PROJECT, run_in_process
from tests.serving.kubernetes.builds import build, one, pod
from tests.serving.passing import PassingServer

HOSTS = ("127.0.0.1", "127.0.0.2")
KEY = "0123456789abcdef" * 4
COMMANDS = {"serving.publish": publish.main, "serving.rollback": rollback.main}


def job(name: str, pods: SimpleNamespace, server: str, bundle: object = None) -> list[str]:
    """The arguments of a folder's Job, with what stands for its service and its volumes."""
    (container,) = pod(build(name), "Job")["containers"]
    words = [word.replace("text-classifier-all:8000", server) for word in container["args"]]
    words = [word.replace("=/bundle", f"={bundle}") for word in words if word != "--backend=native"]
    words = [re.sub("^--canary_seconds=.*", "--canary_seconds=4", word) for word in words]
    if "--canary_seconds=4" in words:
        words.append(f"--metrics_port={pods.ports.metrics}")
    return [*words, "--model_repository", str(pods.repository), "--state_dir", str(pods.folder / "job")]


def run_job(words: list[str], pods: SimpleNamespace) -> subprocess.CompletedProcess[str]:
    done = run_in_process(COMMANDS[words[0]], *words[1:], "--key_file", pods.key_file)
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture
def pods(bundle, tmp_path, monkeypatch):
    """Two servers that start after the first Job; `url` is the name that stands for both."""
    pods = SimpleNamespace(folder=tmp_path, repository=tmp_path / "models", key_file=tmp_path / "key")
    pods.key_file.write_text(KEY)
    pods.key_file.chmod(0o600)
    said = run_job(job("publish_first", pods, "", bundle.path), pods).stdout
    assert "no server is running" in said
    pods.ports = ports = Ports.free("0.0.0.0")
    resolve = socket.getaddrinfo

    def look_up(host, port, *further, **options):
        hosts = HOSTS if host == "pods.test" else [host]
        return [each for known in hosts for each in resolve(known, port, *further, **options)]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    pods.url, pods.addresses = f"pods.test:{ports.http}", [f"{host}:{ports.http}" for host in HOSTS]
    with ExitStack() as stack:
        for host in HOSTS:
            options = TritonOptions(model_control_mode=EXPLICIT, load_model=("*",))
            server = PassingServer(
                pods.repository, ports=ports, host=host, state_dir=tmp_path / host, options=options, admin_key=KEY
            )
            stack.enter_context(server).wait_ready()
        yield pods


def versions(pods) -> list[str]:
    """Per pod what answers, as the probe says."""
    words = ("--server", pods.url, "--model_repository", pods.repository, "--state_dir", pods.folder / "probe")
    done = run_in_process(health.main, *words)
    assert done.returncode == 0, done.stderr
    return [line.partition(": ")[2].split(" (")[0] for line in done.stdout.splitlines()]


def test_all_pods_switch_over_and_back(pods, other, tmp_path):
    assert versions(pods) == ["version 1"] * 2
    said = run_job(job("publish", pods, pods.url, other.path), pods).stdout
    assert "live in 2 running servers" in said
    assert versions(pods) == ["version 2"] * 2
    run_job(job("rollback", pods, pods.url), pods)
    assert versions(pods) == ["version 1"] * 2

    # The same by the Job's own command line, with a secret that a group may read.
    secret = tmp_path / "secret"
    secret.write_text(KEY)
    secret.chmod(0o440)
    (container,) = pod(build("rollback"), "Job")["containers"]
    command = [word.replace("/tmp/", f"{tmp_path}/") for word in container["command"]]
    words = [*job("rollback", pods, pods.addresses[0]), "--forward", f"--server={pods.addresses[1]}"]
    path = f"{Path(sys.executable).parent}{os.pathsep}{ENVIRONMENT['PATH']}"
    environment = {**ENVIRONMENT, "PATH": path, container["env"][0]["name"]: str(secret)}
    done = subprocess.run([*command, *words], cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert versions(pods) == ["version 2"] * 2


def test_a_pod_that_does_not_answer_keeps_all_as_they_were(pods, other, monkeypatch):
    """A third pod, which is just starting, is in the service: it would be missed otherwise."""
    monkeypatch.setattr(sys.modules[__name__], "HOSTS", (*HOSTS, "127.0.0.3"))
    words = job("publish", pods, pods.url, other.path)
    done = run_in_process(publish.main, *words[1:], "--key_file", pods.key_file)
    assert done.returncode == ServerError.exit_status and "127.0.0.3" in done.stderr
    monkeypatch.setattr(sys.modules[__name__], "HOSTS", HOSTS[:2])
    assert versions(pods) == ["version 1"] * 2
    assert one(build("publish"), "Job")["spec"]["backoffLimit"] == 0
