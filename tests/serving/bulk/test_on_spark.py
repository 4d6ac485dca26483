"""On a Spark cluster each text is answered once, too, whatever becomes of an executor or of the driver."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.errors import InputError
from tests.conftest import ENVIRONMENT, PROJECT
from tests.serving.bulk.scored import answers, as_lines
from tests.serving.tiny_model import eventually

PYTHON = PROJECT / ".venv-spark" / "bin" / "python"
SECONDS = 600
"""Of each wait: three executors, a JVM each, begin on the cores that there are."""


def command(given, python: Path, environment: dict[str, str], *more: str) -> subprocess.Popen[str]:
    words = [python, "-m", "serving.bulk", "--engine", "spark", "--bundle", given.bundle, "--input", *given.input]
    words += ["--output_dir", given.output_dir, "--shard_bytes", str(given.shard_bytes), *more]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(words, cwd=PROJECT, env={**ENVIRONMENT, **environment}, **pipes)


def below(process: int) -> Iterator[int]:
    """The processes that a process has started, and those that these have."""
    for children in Path(f"/proc/{process}/task").glob("*/children"):
        with contextlib.suppress(OSError):  # it has ended
            for child in map(int, children.read_text().split()):
                yield child
                yield from below(child)


def executors(driver: int) -> list[int]:
    return [each for each in below(driver) if b"ExecutorBackend" in Path(f"/proc/{each}/cmdline").read_bytes()]


@pytest.fixture
def cluster(tmp_path) -> dict[str, str]:
    """The environment of a driver with a cluster of its own, whose processes know a secret."""
    if not PYTHON.exists():
        pytest.skip("there is no .venv-spark; make setup-spark prepares it")
    if not shutil.which("java"):
        pytest.skip("there is no Java here; Spark needs 17 or 21")
    (tmp_path / "conf").mkdir()
    settings = tmp_path / "conf" / "spark-defaults.conf"
    settings.touch(0o600)
    settings.write_text(f"spark.authenticate.secret {secrets.token_hex()}\nspark.executor.memory 512m\n")
    places = {"SPARK_CONF_DIR": "conf", "SPARK_WORKER_DIR": "work", "SPARK_LOCAL_DIRS": "local"}
    return {name: str(tmp_path / place) for name, place in places.items()}


@pytest.mark.slow
def test_an_executor_and_the_driver_are_killed_and_every_text_is_answered_once(
    options, texts, expected, cluster, tmp_path
):
    times = 200
    (tmp_path / "in" / "a.txt").write_bytes(as_lines(texts * times))
    given = options(shard_bytes=1 << 14)
    manifest, more = given.output_dir / "manifest.jsonl", ("--address", "local-cluster[3,1,1024]", "--processes", "3")

    def done() -> int:
        return manifest.read_bytes().count(b"\n") if manifest.exists() else 0

    driver = command(given, PYTHON, cluster, *more)
    assert eventually(lambda: done() > 2 or driver.poll() is not None, SECONDS)
    assert len(executors(driver.pid)) == 3, driver.communicate()
    lost = executors(driver.pid)[0]
    os.kill(lost, signal.SIGKILL)
    before = done()
    assert eventually(lambda: done() > before + 4 or driver.poll() is not None, SECONDS)
    driver.kill()
    driver.communicate()
    before = done()
    assert 7 < before < len(as_lines(texts * times)) / given.shard_bytes - 1
    # What the first run has left behind may write yet.
    again = command(given, PYTHON, cluster, *more)
    _, errors = again.communicate(timeout=SECONDS)
    assert again.returncode == 0, errors
    assert f"{before:,} of" in errors
    found = answers(given.output_dir)
    assert [row for _, row in found] == expected * times
    assert len({own for own, _ in found}) == len(found)
    assert (given.output_dir / "summary.json").exists()


@pytest.mark.slow
def test_without_an_address_spark_is_started_here_and_listens_on_loopback_alone(options, texts, expected, tmp_path):
    if not PYTHON.exists() or not shutil.which("java"):
        pytest.skip("there is no .venv-spark, or no Java")
    (tmp_path / "in" / "a.txt").write_bytes(as_lines(texts * 100))
    given = options(shard_bytes=1 << 14)
    driver = command(given, PYTHON, {"SPARK_LOCAL_DIRS": str(tmp_path / "local")}, "--processes", "2")
    parts = given.output_dir / "parts"
    assert eventually(lambda: (parts.exists() and any(parts.iterdir())) or driver.poll() is not None, SECONDS)
    assert {address for each in below(driver.pid) for address in listening(each)} == {"127.0.0.1"}
    _, errors = driver.communicate(timeout=SECONDS)
    assert driver.returncode == 0, errors
    assert [row for _, row in answers(given.output_dir)] == expected * 100


def listening(process: int) -> Iterator[str]:
    """The addresses of a process' TCP sockets to which others may connect; none where it has ended."""
    held = set()
    with contextlib.suppress(OSError):
        held |= {os.readlink(link) for link in Path(f"/proc/{process}/fd").iterdir()}
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in held:
                address = bytes.fromhex(fields[1].partition(":")[0])
                yield ".".join(map(str, reversed(address[-4:])))


def test_without_spark_or_java_what_to_install_is_told(options, texts, tmp_path):
    (tmp_path / "in" / "a.txt").write_bytes(as_lines(texts[:2]))
    here = command(options(), Path(sys.executable), {})
    assert "Spark is not installed here; make setup-spark" in here.communicate()[1]
    assert here.returncode == 3
    if not PYTHON.exists():
        pytest.skip("there is no .venv-spark; make setup-spark prepares it")
    without = command(options(), PYTHON, {"JAVA_HOME": str(tmp_path)})
    assert "install it, on Debian and Ubuntu with apt-get install openjdk-17-jre-headless" in without.communicate()[1]
    assert without.returncode == 3


@pytest.mark.parametrize("words", ["spark.ui.enabled", "ui.enabled=false"])
def test_a_setting_that_is_none_is_refused(options, words):
    with pytest.raises(InputError, match="--conf is .*; give NAME=VALUE of a setting whose name begins with spark."):
        options(engine="spark", conf=(words,))


def test_settings_of_spark_and_addresses_are_of_their_engines(options):
    with pytest.raises(InputError, match="--conf is of --engine spark"):
        options(engine="ray", conf=("spark.ui.enabled=true",))
    with pytest.raises(InputError, match="--address is of --engine ray or spark"):
        options(address="spark://head:7077")
