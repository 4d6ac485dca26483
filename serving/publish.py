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

from pipeline.bundle import Bundle
from pipeline.command import run
from pipeline.runtimes import AUTO, PRECISIONS, RUNTIMES, resolve
from serving.deployment import KEPT_VERSIONS, Deployment
from serving.options import ServingOptions
from serving.running_servers import add_server_options, find_servers, repository_of


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    defaults = ServingOptions()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--bundle", default="export", help="the bundle's folder (%(default)s)")
    of_bundle = "auto: what the bundle's release gate chose, onnxruntime float32 without one"
    add("--runtime", choices=(AUTO, *RUNTIMES), default=AUTO, help=of_bundle)
    add("--precision", choices=(AUTO, *PRECISIONS), default=AUTO, help="likewise")
    add("--threads", type=int, default=defaults.threads, help="processor threads of an instance, 0: one per core (0)")
    add("--instances", type=int, default=defaults.instances, help="copies of the model (%(default)s)")
    add("--token_budget", type=int, default=defaults.token_budget, help="tokens computed at once (%(default)s)")
    add("--max_batch_size", type=int, default=defaults.max_batch_size, help="texts per request (%(default)s)")
    queue = "milliseconds that a request may wait before it is refused (%(default)s)"
    add("--queue_milliseconds", type=int, default=defaults.queue_milliseconds, help=queue)
    size = "requests that may wait, 0: as many as this machine computes in that time (%(default)s)"
    add("--queue_size", type=int, default=defaults.queue_size, help=size)
    add("--keep", type=int, default=KEPT_VERSIONS, help="versions that stay on disk (%(default)s)")
    add_server_options(parser)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    bundle = Bundle(args.bundle)
    runtime, precision = resolve(bundle, args.runtime, args.precision)
    chosen = ("threads", "instances", "token_budget", "max_batch_size", "queue_milliseconds", "queue_size")
    options = ServingOptions(runtime, precision, **{name: getattr(args, name) for name in chosen})
    servers = find_servers(args)
    version = Deployment(repository_of(args), servers).publish(bundle, options, args.keep)
    print(
        f"published bundle {version.bundle} to {args.model_repository} as version {version.number} "
        f"({runtime}, {precision}); {live_where(servers)}"
    )


def live_where(servers: Sequence[object]) -> str:
    """What to say of the servers that follow the repository."""
    return f"live in {len(servers)} running server{'s' * (len(servers) > 1)}" if servers else "no server is running"


def publish(bundle: Bundle, model_repository: Path, options: ServingOptions) -> None:
    """Publish to a folder that no server serves yet; raises as `Deployment.publish` does."""
    from serving.repository import ModelRepository

    Deployment(ModelRepository(model_repository)).publish(bundle, options)


if __name__ == "__main__":
    run(main)
