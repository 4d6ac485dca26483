"""What goes over the wire to and from the Paddle Serving service: keys, values and error numbers.

A request is a list of keys and a list of as many values, all of them text. `sentence` is required, and is one plain
text or a JSON array of texts: a value that begins with `[` is read as JSON. Upstream's client sends a list as numpy
prints it, `array(['..', '..'], dtype='<U9')`; such a value is read as its texts, and never evaluated. `threshold`,
`policy`, `top_k` and `promise` change the decoding of that request alone, and `explain` asks why. The value of `label`
in the answer is a JSON array with, per text, an array of `{"label": path, "confidence": p}`, most confident first, with
`"promised": q` besides where the model promises anything; that of `truncated`, which comes after it, has per text
whether it is longer than the model reads, so that only its beginning was classified; and that of `explanation`, for who
asks why, the object of `pipeline.labels.explanation`.

The key `about` alone, with any value, asks for what is served: its value in the answer is `pipeline.served`'s JSON.
"""

from __future__ import annotations

import itertools
import json
import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.errors import InputError, ServerError
from pipeline.labels.answers import Answer, Prediction
from pipeline.labels.explanation import Explanation
from pipeline.records import parse_json
from pipeline.tensors import (
    CONFIDENCE,
    EXPLAIN,
    EXPLANATION,
    LABEL,
    POLICY,
    PROMISE,
    PROMISED,
    THRESHOLD,
    TOP_K,
    TRUNCATED,
)

SERVICE, METHOD = "seq_cls", "prediction"
"""The operator, which is also the service's name, and the last part of the path of its HTTP service."""
HTTP_PATH = f"/{SERVICE}/{METHOD}"
RPC_PORT, HTTP_PORT = 18090, 9999
SENTENCE = "sentence"
OPTIONS = (THRESHOLD, POLICY, TOP_K, PROMISE, EXPLAIN)

OK, OVERLOADED, NO_SERVICE, INPUT_ERROR, TIMED_OUT, MODEL_ERROR = 0, 51, 3002, 5000, 6000, 9000
"""Values of err_no. Upstream's own, but for OVERLOADED, which is from the range that it leaves to services."""

_ARRAY_BEGINS = re.compile(r"(?:\w+\s*\.\s*)?array\s*\(\s*\[")
_ARRAY_ENDS = re.compile(r"\s*\]\s*(?:,\s*dtype=(?:object|'[<|>=]?[US]\d+'))?\s*\)\s*")
_QUOTED = r"""[bBuU]?(?:'[^'\\]*(?:\\.[^'\\]*)*'|"[^"\\]*(?:\\.[^"\\]*)*")"""
_LITERAL = re.compile(rf"\s*({_QUOTED})\s*(?:,|(?=\]))", re.DOTALL)
_ESCAPES = re.compile(r"""(?:[^\\]|\\(?:[\\'"abfnrtv]|[0-7]{1,3}|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}))*""")
_TUPLE = re.compile(rf"\(\s*{_QUOTED}\s*,(?:\s*{_QUOTED}\s*,)*(?:\s*{_QUOTED})?\s*\)\s*", re.DOTALL)
"""A printed array of texts: how it begins and ends, its elements, what these may hold; and a tuple of Python."""

_MOST_ESCAPES = 1_000_000
"""In a printed array: matching takes memory for each."""

_AHEAD = "\ufeff \t\r\n"
"""What may stand before a JSON array without being a text."""

PARSING = threading.Lock()
"""Held while a caller's JSON is parsed and checked: as objects it may need thirty times its bytes."""


_NO_ARRAY = (
    f"{SENTENCE} begins with array([ and is no printed array of texts; send several texts as a JSON array, and a text "
    "that begins so as a JSON array of one"
)


@dataclass(frozen=True)
class Request:
    """What a caller asks for.

    Attributes:
        texts: one or more.
        parameters: as `pipeline.labels.request_options.DecoderChoice` takes them.
    """

    texts: list[str]
    parameters: Mapping[str, str]


def read_request(keys: Sequence[str], values: Sequence[str], max_texts: int) -> Request:
    """The request that keys and values make.

    Raises:
        InputError: a key is unknown, lacks a value or comes twice, or `sentence` is absent or holds no texts, or more
            than `max_texts`.
    """
    if len(keys) != len(values):
        raise InputError(f"there are {len(keys)} keys and {len(values)} values; give each key one value")
    fields = dict(zip(keys, values))
    known = (SENTENCE, *OPTIONS)
    for key in keys:
        if key not in known:
            raise InputError(f"unknown key {key!r:.60}; known are {', '.join(known)}")
    if len(fields) < len(keys):
        raise InputError(f"a key comes twice among {', '.join(keys[:10])}; to send several texts give a JSON array")
    if SENTENCE not in fields:
        raise InputError(f"there is no key {SENTENCE!r}; give it a text, or a JSON array of texts")
    return Request(read_texts(fields.pop(SENTENCE), max_texts), fields)


def read_texts(sentence: str, max_texts: int) -> list[str]:
    """The texts of a value of `sentence`; raises InputError where there are none, or more than `max_texts`."""
    value = sentence.lstrip(_AHEAD)
    with PARSING:
        if value.startswith("["):
            return _checked(_read_json(value), max_texts)
        if value.startswith("(") or _ARRAY_BEGINS.match(value):
            _check_escapes(value)
        if begin := _ARRAY_BEGINS.match(value):
            return _checked(_read_printed_array(value, begin.end(), max_texts), max_texts)
        if _TUPLE.fullmatch(value):
            raise InputError(f"{SENTENCE} is a tuple of Python; send several texts as a JSON array")
    return [sentence]


def _check_escapes(value: str) -> None:
    if value.count("\\") > _MOST_ESCAPES:
        raise InputError(f"{SENTENCE} is Python with over {_MOST_ESCAPES:,} escapes; send a JSON array")


def _read_printed_array(value: str, place: int, most: int) -> list[str]:
    """The texts of an array as numpy prints it, from the first element on. Nothing is evaluated."""
    texts: list[str] = []
    while literal := _LITERAL.match(value, place):
        texts.append(_unquoted(literal[1]))
        place = literal.end()
        if len(texts) > most:
            raise InputError(f"there are more than {most} texts in one request; send at most {most}")
    if not _ARRAY_ENDS.fullmatch(value, place):
        raise InputError(_NO_ARRAY)
    return texts


def _unquoted(literal: str) -> str:
    """The text of a literal of Python, of bytes in UTF-8 too."""
    quote = min(place for place in (literal.find("'"), literal.find('"')) if place >= 0)
    inner, binary = literal[quote + 1 : -1], literal[0] in "bB"
    try:
        if "\\" in inner:
            if not _ESCAPES.fullmatch(inner):
                raise ValueError
            inner = inner.encode("latin-1", "backslashreplace").decode("unicode_escape")
        return inner.encode("latin-1").decode() if binary else inner
    except ValueError:
        raise InputError(_NO_ARRAY) from None


def _read_json(sentence: str) -> list[Any]:
    try:
        return parse_json(sentence)
    except ValueError as error:
        raise InputError(
            f"{SENTENCE} begins with [ and is no JSON array: {error}; send a text that begins so as an array of one"
        ) from None


def _checked(texts: list[Any], max_texts: int) -> list[str]:
    if not texts:
        raise InputError(f"{SENTENCE} is an empty array; give it at least one text")
    if len(texts) > max_texts:
        raise InputError(f"there are {len(texts)} texts in one request; send at most {max_texts}")
    for row, text in enumerate(texts):
        if not is_utf8(text):
            raise InputError(f"row {row}: {text!r:.40} is no text, or holds a lone surrogate; send texts in UTF-8")
    return texts


def is_utf8(value: Any) -> bool:
    """Whether a value of JSON is a text without lone surrogates, which can be sent on."""
    try:
        value.encode()
    except (AttributeError, UnicodeEncodeError):
        return False
    return True


def write_texts(texts: Sequence[str]) -> str:
    """The value of `sentence` for these texts."""
    return json.dumps(list(texts), ensure_ascii=False)


def bytes_in_request(text: str) -> int:
    """What a text takes of a request over HTTP, where `sentence` is JSON within JSON; over RPC it takes less."""
    return len(json.dumps(write_texts([text]), ensure_ascii=False).encode("utf-8", "surrogatepass"))


def write_answers(answers: Sequence[Answer]) -> dict[str, str]:
    """The fields of an answer, from those to each text."""
    rows = [
        [
            {LABEL: label, CONFIDENCE: round(confidence, 6), **({} if kept is None else {PROMISED: kept})}
            for (label, confidence), kept in itertools.zip_longest(answer, answer.promised or ())
        ]
        for answer in answers
    ]
    # `label` comes first: there are callers who read the first value.
    fields = {LABEL: json.dumps(rows, ensure_ascii=False), TRUNCATED: json.dumps([each.truncated for each in answers])}
    if any(answer.why for answer in answers):
        fields[EXPLANATION] = json.dumps([answer.why and answer.why.fields() for answer in answers], ensure_ascii=False)
    return fields


def read_fields(err_no: int, err_msg: str, keys: Sequence[str], values: Sequence[str]) -> dict[str, str]:
    """The fields of an answer.

    Raises:
        InputError: the service refuses the request.
        ServerError: it fails otherwise, or is none of ours.
    """
    if err_no == INPUT_ERROR:
        raise InputError(err_msg)
    if err_no != OK:
        raise ServerError(f"{err_msg} (err_no {err_no})")
    try:
        return dict(zip(keys, values))
    except TypeError as error:
        raise ServerError(f"the answer is none of the service {SERVICE} ({error!r})") from None


def read_answers(fields: Mapping[str, str]) -> list[Answer]:
    """Per text its predictions, out of the fields of an answer.

    Raises:
        ServerError: they are none of ours.
    """
    try:
        rows: Any = parse_json(fields[LABEL])
        truncated = parse_json(fields[TRUNCATED]) if TRUNCATED in fields else [None] * len(rows)
        answers = [[Prediction(entry[LABEL], float(entry[CONFIDENCE])) for entry in row] for row in rows]
        told = parse_json(fields[EXPLANATION]) if EXPLANATION in fields else [None] * len(rows)
        why = [each and Explanation.from_fields(each) for each in told]
        promises = any(PROMISED in entry for row in rows for entry in row)
        promised = [[entry[PROMISED] for entry in row] if promises else None for row in rows]
        return [Answer(*each) for each in zip(answers, truncated, why, promised)]
    except (KeyError, TypeError, ValueError) as error:
        raise ServerError(f"the answer is none of the service {SERVICE} ({error!r})") from None
