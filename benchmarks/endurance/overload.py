"""A caller of single texts beside callers of many, and ten times the load that the Triton ensemble can answer.

    python -m benchmarks.endurance.overload --output_file overload.json
    python -m benchmarks.endurance.overload --url 127.0.0.1:8001 --texts data/test.txt

In each round the caller of single texts is alone first, then beside --callers that send --batch texts in a request, and
these are alone. What counts is what it waits longer beside them, in times of such a batch. Then requests of one text
arrive at --factor times the rate that is answered at most, from several processes, which take turns in no way. Answers
are checked, unless --url names a server whose bundle is not known here.
"""

from __future__ import annotations

import json
import queue
import statistics
import struct
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from grpc import StatusCode, insecure_channel
from tritonclient import grpc
from tritonclient.grpc import service_pb2

from benchmarks.options import BundleOptions, EngineOptions, RecordOptions, RoundsOptions, TextsOptions
from benchmarks.records import environment
from benchmarks.rounds import PAUSE_SECONDS, spread
from benchmarks.serving.checked_load import FAILED, REFUSED, RIGHT, WRONG, CheckedLoad, reliable_answers
from benchmarks.serving.watched import watched_server
from clients.proxies import channel_options
from pipeline.command import run
from pipeline.compute.runtimes import resolve
from pipeline.errors import InputError
from pipeline.options import option, parse
from pipeline.predictor import Predictor
from pipeline.tensors import ENSEMBLE, LABEL, TEXT
from serving.triton.deployment import TritonDeployment
from serving.triton.options import ServingOptions
from serving.triton.repository import ModelRepository

Expected = Mapping[str, Sequence[frozenset[str]]]
CAPACITY_CALLERS, SENDERS = 32, 2
"""Requests under way when the capacity is measured; processes that send the surplus."""
CALL = f"/{service_pb2.DESCRIPTOR.services_by_name['GRPCInferenceService'].full_name}/ModelInfer"
TIMEOUT_SECONDS = 30.0


@dataclass(frozen=True)
class OverloadOptions(TextsOptions, BundleOptions, EngineOptions, RoundsOptions, RecordOptions):
    """Which server gets which load."""

    rounds: int = option(3, "rounds in which single and many texts are asked alone and together", at_least=1)
    url: str | None = option(None, "gRPC host:port of a server that runs already (one with --bundle)")
    callers: int = option(4, "callers of many texts", at_least=1)
    batch: int = option(32, "texts of each of their requests", at_least=2)
    seconds: float = option(6.0, "seconds of each turn, and of the surplus", above=0)
    factor: float = option(10.0, "surplus, as a multiple of what the server answers at most", above=0)


def measure(options: OverloadOptions) -> dict[str, Any]:
    """The record.

    Raises:
        InputError: a bundle or the texts cannot be used.
        ServerError: the server does not start.
    """
    about = environment()
    with _server(options) as (address, expected):
        rounds = [fairness(address, expected, options) for _ in range(options.rounds)]
        surplus = overload(address, expected, options.factor, options.seconds)
    names = rounds[0]
    return {
        "environment": about,
        "texts": options.source,
        "callers": options.callers,
        "batch": options.batch,
        "summary": {name: spread([found[name] for found in rounds]) for name in names},
        "rounds": rounds,
        "overload": surplus,
    }


@contextmanager
def _server(options: OverloadOptions) -> Iterator[tuple[str, Expected]]:
    texts = options.shuffled()
    if options.url:
        yield options.url, {text: () for text in texts}
        return
    with tempfile.TemporaryDirectory(prefix="overload-") as name:
        place = Path(name)
        bundle = options.open(place, texts)
        runtime, precision = resolve(bundle, options.runtime, options.precision)
        expected = reliable_answers([Predictor(bundle, runtime, precision)], texts)
        if not expected:
            raise InputError("no text has an answer that does not depend on rounding; try another bundle")
        repository = ModelRepository(place / "repository")
        TritonDeployment(repository).publish(bundle, ServingOptions(runtime=runtime, precision=precision))
        with watched_server(repository, place / "state") as (server, _):
            yield server.grpc_address, expected


def fairness(address: str, expected: Expected, options: OverloadOptions) -> dict[str, float]:
    """A round: latencies of single texts alone and beside many, and texts per second of the many, likewise."""
    single, many = CheckedLoad(address, expected), CheckedLoad(address, expected, texts_per_request=options.batch)
    together = [CheckedLoad(address, expected), CheckedLoad(address, expected, texts_per_request=options.batch)]
    callers = [1, options.callers]
    _ask([single], callers[:1], options.seconds)
    _ask([many], callers[1:], options.seconds)
    _ask(together, callers, options.seconds)
    batch_ms = 1000 * options.batch / _texts_per_second(many, options)
    longer = together[0].tally.percentile_ms(RIGHT, 99) - single.tally.percentile_ms(RIGHT, 99)
    found = {
        **{f"single p{share} ms, alone": single.tally.percentile_ms(RIGHT, share) for share in (50, 99)},
        **{f"single p{share} ms, beside": together[0].tally.percentile_ms(RIGHT, share) for share in (50, 99)},
        "a batch's ms": batch_ms,
        "p99 longer, in batches": longer / batch_ms,
        "many texts/s, alone": _texts_per_second(many, options),
        "many texts/s, beside": _texts_per_second(together[1], options),
        "many texts/s, share": _texts_per_second(together[1], options) / _texts_per_second(many, options),
        "wrong": sum(load.tally.outcomes[WRONG] for load in (single, many, *together)),
        "refused": sum(load.tally.outcomes[REFUSED] for load in (single, many, *together)),
        "failed": sum(load.tally.outcomes[FAILED] for load in (single, many, *together)),
    }
    for load in (single, many, *together):
        load.close()
    return {name: round(float(value), 3) for name, value in found.items()}


def _ask(loads: Sequence[CheckedLoad], callers: Sequence[int], seconds: float) -> None:
    """All loads at the same time, each by so many callers."""
    time.sleep(PAUSE_SECONDS)
    end = time.monotonic() + seconds
    threads = [
        threading.Thread(target=load.run_clients, args=(count, lambda: time.monotonic() >= end))
        for load, count in zip(loads, callers)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _texts_per_second(load: CheckedLoad, options: OverloadOptions) -> float:
    return max(1, load.tally.outcomes[RIGHT]) * options.batch / options.seconds


def overload(address: str, expected: Expected, factor: float, seconds: float) -> dict[str, Any]:
    """What becomes of `factor` times as many requests as are answered at most."""
    load = CheckedLoad(address, expected)
    _ask([load], [CAPACITY_CALLERS], seconds)
    capacity = load.tally.outcomes[RIGHT] / seconds
    load.close()
    rate = factor * capacity / SENDERS
    with ProcessPoolExecutor(SENDERS, mp_context=get_context("spawn")) as pool:
        list(pool.map(_nothing, range(SENDERS)))  # all have begun
        work = [pool.submit(send_arrivals, address, expected, rate, seconds, number) for number in range(SENDERS)]
        sent = [each.result() for each in work]
    found: dict[str, Any] = {"capacity": round(capacity, 1), "sent per second": round(factor * capacity, 1)}
    found["senders' share of a processor"] = round(sum(each["processor"] for each in sent) / seconds, 3)
    for outcome in (RIGHT, REFUSED, WRONG, FAILED):
        times = 1000 * np.array([value for each in sent for value in each[outcome]])
        found[outcome] = len(times)
        if len(times):
            found[f"{outcome} p50 p99 ms"] = [round(float(np.percentile(times, share)), 1) for share in (50, 99)]
    return found


def _nothing(_: int) -> None:
    time.sleep(0.5)


def send_arrivals(address: str, expected: Expected, rate: float, seconds: float, seed: int) -> dict[str, Any]:
    """Seconds by outcome, and of the processor, of requests at Poisson arrivals, timed from when they were meant.

    They are put together before, and what is answered is looked at afterwards: the machine is the server's.
    """
    requests, texts = {text: _request(text) for text in expected}, list(expected)
    gaps = np.random.default_rng(seed).exponential(1 / rate, int(rate * seconds))
    ended: queue.SimpleQueue[tuple[str, float, Any]] = queue.SimpleQueue()
    with insecure_channel(address, options=channel_options(address)) as channel:
        call, before = channel.unary_unary(CALL), time.process_time()
        for number, moment in enumerate(time.monotonic() + np.cumsum(gaps)):
            time.sleep(max(0.0, moment - time.monotonic()))
            text = texts[(number * SENDERS + seed) % len(texts)]
            answer = call.future(requests[text], timeout=TIMEOUT_SECONDS)
            answer.add_done_callback(
                lambda done, text=text, moment=moment: ended.put((text, time.monotonic() - moment, done))
            )
        answers = [ended.get(timeout=2 * TIMEOUT_SECONDS) for _ in gaps]
        found: dict[str, Any] = {outcome: [] for outcome in (RIGHT, REFUSED, WRONG, FAILED)}
        found["processor"] = time.process_time() - before
        for text, took, answer in answers:
            found[_outcome(answer, expected[text])].append(took)
    return found


def _request(text: str) -> bytes:
    raw = text.encode()
    request = service_pb2.ModelInferRequest(model_name=ENSEMBLE, raw_input_contents=[struct.pack("<I", len(raw)) + raw])
    request.inputs.add(name=TEXT, datatype="BYTES", shape=[1, 1])
    request.outputs.add(name=LABEL)
    return request.SerializeToString()


def _outcome(answer: Any, wanted: Sequence[frozenset[str]]) -> str:
    if answer.code() != StatusCode.OK:
        return REFUSED if answer.code() == StatusCode.UNAVAILABLE else FAILED
    labels = grpc.InferResult(service_pb2.ModelInferResponse.FromString(answer.result())).as_numpy(LABEL)[0]
    return RIGHT if not wanted or frozenset(label.decode() for label in labels if label) in wanted else WRONG


def report(record: Mapping[str, Any]) -> None:
    """Print the tables."""
    print(f"{'':<28}{'median':>10}{'lowest':>10}{'highest':>10}")
    for name, figure in record["summary"].items():
        print(f"{name:<28}" + "".join(f"{figure[key]:>10.2f}" for key in ("median", "lowest", "highest")))
    for name, value in record["overload"].items():
        print(f"{name:<28}{value}")


def parse_args(argv: Sequence[str] | None) -> OverloadOptions:
    return parse(OverloadOptions, argv, __doc__)


def main(argv: Sequence[str] | None = None) -> None:
    options = parse_args(argv)
    record = measure(options)
    options.write(record)
    report(record)
    sys.stdout.flush()
    medians = {
        name: round(statistics.median([each[name] for each in record["rounds"]]), 3) for name in record["summary"]
    }
    print(json.dumps(medians))


if __name__ == "__main__":
    run(main)
