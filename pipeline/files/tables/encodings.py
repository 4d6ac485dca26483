"""Telling the encoding of a text file from its bytes."""

from __future__ import annotations

import codecs
from pathlib import Path

from pipeline.errors import DatasetError
from pipeline.files.wide_encodings import LEAST_COMMON, START_BYTES, common_share, wide_encoding

CHUNK_BYTES = 1 << 20
NAMES = {
    "utf-8": "UTF-8",
    "utf-8-sig": "UTF-8 with a byte order mark",
    "utf-32": "UTF-32",
    "utf-32le": "UTF-32 without a byte order mark",
    "utf-32be": "UTF-32 (big endian) without a byte order mark",
    "utf-16": "UTF-16",
    "utf-16le": "UTF-16 without a byte order mark",
    "utf-16be": "UTF-16 (big endian) without a byte order mark",
    "gb18030": "GB18030",
}
"""What a user calls a codec."""


def tell_encoding(path: Path) -> str:
    """The codec of a text file: UTF-8, UTF-16, UTF-32 or GB18030.

    Raises:
        OSError: the file cannot be read.
        DatasetError: it is none of these, or nothing that can be told from them.
    """
    with open(path, "rb") as stream:
        start = stream.read(START_BYTES)
    if start.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    if wide := wide_encoding(start):
        return wide.lower()
    fault = _fault(path, "utf-8")
    if fault is None:
        return "utf-8"
    if _fault(path, "gb18030") is None and _common_share(path) >= LEAST_COMMON:
        return "gb18030"
    line, byte = fault
    raise DatasetError(
        path,
        line,
        f"byte 0x{byte:02x} is neither UTF-8 nor plausible GB18030; give --encoding, for example big5, shift_jis or "
        "cp1252, or save the file as UTF-8",
    )


def _fault(path: Path, name: str) -> tuple[int, int] | None:
    """The line and the byte where a file leaves an encoding."""
    decoder, line = codecs.getincrementaldecoder(name)(), 1
    with open(path, "rb") as stream:
        while True:
            chunk = stream.read(CHUNK_BYTES)
            try:
                decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as error:
                before = error.object[: error.start]
                return line + before.count(b"\n"), error.object[error.start]
            if not chunk:
                return None
            line += chunk.count(b"\n")


def _common_share(path: Path) -> float:
    """Of the characters beyond ASCII, read as GB18030, the share that GB 2312 has."""
    with open(path, "rb") as stream:
        text = codecs.getincrementaldecoder("gb18030")().decode(stream.read(CHUNK_BYTES))
    return common_share(text)
