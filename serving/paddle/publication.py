"""Write what Paddle Serving serves a bundle from:

    python -m serving.paddle.publication --bundle export

    config.yml                      ports, limits, and how the operator `seq_cls` computes
    serving_server/                 the bundle without its ONNX graph, and two prototxt files that describe its graph
    pipeline/, serving/             the service's code
    published.json                  what was published, and what the golden texts have to get

The folder is replaced as a whole, and a running `python -m serving.paddle` changes over to it. It needs nothing else
from this project: copied to another host, it runs there in the environment of requirements/serving.txt.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from pipeline.command import run
from pipeline.compute.runtimes import AUTO, DEVICES, PADDLE, resolve, unavailable
from pipeline.errors import BundleError, EnvironmentFault, InputError
from pipeline.files.atomic import atomic_folder, remove_leftovers
from pipeline.files.bundle import PADDLE_GRAPH_FILE, PADDLE_PARAMETERS_FILE, VOCABULARY_FILE, Bundle, stage
from pipeline.predictor import Predictor
from serving.folders import PROJECT, build_dir
from serving.golden import Expected, expected_answers
from serving.paddle.configuration import (
    CONFIG_FILE,
    MODEL_FOLDER,
    PRECISIONS,
    PaddleOptions,
    config_text,
    write_model_config,
)
from serving.staging import copy_modules

PUBLISHED_FILE = "published.json"
SERVICE_MODULE = Path("serving", "paddle", "service.py")


def default_folder() -> Path:
    """Where bundles are published to."""
    return build_dir() / "paddle_serving"


@dataclass(frozen=True)
class Publication:
    """What published.json says.

    Attributes:
        bundle: the bundle's identity.
        published: when, in UTC.
        options: how it is served.
        expected: texts and the labels that the service must give them.
    """

    bundle: str
    published: str
    options: PaddleOptions
    expected: tuple[Expected, ...]

    def to_json(self) -> dict[str, Any]:
        expected = [answer.to_json() for answer in self.expected]
        return {**vars(self), "options": asdict(self.options), "expected": expected}

    @classmethod
    def read(cls, folder: Path) -> Publication:
        """What was published to `folder`.

        Raises:
            InputError: nothing was.
            BundleError: the file is damaged.
        """
        path = folder / PUBLISHED_FILE
        try:
            fields = json.loads(path.read_bytes())
            expected = tuple(Expected.from_json(answer) for answer in fields["expected"])
            return cls(**{**fields, "options": PaddleOptions(**fields["options"]), "expected": expected})
        except FileNotFoundError:
            raise InputError(
                f"{folder} holds nothing to serve: run `make demo`, or `python -m serving.publish --bundle ...`"
            ) from None
        except (ValueError, TypeError, KeyError) as error:
            raise BundleError(f"{path} is damaged ({error!r}); publish the bundle again") from None


def publish(bundle: Bundle, folder: Path, options: PaddleOptions) -> Publication:
    """Replace `folder` by what serves `bundle`.

    Raises:
        BundleError: the bundle lacks a file, or does not answer its golden texts.
    """
    expected = expected_answers(Predictor(bundle))
    now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    publication = Publication(bundle.identity, now, options, expected)
    with _alone_beside(folder), atomic_folder(folder) as draft:
        (draft / MODEL_FOLDER).mkdir()
        stage(bundle, [VOCABULARY_FILE, PADDLE_GRAPH_FILE, PADDLE_PARAMETERS_FILE], draft / MODEL_FOLDER)
        write_model_config(bundle, draft / MODEL_FOLDER)
        (draft / CONFIG_FILE).write_text(config_text(options), encoding="utf-8")
        copy_modules(PROJECT / SERVICE_MODULE, draft, SERVICE_MODULE)
        record = json.dumps(publication.to_json(), ensure_ascii=False, indent=1) + "\n"
        (draft / PUBLISHED_FILE).write_text(record, encoding="utf-8")
    return publication


@contextlib.contextmanager
def _alone_beside(folder: Path) -> Iterator[None]:
    """Wait for others who publish there, and remove what one that was killed has left."""
    folder = Path(os.path.realpath(folder))
    folder.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder.parent, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        remove_leftovers(folder)
        yield
    finally:
        os.close(descriptor)


def choose_precision(bundle: Bundle, precision: str) -> str:
    """What to compute in: with AUTO the fastest that the release gate passed in paddle, or float32 without one.

    Raises:
        InputError: the gate has not passed that precision.
        EnvironmentFault: this machine does not have it.
    """
    chosen = resolve(bundle, PADDLE, precision)[1]
    passed = [each["precision"] for each in bundle.manifest.gate.get("choices", ()) if each["runtime"] == PADDLE]
    if chosen == "float32":
        return chosen
    if chosen not in passed:
        raise InputError(
            f"the release gate has not passed {chosen} in paddle for {bundle.path}; run training/release.py "
            "--paddle_serving and publish what it released, or choose float32"
        )
    if reason := unavailable(PADDLE, chosen):
        raise EnvironmentFault(reason)
    return chosen


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    defaults = PaddleOptions()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--bundle", default="export", help="the bundle's folder (%(default)s)")
    add("--folder", type=Path, default=default_folder(), help="what to write (%(default)s)")
    of_bundle = "auto: the fastest that the release gate passed in paddle, or float32"
    add("--precision", choices=(AUTO, *PRECISIONS), default=AUTO, help=of_bundle)
    add("--threads", type=int, default=defaults.threads, help="processor threads that compute, 0: one per core (0)")
    at_once = "requests served at the same time, by each process (%(default)s)"
    add("--workers", type=int, default=defaults.workers, help=at_once)
    of_processes = "processes with a model of their own, which share --threads; 0: threads of one process (0)"
    add("--processes", type=int, default=defaults.processes, help=of_processes)
    add("--batch_requests", type=int, default=defaults.batch_requests, help="computed together at most (%(default)s)")
    add("--token_budget", type=int, default=defaults.token_budget, help="tokens computed at once (%(default)s)")
    add("--max_batch_size", type=int, default=defaults.max_batch_size, help="texts per request (%(default)s)")
    add("--request_bytes", type=int, default=defaults.request_bytes, help="that a request may have (%(default)s)")
    add("--request_seconds", type=int, default=defaults.request_seconds, help="that it may wait (%(default)s)")
    add("--device", choices=DEVICES, default=defaults.device, help="gpu: with paddle-serving-server-gpu (%(default)s)")
    add("--devices", default=defaults.devices, help="which GPUs (%(default)s)")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    bundle = Bundle(args.bundle)
    chosen = {name: getattr(args, name) for name in PaddleOptions.__dataclass_fields__}
    if args.precision == AUTO and args.device != "cpu":
        chosen["precision"] = "float32"  # what the gate measured on the CPU says nothing of a GPU
    else:
        chosen["precision"] = choose_precision(bundle, args.precision)
    options = PaddleOptions(**chosen)
    publication = publish(bundle, args.folder, options)
    print(f"published bundle {publication.bundle} to {args.folder} for Paddle Serving ({options.precision})")


if __name__ == "__main__":
    run(main)
