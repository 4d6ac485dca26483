"""Put a bundle into service and take it back, on disk and in the servers that run, without a wrong answer.

The order of steps is what makes it safe:

1. the new version is written beside the others;
2. servers load it beside the live one, and it is asked its golden texts;
3. the ensemble is pinned to it, on disk in one step, and in each server in one step: a request that has begun ends
   with the version that it began with;
4. servers unload what was live before, and versions beyond those to keep are removed.

Before step 3 nothing has changed for callers, and where something fails, it is undone.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from pipeline.errors import ClassifierError, InputError
from pipeline.files.bundle import Bundle
from pipeline.predictor import Predictor
from pipeline.tensors import ENSEMBLE
from serving.golden import expected_answers, texts_per_second
from serving.triton.configs.ensemble import COMPONENTS
from serving.triton.control import Refused, ServerControl
from serving.triton.options import ServingOptions
from serving.triton.repository import ModelRepository, PublishedVersion

KEPT_VERSIONS = 2
REFUSED_SECONDS = 30.0


class Deployment:
    """A model repository and the servers that serve it.

    Args:
        repository: the folder.
        servers: servers that run from it; none: only the folder changes, and servers that start later serve it.
    """

    def __init__(self, repository: ModelRepository, servers: Sequence[ServerControl] = ()) -> None:
        self.repository, self.servers = repository, servers

    def publish(self, bundle: Bundle, options: ServingOptions, kept: int = KEPT_VERSIONS) -> PublishedVersion:
        """Make a bundle the live version.

        Args:
            bundle: what to publish.
            options: how to serve it; a `queue_size` of 0 is chosen by the speed of this machine.
            kept: how many versions stay on disk, the live one included.

        Raises:
            InputError: `kept` is below 1.
            EnvironmentFault: this machine lacks the runtime or the precision, or another process is publishing.
            BundleError: the bundle lacks what the runtime needs, or does not answer its own golden texts.
            ServerError: a server does not load it or answers otherwise; what was live before is live again.
        """
        if kept < 1:
            raise InputError(f"the number of versions to keep is {kept}; give at least 1")
        with self.repository.lock():
            predictor = Predictor(
                bundle, options.runtime, options.precision, options.threads or None, options.token_budget
            )
            expected = expected_answers(predictor)
            if options.queue_size == 0:
                waiting = int(texts_per_second(predictor, expected) * options.queue_milliseconds / 1000)
                options = replace(
                    options, queue_size=options.max_batch_size + max(waiting, options.max_batch_size // 2)
                )
            self.repository.remove_unfinished()
            before = self.repository.live()
            number = max((version.number for version in self.repository.versions()), default=0) + 1
            published = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            try:
                version = self.repository.add(bundle, number, published, options, expected)
                self._flip(before, version)
            except BaseException:
                if self.repository.live() == before:
                    self.repository.remove(number)
                raise
            self._remove_old(kept, version, before)
        return version

    def roll_back(self, number: int | None = None) -> PublishedVersion:
        """Make an earlier version live again.

        Args:
            number: which; None for the newest of those before the live one.

        Raises:
            InputError: there is no such version, or it is live already.
            EnvironmentFault, ServerError: as `publish` does.
        """
        with self.repository.lock():
            live = self.repository.live()
            if live is None:
                raise InputError(f"{self.repository.path} holds no published model; publish a bundle first")
            if number is None:
                earlier = [version.number for version in self.repository.versions() if version.number < live.number]
                if not earlier:
                    raise InputError(
                        f"there is no version before {live.number} in {self.repository.path} to go back to"
                    )
                number = earlier[-1]
            version = self.repository.version(number)
            if version == live:
                raise InputError(f"version {number} is live already")
            self._flip(live, version)
        return version

    def _flip(self, before: PublishedVersion | None, version: PublishedVersion) -> None:
        live = [] if before is None else [before.number]
        try:
            self.repository.load_only(version.options, *live, version.number)
            for server in self.servers:
                self._load(server, COMPONENTS)
                server.check(version.expected, version.number)
            self.repository.make_live(version)
            for server in self.servers:
                self._load(server, (ENSEMBLE,))
                self._check_live(server, version)
        except BaseException:
            self._undo(before)
            raise
        self.repository.load_only(version.options, version.number)
        for server in self.servers:
            self._load(server, COMPONENTS)

    def _undo(self, before: PublishedVersion | None) -> None:
        self.repository.make_live(before)
        if before is None:
            return
        for models in ((ENSEMBLE,), COMPONENTS):
            if models == COMPONENTS:
                self.repository.load_only(before.options, before.number)
            for server in self.servers:
                try:
                    self._load(server, models)
                except ClassifierError:
                    continue  # why it had to be undone is what the caller must hear

    @staticmethod
    def _check_live(server: ServerControl, version: PublishedVersion) -> None:
        """Ask the golden texts among all others; where the server is overloaded, until it takes them."""
        deadline = time.monotonic() + REFUSED_SECONDS
        while True:
            try:
                return server.check(version.expected)
            except Refused:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    @staticmethod
    def _load(server: ServerControl, models: Sequence[str]) -> None:
        for model in models:
            server.load(model)

    def _remove_old(self, kept: int, *needed_most: PublishedVersion | None) -> None:
        others = [version for version in reversed(self.repository.versions()) if version not in needed_most]
        for version in [*filter(None, needed_most), *others][kept:]:
            self.repository.remove(version.number)
