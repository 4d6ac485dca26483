"""Whether Triton, Paddle Serving over RPC and HTTP, and the offline predictor give texts the same labels.

python -m benchmarks.serving.server_agreement --bundle export --texts data/test.txt

Starts a real server of each kind on free ports. Ends by printing one line of JSON: per way how many texts get another
label set than the predictor gives, and the largest difference between confidences of a label that both give.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.options import RecordOptions
from benchmarks.records import PROJECT, environment
from benchmarks.texts import read_texts
from clients.http_client import HttpClient
from clients.triton import TritonClient
from pipeline.command import run
from pipeline.files.bundle import Bundle
from pipeline.files.chunks import chunks
from pipeline.labels.answers import Prediction
from pipeline.options import option, parse
from pipeline.predictor import Predictor
from serving.paddle.environment import serving_python
from serving.paddle.server import PaddlePorts, PaddleServer
from serving.process.ports import Ports
from serving.publish import PublishOptions, publish
from serving.triton.server.launcher import TritonServer

Answers = list[dict[str, float]]


@dataclass(frozen=True)
class AgreementOptions(RecordOptions):
    """What is served, and which texts are sent."""

    bundle: Path = option("export", "the bundle's folder")
    texts: Path = option(help="file with a text per line, or with labelled rows")
    rows: int | None = option(None, "texts at the file's beginning that are sent (all)", at_least=1)


def measure(options: AgreementOptions) -> dict[str, Any]:
    """How many texts were sent, and `compare`'s figures by way.

    Raises:
        InputError: the bundle or the texts cannot be used.
        EnvironmentFault: there is no environment of Paddle Serving.
        ServerError: a server does not start, or fails.
    """
    bundle = Bundle(options.bundle)
    texts = read_texts(options.texts)[: options.rows]
    predictor = Predictor(bundle)
    expected = [answer for piece in chunks(texts, 64) for answer in map(dict, predictor.predict(piece))]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        published = PublishOptions(
            bundle=options.bundle,
            runtime="onnxruntime",
            precision="float32",
            model_repository=folder / "model_repository",
            paddle_folder=folder / "paddle_serving",
        )
        publish(published)
        ways = {"triton": from_triton(texts, folder), **from_paddle(texts, folder)}
    return {"texts": len(texts), **{way: compare(answers, expected) for way, answers in ways.items()}}


def compare(answers: Answers, expected: Answers) -> dict[str, float]:
    """How far answers are from the expected ones; there are as many."""
    assert len(answers) == len(expected)
    pairs = list(zip(answers, expected))
    distances = [abs(one[label] - other[label]) for one, other in pairs for label in one.keys() & other.keys()]
    return {
        "other_label_sets": sum(one.keys() != other.keys() for one, other in pairs),
        "largest_difference": float(f"{max(distances, default=0.0):.1e}"),
    }


def from_triton(texts: Sequence[str], folder: Path) -> Answers:
    with TritonServer(folder / "model_repository", ports=Ports.free(), state_dir=folder) as server:
        server.wait_ready()
        with TritonClient(server.grpc_address) as client:
            return collected(client.classify_stream(texts))


def from_paddle(texts: Sequence[str], folder: Path) -> dict[str, Answers]:
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


def parse_args(argv: Sequence[str] | None) -> AgreementOptions:
    return parse(AgreementOptions, argv, __doc__)


def main(argv: Sequence[str] | None = None) -> None:
    options = parse_args(argv)
    found = measure(options)
    options.write({"environment": environment(), **found})
    print(json.dumps(found))


if __name__ == "__main__":
    run(main)
