"""Publish a bundle: write the model repository that Triton serves.

    python -m serving.publish --bundle export --model_repository model_repository

The repository needs nothing from this project afterwards: copy it to another host or a bucket, and it runs there
with numpy, tokenizers and a runtime.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path

from pipeline.atomic import atomic_folder
from pipeline.bundle import VOCABULARY_FILE, Bundle, stage
from pipeline.command import run
from pipeline.errors import InputError
from pipeline.graph_precision import write_graph
from pipeline.runtimes import AUTO, PRECISIONS, RUNTIMES, create_runtime, graph_files, resolve
from pipeline.tensors import ENSEMBLE
from serving.folders import MODEL_REPOSITORY, PROJECT
from serving.model_configs import COMPONENTS, MODEL, POSTPROCESS, TOKENISER, ServingOptions, model_configs
from serving.staging import imported_modules

MODELS = (*COMPONENTS, ENSEMBLE)
VERSION = "1"


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    defaults = ServingOptions()
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--bundle", default="export", help="the bundle's folder (%(default)s)")
    parser.add_argument("--model_repository", default=str(MODEL_REPOSITORY), help="the folder to write (%(default)s)")
    of_bundle = "auto: what the bundle's release gate chose, onnxruntime float32 without one"
    parser.add_argument("--runtime", choices=(AUTO, *RUNTIMES), default=AUTO, help=of_bundle)
    parser.add_argument("--precision", choices=(AUTO, *PRECISIONS), default=AUTO, help="likewise")
    parser.add_argument(
        "--threads", type=int, default=defaults.threads, help="processor threads of the model, 0: one per core (0)"
    )
    parser.add_argument(
        "--max_batch_size", type=int, default=defaults.max_batch_size, help="texts per request (%(default)s)"
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    bundle = Bundle(args.bundle)
    runtime, precision = resolve(bundle, args.runtime, args.precision)
    options = ServingOptions(runtime, precision, args.threads, args.max_batch_size)
    publish(bundle, Path(args.model_repository), options)
    print(f"published bundle {bundle.identity} to {args.model_repository} ({options.runtime}, {options.precision})")


def publish(bundle: Bundle, model_repository: Path, options: ServingOptions) -> None:
    """Write the four models to `model_repository`, all of them in a single step or none; other content stays.

    Raises:
        InputError: `model_repository` is a file.
        EnvironmentFault: this machine lacks the runtime or the precision.
        BundleError: the bundle does not hold what the runtime needs.
    """
    if model_repository.exists() and not model_repository.is_dir():
        raise InputError(f"{model_repository} is a file; give --model_repository a folder")
    create_runtime(bundle, options.runtime, options.precision, options.threads or None)
    needed = {TOKENISER: (VOCABULARY_FILE,), MODEL: graph_files(options.runtime, options.precision), POSTPROCESS: ()}
    configs = model_configs(len(bundle.hierarchy), options)
    with atomic_folder(model_repository) as folder:
        if model_repository.exists():
            ours = lambda parent, names: MODELS if Path(parent) == model_repository else ()  # noqa: E731
            shutil.copytree(model_repository, folder, symlinks=True, ignore=ours, dirs_exist_ok=True)
        for model in MODELS:
            version = folder / model / VERSION
            version.mkdir(parents=True)
            (folder / model / "config.pbtxt").write_text(configs[model], encoding="utf-8")
            if model in needed:
                if model == MODEL:
                    write_graph(bundle, options.precision, version)  # a server has nothing to derive it with
                stage(bundle, needed[model], version)
                _stage_code(MODEL_REPOSITORY / model / VERSION / "model.py", version)


def _stage_code(adapter: Path, version: Path) -> None:
    shutil.copyfile(adapter, version / adapter.name)
    for module in imported_modules(adapter, PROJECT, "pipeline"):
        target = version / module
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(PROJECT / module, target)


if __name__ == "__main__":
    run(main)
