"""Work on files that callers send: in processes of its own, within bounds of bytes, memory and seconds.

Starting such a process takes most of a second. So two are kept, once they were needed; one that takes too long is
killed, and another one takes its place when it is needed. All waiting is done by the event loop: callers of other
routes find their threads free.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError

from pipeline.errors import EnvironmentFault, InputError, ServerError
from pipeline.local_servers import PROJECT

MOST_FILE_BYTES, MOST_DONE_BYTES = 50_000_000, 100_000_000
"""Of a file, and of what is made of it."""
MOST_SECONDS = 30.0
"""That one may take; and that its caller may wait for its turn."""
MOST_AT_ONCE = 2
MOST_NAME_BYTES = 200
DONE = "done"
"""What a process makes of a file, beside it."""


class Apart:
    """Does jobs, a few at once; for one event loop."""

    def __init__(self) -> None:
        self._free = asyncio.Semaphore(MOST_AT_ONCE)
        self._idle: list[asyncio.subprocess.Process] = []

    async def do(self, job: str, content: bytes, name: str, **options: Any) -> bytes:
        """What a job of `serving.console.files.worker` makes of a content.

        Args:
            job: its name.
            content: of the file.
            name: of the file, for messages, and to tell lines from tables.
            options: of the job.

        Raises:
            InputError: it cannot be used; the message says why, and nothing of the texts.
            RequestValidationError: it has not the form that OpenAPI describes.
            ServerError: too many files are worked on at once.
        """
        try:
            await asyncio.wait_for(self._free.acquire(), MOST_SECONDS)
        except asyncio.TimeoutError:
            raise ServerError("other files are being worked on; send this one again later") from None
        try:
            with tempfile.TemporaryDirectory(prefix="console") as made:
                folder, shown = Path(made), _plain_name(name)
                asked = {"job": job, "folder": made, "name": shown, "made": DONE, "options": options}
                told = await self._ask(asked, shown, content)
                _check(told, shown, folder)
                return await run_in_threadpool((folder / DONE).read_bytes)
        finally:
            self._free.release()

    async def _ask(self, job: Mapping[str, Any], name: str, content: bytes) -> dict[str, Any]:
        alive = [process for process in self._idle if process.returncode is None]
        process = alive.pop() if alive else await _start()
        self._idle, stays = alive, False
        try:
            assert process.stdin
            process.stdin.write(json.dumps(job).encode() + b"\n")  # which of the two is left removes the folder
            await run_in_threadpool(_write, Path(job["folder"], name), content)
            told = await asyncio.wait_for(_answered(process), MOST_SECONDS)
            stays = told["stays"]
            return told
        except asyncio.TimeoutError:
            raise InputError(f"{name} takes longer than {MOST_SECONDS:g} s; split it") from None
        except (OSError, ValueError):
            await _end(process)
            raise InputError(
                f"{name} cannot be used: the process that worked on it ended with status {process.returncode}; split it"
            ) from None
        finally:
            if stays:
                self._idle.append(process)
            else:
                await _end(process)


async def _start() -> asyncio.subprocess.Process:
    pipe, nothing = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
    words = (sys.executable, "-m", "serving.console.files.worker")
    return await asyncio.create_subprocess_exec(
        *words, cwd=PROJECT, stdin=pipe, stdout=pipe, stderr=nothing, start_new_session=True
    )


def _write(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise EnvironmentFault(f"{path} cannot be written: {error.strerror}") from None


async def _answered(process: asyncio.subprocess.Process) -> dict[str, Any]:
    """Its line, once it is told that the file is there; raises ValueError or OSError where it ends without one."""
    assert process.stdin and process.stdout
    process.stdin.write(b"\n")
    await process.stdin.drain()
    return json.loads(await process.stdout.readline())


async def _end(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    await process.wait()


def _check(told: Mapping[str, Any], name: str, folder: Path) -> None:
    if "errors" in told:
        raise RequestValidationError([{**each, "loc": ("body", *each["loc"])} for each in told["errors"]])
    if told["status"] != 200:
        raise InputError(told["error"])
    if (folder / DONE).stat().st_size > MOST_DONE_BYTES:
        raise InputError(f"what {name} holds takes more than {MOST_DONE_BYTES:,} bytes; split it")


def _plain_name(name: str) -> str:
    """`name` as a file may be called anywhere, its ending kept."""
    kept = "".join(letter for letter in name if letter.isprintable() and letter not in "/\\:")
    return kept.encode("utf-8", "ignore")[-MOST_NAME_BYTES:].decode("utf-8", "ignore").lstrip(".-") or "file"
