"""RPC for the service: upstream's servicer, with limits of its own on what comes at the same time, and how slowly."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from concurrent import futures
from typing import Any

import grpc
from paddle_serving_server.pipeline.proto import pipeline_service_pb2

from pipeline.errors import EnvironmentFault
from pipeline.service_messages import OK
from pipeline.tensors import ABOUT
from serving.process.arrivals import Arrivals
from serving.process.http_door import CONNECTIONS_PER_REQUEST


class Describing:
    """Upstream's servicer, and the answer to who asks what is served.

    Args:
        servicer: answers all else.
        about: `pipeline.served.ServedModel.to_json`.
    """

    def __init__(self, servicer: Any, about: str) -> None:
        self._servicer, self._about = servicer, about

    def inference(self, request: Any, context: Any) -> Any:
        if list(request.key) == [ABOUT]:
            return pipeline_service_pb2.Response(err_no=OK, key=[ABOUT], value=[self._about])
        return self._servicer.inference(request, context)

    def answer(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """As `inference`, with the messages' fields."""
        answer = self.inference(pipeline_service_pb2.Request(**fields), None)
        return {
            "err_no": answer.err_no,
            "err_msg": answer.err_msg,
            "key": list(answer.key),
            "value": list(answer.value),
        }


METHODS = pipeline_service_pb2.DESCRIPTOR.services_by_name["PipelineService"].full_name


def rpc_server(
    servicer: Any, address: str, max_bytes: int, max_requests: int, seconds: float, shared: bool = False
) -> grpc.Server:
    """A server that is to be started.

    grpc gives a request a thread as soon as its headers are there, and would wait without limit for the rest; as a
    stream of one message it can be given up, and those that are still arriving have threads of their own.

    Args:
        servicer: answers requests by its method `inference`.
        address: host:port.
        max_bytes: of a request.
        max_requests: that are answered at the same time; one more is refused at once.
        seconds: that a request may take to arrive.
        shared: let several processes listen on the same port.

    Raises:
        EnvironmentFault: the address cannot be listened on.
    """
    arrivals, places = Arrivals(seconds), threading.BoundedSemaphore(max_requests)

    def inference(stream: Iterator[Any], context: grpc.ServicerContext) -> Any:
        arrival = arrivals.expect(context.cancel)
        try:
            request = next(stream, None)
        finally:
            arrivals.finish(arrival)
        if request is None:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "no request came")
        if not places.acquire(blocking=False):
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "too many requests at the same time; ask again later")
        try:
            return servicer.inference(request, context)
        finally:
            places.release()

    handler = grpc.stream_unary_rpc_method_handler(
        inference,
        request_deserializer=pipeline_service_pb2.Request.FromString,
        response_serializer=pipeline_service_pb2.Response.SerializeToString,
    )
    threads = CONNECTIONS_PER_REQUEST * max_requests
    server = grpc.server(
        futures.ThreadPoolExecutor(threads),
        handlers=[grpc.method_handlers_generic_handler(METHODS, {"inference": handler})],
        options=[
            ("grpc.max_receive_message_length", max_bytes),
            ("grpc.max_send_message_length", -1),
            ("grpc.max_concurrent_streams", 1024),  # of a connection: or it may begin and drop 100,000 at once
            ("grpc.so_reuseport", int(shared)),
        ],
        maximum_concurrent_rpcs=threads,
    )
    if not server.add_insecure_port(address):
        raise EnvironmentFault(f"RPC port {address.rpartition(':')[2]} on {address.rpartition(':')[0]} cannot be had")
    return server
