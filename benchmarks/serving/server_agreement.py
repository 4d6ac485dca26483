"""Whether Triton, Paddle Serving over RPC and HTTP, and the offline predictor give texts the same labels.

python -m benchmarks.serving.server_agreement --bundle export --file data/test.txt

Starts a real server of each kind on free ports. The file holds a text per line, or rows of a dataset. Ends by printing
one line of JSON: per way how many texts get another label set than the predictor gives, and the largest difference
between confidences of a label that both give.
"""

from __future__ import annotations

import argparse
import itertools
import json
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from clients.http_client import HttpClient
from clients.triton import TritonClient
from pipeline.command import run
from pipeline.files.bundle import Bundle
from pipeline.files.chunks import chunks
from pipeline.files.dataset import read_texts
from pipeline.labels.decoding import Prediction
from pipeline.predictor import Predictor
from serving.folders import PROJECT
from serving.paddle.configuration import PaddleOptions
from serving.paddle.environment import serving_python
from serving.paddle.publication import publish as publish_for_paddle
from serving.paddle.server import PaddlePorts, PaddleServer
from serving.process.ports import Ports
from serving.publish import publish as publish_for_triton
from serving.triton.options import ServingOptions
from serving.triton.server.launcher import TritonServer

Answers = list[dict[str, float]]


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--bundle", default="export", help="the bundle's folder (%(default)s)")
    parser.add_argument("--file", type=Path, required=True, help="texts to send")
    parser.add_argument("--rows", type=int, help="of its beginning alone")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    bundle = Bundle(args.bundle)
    texts = [text.split("\t")[0] for text in itertools.islice(read_texts(args.file), args.rows)]
    predictor = Predictor(bundle)
    expected = [answer for piece in chunks(texts, 64) for answer in map(dict, predictor.predict(piece))]
    with tempfile.TemporaryDirectory() as name:
        ways = {"triton": from_triton(bundle, texts, Path(name)), **from_paddle(bundle, texts, Path(name))}
    print(json.dumps({"texts": len(texts), **{way: compare(answers, expected) for way, answers in ways.items()}}))


def compare(answers: Answers, expected: Answers) -> dict[str, float]:
    """How far answers are from the expected ones; there are as many."""
    assert len(answers) == len(expected)
    pairs = list(zip(answers, expected))
    distances = [abs(one[label] - other[label]) for one, other in pairs for label in one.keys() & other.keys()]
    return {
        "other_label_sets": sum(one.keys() != other.keys() for one, other in pairs),
        "largest_difference": float(f"{max(distances, default=0.0):.1e}"),
    }


def from_triton(bundle: Bundle, texts: Sequence[str], folder: Path) -> Answers:
    publish_for_triton(bundle, folder / "model_repository", ServingOptions())
    with TritonServer(folder / "model_repository", ports=Ports.free(), state_dir=folder) as server:
        server.wait_ready()
        with TritonClient(server.grpc_address) as client:
            return collected(client.classify_stream(texts))


def from_paddle(bundle: Bundle, texts: Sequence[str], folder: Path) -> dict[str, Answers]:
    publish_for_paddle(bundle, folder / "paddle_serving", PaddleOptions())
    (folder / "texts.txt").write_text("\n".join(texts), encoding="utf-8")
    with PaddleServer(folder / "paddle_serving", PaddlePorts.free(), state_dir=folder) as server:
        server.wait_ready()
        with HttpClient(server.http_address) as client:
            http = collected(client.classify_stream(texts))
        words = ["--url", server.rpc_address, "--file", str(folder / "texts.txt"), "--format", "jsonl"]
        command = [str(serving_python()), "-W", "ignore", "-m", "clients.rpc_client", *words]
        lines = subprocess.run(command, cwd=PROJECT, check=True, capture_output=True, text=True).stdout.splitlines()
    rpc = [{entry["label"]: entry["confidence"] for entry in json.loads(line)["labels"]} for line in lines]
    return {"paddle_rpc": rpc, "paddle_http": http}


def collected(stream: Iterable[tuple[str, Sequence[Prediction]]]) -> Answers:
    return [dict(predictions) for _, predictions in stream]


if __name__ == "__main__":
    run(main)
