"""What goes over the wire: the request to the ensemble, and what its answer says."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from tritonclient import grpc
from tritonclient.utils import InferenceServerException

from pipeline.errors import InputError, ServerError
from pipeline.labels.answers import Answer, Prediction
from pipeline.labels.explanation import Explanation
from pipeline.served import ServedModel, unsaid
from pipeline.tensors import ABOUT, CONFIDENCE, ENSEMBLE, EXPLAIN, EXPLANATION, LABEL, PROMISED, SCORES, TEXT, TRUNCATED

GRACE_SECONDS = 5.0

PREDICTIONS, FURTHER = (LABEL, CONFIDENCE), (TRUNCATED, PROMISED)
"""Outputs of every release, and those that earlier ones lack."""
UNKNOWN_OUTPUT = "unexpected inference output"
"""Of Triton's refusal of an output that the served version does not have."""


def inference(texts: Sequence[str], outputs: Sequence[str], **options: Any) -> dict[str, Any]:
    """tritonclient's arguments that ask for `outputs` of one or more texts; an option that is None is left out.

    Raises:
        InputError: no texts, or one that cannot be sent.
    """
    if len(texts) == 0:
        raise InputError("there are no texts; give a list of one or more")
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


def texts_of(request: dict[str, Any]) -> int:
    """How many texts a request of `inference` holds."""
    return request["inputs"][0].shape()[0]


def classification(texts: Sequence[str], **options: Any) -> dict[str, Any]:
    """As `inference`, for all that `read_answers` reads; of an explanation where one is asked for."""
    return inference(texts, (*PREDICTIONS, *FURTHER, *[EXPLANATION] * bool(options.get(EXPLAIN))), **options)


def lacks_further(message: str) -> bool:
    """Whether a refusal says that the server is of an earlier release, which does not give all outputs."""
    return UNKNOWN_OUTPUT in message and any(name in message for name in FURTHER)


def without_further(request: dict[str, Any]) -> dict[str, Any]:
    """The request to a server of an earlier release."""
    return {**request, "outputs": [each for each in request["outputs"] if each.name() not in FURTHER]}


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
    told, promises, explained = (result.as_numpy(name) for name in (*FURTHER, EXPLANATION))
    truncated = [None] * len(labels) if told is None else told[:, 0].tolist()
    # A server that promises nothing says so with zeros.
    promised = [None] * len(labels) if promises is None or not promises.any() else promises
    try:
        given = [None] * len(labels) if explained is None else explained[:, 0].tolist()
        why = [Explanation.from_json(text) if text else None for text in given]
    except (ValueError, TypeError, KeyError) as error:
        raise ServerError(f"the answer's {EXPLANATION} cannot be read: {error!r}") from None
    return [
        Answer((Prediction(label.decode("utf-8"), float(score)) for label, score in zip(*row) if label), *told)
        for *row, told in zip(labels, confidences, zip(truncated, why, promised))
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
    return _described(parameters[ABOUT].string_value)


@lru_cache(maxsize=4)
def _described(text: str) -> ServedModel:
    """By what the ensemble says of itself, which is the same again until another bundle is published."""
    return ServedModel.from_json(text, f"the model {ENSEMBLE}")


def _output(result: Any, name: str) -> np.ndarray:
    values = result.as_numpy(name)
    if values is None:
        raise ServerError(f"the answer lacks the output {name!r}; the server serves another model")
    return values
