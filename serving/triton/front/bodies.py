"""Bodies of requests as Triton's HTTP service may get them.

Triton 2.51 sets aside what a `shape` asks for before it looks whether so much was sent, and calls itself once for each
level of nesting. So a body is parsed here, checked, and written anew: what Triton reads is what was checked.
"""

from __future__ import annotations

import json
import math
import re
import zlib
from typing import Any

from pipeline.errors import InputError

MOST_LEVELS = 16
"""Of nesting; a tensor of KServe's protocol needs two beside its dimensions."""
MOST_BRACKETS = 100_000
"""Each is an object of Python's, of some sixty bytes."""
STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
ENCODINGS = ("gzip", "deflate")


def inflated(body: bytes, encoding: str, most: int) -> bytes:
    """A body without its Content-Encoding; raises InputError where it is none, or has more than `most` bytes."""
    if encoding.lower() not in ENCODINGS:
        raise InputError(
            f"Content-Encoding is {encoding!r:.40}; send the body as it is, or in {' or '.join(ENCODINGS)}"
        )
    inflate = zlib.decompressobj(zlib.MAX_WBITS | 32)  # takes the headers of both
    try:
        plain = inflate.decompress(body, most + 1)
    except zlib.error as error:
        raise InputError(f"the body is no {encoding}: {error}") from None
    if len(plain) > most:
        raise InputError(f"the body has more than {most} bytes once it is unpacked; send less in one request")
    if not inflate.eof or inflate.unused_data:
        raise InputError(f"the body is no {encoding}: it ends too early, or something follows it")
    return plain


def checked_json(body: bytes) -> bytes:
    """A JSON object, written anew; raises InputError."""
    return _written(_parsed(body))


def checked_inference(body: bytes, header_length: str | None) -> tuple[bytes, int | None]:
    """A request for inference, written anew, and how many of its bytes are JSON where it says so.

    Args:
        body: JSON, and with a header length binary tensors behind it.
        header_length: of `Inference-Header-Content-Length`.

    Raises:
        InputError: it is none, or asks for more than was sent.
    """
    if header_length is None:
        fields, binary = _parsed(body), b""
    else:
        if not re.fullmatch("[0-9]{1,10}", header_length) or int(header_length) > len(body):
            raise InputError(
                f"Inference-Header-Content-Length is {header_length!r:.40}; give the bytes of JSON, at most {len(body)}"
            )
        if int(header_length) == 0:
            return body, 0  # all of it is the one input's, as the model's configuration shapes it
        fields, binary = _parsed(body[: int(header_length)]), body[int(header_length) :]
    _check_inputs(fields, binary, len(body))
    written = _written(fields)
    return written + binary, None if header_length is None else len(written)


def _check_inputs(fields: dict[str, Any], binary: bytes, size: int) -> None:
    inputs = fields.get("inputs")
    if not isinstance(inputs, list):
        raise InputError("there is no list 'inputs'; give the tensors of the request")
    taken = 0
    for number, tensor in enumerate(inputs):
        if not isinstance(tensor, dict):
            raise InputError(f"input {number} is no object with name, datatype, shape and data")
        shape, parameters = tensor.get("shape"), tensor.get("parameters", {})
        if not isinstance(shape, list) or not all(_is_count(each) for each in shape):
            raise InputError(f"input {number}: shape is {shape!r:.60}; give a list of whole numbers from 0 on")
        if max([0, *shape]) > size or math.prod(shape) > size:
            raise InputError(f"input {number}: a tensor of shape {shape!r:.60} cannot be in a request of {size} bytes")
        if not isinstance(parameters, dict):
            raise InputError(f"input {number}: parameters are no object")
        if "binary_data_size" in parameters:
            if not _is_count(parameters["binary_data_size"]):
                raise InputError(f"input {number}: binary_data_size is {parameters['binary_data_size']!r:.40}")
            taken += parameters["binary_data_size"]
    if taken != len(binary):
        raise InputError(f"there are {len(binary)} bytes of binary tensors, and the inputs say {taken}")


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 0


def _parsed(body: bytes) -> dict[str, Any]:
    if _brackets(body) > MOST_BRACKETS and _brackets(STRINGS.sub(b"", body)) > MOST_BRACKETS:
        raise InputError(f"the request has more than {MOST_BRACKETS} brackets; send less in one request")
    try:
        fields = json.loads(body.decode(), object_pairs_hook=_object)
    except InputError:
        raise
    except (ValueError, RecursionError) as error:
        raise InputError(f"the request is no JSON in UTF-8: {error}") from None
    if not isinstance(fields, dict):
        raise InputError("the request is no JSON object")
    _check_depth(fields)
    return fields


def _brackets(body: bytes) -> int:
    return body.count(b"[") + body.count(b"{")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise InputError(f"a name comes twice in an object with {', '.join(fields)[:80]}")
    return fields


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(MOST_LEVELS):
        members = (each.values() if isinstance(each, dict) else each for each in level)
        level = [each for group in members for each in group if isinstance(each, (dict, list))]
        if not level:
            return
    raise InputError(f"the request is nested more than {MOST_LEVELS} levels deep")


def _written(fields: dict[str, Any]) -> bytes:
    try:
        return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError as error:
        raise InputError(f"the request holds a lone surrogate: {error.object[error.start]!r}") from None
