"""How the command lines of the pages are run, shrunk, and which cannot be run here.

A line is run if `shrunk` knows its program, or left out if NOT_RUN says why. Any other line fails the test of its page.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable
from unittest import mock

from tests.conftest import ENVIRONMENT, PROJECT
from tests.docs.workspace import Annotator

PYTHON, PYTHON_SERVING = ".venv/bin/python", ".venv-serving/bin/python"
PLAIN = ("curl", "grep", "cat", "cut", "rm")
TO_BASH = re.compile(r"(tar|mkdir|printf|\(cd) ")
"""Lines that a shell runs as they stand."""
IN_DOCCANO = re.compile(r"# in doccano: import ([^\s,]+).* as (\S+)")

NOT_RUN: Mapping[str, str] = {
    r".* --promise ": "a promise takes more rows than the small dataset has; see tests/training/confidence",
    r"make (setup|demo|bench|soak|e5|minilm|stop|docs)\b": "takes minutes or changes this checkout",
    r".* training/feedback\.py ": "needs corrections: tests/training/test_feedback.py",
    r".* --doccano_file anna\.jsonl ": "needs exports of several people: tests/training/test_doccano_annotators.py",
    r"make retrain\b": "needs corrections: tests/training/test_retrain.py",
    r"make label-studio\b": "runs until it is stopped: tests/training/test_label_studio_itself.py",
    r"make console\b": "runs until it is stopped: tests/serving/console",
    r"\.venv-console/bin/python -m serving\.console ": "runs until it is stopped: tests/serving/console",
    r"curl -s 127\.0\.0\.1:8080/": "asks the console: tests/serving/console",
    r"make serve(-paddle)?\b": "runs until it is stopped; the servers of the blocks after it are fixtures",
    r".* training/train\.py .*--resume$": "needs an interrupted run: tests/training/loop/test_resume.py",
    r".* -m paddle\.distributed\.launch ": "needs free processors: tests/training/loop/test_distributed.py",
    r"\.venv/bin/visualdl ": "runs until it is stopped",
    r"prometheus ": "runs until it is stopped: tests/serving/monitoring/test_monitoring.py",
    r"\.venv/bin/python -m (pipeline\.compute\.gpu|benchmarks\.gpu)$": "needs a GPU: tests/pipeline/compute",
    r".*\bdocker (run|compose) ": "there is no docker here: tests/serving/container/test_files.py",
    r"kubectl ": "there is no cluster here: tests/serving/kubernetes",
    r"cd serving/container$": "there is no docker here",
    r"\(umask 077; openssl ": "writes a secret into this checkout",
    r"git (pull|checkout) ?": "changes this checkout",
    r"(sudo|cd /opt/)": "takes root: tests/serving/systemd/test_unit.py",
    r"nohup make serve ": "runs until it is stopped",
    r"tritonserver ": "runs until it is stopped: tests/serving/triton/test_publish.py",
    r"python3 -m venv build/peers ": "installs packages",
    r"\.venv/bin/python -m pip install notebook ": "installs packages",
    r"(python3 -m venv )?caller\b": "installs packages: tests/clients/test_installed.py",
    r".* -m serving\.triton .*--tls_cert ": "runs until it is stopped: tests/serving/triton/server/test_command.py",
    r".* -m serving\.triton --trace_endpoint ": "runs until it is stopped: tests/serving/triton/server/test_tracing.py",
    r".* -m clients\.triton .*--tls_ca ": "needs certificates: tests/clients/test_triton_tls.py",
    r".* -m serving\.publish .*--server ": "names another machine: tests/serving/triton/test_deployment.py",
    r".* training/wos\.py ": "needs the published release: tests/training/test_wos.py",
    r".* --backend native ": "the folder holds another kind: tests/serving/triton/test_native_publishing.py",
    r"\.venv-ray/bin/python ": "needs a Ray cluster: tests/serving/bulk/test_on_ray.py",
    r"\.venv-spark/bin/python ": "needs a Spark cluster: tests/serving/bulk/test_on_spark.py",
    r"(cp .*|PYTHONPATH=)paddle_serving( |$)": "runs until it is stopped: tests/serving/paddle",
}
"""Why a command line cannot be run here, by a pattern that matches its beginning."""

SHRINK: Mapping[str, str] = {
    "training/make_sample_dataset.py": "--train_rows 200 --dev_rows 200 --test_rows 200",
    "training/train.py": "--model_name scratch-tiny --epochs 1 --overwrite --save_dir trained",
    "training/prune.py": "--width_mult 1/2 --num_train_epochs 1",
    "training/release.py": "--runtime onnxruntime --precision float32 --bundles export --rounds 1",
    "training/analysis/dirty.py": "--dirty_num 20",
    "training/analysis/sparse.py": "--sparse_num 10 --valid_num 10 --valid_threshold 0.1",
}
"""Options that are added, by script."""
PLACES = ("--save_dir", "--model_repository")
EPOCHS = re.compile(r"(epochs\"?[=:] ?)[1-9]\d*")
"""Of a snippet; one is enough."""


@dataclass
class Shell:
    """Runs the lines of the pages in the current folder.

    Attributes:
        addresses: what stands for an address of the pages, such as 127.0.0.1:8001.
        annotator: corrects what a comment takes to doccano.
        extra: options that are added, by module: where this folder's servers and publications are.
        done: lines that were run already, on any page.
    """

    addresses: Callable[[str], str]
    annotator: Annotator
    extra: Mapping[str, Sequence[str]]
    done: set[str] = field(default_factory=set)

    def run(self, line: str) -> None:
        """Run one line.

        Raises:
            AssertionError: it is neither known nor listed in NOT_RUN, or fails.
        """
        if brought := IN_DOCCANO.match(line):
            self.annotator.correct(Path(brought[1]), Path(brought[2]))
            return
        words = shlex.split(line, comments=True)
        plain = shlex.join(words)
        if not words or line in self.done or any(re.match(pattern, line) for pattern in NOT_RUN):
            return
        target = None
        if ">" in words:
            words, target = words[: words.index(">")], words[words.index(">") + 1]
        if TO_BASH.match(line):
            subprocess.run(["bash", "-ec", line], check=True)
            words, target = [], None
        output = b""
        for part in _split(words, "|") if words else ():
            output = self._program(part, output)
        if target:
            assert output, f"{plain} writes nothing to {target}"
            Path(target).write_bytes(output)
        self.done.add(line)

    def _program(self, words: list[str], given: bytes) -> bytes:
        words = [self.addresses(word) for word in words]
        if words[0] == PYTHON:
            name, rest = (words[2], words[3:]) if words[1] == "-m" else (words[1], words[2:])
            return self._in_process(name, rest, given)
        if words[0] == PYTHON_SERVING:
            command = [str(PROJECT / PYTHON_SERVING), "-W", "ignore", *words[1:], *self.extra.get(words[2], ())]
        else:
            assert words[0] in PLAIN, f"nothing is known of {shlex.join(words)}; run it or say in NOT_RUN why not"
            command = words
        environment = {**ENVIRONMENT, "PYTHONPATH": str(PROJECT)}
        done = subprocess.run(command, input=given, env=environment, capture_output=True, check=False)
        assert done.returncode == 0, f"{shlex.join(words)} failed:\n{done.stdout!r}\n{done.stderr!r}"
        refused = b'"error"' in done.stdout or (b'"err_no"' in done.stdout and b'"err_no": 0,' not in done.stdout)
        assert not refused, f"{shlex.join(words)} is answered {done.stdout!r}"
        return done.stdout

    def _in_process(self, name: str, words: list[str], given: bytes) -> bytes:
        module = name.removesuffix(".py").replace("/", ".")
        if (PROJECT / module.replace(".", "/")).is_dir():
            module += ".__main__"
        added = [*_not_given(words, SHRINK.get(name, "").split()), *_not_given(words, self.extra.get(name, ()))]
        try:
            main = importlib.import_module(module).main
        except ModuleNotFoundError as error:
            raise AssertionError(f"the page names {name}, and {error}") from None
        output, stdin = io.TextIOWrapper(io.BytesIO(), encoding="utf-8"), io.TextIOWrapper(io.BytesIO(given))
        with contextlib.redirect_stdout(output), mock.patch.object(sys, "stdin", stdin):
            main(_without_repeated(words, added))
        output.flush()
        return output.buffer.getvalue()  # type: ignore[attr-defined]


def lines(text: str) -> list[str]:
    """The command lines of a block, continued ones joined; a line that ends inside quotes goes on, too."""
    found, open_line = [], ""
    for part in text.replace("\\\n", " ").splitlines():
        open_line = f"{open_line}\n{part}" if open_line else part
        if open_line.count("'") % 2 == 0:
            found.append(" ".join(open_line.split()) if "'" not in open_line else open_line.strip())
            open_line = ""
    return [line for line in found if line]


def _not_given(words: list[str], added: Sequence[str]) -> list[str]:
    """What is added, without the places that the line itself names: a folder that is there, or one to write to."""
    kept = []
    for place, word in enumerate(added):
        option = word if word.startswith("--") else added[place - 1]
        given = words[words.index(option) + 1] if option in words else ""
        if not (option in PLACES or (option == "--model_name" and Path(given).is_dir())) or not given:
            kept.append(word)
    return kept


def _without_repeated(words: list[str], added: list[str]) -> list[str]:
    """Both, but of an option that may come several times only what is added."""
    kept = list(words)
    while "--url" in added and "--url" in kept:
        place = kept.index("--url")
        del kept[place : place + 2]
    return [*added, *kept] if "--" in kept else [*kept, *added]


def _split(words: list[str], separator: str) -> list[list[str]]:
    parts: list[list[str]] = [[]]
    for word in words:
        if word == separator:
            parts.append([])
        else:
            parts[-1].append(word)
    return parts
