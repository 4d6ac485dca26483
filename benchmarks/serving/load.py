"""Load on Triton servers: requests under way at once, texts per request, and requests that arrive when they like.

    python -m benchmarks.serving.load --texts data/test.txt --output_file load.json          ours beside the baseline
    python -m benchmarks.serving.load --url 10.0.0.1:8001 --texts data/test.txt              a server that runs already

In closed loop perf_analyzer keeps so many requests under way; the servers take turns, and what counts are the ratios
within a round. In open loop requests arrive at random (Poisson), whether or not earlier ones are answered, and latency
counts from when a request was meant to be sent: queueing is part of it, as it is for a user.
"""

from __future__ import annotations

import json
import math
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.options import RecordOptions, RoundsOptions
from benchmarks.records import environment
from benchmarks.rounds import NOISY_SPREAD, ORIGIN, OURS, PAUSE_SECONDS, spread
from benchmarks.serving.checked_load import FAILED, REFUSED, RIGHT, CheckedLoad
from benchmarks.serving.pair import PairOptions, serve_pair
from benchmarks.serving.triton_load import PerfAnalyzer
from pipeline.command import run
from pipeline.errors import InputError
from pipeline.options import option, parse

SERVER = "server"
"""What a server of --url is called in the results."""
SETTLED = 4
"""Requests of a turn per request that is under way, at least."""
FIRST = 16
"""Requests, at least, from which the length of a turn is told."""

Round = dict[str, dict[str, dict[str, float]]]
"""Figures of a turn by server and setting."""


@dataclass(frozen=True)
class LoadOptions(PairOptions, RoundsOptions, RecordOptions):
    """Which load is put on which servers."""

    url: str | None = option(None, "gRPC host:port of a server of your own, measured alone (ours and the baseline)")
    concurrency: tuple[int, ...] = option((1, 4, 8, 16, 32, 64), "requests under way, of one text each", at_least=1)
    batch: tuple[int, ...] = option((8, 32), "texts per request", at_least=1)
    batch_concurrency: int = option(4, "requests of --batch texts under way", at_least=1)
    seconds: float = option(2.0, "seconds that a turn should take at least", above=0, at_most=300)
    arrivals: tuple[float, ...] = option(
        (0.25, 0.5, 0.75, 0.9),
        "rates of arrival, as shares of what each server answers at most",
        above=0,
        at_most=2,
        may_be_empty=True,
    )
    arrival_seconds: float = option(6.0, "seconds that requests arrive at each rate", above=0, at_most=300)

    def check(self) -> None:
        super().check()
        if self.url and (self.bundle or self.baseline_bundle):
            raise InputError("--url measures a server that runs already; leave --bundle and --baseline_bundle out")
        if self.url and ("://" in self.url or not self.url.rpartition(":")[2].isdigit()):
            raise InputError(f"--url is {self.url!r}; give the gRPC address as host:port, such as 127.0.0.1:8001")

    def settings(self) -> dict[str, tuple[int, int]]:
        """Requests under way and texts per request, by a name such as `c32` or `c4 b8`."""
        single = {f"c{concurrency}": (concurrency, 1) for concurrency in self.concurrency}
        return single | {f"c{self.batch_concurrency} b{batch}": (self.batch_concurrency, batch) for batch in self.batch}


def measure(options: LoadOptions) -> dict[str, Any]:
    """The record of all rounds and arrivals.

    Raises:
        InputError: what is to be served or sent cannot be used.
        ServerError: a server does not start, or fails.
    """
    about = environment()
    with tempfile.TemporaryDirectory(prefix="load-") as name, _servers(options, Path(name)) as (texts, addresses, of):
        load = PerfAnalyzer(texts, Path(name))
        rounds = closed_loop(load, addresses, options.settings(), options.rounds, options.seconds)
        summary = summarise(rounds)
        arrivals = {
            name: open_loop(address, texts, options.arrivals, options.arrival_seconds, capacity(summary, name))
            for name, address in addresses.items()
        }
    return {"environment": about, **of, "summary": summary, "arrivals": arrivals, "rounds": rounds}


@contextmanager
def _servers(options: LoadOptions, place: Path) -> Iterator[tuple[list[str], dict[str, str], dict[str, Any]]]:
    """Texts to send, addresses of the servers by name, and what they are."""
    texts = options.shuffled()
    if options.url:
        yield texts[: options.texts_per_pass], {SERVER: options.url}, {"url": options.url, "texts": options.source}
        return
    with serve_pair(options, texts, place) as pair:
        addresses = {name: server.grpc_address for name, server in pair.servers.items()}
        yield pair.texts, addresses, pair.about(options)


def closed_loop(
    load: PerfAnalyzer, addresses: Mapping[str, str], of: Mapping[str, tuple[int, int]], rounds: int, seconds: float
) -> list[Round]:
    """So many rounds, each turn in them of about `seconds` at least, after one that is not counted."""

    def turn(name: str, setting: str, requests: int) -> dict[str, float]:
        time.sleep(PAUSE_SECONDS)
        concurrency, batch = of[setting]
        found = asdict(load.turn(addresses[name], concurrency, requests, batch))
        found["texts_per_second"] = found.pop("throughput") * batch
        return found

    requests, found = {}, []
    for setting, (concurrency, batch) in of.items():
        for name in addresses:
            first = turn(name, setting, max(FIRST, SETTLED * concurrency))
            wanted = math.ceil(seconds * first["texts_per_second"] / batch)
            requests[name, setting] = max(wanted, SETTLED * concurrency)
    for number in range(rounds):
        print(f"round {number + 1} of {rounds}", file=sys.stderr)
        this: Round = {name: {} for name in addresses}
        for setting in of:
            for name in addresses:
                this[name][setting] = turn(name, setting, requests[name, setting])
        found.append(this)
    return found


def summarise(rounds: Sequence[Round]) -> dict[str, Any]:
    """Each server's figures by setting, and the ratios of ours to the baseline within the rounds: their spread."""
    summary: dict[str, Any] = {}
    for name, settings_found in rounds[0].items():
        summary[name] = {
            setting: {
                key: spread([found[name][setting][key] for found in rounds])
                for key in ("texts_per_second", "p50_ms", "p99_ms")
            }
            for setting in settings_found
        }
    if {OURS, ORIGIN} <= set(summary):
        summary["ratios"] = {}
        for setting in summary[OURS]:
            for key, word in (("texts_per_second", "throughput"), ("p50_ms", "p50")):
                ratios = [found[OURS][setting][key] / found[ORIGIN][setting][key] for found in rounds]
                figure = spread(ratios)
                noisy = figure["highest"] - figure["lowest"] > NOISY_SPREAD * figure["median"]
                summary["ratios"][f"{word}_ratio {setting}"] = {**figure, "noisy": noisy}
    return summary


def capacity(summary: Mapping[str, Any], name: str) -> float:
    """Texts per second that a server answers at most, in requests of one text."""
    return max(found["texts_per_second"]["median"] for setting, found in summary[name].items() if " b" not in setting)


def open_loop(
    address: str, texts: Sequence[str], shares: Sequence[float], seconds: float, most: float
) -> list[dict[str, float]]:
    """Latency by the rate of arrivals, which are shares of `most` per second."""
    found = []
    for share in shares:
        time.sleep(PAUSE_SECONDS)
        load = CheckedLoad(address, {text: () for text in texts})
        started = time.monotonic()
        load.run_arrivals(share * most, seconds)
        lasted = time.monotonic() - started
        load.close()
        tally = load.tally
        found.append(
            {
                "share of capacity": share,
                "arrivals per second": round(share * most, 1),
                "answered per second": round(tally.outcomes[RIGHT] / lasted, 1),
                "answered": tally.outcomes[RIGHT],
                "refused": tally.outcomes[REFUSED],
                "failed": tally.outcomes[FAILED],
                **{f"p{point}_ms": round(tally.percentile_ms(RIGHT, point), 2) for point in (50, 95, 99)},
            }
        )
    return found


def report(summary: Mapping[str, Any], arrivals: Mapping[str, Sequence[Mapping[str, float]]]) -> None:
    """Print the tables."""
    print(f"{'closed loop, medians':<24}{'texts/s':>10}{'p50 ms':>10}{'p99 ms':>10}")
    for name in arrivals:
        for setting, found in summary[name].items():
            cells = "".join(f"{found[key]['median']:>10.1f}" for key in ("texts_per_second", "p50_ms", "p99_ms"))
            print(f"{name + ' ' + setting:<24}{cells}")
    for name, figure in summary.get("ratios", {}).items():
        note = "  too noisy to tell" if figure["noisy"] else ""
        print(f"{name:<24}{figure['median']:>10.3f}{figure['lowest']:>10.3f}{figure['highest']:>10.3f}{note}")
    print(f"\n{'open loop':<12}{'arrivals/s':>12}{'p50 ms':>10}{'p95 ms':>10}{'p99 ms':>10}{'not answered':>14}")
    for name, points in arrivals.items():
        for point in points:
            cells = "".join(f"{point[key]:>10.1f}" for key in ("p50_ms", "p95_ms", "p99_ms"))
            print(f"{name:<12}{point['arrivals per second']:>12}{cells}{point['refused'] + point['failed']:>14}")


def parse_args(argv: Sequence[str] | None) -> LoadOptions:
    return parse(LoadOptions, argv, __doc__)


def main(argv: Sequence[str] | None = None) -> None:
    options = parse_args(argv)
    results = measure(options)
    options.write(results)
    report(results["summary"], results["arrivals"])
    ratios = {name: figure["median"] for name, figure in results["summary"].get("ratios", {}).items()}
    print(json.dumps({**ratios, "pairs": options.rounds}))


if __name__ == "__main__":
    run(main)
