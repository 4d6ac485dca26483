"""Put a bundle into service and take it back, in one server or in several at once.

The order of steps is what makes it safe, in `publish_together` and in `roll_back_together`:

1. in each server's folder a version is written beside the others, loaded beside the live one where servers run, and
   asked its golden texts;
2. once all of them are prepared, each is made live, which is one step on disk;
3. servers unload what was live before, and versions beyond those to keep are removed.

Where something fails before step 3, what was live in any of them is live again.
"""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any, ClassVar, Generic

from pipeline.errors import ClassifierError, EnvironmentFault, InputError, ServerError
from pipeline.files.bundle import Bundle
from serving.golden import GOLDEN_SECONDS, Refused
from serving.published import Chosen, PublishedVersion
from serving.staging import software
from serving.strays import mend
from serving.targets import choose_targets, number_beside

KEPT_VERSIONS = 5


class Deployment(ABC, Generic[Chosen]):
    """The versions of one server on disk, and the running servers that follow them.

    Attributes:
        key, server: the server's name, as --only takes it and in words.
        path: the folder.
        servers: the controls of the running servers.
    """

    key: ClassVar[str]
    server: ClassVar[str]
    path: Path
    servers: Sequence[Any]

    @abstractmethod
    def alone(self) -> AbstractContextManager[None]:
        """Keep others from publishing here meanwhile; raises EnvironmentFault where one is at it."""

    @abstractmethod
    def versions(self) -> list[PublishedVersion[Chosen]]:
        """The published versions, oldest first."""

    @abstractmethod
    def damaged(self) -> dict[int, str]:
        """What is wrong with the versions whose records cannot be read, by number; `versions` passes over them."""

    @abstractmethod
    def live(self) -> PublishedVersion[Chosen] | None:
        """The version that answers; None before the first."""

    @abstractmethod
    def write(self, bundle: Bundle, options: Chosen, number: int, note: str = "") -> PublishedVersion[Chosen]:
        """Write a version; nothing refers to it yet."""

    def settled(self, bundle: Bundle, options: Chosen) -> Chosen:
        """What `write` would record for `options`."""
        return options

    @abstractmethod
    def verify(self, version: PublishedVersion[Chosen]) -> None:
        """Raise BundleError where the files that a version was published with are not as they were."""

    @abstractmethod
    def verify_live(self, version: PublishedVersion[Chosen]) -> None:
        """Raise BundleError where a server that starts now would not serve the live version as it was published."""

    @abstractmethod
    def bundle(self, version: PublishedVersion[Chosen], folder: Path) -> Bundle:
        """What was published as a version, copied to an empty folder: of its bundle as much as answers as it does."""

    @abstractmethod
    def remove(self, number: int) -> None:
        """Remove a version that is not live, finished or not."""

    @abstractmethod
    def beside(self, version: PublishedVersion[Chosen]) -> AbstractContextManager[PublishedVersion[Chosen]]:
        """Make sure that a version can be live; where the block fails, what was live before is live again."""

    @abstractmethod
    def make_live(self, version: PublishedVersion[Chosen]) -> None:
        """Let a version answer, inside the block of `beside`."""

    @abstractmethod
    def retire_others(self) -> None:
        """Let running servers keep the live version alone."""

    @abstractmethod
    def followers(self) -> str:
        """What to say of the running servers after a change."""

    def strays(self) -> dict[Any, PublishedVersion[Chosen]]:
        """Of `servers` those that answer by another version than the live one, where that can be, and by which."""
        return {}

    def mend(self) -> dict[Any, PublishedVersion[Chosen]]:
        """Let strays answer by the live version; what they were. Raises ServerError where one does not."""
        return {}

    @abstractmethod
    def loaded(self, server: Any) -> str:
        """The versions that one of `servers` has loaded, in words; raises ServerError where it does not answer."""

    @abstractmethod
    def check(self, server: Any, seconds: float = GOLDEN_SECONDS) -> PublishedVersion[Chosen]:
        """Ask a server a golden text of the version that it serves.

        Args:
            server: one of `servers`.
            seconds: how long it may take.

        Raises:
            InputError: nothing is published.
            WrongAnswer, Refused, ServerError: it answers otherwise, has too much to do, or does not answer.
        """

    def numbers(self) -> set[int]:
        """The numbers of all versions, damaged ones among them."""
        return {version.number for version in self.versions()} | self.damaged().keys()

    def require_live(self) -> PublishedVersion[Chosen]:
        """The version that answers; raises InputError before the first."""
        version = self.live()
        if version is None:
            raise InputError(f"{self.path} holds no published model; publish a bundle first")
        return version

    def answering(self, bundle: Bundle, options: Chosen) -> PublishedVersion[Chosen] | None:
        """The live version, where publishing would only repeat it: its files are whole, and servers answer by it."""
        live = self.live()
        if live is None or (live.bundle, live.software) != (bundle.identity, software()):
            return None
        if live.options != self.settled(bundle, options):
            return None
        try:
            self.verify_live(live)
            for server in self.servers:
                with contextlib.suppress(Refused):
                    if self.check(server) != live:
                        return None
        except ClassifierError:
            return None
        return live

    @contextlib.contextmanager
    def prepared(
        self, bundle: Bundle, options: Chosen, number: int, note: str = ""
    ) -> Iterator[PublishedVersion[Chosen]]:
        """A new version that can be made live; where the block fails, it is gone again."""
        before = self.live()
        try:
            with self.beside(self.write(bundle, options, number, note)) as version:
                yield version
        except BaseException:
            if self.live() == before:
                self.remove(number)
            raise

    def publish(self, bundle: Bundle, options: Chosen, kept: int = KEPT_VERSIONS) -> PublishedVersion[Chosen]:
        """Make a bundle the live version of this server; see `publish_together`."""
        return publish_together(bundle, {self: options}, kept)[self]

    def roll_back(self, number: int | None = None) -> PublishedVersion[Chosen]:
        """Make an earlier version of this server live again; see `roll_back_together`."""
        return roll_back_together([self], number)[self]


def publish_together(
    bundle: Bundle, wanted: Mapping[Deployment, Any], kept: int = KEPT_VERSIONS, above: int = 0, note: str = ""
) -> dict[Deployment, PublishedVersion]:
    """Make a bundle the live version of all these servers, or of none, under the same number.

    Args:
        bundle: what to publish.
        wanted: per server how it is to serve it.
        kept: how many versions stay on disk, the live one included.
        above: a number that is taken, and all below it.
        note: what is to be known of the version.

    Raises:
        InputError: `kept` is below 1, or the version cannot be loaded beside the live one.
        EnvironmentFault: this machine lacks the runtime or the precision, or another process is publishing.
        BundleError: the bundle lacks what the runtime needs, or does not answer its own golden texts.
        ServerError: a server does not load it or answers otherwise.
    """
    if kept < 1:
        raise InputError(f"the number of versions to keep is {kept}; give at least 1")
    with _alone(wanted):
        mend(wanted)
        number = 1 + max([above, *(number for each in wanted for number in each.numbers())])
        before = {each: each.live() for each in wanted}
        versions = _go_live({each: each.prepared(bundle, options, number, note) for each, options in wanted.items()})

        def settle(each: Deployment) -> None:
            each.retire_others()
            needed_most = [version for version in (versions[each], before[each]) if version]
            others = [version for version in reversed(each.versions()) if version not in needed_most]
            for version in [*needed_most, *others][kept:]:
                each.remove(version.number)

        _settle(versions, settle)
    return versions


def roll_back_together(
    deployments: Sequence[Deployment], number: int | None = None, forward: bool = False
) -> dict[Deployment, PublishedVersion]:
    """Make an earlier bundle live again in all these servers, or in none; the versions that are live then.

    A server without a version of that number stays with the bundle where it serves it, or goes to its newest version
    of it. What a publisher that was killed left half done is taken back first; without a number that is all.

    Args:
        deployments: with a live version each.
        number: which version; None for the newest of those before the live ones.
        forward: None is for the oldest of those after the live ones.

    Raises:
        InputError: there is no such version, a server has none of its bundle, or it is live already.
        EnvironmentFault, BundleError, ServerError: as `publish_together` does.
    """
    with _alone(deployments):
        live = {each: each.require_live() for each in deployments}
        mended = mend(deployments)
        if number is None and not forward and any(mended.values()):
            return live
        targets = choose_targets(live, number_beside(live, forward) if number is None else number)
        moving = {each: version for each, version in targets.items() if version != live[each]}
        if not moving and mended:
            return targets
        if not moving:
            raise InputError(f"version {next(iter(targets.values())).number} is live already")
        for each, version in moving.items():
            with _told(each, moving):
                each.verify(version)
        _go_live({each: each.beside(version) for each, version in moving.items()})
        _settle(moving, lambda each: each.retire_others())
    return targets


def _alone(deployments: Sequence[Deployment] | Mapping[Deployment, Any]) -> ExitStack:
    with ExitStack() as stack:
        for each in deployments:
            stack.enter_context(each.alone())
        return stack.pop_all()


def _go_live(
    preparations: Mapping[Deployment, AbstractContextManager[PublishedVersion]],
) -> dict[Deployment, PublishedVersion]:
    """Enter all preparations, then make each version live; leaving them by an error undoes all of it."""
    with ExitStack() as stack:
        versions = {}
        for each, preparation in preparations.items():
            with _told(each, preparations):
                versions[each] = stack.enter_context(preparation)
        for each, version in versions.items():
            with _told(each, preparations):
                each.make_live(version)
    return versions


@contextlib.contextmanager
def _told(deployment: Deployment, all_of_them: Mapping[Deployment, Any]) -> Iterator[None]:
    """Say which of several servers an error is about, and how to go on without it."""
    try:
        yield
    except (ClassifierError, OSError) as error:
        others = [each.key for each in all_of_them if each is not deployment]
        if not others:
            raise
        kind = type(error) if isinstance(error, ClassifierError) else EnvironmentFault
        hint = f"nothing has changed in either server, --only {others[0]} leaves this one out"
        raise kind(f"{deployment.server}: {error}; {hint}") from error


def _settle(deployments: Mapping[Deployment, PublishedVersion], settle: Callable[[Deployment], None]) -> None:
    """Clear away what is over in each server, whatever happens in another."""
    faults = []
    for each, version in deployments.items():
        try:
            settle(each)
        except (ClassifierError, OSError) as error:
            faults.append(f"{each.server}: version {version.number} is live, the one before is not gone: {error}")
    if faults:
        raise ServerError("; ".join(faults))
