"""How many texts are taken on by the pace that is seen, acted out with a model that answers so many in a second."""

from __future__ import annotations

import math

import pytest

from pipeline.errors import ServerError
from serving.triton.backend.admission import FIRST_TEXTS, LEAST_TEXTS, Admission, Answers
from serving.triton.backend.counts import FEW_TEXTS, Texts

LARGE = 128


class Served:
    """A server whose clock is moved by hand; its model takes what waits, up to LARGE texts, as soon as it is free.

    Attributes:
        now: seconds.
        per_second: texts that the model computes.
        waits: seconds that each answered request took.
        refused: texts.
    """

    def __init__(self, folder, per_second):
        self.now, self.per_second, self.waits, self.refused = 100.0, per_second, [], 0
        self._texts = Texts("1", folder)
        self._admission = Admission(self._texts, 0, 0.8, LARGE, lambda: self.now)
        self._answers, self._work = Answers(self._texts), self._texts.working_times(0)
        self._work[0] = self._work[1] = int(self.now * 1e9)
        self._waiting, self._batch, self._ready = [], [], math.inf

    def limit(self, texts=1):
        return self._texts.lane(texts).limit

    def ask(self, texts=1, lost=False, left=False):
        """A request; one that is lost never comes to the model, and the caller of one may have left."""
        try:
            self._admission.check(texts)
        except ServerError:
            self.refused += texts
            return
        rows = self._admission.admit(texts)
        if not lost:
            self._waiting.append((self.now, rows, left))
            self._begin()

    def run(self, seconds, per_second=0.0, texts=1, left=False):
        """Let time go on, with so many requests a second."""
        end, moments = self.now + seconds, [self.now + each / per_second for each in range(int(seconds * per_second))]
        while True:
            moment = moments[0] if moments else math.inf
            if min(moment, self._ready) > end:
                break
            if self._ready <= moment:
                self._answer()
            else:
                self.now = moments.pop(0)
                self.ask(texts, left=left)
        self.now = end

    def _begin(self):
        if self._batch or not self._waiting:
            return
        rows = 0
        while self._waiting and (not self._batch or rows + len(self._waiting[0][1]) <= LARGE):
            self._batch.append(self._waiting.pop(0))
            rows += len(self._batch[-1][1])
        self._work[0] = int(self.now * 1e9) + 2
        computed = sum(len(rows) for _, rows, left in self._batch if not left)
        self._ready = self.now + computed / self.per_second

    def _answer(self):
        self.now, batch, self._batch, self._ready = self._ready, self._batch, [], math.inf
        self._work[1] = int(self.now * 1e9)
        for came, rows, left in batch:
            self._answers.add(rows, computed=not left)
            self.waits.append(self.now - came)
        self._begin()


@pytest.fixture
def serve(tmp_path):
    return lambda per_second: Served(tmp_path, per_second)


def test_it_takes_on_what_it_answers_in_time_as_it_sees_by_itself(serve):
    served = serve(50)
    assert (served.limit(), served.limit(LARGE)) == (FIRST_TEXTS, 192)
    served.run(3, per_second=500)
    assert served.limit() == pytest.approx(40, abs=5)
    assert served.limit(LARGE) == 192  # one of the largest can wait while another is computed
    served.waits.clear()
    served.run(10, per_second=500)
    assert max(served.waits) < 1
    served.per_second = 400
    served.run(3, per_second=4000)
    assert served.limit() == served.limit(LARGE) == pytest.approx(320, abs=20)
    served.per_second = 10
    served.run(60, per_second=100)
    assert served.limit() == LEAST_TEXTS


def test_few_texts_under_way_do_not_show_how_many_could_be(serve):
    served = serve(400)
    served.run(4, per_second=4000)
    limit = served.limit()
    served.run(20, per_second=100)
    assert served.limit() >= limit


def test_requests_whose_callers_have_left_do_not_show_a_fast_model(serve):
    served = serve(50)
    served.run(4, per_second=500)
    limit = served.limit()
    for _ in range(20):
        served.run(0.1, per_second=1000, left=True)
        served.run(0.1, per_second=500)
    assert served.limit() <= limit + 5


def test_a_burst_that_is_answered_fast_shows_it_after_a_slow_time(serve):
    served = serve(10)
    served.run(30, per_second=100)
    served.run(10)
    assert served.limit() == LEAST_TEXTS
    served.per_second = 400
    for _ in range(2):
        for _ in range(200):
            served.ask()
        served.run(5)
    assert served.limit() == pytest.approx(320, abs=20)


def test_texts_that_were_lost_do_not_make_a_server_look_slow(serve):
    served = serve(400)
    served.run(4, per_second=4000)
    served.run(2)
    limit = served.limit()
    served.ask(LARGE, lost=True)
    served.run(20, per_second=1.5)
    assert served.limit() == pytest.approx(limit, abs=5)
    served.run(60, per_second=5)
    assert served.limit() >= FIRST_TEXTS


def test_few_callers_of_large_requests_show_how_fast_a_model_is(serve):
    served = serve(5000)
    for _ in range(200):
        for _ in range(3):
            served.ask(LARGE // 2)
        served.run(3 * LARGE / 2 / 5000 - 0.005)  # the last of them is still computed when the next come
    assert served.limit(FEW_TEXTS + 1) > 3000
