"""Predict offline with an exported graph: no paddle, no server.

    python pipeline/infer.py --model_path_prefix ./export/float32 --dataset_dir data
    python pipeline/infer.py --model_path_prefix ./export/float32 --dataset_dir data --use_quantize
    python pipeline/infer.py --model_path_prefix ./export/float32 --data_file data/dev.txt --perf

The file holds a text per line, or labelled rows: a text, a tab and label paths that the model knows. It may be of any
size. --perf prints times instead of predictions and, of labelled rows, the F1. In a program:

    from pipeline.infer import Predictor
    Predictor("export", precision="int8").predict(["昨日某地一辆货车与客车相撞，造成两人死亡"])
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.command import run
from pipeline.compute.runtimes import AUTO, DEVICES, PADDLE, PRECISIONS, RUNTIMES, resolve
from pipeline.errors import InputError
from pipeline.files.bundle import MANIFEST_FILE, Bundle
from pipeline.files.chunks import CHARACTERS_PER_CHUNK, chunks, rows_per_chunk
from pipeline.files.dataset import DATA_FILE, LABEL_DELIMITER, Example, bounded_lines, read_examples, read_texts
from pipeline.labels.hierarchy import LabelHierarchy
from pipeline.metrics.sets import Metrics
from pipeline.output import as_levels
from pipeline.predictor import Predictor

__all__ = ["Predictor", "find_bundle", "main"]

DEFAULT_RUNTIME, DEFAULT_PRECISION = "onnxruntime", "float32"
GRAPH_SUFFIXES = (".onnx", ".pdmodel")


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--model_path_prefix", required=True, help="an exported graph such as ./export/float32, or its folder")
    add("--dataset_dir", help="folder of --data_file")
    add("--data_file", help=f"texts or labelled rows ({DATA_FILE} of --dataset_dir)")
    add("--max_seq_length", type=int, help="tokens to read of each text (as many as the model reads)")
    add("--batch_size", type=int, default=32, help="texts of that length that are computed at once (%(default)s)")
    add("--runtime", choices=(*RUNTIMES, PADDLE, AUTO), default=DEFAULT_RUNTIME, help="auto: as released (%(default)s)")
    precision = parser.add_mutually_exclusive_group()
    precision.add_argument("--precision", choices=(*PRECISIONS, AUTO), help=f"auto: as released ({DEFAULT_PRECISION})")
    for option, value in (("--use_fp16", "float16"), ("--use_quantize", "int8")):
        precision.add_argument(option, action="store_const", dest="precision", const=value, help=f"--precision {value}")
    add("--num_threads", type=int, help="of the processor (one per core)")
    add("--device", choices=DEVICES, default="cpu", help="%(default)s")
    add("--device_id", type=int, default=0, help="which GPU (%(default)s)")
    add("--perf", action="store_true", help="print times, and F1 of labelled rows, instead of predictions")
    args = parser.parse_args(argv)
    # Not a default of argparse, which would let --precision float32 stand beside --use_quantize.
    args.precision = args.precision or DEFAULT_PRECISION
    return args


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    path = _data_path(args)
    bundle = find_bundle(args.model_path_prefix)
    examples = _read_rows(path, bundle.hierarchy)
    first = next(examples, None)
    if first is None:
        raise InputError(f"{path} is empty; give a file with a text on each line")
    predictor = _create_predictor(bundle, args)
    pieces = chunks(
        itertools.chain([first], examples),
        rows_per_chunk(len(bundle.hierarchy)),
        CHARACTERS_PER_CHUNK,
        size=lambda example: len(example.text),
    )
    (_measure if args.perf else _show)(predictor, pieces)


def find_bundle(prefix: Path | str) -> Bundle:
    """The bundle at `prefix`, or the one that the graph with the path prefix `prefix` lies in.

    Raises:
        BundleError: as `Bundle` does.
        InputError: there is neither.
    """
    path = Path(prefix)
    folder = path if path.is_dir() else path.parent
    if not (folder / MANIFEST_FILE).exists():
        raise InputError(
            f"--model_path_prefix {prefix} leads to no exported model: {folder} holds no {MANIFEST_FILE}; make one "
            "with training/export_model.py --output_path export, and give export/float32"
        )
    bundle = Bundle(folder)
    graphs = [name for name in bundle.files if Path(name).suffix in GRAPH_SUFFIXES]
    if folder != path and not any(path.name in (name, Path(name).stem) for name in graphs):
        raise InputError(
            f"--model_path_prefix {prefix}: {folder} holds no graph {path.name}; give {folder}, or the prefix of a "
            f"graph in it ({', '.join(graphs)})"
        )
    return bundle


def _data_path(args: argparse.Namespace) -> Path:
    if args.data_file is None and args.dataset_dir is None:
        raise InputError(f"there is nothing to predict; give --data_file, or --dataset_dir with a {DATA_FILE}")
    return Path(args.dataset_dir or ".") / (args.data_file or DATA_FILE)


def _create_predictor(bundle: Bundle, args: argparse.Namespace) -> Predictor:
    limit = bundle.manifest.max_seq_length
    length = limit if args.max_seq_length is None else args.max_seq_length
    if length > limit:
        _note(f"--max_seq_length {length} is cut to the {limit} tokens that the model reads")
        length = limit
    if args.batch_size < 1:
        raise InputError(f"--batch_size is {args.batch_size}; give at least 1")
    runtime, precision = resolve(bundle, args.runtime, args.precision, args.device)
    if (precision, args.device) == ("float16", "cpu"):
        _note("float16 is meant for GPUs, and slower than float32 on a CPU; --use_quantize is faster there")
    budget = length * args.batch_size
    return Predictor(bundle, runtime, precision, args.num_threads, budget, args.device, args.device_id, length)


@dataclass(frozen=True)
class _Lines:
    """Lines that are read once, and what messages call them."""

    name: str
    lines: Iterable[bytes]

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.lines)


def _read_rows(path: Path, hierarchy: LabelHierarchy) -> Iterator[Example]:
    """The rows of a file of texts, without labels, or of a labelled one; its first line tells which it is.

    Raises:
        InputError: as `read_texts` and `read_examples` do.
    """
    try:
        with open(path, "rb") as stream:  # once: a pipe gives its lines to the first reader
            lines = bounded_lines(stream)
            first = next(lines, b"")
            source = _Lines(str(path), itertools.chain([first] if first else [], lines))
            _, tab, labels = first.decode("utf-8", "replace").rstrip("\r\n").partition("\t")
            if tab and all(label.strip() in hierarchy.index for label in labels.split(LABEL_DELIMITER)):
                yield from read_examples(source, hierarchy)
                return
            if tab:
                _note(f"{path}:1: what follows the tab are no labels of the model, so the file is read as texts alone")
            yield from (Example(text, ()) for text in read_texts(source))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error


def _show(predictor: Predictor, pieces: Iterable[list[Example]]) -> None:
    """Print each text with its label paths, level by level."""
    for piece in pieces:
        texts = [example.text for example in piece]
        for text, predictions in zip(texts, predictor.predict(texts)):
            print(as_levels(text, predictions))


def _measure(predictor: Predictor, pieces: Iterable[list[Example]]) -> None:
    """Print the time from texts to label paths, reading and loading left out, and the F1 of labelled rows."""
    hierarchy = predictor.bundle.hierarchy
    metrics = Metrics(hierarchy)
    samples, seconds, labelled = 0, 0.0, False
    for piece in pieces:
        texts = [example.text for example in piece]
        if not samples:
            predictor.predict(texts)  # the first run allocates memory and starts threads
        started = time.perf_counter()
        decoded = predictor.decode(texts)
        decoded.predictions()
        seconds += time.perf_counter() - started
        samples += len(texts)
        labelled = bool(piece[0].labels)
        metrics.update(hierarchy.matrix([example.labels for example in piece]), decoded.selected)
    print(f"samples: {samples}")
    print(f"total time: {seconds:.3f} s")
    print(f"latency: {1000 * seconds / samples:.3f} ms per sample")
    print(f"throughput: {samples / seconds:.1f} samples per second")
    if labelled:
        scores = metrics.result()
        print(f"micro F1: {scores['micro_f1']:.4f}")
        print(f"macro F1: {scores['macro_f1']:.4f}")
    else:
        _note("the rows have no labels, so there is no F1")


def _note(message: str) -> None:
    print(f"note: {message}", file=sys.stderr)


if __name__ == "__main__":
    run(main)
