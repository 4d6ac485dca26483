"""Predict the label paths of a file of texts, one per line, with a checkpoint or a bundle.

python training/predict.py --device cpu --dataset_dir data --params_path ./checkpoint/
python training/predict.py --device cpu --dataset_dir data --format tsv --output_file predictions.tsv --resume

The file may be of any size: it is read, answered and written piece by piece. With --output_file a run may be
interrupted at any moment; the same command with --resume goes on where it was, without repeating or losing a row.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, Callable

from tqdm import tqdm

from pipeline.command import run
from pipeline.errors import ClassifierError, InputError
from pipeline.files.chunks import CHARACTERS_PER_CHUNK, chunks, rows_per_chunk
from pipeline.files.dataset import DATA_FILE, LABEL_FILE
from pipeline.output import FORMATS
from training.checkpoint.classifier import Classifier, check_labels
from training.data.predictions_file import InputLines, PredictionsFile, check_output
from training.model.model_names import contradict
from training.options import (
    DECODING_OPTIONS,
    add_decoding_options,
    add_model_options,
    check_decoding_options,
    chosen_classifier,
    chosen_decoder,
)

STANDARD_INPUT = "-"


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add_model_options(parser)
    add("--dataset_dir", required=True, help="folder with data.txt and label.txt")
    add("--data_file", default=DATA_FILE, help="texts in --dataset_dir, or - for standard input (%(default)s)")
    add("--label_file", default=LABEL_FILE, help="held against the model's labels; may be absent (%(default)s)")
    add("--model_name", help="not needed, the checkpoint knows it; refused where it names another encoder")
    add("--format", choices=tuple(FORMATS), default="text", help="of the output (%(default)s)")
    add("--output_file", help="where predictions go (standard output); what a finished run left there is replaced")
    add(
        "--resume", action="store_true", help="go on with the interrupted run that wrote --output_file, if there is one"
    )
    add_decoding_options(parser)
    args = parser.parse_args(argv)
    if args.resume and not args.output_file:
        parser.error("--resume goes on with a file; give its --output_file")
    return args


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    check_decoding_options(args)
    output = Path(args.output_file) if args.output_file else None
    with _open_data(args) as stream:
        if output and not _anything_to_do(output, stream, args.resume):
            print(f"{output} is complete; leave out --resume to predict anew", file=sys.stderr)
            return
        classifier = chosen_classifier(args)
        _check_model(classifier, args)
        started = time.monotonic()
        rows = _predict(classifier, stream, output, args)
    seconds = time.monotonic() - started
    print(f"{rows} texts in {seconds:.1f} s, {rows / max(seconds, 1e-9):.0f} a second", file=sys.stderr)


def _open_data(args: argparse.Namespace) -> contextlib.AbstractContextManager[IO[bytes]]:
    if args.data_file == STANDARD_INPUT:
        return contextlib.nullcontext(sys.stdin.buffer)
    path = Path(args.dataset_dir) / args.data_file
    try:
        return open(path, "rb")
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error


def _anything_to_do(output: Path, stream: IO[bytes], resume: bool) -> bool:
    if output.exists() and os.path.samestat(os.stat(output), os.fstat(stream.fileno())):
        raise InputError(f"--output_file {output} is the file that the texts are read from; give another one")
    return check_output(output, resume)


def _check_model(classifier: Classifier, args: argparse.Namespace) -> None:
    """Hold what the command line says of the model against the model.

    Raises:
        InputError: --label_file lists other labels, or --model_name names another known encoder. A folder's name is
            not judged: the same encoder may lie anywhere.
    """
    path = Path(args.dataset_dir) / args.label_file
    if path.exists() or args.label_file != LABEL_FILE:  # one that was asked for may not be absent
        check_labels(path, classifier.hierarchy)
    if contradict(args.model_name, classifier.model_name):
        raise InputError(
            f"--model_name is {args.model_name}, and {args.params_path} was trained with {classifier.model_name}; "
            "leave --model_name out, or give another --params_path"
        )


def _predict(classifier: Classifier, stream: IO[bytes], output: Path | None, args: argparse.Namespace) -> int:
    """Answer what `stream` holds; returns the number of texts that this run has answered."""
    decoder, show = chosen_decoder(classifier.decoder, args), FORMATS[args.format]
    lines = InputLines(stream, str(stream.name))
    texts = lines.texts()
    write: Callable[[bytes, InputLines], None] = _write_standard_output
    done = 0
    with contextlib.ExitStack() as stack:
        if output:
            file = stack.enter_context(PredictionsFile(output, _description(classifier, args)))
            done = sum(1 for _ in itertools.islice(texts, file.progress.rows))
            file.check_input(lines)
            write = file.append
        bar = stack.enter_context(_progress_bar(stream, lines.bytes, hidden=output is None and sys.stdout.isatty()))
        for chunk in chunks(texts, rows_per_chunk(len(classifier.hierarchy)), CHARACTERS_PER_CHUNK):
            try:
                predictions = decoder.decode(classifier.logits(chunk)).predictions()
            except ClassifierError as error:
                place = f"{lines.name}, lines {lines.rows - len(chunk) + 1} to {lines.rows}"
                raise ClassifierError(f"{place}: {error}") from error
            write("".join(f"{show(*answer)}\n" for answer in zip(chunk, predictions)).encode(), lines)
            bar.set_postfix_str(f"{lines.rows} rows", refresh=False)
            bar.update(lines.bytes - bar.n)
    return lines.rows - done


def _write_standard_output(block: bytes, lines: InputLines) -> None:
    sys.stdout.buffer.write(block)
    sys.stdout.buffer.flush()


def _description(classifier: Classifier, args: argparse.Namespace) -> dict[str, Any]:
    """All that the answers depend on, except for the texts."""
    options = ("format", "max_seq_length", *DECODING_OPTIONS)
    return {"model": classifier.identity, **{f"--{name}": getattr(args, name) for name in options}}


def _progress_bar(stream: IO[bytes], done: int, hidden: bool) -> tqdm:
    """Counts bytes, which takes no pass over the file to count its rows; only on a terminal."""
    size = os.fstat(stream.fileno()).st_size
    hidden = hidden or not sys.stderr.isatty()
    return tqdm(total=size or None, initial=done, unit="B", unit_scale=True, disable=hidden)


if __name__ == "__main__":
    run(main)
