"""The Paddle Serving service `seq_cls`, run in .venv-serving from a publication:

    PYTHONPATH=build/paddle_serving/live python -m serving.paddle.service --folder build/paddle_serving/live

Texts become label paths by the code that Triton and the offline predictor use. Of paddle_serving_server 0.9.0 it takes
the pipeline (requests, operator, batches over requests, local predictor), and replaces what it does unsafely: tensors
are refused before they are decoded, because upstream unpickles those of type bytes; and both ports are opened here,
because upstream opens them on all interfaces.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from paddle_serving_server.pipeline import Op, PipelineServer, RequestOp
from paddle_serving_server.pipeline.pipeline_server import PipelineServicer
from paddle_serving_server.web_service import WebService

from pipeline.command import run
from pipeline.compute.batching import measured_overhead
from pipeline.compute.gpu import PADDLE, fault_apart
from pipeline.compute.padded_lengths import lengths_up_to, pad_to_length
from pipeline.compute.windows import Windows
from pipeline.errors import ClassifierError, EnvironmentFault, InputError
from pipeline.explanation.neighbours import Neighbours
from pipeline.explanation.rows import Copies, pieces_asked_for, with_copies
from pipeline.files.bundle import Bundle
from pipeline.labels.request_options import DecoderChoice
from pipeline.options import Options, option, parse
from pipeline.records import read_json
from pipeline.served import ServedModel
from pipeline.service_messages import (
    INPUT_ERROR,
    MODEL_ERROR,
    OK,
    SERVICE,
    TIMED_OUT,
    read_request,
    write_answers,
)
from pipeline.tensors import INPUT_IDS, LINEAR, LOGITS, PIECES, TOKEN_TYPE_IDS, TRUNCATED
from pipeline.text.encoding import TextEncoder
from serving.paddle.configuration import CONFIG_FILE, PUBLISHED_FILE
from serving.paddle.gateway import HttpGateway
from serving.paddle.heartbeat import Worker
from serving.paddle.rpc import Describing, rpc_server
from serving.process.ports import LOOPBACK

REQUEST, ASKED, ROWS, DEADLINE = "request", "asked", "rows", "deadline"
"""Of what the operator hands on: ASKED are the texts and, where it is asked why, their copies behind them."""
PARTING_SECONDS = 5.0
GPU_TYPES = (1, 2)
"""Of upstream's device_type: CUDA, and TensorRT."""
LOG_BYTES = 10 << 20
GOLDEN_TEXTS = 4
"""Of who watches, at the same time: those that it has given up may still be under way."""


class TextRequestOp(RequestOp):
    """Takes texts out of a request; what cannot be classified gets its error here."""

    def __init__(self, encoder: TextEncoder, choose: DecoderChoice, limits: Mapping[str, Any]) -> None:
        super().__init__()
        self._encoder, self._choose, self._limits = encoder, choose, limits

    def unpack_request_package(self, request: Any) -> tuple[dict[str, Any], int, int | None, str]:
        try:
            if len(request.tensors):
                raise InputError("tensors are not taken; send texts as the value of the key sentence")
            asked = read_request(request.key, request.value, self._limits["texts_per_request"])
            self._encoder.check(asked.texts)
            self._choose(asked.parameters)
            pieces = pieces_asked_for(asked.parameters, asked.texts, self._encoder)
            rows = with_copies(asked.texts, pieces, self._limits["texts_per_request"])
        except InputError as error:
            return {}, request.logid, INPUT_ERROR, str(error)
        deadline = time.monotonic() + self._limits["request_seconds"]
        return {REQUEST: asked, DEADLINE: deadline, ASKED: rows, PIECES: pieces}, request.logid, None, ""


class SeqClsOp(Op):
    """Texts to token ids, to logits, to label paths. Requests that wait together are computed together.

    Attributes:
        worker: the process that it is in, where somebody watches it.
        number: of that process, from 0.
    """

    worker: Worker | None = None
    number = 0

    def __init__(self, bundle: Bundle, limits: Mapping[str, Any]) -> None:
        self._encoder, self._choose = bundle.encoder(), DecoderChoice(bundle.decoder())
        super().__init__(name=SERVICE, input_ops=[TextRequestOp(self._encoder, self._choose, limits)])
        self._combine, self._neighbours = bundle.manifest.combine, Neighbours.of(bundle)
        self._max_texts = limits["texts_per_request"]
        self._token_budget, self._max_length = limits["token_budget"], bundle.manifest.max_seq_length
        self._lengths, self._overhead = lengths_up_to(self._max_length), 0
        self._windows = Windows(self._max_length, bundle.manifest.long_texts.pool)

    def start_with_thread(self) -> Any:
        # Upstream would load the model on the first GPU in each process.
        handler = self._local_service_handler
        handler._devices = [handler._devices[self.number % len(handler._devices)]]
        return super().start_with_thread()

    def init_op(self) -> None:
        # Starting a run, and changing shape, costs Paddle a millisecond or two: of a small model, hundreds of tokens.
        self._overhead = measured_overhead(self._run_model, self._max_length)

    def preprocess(self, input_dicts: Any, data_id: int = 0, log_id: int = 0) -> tuple[Any, bool, int | None, str]:
        (fields,) = input_dicts.values()
        if time.monotonic() > fields[DEADLINE]:
            return None, True, TIMED_OUT, "the request waited too long for the model; ask again, or for less at once"
        encoded = self._encoder.encode_checked(fields[ASKED])
        fields[TRUNCATED], fields[LINEAR] = encoded.truncated[: len(fields[REQUEST].texts)].tolist(), encoded.linear
        rows = np.empty(len(encoded.ids), object)  # of different lengths; upstream joins those of several requests
        for number, row in enumerate(encoded.ids):
            rows[number] = row
        return {ROWS: rows}, False, None, ""

    def process(self, feed_batch: Any, typical_logid: int = 0) -> tuple[Any, int, str]:
        try:
            rows = feed_batch[0][ROWS]
            logits = self._windows.run_in_batches(rows, self._answer_part, self._token_budget, self._overhead)
        except Exception as error:  # noqa: BLE001 - whatever it is, the callers are to get an answer
            return None, MODEL_ERROR, f"the runtime failed: {error}"
        return {LOGITS: logits}, OK, ""

    def postprocess(
        self, input_data: Any, fetch_data: Any, data_id: int = 0, log_id: int = 0
    ) -> tuple[dict[str, str], int | None, str]:
        (fields,) = input_data.values()
        try:
            logits, copies = np.split(self._combine(fetch_data[LOGITS], fields[LINEAR]), [len(fields[REQUEST].texts)])
            decoder, pieces = self._choose(fields[REQUEST].parameters), fields[PIECES]
            decoded = decoder.decode(logits)
            why = Copies(pieces, copies).explanations(decoder, decoded, logits, self._neighbours) if pieces else None
        except ClassifierError as error:
            return {}, MODEL_ERROR, str(error)
        return write_answers(decoder.told(decoded, fields[TRUNCATED], why)), None, ""

    def _answer_part(self, input_ids: np.ndarray, token_type_ids: np.ndarray) -> np.ndarray:
        logits = self._run_model(input_ids, token_type_ids)
        if self.worker:
            self.worker.beat()
        return logits

    def _run_model(self, input_ids: np.ndarray, token_type_ids: np.ndarray) -> np.ndarray:
        # A shape that differs from the one before costs a millisecond; a few lengths make that rarer.
        input_ids = pad_to_length(input_ids, self._lengths)
        feed = {INPUT_IDS: input_ids, TOKEN_TYPE_IDS: np.zeros_like(input_ids)}
        return self.client.predict(feed=feed, fetch=[LOGITS], batch=True)[LOGITS]

    def _auto_batching_generator(
        self, input_channel: Any, op_name: str, batch_size: int, timeout: Any, op_info_prefix: str
    ) -> Iterator[list[Any]]:
        """Batches of the requests that are there; upstream's would wait for more, and wake up to look for them.

        Once a batch holds as many texts as one request may, no request is added, so that none waits for many texts.
        """
        while True:
            batch = [input_channel.front(op_name)]
            while len(batch) < batch_size and sum(map(_texts, batch)) < self._max_texts and input_channel.size():
                batch.append(input_channel.front(op_name))
            yield batch


def _texts(waiting: Mapping[str, Any]) -> int:
    """How many texts a request of the operator's channel holds, copies among them."""
    return sum(len(data.dictdata[ASKED]) for data in waiting.values() if data.dictdata)


class SeqClsServer(PipelineServer):
    """Listens for RPC and HTTP where it is told to, and nowhere else; `about` is what it says of the model."""

    about = ""

    def run_server(self) -> None:
        if not self._build_dag_each_worker:
            self._serve(0)
            return
        children: set[int] = set()
        for number in range(self._worker_num):
            child = os.fork()  # before anything starts a thread, which a child would not have
            if not child:
                self._serve(number)
                os._exit(0)
            children.add(child)
        ended_by = signal.sigwait({signal.SIGTERM, signal.SIGCHLD})
        for child in children:
            os.kill(child, signal.SIGTERM)
        for child in children:
            os.waitpid(child, 0)
        if ended_by == signal.SIGCHLD:
            raise EnvironmentFault("a worker process ended")

    def _serve(self, number: int) -> None:
        """Serve until SIGTERM; raises EnvironmentFault where a port cannot be had."""
        worker = SeqClsOp.worker = Worker.own(number)
        SeqClsOp.number = number
        limits, shared, host = self._conf["limits"], self._build_dag_each_worker, self._conf["host"]
        threads = limits["requests_at_once"] if shared else self._worker_num
        servicer = Describing(PipelineServicer(self._name, self._response_op, self._conf, number), self.about)
        bounds = limits["request_bytes"], threads, limits["request_seconds"], shared
        server = rpc_server(servicer, f"{host}:{self._rpc_port}", *bounds)
        try:
            gateway = HttpGateway((host, self._http_port), servicer.answer, *bounds)
        except OSError as error:
            raise EnvironmentFault(f"HTTP port {self._http_port} on {host} cannot be had ({error})") from None
        server.start()
        threading.Thread(target=gateway.serve_forever, daemon=True).start()
        if worker:
            door = HttpGateway((LOOPBACK, 0), gateway.answer, bounds[0], GOLDEN_TEXTS, limits["request_seconds"])
            threading.Thread(target=door.serve_forever, daemon=True).start()
            worker.announce(door.server_port)
        signal.sigwait({signal.SIGTERM})
        gateway.shutdown()
        server.stop(PARTING_SECONDS).wait()


class SeqClsService(WebService):
    """Upstream's frame around server and operators."""

    def __init__(self, bundle: Bundle, config: dict[str, Any], about: str) -> None:
        super().__init__(SERVICE)
        self._server = SeqClsServer(SERVICE)
        self._server.about = about
        self._bundle, self._config = bundle, config
        self.prepare_pipeline_config(yml_dict=config)

    def get_pipeline_response(self, read_op: RequestOp) -> Op:
        return SeqClsOp(self._bundle, self._config["limits"])


@dataclass(frozen=True)
class ServiceOptions(Options):
    """What to serve, and where to listen."""

    folder: Path = option(help="a publication of Paddle Serving")
    host: str | None = option(None, "address to listen on (as config.yml says)")
    rpc_port: int | None = option(None, "port for RPC clients (as config.yml says)")
    http_port: int | None = option(None, "port for HTTP clients (as config.yml says)")


def serve(options: ServiceOptions) -> None:
    """Serve until SIGTERM.

    Raises:
        BundleError: the publication is damaged.
        EnvironmentFault: a port cannot be had, or config.yml asks for a GPU that cannot be had.
    """
    # Threads and children inherit this; who serves waits for the signal.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGCHLD})
    _quieten()
    config = yaml.safe_load((options.folder / CONFIG_FILE).read_text(encoding="utf-8"))
    given = {"host": options.host, "rpc_port": options.rpc_port, "http_port": options.http_port}
    config.update({name: value for name, value in given.items() if value is not None})
    local = config["op"][SERVICE]["local_service_conf"]
    if local["device_type"] in GPU_TYPES:
        numbers = [int(number) for number in str(local["devices"]).split(",")]
        if why := fault_apart(PADDLE, numbers):
            raise EnvironmentFault(f"{CONFIG_FILE} asks for a GPU: {why}")
    local["model_config"] = str(options.folder / local["model_config"])
    bundle = Bundle(local["model_config"])
    SeqClsService(bundle, config, _describe(options.folder, bundle, config["limits"])).run_service()


def _describe(folder: Path, bundle: Bundle, limits: Mapping[str, Any]) -> str:
    """What the service says of what it serves."""
    record, manifest, most = read_json(folder / PUBLISHED_FILE), bundle.manifest, limits["texts_per_request"]
    return ServedModel.of(record, manifest, manifest.most_tokens, most, limits["request_bytes"]).to_json()


def _quieten() -> None:
    """Upstream logs ten lines for each request, two with what is wrong with it, into files of 16 GB in all."""
    logging.disable(logging.ERROR)
    for handler in logging.getLogger().handlers:
        if isinstance(handler, RotatingFileHandler):
            handler.maxBytes, handler.backupCount = LOG_BYTES, 1


def main(argv: Sequence[str] | None = None) -> None:
    serve(parse(ServiceOptions, argv, __doc__, prog="python -m serving.paddle.service"))


if __name__ == "__main__":
    run(main)
