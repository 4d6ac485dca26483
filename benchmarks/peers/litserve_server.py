"""A LitServe server that runs the pipeline of `benchmarks.peers.engines`, in the peers' environment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.peers.engines import PipelineOptions
from pipeline.command import run
from pipeline.options import option, parse


@dataclass(frozen=True)
class LitServeOptions(PipelineOptions):
    """Where the server listens."""

    port: int = option(help="HTTP port on 127.0.0.1", at_least=1, at_most=65535)


def serve(options: LitServeOptions) -> None:
    """Serve until the process ends."""
    import litserve

    from benchmarks.peers.litserve_api import Classifier

    api = Classifier(options.folder, options.precision)
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=1)
    server.run(host="127.0.0.1", port=options.port, num_api_servers=1, generate_client_file=False, log_level="warning")


def parse_args(argv: Sequence[str] | None) -> LitServeOptions:
    return parse(LitServeOptions, argv, __doc__)


def main(argv: Sequence[str] | None = None) -> None:
    serve(parse_args(argv))


if __name__ == "__main__":
    run(main)
