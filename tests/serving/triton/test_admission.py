"""How much a server takes on, and that what it took on is not left waiting."""

from __future__ import annotations

import errno
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tritonclient import grpc

from pipeline.errors import EnvironmentFault, ServerError
from serving.triton.backend.admission import (
    IDLE_SECONDS,
    LATER_SECONDS,
    PREFIX,
    STANDSTILL_SECONDS,
    Admission,
    Answers,
    Texts,
    Work,
    is_late,
)
from tests.serving.triton.test_requests import request


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
    return Admission(texts, 10, clock)


def admitted(admission, texts):
    admission.check()
    return int(admission.admit(texts)[0, 0])


def rows(last, texts):
    return np.tile(np.array([last, 0, 0], np.int64), (texts, 1))


def test_it_admits_until_so_many_are_under_way_and_goes_on_when_some_are_answered(admission, texts):
    assert [admitted(admission, 4) for _ in range(3)] == [4, 8, 12]
    with pytest.raises(ServerError, match="overloaded: as many texts as it takes on, 10, are under way"):
        admission.check()
    texts.answered = 4
    assert admitted(admission, 1) == 13


def test_processes_of_one_server_share_the_counts_of_a_version(texts, tmp_path):
    def step(version, count):
        script = f"""if True:
            from pathlib import Path
            from serving.triton.backend.admission import Texts
            texts = Texts({version!r}, Path({str(tmp_path)!r}))
            texts.answered += {count}
            print(texts.answered)"""
        return int(subprocess.run([sys.executable, "-c", script], check=True, capture_output=True).stdout)

    assert [step("1", 12), step("1", 3), step("2", 0)] == [12, 15, 0]
    assert texts.answered == 0  # of this process's own parent


@settings(deadline=None)
@given(st.lists(st.integers(1, 4), max_size=30), st.randoms(use_true_random=False))
def test_answers_in_any_order_count_as_many_texts(sizes, random):
    with tempfile.TemporaryDirectory() as folder:
        answers, total = Answers(texts := Texts("1", Path(folder)), 1000), 0
        texts.admitted = sum(sizes)
        requests = [rows(int(last), size) for last, size in zip(np.cumsum(sizes), sizes)]
        random.shuffle(requests)
        for each in requests:
            answers.add(each)
            total += len(each)
            assert texts.answered == total


def test_texts_that_were_lost_on_their_way_count_until_much_later_ones_are_answered(texts):
    answers, texts.admitted = Answers(texts, 20), 25
    answers.add(rows(5, 2))  # 1 to 3 are missing
    assert texts.answered == 2
    answers.add(rows(23, 18))
    assert texts.answered == 23
    answers.add(rows(25, 2))
    answers.add(rows(3, 3))  # they come after all
    assert texts.answered == 25


@pytest.mark.parametrize("forged", [(26, 0, 0), (2**63 - 1, 2**63 - 1, 0), (5, 6, 0), (-1, -2, 0), (3, -1, 0)])
def test_rows_that_no_first_step_made_count_nothing(texts, forged):
    answers, texts.admitted = Answers(texts, 20), 25
    answers.add(np.array([forged], np.int64))
    assert texts.answered == 0


def test_at_a_standstill_one_request_is_let_in_and_its_answer_mends_the_count(admission, texts, clock):
    answers = Answers(texts, 1000)
    admitted(admission, 50)
    for patience in (STANDSTILL_SECONDS, LATER_SECONDS):  # the second, because the first may just be slow
        clock.seconds += patience - 0.1
        with pytest.raises(ServerError):
            admission.check()
        clock.seconds += 0.1
        admission.check()
        let_in = admission.admit(1)
    answers.add(let_in)
    assert texts.answered == 52
    assert admitted(admission, 1) == 53


def test_at_a_standstill_every_probe_meets_what_the_matter_is(admission, clock):
    admitted(admission, 50)
    with pytest.raises(ServerError):
        admission.check(probe=True)
    clock.seconds += STANDSTILL_SECONDS
    assert admitted(admission, 1) == 51
    clock.seconds += STANDSTILL_SECONDS
    with pytest.raises(ServerError):
        admission.check()
    admission.check(probe=True)


def test_what_is_asked_of_the_first_step_alone_is_no_burden_once_the_model_has_been_idle(admission, texts, clock):
    work = texts.working_times(0)

    def model(began, ended):
        work[0], work[1] = int(began * 1e9), int(ended * 1e9)

    clock.seconds = 100.0
    model(began=98.0, ended=99.0)
    admitted(admission, 10)  # nobody goes on to the model with these
    with pytest.raises(ServerError):
        admission.check()  # they may be on their way, however long the model has been idle
    clock.seconds += IDLE_SECONDS + 0.1
    model(began=100.2, ended=99.0)  # it computes
    with pytest.raises(ServerError):
        admission.check()
    model(began=98.0, ended=99.0)
    assert admitted(admission, 4) == 14
    Answers(texts, 1000).add(np.tile(np.array([14, 10, 0]), (4, 1)))
    assert texts.answered == 14


def test_instances_of_a_model_say_when_they_compute(texts, tmp_path):
    assert texts.idle_since() is None
    before = time.monotonic()
    first, second = (Work(Texts("1", tmp_path), f"seqcls_model_0_{number}") for number in (0, 255))
    assert before <= texts.idle_since() <= time.monotonic()
    with second:
        assert texts.idle_since() is None
        with first:
            pass
        assert texts.idle_since() is None
    with first:
        with Work(Texts("1", tmp_path), "seqcls_model_0_16"):
            pass
        assert texts.idle_since() is None  # what the 17th has done says nothing of the first
    idle_since = texts.idle_since()
    with pytest.raises(ValueError), first:
        raise ValueError
    assert texts.idle_since() > idle_since


def test_replayed_rows_count_once_and_are_not_kept(texts):
    answers, texts.admitted = Answers(texts, 20), 40
    for _ in range(1000):
        answers.add(rows(30, 2))
        answers.add(rows(29, 8))  # overlaps with what was answered
        answers.add(rows(5, 5))
    assert texts.answered <= texts.admitted
    assert len(answers._later) <= 20
    answers.add(rows(40, 40))
    assert texts.answered == 40
    assert not answers._later


def test_each_step_may_start_anew(admission, texts, tmp_path):
    admitted(admission, 8)
    again = Admission(Texts("1", tmp_path), 10)
    assert admitted(again, 3) == 11
    Answers(texts, 20).add(rows(8, 8))
    Answers(Texts("1", tmp_path), 20).add(rows(11, 3))
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


def test_files_of_ended_servers_go_and_others_stay(tmp_path):
    namespace = os.stat("/proc/self/ns/pid").st_ino
    ended = [tmp_path / f"{PREFIX}{namespace}-{process}-1-1" for process in (os.getpid(), 2**22 + 1)]
    others = [tmp_path / f"{PREFIX}{namespace + 1}-{2**22 + 1}-1-1", tmp_path / "another", tmp_path / f"{PREFIX}odd"]
    for path in ended + others:
        path.touch()
    own = Texts("7", tmp_path)
    own.answered = 3
    assert Texts("7", tmp_path).answered == 3
    assert not any(path.exists() for path in ended)
    assert all(path.exists() for path in others)


def test_a_link_and_another_users_file_are_not_used(tmp_path, monkeypatch, texts):
    (path,) = tmp_path.glob(f"{PREFIX}*")
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(EnvironmentFault, match="not this user's own file; remove it"):
        Texts("1", tmp_path)
    monkeypatch.undo()
    path.rename(tmp_path / "elsewhere")
    path.hardlink_to(tmp_path / "elsewhere")
    with pytest.raises(EnvironmentFault, match="not this user's own file; remove it"):
        Texts("1", tmp_path)
    path.unlink()
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(EnvironmentFault, match="symbolic links"):
        Texts("1", tmp_path)


def test_a_full_disk_is_said_when_the_model_is_loaded(tmp_path, monkeypatch):
    def full(descriptor, start, length):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(EnvironmentFault, match=r"cannot be written \(No space left on device\); make room there"):
        Texts("1", tmp_path)


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
