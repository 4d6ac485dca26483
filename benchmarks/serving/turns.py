"""Servers and the offline predictor in turns on the same texts, and what their rounds say."""

from __future__ import annotations

import math
import os
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Callable

from benchmarks.compute.in_process import InProcess
from benchmarks.rounds import NOISY_SPREAD, ORIGIN, OURS, PAUSE_SECONDS, impossible, spread
from benchmarks.serving.triton_load import PerfAnalyzer
from clients.triton import TritonClient
from pipeline.errors import ClassifierError
from pipeline.labels.decoding import Decoded
from serving.process import processes
from serving.triton.server.launcher import TritonServer

IN_PROCESS, LIMIT = "in process", "limit"
WHOLE = "whole"
"""Stands for a concurrency: the offline predictor gets all texts in one call."""
CHECKED_ROWS = 8
"""Texts per request when answers are checked: no row may go without its own."""
MINIMUM_AGREEMENT = 0.8
"""Low, because weights at random leave many scores near their thresholds, where bfloat16 makes a difference."""
NOISY_MILLISECONDS = 1.0
IDLE_SHARE, BUSY_LOAD = 0.05, 0.5
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")

Round = dict[str, dict[str, dict[str, float]]]
"""Figures of a turn by contestant and concurrency."""


class Contestants:
    """Who takes turns.

    Args:
        servers: OURS and ORIGIN, ready.
        predictor: with the bundle of OURS.
        texts: what each of them classifies, in passes.
        folder: an existing folder for the load's files.
        limit: measures how many texts per second the machine's matrix products permit; None where nothing tells.
    """

    def __init__(
        self,
        servers: Mapping[str, TritonServer],
        predictor: InProcess,
        texts: Sequence[str],
        folder: Path,
        limit: Callable[[], float] | None = None,
    ) -> None:
        self.servers, self.predictor, self.texts, self.limit = servers, predictor, list(texts), limit
        self._load = PerfAnalyzer(texts, folder)

    def measure(self, concurrencies: Sequence[int], rounds: int, seconds: float, budget: float) -> list[Round]:
        """So many rounds, each turn in them of about `seconds` at least, after one that is not counted.

        There are fewer, but one, where another of the same length would end later than `budget` seconds from now.
        """
        started = time.monotonic()
        passes = {
            (name, concurrency): self._passes(name, concurrency, seconds)
            for name in self.servers
            for concurrency in concurrencies
        }
        found: list[Round] = []
        while len(found) < rounds:
            print(f"round {len(found) + 1} of {rounds}", file=sys.stderr)
            begun = time.monotonic()
            found.append(self._round(concurrencies, passes))
            now = time.monotonic()
            if now + (now - begun) > started + budget:
                break
        return found

    def _passes(self, name: str, concurrency: int, seconds: float) -> int:
        """Passes over the texts that take `seconds` and hold enough requests for the concurrency to be felt."""
        least = math.ceil(4 * concurrency / len(self.texts))
        turn = self._load.turn(self.servers[name].grpc_address, concurrency, least * len(self.texts))
        return max(least, math.ceil(seconds * turn.throughput / len(self.texts)))

    def _round(self, concurrencies: Sequence[int], passes: Mapping[tuple[str, int], int]) -> Round:
        found: Round = {OURS: {}, ORIGIN: {}, IN_PROCESS: {}}
        for concurrency in concurrencies:
            for name, server in self.servers.items():
                time.sleep(PAUSE_SECONDS)
                others = [other.pid for other in self.servers.values() if other is not server]
                before, started = sum(map(cpu_seconds, others)), time.monotonic()
                turn = self._load.turn(server.grpc_address, concurrency, passes[name, concurrency] * len(self.texts))
                busy = (sum(map(cpu_seconds, others)) - before) / (time.monotonic() - started)
                found[name][str(concurrency)] = {**asdict(turn), "idle_cpu_share": round(busy, 4)}
            found[IN_PROCESS][str(concurrency)] = self._in_process(concurrency, passes[OURS, concurrency])
        found[IN_PROCESS][WHOLE] = self._in_process(len(self.texts), passes[OURS, concurrencies[-1]])
        if self.limit:
            time.sleep(PAUSE_SECONDS)
            found[LIMIT] = {WHOLE: {"throughput": self.limit()}}
        return found

    def _in_process(self, size: int, passes: int) -> dict[str, float]:
        """`passes` over the texts, `size` of them in each call."""
        time.sleep(PAUSE_SECONDS)
        seconds = [second for _ in range(passes) for second in self.predictor.seconds(self.texts, size)]
        return {
            "throughput": passes * len(self.texts) / sum(seconds),
            "p50_ms": 1000 * statistics.median(seconds),
        }


def cpu_seconds(pid: int) -> float:
    """Processor time of a process and its descendants so far."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return 0.0
    own = (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND
    return own + sum(map(cpu_seconds, processes.children(pid)))


def check_answers(server: TritonServer, texts: Sequence[str], expected: Decoded) -> float:
    """The share of texts that the server gives the expected label set.

    Raises:
        ClassifierError: it is below MINIMUM_AGREEMENT.
    """
    with TritonClient(server.grpc_address) as client:
        answers = [answer for _, answer in client.classify_stream(texts, batch_size=CHECKED_ROWS)]
    equal = [
        {label for label, _ in answer} == {label for label, _ in wanted}
        for answer, wanted in zip(answers, expected.predictions())
    ]
    share = sum(equal) / len(texts)
    if share < MINIMUM_AGREEMENT:
        raise ClassifierError(
            f"the server of {server.model_repository} gives {share:.1%} of the texts the labels that its bundle gives "
            "them in process; a comparison would say nothing"
        )
    return round(share, 4)


def figures(turns: Round) -> dict[str, float]:
    """What a round says, by name."""
    found = {}
    ours, origin, in_process = (turns[name] for name in (OURS, ORIGIN, IN_PROCESS))
    for concurrency, turn in ours.items():
        found[f"throughput_ratio_c{concurrency}"] = turn["throughput"] / origin[concurrency]["throughput"]
        found[f"p50_ratio_c{concurrency}"] = turn["p50_ms"] / origin[concurrency]["p50_ms"]
        found[f"share_of_in_process_c{concurrency}"] = turn["throughput"] / in_process[WHOLE]["throughput"]
        found[f"share_of_in_process_by_{concurrency}"] = turn["throughput"] / in_process[concurrency]["throughput"]
        if concurrency == "1":
            found["p50_over_in_process_ms_c1"] = turn["p50_ms"] - in_process["1"]["p50_ms"]
        if LIMIT in turns:
            found[f"share_of_limit_c{concurrency}"] = turn["throughput"] / turns[LIMIT][WHOLE]["throughput"]
    if LIMIT in turns:
        found["in_process_share_of_limit"] = in_process[WHOLE]["throughput"] / turns[LIMIT][WHOLE]["throughput"]
    return found


def summarise(rounds: Sequence[Round]) -> dict[str, dict[str, Any]]:
    """Median, lowest and highest of each figure over the rounds, and whether they lie too far apart to tell."""
    summary = {}
    by_round = [figures(turns) for turns in rounds]
    for name in by_round[0]:
        values = [found[name] for found in by_round]
        limit = NOISY_MILLISECONDS if "_ms_" in name else NOISY_SPREAD * statistics.median(values)
        summary[name] = {**spread(values), "noisy": max(values) - min(values) > limit}
    return summary


def report(results: Mapping[str, Any]) -> None:
    """Print the tables and what speaks against believing them."""
    rounds: Sequence[Round] = results["rounds"]
    print(f"ours: {results['model']}, width {results['width']}, {results['runtime']} {results['precision']}")
    print(f"texts: {results['texts']}, {results['tokens per text']} tokens each")
    print(
        "answered as in process: "
        + ", ".join(f"{name} {share:.1%}" for name, share in results["equal label sets"].items())
    )
    print(f"{'medians':<12}{'concurrency':>12}{'texts/s':>10}{'p50 ms':>10}{'p99 ms':>10}")
    for name, turns in rounds[0].items():
        for concurrency in turns:
            cells = ""
            for key in ("throughput", "p50_ms", "p99_ms"):
                values = [found[name][concurrency].get(key, math.nan) for found in rounds]
                cells += f"{statistics.median(values):>10.1f}"
            print(f"{name:<12}{concurrency:>12}{cells.replace('nan', '  -')}")
    print(f"\n{'ours, by round':<30}{'median':>10}{'lowest':>10}{'highest':>10}")
    for name, figure in results["summary"].items():
        note = "  too noisy to tell" if figure["noisy"] else ""
        print(f"{name:<30}{figure['median']:>10.3f}{figure['lowest']:>10.3f}{figure['highest']:>10.3f}{note}")
    for note in _doubts(results):
        print(f"note: {note}")


def _doubts(results: Mapping[str, Any]) -> list[str]:
    doubts = []
    busy = max(
        turn["idle_cpu_share"]
        for turns in results["rounds"]
        for name in (OURS, ORIGIN)
        for turn in turns[name].values()
    )
    if busy > IDLE_SHARE:
        doubts.append(f"the server that was not measured used up to {busy:.0%} of a core")
    for name in impossible(results["summary"]):
        share = results["summary"][name]["median"]
        doubts.append(f"{name} is {share:.2f}, and cannot be above 1: a fault of the measurement; measure again")
    load = results["environment"]["load average before"]
    if load > BUSY_LOAD:
        doubts.append(f"the machine was busy before (load average {load})")
    return doubts
