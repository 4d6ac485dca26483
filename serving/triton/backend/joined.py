"""The rows of the requests that Triton hands over together, computed as one batch."""

from __future__ import annotations

import hmac
import json
import os
from collections.abc import Sequence
from typing import Any, Callable

import numpy as np
import triton_python_backend_utils as pb_utils

from pipeline.errors import ClassifierError, InputError, ServerError
from pipeline.tensors import PROBE, PROBE_VARIABLE

PROBE_SECRET = os.environ.get(PROBE_VARIABLE, "").encode()


class Joined:
    """Rows of several requests.

    Args:
        requests: Triton's requests.
        read: a request's rows; what it raises is the answer to that request alone.

    Attributes:
        rows: the rows of all requests that could be read.
        owners: int [rows], the number of each row's request.
        responses: per request the answer that it has got by now, or None.
    """

    def __init__(self, requests: Sequence[Any], read: Callable[[Any], Sequence[Any]]) -> None:
        self.rows: list[Any] = []
        self.responses: list[Any] = [None] * len(requests)
        self._requests = requests
        self._sent: set[int] = set()
        self._spans = [slice(0, 0)] * len(requests)
        for number, request in enumerate(requests):
            start = len(self.rows)
            try:
                self.rows.extend(read(request))
            except ClassifierError as error:
                self.responses[number] = failure(error)
            self._spans[number] = slice(start, len(self.rows))
        self.owners = np.repeat(np.arange(len(requests)), [span.stop - span.start for span in self._spans])

    def unanswered(self) -> list[int]:
        """Numbers of the requests without an answer."""
        answered = ((number in self._sent or response is not None) for number, response in enumerate(self.responses))
        return [number for number, done in enumerate(answered) if not done]

    def respond(self, number: int, make: Callable[[slice], Sequence[Any]]) -> None:
        """Answer a request with the tensors that `make` gives for its rows, or with the error that it raises."""
        try:
            self.responses[number] = pb_utils.InferenceResponse(make(self._spans[number]))
        except ClassifierError as error:
            self.responses[number] = failure(error)

    def fail(self, error: ClassifierError) -> None:
        """Answer all requests that have no answer yet with an error."""
        for number in self.unanswered():
            self.responses[number] = failure(error)

    def send(self, number: int) -> None:
        """Send a request's answer now, before the others are computed."""
        sender = self._requests[number].get_response_sender()
        sender.send(self.responses[number], flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
        self._sent.add(number)
        self.responses[number] = None  # Triton takes it as: this one has been answered


def is_probe(request: Any) -> bool:
    """Whether a request, by the launcher or the operator, only looks whether the server answers, and is no traffic."""
    parameters = request.parameters() or ""
    if not PROBE_SECRET or PROBE not in parameters:
        return False
    return hmac.compare_digest(str(json.loads(parameters).get(PROBE)).encode(), PROBE_SECRET)


def failure(error: ClassifierError) -> Any:
    """The answer that tells a caller of an error, and whose fault it was."""
    codes = {InputError: pb_utils.TritonError.INVALID_ARG, ServerError: pb_utils.TritonError.UNAVAILABLE}
    code = next((codes[kind] for kind in codes if isinstance(error, kind)), pb_utils.TritonError.INTERNAL)
    return pb_utils.InferenceResponse(error=pb_utils.TritonError(str(error), code))
