"""Training by several processes that `python -m paddle.distributed.launch` has started, on one machine or several: one
for each device, or several on a CPU, which talk by gloo."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import subprocess
import sys
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable

import numpy as np
import paddle

from pipeline.errors import EnvironmentFault, InputError

SEEN_SECONDS = 30.0
"""Within which a file that one machine writes is seen by others: network file systems remember what was not there."""
MEETING_SECONDS = 900.0
"""That a process waits for the others: one may write files, or read slower."""
BEAT_SECONDS, LOST_SECONDS = 5.0, 90.0
"""Between two signs of life, and without one until a process counts as lost."""
GONE = "gone"
AGAIN = "start all of them again, with --resume where an epoch has ended"
WATCH = """
import os, select, sys
beat, rank, size, again, seconds = sys.argv[1:]
count = 0
while not select.select([sys.stdin], [], [], float(seconds))[0]:
    with open(f"/proc/{os.getppid()}/stat") as stat:
        stopped = stat.read().rpartition(")")[2].split()[0] in "Tt"
    count += not stopped
    with open(beat, "w") as stream:
        stream.write(str(count))
ended = sys.stdin.buffer.read()
if os.path.exists(beat):
    os.unlink(beat)
if not ended:
    print(f"error: process {rank} of {size} was killed, or lost another one that was; {again}", file=sys.stderr)
"""
"""A process of its own: gloo aborts one that loses another, which can say nothing then."""


@dataclass
class ProcessGroup:
    """The processes that train together.

    Attributes:
        rank: this process, from 0; 0 writes files and prints.
        size: how many there are.
    """

    rank: int = 0
    size: int = 1
    _meetings: int = field(default=0, init=False)
    _beats: Beats | None = field(default=None, init=False)

    @classmethod
    def join(cls) -> ProcessGroup:
        """Meet the other processes; alone where no launcher has started this one."""
        if int(os.environ.get("PADDLE_TRAINERS_NUM", "1")) == 1:
            return cls()
        paddle.distributed.init_parallel_env()
        return cls(paddle.distributed.get_rank(), paddle.distributed.get_world_size())

    @property
    def leads(self) -> bool:
        """Whether this process writes files and prints."""
        return self.rank == 0

    def share(self, model: paddle.nn.Layer) -> Any:
        """`model` such that each backward pass leaves the mean of all processes' gradients."""
        self.wait()
        return model if self.size == 1 else paddle.DataParallel(model)

    def apart(self, shared: Any) -> contextlib.AbstractContextManager[None]:
        """A block in which gradients of `shared` stay this process's own, to be added to those of a later pass."""
        return contextlib.nullcontext() if self.size == 1 else shared.no_sync()

    def gather_rows(self, rows: np.ndarray, total: int) -> np.ndarray:
        """All rows of a table, float32 [total, width], of which this process has every `size`-th from `rank` on."""
        if self.size == 1:
            return rows
        most = -(-total // self.size)
        padded = np.zeros((most, rows.shape[1]), rows.dtype)
        padded[: len(rows)] = rows
        parts: list[paddle.Tensor] = []
        paddle.distributed.all_gather(parts, paddle.to_tensor(padded))
        return np.stack([part.numpy() for part in parts], axis=1).reshape(most * self.size, -1)[:total]

    def gather(self, value: float) -> list[float]:
        """The value of each process, by rank."""
        return self.gather_rows(np.array([[value]], np.float32), self.size).ravel().tolist()

    def wait(self) -> None:
        """Return when all processes have come here; raises as `exchange` does."""
        self.exchange("here")

    def exchange(self, word: str) -> list[str]:
        """The word of each process, by rank, when all have come here.

        gloo gives up after half a minute, and one process may write files, or read slower, for longer: so they meet
        over the store that paddle's processes share before they exchange anything by gloo again.

        Raises:
            EnvironmentFault: a process is lost, or does not come within MEETING_SECONDS.
        """
        if self.size == 1:
            return [word]
        self._meetings += 1
        store, meeting = paddle.base.core.create_or_get_global_tcp_store(), f"meeting/{self._meetings}"
        store.set(f"{meeting}/{self.rank}", word)
        store.add(f"{meeting}/come", 1)
        self._await(lambda: store.add(f"{meeting}/come", 0) == self.size)
        words = [bytes(store.get(f"{meeting}/{rank}")).decode() for rank in range(self.size)]
        store.add(f"{meeting}/left", 1)
        if self.leads:  # the store is its own, and ends with it
            self._await(lambda: store.add(f"{meeting}/left", 0) == self.size)
        return words

    def _await(self, come: Callable[[], bool]) -> None:
        deadline, pause = time.monotonic() + MEETING_SECONDS, 0.001
        while not come():
            if self._beats:
                self._beats.check()
            if time.monotonic() > deadline:
                raise EnvironmentFault(f"another process did not come within {MEETING_SECONDS:g} s; {AGAIN}")
            time.sleep(pause)
            pause = min(2 * pause, 0.1)

    def check_same(self, run: dict[str, Any]) -> None:
        """Raise InputError, in all processes, unless `run`, which JSON can hold, is the same in all."""
        runs = [json.loads(word) for word in self.exchange(json.dumps(run))]
        for rank, other in enumerate(runs):
            for name in {**runs[0], **other}:
                if (ours := runs[0].get(name)) != (theirs := other.get(name)):
                    raise InputError(
                        f"process {rank} has another {name} than process 0, {theirs!r:.80} instead of {ours!r:.80}; "
                        "start all with the same options and the same files"
                    )

    def check_shared(self, folder: Path) -> None:
        """Raise InputError, in all processes, unless all see what the leading one writes into `folder`."""
        if self.size == 1:
            return
        mark = folder / f".seen-by-all-{self.exchange(uuid.uuid4().hex)[0]}"
        if self.leads:
            mark.touch()
        deadline = time.monotonic() + SEEN_SECONDS
        while not mark.exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        seen = self.exchange("seen" if mark.exists() else "not")
        if self.leads:
            mark.unlink()
        if "not" in seen:
            raise InputError(
                f"process {seen.index('not')} does not see {folder}, where process 0 writes; give a --save_dir on a "
                "file system that all machines share"
            )
        self._beats = Beats(self, folder)
        self.wait()


class Beats:
    """Signs of life of a group's processes: files that a process beside each writes anew, and removes at its end."""

    def __init__(self, group: ProcessGroup, folder: Path) -> None:
        files = {rank: folder / f".process-{rank}" for rank in range(group.size)}
        files[group.rank].write_text("0", encoding="utf-8")
        arguments = (files.pop(group.rank), group.rank, group.size, AGAIN, BEAT_SECONDS)
        watch = subprocess.Popen(
            [sys.executable, "-S", "-c", WATCH, *map(str, arguments)], stdin=subprocess.PIPE, start_new_session=True
        )
        atexit.register(watch.communicate, b"ended")
        self._others = files
        self._seen: dict[int, tuple[str, float]] = {}
        self._looked = 0.0

    def check(self) -> None:
        """Raise EnvironmentFault where another process is lost; looks once in BEAT_SECONDS."""
        now = time.monotonic()
        if now - self._looked < BEAT_SECONDS:
            return
        self._looked = now
        for rank, file in self._others.items():
            try:
                beat = file.read_text(encoding="utf-8")
            except OSError:
                beat = GONE
            before, since = self._seen.get(rank, ("", now))
            self._seen[rank] = (beat, since if beat == before else now)
            if beat == before and now - since > (BEAT_SECONDS if beat == GONE else LOST_SECONDS):
                raise EnvironmentFault(f"process {rank} was lost; {AGAIN}")
