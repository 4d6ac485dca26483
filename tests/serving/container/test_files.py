"""The files of serving/container. NVIDIA's image is not to be had here: what is put into it is run as it is there."""

from __future__ import annotations

import base64
import contextlib
import functools
import hashlib
import json
import os
import re
import shlex
import shutil
import socket
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import yaml

from pipeline.errors import ServerError
from serving import health
from serving.process.ports import Ports
from serving.staging import imported_modules
from serving.triton import __main__ as launcher
from serving.triton.control import ServerControl
from tests.conftest import ENVIRONMENT, PROJECT
from tests.serving.tiny_model import PATIENCE_SECONDS, eventually

FOLDER = PROJECT / "serving" / "container"
KEY = "0123456789abcdef" * 4
WORKING_FOLDER = "/opt/text-classifier"
TARGETS = ("", "console", "bulk")
"""Of the Dockerfile; the first stands for the server's image."""
MODELS, STATE = f"{WORKING_FOLDER}/model_repository", "/run/text-classifier"


def dockerfile(target: str = "") -> list[tuple[str, str]]:
    """The instructions that make an image, the server's or a target's, each with its arguments on one line."""
    stages: dict[str, list[tuple[str, str]]] = {}
    for word, arguments in _instructions():
        if word == "FROM":
            base, _, name = arguments.partition(" AS ")
            stages[name] = stages.get(base, [(word, arguments)])[:]
            continue
        stages[name].append((word, arguments))
    return stages[target]


def _instructions() -> list[tuple[str, str]]:
    text = (FOLDER / "Dockerfile").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(word, " ".join(rest.split())) for word, _, rest in (line.partition(" ") for line in lines)]


def copied(target: str = "") -> list[str]:
    return [arguments.split()[0] for word, arguments in dockerfile(target) if word == "COPY"]


def compose(name: str = "compose.yaml") -> dict:
    return yaml.safe_load((FOLDER / name).read_text())


@pytest.mark.parametrize("target", TARGETS)
def test_the_images_are_pinned_not_root_and_name_no_place_to_install_from(target):
    made = dockerfile(target)
    (base,) = [arguments for word, arguments in made if word == "FROM"]
    pinned = r"python:3\.\d+\.\d+-slim-bookworm AS plain" if target else r"nvcr\.io/nvidia/tritonserver:\d\d\.\d\d-py3"
    assert re.fullmatch(pinned, base)
    assert [arguments for word, arguments in made if word == "USER"][-1] == "1000:1000"
    (install,) = [arguments for _, arguments in made if "pip install" in arguments]
    assert "--require-hashes" in install
    assert not re.search(r"index|https?:", install)
    assert all((PROJECT / source).exists() for source in copied(target))


@pytest.mark.parametrize("name", ["container", "bulk"])
def test_the_lock_has_hashes_and_the_versions_of_the_main_one(name):
    def pinned(lock):
        lines = (PROJECT / "requirements" / lock).read_text().replace("\\\n", " ").splitlines()
        return {line.split(" ;")[0]: line for line in lines if "==" in line and not line.startswith("#")}

    container, main = pinned(f"{name}.txt"), pinned("main.txt")
    assert set(container) <= set(main)
    assert all("--hash=sha256:" in line for line in container.values())
    wanted = (PROJECT / "requirements" / f"{name}.in").read_text().splitlines()
    names = {line.split("==")[0] for line in container}
    assert {line.split("[")[0] for line in wanted if line and line[0] not in "#-"} <= names


@pytest.mark.parametrize(
    ("target", "command"),
    [
        *(("", command) for command in ("triton/__main__", "health", "publish", "versions", "rollback", "stop")),
        ("console", "console/__main__"),
        ("bulk", "bulk/__main__"),
    ],
)
def test_the_image_has_all_that_its_commands_import(target, command):
    packages = ("pipeline", "serving", "clients", "training", "benchmarks")
    modules = imported_modules(PROJECT / "serving" / f"{command}.py", PROJECT, packages)
    assert {module.parts[0] for module in modules} <= set(copied(target))
    if target:
        (entry,) = [arguments for word, arguments in dockerfile(target) if word == "ENTRYPOINT"]
        assert json.loads(entry) == ["python3", "-m", f"serving.{target}"]


def test_the_build_takes_along_no_secrets_and_no_more_than_it_copies():
    ignored = (FOLDER / "Dockerfile.dockerignore").read_text().splitlines()
    assert ignored[0] == "*"
    assert {line[1:] for line in ignored if line.startswith("!")} == {
        each for target in TARGETS for each in copied(target)
    }
    assert {"serving/container/*.key", "serving/container/tls"} <= set(ignored)


def test_compose_hands_the_image_what_it_expects():
    service = compose()["services"]["triton"]
    build = service["build"]
    assert (FOLDER / build["context"]).resolve() == PROJECT
    assert (PROJECT / build["dockerfile"]).samefile(FOLDER / "Dockerfile")
    assert ("WORKDIR", WORKING_FOLDER) in dockerfile()
    assert health.parse_args([]).triton().path.name == Path(MODELS).name
    assert [volume.split(":")[-2:] for volume in service["volumes"]] == [[MODELS, "ro"]]
    assert f"{STATE}:" in " ".join(service["tmpfs"])
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    assert [port.split(":")[-1] for port in service["ports"]] == ["8000", "8001", "8002"]
    assert set(service["secrets"]) == set(compose()["secrets"]) == {"admin_key"}
    assert "/run/secrets/admin_key" in (FOLDER / "start.sh").read_text()
    for each in compose()["services"].values():
        assert (each["read_only"], each["cap_drop"]) == (True, ["ALL"])


def test_the_arguments_for_a_gpu_are_those_of_the_launcher():
    service = compose("compose.gpu.yaml")["services"]["triton"]
    assert launcher.parse_args(service["command"]).ready_timeout_seconds == 900
    (target,) = [volume.split(":")[1] for volume in service["volumes"]]
    assert target in next(arguments for word, arguments in dockerfile() if word == "RUN" and "install -d" in arguments)


def test_the_health_check_asks_golden_texts():
    (check,) = [arguments for word, arguments in dockerfile() if word == "HEALTHCHECK"]
    python, module_flag, module, *words = json.loads(check.partition("CMD ")[2])
    assert (python, module_flag, module) == ("python3", "-m", "serving.health")
    assert health.parse_args(words) == health.HealthOptions(state_dir=Path(STATE))


@pytest.fixture
def image(tmp_path, model_repository):
    """A folder with what is copied into the image."""
    folder = tmp_path / "image"
    for name in copied():
        if (PROJECT / name).is_dir():
            shutil.copytree(PROJECT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "model_repository").symlink_to(model_repository)
    script = folder / "serving" / "container" / "start.sh"
    script.write_text(script.read_text().replace(STATE, str(tmp_path / "state")))
    return folder


def start_command(image, **variables):
    (entry,) = [json.loads(arguments) for word, arguments in dockerfile() if word == "ENTRYPOINT"]
    state = {"ADMIN_KEY_FILE": "", **variables}
    path = f"{Path(sys.executable).parent}{os.pathsep}{ENVIRONMENT['PATH']}"
    return entry, {"cwd": image, "env": {**ENVIRONMENT, **state, "PATH": path}, "text": True}


def test_the_entry_point_serves_with_the_key_of_a_secret_that_a_group_may_read(image, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text(KEY)
    secret.chmod(0o440)
    ports = Ports.free()
    words = [f"--{name}_port={getattr(ports, name)}" for name in ("grpc", "http", "metrics")]
    entry, how = start_command(image, ADMIN_KEY_FILE=str(secret))
    with subprocess.Popen([*entry, "--host", "127.0.0.1", *words], stdout=subprocess.PIPE, **how) as server:
        try:
            assert "Triton is ready" in server.stdout.readline()
            address = f"127.0.0.1:{ports.http}"
            probe = ["python3", "-m", "serving.health", "--server", address, "--ready"]
            asked = subprocess.run(probe, check=True, capture_output=True, **how)
            assert "version 1" in asked.stdout
            assert ServerControl(address, KEY).ready_versions("tokenizer") == [1]
            with pytest.raises(ServerError, match="restricted"):
                ServerControl(address).ready_versions("tokenizer")
            assert (tmp_path / "state" / "admin.key").stat().st_mode & 0o777 == 0o600
        finally:
            server.terminate()
            assert server.wait() == 0


def test_a_secret_that_is_named_and_missing_is_told(image):
    entry, how = start_command(image, ADMIN_KEY_FILE="/nowhere/key")
    done = subprocess.run(entry, check=False, capture_output=True, **how)
    assert done.returncode == 3
    assert "there is no admin key /nowhere/key; mount the secret there" in done.stderr


@pytest.fixture
def proxy(triton, tmp_path):
    """The example's nginx before the server, as it is but for paths, port and the server's address."""
    if not (shutil.which("nginx") and shutil.which("openssl")):
        pytest.skip("there is no nginx here (Debian: apt-get install nginx)")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    tls = tmp_path / "tls"
    tls.mkdir()
    subject = f"-subj /CN=localhost -addext subjectAltName=DNS:localhost -keyout {tls}/server.key -out {tls}/server.crt"
    new = f"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 {subject}"
    subprocess.run(shlex.split(new), check=True, capture_output=True)
    digest = base64.b64encode(hashlib.sha1(b"secret").digest()).decode()
    (tls / "users").write_text(f"me:{{SHA}}{digest}\n")
    tls.chmod(0o755)
    text = (FOLDER / "nginx.conf").read_text()
    changes = {
        " /tmp/": f" {tmp_path}/",
        "/etc/text-classifier/tls": str(tls),
        "triton:8000": triton.http_address,
        "listen 8443": f"listen 127.0.0.1:{port}",
        "/dev/stdout": str(tmp_path / "access.log"),
    }
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    if os.getuid() == 0:
        text = "user root;\n" + text  # so that it may read what this test wrote
    (tmp_path / "nginx.conf").write_text(text)
    command = ["nginx", "-e", "stderr", "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf"), "-g", "daemon off;"]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as nginx:
        try:
            assert eventually(lambda: _listens(port) or nginx.poll() is not None)
            assert nginx.poll() is None, nginx.stderr.read()
            yield port, ssl.create_default_context(cafile=str(tls / "server.crt"))
        finally:
            nginx.terminate()
            nginx.communicate()


def _listens(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def ask(proxy, path, body=None, password="secret", headers=None):
    """Status and text of an answer through the proxy."""
    port, context = proxy
    request = urllib.request.Request(f"https://localhost:{port}{path}", body and json.dumps(body).encode())
    if password:
        request.add_header("Authorization", "Basic " + base64.b64encode(f"me:{password}".encode()).decode())
    for name, value in (headers or {}).items():
        request.add_header(name, value)
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS, context=context) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_the_proxy_and_what_is_behind_it_survive_what_ends_triton(proxy, triton):
    shape = {"name": "INPUT", "datatype": "FP32", "shape": [1, 2**63 - 1], "data": [1]}
    deep = functools.reduce(lambda inner, _: [inner], range(900), [])
    for body in ({"inputs": [shape]}, {"inputs": [], "x": deep}):
        assert ask(proxy, "/v2/models/seqcls/infer", body)[0] == 400
    packed = {"Content-Encoding": "gzip"}
    assert ask(proxy, "/v2/models/seqcls/infer", {"inputs": []}, headers=packed)[0] == 415
    assert triton.status() is None
    assert ask(proxy, "/v2/health/ready")[0] == 200


def test_the_proxy_lets_known_callers_ask_the_model_and_nothing_else(proxy, bundle_path):
    tensor = {"name": "INPUT", "datatype": "BYTES", "shape": [1, 1], "data": ["某公司宣布裁员"]}
    infer = "/v2/models/seqcls/infer"
    status, text = ask(proxy, infer, {"inputs": [tensor]})
    assert status == 200
    assert {output["name"] for output in json.loads(text)["outputs"]} >= {"label", "confidence"}
    assert ask(proxy, "/v2/models/seqcls/versions/1/infer", {"inputs": [tensor]})[0] == 200
    assert ask(proxy, "/v2/health/ready")[0] == 200
    for password in (None, "wrong"):
        assert ask(proxy, infer, {"inputs": [tensor]}, password)[0] == 401
    for closed in (
        "",
        "/v2",
        "/v2/models/tokenizer/infer",
        "/v2/models/seqcls/trace/setting",
        "/v2/logging",
        "/metrics",
    ):
        assert ask(proxy, closed)[0] == 404
    for closed in ("/v2/repository/index", "/v2/models/seqcls/../../repository/index", "/v2/systemsharedmemory/status"):
        assert ask(proxy, closed, {}, headers={"admin-key": KEY})[0] == 404
