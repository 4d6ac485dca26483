"""What the Triton ensemble does for a long time, under too much load, and when parts of it die.

    python -m benchmarks.serving.endurance soak --bundle export --texts data/test.txt --seconds 600
    python -m benchmarks.serving.endurance overload --bundle export --texts data/test.txt
    python -m benchmarks.serving.endurance faults --bundle export --other release --texts data/test.txt

Every answer is checked. `soak` keeps 32 requests under way and watches memory and /dev/shm. `overload` measures how
much the server answers, then sends ten times that. `faults` kills each Python process, publishes and rolls back, and
stops the server, all under load, with the supervisor that `make serve` runs.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.memory import resident_bytes
from benchmarks.options import EngineOptions, RecordOptions
from benchmarks.records import environment
from benchmarks.serving.checked_load import FAILED, REFUSED, RIGHT, WRONG, CheckedLoad, reliable_answers
from benchmarks.texts import read_texts
from pipeline.command import run
from pipeline.compute.runtimes import resolve
from pipeline.errors import InputError
from pipeline.files.bundle import Bundle
from pipeline.options import option, parse
from pipeline.predictor import Predictor
from serving.process import processes
from serving.process.ports import Ports
from serving.triton.configs.ensemble import COMPONENTS
from serving.triton.deployment import TritonDeployment
from serving.triton.options import ServingOptions
from serving.triton.repository import ModelRepository
from serving.triton.server.launcher import TritonServer
from serving.triton.server.options import TritonOptions
from serving.triton.server.supervision import Supervisor

CLIENTS = 32
MIXED_LENGTHS = (1, 1, 1, 3)
"""How often a text is repeated within itself, for lengths beyond those of the file."""


@dataclass(frozen=True)
class EnduranceOptions(EngineOptions, RecordOptions):
    """What the server is put to, with which bundle and texts."""

    what: str = option(help="what the server is put to", choices=("soak", "overload", "faults"), positional=True)
    bundle: Path = option(help="bundle that is served")
    other: Path | None = option(None, "bundle that is published in turn under faults (--bundle again)")
    texts: Path = option(help="file with a text per line, or with labelled rows")
    seconds: float = option(600.0, "seconds of the soak; the overload takes 20 of them at most", above=0)
    flips: int = option(20, "times that is published or rolled back under faults", at_least=1)
    factor: float = option(10.0, "overload, as a multiple of what the server answers at most", above=0)
    queue_milliseconds: int = option(
        ServingOptions().queue_milliseconds, "milliseconds that texts may wait for the model", at_least=0
    )


def measure(options: EnduranceOptions) -> dict[str, Any]:
    """The record.

    Raises:
        InputError: a bundle or the texts cannot be used.
        ServerError: the server does not start.
    """
    bundles = [Bundle(path) for path in (options.bundle, options.other or options.bundle)]
    runtime, precision = resolve(bundles[0], options.runtime, options.precision)
    serving = ServingOptions(runtime=runtime, precision=precision, queue_milliseconds=options.queue_milliseconds)
    texts = [text * MIXED_LENGTHS[row % len(MIXED_LENGTHS)] for row, text in enumerate(read_texts(options.texts))]
    expected = reliable_answers([Predictor(bundle, runtime, precision) for bundle in bundles], texts)
    if not expected:
        raise InputError(
            f"no text of {options.texts} has an answer that does not depend on rounding; try another bundle"
        )
    about = environment()
    with tempfile.TemporaryDirectory(prefix="triton-endurance-") as place:
        repository = ModelRepository(Path(place) / "repository")
        TritonDeployment(repository).publish(bundles[0], serving)
        with watched_server(repository, Path(place) / "state") as (server, reports):
            load = CheckedLoad(server.grpc_address, expected)
            if options.what == "faults":
                deployment = TritonDeployment(repository, [server.control])
                figures = faults(options.flips, server, load, deployment, bundles[1], serving)
            else:
                figures = (_soak if options.what == "soak" else _overload)(options, server, load)
            load.close()
    return {
        "environment": about,
        "what": options.what,
        "runtime": runtime,
        "precision": precision,
        "texts": len(expected),
        **figures,
        "reports": reports,
    }


@contextmanager
def watched_server(repository: ModelRepository, state_dir: Path) -> Iterator[tuple[TritonServer, list[str]]]:
    """A server under the supervisor that `python -m serving.triton` runs, and what the supervisor reports."""
    options = TritonOptions(model_control_mode="explicit", load_model=("*",))
    server = TritonServer(repository.path, ports=Ports.free(), state_dir=state_dir, options=options, admin_key="bench")
    reports: list[str] = []
    with server:
        print(f"ready after {server.wait_ready(120):.1f} s", file=sys.stderr)
        supervisor = Supervisor(server, reports.append, lambda line: None)
        thread = threading.Thread(target=supervisor.run)
        thread.start()
        try:
            yield server, reports
        finally:
            server.terminate()
            thread.join()


def _soak(options: EnduranceOptions, server: TritonServer, load: CheckedLoad) -> dict[str, Any]:
    """CLIENTS requests under way all the time."""
    started = time.monotonic()
    samples: list[dict[str, float]] = []

    def enough() -> bool:
        now = time.monotonic() - started
        if now >= len(samples) * 10:
            samples.append({"seconds": round(now), **memory(server)})
        return now >= options.seconds

    load.run_clients(CLIENTS, enough)
    return {**outcome_figures(load, time.monotonic() - started), "memory": samples}


def _overload(options: EnduranceOptions, server: TritonServer, load: CheckedLoad) -> dict[str, Any]:
    """The capacity with CLIENTS under way, then `factor` times as many arrivals, then the capacity again."""
    seconds = min(options.seconds, 20.0)
    capacity = throughput(load, 10.0)
    surplus = CheckedLoad(server.grpc_address, load.expected)
    surplus.run_arrivals(options.factor * capacity, seconds)
    ended = time.monotonic()
    after = throughput(load, 5.0)
    figures = outcome_figures(surplus, seconds)
    surplus.close()
    return {
        "capacity": round(capacity, 1),
        "sent": round(options.factor * capacity, 1),
        **figures,
        "capacity in the 5 s after": round(after, 1),
        "seconds until then": round(time.monotonic() - ended, 1),
        "queue milliseconds": options.queue_milliseconds,
    }


def faults(
    flips: int,
    server: TritonServer,
    load: CheckedLoad,
    deployment: TritonDeployment,
    other: Bundle,
    options: ServingOptions,
) -> dict[str, Any]:
    """Each Python process killed, then versions changed, then the server stopped, while requests go on."""
    finished = threading.Event()
    caller = threading.Thread(target=load.run_clients, args=(8, finished.is_set))
    caller.start()
    try:
        time.sleep(3)
        figures: dict[str, Any] = {f"killed {model}": kill(server, load, model) for model in COMPONENTS}
        figures["versions changed"] = change_versions(flips, load, deployment, other, options)
        before = load.tally.outcomes.copy()
        server.terminate()
        time.sleep(1)
    finally:
        finished.set()
        caller.join()
    figures["stopped under load"] = changes(load, before)
    return {**figures, "wrong": load.tally.outcomes[WRONG], "messages": dict(load.tally.messages)}


def kill(server: TritonServer, load: CheckedLoad, model: str) -> dict[str, Any]:
    """Kill a model's Python process; what failed, and until when."""
    pid = next(pid for pid, (name, _) in server.stubs().items() if name == model)
    before, killed = load.tally.outcomes.copy(), time.monotonic()
    os.kill(pid, signal.SIGKILL)
    time.sleep(12)
    bad = [moment for moment in load.tally.moments[FAILED] if moment > killed]
    return {**changes(load, before), "last failure after seconds": round(max(bad) - killed, 1) if bad else 0.0}


def change_versions(
    times: int, load: CheckedLoad, deployment: TritonDeployment, other: Bundle, options: ServingOptions
) -> dict[str, Any]:
    """Publish, then roll back and forth."""
    before, started = load.tally.outcomes.copy(), time.monotonic()
    deployment.publish(other, options)
    for flip in range(times - 1):
        deployment.roll_back(1 + flip % 2)
    return {"times": times, "seconds": round(time.monotonic() - started, 1), **changes(load, before)}


def changes(load: CheckedLoad, before: Mapping[str, int]) -> dict[str, int]:
    """How many requests of each outcome ended since `before`."""
    return {name: load.tally.outcomes[name] - before[name] for name in (RIGHT, WRONG, REFUSED, FAILED)}


def throughput(load: CheckedLoad, seconds: float) -> float:
    """Right answers per second with CLIENTS requests under way."""
    started = time.monotonic()
    load.run_clients(CLIENTS, lambda: time.monotonic() - started >= seconds)
    return load.tally.within(RIGHT, started, started + seconds) / seconds


def outcome_figures(load: CheckedLoad, seconds: float) -> dict[str, Any]:
    """Counts and latencies by outcome."""
    tally = load.tally
    return {
        "seconds": round(seconds, 1),
        "per second": round(tally.outcomes[RIGHT] / seconds, 1),
        **{name: tally.outcomes[name] for name in (RIGHT, WRONG, REFUSED, FAILED)},
        "right p50 p99 ms": [round(tally.percentile_ms(RIGHT, share), 1) for share in (50, 99)],
        "refused p50 p99 ms": [round(tally.percentile_ms(REFUSED, share), 1) for share in (50, 99)],
        "messages": dict(tally.messages),
    }


def memory(server: TritonServer) -> dict[str, float]:
    """Resident MB of the server and its Python processes, and MB of its regions in /dev/shm."""
    resident = sum(map(resident_bytes, [server.pid, *processes.children(server.pid)]))
    regions = sum(path.stat().st_blocks * 512 for path in Path("/dev/shm").glob(f"{server.shared_memory_prefix}*"))
    return {"resident MB": round(resident / 2**20, 1), "shared MB": round(regions / 2**20, 1)}


def parse_args(argv: Sequence[str] | None) -> EnduranceOptions:
    return parse(EnduranceOptions, argv, __doc__)


def main(argv: Sequence[str] | None = None) -> None:
    options = parse_args(argv)
    figures = measure(options)
    options.write(figures)
    print(json.dumps(figures, ensure_ascii=False, indent=1))


if __name__ == "__main__":
    run(main)
