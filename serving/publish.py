"""Publish a bundle for Triton and for Paddle Serving, and let running servers answer by it.

    python -m serving.publish --bundle export
    python -m serving.publish --bundle export --only triton --server 10.0.0.7:8000 --key_file admin.key

Each server gets a version of the same number, in a folder of its own. Both versions are written, loaded where servers
run, and asked the bundle's golden texts before either becomes live: a fault in one leaves both as they were. Servers
that were started from here on these folders are found; Triton servers elsewhere are named by --server.

What is left at `auto` is chosen for each server by itself. What is asked for by name has to be possible in both.

`python -m serving.rollback` takes a version back, `python -m serving.versions` lists what is there. The folders need
nothing from this project: copied to another host, each runs there with its server alone.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from pipeline.command import ended_in_order, run
from pipeline.errors import BundleError, ClassifierError, InputError
from pipeline.files.bundle import Bundle
from pipeline.options import option, parse
from pipeline.run_folder import RunFolderOptions, interrupted
from serving.deployment import KEPT_VERSIONS, Deployment, publish_together
from serving.folders import PADDLE, TRITON
from serving.options import ComputeWishes
from serving.paddle.options import PaddleWishes
from serving.paddle.publication import paddle_options
from serving.process.ports import PORT
from serving.published import PublishedVersion, notes
from serving.servers import ServerOptions
from serving.triton.deployment import TritonDeployment
from serving.triton.options import TritonWishes
from serving.triton.publication import serving_options
from serving.triton.rolling import RollingDeployment


@dataclass(frozen=True)
class _What(RunFolderOptions):
    """What is published, and how it is kept."""

    bundle: Path = option("export", "the bundle's folder", in_run="export")
    keep: int = option(KEPT_VERSIONS, "versions that stay on disk, in each folder", at_least=1)
    note: str = option("", "what `python -m serving.versions` shows beside the version")
    again: bool = option(False, "make a new version even of what is live already")
    canary_seconds: float = option(
        0.0,
        "Triton: seconds that one server answers by it before the others do, and all go back where it serves worse "
        "than they; 0: all at once",
        at_least=0,
    )
    metrics_port: int | None = option(
        None, "Triton: metrics port of the servers that --server names (the HTTP port and 2)", **PORT
    )


@dataclass(frozen=True)
class PublishOptions(_What, ServerOptions, TritonWishes, PaddleWishes):
    """What to publish, where to, and how it is to be served."""

    def check(self) -> None:
        ServerOptions.check(self)
        if self.canary_seconds and self.only == PADDLE:
            raise InputError("--canary_seconds is for triton; leave it out with --only paddle")
        if not self.note.isprintable():
            raise InputError(f"--note is {self.note!r}; give one line without control characters")
        wishes: dict[str, type[ComputeWishes]] = {TRITON: TritonWishes, PADDLE: PaddleWishes}
        for server, kind in wishes.items():
            if self.only in (None, server):
                with _hint(self, server):
                    kind.check(self)
                continue
            shared = {each.name for each in fields(ComputeWishes)}
            for each in fields(kind):
                if each.name not in shared and getattr(self, each.name) != each.default:
                    raise InputError(f"--{each.name} is not for {self.only}; leave it out with --only {self.only}")

    def triton(self) -> TritonDeployment:
        """As `PlaceOptions` gives it; with `canary_seconds` it publishes to one server first."""
        all_at_once = super().triton()
        if not self.canary_seconds:
            return all_at_once
        repository = all_at_once.repository
        return RollingDeployment(
            repository,
            all_at_once.servers,
            self.canary_seconds,
            lambda: self.triton_servers(repository, self.look_up()),
        )

    def metrics(self, address: str) -> str:
        host = address.rpartition(":")[0]
        return f"{host}:{self.metrics_port}" if self.metrics_port else super().metrics(address)


@dataclass(frozen=True)
class Published:
    """What a server got. As text it is a line for people."""

    deployment: Deployment
    version: PublishedVersion
    new: bool = True
    before: PublishedVersion | None = None
    note: str = ""

    def __repr__(self) -> str:
        return f"Published({self.deployment.server!r}, version={self.version.number}, new={self.new})"

    def __str__(self) -> str:
        version, options = self.version, self.version.options
        if not self.new:
            with_note = ", with the --note that is given" if self.note not in ("", version.note) else ""
            return (
                f"{self.deployment.server}: bundle {version.bundle} is live already as version {version.number} "
                f"({options.engine}, {options.precision_in_words}); --again publishes it once more{with_note}"
            )
        return (
            f"{self.deployment.server}: published bundle {version.bundle} to {self.deployment.path} as version "
            f"{version.number} ({options.engine}, {options.precision_in_words}); {self.deployment.followers()}"
        )


def publish(options: PublishOptions) -> list[Published]:
    """Make a bundle live in both servers or, by `only`, in one; see `publish_together`.

    A bundle that is live in all of them already, by the same options and code, stays the version that it is, unless
    `again` is set or a running server does not answer by it.

    Raises:
        InputError: a server cannot do what is asked for by name; what the other can, `only` lets happen.
        BundleError, EnvironmentFault, ServerError: as `publish_together` does.
    """
    bundle = Bundle(options.bundle)
    wanted: dict[Deployment, ComputeWishes] = {}
    for each in options.deployments():
        with _hint(options, each.key):
            wanted[each] = serving_options(bundle, options) if each.key == TRITON else paddle_options(bundle, options)
    if not options.again:
        live = {each: each.answering(bundle, wish) for each, wish in wanted.items()}
        if all(live.values()):
            return [Published(each, version, False, note=options.note) for each, version in live.items() if version]
    everywhere: list[Deployment] = [options.triton(), options.paddle()]
    taken = max((number for each in everywhere for number in each.numbers()), default=0)
    before = {each: _live(each) for each in wanted}
    versions = publish_together(bundle, wanted, options.keep, taken, options.note)
    return [Published(each, version, before=before[each]) for each, version in versions.items()]


def _live(deployment: Deployment) -> PublishedVersion | None:
    """What is live; None where nothing is, or where nobody can tell."""
    with contextlib.suppress(BundleError):
        return deployment.live()
    return None


@contextlib.contextmanager
def _hint(options: PublishOptions, server: str) -> Iterator[None]:
    """Say that the other server may do what this one cannot."""
    try:
        yield
    except ClassifierError as error:
        if options.only:
            raise
        other = PADDLE if server == TRITON else TRITON
        raise type(error)(f"{error}; or publish with --only {other}") from error


def in_words(done: Sequence[Published]) -> list[str]:
    """What was published, and in what it is unlike what was live, a line each."""
    return [*map(str, done), *notes((each.version, each.before) for each in done)]


def parse_args(argv: Sequence[str] | None) -> PublishOptions:
    return parse(PublishOptions, argv, __doc__, prog="python -m serving.publish")


def main(argv: Sequence[str] | None = None) -> None:
    options = parse_args(argv)
    if note := interrupted(options.bundle):
        print(note, file=sys.stderr)
    with ended_in_order():
        done = publish(options)
    print(*in_words(done), sep="\n")
    print(f"decoding: {Bundle(options.bundle).decoder().in_words()}")


if __name__ == "__main__":
    run(main)
