"""What tests start ends with them."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ENVIRONMENT, PROJECT
from tests.serving.tiny_model import eventually

TESTS = """
import sys, time
from tests.serving.console.running import Console
console = Console("--bundle", sys.argv[1])
print(console.process.pid, console.said, flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=["told", "killed"])
def test_a_console_ends_with_the_tests_that_started_it(bundle_path, how):
    command = [sys.executable, "-c", TESTS, bundle_path]
    with subprocess.Popen(command, cwd=PROJECT, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True) as tests:
        number, said = tests.stdout.readline().split(maxsplit=1)
        assert said.startswith("console on ")
        tests.send_signal(how)
    ended = Path("/proc", number, "cmdline")  # empty where nobody has taken its status yet
    eventually(lambda: not ended.exists() or not ended.read_bytes())
    assert not ended.exists() or not ended.read_bytes()
