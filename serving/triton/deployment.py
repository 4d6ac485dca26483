"""Bundles in a Triton model repository and in the servers that run from it, without a wrong answer in between.

Servers load a new version beside the live one, and it is asked its golden texts. Then the ensemble is pinned to it, on
disk in one step, and in each server in one step: a request that has begun ends with the version that it began with.
"""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from pipeline.errors import ClassifierError, ServerError
from pipeline.files.bundle import Bundle
from pipeline.predictor import Predictor
from pipeline.tensors import ENSEMBLE
from serving.deployment import Deployment
from serving.folders import TRITON, alone_in
from serving.golden import GOLDEN_SECONDS, Refused, expected_answers
from serving.published import PublishedVersion, served
from serving.triton.configs.ensemble import COMPONENTS, TOKENISER
from serving.triton.control import ServerControl, Unreachable
from serving.triton.options import ServingOptions
from serving.triton.repository import ModelRepository, TritonVersion

REFUSED_SECONDS = 30.0
NO_FOLLOWER = "no server is running that was started from here"


class TritonDeployment(Deployment[ServingOptions]):
    """A model repository and the servers that serve it.

    Args:
        repository: the folder.
        servers: servers that run from it; none: only the folder changes, and servers that start later serve it.
    """

    key, server = TRITON, "Triton"

    def __init__(self, repository: ModelRepository, servers: Sequence[ServerControl] = ()) -> None:
        self.repository, self.path, self.servers = repository, repository.path, servers

    def alone(self) -> AbstractContextManager[None]:
        return alone_in(self.path)

    def versions(self) -> list[TritonVersion]:
        return self.repository.versions()

    def damaged(self) -> dict[int, str]:
        return self.repository.damaged()

    def live(self) -> TritonVersion | None:
        return self.repository.live()

    def write(self, bundle: Bundle, options: ServingOptions, number: int, note: str = "") -> TritonVersion:
        predictor = Predictor(bundle, options.runtime, options.precision, options.threads or None, options.token_budget)
        expected = expected_answers(predictor)
        self.repository.remove_unfinished()
        fitted = options.fitted(bundle.manifest.most_tokens)
        version = PublishedVersion.now(number, bundle, fitted, expected, note)
        self.repository.add(bundle, version)
        return version

    def settled(self, bundle: Bundle, options: ServingOptions) -> ServingOptions:
        return options.fitted(bundle.manifest.most_tokens)

    def verify(self, version: TritonVersion) -> None:
        self.repository.verify(version)

    def verify_live(self, version: TritonVersion) -> None:
        self.repository.verify(version)
        self.repository.verify_configs(version)

    def bundle(self, version: TritonVersion, folder: Path) -> Bundle:
        return self.repository.bundle(version, folder)

    def remove(self, number: int) -> None:
        self.repository.remove(number)

    @contextlib.contextmanager
    def beside(self, version: TritonVersion) -> Iterator[TritonVersion]:
        before = self.live()
        for server in self.servers:
            self._require_follower(server)
        try:
            self.repository.load_only(*([before] if before else []), version)
            for server in self._first():
                self._prepare(server, version)
            yield version
        except BaseException as error:
            faults = self._undo(before)
            if faults and isinstance(error, ClassifierError):
                raise ServerError(f"{error}; taking it back failed too: {'; '.join(faults)}") from error
            raise

    def _first(self) -> Sequence[ServerControl]:
        """The servers that get a version before it is live in any."""
        return self.servers

    def _prepare(self, server: ServerControl, version: TritonVersion) -> None:
        """Load a version beside the live one, and ask it its golden texts."""
        self._load(server, COMPONENTS)
        server.check(version.expected, version.number, most=version.options.max_batch_size)

    def make_live(self, version: TritonVersion) -> None:
        self.repository.make_live(version)
        for server in self.servers:
            self._load(server, (ENSEMBLE,))
            self._check_live(server, version)

    def retire_others(self) -> None:
        if version := self.live():
            self.repository.load_only(version)
            for server in self.servers:
                self._load(server, COMPONENTS)

    def strays(self) -> dict[ServerControl, TritonVersion]:
        """Servers that answer by another version than the live one, of those that tell, and by which."""
        live, found = self.live(), {}
        if live is None:
            return {}
        for server in self.servers:
            with contextlib.suppress(ClassifierError):
                if (version := self._served(server, GOLDEN_SECONDS)) != live:
                    found[server] = version
        return found

    def mend(self) -> dict[ServerControl, TritonVersion]:
        live, strays = self.live(), self.strays()
        if live is None or not strays:
            return {}
        self.repository.load_only(*{each.number: each for each in strays.values()}.values(), live)
        for server in strays:
            self._load(server, COMPONENTS)
            server.load(ENSEMBLE, self.repository.pin(live))
            self._check_live(server, live)
        return strays

    def followers(self) -> str:
        count = len(self.servers)
        return f"live in {count} running server{'s' * (count > 1)}" if count else NO_FOLLOWER

    def loaded(self, server: ServerControl) -> str:
        return ", ".join(map(str, server.ready_versions(TOKENISER))) or "none"

    def check(self, server: ServerControl, seconds: float = GOLDEN_SECONDS) -> TritonVersion:
        if self.live() is None:
            with contextlib.suppress(Unreachable):
                self._require_follower(server)
            self.require_live()
        version = self._served(server, seconds)
        server.check([random.choice(version.expected)], seconds=seconds)
        return version

    def _require_follower(self, server: ServerControl) -> None:
        """Raise OtherFolder where a server that was named serves another folder, as far as it tells."""
        if server.started_here:
            return
        try:
            model = server.model()
        except Unreachable:
            raise
        except ServerError:
            return  # it serves no version yet
        if model:
            served(self.versions(), self.path, server.address, model)

    def _served(self, server: ServerControl, seconds: float) -> TritonVersion:
        """By which version a server answers; the folder's live one may be another, published without telling it."""
        if model := server.model(seconds):
            return served(self.versions(), self.path, server.address, model)
        if (number := server.pinned_version(seconds)) is None:
            raise ServerError(f"the server at {server.address} serves no ensemble that serving.publish wrote")
        return self.repository.version(number)

    def _undo(self, before: TritonVersion | None) -> list[str]:
        """Take back what `beside` and `make_live` did; what servers that still answer say against it."""
        self.repository.make_live(before)
        if before is None:
            return []
        faults = []
        for models in ((ENSEMBLE,), COMPONENTS):
            if models == COMPONENTS:
                self.repository.load_only(before)
            for server in self.servers:
                try:
                    self._load_back(server, models, before)
                except Unreachable:
                    continue  # when it starts again, it does so from the folder
                except ClassifierError as error:
                    faults.append(str(error))
        return faults

    def _load_back(self, server: ServerControl, models: Sequence[str], before: TritonVersion) -> None:
        """Load models as they were when that version was live."""
        self._load(server, models)

    @staticmethod
    def _check_live(server: ServerControl, version: TritonVersion) -> None:
        """Ask the golden texts among all others; where the server is overloaded, until it takes them."""
        deadline = time.monotonic() + REFUSED_SECONDS
        while True:
            try:
                return server.check(version.expected, most=version.options.max_batch_size)
            except Refused:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    @staticmethod
    def _load(server: ServerControl, models: Sequence[str]) -> None:
        for model in models:
            server.load(model)
