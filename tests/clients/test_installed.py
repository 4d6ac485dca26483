"""What `pip install '.[client]'` gives a caller: the clients alone, under one name, at work."""

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

from tests.conftest import PROJECT

NAME = "hierarchical_text_classifier"
IMPORT_ALL = f"""
import importlib.util, pkgutil, {NAME} as installed
for module in pkgutil.walk_packages(installed.__path__, "{NAME}."):
    importlib.import_module(module.name)
print([name for name in ("clients", "pipeline", "training", "serving") if importlib.util.find_spec(name)])
"""
IMPORT_HTTP = f"import {NAME}.clients.http_client, sys; print('grpc' in sys.modules)"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """Built from a copy, so that nothing is written to this folder."""
    source = tmp_path_factory.mktemp("source")
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(PROJECT / name, source / name)
    for name in ("clients", "pipeline"):
        shutil.copytree(PROJECT / name, source / name)
    build = "from setuptools.build_meta import build_wheel; build_wheel('dist')"
    subprocess.run([sys.executable, "-c", build], cwd=source, check=True, capture_output=True)
    (found,) = (source / "dist").glob("*.whl")
    return found


@pytest.fixture(scope="module")
def site(wheel, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    zipfile.ZipFile(wheel).extractall(folder)
    return folder


def run(site: Path, *words: str, python: str = sys._base_executable) -> subprocess.CompletedProcess[str]:
    """Run a Python that has the wheel and what it needs, and not this folder."""
    packages = [] if python != sys._base_executable else [sysconfig.get_path("purelib")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), *packages])}
    command = [python, *words]
    return subprocess.run(command, cwd=site.parent, env=environment, capture_output=True, text=True, check=False)


def test_it_holds_the_clients_and_what_they_import_and_no_more(wheel):
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert {name.split("/")[0] for name in names} == {NAME}
    assert f"{NAME}/clients/triton.py" in names
    assert f"{NAME}/pipeline/errors.py" in names
    assert not [name for name in names if "/compute/" in name or "predictor" in name]


def test_it_needs_little(wheel):
    archive = zipfile.ZipFile(wheel)
    (path,) = (name for name in archive.namelist() if name.endswith("METADATA"))
    metadata = Parser().parsestr(archive.read(path).decode())
    assert sorted(metadata.get_all("Requires-Dist")) == ["numpy", "tritonclient[grpc]>=2.51"]
    assert metadata.get_all("Provides-Extra") == ["client"]
    assert metadata["Requires-Python"] == ">=3.9"


def test_every_module_imports_and_nothing_is_called_clients_or_pipeline(site):
    done = run(site, "-c", IMPORT_ALL)
    assert done.stdout.strip() == "[]", done.stderr


def test_its_http_client_needs_python_3_9_alone(site, python39):
    done = run(site, "-c", IMPORT_HTTP, python=python39)
    assert done.stdout.strip() == "False", done.stderr


def test_it_tells_of_a_server_that_is_not_there(site):
    done = run(site, "-m", f"{NAME}.clients.triton", "--url", "127.0.0.1:1", "--retries", "0", "a text")
    assert done.returncode == 4
    assert done.stderr.startswith("error: in text 1: no Triton server answers at 127.0.0.1:1")
    assert f"python -m {NAME}.clients.triton" in run(site, "-m", f"{NAME}.clients.triton", "--help").stdout


def test_it_asks_a_real_server(site, triton):
    code = (
        f"from {NAME}.clients.triton import TritonClient\n"
        f"with TritonClient({triton.grpc_address!r}) as client:\n"
        "    answers = client.classify(['某公司宣布裁员两千人'] * 129 + ['裁员' * 200], threshold=0.01)\n"
        "    print(answers[0][0].label in client.labels(), [answer.truncated for answer in answers[-2:]], len(answers))"
    )
    done = run(site, "-c", code)
    assert done.stdout == "True [False, True] 130\n", done.stderr


def test_it_asks_a_real_service_on_python_3_9(site, service, python39):
    code = (
        f"from {NAME}.clients.http_client import HttpClient\n"
        f"with HttpClient({service.http_address!r}) as client:\n"
        "    answers = client.classify(['某公司宣布裁员两千人'] * 129 + ['裁员' * 200], threshold=0.01)\n"
        "    print(answers[0][0].label in client.labels(), [answer.truncated for answer in answers[-2:]], len(answers))"
    )
    done = run(site, "-c", code, python=python39)
    assert done.stdout == "True [False, True] 130\n", done.stderr
