"""What a machine lacks is told before anything is fetched."""

import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import machine
import pytest
from machine import Machine, faults, installation, this_machine

from tests.conftest import PROJECT

SCRIPT = PROJECT / "requirements" / "machine.py"
GOOD = Machine("Linux", "x86_64", ("sse4_2", "avx"), (2, 35), 2.8, None, 1.0)
OLD_PYTHONS = sorted(Path.home().glob(".pyenv/versions/3.[6-9].*/bin/python3"))
DEBIAN, UBUNTU = "ID=debian\n", 'ID=ubuntu\nID_LIKE="debian"\n'
FEDORA, ROCKY = "ID=fedora\n", 'ID="rocky"\nID_LIKE="rhel centos fedora"\n'
SUSE, ARCH = 'ID="opensuse-leap"\nID_LIKE="suse opensuse"\n', "ID=arch\n"


def run(*words: object, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if name not in ("FORCE", "PYTHONPATH")}
    return subprocess.run(
        [*map(str, words), str(SCRIPT)], env={**clean, **environment}, capture_output=True, text=True, check=False
    )


def test_this_machine_will_do_and_is_judged_within_a_second():
    began = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.monotonic()
    done = run(sys.executable)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, sys.executable, "")
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert ended.ru_utime + ended.ru_stime - began.ru_utime - began.ru_stime < 1
    assert time.monotonic() - started < 15  # others may use the processor; it waits for nothing


def test_a_machine_that_has_just_enough_will_do():
    assert faults(GOOD, needed_gb=2.8) == []
    assert faults(GOOD._replace(processor_flags=None, memory_gb=None), needed_gb=2.8) == []


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"system": "Darwin", "architecture": "arm64"}, ("Darwin on arm64", "Linux on x86_64", "WSL 2")),
        ({"architecture": "aarch64"}, ("Linux on aarch64", "Linux on x86_64")),
        ({"processor_flags": ("sse4_2",)}, ("AVX", "-cpu host")),
        ({"glibc": (2, 31)}, ("glibc 2.31", "2.35 or newer", "Debian 12")),
        ({"glibc": None}, ("another C library",)),
        ({"disk_gb": 1.14}, ("1.1 GB are free", "takes 2.8 GB", "make room")),
        ({"cache": ("/home/me/.cache/uv", 0.3)}, ("0.3 GB are free in /home/me/.cache/uv", "UV_CACHE_DIR")),
        ({"memory_gb": 0.42}, ("0.4 GB of memory",)),
    ],
)
def test_each_thing_that_is_lacking_is_told_with_what_to_do(changed, words):
    (fault,) = faults(GOOD._replace(**changed), needed_gb=2.8)
    assert all(word in fault for word in words)


def test_all_that_is_lacking_is_told_at_once():
    assert len(faults(GOOD._replace(processor_flags=(), glibc=(2, 17), disk_gb=0, memory_gb=0), needed_gb=2.8)) == 4


def test_what_a_machine_says_of_itself_is_read(tmp_path):
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc" / "cpuinfo").write_text("processor\t: 0\nflags\t\t: fpu sse4_2 avx avx2\n\nflags\t\t: fpu\n")
    (tmp_path / "proc" / "meminfo").write_text("MemTotal: 9000000 kB\nMemAvailable: 4000000 kB\nSwapFree: 1000000 kB\n")
    found = this_machine(tmp_path, root=tmp_path)
    assert found.processor_flags == ("fpu", "sse4_2", "avx", "avx2")
    assert found.memory_gb == pytest.approx(5.12)
    group = tmp_path / "sys" / "fs" / "cgroup"
    group.mkdir(parents=True)
    (group / "memory.max").write_text("max\n")
    assert this_machine(tmp_path, root=tmp_path).memory_gb == pytest.approx(5.12)
    (group / "memory.max").write_text("512000000\n")
    assert this_machine(tmp_path, root=tmp_path).memory_gb == pytest.approx(0.512)


def test_a_machine_that_does_not_tell_is_not_refused(tmp_path):
    assert this_machine(tmp_path, root=tmp_path)[2::4] == (None, None)


def test_a_new_cache_on_another_disk_is_judged_by_its_room(tmp_path, monkeypatch):
    other = Path("/dev/shm")
    if not other.is_dir() or other.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is one disk here")
    monkeypatch.setenv("UV_CACHE_DIR", str(other / "no-such-cache" / "uv"))
    assert this_machine(tmp_path).cache[0] == "/dev/shm/no-such-cache/uv"
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    assert this_machine(tmp_path).cache is None


def test_the_command_tells_and_leaves_with_3(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(machine, "this_machine", lambda: GOOD._replace(glibc=(2, 31)))
    monkeypatch.delenv("FORCE", raising=False)
    with pytest.raises(SystemExit) as left:
        machine.main()
    printed = capsys.readouterr()
    assert (left.value.code, printed.out) == (3, "")
    assert printed.err.startswith("error: the system has glibc 2.31")
    assert "make FORCE=1" in printed.err
    monkeypatch.setenv("FORCE", "1")
    machine.main()
    assert capsys.readouterr().out.strip() == sys.executable


def without_ensurepip(folder: Path) -> str:
    """What PYTHONPATH has to be for a Python like Debian's without python3-venv."""
    (folder / "sitecustomize.py").write_text("import sys\nsys.modules['ensurepip'] = None\n")
    return str(folder)


def test_a_python_that_cannot_make_environments_gives_place_to_another(tmp_path):
    able = tmp_path / "python3.12"
    able.write_text(f'#!/bin/sh\nunset PYTHONPATH\nexec {sys.executable} "$@"\n')
    able.chmod(0o755)
    done = run(sys.executable, PYTHONPATH=without_ensurepip(tmp_path), PATH=str(tmp_path), HOME=str(tmp_path))
    assert (done.stdout.strip(), done.returncode) == (str(able), 0), done.stderr


def test_without_a_python_that_can_it_is_said_what_brings_one(tmp_path):
    done = run(sys.executable, PYTHONPATH=without_ensurepip(tmp_path), PATH=str(tmp_path), HOME=str(tmp_path))
    assert (done.stdout, done.returncode) == ("", 3)
    assert "that has venv and ensurepip" in done.stderr
    assert "make PYTHON=/path/to/python3" in done.stderr


@pytest.mark.parametrize("python", OLD_PYTHONS, ids=lambda python: python.parts[-3])
def test_every_python_from_3_6_on_runs_the_check(python, tmp_path):
    done = run(python)
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).name.startswith("python3")


@pytest.mark.parametrize(
    ("release", "version", "command"),
    [
        (DEBIAN, "3", "apt-get install python3-venv"),
        (UBUNTU, "3", "apt-get install python3-venv"),
        (FEDORA, "3.11", "dnf install python3.11"),
        (ROCKY, "3.12", "dnf install python3.12"),
        (SUSE, "3.11", "zypper install python311"),
        (ARCH, "3", "pacman -S python"),
        (ARCH, "3.11", None),
        ("", "3", None),
    ],
)
def test_the_package_of_the_distribution_is_named(release, version, command):
    assert installation(release, version) == command


def test_debian_is_asked_whether_it_has_the_version(tmp_path, monkeypatch):
    apt = tmp_path / "apt-cache"
    apt.write_text('#!/bin/sh\n[ "$2" = python3.12 ] && echo "Package: python3.12"\n')
    apt.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert installation(UBUNTU, "3.12") == "apt-get install python3.12"
    assert installation(UBUNTU, "3.11") is None
