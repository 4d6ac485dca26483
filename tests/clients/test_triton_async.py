import asyncio

import numpy as np
import pytest

from clients.triton import TritonClient
from clients.triton_async import AsyncTritonClient
from pipeline.errors import InputError
from tests.clients.stand_in import busy, says


def labels(answers):
    return [[prediction.label for prediction in answer] for answer in answers]


def ask(server, question, **options):
    """What the coroutine function `question` gives for a client of `server`."""

    async def asked():
        async with AsyncTritonClient(server.grpc_address, **options) as client:
            return await question(client)

    return asyncio.run(asked())


def test_answers_are_those_of_the_other_client(triton, sample_dataset):
    texts = (sample_dataset / "data.txt").read_text().splitlines()[:50]

    async def question(client):
        streamed = [answer async for answer in client.classify_stream(texts, batch_size=7)]
        return await client.server_version(), await client.classify(texts), streamed

    version, answers, streamed = ask(triton, question)
    with TritonClient(triton.grpc_address) as client:
        assert version == client.server_version()
        assert answers == client.classify(texts)
    assert [text for text, _ in streamed] == texts
    assert labels(answer for _, answer in streamed) == labels(answers)


def test_options_travel_with_each_request(stand_in):
    async def question(client):
        options = {"threshold": 0.25, "policy": "top_down", "top_k": 3}
        [(_, streamed)] = [answer async for answer in client.classify_stream(["parameters"], **options)]
        return streamed, (await client.classify(["parameters"], **options))[0]

    for [prediction] in ask(stand_in, question):
        assert '"threshold":"0.25"' in prediction.label
        assert '"policy":"top_down"' in prediction.label
        assert '"top_k":"3"' in prediction.label


def test_scores_are_one_row_for_each_text(stand_in):
    scores = ask(stand_in, lambda client: client.scores(["a", "bc"]))
    np.testing.assert_array_equal(scores, np.array([[1, 0.25, 0.5], [2, 0.25, 0.5]], np.float32))


def test_a_text_that_the_server_refuses_is_placed(triton):
    async def question(client):
        return [answer async for answer in client.classify_stream(["一", "二", "三", ""], batch_size=2)]

    with pytest.raises(InputError, match="in text 4: (?!.*row).*empty"):
        ask(triton, question)


def test_many_streams_share_a_client(stand_in):
    async def stream(client, name):
        texts = [f"{name}-{number}" for number in range(40)]
        return [(text, p[0].label) async for text, p in client.classify_stream(texts, batch_size=3, in_flight=2)]

    async def question(client):
        return await asyncio.gather(*(stream(client, name) for name in "abcd"))

    for name, answers in zip("abcd", ask(stand_in, question, retries=20)):
        # The stand-in answers a batch with its texts.
        assert answers == [(f"{name}-{number}", f"{name}-{number}") for number in range(40)]


def test_a_stream_that_is_left_cancels_what_is_under_way():
    class Hanging(AsyncTritonClient):
        async def classify(self, texts, **options):
            if texts == ["first"]:
                return [[]]
            try:
                return await asyncio.sleep(3600)
            except asyncio.CancelledError:
                cancelled.append(texts)
                raise

    async def question():
        async with Hanging() as client:
            stream = client.classify_stream(["first", "second", "third", "fourth", "fifth"], batch_size=1, in_flight=3)
            assert await stream.__anext__() == ("first", [])
            await asyncio.sleep(0)
            await asyncio.wait_for(stream.aclose(), timeout=20)

    cancelled = []
    asyncio.run(question())
    assert sorted(cancelled) == [["fourth"], ["second"], ["third"]]  # the fifth had not been asked


def test_a_call_that_is_cancelled_ends_at_once_and_its_request_in_peace(stand_in):
    """A request that is cancelled at the wrong moment can crash the server."""

    async def question(client):
        await client.classify(["text"])  # so that the next one need not connect
        with busy(stand_in, 1000):
            task = asyncio.ensure_future(client.classify(["fail UNAVAILABLE 0 cancelled"]))
            await asyncio.sleep(0.2)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    ask(stand_in, question)
    with TritonClient(stand_in.grpc_address) as client:
        assert says(client, "asked_for cancelled") == "1"


def test_a_client_made_outside_the_event_loop_works_in_it(stand_in):
    client = AsyncTritonClient(stand_in.grpc_address)

    async def question():
        async with client:
            return await client.classify(["text"])

    [[prediction]] = asyncio.run(question())
    assert prediction.label == "text"
