"""On a Ray cluster each text is answered once, too, whatever becomes of a node."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import pytest

from pipeline.errors import EnvironmentFault
from serving.bulk.running import score
from tests.conftest import ENVIRONMENT, PROJECT
from tests.serving.bulk.scored import answers, as_lines

PYTHON = PROJECT / ".venv-ray" / "bin" / "python"


@pytest.mark.slow
def test_a_node_is_killed_and_every_text_is_answered_once(options, texts, expected, tmp_path):
    if not PYTHON.exists():
        pytest.skip("there is no .venv-ray; make setup-ray prepares it")
    times = 60
    (tmp_path / "in" / "a.txt").write_bytes(as_lines(texts * times))
    given = options()
    words = [PYTHON, "-m", "tests.serving.bulk.ray_cluster", tmp_path / "in", given.bundle, given.output_dir]
    done = subprocess.run(words, cwd=PROJECT, env=ENVIRONMENT, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr
    assert "killed after" in done.stdout
    found = answers(given.output_dir)
    assert [row for _, row in found] == expected * times
    assert len({own for own, _ in found}) == len(found)


def test_a_ray_that_does_not_start_is_a_fault_of_the_machine(options, texts, tmp_path, monkeypatch):
    def init(**given):
        raise Exception("The current node timed out during startup.")  # what Ray raises on a machine that is very busy

    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(init=init))
    (tmp_path / "in" / "a.txt").write_bytes(as_lines(texts))
    with pytest.raises(EnvironmentFault, match=r"Ray at this machine: The current node timed out"):
        score(options(engine="ray", processes=1))
