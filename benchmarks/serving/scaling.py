"""What callers notice while servers are added and taken away: a step of four times the load, and back.

    python -m benchmarks.serving.scaling --output_file scaling.json

Real servers behind HAProxy get requests at random moments (Poisson), whether or not earlier ones are answered, over
several connections; every answer is checked. Each period their metrics are read, and as many servers are started or
drained as KEDA's object in serving/kubernetes wants. A made-up wait for each text keeps a server busy without a
processor, so that one machine carries several.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from tritonclient.utils import InferenceServerException

from benchmarks.options import BundleOptions, RecordOptions, TextsOptions
from benchmarks.records import PROJECT, environment
from benchmarks.serving.autoscaler import PERIOD_SECONDS, WINDOW_SECONDS, Autoscaler, Load, Scaling, read_counts
from benchmarks.serving.checked_load import FAILED, REFUSED, RIGHT, WRONG, CheckedLoad, Tally, reliable_answers
from benchmarks.serving.fleet import DEPLOYMENT, Fleet, PodRules
from clients.triton_calls import OVERLOAD_SIGNS
from pipeline.command import run
from pipeline.errors import InputError, ServerError
from pipeline.files.bundle import Bundle
from pipeline.options import option, parse
from pipeline.predictor import Predictor
from serving.triton.configs.ensemble import MODEL
from serving.triton.deployment import TritonDeployment
from serving.triton.metrics import metrics_page
from serving.triton.options import ServingOptions
from serving.triton.repository import ModelRepository
from training.model.model_names import SCRATCH

SCALED_OBJECT = PROJECT / "serving" / "kubernetes" / "keda" / "scaled_object.yaml"
RUNTIME, PRECISION, BATCH = "onnxruntime", "float32", 4
QUEUE_MILLISECONDS = 300
TEXTS = 200
WAITING_MODEL = """

import time


class TritonPythonModel(TritonPythonModel):
    def _execute(self, requests):
        time.sleep({seconds} * len(requests))
        return super()._execute(requests)
"""
"""Added to a copy of the model that is served, whose requests hold a text each."""


@dataclass(frozen=True)
class ScalingOptions(BundleOptions, TextsOptions, RecordOptions):
    """Which load, on which servers, for how long."""

    shape: str = option("scratch-tiny", "shape of the model where there is no --bundle", choices=tuple(SCRATCH))
    wait_milliseconds: float = option(50.0, "milliseconds that a text keeps a server busy, by waiting", above=0)
    per_second: float = option(8.0, "requests of one text that arrive in a second at first", above=0)
    step: float = option(4.0, "times as many arrive in the middle", above=1)
    period_seconds: float = option(
        15.0,
        "seconds between two decisions, 15 in a cluster; the times of rule, probes and autoscaler are shortened alike",
        above=0,
        at_most=60,
    )
    periods: tuple[int, ...] = option(
        (5, 10, 56), "periods before the step, after it, and after the step back", at_least=4
    )
    least: int = option(1, "fewest servers", at_least=1)
    most: int = option(3, "most servers that stay at a time", at_least=1, at_most=16)
    connections: int = option(4, "connections that requests come over", at_least=1, at_most=100)
    heard_seconds: float = option(
        2.0, "seconds until callers' proxy hears that a server leaves", at_least=0, at_most=60
    )
    bound_milliseconds: float = option(
        750.0, "milliseconds within which 99 of 100 requests should be answered", above=0
    )
    scaled_object: Path | None = option(
        None, f"KEDA's object that is followed, but for its bounds ({SCALED_OBJECT.relative_to(PROJECT)})"
    )
    deployment: Path | None = option(
        None, f"Deployment whose probes and preStop servers get ({DEPLOYMENT.relative_to(PROJECT)})"
    )

    def check(self) -> None:
        super().check()
        if len(self.periods) != 3:
            raise InputError(
                f"--periods are {len(self.periods)} numbers; give three: before, after, and after the step back"
            )
        if self.least > self.most:
            raise InputError(f"--least {self.least} is more than --most {self.most}")

    @property
    def factor(self) -> float:
        """By which times are shortened."""
        return self.period_seconds / PERIOD_SECONDS

    def scaling(self) -> Scaling:
        """How the autoscaler decides; raises as `Scaling.read`."""
        read = Scaling.read(self.scaled_object or SCALED_OBJECT)
        return replace(read.shortened(self.factor), least=self.least, most=self.most)


class OpenLoad(CheckedLoad):
    """As `CheckedLoad`; refused is what a server has no room for, and all else without an answer failed."""

    def outcome(self, error: InferenceServerException) -> str:
        is_refusal = any(sign in str(error.message()).lower() for sign in OVERLOAD_SIGNS)
        return REFUSED if is_refusal and super().outcome(error) == REFUSED else FAILED


def measure(options: ScalingOptions) -> dict[str, Any]:
    """The record: what was found, and each period.

    Raises:
        InputError: the bundle, the texts or a file of Kubernetes cannot be used.
        EnvironmentFault: there is no HAProxy, or no tritonserver that runs here.
        ServerError: a server does not start.
    """
    scaling, rules = options.scaling(), PodRules.read(options.deployment or DEPLOYMENT, options.factor)
    about = environment()
    with tempfile.TemporaryDirectory(prefix="scaling-") as name:
        place, texts = Path(name), options.shuffled()[:TEXTS]
        bundle = options.open(place, texts)
        expected = reliable_answers([Predictor(bundle, RUNTIME, PRECISION)], texts)
        if not expected:
            raise InputError("no text has an answer that does not depend on rounding; try another bundle")
        repository = publish_waiting(bundle, place / "repository", options.wait_milliseconds)
        with Fleet(options.most, repository, place, rules, options.heard_seconds) as fleet:
            fleet.scale(options.least)
            fleet.wait_ready(options.least)
            load = OpenLoad(fleet.address, expected, connections=options.connections)
            try:
                started, rows = drive(options, scaling, fleet, load)
            finally:
                load.close()
            ended = fleet.ended_unbidden
    periods = [{**row, **of} for row, of in zip(rows, outcomes(options, load.tally, started))]
    return {
        "environment": about,
        "model": bundle.manifest.model_name,
        "texts": options.source,
        "period seconds": options.period_seconds,
        "milliseconds a text": options.wait_milliseconds,
        "bound ms": options.bound_milliseconds,
        "arrivals per second": [options.per_second, options.per_second * options.step],
        "step at, back at": [options.periods[0], sum(options.periods[:2])],
        "verdict": {**verdict(options, periods), "servers that ended unbidden": ended},
        "messages": dict(load.tally.messages),
        "periods": periods,
    }


def publish_waiting(bundle: Bundle, folder: Path, milliseconds: float) -> Path:
    """Publish a bundle to a folder in which the model waits for each text, and takes on what it answers in time."""
    queue = BATCH + round(QUEUE_MILLISECONDS / milliseconds)
    serving = ServingOptions(
        runtime=RUNTIME, precision=PRECISION, threads=1, max_batch_size=BATCH, queue_size=max(2 * BATCH, queue)
    )
    repository = ModelRepository(folder)
    version = TritonDeployment(repository).publish(bundle, serving)
    code = folder / MODEL / str(version.number) / "model.py"
    added = WAITING_MODEL.format(seconds=milliseconds / 1000)
    code.write_text(code.read_text(encoding="utf-8") + added, encoding="utf-8")
    return repository.path


def drive(
    options: ScalingOptions, scaling: Scaling, fleet: Fleet, load: OpenLoad
) -> tuple[float, list[dict[str, Any]]]:
    """Send all requests and scale meanwhile; when it began, and what was decided at the end of each period."""
    generator, moments = np.random.default_rng(3), []
    before, up, down = (count * options.period_seconds for count in options.periods)
    begin = 0.0
    for seconds, rate in ((before, 1.0), (up, options.step), (down, 1.0)):
        gaps = generator.exponential(1 / (rate * options.per_second), int(2 * seconds * rate * options.per_second) + 9)
        arrivals = begin + np.cumsum(gaps)
        begin += seconds
        moments.append(arrivals[arrivals < begin])
    started = time.monotonic()
    caller = threading.Thread(target=load.run_at, args=(started + np.concatenate(moments),))
    caller.start()
    try:
        rows = control(options, scaling, fleet, started)
    finally:
        caller.join()
    return started, rows


def control(options: ScalingOptions, scaling: Scaling, fleet: Fleet, started: float) -> list[dict[str, Any]]:
    """Read the metrics at the end of each period and scale by them; what was decided."""
    rule, autoscaler, rows = Load(WINDOW_SECONDS * options.factor), Autoscaler(scaling), []
    for number in range(sum(options.periods)):
        time.sleep(max(0.0, started + (number + 1) * options.period_seconds - time.monotonic()))
        pods = fleet.pods
        for pod in pods:
            with contextlib.suppress(ServerError):  # it starts, or has ended
                rule.add(pod.name, time.monotonic(), read_counts(metrics_page(pod.metrics_address)))
        now = time.monotonic()
        share = rule.share(now)
        staying = [pod for pod in pods if not pod.leaving]
        ready = sum(pod.ready for pod in staying)
        wanted = autoscaler.decide(now, share, len(staying), ready)
        fleet.scale(wanted)
        row = {
            "seconds": round(now - started, 1),
            "ready": ready,
            "staying": len(staying),
            "leaving": len(pods) - len(staying),
            "load": None if share is None else round(share, 3),
            "wanted": wanted,
            "load average": round(os.getloadavg()[0], 1),
        }
        print(json.dumps(row), file=sys.stderr)
        rows.append(row)
    return rows


def outcomes(options: ScalingOptions, tally: Tally, started: float) -> list[dict[str, Any]]:
    """Per period what became of the requests that were meant to be sent in it."""
    latencies = {name: np.array(tally.seconds[name]) for name in (RIGHT, WRONG, REFUSED, FAILED)}
    sent = {name: np.array(tally.moments[name]) - latencies[name] - started for name in latencies}
    found = []
    for number in range(sum(options.periods)):
        begin = number * options.period_seconds
        inside = {name: (begin <= at) & (at < begin + options.period_seconds) for name, at in sent.items()}
        counts = {name: int(each.sum()) for name, each in inside.items()}
        answered = 1000 * latencies[RIGHT][inside[RIGHT]]
        missing = np.full(sum(counts.values()) - len(answered), np.inf)
        of_all = np.concatenate([answered, missing])
        most = float(np.percentile(of_all, 99, method="higher")) if len(of_all) else 0.0
        found.append(
            {
                "offered per second": round(len(of_all) / options.period_seconds, 1),
                "answered per second": round(len(answered) / options.period_seconds, 1),
                **{f"p{share}_ms": _percentile(answered, share) for share in (50, 99)},
                "p99_of_all_ms": round(most, 1) if np.isfinite(most) else None,
                **{name: counts[name] for name in (REFUSED, FAILED, WRONG)},
            }
        )
    return found


def _percentile(milliseconds: np.ndarray, share: float) -> float | None:
    return round(float(np.percentile(milliseconds, share)), 1) if len(milliseconds) else None


def verdict(options: ScalingOptions, periods: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What the periods say; a request that is refused or fails counts as one that is answered too late."""
    step, back = options.periods[0], sum(options.periods[:2])

    def within(row: dict[str, Any]) -> bool:
        return row["p99_of_all_ms"] is not None and row["p99_of_all_ms"] <= options.bound_milliseconds

    late = [number for number, row in enumerate(periods[step:back]) if not within(row)]
    after = late[-1] + 1 if late else 0
    down = periods[back:]
    return {
        "accepted requests lost": sum(row[FAILED] for row in periods),
        "wrong answers": sum(row[WRONG] for row in periods),
        "p99 back within its bound after periods": after if after < back - step else None,
        "refused in the step": sum(row[REFUSED] for row in periods[step:back]),
        "refused otherwise": sum(row[REFUSED] for row in [*periods[:step], *down]),
        "failed on the way down": sum(row[FAILED] for row in down),
        "periods of the way down beyond the bound": sum(not within(row) for row in down),
        "most servers": max(row["ready"] for row in periods),
        "servers at the end": periods[-1]["staying"],
    }


def parse_args(argv: Sequence[str] | None) -> ScalingOptions:
    return parse(ScalingOptions, argv, __doc__)


def main(argv: Sequence[str] | None = None) -> None:
    options = parse_args(argv)
    record = measure(options)
    options.write(record)
    for name, value in record["verdict"].items():
        print(f"{name}: {value}")
    print(json.dumps(record["verdict"]))


if __name__ == "__main__":
    run(main)
