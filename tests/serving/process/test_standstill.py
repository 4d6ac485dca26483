"""When a server that does not answer is at work, and when it stands still."""

from __future__ import annotations

import pytest

from serving.process.standstill import Standstill

CHECK_SECONDS = 10


class Watched:
    """A server that is looked at every ten seconds of a clock of its own, and never answers a golden text."""

    def __init__(self):
        self.now = self.used = 0.0
        self.standstill = Standstill(idle_seconds=18, silent_seconds=120, clock=lambda: self.now)
        self.standstill.answered(0)
        self.standstill.begin(0.0)

    def look(self, mark, processor_seconds):
        self.now += CHECK_SECONDS
        self.used += processor_seconds
        return self.standstill.since(mark, self.used)


@pytest.mark.parametrize("processor_seconds", [0, 9])
def test_one_that_answers_others_is_at_work(processor_seconds):
    watched = Watched()
    assert [watched.look(mark, processor_seconds) for mark in range(1, 50)] == [None] * 49


def test_one_that_computes_has_time():
    watched = Watched()
    assert [watched.look(0, 9) for _ in range(13)] == [None] * 12 + [130]


@pytest.mark.parametrize("mark", [0, None])
def test_one_that_neither_answers_nor_computes_stands_still(mark):
    watched = Watched()
    assert [watched.look(mark, 0.1) for _ in range(2)] == [None, 20]


def test_an_answer_to_the_golden_text_begins_anew():
    watched = Watched()
    watched.look(0, 0)
    watched.standstill.answered(1)
    assert watched.look(1, 0) is None
    assert watched.look(1, 0) == 20
