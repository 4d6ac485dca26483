"""What commands write reaches an output of any encoding."""

import os
import pty
import signal
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


WAITING = """
import time
from pipeline.command import ended_in_order, run

def main(_):
    with ended_in_order():
        try:
            print("begun", flush=True)
            time.sleep(60)
        finally:
            print("taken back", flush=True)

run(main)
"""


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGHUP])
def test_a_command_that_is_ended_takes_back_what_it_began(sent):
    words = [sys.executable, "-c", WAITING]
    with subprocess.Popen(words, cwd=PROJECT, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout.readline() == "begun\n"
        running.send_signal(sent)
        assert running.stdout.read() == "taken back\n"
    assert running.returncode == 128 + sent


def test_under_nohup_a_terminal_may_close():
    words = ["nohup", sys.executable, "-c", WAITING.replace("60", "1")]
    with subprocess.Popen(words, cwd=PROJECT, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout.readline() == "begun\n"
        running.send_signal(signal.SIGHUP)
        assert running.stdout.read() == "taken back\n"
    assert running.returncode == 0


def test_a_reader_that_goes_while_something_is_begun_is_no_success():
    code = WAITING.replace("time.sleep(60)", "[print('x' * 9999, flush=True) or time.sleep(0.01) for _ in range(999)]")
    words = f"{{ '{sys.executable}' -c \"$0\"; echo $? >&2; }} | head -n 1"
    done = subprocess.run(
        ["sh", "-c", words, code], cwd=PROJECT, env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    assert done.stdout == "begun\n"
    assert done.stderr == "error: whoever read the output has gone, and what was begun is taken back\n3\n"
