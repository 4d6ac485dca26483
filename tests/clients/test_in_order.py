import itertools
import signal
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.in_order import Streams, in_order
from pipeline.errors import InputError
from pipeline.files.chunks import CHARACTERS_PER_CHUNK


@given(st.lists(st.text(max_size=3), max_size=50), st.integers(1, 9), st.integers(1, 9))
def test_every_text_comes_once_in_order_and_never_are_more_batches_under_way(texts, batch_size, in_flight):
    under_way, answered = set(), []

    def ask(batch):
        under_way.add(id(batch))
        assert len(under_way) <= in_flight
        return batch

    for batch, answer in in_order(iter(texts), ask, batch_size, in_flight):
        assert answer is batch.texts
        assert batch.first == len(answered) + 1
        assert len(answer) <= batch_size
        answered += answer
        under_way.remove(id(answer))
    assert answered == texts


def test_an_endless_stream_is_read_no_further_than_needed():
    source = map(str, itertools.count())
    answers = in_order(source, list, batch_size=5, in_flight=3)
    for _ in range(100):
        next(answers)
    assert int(next(source)) == (100 + 3 - 1) * 5


def test_long_texts_make_small_batches():
    texts = ["x" * CHARACTERS_PER_CHUNK] * 3
    assert [len(batch.texts) for batch, _ in in_order(texts, len, batch_size=32, in_flight=2)] == [1, 1, 1]


def test_what_came_before_a_fault_is_answered_first():
    def source():
        yield from "abc"
        raise InputError("line 4 is empty")

    answers = in_order(source(), list, batch_size=2, in_flight=9)
    assert [next(answers)[1], next(answers)[1]] == [["a", "b"], ["c"]]
    with pytest.raises(InputError, match="line 4 is empty"):
        next(answers)


@pytest.mark.parametrize(("name", "sizes"), [("batch_size", (0, 1)), ("in_flight", (1, 0))])
def test_sizes_below_one_are_refused(name, sizes):
    with pytest.raises(InputError, match=f"{name} is 0; give at least 1"):
        list(in_order(["text"], list, *sizes))


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
