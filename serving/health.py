"""Ask servers a golden text: `python -m serving.health` ends with 0 where all answer rightly, else with 4.

Asked are the servers that are named, or else those that were started from here, or else Triton on its usual port.
Triton itself says that it is ready even where every request fails, so this is what a readiness or liveness probe is
to call. A server that refuses for having too much to do is alive; `--ready` counts it as not ready.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.command import run
from pipeline.errors import ClassifierError, InputError, ServerError
from pipeline.options import option, parse
from serving.deployment import Deployment
from serving.folders import TRITON
from serving.golden import Refused
from serving.paddle.control import ServiceControl
from serving.servers import PlaceOptions, require_addresses


@dataclass(frozen=True)
class HealthOptions(PlaceOptions):
    """Which servers to ask, and what counts as healthy."""

    paddle_server: tuple[str, ...] = option(
        (), "Paddle Serving: the HTTP address of a service", metavar="HOST:PORT", repeated=True
    )
    seconds: float = option(5.0, "seconds that an answer may take", above=0)
    ready: bool = option(False, "fail where a server has too much to do")

    def check(self) -> None:
        super().check()
        require_addresses("paddle_server", self.paddle_server)
        if self.only == TRITON and self.paddle_server:
            raise InputError("--paddle_server is for Paddle Serving; leave it out with --only triton")


def health(options: HealthOptions) -> Iterator[str]:
    """Per server that answers rightly a line that says so.

    Raises:
        InputError: nothing is published that a server could be asked.
        ServerError: a server does not answer, or not rightly; all others were asked.
    """
    faults = []
    for deployment, server in _asked(options):
        name = f"{deployment.server} at {server.address}"
        try:
            version = deployment.check(server, options.seconds)
            whose = f"{'' if server.started_here else 'not '}started from here"
            said = f"version {version.number} (bundle {version.bundle}) answers"
            yield f"{name}: {said}, {whose}, as {deployment.path} says"
        except ClassifierError as error:
            if isinstance(error, Refused) and not options.ready:
                yield f"{name}: alive, with too much to do: {error}"
            else:
                faults.append(error)
    if len(faults) == 1:
        raise faults[0]
    if faults:
        raise ServerError("; ".join(map(str, faults)))


def _asked(options: HealthOptions) -> list[tuple[Deployment, Any]]:
    triton, paddle = options.triton(), options.paddle()
    known = {service.address: service for service in paddle.servers}
    controls = {server.address: server for server in triton.servers}
    named: list[tuple[Deployment, Any]] = [(triton, controls[address]) for address in options.named_servers]
    named += [(paddle, known.get(address, ServiceControl(address))) for address in options.paddle_server]
    recorded = [(each, server) for each in options.deployments() for server in each.servers]
    return named or recorded or options.usual()[:1]


def parse_args(argv: Sequence[str] | None) -> HealthOptions:
    return parse(HealthOptions, argv, __doc__, prog="python -m serving.health")


def main(argv: Sequence[str] | None = None) -> None:
    for line in health(parse_args(argv)):
        print(line)


if __name__ == "__main__":
    run(main)
