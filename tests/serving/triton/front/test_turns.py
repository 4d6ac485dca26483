"""Which requests are passed on to Triton, and which wait."""

from __future__ import annotations

import asyncio
import queue
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import pytest
import tritonclient.grpc
from tritonclient.grpc import service_pb2, service_pb2_grpc

from pipeline.tensors import ENSEMBLE, TEXT
from serving.process.ports import Ports
from serving.triton.front.process import grpc_front
from serving.triton.front.running import FrontSettings
from serving.triton.front.turns import AHEAD_SECONDS, FEW_TEXTS, FIRST_TEXTS, HELD_SECONDS, PACE_SECONDS, Turns
from tests.serving.tiny_model import eventually


class Clock:
    seconds = 0.0

    def __call__(self):
        return self.seconds


class Asked:
    """Asks for the turns of requests of so many texts; `passed` are the numbers of those that have theirs."""

    def __init__(self, turns, *texts):
        self.turns, self.passed = turns, []
        self.tasks = [asyncio.ensure_future(self.take(number, each)) for number, each in enumerate(texts)]

    async def take(self, number, texts):
        taken = await self.turns.take(texts)
        self.passed.append(number)
        return taken

    async def answer(self, number):
        self.turns.give(self.tasks[number].result())
        await settled()


async def settled():
    for _ in range(5):
        await asyncio.sleep(0)


def run(play):
    asyncio.run(play(Turns(Clock())))


def test_few_texts_go_past_the_many_that_are_held_and_these_go_on_in_their_order():
    async def play(turns):
        asked = Asked(turns, 64, 64, 64, 64, 1, FEW_TEXTS)
        await settled()
        assert asked.passed == [0, 1, 4, 5]
        await asked.answer(4)
        assert asked.passed == [0, 1, 4, 5]  # a request of few makes no room
        await asked.answer(1)
        await asked.answer(0)
        assert asked.passed == [0, 1, 4, 5, 2, 3]

    run(play)


def test_many_texts_get_their_turn_however_many_few_go_past():
    async def play(turns):
        asked = Asked(turns, 64, 64, 64)
        await settled()
        for number in range(1000):
            assert await turns.take(1) == 0
            if number == 500:
                await asked.answer(0)
        assert asked.passed == [0, 1, 2]

    run(play)


@pytest.mark.parametrize("texts", [FEW_TEXTS + 1, 16, 32, 64, 1000])
def test_as_many_are_passed_on_as_keep_the_model_busy(texts):
    async def play(turns):
        asked = Asked(turns, *[texts] * 40)
        await settled()
        together = [number for number in asked.passed if asked.tasks[number].result()]
        assert len(together) * texts >= FIRST_TEXTS
        assert (len(together) - 1) * texts < FIRST_TEXTS
        for task in asked.tasks:
            task.cancel()

    run(play)


def test_where_much_is_held_the_first_step_decides():
    async def play(turns):
        asked = Asked(turns, *[64] * (2 + FIRST_TEXTS // 64), 64, 200)
        await settled()
        assert asked.passed == [0, 1, 4, 5]
        assert [asked.tasks[number].result() for number in asked.passed] == [64, 64, 0, 0]
        await asked.answer(4)
        assert 2 not in asked.passed  # it made no room
        await asked.answer(0)
        assert asked.passed == [0, 1, 4, 5, 2]
        for task in asked.tasks:
            task.cancel()

    run(play)


async def has_answered(turns, texts, requests, idle_seconds=0.0):
    """A server that took PACE_SECONDS for so many requests, before each of which nobody asked for a while."""
    for _ in range(requests):
        turns._clock.seconds += idle_seconds
        taken = await turns.take(texts)
        turns._clock.seconds += PACE_SECONDS / requests
        turns.give(taken)


@pytest.mark.parametrize("idle_seconds", [0, 1000])
def test_a_fast_server_gets_as_many_as_it_answers_in_a_moment(idle_seconds):
    async def play(turns):
        await has_answered(turns, 64, 128, idle_seconds)
        asked = Asked(turns, *[64] * 60)
        await settled()
        counted = sum(asked.tasks[number].result() for number in asked.passed)
        assert AHEAD_SECONDS * 128 * 64 <= counted < AHEAD_SECONDS * 128 * 64 + 64
        for task in asked.tasks:
            task.cancel()

    run(play)


def test_what_is_refused_at_once_does_not_make_a_server_fast():
    async def play(turns):
        await has_answered(turns, 64, 2)
        for _ in range(100):
            turns.give(await turns.take(100_000), answered=False)
            turns._clock.seconds += PACE_SECONDS
        await has_answered(turns, 64, 2)
        assert turns._answered_in(PACE_SECONDS) == 128

    run(play)


def test_a_slow_server_gets_one_at_a_time_and_those_that_wait_too_long_are_its_own_matter():
    async def play(turns):
        await has_answered(turns, 64, 1)
        asked = Asked(turns, *[64] * 10)
        await settled()
        held = int(HELD_SECONDS)  # one is answered a second
        assert asked.passed == [0, *range(1 + held, 10)]
        assert [bool(asked.tasks[number].result()) for number in asked.passed] == [True] + [False] * (9 - held)
        await asked.answer(0)
        assert asked.passed[-1] == 1
        for task in asked.tasks:
            task.cancel()

    run(play)


@pytest.mark.parametrize("is_granted", [False, True])
def test_whose_caller_leaves_takes_nobodys_turn(is_granted):
    async def play(turns):
        asked = Asked(turns, 64, 64, 64, 64)
        await settled()
        if is_granted:
            turns.give(asked.tasks[0].result())  # the third has its turn, and has not gone on yet
        asked.tasks[2].cancel()
        await settled()
        if not is_granted:
            await asked.answer(0)
        assert asked.passed == [0, 1, 3]
        await asked.answer(1)
        await asked.answer(3)
        assert (turns._requests, turns._texts, turns._held_texts) == (0, 0, 0)

    run(play)


class Upstream(service_pb2_grpc.GRPCInferenceServiceServicer):
    """In Triton's place: tells what comes, and answers it when it is let go."""

    def __init__(self):
        self.came, self.go = queue.Queue(), {}

    def ModelInfer(self, request, context):
        self.go[request.id] = threading.Event()
        self.came.put(request.id)
        self.go[request.id].wait(30)
        return service_pb2.ModelInferResponse(model_name=request.model_name, id=request.id)


@pytest.fixture
def served(tmp_path):
    """The process that answers gRPC, a client of it, and what it passes on to."""
    port, upstream = Ports.free().grpc, Upstream()
    path, alive = (str(tmp_path / name) for name in ("triton.sock", "alive.sock"))
    front = grpc_front(FrontSettings("127.0.0.1", port, path, 1 << 20, (), "", alive=alive))
    front.start()
    server = grpc.server(ThreadPoolExecutor(16))
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(upstream, server)
    server.add_insecure_port(f"unix:{path}")
    server.start()
    try:
        assert eventually(lambda: front._answers(1.0))
        with tritonclient.grpc.InferenceServerClient(f"127.0.0.1:{port}") as client:
            yield client, upstream
    finally:
        server.stop(0)
        front.stop()


def ask(client, name, texts, model=ENSEMBLE):
    answered = threading.Event()
    tensor = tritonclient.grpc.InferInput(TEXT, [texts, 1], "BYTES")
    tensor.set_data_from_numpy(np.full((texts, 1), b"text", object))
    client.async_infer(model, [tensor], lambda result, error: error or answered.set(), request_id=name)
    return answered


def test_a_call_of_one_text_goes_past_those_of_many(served):
    client, upstream = served
    answered = {}
    for number in range(4):
        answered[number] = ask(client, f"many {number}", 64)
    first = {upstream.came.get(timeout=30) for _ in range(2)}
    assert len(first) == 2
    single = ask(client, "single", 1)
    assert upstream.came.get(timeout=30) == "single"
    upstream.go["single"].set()
    assert single.wait(30)
    assert upstream.came.empty()
    for name in first:
        upstream.go[name].set()
    rest = {upstream.came.get(timeout=30) for _ in range(2)}
    assert first | rest == {f"many {number}" for number in range(4)}
    for name in rest:
        upstream.go[name].set()
    assert all(each.wait(30) for each in answered.values())


def test_other_models_are_not_held(served):
    client, upstream = served
    for number in range(5):
        ask(client, str(number), 64, model="another")
    assert sorted(upstream.came.get(timeout=30) for _ in range(5)) == [*"01234"]
    for name in upstream.go:
        upstream.go[name].set()
