"""Predict offline with an exported graph: no paddle, no server.

    python pipeline/infer.py --model_path_prefix ./export/float32 --dataset_dir data
    python pipeline/infer.py --model_path_prefix ./export/float32 --dataset_dir data --use_quantize
    python pipeline/infer.py --model_path_prefix ./export/float32 --data_file data/dev.txt --perf

The file holds a text per line, or labelled rows: a text, a tab and label paths that the model knows. It may be of any
size. --perf prints times instead of predictions and, of labelled rows, the F1. In a program:

    from pipeline.predictor import Predictor
    Predictor("export", precision="int8").predict(["昨日某地一辆货车与客车相撞，造成两人死亡"])
"""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from pipeline.command import run
from pipeline.compute.runtimes import COMPUTED_ON, PADDLE, PRECISIONS, RUNTIMES, resolve
from pipeline.errors import InputError
from pipeline.files.bundle import MANIFEST_FILE, Bundle
from pipeline.files.chunks import CHARACTERS_PER_CHUNK, chunks, rows_per_chunk
from pipeline.files.dataset import DATA_FILE, Example, file_in, is_path, read_examples, read_texts, split_labels
from pipeline.files.lines import bounded_lines, check_holds_texts
from pipeline.labels.decoding import Answer
from pipeline.labels.hierarchy import LabelHierarchy
from pipeline.metrics.sets import Metrics
from pipeline.option_values import AUTO
from pipeline.options import Options, option, parse
from pipeline.output import as_levels, cut_in_words
from pipeline.predictor import Predictor

DEFAULT_PRECISION = "float32"
GRAPH_SUFFIXES = (".onnx", ".pdmodel")


@dataclass(frozen=True)
class InferOptions(Options):
    """What is predicted, and what computes it."""

    model_path_prefix: Path = option(help="an exported graph such as ./export/float32, or the bundle's folder")
    dataset_dir: Path | None = option(None, "folder of --data_file, where that is no path")
    data_file: str | None = option(
        None, f"file of texts, or of labelled rows, in --dataset_dir ({DATA_FILE}), or a path with a slash in it"
    )
    max_seq_length: int | None = option(
        None, "tokens that the model takes at once (as many as in training)", at_least=3
    )
    batch_size: int = option(32, "texts of --max_seq_length tokens in a batch; it holds more shorter ones", at_least=1)
    runtime: str = option(
        "onnxruntime", "library that computes; auto: what the release gate chose", choices=(*RUNTIMES, PADDLE, AUTO)
    )
    precision: str | None = option(
        None,
        f"number format that it computes in; auto: what the release gate chose ({DEFAULT_PRECISION})",
        choices=(*PRECISIONS, AUTO),
    )
    use_fp16: bool = option(False, "short for --precision float16")
    use_quantize: bool = option(False, "short for --precision int8")
    num_threads: int | None = option(None, "processor threads to compute with (one per core)", at_least=1)
    device: str = option("cpu", "what to compute on; tensorrt: a GPU through TensorRT", choices=COMPUTED_ON)
    device_id: int = option(0, "which of several GPUs", at_least=0)
    explain: bool = option(False, "say which words carry each label; takes up to 25 times as long")
    promise: float | None = option(
        None, "answer only labels of this promised precision, one that the bundle holds", above=0, below=1
    )
    perf: bool = option(False, "print times, and the F1 of labelled rows, instead of predictions")

    def __post_init__(self) -> None:
        if isinstance(self.data_file, Path):
            object.__setattr__(self, "data_file", str(self.data_file))
        super().__post_init__()

    def check(self) -> None:
        super().check()
        if (self.precision is not None) + self.use_fp16 + self.use_quantize > 1:
            raise InputError("--precision, --use_fp16 and --use_quantize exclude each other; give one of them")
        if self.explain and self.perf:
            raise InputError("--perf measures answers without reasons; leave --explain out")
        if self.promise is not None and self.perf:
            raise InputError("--perf measures the model's own decoding; leave out --promise")
        if self.data_file is None and self.dataset_dir is None:
            raise InputError(f"there is nothing to predict; give --data_file, or --dataset_dir with a {DATA_FILE}")

    @property
    def path(self) -> Path:
        """The file of texts; raises InputError as `file_in` does."""
        name = self.data_file or DATA_FILE
        return Path(name) if is_path(name) else file_in(self.dataset_dir or Path(), name)

    @property
    def chosen_precision(self) -> str:
        """What `precision` and its short forms ask for."""
        short = "float16" if self.use_fp16 else "int8" if self.use_quantize else None
        return self.precision or short or DEFAULT_PRECISION


@dataclass(frozen=True)
class Measured:
    """How fast a file was predicted, and how well.

    Attributes:
        samples: texts.
        seconds: from texts to label paths, reading and loading left out.
        scores: as `pipeline.metrics.sets.Metrics.result` gives them; None of texts without labels.
    """

    samples: int
    seconds: float
    scores: Mapping[str, Any] | None

    def __str__(self) -> str:
        lines = [
            f"samples: {self.samples}",
            f"total time: {self.seconds:.3f} s",
            f"latency: {1000 * self.seconds / self.samples:.3f} ms per sample",
            f"throughput: {self.samples / self.seconds:.1f} samples per second",
        ]
        if self.scores:
            lines += [f"{name} F1: {self.scores[f'{name}_f1']:.4f}" for name in ("micro", "macro")]
        return "\n".join(lines)


def predict(options: InferOptions) -> Iterator[tuple[str, Answer]]:
    """Yield each text of the file with its label paths, most confident first.

    Raises:
        InputError: the file, a line of it, or an option cannot be used; what came before the line has been yielded.
        EnvironmentFault: this machine lacks the runtime, the precision or the device.
    """
    predictor, pieces = _open(options)
    answer = partial(predictor.explain if options.explain else predictor.predict, promise=options.promise)
    for piece in pieces:
        texts = [example.text for example in piece]
        yield from zip(texts, answer(texts))


def measure(options: InferOptions) -> Measured:
    """Predict a file for the time that it takes; raises as `predict` does."""
    predictor, pieces = _open(options)
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
        labelled = labelled or any(example.labels for example in piece)
        metrics.update(hierarchy.matrix([example.labels for example in piece]), decoded.selected)
    return Measured(samples, seconds, metrics.result() if labelled else None)


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


def _open(options: InferOptions) -> tuple[Predictor, Iterator[list[Example]]]:
    """The predictor, and the rows in pieces that fit into memory."""
    bundle = find_bundle(options.model_path_prefix)
    examples = _read_rows(options.path, bundle.hierarchy)
    first = next(examples, None)
    if first is None:
        raise InputError(f"{options.path} is empty; give a file with a text on each line")
    pieces = chunks(
        itertools.chain([first], examples),
        rows_per_chunk(len(bundle.hierarchy)),
        CHARACTERS_PER_CHUNK,
        size=lambda example: len(example.text),
    )
    return _create_predictor(bundle, options), pieces


def _create_predictor(bundle: Bundle, options: InferOptions) -> Predictor:
    limit = bundle.manifest.max_seq_length
    length = limit if options.max_seq_length is None else options.max_seq_length
    if length > limit:
        _note(f"--max_seq_length {length} is cut to the {limit} tokens that the model reads")
        length = limit
    runtime, precision = resolve(bundle, options.runtime, options.chosen_precision, options.device)
    if (precision, options.device) == ("float16", "cpu"):
        _note("float16 is meant for GPUs, and slower than float32 on a CPU; --use_quantize is faster there")
    return Predictor(
        bundle,
        runtime,
        precision,
        options.num_threads,
        token_budget=length * options.batch_size,
        device=options.device,
        device_id=options.device_id,
        max_seq_length=length,
    )


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
        InputError: as `read_texts` and `read_examples` do; a table by its name is refused but for labelled rows.
    """
    try:
        with open(path, "rb") as stream:  # once: a pipe gives its lines to the first reader
            lines = bounded_lines(stream)
            first = next(lines, b"")
            source = _Lines(str(path), itertools.chain([first] if first else [], lines))
            _, tab, labels = first.decode("utf-8", "replace").rstrip("\r\n").partition("\t")
            paths = split_labels(labels)
            if paths and all(label in hierarchy for label in paths):
                yield from read_examples(source, hierarchy)
                return
            check_holds_texts(path)
            if tab:
                _note(f"{path}:1: what follows the tab are no labels of the model, so the file is read as texts alone")
            yield from (Example(text, ()) for text in read_texts(source, tabs=True))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error


def _note(message: str) -> None:
    print(f"note: {message}", file=sys.stderr)


def parse_args(argv: Sequence[str] | None) -> InferOptions:
    return parse(InferOptions, argv, __doc__)


def main(argv: Sequence[str] | None = None) -> None:
    options = parse_args(argv)
    if not options.perf:
        texts = cut = 0
        for text, answer in predict(options):
            print(as_levels(text, answer))
            texts, cut = texts + 1, cut + bool(answer.truncated)
        if cut:
            length = options.max_seq_length
            long_texts = find_bundle(options.model_path_prefix).manifest.long_texts
            _note(cut_in_words(cut, texts, long_texts.most_tokens(length) if length else None))
        return
    measured = measure(options)
    print(measured)
    if measured.scores is None:
        _note("the rows have no labels, so there is no F1")


if __name__ == "__main__":
    run(main)
