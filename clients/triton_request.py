"""What goes over the wire: the request to the ensemble, and what its answer says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from tritonclient import grpc
from tritonclient.utils import InferenceServerException

from pipeline.errors import InputError, ServerError
from pipeline.labels.decoding import Answer, Prediction
from pipeline.served import ServedModel, unsaid
from pipeline.tensors import ABOUT, CONFIDENCE, ENSEMBLE, LABEL, SCORES, TEXT, TRUNCATED

GRACE_SECONDS = 5.0

PREDICTIONS = (LABEL, CONFIDENCE)
UNKNOWN_OUTPUT = "unexpected inference output"
"""Of Triton's refusal of an output that the served version does not have."""


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


def classification(texts: Sequence[str], **options: Any) -> dict[str, Any]:
    """As `inference`, for all that `read_answers` reads."""
    return inference(texts, (*PREDICTIONS, TRUNCATED), **options)


def without_truncated(request: dict[str, Any], refused: InferenceServerException) -> dict[str, Any]:
    """The request to a server of an earlier release; raises why it was refused where that is not the reason."""
    said = str(refused)
    if UNKNOWN_OUTPUT not in said or TRUNCATED not in said:
        raise refused
    return {**request, "outputs": [each for each in request["outputs"] if each.name() != TRUNCATED]}


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


def read_answers(result: Any) -> list[Answer]:
    """Per text its label paths, most confident first, without the padding.

    Raises:
        ServerError: the answer lacks the outputs.
    """
    labels, confidences = (_output(result, name) for name in PREDICTIONS)
    told = result.as_numpy(TRUNCATED)
    truncated = [None] * len(labels) if told is None else told[:, 0].tolist()
    return [
        Answer((Prediction(label.decode("utf-8"), float(score)) for label, score in zip(*row) if label), cut)
        for *row, cut in zip(labels, confidences, truncated)
    ]


def read_scores(result: Any) -> np.ndarray:
    """float32 [texts, labels].

    Raises:
        ServerError: the answer lacks the output.
    """
    return _output(result, SCORES).copy()  # what tritonclient gives is read-only


def joined_scores(parts: Sequence[np.ndarray]) -> np.ndarray:
    """float32 [texts, labels] of the scores of several requests.

    Raises:
        ServerError: they come from models with different labels.
    """
    if len({part.shape[1] for part in parts}) > 1:
        raise ServerError("a bundle with other labels was published between two requests; ask again")
    return np.concatenate(parts)


def read_model(configuration: Any) -> ServedModel:
    """What the ensemble's configuration, as tritonclient gives it, says of the bundle.

    Raises:
        ServerError: nothing, or it cannot be read.
    """
    parameters = configuration.config.parameters
    if ABOUT not in parameters:
        raise unsaid(f"the model {ENSEMBLE}")
    return ServedModel.from_json(parameters[ABOUT].string_value, f"the model {ENSEMBLE}")


def _output(result: Any, name: str) -> np.ndarray:
    values = result.as_numpy(name)
    if values is None:
        raise ServerError(f"the answer lacks the output {name!r}; the server serves another model")
    return values
