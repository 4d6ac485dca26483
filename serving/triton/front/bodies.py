"""Bodies of requests as Triton's HTTP service may get them.

Triton 2.51 sets aside what a `shape` asks for before it looks whether so much was sent, and calls itself once for each
level of nesting. So a body is parsed here, checked, and written anew: what Triton reads is what was checked.
"""

from __future__ import annotations

import json
import math
import re
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from pipeline.errors import InputError
from pipeline.records import parse_json
from pipeline.tensors import LABEL, TRUNCATED

MOST_DIMENSIONS = 8
MOST_BRACKETS = 100_000
"""Each is an object of Python's, of some sixty bytes."""
ENCODINGS = ("gzip", "deflate")
NO_CLASSIFICATION = "classification is not offered; ask for label and confidence, and give top_k for fewer of them"
"""Triton 2.51 divides by zero where it is asked for, of texts."""
TEXTS, TRUTHS, NUMBERS = (str,), (bool,), (int, float)
WHOLE = (int,)
VALUES: Mapping[str, tuple[type, ...]] = {
    "BYTES": TEXTS,
    "BOOL": TRUTHS,
    **{f"{sign}INT{bits}": WHOLE for sign in ("", "U") for bits in (8, 16, 32, 64)},
    **{name: NUMBERS for name in ("FP16", "FP32", "FP64", "BF16")},
}
"""What the data of a tensor may hold, by its datatype."""
RESERVED: Mapping[str, tuple[type, ...]] = {
    "binary_data_output": TRUTHS,
    "priority": WHOLE,
    "timeout": WHOLE,
    "sequence_id": (int, str),
    "sequence_start": TRUTHS,
    "sequence_end": TRUTHS,
}
"""Parameters of a request that Triton takes for itself."""
CALLED: Mapping[tuple[type, ...], str] = {
    TEXTS: "a string",
    TRUTHS: "true or false",
    WHOLE: "a whole number",
    NUMBERS: "a number",
    (int, str): "a whole number or a string",
}


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
    _check_request(fields)
    _check_inputs(fields, binary, len(body))
    _check_outputs(fields)
    written = _written(fields)
    return written + binary, None if header_length is None else len(written)


def _check_request(fields: dict[str, Any]) -> None:
    if "id" in fields:
        _require(fields["id"], TEXTS, "id")
    for name, value in _parameters(fields, "the request").items():
        if name in RESERVED:
            _require(value, RESERVED[name], f"parameter {name}")
        elif value is None or isinstance(value, (list, dict)):
            raise InputError(f"parameter {name:.40} is {value!r:.40}; give a string, a number, true or false")


def check_shape(where: str, shape: Sequence[Any], size: int) -> None:
    """Raise InputError unless a tensor of that shape can be in a request of `size` bytes; `where` names the tensor."""
    if len(shape) > MOST_DIMENSIONS:
        raise InputError(f"{where}: shape has {len(shape):,} dimensions; at most {MOST_DIMENSIONS} are read")
    if not all(_is_count(each) for each in shape):
        raise InputError(f"{where}: shape is {[*shape]!r:.60}; give a list of whole numbers from 0 on")
    if max([0, *shape]) > size or math.prod(shape) > size:
        raise InputError(f"{where}: a tensor of shape {[*shape]!r:.60} cannot be in a request of {size} bytes")


def check_outputs(names: Collection[str]) -> None:
    """Raise InputError where they are made by the first step alone: what it takes on would never be answered."""
    if names and set(names) <= {TRUNCATED}:
        raise InputError(f"{TRUNCATED} is no answer by itself; ask for {LABEL} with it")


def _check_inputs(fields: dict[str, Any], binary: bytes, size: int) -> None:
    taken = 0
    for where, tensor in _tensors(fields, "inputs"):
        shape, datatype, parameters = tensor.get("shape"), tensor.get("datatype"), _parameters(tensor, where)
        if not isinstance(shape, list):
            raise InputError(f"{where}: shape is {shape!r:.60}; give a list of whole numbers from 0 on")
        check_shape(where, shape, size)
        if not isinstance(datatype, str) or datatype not in VALUES:
            raise InputError(f"{where}: datatype is {datatype!r:.40}; known are {', '.join(VALUES)}")
        if "binary_data_size" in parameters:
            if not _is_count(parameters["binary_data_size"]):
                raise InputError(f"{where}: binary_data_size is {parameters['binary_data_size']!r:.40}")
            taken += parameters["binary_data_size"]
        elif "data" in tensor:
            _check_data(tensor["data"], datatype, where)
    if taken != len(binary):
        raise InputError(f"there are {len(binary)} bytes of binary tensors, and the inputs say {taken}")


def _check_data(data: Any, datatype: str, where: str) -> None:
    if not isinstance(data, list):
        raise InputError(f"{where}: data is {data!r:.40}; give a list")
    level, types = data, VALUES[datatype]
    while level:
        deeper: list[Any] = []
        for value in level:
            if type(value) is list:
                deeper += value
            elif type(value) not in types:
                raise InputError(f"{where}: data holds {value!r:.40}; of {datatype} each is to be {CALLED[types]}")
        level = deeper


def _check_outputs(fields: dict[str, Any]) -> None:
    if "outputs" not in fields:
        return
    check_outputs([tensor["name"] for _, tensor in _tensors(fields, "outputs")])
    for where, tensor in _tensors(fields, "outputs"):
        for name, value in _parameters(tensor, where).items():
            if name == "classification":
                raise InputError(f"{where}: {NO_CLASSIFICATION}")
            if name == "binary_data":
                _require(value, TRUTHS, f"{where}: {name}")


def _tensors(fields: dict[str, Any], kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each tensor of the list `kind`, with what to call it."""
    tensors = fields.get(kind)
    if not isinstance(tensors, list):
        raise InputError(f"there is no list {kind!r}; give the tensors of the request")
    for number, tensor in enumerate(tensors):
        where = f"{kind[:-1]} {number}"
        if not isinstance(tensor, dict):
            raise InputError(f"{where} is no object that describes a tensor")
        _require(tensor.get("name"), TEXTS, f"{where}: name")
        yield where, tensor


def _parameters(fields: dict[str, Any], where: str) -> dict[str, Any]:
    parameters = fields.get("parameters", {})
    if not isinstance(parameters, dict):
        raise InputError(f"{where}: parameters are no object")
    return parameters


def _require(value: Any, types: tuple[type, ...], name: str) -> None:
    if type(value) not in types:
        raise InputError(f"{name} is {value!r:.40}; give {CALLED[types]}")


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 0


def _parsed(body: bytes) -> dict[str, Any]:
    if _brackets(body) > MOST_BRACKETS and _brackets(_outside_strings(body)) > MOST_BRACKETS:
        raise InputError(f"the request has more than {MOST_BRACKETS} brackets; send less in one request")
    try:
        fields = parse_json(body.decode())
    except ValueError as error:
        raise InputError(f"the request is no JSON in UTF-8: {error}") from None
    if not isinstance(fields, dict):
        raise InputError("the request is no JSON object")
    return fields


def _outside_strings(body: bytes) -> bytes:
    """What JSON has between its strings, in linear time; what follows an open quotation mark is inside one."""
    plain = body.replace(rb"\\", b"").replace(rb"\"", b"")
    return b"".join(plain.split(b'"')[::2])


def _brackets(body: bytes) -> int:
    return body.count(b"[") + body.count(b"{")


def _written(fields: dict[str, Any]) -> bytes:
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()
