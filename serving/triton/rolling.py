"""Publish to one server first, watch how it serves its callers, and only then to the others, one after another.

The folder says the version before until the last server has changed over: a server that starts meanwhile, or after the
publisher was killed, answers by that one. So servers are given the new version's ensemble with the call that loads it.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Sequence

from pipeline.command import announce
from pipeline.errors import InputError
from pipeline.tensors import ENSEMBLE
from serving.triton.configs.ensemble import COMPONENTS
from serving.triton.control import ServerControl
from serving.triton.deployment import TritonDeployment
from serving.triton.repository import ModelRepository, TritonVersion
from serving.triton.watch import Watch

LEARN_SHARE = 0.25
"""Of the seconds that the canary is watched: how long is looked first how much each server is asked."""
START_SECONDS = 120.0
"""That a server may take to start which came, or was started anew, while the first was watched."""


class RollingDeployment(TritonDeployment):
    """A model repository, and servers of which the first, the canary, gets a new version before the others.

    Args:
        repository, servers: as `TritonDeployment` takes them; the `metrics` of the servers are known.
        seconds: how long the canary is watched.
        find: gives the servers as they are later: some may have come, others gone.
    """

    def __init__(
        self,
        repository: ModelRepository,
        servers: Sequence[ServerControl],
        seconds: float,
        find: Callable[[], Sequence[ServerControl]],
    ) -> None:
        super().__init__(repository, servers)
        self._seconds, self._find = seconds, find
        self._changed: set[ServerControl] = set()
        self._watch: Watch

    @contextlib.contextmanager
    def beside(self, version: TritonVersion) -> Iterator[TritonVersion]:
        """As in `TritonDeployment`, but in the canary alone; raises InputError where it cannot be compared."""
        if self.live() is None or len(self.servers) < 2:
            lacking = "nothing is live" if self.live() is None else f"servers: {len(self.servers)}"
            raise InputError(f"--canary_seconds compares a server with others by the version before ({lacking})")
        self._watch = Watch(self.servers[0], self.servers[1:], version.number, self.require_live().number)
        self._watch.learn(LEARN_SHARE * self._seconds)
        with super().beside(version):
            yield version

    def make_live(self, version: TritonVersion) -> None:
        """Let the canary answer by a version, and then all others; raises Worse where the canary serves worse."""
        canary = self.servers[0]
        self._change(canary, version)
        announce(f"{canary.address} answers by version {version.number} and is watched for {self._seconds:g} s")
        print(f"note: {self._watch.run(self._seconds)}", file=sys.stderr)
        self._look_up_anew(canary)
        for server in self.servers:
            if server != canary:
                self._prepare(server, version)
                self._change(server, version)
        super().make_live(version)

    def _first(self) -> Sequence[ServerControl]:
        return self.servers[:1]

    def _change(self, server: ServerControl, version: TritonVersion) -> None:
        self._changed.add(server)
        server.load(ENSEMBLE, self.repository.pin(version))
        self._check_live(server, version)

    def _look_up_anew(self, canary: ServerControl) -> None:
        """Leave out servers that have gone, and wait for those that have come, or were started anew."""
        found = self._find()
        if canary not in found:  # the name is not found just now
            return
        deadline = time.monotonic() + START_SECONDS
        for server in found:
            while not server.is_ready() and time.monotonic() < deadline:
                time.sleep(1.0)
        self.servers = [canary, *(server for server in found if server != canary)]

    def _load_back(self, server: ServerControl, models: Sequence[str], before: TritonVersion) -> None:
        if models == COMPONENTS:
            super()._load_back(server, models, before)
        elif server in self._changed:  # the folder has not changed, so that it would be no reason to load
            server.load(ENSEMBLE, self.repository.pin(before))
