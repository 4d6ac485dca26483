"""Files that are sent to the console: within bounds of bytes, memory and seconds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from dataclasses import asdict
from pathlib import Path

from pipeline.errors import InputError, ServerError
from pipeline.local_servers import PROJECT
from serving.console.files.reading import ReadingOptions

MOST_FILE_BYTES, MOST_PRINTED_BYTES = 50_000_000, 100_000_000
"""Of a file, and of what is read from it, with the marks of JSON."""
MOST_SECONDS = 30.0
"""That one may take to be read."""
MOST_AT_ONCE = 2
MOST_NAME_BYTES = 200
_free = threading.BoundedSemaphore(MOST_AT_ONCE)


def texts_of_file(content: bytes, name: str, options: ReadingOptions) -> bytes:
    """The texts of a file, as `serving.console.files.reading` prints them, in JSON.

    Args:
        content: of the file.
        name: of the file, for messages, and to tell lines from tables.
        options: how it is read.

    Raises:
        InputError: it cannot be read; the message says why, and nothing of the texts.
        ServerError: too many files are read at once.
    """
    if not _free.acquire(timeout=MOST_SECONDS):
        raise ServerError("other files are being read; send this one again later")
    try:
        with tempfile.TemporaryDirectory(prefix="console") as folder:
            shown = _plain_name(name)
            (Path(folder) / shown).write_bytes(content)
            printed = _read_apart(folder, shown, options)
    finally:
        _free.release()
    if printed.startswith(b'{"error"'):
        raise InputError(json.loads(printed)["error"])
    return printed


def _read_apart(folder: str, name: str, options: ReadingOptions) -> bytes:
    command = [sys.executable, "-m", "serving.console.files.reading", folder, name, json.dumps(asdict(options))]
    with tempfile.TemporaryFile() as printed:
        try:
            done = subprocess.run(
                command, cwd=PROJECT, stdout=printed, stderr=subprocess.DEVNULL, timeout=MOST_SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            raise InputError(f"{name} takes longer than {MOST_SECONDS:g} s to be read; split it") from None
        if done.returncode:
            raise InputError(f"{name} cannot be read: the program that reads it ended with status {done.returncode}")
        if printed.seek(0, os.SEEK_END) > MOST_PRINTED_BYTES:
            raise InputError(f"what {name} holds takes more than {MOST_PRINTED_BYTES:,} bytes; split it")
        printed.seek(0)
        return printed.read()


def _plain_name(name: str) -> str:
    """`name` as a file may be called anywhere, its ending kept."""
    kept = "".join(letter for letter in name if letter.isprintable() and letter not in "/\\:")
    return kept.encode("utf-8", "ignore")[-MOST_NAME_BYTES:].decode("utf-8", "ignore").lstrip(".-") or "file"
