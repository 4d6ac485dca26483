"""Do jobs on files, one after the other, for `serving.console.files.apart`.

A line of standard input is a job in JSON, the arguments of `do`, and an empty one says that its file is there; then a
line is printed, what that tells.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import shutil
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pipeline.errors import InputError
from serving.console.files.reading import texts_as_json
from serving.console.files.writing import NoJson, table_as_workbook

JOBS: Mapping[str, Callable[..., bytes]] = {"texts": texts_as_json, "workbook": table_as_workbook}
MOST_MEMORY, MOST_KEPT_KIBIBYTES = 2 << 30, 400_000
"""Bytes of address space, and what one that is kept may have taken."""
LAST_SECONDS = 60
"""After which a job ends with its process, should the console be gone."""
NICE = 5
"""Others, who wait for answers of the model, go first."""


def do(job: str, folder: str, name: str, made: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Do a job.

    Args:
        job: a name of JOBS.
        folder, name: where the file lies.
        made: the name of the file beside it that what is made of it is written to.
        options: of the job.

    Returns:
        `status` as in HTTP, `error` or `errors` unless that is 200, and `stays`: whether this process takes
        another job.
    """
    os.chdir(folder)
    signal.alarm(LAST_SECONDS)
    told: dict[str, Any] = {"status": 200, "stays": True}
    try:
        Path(made).write_bytes(JOBS[job](Path(name), **options))
    except ValidationError as error:
        errors = [{"type": each["type"], "loc": each["loc"], "msg": each["msg"]} for each in error.errors()[:3]]
        told.update(status=422, errors=errors)
    except NoJson as error:
        told.update(status=422, errors=[error.described()])
    except InputError as error:
        told.update(status=400, error=str(error))
    except MemoryError:
        told.update(status=400, error=f"{name} needs too much memory; split it, or take .csv", stays=False)
    finally:
        signal.alarm(0)
        os.chdir("/")
    if resource.getrusage(resource.RUSAGE_SELF).ru_maxrss > MOST_KEPT_KIBIBYTES:
        told["stays"] = False
    return told


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    os.nice(NICE)
    folder = ""
    with contextlib.suppress(BrokenPipeError):
        for line in sys.stdin:
            job = json.loads(line)
            folder = job["folder"]
            if not sys.stdin.readline():
                break
            told = do(**job)
            print(json.dumps(told), flush=True)
            if not told["stays"]:
                return
    shutil.rmtree(folder, ignore_errors=True)  # which the console would have removed: it is gone


if __name__ == "__main__":
    main()
