import itertools
import json
import signal
import threading
import time
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.in_order import Streams, batches, in_order, parts
from pipeline.errors import InputError
from pipeline.files.chunks import CHARACTERS_PER_CHUNK
from pipeline.served import ENVELOPE_BYTES, ServedModel
from pipeline.service_messages import write_texts


@given(st.lists(st.text(max_size=3), max_size=50), st.integers(1, 9), st.integers(1, 9))
def test_every_text_comes_once_in_order_and_never_are_more_batches_under_way(texts, batch_size, in_flight):
    under_way, answered = set(), []

    def ask(batch):
        under_way.add(id(batch))
        assert len(under_way) <= in_flight
        return batch

    for batch, answer in in_order(batches(iter(texts), batch_size), ask, in_flight):
        assert answer is batch.texts
        assert batch.first == len(answered) + 1
        assert len(answer) <= batch_size
        answered += answer
        under_way.remove(id(answer))
    assert answered == texts


def test_an_endless_stream_is_read_no_further_than_needed():
    source = map(str, itertools.count())
    answers = in_order(batches(source, 5), list, in_flight=3)
    for _ in range(100):
        next(answers)
    assert int(next(source)) == (100 + 3 - 1) * 5


def test_long_texts_make_small_batches():
    texts = ["x" * CHARACTERS_PER_CHUNK] * 3
    assert [len(batch.texts) for batch, _ in in_order(batches(texts, 32), len, in_flight=2)] == [1, 1, 1]


def test_what_came_before_a_fault_is_answered_first():
    def source():
        yield from "abc"
        raise InputError("line 4 is empty")

    answers = in_order(batches(source(), 2), list, in_flight=9)
    assert [next(answers)[1], next(answers)[1]] == [["a", "b"], ["c"]]
    with pytest.raises(InputError, match="line 4 is empty"):
        next(answers)


@pytest.mark.parametrize("name", ["batch_size", "in_flight"])
def test_sizes_below_one_are_refused(name):
    sizes = {"batch_size": 1, "in_flight": 1, name: 0}
    with pytest.raises(InputError, match=f"{name} is 0; give at least 1"):
        list(in_order(batches(["text"], sizes["batch_size"]), list, sizes["in_flight"]))


LIMITS = ServedModel(1, "0123456789ab", "2026-01-31T12:00:00Z", "", ("a",), 128, 3, ENVELOPE_BYTES + 100)


@given(st.lists(st.text(max_size=40), min_size=1, max_size=20))
def test_parts_hold_as_many_texts_and_bytes_as_a_request_may(texts):
    cut = parts(texts, LIMITS)
    assert list(chain.from_iterable(cut)) == texts
    for part in cut:
        assert 1 <= len(part) <= 3
        body = json.dumps({"key": ["sentence"], "value": [write_texts(part)]}, ensure_ascii=False)
        assert len(part) == 1 or len(body.encode("utf-8", "surrogatepass")) <= LIMITS.request_bytes


class Small(Streams):
    """Takes three texts at once, of which none may be called `bad`."""

    def __init__(self):
        self.requests = []

        self.asked_for_limits, self.deadlines, self.timeout_seconds = 0, set(), 5.0

    def _model(self, deadline):
        self.asked_for_limits += 1
        self.deadlines.add(deadline)
        return LIMITS

    def classify(self, texts):
        return list(chain.from_iterable(self._in_parts(texts, self._one)))

    def _one(self, texts, deadline):
        self.requests.append(len(texts))
        self.deadlines.add(deadline)
        if len(texts) > 3:
            raise InputError("batch-size must be <= 3")
        if "bad" in texts:
            raise InputError(f"in ensemble 'seqcls', row {texts.index('bad')}: text is empty")
        return [text.upper() for text in texts]


def test_more_texts_than_a_request_holds_are_answered_in_order_and_sent_whole_only_once():
    client, texts = Small(), [f"text {number}" for number in range(11)]
    for _ in range(2):
        assert client.classify(texts) == [text.upper() for text in texts]
    assert sorted(client.requests) == sorted([11, 3, 3, 3, 2, 3, 3, 3, 2])


def test_all_parts_of_a_call_have_its_one_deadline():
    client, now = Small(), time.monotonic()
    client.classify([f"text {number}" for number in range(11)])
    [deadline] = client.deadlines
    assert now + 5 <= deadline < now + 15


def test_a_refusal_that_is_not_about_size_asks_for_no_limits():
    client = Small()
    for texts in (["a", "bad"], ["bad"]):
        with pytest.raises(InputError, match="text is empty"):
            client.classify(texts)
    assert (client.requests, client.asked_for_limits) == ([2, 1], 0)


def test_the_row_that_an_error_names_is_counted_in_the_whole_list():
    with pytest.raises(InputError, match="row 7: text is empty"):
        Small().classify([*"abcdefg", "bad", "h"])
    with pytest.raises(InputError, match="row 1: text is empty"):
        Small().classify(["a", "bad"])


def test_an_interrupt_that_another_thread_receives_ends_a_stream_too():
    """The system may hand a signal to any thread, and Python's main thread sleeps on."""
    answer = threading.Event()

    class Silent(Streams):
        def classify(self, texts, **options):
            answer.wait(30)
            return [[] for _ in texts]

    def interrupt():
        time.sleep(0.2)
        signal.pthread_kill(threading.get_ident(), signal.SIGINT)

    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    interrupter = threading.Thread(target=interrupt)
    interrupter.start()
    try:
        started = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            next(Silent().classify_stream(["text"]))
        assert time.monotonic() - started < 20
    finally:
        answer.set()
        interrupter.join()
        signal.signal(signal.SIGINT, handler)
