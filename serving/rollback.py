"""Let both servers answer by an earlier bundle again: `python -m serving.rollback`, or `... --version 3`.

Each call goes one version back, as far as there are versions; `--forward` goes one forward again.

A server without that version goes to its newest one of the same bundle. Where it has none, nothing changes in either.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.command import ended_in_order, run
from pipeline.errors import InputError
from pipeline.options import option, parse
from serving.deployment import Deployment, roll_back_together
from serving.published import PublishedVersion, notes
from serving.servers import ServerOptions


@dataclass(frozen=True)
class RollbackOptions(ServerOptions):
    """What to go back to, and in which servers."""

    version: int | None = option(None, "the version to go back to (the one before the live one)", at_least=1)
    forward: bool = option(False, "go to the version after the live one")

    def check(self) -> None:
        super().check()
        if self.forward and self.version is not None:
            raise InputError("--forward goes to the next version; leave out --version, which names one")


def roll_back(options: RollbackOptions) -> dict[Deployment, PublishedVersion]:
    """Make an earlier bundle live in all servers that have a live one; the versions that are live then.

    Raises:
        InputError, EnvironmentFault, BundleError, ServerError: as `roll_back_together` does.
    """
    named = options.deployments()
    return roll_back_together([each for each in named if each.live()] or named, options.version, options.forward)


def parse_args(argv: Sequence[str] | None) -> RollbackOptions:
    return parse(RollbackOptions, argv, __doc__, prog="python -m serving.rollback")


def main(argv: Sequence[str] | None = None) -> None:
    options = parse_args(argv)
    with ended_in_order():
        before = {each.server: each.live() for each in options.deployments()}
        done = roll_back(options)
    for each, version in done.items():
        print(f"{each.server}: version {version.number} (bundle {version.bundle}) is live now; {each.followers()}")
    for note in notes((version, before[each.server]) for each, version in done.items()):
        print(note)


if __name__ == "__main__":
    run(main)
