"""Finding tritonserver, and saying what a machine lacks for it."""

from __future__ import annotations

import sys

import pytest

from pipeline.errors import EnvironmentFault
from serving.triton.server import installation
from serving.triton.server.installation import PYTHON_VERSION, STUB, find_triton


@pytest.fixture
def wheel(tmp_path, monkeypatch):
    """A make-believe nvidia-pytriton, first on the module path, and no tritonserver on PATH."""
    server = tmp_path / "site-packages" / "pytriton" / "tritonserver"
    for name in ("../__init__.py", "bin/tritonserver", "backends/python/libtriton_python.so"):
        (server / name).parent.mkdir(parents=True, exist_ok=True)
        (server / name).touch()
    stub = server / "python_backend_stubs" / PYTHON_VERSION / STUB
    stub.parent.mkdir(parents=True)
    stub.touch()
    with open(sys.executable, "rb") as python:
        (server / "bin" / "tritonserver").write_bytes(python.read(64))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "path", [str(tmp_path / "site-packages"), *sys.path])
    monkeypatch.delitem(sys.modules, "pytriton", raising=False)
    monkeypatch.setattr(installation.platform, "libc_ver", lambda: ("glibc", "2.35"))
    monkeypatch.setattr(installation, "_libpython_folder", lambda: None)
    return server


def test_program_on_path_comes_first(wheel, tmp_path):
    program = tmp_path / "tritonserver"
    program.touch(mode=0o755)
    installation = find_triton(tmp_path / "cache")
    assert (installation.program, installation.backend_directory) == (program, None)


def test_wheel_with_its_backend_linked_together(wheel, tmp_path):
    installation = find_triton(tmp_path / "cache")
    assert installation.program == wheel / "bin" / "tritonserver"
    linked = installation.backend_directory / "python"
    assert sorted(path.name for path in linked.iterdir()) == ["libtriton_python.so", STUB]
    assert find_triton(tmp_path / "cache") == installation


def test_broken_links_are_made_again(wheel, tmp_path):
    linked = find_triton(tmp_path / "cache").backend_directory / "python" / STUB
    linked.unlink()
    find_triton(tmp_path / "cache")
    assert linked.exists()


def test_old_glibc(wheel, tmp_path, monkeypatch):
    monkeypatch.setattr(installation.platform, "libc_ver", lambda: ("glibc", "2.31"))
    with pytest.raises(EnvironmentFault, match=r"needs glibc 2\.35 or newer, this machine has glibc 2\.31"):
        find_triton(tmp_path)


def test_other_processor(wheel, tmp_path):
    (wheel / "bin" / "tritonserver").write_bytes(b"\x7fELF" + bytes(14) + b"\xff\xff")
    with pytest.raises(EnvironmentFault, match="built for another processor"):
        find_triton(tmp_path)


def test_python_version_without_a_backend(wheel, tmp_path):
    (wheel / "python_backend_stubs" / PYTHON_VERSION).rename(wheel / "python_backend_stubs" / "3.99")
    with pytest.raises(EnvironmentFault, match=rf"Python {PYTHON_VERSION}, only for 3\.99"):
        find_triton(tmp_path)


def test_no_wheel(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(installation.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(EnvironmentFault, match="no tritonserver on PATH and no nvidia-pytriton"):
        find_triton(tmp_path)


def test_python_without_its_library(monkeypatch):
    monkeypatch.setattr(installation, "PYTHON_VERSION", "3.99")
    with pytest.raises(EnvironmentFault, match=r"libpython3\.99\.so\.1\.0.*apt-get install libpython3\.99"):
        installation._libpython_folder()
