"""Predict the label paths of a file of texts, one per line, with a checkpoint or a bundle.

python training/predict.py --device cpu --dataset_dir data --params_path ./checkpoint/
python training/predict.py --device cpu --dataset_dir data --format tsv --output_file predictions.tsv --resume

The file may be of any size: it is read, answered and written piece by piece. With --output_file a run may be
interrupted at any moment; the same command with --resume goes on where it was, without repeating or losing a row.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import itertools
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, Callable

from tqdm import tqdm

from pipeline.chunks import chunks
from pipeline.command import run
from pipeline.dataset import DATA_FILE, LABEL_FILE
from pipeline.decoding import POLICIES, Decoder, DecodingPolicy, check_thresholds
from pipeline.errors import ClassifierError, InputError
from pipeline.output import FORMATS
from training.classifier import Classifier, check_labels, load_classifier
from training.model_names import PRETRAINED, SCRATCH
from training.options import DEVICES
from training.predictions_file import InputLines, PredictionsFile, check_output

ROWS_PER_CHUNK = 1024
CHARACTERS_PER_CHUNK = 1 << 20
STANDARD_INPUT = "-"

DECODING_OPTIONS = ("threshold", "top_k", "policy", "at_least_one")


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--device", choices=DEVICES, default="gpu", help="what to compute on; a bundle needs cpu (%(default)s)")
    add("--dataset_dir", required=True, help="folder with data.txt and label.txt")
    add("--params_path", default="./checkpoint/", help="a checkpoint, its parameter file, or a bundle (%(default)s)")
    add("--max_seq_length", type=int, default=128, help="tokens per text, as in training (%(default)s)")
    add("--batch_size", type=int, default=32, help="texts of full length that are computed at once (%(default)s)")
    add("--data_file", default=DATA_FILE, help="texts in --dataset_dir, or - for standard input (%(default)s)")
    add("--label_file", default=LABEL_FILE, help="held against the model's labels; may be absent (%(default)s)")
    add("--model_name", help="not needed, the checkpoint knows it; refused where it names another encoder")
    add("--format", choices=tuple(FORMATS), default="text", help="of the output (%(default)s)")
    add("--output_file", help="where predictions go (standard output); what a finished run left there is replaced")
    add(
        "--resume", action="store_true", help="go on with the interrupted run that wrote --output_file, if there is one"
    )
    add("--threshold", type=float, help="score from which a label counts, for all labels (the model's own)")
    add("--top_k", type=int, help="at most this many labels per text (the model's own)")
    add("--policy", choices=POLICIES, help="how label sets are made consistent (the model's own)")
    add(
        "--at_least_one",
        action=argparse.BooleanOptionalAction,
        help="answer every text with at least one label (the model's own)",
    )
    args = parser.parse_args(argv)
    if args.resume and not args.output_file:
        parser.error("--resume goes on with a file; give its --output_file")
    return args


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    _check_decoding(args)
    output = Path(args.output_file) if args.output_file else None
    with _open_data(args) as stream:
        if output and not _anything_to_do(output, stream, args.resume):
            print(f"{output} is complete; leave out --resume to predict anew", file=sys.stderr)
            return
        classifier = load_classifier(args.params_path, args.device, args.max_seq_length, args.batch_size)
        _check_model(classifier, args)
        started = time.monotonic()
        rows = _predict(classifier, stream, output, args)
    seconds = time.monotonic() - started
    print(f"{rows} texts in {seconds:.1f} s, {rows / max(seconds, 1e-9):.0f} a second", file=sys.stderr)


def _check_decoding(args: argparse.Namespace) -> None:
    """Raise InputError for options that no model can be decoded with."""
    DecodingPolicy(top_k=args.top_k)
    if args.threshold is not None:
        check_thresholds(args.threshold, 1)


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
    known = {*PRETRAINED, *SCRATCH}
    if args.model_name != classifier.model_name and {args.model_name, classifier.model_name} <= known:
        raise InputError(
            f"--model_name is {args.model_name}, and {args.params_path} was trained with {classifier.model_name}; "
            "leave --model_name out, or give another --params_path"
        )


def _decoder(classifier: Classifier, args: argparse.Namespace) -> Decoder:
    """The model's own decoder, but for what the command line says."""
    own = classifier.decoder
    chosen = {name: getattr(args, name) for name in ("policy", "top_k", "at_least_one")}
    policy = dataclasses.replace(own.policy, **{name: value for name, value in chosen.items() if value is not None})
    return Decoder(classifier.hierarchy, own.thresholds if args.threshold is None else args.threshold, policy)


def _predict(classifier: Classifier, stream: IO[bytes], output: Path | None, args: argparse.Namespace) -> int:
    """Answer what `stream` holds; returns the number of texts that this run has answered."""
    decoder, show = _decoder(classifier, args), FORMATS[args.format]
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
        for chunk in chunks(texts, ROWS_PER_CHUNK, CHARACTERS_PER_CHUNK):
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
