"""What the Triton ensemble does for a long time, under too much load, and when parts of it die.

    python -m benchmarks.serving.endurance soak --bundle export --texts data/test.txt --seconds 600
    python -m benchmarks.serving.endurance overload --bundle export --texts data/test.txt
    python -m benchmarks.serving.endurance faults --bundle export --other release --texts data/test.txt

Every answer is checked. `soak` keeps 32 requests under way and watches memory and /dev/shm. `overload` measures how
much the server answers, then sends ten times that. `faults` kills each Python process, publishes and rolls back, and
stops the server, all under load, with the supervisor that `make serve` runs.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.serving.checked_load import FAILED, REFUSED, RIGHT, WRONG, CheckedLoad, reliable_answers
from pipeline.command import run
from pipeline.compute.runtimes import AUTO, PRECISIONS, RUNTIMES, resolve
from pipeline.errors import InputError
from pipeline.files.bundle import Bundle
from pipeline.files.dataset import read_lines
from pipeline.predictor import Predictor
from serving.process import processes
from serving.process.ports import Ports
from serving.triton.configs.ensemble import COMPONENTS
from serving.triton.deployment import Deployment
from serving.triton.options import ServingOptions
from serving.triton.repository import ModelRepository
from serving.triton.server.launcher import TritonServer
from serving.triton.server.options import TritonOptions
from serving.triton.server.supervision import Supervisor

CLIENTS = 32
MIXED_LENGTHS = (1, 1, 1, 3)
"""How often a text is repeated within itself, for lengths beyond those of the file."""


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    add = parser.add_argument
    add("what", choices=("soak", "overload", "faults"))
    add("--bundle", type=Path, required=True, help="what is served")
    add("--other", type=Path, help="faults: what is published in turn (--bundle again)")
    add("--texts", type=Path, required=True, help="a text per line, or labelled rows")
    add("--seconds", type=float, default=600.0, help="of the soak, or of the overload (%(default)s)")
    add("--flips", type=int, default=20, help="faults: how often is published or rolled back (%(default)s)")
    add("--factor", type=float, default=10.0, help="overload: times the capacity (%(default)s)")
    add("--runtime", choices=(AUTO, *RUNTIMES), default=AUTO)
    add("--precision", choices=(AUTO, *PRECISIONS), default=AUTO)
    add("--queue_milliseconds", type=int, default=ServingOptions().queue_milliseconds)
    add("--output_file", type=Path, help="where the figures are written as JSON")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    bundles = [Bundle(path) for path in (args.bundle, args.other or args.bundle)]
    runtime, precision = resolve(bundles[0], args.runtime, args.precision)
    options = ServingOptions(runtime, precision, queue_milliseconds=args.queue_milliseconds)
    texts = [line.split("\t")[0] for _, line in read_lines(args.texts)]
    texts = [text * MIXED_LENGTHS[row % len(MIXED_LENGTHS)] for row, text in enumerate(texts)]
    expected = reliable_answers([Predictor(bundle, runtime, precision) for bundle in bundles], texts)
    if not expected:
        raise InputError(f"no text of {args.texts} has an answer that does not depend on rounding; try another bundle")
    with tempfile.TemporaryDirectory(prefix="triton-endurance-") as place:
        repository = ModelRepository(Path(place) / "repository")
        Deployment(repository).publish(bundles[0], options)
        with watched_server(repository, Path(place) / "state") as (server, reports):
            load = CheckedLoad(server.grpc_address, expected)
            if args.what == "faults":
                figures = faults(args, server, load, Deployment(repository, [server.control]), bundles, options)
            else:
                figures = (soak if args.what == "soak" else overload)(args, server, load)
            load.close()
    figures = {
        "what": args.what,
        "runtime": runtime,
        "precision": precision,
        "texts": len(expected),
        **figures,
        "reports": reports,
    }
    print(json.dumps(figures, ensure_ascii=False, indent=1))
    if args.output_file:
        args.output_file.write_text(json.dumps(figures, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


@contextmanager
def watched_server(repository: ModelRepository, state_dir: Path) -> Iterator[tuple[TritonServer, list[str]]]:
    """A server under the supervisor that `python -m serving.triton` runs, and what the supervisor reports."""
    options = TritonOptions(model_control_mode="explicit", load_models=("*",))
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


def soak(args: argparse.Namespace, server: TritonServer, load: CheckedLoad) -> dict[str, Any]:
    """CLIENTS requests under way all the time."""
    started = time.monotonic()
    samples: list[dict[str, float]] = []

    def enough() -> bool:
        now = time.monotonic() - started
        if now >= len(samples) * 10:
            samples.append({"seconds": round(now), **memory(server)})
        return now >= args.seconds

    load.run_clients(CLIENTS, enough)
    return {**outcome_figures(load, time.monotonic() - started), "memory": samples}


def overload(args: argparse.Namespace, server: TritonServer, load: CheckedLoad) -> dict[str, Any]:
    """The capacity with CLIENTS under way, then `factor` times as many arrivals, then the capacity again."""
    seconds = min(args.seconds, 20.0)
    capacity = throughput(load, 10.0)
    surplus = CheckedLoad(server.grpc_address, load.expected)
    surplus.run_arrivals(args.factor * capacity, seconds)
    ended = time.monotonic()
    after = throughput(load, 5.0)
    figures = outcome_figures(surplus, seconds)
    surplus.close()
    return {
        "capacity": round(capacity, 1),
        "sent": round(args.factor * capacity, 1),
        **figures,
        "capacity in the 5 s after": round(after, 1),
        "seconds until then": round(time.monotonic() - ended, 1),
        "queue milliseconds": args.queue_milliseconds,
    }


def faults(
    args: argparse.Namespace,
    server: TritonServer,
    load: CheckedLoad,
    deployment: Deployment,
    bundles: Sequence[Bundle],
    options: ServingOptions,
) -> dict[str, Any]:
    """Each Python process killed, then versions changed, then the server stopped, while requests go on."""
    finished = threading.Event()
    caller = threading.Thread(target=load.run_clients, args=(8, finished.is_set))
    caller.start()
    try:
        time.sleep(3)
        figures: dict[str, Any] = {f"killed {model}": kill(server, load, model) for model in COMPONENTS}
        figures["versions changed"] = change_versions(args.flips, load, deployment, bundles[1], options)
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
    times: int, load: CheckedLoad, deployment: Deployment, other: Bundle, options: ServingOptions
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
    pids = [server.pid, *processes.children(server.pid)]
    resident = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids) * os.sysconf("SC_PAGE_SIZE")
    regions = sum(path.stat().st_blocks * 512 for path in Path("/dev/shm").glob(f"{server.shared_memory_prefix}*"))
    return {"resident MB": round(resident / 2**20, 1), "shared MB": round(regions / 2**20, 1)}


if __name__ == "__main__":
    run(main)
