"""A process that answers lines, of a library or an environment that this process does not share."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Callable

from benchmarks.records import PROJECT
from pipeline.errors import ClassifierError


class LineProcess:
    """The process, seen from outside; to be used as a context manager, which ends it.

    Args:
        name: what messages call it.
        words: its command line: a Python with `-m` and a module that calls `serve_lines`.

    Attributes:
        about: what it said when it was ready.
    """

    def __init__(self, name: str, words: Sequence[str]) -> None:
        self.name = name
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self._process = subprocess.Popen(words, cwd=PROJECT, env=offline_environment(), **pipes)
        try:
            self.about = self._answer()
        except BaseException:
            self._end()
            raise

    def __enter__(self) -> LineProcess:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._end()

    def ask(self, question: Any) -> Any:
        """The answer to a question; both are what JSON can hold.

        Raises:
            ClassifierError: the process ended; it has said why.
        """
        assert self._process.stdin
        print(json.dumps(question), file=self._process.stdin, flush=True)
        return self._answer()

    def _answer(self) -> Any:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise ClassifierError(f"the process of {self.name} ended with status {self._process.wait()}; see above why")
        return json.loads(line)

    def _end(self) -> None:
        with self._process as process:  # closes its pipes and waits
            process.kill()


def serve_lines(prepare: Callable[[], tuple[Any, Callable[[Any], Any]]]) -> None:
    """Be such a process.

    Args:
        prepare: makes what the process says when it is ready, and the function that answers questions.
    """
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what the libraries print is no answer
    about, answer = prepare()
    print(json.dumps(about), file=answers)
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), file=answers)


def offline_environment() -> dict[str, str]:
    """This process's environment, in which transformers asks no hub and tokenizers starts no threads."""
    return {**os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
