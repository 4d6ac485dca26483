"""What commands write reaches an output of any encoding."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ENVIRONMENT, PROJECT, run_in_process

TEXT = "裁员 é 😀"
COMMAND = [sys.executable, "-c", f"from pipeline.command import run; run(lambda _: print({TEXT!r}))"]


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "gbk"])
def test_a_pipe_gets_utf8_with_a_note(encoding):
    environment = {**ENVIRONMENT, "PYTHONIOENCODING": encoding}
    done = subprocess.run(COMMAND, cwd=PROJECT, env=environment, capture_output=True, check=False)
    assert (done.returncode, done.stdout.decode()) == (0, f"{TEXT}\n")
    assert done.stderr.decode(encoding) == (
        f"note: the output is written in UTF-8, not in {encoding}, which cannot hold all texts\n"
    )


def test_an_output_in_utf8_is_left_as_it_is():
    environment = {**ENVIRONMENT, "PYTHONIOENCODING": "utf8"}
    done = subprocess.run(COMMAND, cwd=PROJECT, env=environment, capture_output=True, check=False)
    assert (done.returncode, done.stdout.decode(), done.stderr) == (0, f"{TEXT}\n", b"")


def test_a_terminal_keeps_its_encoding():
    ours, theirs = pty.openpty()
    environment = {**ENVIRONMENT, "PYTHONIOENCODING": "gbk"}
    done = subprocess.run(COMMAND, cwd=PROJECT, env=environment, stdout=theirs, stderr=subprocess.PIPE, check=False)
    os.close(theirs)
    assert (done.returncode, done.stderr) == (0, b"")
    assert os.read(ours, 1000).decode("gbk") == "裁员 é \\U0001f600\r\n"
    os.close(ours)


def test_what_the_system_refuses_is_a_fault_of_the_machine():
    done = run_in_process(lambda _: Path("/proc/1/none").write_text(""))
    assert done.returncode == 3
    assert done.stderr.startswith("error: [Errno ")
    assert "/proc/1/none" in done.stderr


def test_an_output_that_is_full_gets_a_hint():
    with open("/dev/full", "w") as full:
        done = subprocess.run(COMMAND, cwd=PROJECT, env=ENVIRONMENT, stdout=full, stderr=subprocess.PIPE, check=False)
    said = done.stderr.decode().splitlines()
    assert (done.returncode, said[0].partition(";")[0]) == (3, "error: [Errno 28] No space left on device")
    assert "where its output goes" in said[0]
    assert said[1:] == []
