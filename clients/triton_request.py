"""What goes over the wire: the request to the ensemble, and what its answer says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from tritonclient import grpc
from tritonclient.utils import InferenceServerException

from pipeline.errors import InputError, ServerError
from pipeline.labels.decoding import Prediction
from pipeline.tensors import CONFIDENCE, ENSEMBLE, LABEL, SCORES, TEXT

GRACE_SECONDS = 5.0

PREDICTIONS = (LABEL, CONFIDENCE)


def inference(texts: Sequence[str], outputs: Sequence[str], **options: Any) -> dict[str, Any]:
    """tritonclient's arguments that ask for `outputs` of one or more texts; an option that is None is left out.

    Raises:
        InputError: no texts, or one that cannot be sent.
    """
    if isinstance(texts, str) or len(texts) == 0:
        raise InputError(f"texts is {texts!r:.40}; give a list of one or more texts")
    for row, text in enumerate(texts):
        if not isinstance(text, str):
            raise InputError(f"row {row}: {text!r:.40} is a {type(text).__name__}, not a text")
    try:
        raw = np.array([[text.encode("utf-8")] for text in texts], object)
    except UnicodeEncodeError as error:
        raise InputError(f"text {error.object[:40]!r} holds a lone surrogate and cannot be sent as UTF-8") from error
    tensor = grpc.InferInput(TEXT, list(raw.shape), "BYTES")
    tensor.set_data_from_numpy(raw)
    return {
        "model_name": ENSEMBLE,
        "inputs": [tensor],
        "outputs": [grpc.InferRequestedOutput(name) for name in outputs],
        # As text, which the server takes for numbers too: one place judges what may be chosen.
        "parameters": {name: str(value) for name, value in options.items() if value is not None},
    }


def patience(seconds: float) -> dict[str, Any]:
    """tritonclient's arguments for a request that somebody waits for that long.

    The server learns the time and drops what is still queued after it. gRPC's own deadline comes later: at its end
    gRPC cancels the request, and a cancellation just as the answer is ready can crash Triton 2.51
    (github.com/triton-inference-server/server/issues/7368). So whoever waits stops waiting and cancels nothing.
    """
    return {"timeout": max(1, int(seconds * 1e6)), "client_timeout": seconds + GRACE_SECONDS}


def out_of_time() -> InferenceServerException:
    """What gRPC would have said at the deadline."""
    return InferenceServerException("Deadline Exceeded", status="StatusCode.DEADLINE_EXCEEDED")


def read_predictions(result: Any) -> list[list[Prediction]]:
    """Per text its label paths, most confident first, without the padding.

    Raises:
        ServerError: the answer lacks the outputs.
    """
    labels, confidences = (_output(result, name) for name in PREDICTIONS)
    return [
        [Prediction(label.decode("utf-8"), float(confidence)) for label, confidence in zip(*row) if label]
        for row in zip(labels, confidences)
    ]


def read_scores(result: Any) -> np.ndarray:
    """float32 [texts, labels].

    Raises:
        ServerError: the answer lacks the output.
    """
    return _output(result, SCORES).copy()  # what tritonclient gives is read-only


def _output(result: Any, name: str) -> np.ndarray:
    values = result.as_numpy(name)
    if values is None:
        raise ServerError(f"the answer lacks the output {name!r}; the server serves another model")
    return values
