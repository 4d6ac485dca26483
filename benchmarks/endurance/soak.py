"""Both servers under mixed load for a long time, while versions change and processes die or stand still.

    make soak                                                                ten minutes; make soak SECONDS=60
    python -m benchmarks.endurance.soak --bundle export --other release --texts data/test.txt

The Triton ensemble and Paddle Serving are started as users start them. Callers of each send short and long texts,
batches, options, questions for reasons, and what must be refused; every answer is checked. Meanwhile bundles are
published and rolled back, and processes are killed, or stopped and continued. What the processes hold is sampled. Ends
with a verdict, as the last line and as exit status: 0 where all bounds were kept, else 1.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.endurance.answers import Answers, relabelled
from benchmarks.endurance.faults import Faults, unexplained_failures
from benchmarks.endurance.load import FAILED, REFUSED, RIGHT, WRONG, Load
from benchmarks.endurance.samples import Sampler, drawn, growths
from benchmarks.endurance.servers import Place
from benchmarks.options import BundleOptions, EngineOptions, RecordOptions, TextsOptions
from benchmarks.plots import save, soak
from benchmarks.records import environment
from pipeline.command import run
from pipeline.errors import ClassifierError, InputError
from pipeline.files.bundle import Bundle
from pipeline.options import option, parse
from serving.folders import PADDLE, TRITON
from serving.paddle.environment import serving_python
from training.model.model_names import SCRATCH

WARM_SHARE = 0.1
"""Of the time, at the beginning and at its end, nothing is done to the servers."""


@dataclass(frozen=True)
class SoakOptions(TextsOptions, BundleOptions, EngineOptions, RecordOptions):
    """With what, for how long, and what is still good."""

    shape: str = option("scratch-tiny", "shape of the model where there is no --bundle", choices=tuple(SCRATCH))
    other: Path | None = option(None, "bundle that is published in turn (a copy of --bundle with other label names)")
    seconds: float = option(600.0, "seconds of load", at_least=10)
    sample_seconds: float = option(3.0, "seconds between two looks at what the processes hold", above=0)
    failure_seconds: float = option(
        15.0,
        "seconds after a fault until which requests may fail, beside twice what the server's start has taken",
        above=0,
    )
    growth_share: float = option(0.1, "what memory, threads or files may grow by within the time", above=0)


def measure(options: SoakOptions) -> dict[str, Any]:
    """The record, its `verdict` among it.

    Raises:
        InputError: a bundle or the texts cannot be used.
        EnvironmentFault: there is no environment of Paddle Serving.
        ServerError: a server does not start.
    """
    serving_python()  # says what to do where there is none, before anything is made
    about, texts = environment(), options.shuffled()
    with tempfile.TemporaryDirectory(prefix="soak-") as name, ExitStack() as stack:
        folder = Path(name)
        bundle = options.open(folder, texts)
        other = Bundle(options.other) if options.other else relabelled(bundle, folder / "other")
        print("preparing the servers", file=sys.stderr)
        answers = Answers([bundle, other], texts, options.runtime, options.precision)
        place = Place(folder / "served", ["--runtime", options.runtime, "--precision", options.precision])
        place.publish(bundle.path)
        for server in place.servers:
            stack.enter_context(server)
        live = bundle.identity
        loads = {
            TRITON: Load(TRITON, answers, live, place.grpc, place.json),
            PADDLE: Load(PADDLE, answers, live, place.paddle),
        }
        bundles = [(each.identity, each.path.resolve()) for each in (bundle, other)]
        patience = {
            server.name: round(options.failure_seconds + 2 * server.ready_seconds(), 1) for server in place.servers
        }
        faults = Faults(place, loads, bundles, patience)
        print(f"load for {options.seconds:g} s", file=sys.stderr)
        sampler = stack.enter_context(Sampler(place.servers, options.sample_seconds))
        _endure(options, loads, faults)
        lasted = time.monotonic() - sampler.started
        said = {server.name: server.log().splitlines()[-200:] for server in place.servers}
    return {
        "environment": {**about, "load average at the end": round(os.getloadavg()[0], 2)},
        "model": bundle.manifest.model_name,
        "texts": options.source,
        "seconds": options.seconds,
        "bounds": {"failures within seconds": patience, "growth share": options.growth_share},
        "lasted": round(lasted, 1),
        **_outcome(options, faults, sampler),
        "servers said": said,
    }


def _endure(options: SoakOptions, loads: Mapping[str, Load], faults: Faults) -> None:
    """All of it, until the load has ended."""
    for load in loads.values():
        load.start()
    try:
        warm = WARM_SHARE * options.seconds
        time.sleep(warm)
        faults.run(options.seconds - 2 * warm)
        time.sleep(warm)
    finally:
        for load in loads.values():
            load.stop()


def _outcome(options: SoakOptions, faults: Faults, sampler: Sampler) -> dict[str, Any]:
    loads = faults.loads
    strays = [{**each, "moment": round(each["moment"] - sampler.started, 1)} for each in unexplained_failures(faults)]
    grown = growths(sampler.series, WARM_SHARE * options.seconds, options.seconds, options.growth_share)
    events = [
        {
            "what": event.what,
            "second": round(event.started - sampler.started, 1),
            "lasted": round(event.ended - event.started, 1),
            "recovered after": event.recovered,
            "failed": {
                name: sum(event.started <= moment < until for moment, *_ in load.tally.failures)
                for name, load in loads.items()
            },
            **({"said": event.said} if event.said else {}),
        }
        for event, until in zip(faults.events, [*(each.started for each in faults.events[1:]), float("inf")])
    ]
    reasons = [
        *(f"{name} answered wrongly: {wrong}" for name, load in loads.items() for wrong in load.tally.wrong[:3]),
        *(f"{each['server']} failed at {each['moment']} s without a cause: {each['said']}" for each in strays[:5]),
        *(f"{each['what']}: no recovery" for each in events if each["recovered after"] is None),
        *(f"{each['what']}: {each['said']}" for each in events if "said" in each),
        *(f"{name} grows by {each['grows by']}" for name, each in grown.items() if each["too much"]),
        *(f"{name} answered nothing" for name, load in loads.items() if not load.tally.count(RIGHT)),
    ]
    return {
        "verdict": "fail" if reasons else "pass",
        "reasons": reasons,
        "requests": {name: load.tally.by_kind() for name, load in loads.items()},
        "totals": {
            name: {outcome: load.tally.count(outcome) for outcome in (RIGHT, WRONG, REFUSED, FAILED)}
            for name, load in loads.items()
        },
        "events": events,
        "growth": grown,
        "failures without a cause": strays,
        "failures at": {
            name: [round(moment - sampler.started, 1) for moment, *_ in load.tally.failures]
            for name, load in loads.items()
        },
        "samples": drawn(sampler.series),
    }


def report(record: Mapping[str, Any]) -> None:
    """Print what was done, and what became of the requests."""
    for event in record["events"]:
        failed = ", ".join(f"{count} of {name}" for name, count in event["failed"].items() if count) or "none"
        after = event["recovered after"]
        print(
            f"{event['second']:7.1f} s  {event['what']:<42}"
            f"{'not recovered' if after is None else f'right again after {after} s':<28}failed: {failed}"
        )
    for name, found in record["totals"].items():
        print(f"{name}: {', '.join(f'{count} {outcome}' for outcome, count in found.items())}")
    for reason in record["reasons"]:
        print(f"fault: {reason}")


def parse_args(argv: Sequence[str] | None) -> SoakOptions:
    return parse(SoakOptions, argv, __doc__)


def main(argv: Sequence[str] | None = None) -> None:
    options = parse_args(argv)
    if options.other and not options.bundle:
        raise InputError("--other goes with --bundle; give both")
    record = measure(options)
    options.write(record)
    if options.output_file:
        save(soak(record), options.output_file.with_suffix(".png"))
    report(record)
    print(json.dumps({key: record[key] for key in ("verdict", "totals", "lasted")}))
    sys.stdout.flush()
    if record["verdict"] != "pass":
        raise ClassifierError(f"the bounds were not kept: {'; '.join(record['reasons'][:5])}")


if __name__ == "__main__":
    run(main)
