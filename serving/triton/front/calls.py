"""gRPC for callers, in front of Triton's own, which listens on a Unix socket that only this user reaches.

Triton 2.51 is ended by a call that asks for a classification of texts, may be ended by one that is cancelled as its
answer is ready, and has no limit to what it reads. This bounds and checks a call first, and hands it on as it came; a
caller that leaves cancels nothing. Requests of many texts may wait for their turn. Components of the ensemble are for
the operator, who shows the admin key.

Run by the launcher, as `serving.triton.front.running` tells.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from google.protobuf.message import DecodeError
from tritonclient.grpc import service_pb2

from pipeline.errors import InputError
from pipeline.explanation.pieces import MOST_COPIES
from pipeline.tensors import ENSEMBLE, EXPLAIN
from serving.process.arrivals import BODIES, FREE_BYTES, Budget
from serving.triton.admin_key import GRPC_HEADER
from serving.triton.front.bodies import NO_CLASSIFICATION, check_outputs, check_shape
from serving.triton.front.running import PARTING_SECONDS, FrontSettings, run_front
from serving.triton.front.turns import Turns

SERVICE = service_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"]
METHODS = {f"/{SERVICE.full_name}/{each.name}" for each in SERVICE.methods if not each.client_streaming}
METHODS.add("/grpc.health.v1.Health/Check")
INFER = f"/{SERVICE.full_name}/ModelInfer"
PASSED_ON = (GRPC_HEADER, "traceparent", "tracestate")
MOST_CALLS = 4096
PROMPT_SECONDS, ARRIVAL_SECONDS, ANSWER_SECONDS = 0.5, 30.0, 600.0
"""What takes longer than the first to arrive has to have its place among large messages."""
SLOW_BODIES = BODIES // 2
"""Such places for what is slow: the others are for large messages that come at once, whoever stalls."""
RECONNECT_MS = 200
IDENTITY_ALONE = 1
"""Of the bits for ways of packing messages: what gRPC unpacks has no limit."""
SERVER_OPTIONS = {"grpc.so_reuseport": 0, "grpc.http2.bdp_probe": 0, "grpc.max_metadata_size": 1 << 14}
SERVER_OPTIONS["grpc.max_concurrent_streams"] = 1024  # of a connection: or it may begin and drop 100,000 at once
SERVER_OPTIONS["grpc.http2.max_ping_strikes"] = 0  # none is counted: for each one too many it keeps a few kilobytes
SERVER_OPTIONS["grpc.compression_enabled_algorithms_bitset"] = IDENTITY_ALONE
UPSTREAM_OPTIONS = {f"grpc.max_{way}_message_length": -1 for way in ("send", "receive")}
UPSTREAM_OPTIONS |= {f"grpc.{bound}_reconnect_backoff_ms": RECONNECT_MS for bound in ("initial", "min", "max")}
GONE = "Triton does not answer: it is starting, stopping, or has ended"


class Refused(Exception):
    """A call that is not handed on."""

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.code = code


class Calls(grpc.GenericRpcHandler):
    """Hands on the calls that Triton may get.

    Args:
        settings: of the front.
        upstream: a channel to Triton.
    """

    def __init__(self, settings: FrontSettings, upstream: grpc.aio.Channel) -> None:
        self._settings = settings
        self._upstream = {method: upstream.unary_unary(method) for method in METHODS}
        self._bodies, self._slow = Budget(BODIES * settings.max_bytes), Budget(SLOW_BODIES)
        self._under_way, self._turns = 0, Turns()

    def service(self, handler_call_details: Any) -> grpc.RpcMethodHandler | None:
        method = handler_call_details.method
        # As a stream, because of one the message is read when it is asked for.
        return grpc.stream_stream_rpc_method_handler(partial(self._serve, method)) if method in METHODS else None

    async def _serve(self, method: str, _: object, context: Any) -> None:
        metadata = {name: value for name, value in context.invocation_metadata() or () if name in PASSED_ON}
        held, taken, asked = 0, 0, None
        self._under_way += 1
        try:
            message, held = await self._read(context)
            if method == INFER:
                taken = await self._turns.take(self._check(message, metadata.get(GRPC_HEADER, "")))
            asked = asyncio.ensure_future(self._ask(method, message, metadata))
            await context.write(await asyncio.shield(asked))
        except InputError as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        except Refused as refused:
            await context.abort(refused.code, str(refused))
        finally:
            if asked is None or asked.done():
                self._finish(held, taken, asked)
            else:  # its caller has left
                asked.add_done_callback(partial(self._finish, held, taken))

    def _finish(self, held: int, taken: int, asked: asyncio.Future[bytes] | None) -> None:
        self._under_way -= 1
        self._turns.give(taken, asked is not None and not asked.cancelled() and asked.exception() is None)
        self._bodies.give(held)

    async def _read(self, context: Any) -> tuple[bytes, int]:
        """The message, and what it has taken of the memory for large ones."""
        if self._under_way > MOST_CALLS:
            raise _overloaded(f"{MOST_CALLS} calls are under way")
        reading = asyncio.ensure_future(context.read())
        try:
            await asyncio.wait({reading}, timeout=PROMPT_SECONDS)
            if not reading.done():
                await self._wait_for(reading)
            if not reading.done():
                raise Refused(grpc.StatusCode.DEADLINE_EXCEEDED, "the request did not arrive in time")
        finally:
            reading.cancel()
        message = reading.result()
        if not isinstance(message, bytes):
            raise InputError("the call has no message")
        held = len(message) if len(message) > FREE_BYTES else 0
        if not self._bodies.take(held):
            raise _overloaded("too many large requests are under way")
        return message, held

    async def _wait_for(self, reading: asyncio.Future[Any]) -> None:
        """Give what is slow to arrive its time, and a place."""
        largest = self._settings.max_bytes
        if not self._slow.take(1):
            raise _overloaded("too many slow requests are under way")
        try:
            if not self._bodies.take(largest):
                raise _overloaded("too many large requests are under way")
            try:
                await asyncio.wait({reading}, timeout=ARRIVAL_SECONDS)
            finally:
                self._bodies.give(largest)
        finally:
            self._slow.give(1)

    def _check(self, message: bytes, key: str) -> int:
        """How many texts, and copies of those to be explained, the ensemble is asked for at most.

        Raises where the request is not to be handed on.
        """
        try:
            request = service_pb2.ModelInferRequest.FromString(message)
        except DecodeError as error:
            raise InputError(f"the request cannot be read: {error}") from None
        if "\0" in request.model_name + request.model_version:  # Triton reads as far as it
            raise InputError(f"there is no model {request.model_name!r:.60}")
        for number, tensor in enumerate(request.inputs):
            check_shape(f"input {number}", tensor.shape, len(message))
        check_outputs([output.name for output in request.outputs])
        for number, output in enumerate(request.outputs):
            if "classification" in output.parameters:
                raise InputError(f"output {number}: {NO_CLASSIFICATION}")
        if not self._settings.may_ask(request.model_name, key):
            said = f"{request.model_name} is a part of the ensemble and answers only those with the admin key"
            raise Refused(grpc.StatusCode.PERMISSION_DENIED, said)
        if request.model_name != ENSEMBLE:
            return 0
        texts = max((tensor.shape[0] for tensor in request.inputs if tensor.shape), default=0)
        return texts * (1 + MOST_COPIES) if EXPLAIN in request.parameters else texts

    async def _ask(self, method: str, message: bytes, metadata: Mapping[str, str]) -> bytes:
        try:
            return await self._upstream[method](message, timeout=ANSWER_SECONDS, metadata=tuple(metadata.items()))
        except grpc.aio.AioRpcError as error:
            details = error.details() or ""
            gone = error.code() == grpc.StatusCode.UNAVAILABLE and "connect" in details
            raise Refused(error.code(), GONE if gone else details) from None


def _overloaded(why: str) -> Refused:
    return Refused(grpc.StatusCode.UNAVAILABLE, f"overloaded: {why}; ask again later")


async def _serve(settings: FrontSettings, begun: Future[Callable[[], object]]) -> None:
    """Serve until what `begun` gets is called; raises OSError where the port cannot be had."""
    loop, told = asyncio.get_running_loop(), asyncio.Event()
    options = {**SERVER_OPTIONS, "grpc.max_receive_message_length": settings.max_bytes}
    async with grpc.aio.insecure_channel(
        f"unix:{settings.upstream}", options=list(UPSTREAM_OPTIONS.items())
    ) as upstream:
        server = grpc.aio.server(handlers=[Calls(settings, upstream)], options=list(options.items()))
        try:
            address = f"{settings.host}:{settings.port}"
            credentials = _credentials(settings)
            if credentials:
                server.add_secure_port(address, credentials)
            else:
                server.add_insecure_port(address)
            await server.start()
            alive = await asyncio.start_unix_server(lambda _, writer: writer.close(), settings.alive)
        except RuntimeError as error:
            raise OSError(str(error)) from None
        begun.set_result(partial(loop.call_soon_threadsafe, told.set))
        await told.wait()
        alive.close()
        await server.stop(PARTING_SECONDS)


def _credentials(settings: FrontSettings) -> grpc.ServerCredentials | None:
    if not settings.certificate:
        return None
    pair = (Path(settings.private_key).read_bytes(), Path(settings.certificate).read_bytes())
    authority = Path(settings.client_authority).read_bytes() if settings.client_authority else None
    return grpc.ssl_server_credentials([pair], authority, require_client_auth=authority is not None)


def start(settings: FrontSettings) -> Callable[[], None]:
    """Begin to answer; gives what ends it. Raises OSError where the port cannot be had."""
    begun: Future[Callable[[], object]] = Future()

    def serve() -> None:
        try:
            asyncio.run(_serve(settings, begun))
        except BaseException as error:
            if begun.done():
                raise
            begun.set_exception(error)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    tell = begun.result()

    def end() -> None:
        tell()
        thread.join()

    return end


if __name__ == "__main__":
    sys.exit(run_front("gRPC", start))
