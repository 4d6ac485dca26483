"""What Paddle Serving serves a bundle from, in a folder of its own:

    config.yml                      ports, limits, and how the operator `seq_cls` computes
    serving_server/                 the bundle without its ONNX graph, and two prototxt files that describe its graph
    pipeline/, serving/             the service's code
    published.json                  what was published, and what the golden texts have to get

It needs nothing else from this project: copied to another host, it runs there in the environment of
requirements/serving.txt.
"""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

from pipeline.compute.batching import TOKEN_BUDGET
from pipeline.compute.runtimes import AUTO, PADDLE, resolve, unavailable
from pipeline.errors import EnvironmentFault, InputError
from pipeline.files.bundle import PADDLE_GRAPH_FILE, PADDLE_PARAMETERS_FILE, Bundle, stage
from serving.folders import PROJECT
from serving.options import CPU, MAX_BATCH_SIZE
from serving.paddle.configuration import CONFIG_FILE, MODEL_FOLDER, PUBLISHED_FILE, config_text, write_model_config
from serving.paddle.options import PaddleOptions, PaddleWishes
from serving.published import PublishedVersion
from serving.staging import copy_modules, write_seal

LIVE = "live"
SERVICE_MODULE = Path("serving", "paddle", "service.py")
PARTS = (PUBLISHED_FILE, CONFIG_FILE, MODEL_FOLDER, "pipeline", "serving")
"""Of a publication; without the first it is none."""

PaddleVersion = PublishedVersion[PaddleOptions]


def paddle_options(bundle: Bundle, wishes: PaddleWishes) -> PaddleOptions:
    """What is asked, and what is chosen where it was left open; raises as `choose_precision` does."""
    chosen = {each.name: getattr(wishes, each.name) for each in fields(PaddleWishes)}
    if wishes.precision == AUTO and wishes.device != CPU:
        chosen["precision"] = "float32"  # what the gate measured on the CPU says nothing of a GPU
    else:
        chosen["precision"] = choose_precision(bundle, wishes.precision)
    chosen["token_budget"] = wishes.token_budget or TOKEN_BUDGET
    chosen["max_batch_size"] = wishes.max_batch_size or MAX_BATCH_SIZE
    return PaddleOptions(**chosen)


def choose_precision(bundle: Bundle, precision: str) -> str:
    """What to compute in: with AUTO the fastest that the release gate passed in paddle, or float32 without one.

    Raises:
        InputError: the gate has not passed that precision.
        EnvironmentFault: this machine does not have it.
    """
    passed = [each["precision"] for each in bundle.manifest.gate.get("choices", ()) if each["runtime"] == PADDLE]
    if precision == AUTO:
        chosen = resolve(bundle, PADDLE, AUTO)[1]
        return chosen if chosen in passed and not unavailable(PADDLE, chosen) else "float32"
    if precision != "float32" and precision not in passed:
        raise InputError(
            f"the release gate has not passed {precision} in paddle for {bundle.path}; run training/release.py "
            "--paddle_serving and publish what it released, or choose float32"
        )
    if precision != "float32" and (reason := unavailable(PADDLE, precision)):
        raise EnvironmentFault(reason)
    return precision


def write_publication(bundle: Bundle, version: PaddleVersion, folder: Path) -> None:
    """Write what serves a version of the bundle into an empty folder.

    Raises:
        BundleError: the bundle lacks a file.
    """
    (folder / MODEL_FOLDER).mkdir()
    files = [*bundle.reading_files, *bundle.explaining_files, PADDLE_GRAPH_FILE, PADDLE_PARAMETERS_FILE]
    stage(bundle, files, folder / MODEL_FOLDER)
    write_model_config(bundle, folder / MODEL_FOLDER)
    (folder / CONFIG_FILE).write_text(config_text(version.options), encoding="utf-8")
    copy_modules(PROJECT / SERVICE_MODULE, folder, SERVICE_MODULE)
    (folder / PUBLISHED_FILE).write_text(version.text(), encoding="utf-8")
    write_seal(folder, CONFIG_FILE, PUBLISHED_FILE)


def live_publication(folder: Path) -> Path:
    """The publication to serve from a folder: where its link `live` leads, or itself where it is one."""
    return (folder / LIVE).resolve() if (folder / LIVE).exists() else folder


def read_publication(folder: Path, number: int | None = None) -> PaddleVersion:
    """What is published in a folder of its own, which stands for a version of that number.

    Raises:
        InputError: nothing is.
        BundleError: the record is damaged, or another version's.
    """
    if not (folder / PUBLISHED_FILE).is_file():
        raise InputError(
            f"{folder} holds nothing to serve: run `make demo`, or `.venv/bin/python -m serving.publish --bundle ...`"
        )
    return PublishedVersion.read(folder / PUBLISHED_FILE, PaddleOptions, number)
