"""Publish a bundle: write it to the model repository that Triton serves, and let running servers answer by it.

    python -m serving.publish --bundle export
    python -m serving.publish --bundle export --server 10.0.0.7:8000 --key_file admin.key

Servers that were started from here on that repository are found; others are named by --server. The bundle is loaded
beside the one that is live and asked its golden texts first. `python -m serving.rollback` takes it back, `python -m
serving.versions` lists what is there. The repository needs nothing from this project: copy it to another host or a
bucket, and it runs there with numpy, tokenizers and a runtime.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from pipeline.command import run
from pipeline.compute.batching import TOKEN_BUDGET
from pipeline.compute.runtimes import AUTO, DEVICES, PRECISIONS, RUNTIMES, resolve
from pipeline.files.bundle import Bundle
from serving.triton.configs.native import native_choice
from serving.triton.deployment import KEPT_VERSIONS, Deployment
from serving.triton.options import BACKENDS, GPU, NATIVE, ServingOptions
from serving.triton.running_servers import add_server_options, find_servers, repository_of

GPU_TOKEN_BUDGET = 16 * TOKEN_BUDGET
GPU_QUEUE_SIZE = 1024
"""How fast this machine computes says nothing of the GPU that is to serve."""


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    defaults = ServingOptions()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--bundle", default="export", help="the bundle's folder (%(default)s)")
    of_bundle = "auto: what the bundle's release gate chose, onnxruntime float32 without one"
    add("--runtime", choices=(AUTO, *RUNTIMES), default=AUTO, help=of_bundle)
    add("--precision", choices=(AUTO, *PRECISIONS), default=AUTO, help="likewise")
    add(
        "--backend",
        choices=BACKENDS,
        default=defaults.backend,
        help="native: Triton's own, as in its container (python)",
    )
    add("--device", choices=DEVICES, default=defaults.device, help="what a native backend computes on (%(default)s)")
    add(
        "--tensorrt", action="store_true", help="on the GPU with TensorRT, in float16 unless --precision says otherwise"
    )
    add("--engine_cache", default="", metavar="FOLDER", help="of the server, where TensorRT keeps what it has built")
    lengths = "lengths that the tokeniser pads to (none; chosen for a native backend)"
    add("--padded_lengths", type=int, nargs="+", default=[], metavar="TOKENS", help=lengths)
    add("--threads", type=int, default=defaults.threads, help="processor threads of an instance, 0: one per core (0)")
    add("--instances", type=int, default=defaults.instances, help="copies of the model (%(default)s)")
    budget = f"tokens computed at once ({TOKEN_BUDGET}, on a GPU {GPU_TOKEN_BUDGET})"
    add("--token_budget", type=int, help=budget)
    add("--max_batch_size", type=int, default=defaults.max_batch_size, help="texts per request (%(default)s)")
    queue = "how long texts may have to wait for the model (%(default)s)"
    add("--queue_milliseconds", type=int, default=defaults.queue_milliseconds, help=queue)
    size = "texts that may be under way, 0: a batch and what this machine computes in that time (%(default)s)"
    add("--queue_size", type=int, default=defaults.queue_size, help=size)
    add("--keep", type=int, default=KEPT_VERSIONS, help="versions that stay on disk (%(default)s)")
    add_server_options(parser)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    bundle = Bundle(args.bundle)
    options = options_of(args, bundle)
    servers = find_servers(args)
    version = Deployment(repository_of(args), servers).publish(bundle, options, args.keep)
    print(
        f"published bundle {version.bundle} to {args.model_repository} as version {version.number} "
        f"({options.engine}, {options.precision}); {live_where(servers)}"
    )


def options_of(args: argparse.Namespace, bundle: Bundle) -> ServingOptions:
    """What the command line says, and the defaults that depend on it; raises as `ServingOptions` does."""
    chosen = {name: getattr(args, name) for name in ServingOptions.__dataclass_fields__}
    precision = "float16" if args.tensorrt and args.precision == AUTO else args.precision
    pick = native_choice if args.backend == NATIVE else resolve
    chosen["runtime"], chosen["precision"] = pick(bundle, args.runtime, precision, args.device)
    chosen["padded_lengths"] = tuple(args.padded_lengths)
    if args.token_budget is None:
        chosen["token_budget"] = GPU_TOKEN_BUDGET if args.device == GPU else TOKEN_BUDGET
    if args.device == GPU and args.queue_size == 0:
        chosen["queue_size"] = GPU_QUEUE_SIZE
    return ServingOptions(**chosen)


def live_where(servers: Sequence[object]) -> str:
    """What to say of the servers that follow the repository."""
    return f"live in {len(servers)} running server{'s' * (len(servers) > 1)}" if servers else "no server is running"


def publish(bundle: Bundle, model_repository: Path, options: ServingOptions) -> None:
    """Publish to a folder that no server serves yet; raises as `Deployment.publish` does."""
    from serving.triton.repository import ModelRepository

    Deployment(ModelRepository(model_repository)).publish(bundle, options)


if __name__ == "__main__":
    run(main)
