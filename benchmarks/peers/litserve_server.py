"""A LitServe server that runs the pipeline of `benchmarks.peers.engines`, in the peers' environment."""

from __future__ import annotations

import argparse
from pathlib import Path

import litserve

from benchmarks.peers.engines import BATCH_SIZE, add_model_options, answer, classifier

BATCH_WAIT_SECONDS = 0.005


class Classifier(litserve.LitAPI):
    """Waiting requests are joined into batches."""

    def __init__(self, folder: Path, precision: str) -> None:
        super().__init__(max_batch_size=BATCH_SIZE, batch_timeout=BATCH_WAIT_SECONDS)
        self._model = folder, precision

    def setup(self, device: str) -> None:
        self._classify = classifier(*self._model)

    def decode_request(self, request: dict[str, str]) -> str:
        return request["text"]

    def predict(self, texts: list[str]) -> list[list[str]]:
        return [answer(scores) for scores in self._classify(texts, truncation=True)]

    def encode_response(self, output: list[str]) -> dict[str, list[str]]:
        return {"labels": output}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    add_model_options(parser)
    parser.add_argument("--port", type=int, required=True, help="on 127.0.0.1")
    args = parser.parse_args()
    server = litserve.LitServer(Classifier(args.folder, args.precision), accelerator="cpu", workers_per_device=1)
    server.run(host="127.0.0.1", port=args.port, num_api_servers=1, generate_client_file=False, log_level="warning")


if __name__ == "__main__":
    main()
