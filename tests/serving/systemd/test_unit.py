"""systemd understands every line of the unit, and it starts what is there."""

from __future__ import annotations

import getpass
import re
import shutil
import subprocess

import pytest

from serving.triton.__main__ import parse_args
from tests.conftest import PROJECT

UNIT = PROJECT / "serving" / "systemd" / "text-classifier.service"
PLACE = "/opt/text-classifier"


def test_systemd_has_nothing_to_say_against_the_unit(tmp_path):
    if not shutil.which("systemd-analyze"):
        pytest.skip("there is no systemd-analyze")
    unit = tmp_path / UNIT.name
    text = UNIT.read_text(encoding="utf-8").replace(PLACE, str(PROJECT))
    unit.write_text(re.sub("^User=.*", f"User={getpass.getuser()}", text, flags=re.MULTILINE), encoding="utf-8")
    words = ["systemd-analyze", "verify", "--man=no", unit]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_unit_starts_the_launcher_and_lets_it_write_where_it_has_to():
    lines = dict(line.split("=", 1) for line in UNIT.read_text(encoding="utf-8").splitlines() if "=" in line)
    program, _, module, *options = lines["ExecStart"].split()
    assert (program, module) == (f"{PLACE}/.venv/bin/python", "serving.triton")
    assert parse_args(options).host == "127.0.0.1"
    assert lines["ReadWritePaths"].split() == [f"{PLACE}/{name}" for name in ("build", "model_repository")]
