"""How much a server takes on, and that what it took on is not left waiting."""

from __future__ import annotations

import statistics
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tritonclient import grpc

from pipeline.errors import ServerError
from serving.triton.backend.admission import (
    IDLE_SECONDS,
    LATER_SECONDS,
    STANDSTILL_SECONDS,
    Admission,
    Answers,
    is_late,
)
from serving.triton.backend.counts import FEW_TEXTS, Texts
from tests.serving.triton.test_requests import request

MANY = FEW_TEXTS + 1


class Clock:
    seconds = 0.0

    def __call__(self):
        return self.seconds


@pytest.fixture
def texts(tmp_path):
    return Texts("1", tmp_path)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def admission(texts, clock):
    return Admission(texts, 10, clock=clock)


@pytest.fixture
def few(texts):
    """The lane of requests of few texts."""
    return texts.lane(1)


def admitted(admission, texts):
    admission.check(texts)
    return int(admission.admit(texts)[0, 0])


def rows(last, texts):
    return np.tile(np.array([last, 0, 0], np.int64), (texts, 1))


def test_it_admits_until_so_many_are_under_way_and_goes_on_when_some_are_answered(admission, few):
    assert [admitted(admission, 4) for _ in range(3)] == [4, 8, 12]
    with pytest.raises(ServerError, match="overloaded: as many texts as it takes on, 10, are under way"):
        admission.check(1)
    few.answered = 4
    assert admitted(admission, 1) == 13


def test_requests_of_few_texts_and_of_many_take_no_places_from_one_another(admission, texts):
    assert [admitted(admission, 64), admitted(admission, 8), admitted(admission, 8)] == [64, 8, 16]
    for size in (1, MANY):
        with pytest.raises(ServerError):
            admission.check(size)
    Answers(texts).add(rows(64, 64))
    assert texts.answered == 64
    assert admitted(admission, MANY) == 64 + MANY
    with pytest.raises(ServerError):
        admission.check(1)


@settings(deadline=None)
@given(st.lists(st.integers(1, 4), max_size=30), st.randoms(use_true_random=False))
def test_answers_in_any_order_count_as_many_texts(sizes, random):
    with tempfile.TemporaryDirectory() as folder:
        texts = Texts("1", Path(folder))
        answers, total, lane = Answers(texts), 0, texts.lane(1)
        lane.admitted, lane.limit = sum(sizes), 500
        requests = [rows(int(last), size) for last, size in zip(np.cumsum(sizes), sizes)]
        random.shuffle(requests)
        for each in requests:
            answers.add(each)
            total += len(each)
            assert texts.answered == total


def test_texts_that_were_lost_on_their_way_count_until_much_later_ones_are_answered(texts, few):
    answers, few.admitted, few.limit = Answers(texts), 25, 10
    answers.add(rows(5, 2))  # 1 to 3 are missing
    assert texts.answered == 2
    for last in (11, 17):
        answers.add(rows(last, 6))
        assert texts.answered == last - 3
    answers.add(rows(23, 6))
    assert texts.answered == 23
    answers.add(rows(25, 2))
    answers.add(rows(3, 3))  # they come after all
    assert texts.answered == 25


@pytest.mark.parametrize("forged", [(26, 0, 0), (2**63 - 1, 2**63 - 1, 0), (5, 6, 0), (-1, -2, 0), (3, -1, 0)])
def test_rows_that_no_first_step_made_count_nothing(texts, few, forged):
    answers, few.admitted, few.limit = Answers(texts), 25, 10
    answers.add(np.array([forged], np.int64))
    assert texts.answered == 0


def test_at_a_standstill_one_request_is_let_in_and_its_answer_mends_the_count(admission, texts, clock):
    answers = Answers(texts)
    admitted(admission, 50)
    for patience in (STANDSTILL_SECONDS, LATER_SECONDS):  # the second, because the first may just be slow
        clock.seconds += patience - 0.1
        with pytest.raises(ServerError):
            admission.check(MANY)
        clock.seconds += 0.1
        admission.check(MANY)
        let_in = admission.admit(MANY)
    answers.add(let_in)
    assert texts.answered == 50 + 2 * MANY
    assert admitted(admission, MANY) == 50 + 3 * MANY


def test_at_a_standstill_every_probe_meets_what_the_matter_is(admission, clock):
    for _ in range(2):
        admitted(admission, FEW_TEXTS)
    with pytest.raises(ServerError):
        admission.check(1, probe=True)
    clock.seconds += STANDSTILL_SECONDS
    assert admitted(admission, 1) == 2 * FEW_TEXTS + 1
    clock.seconds += STANDSTILL_SECONDS
    with pytest.raises(ServerError):
        admission.check(1)
    admission.check(1, probe=True)


def test_what_is_asked_of_the_first_step_alone_is_no_burden_once_the_model_has_been_idle(admission, texts, clock):
    work = texts.working_times(0)

    def model(began, ended):
        work[0], work[1] = int(began * 1e9), int(ended * 1e9)

    clock.seconds = 100.0
    model(began=98.0, ended=99.0)
    admitted(admission, 10)  # nobody goes on to the model with these
    with pytest.raises(ServerError):
        admission.check(MANY)  # they may be on their way, however long the model has been idle
    clock.seconds += IDLE_SECONDS + 0.1
    model(began=100.2, ended=99.0)  # it computes
    with pytest.raises(ServerError):
        admission.check(MANY)
    model(began=98.0, ended=99.0)
    assert admitted(admission, MANY) == 10 + MANY
    Answers(texts).add(np.tile(np.array([10 + MANY, 10, 0]), (MANY, 1)))
    assert texts.answered == 10 + MANY


def test_replayed_rows_count_once_and_are_not_kept(texts, few):
    answers, few.admitted, few.limit = Answers(texts), 40, 10
    for _ in range(1000):
        answers.add(rows(30, 2))
        answers.add(rows(29, 8))  # overlaps with what was answered
        answers.add(rows(5, 5))
    assert texts.answered <= few.admitted
    assert len(answers._lanes[0]._spans) <= 1
    for last in range(8, 41, 8):
        answers.add(rows(last, 8))
    assert texts.answered == 40
    assert not answers._lanes[0]._spans


def test_a_text_that_was_lost_makes_no_answer_after_it_slower(texts, few):
    answers, few.admitted, few.limit = Answers(texts), 5000, 16_384
    for last in range(2, 5001):
        answers.add(rows(last, 1))
    assert texts.answered == 4999
    assert answers._lanes[0]._spans == [(1, 5000)]


def test_each_step_may_start_anew(admission, texts, tmp_path):
    admitted(admission, 8)
    again = Admission(Texts("1", tmp_path), 10)
    assert admitted(again, 3) == 11
    Answers(texts).add(rows(8, 8))
    Answers(Texts("1", tmp_path)).add(rows(11, 3))
    assert texts.answered == 11


def test_who_waits_no_longer_is_known(admission):
    assert not is_late(admission.admit(1))
    assert not is_late(admission.admit(1, timeout_microseconds=60_000_000))
    assert not is_late(admission.admit(1, timeout_microseconds=2**63 - 1))
    late = admission.admit(2, timeout_microseconds=1)
    time.sleep(0.001)
    assert is_late(late)
    assert late.shape == (2, 3)
    assert late.dtype == np.int64


def test_a_request_that_comes_while_the_model_computes_is_not_left_waiting(triton):
    """With a queue that Triton bounds, every third of these bursts waited half a second for nothing."""
    texts, finished, seconds = 8 * ["某公司宣布裁员两千人" * 8], threading.Semaphore(0), []

    def finish(result, error):
        assert error is None
        finished.release()

    with grpc.InferenceServerClient(triton.grpc_address) as client:
        client.infer("seqcls", request(texts))
        for _ in range(30):
            started = time.monotonic()
            for _ in range(2):
                client.async_infer("seqcls", request(texts), finish)
            assert all(finished.acquire(timeout=30) for _ in range(2))
            seconds.append(time.monotonic() - started)
    assert sum(each > statistics.median(seconds) + 0.4 for each in seconds) <= 3
