"""Predict the label paths of a file of texts, one per line, with a checkpoint or a bundle.

python training/predict.py --dataset_dir data --params_path ./checkpoint/
python training/predict.py --dataset_dir data --format tsv --output_file predictions.tsv --resume

The file may be of any size: it is read, answered and written piece by piece. With --output_file a run may be
interrupted at any moment; the same command with --resume goes on where it was, without repeating or losing a row.

    from training.predict import PredictOptions, predict

    for text, labels in predict(PredictOptions(dataset_dir="data")):
        print(text, [label.label for label in labels])
"""

from __future__ import annotations

import contextlib
import itertools
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Callable, NamedTuple

from tqdm import tqdm

from pipeline.command import run
from pipeline.errors import ClassifierError, InputError
from pipeline.explanation.reasons import explained
from pipeline.files.chunks import CHARACTERS_PER_CHUNK, chunks, rows_per_chunk
from pipeline.files.dataset import DATA_FILE, LABEL_FILE
from pipeline.files.lines import check_holds_texts
from pipeline.labels.decoding import Answer, Decoder
from pipeline.labels.hierarchy import LabelHierarchy
from pipeline.options import option, parse
from pipeline.output import FORMATS
from training.checkpoint.classifier import Classifier, check_labels
from training.data.outputs import check_outputs
from training.data.predictions_file import InputLines, PredictionsFile, check_output
from training.model.model_names import contradict
from training.options import AnswerOptions, TrainedModelOptions

STANDARD_INPUT = "-"


@dataclass(frozen=True)
class PredictOptions(TrainedModelOptions, AnswerOptions):
    """Which texts are answered, and by which model."""

    data_file: str = option(DATA_FILE, "texts, one a line: a file in --dataset_dir, a path, or - for standard input")
    label_file: str = option(
        LABEL_FILE, "label paths in --dataset_dir, compared with the model's labels; may be absent"
    )
    explain: bool = option(False, "say which words carry each label; takes up to 25 times as long")
    model_name: str | None = option(None, "not needed, the checkpoint knows it; refused where it names another encoder")


@dataclass(frozen=True)
class WriteOptions(PredictOptions):
    """Where and how the answers are written; which texts are answered, and by which model."""

    format: str = option("text", "form of the output", choices=tuple(FORMATS))
    output_file: Path | None = option(
        None, "where predictions go (standard output); what a finished run left there is replaced"
    )
    resume: bool = option(False, "go on with the interrupted run that wrote --output_file, if there is one")

    def check(self) -> None:
        super().check()
        if self.resume and not self.output_file:
            raise InputError("--resume goes on with a file; give its --output_file")


class Answered(NamedTuple):
    """A text and its label paths, most confident first."""

    text: str
    labels: Answer


def predict(options: PredictOptions) -> Iterator[Answered]:
    """Answer each text, in the file's order; texts are read and answered as the answers are asked for.

    Raises:
        InputError: the texts, the label file or the model cannot be used; an unusable text, when its turn comes.
        EnvironmentFault: the machine lacks the device.
        ClassifierError: the model's scores are not finite.
    """
    opened = _open_data(options)  # what is missing shows before a model is loaded
    classifier = _classifier(options)

    def answers() -> Iterator[Answered]:
        with opened as stream:
            lines = InputLines(stream, str(stream.name))
            for answered in _answered(classifier, options, lines, lines.texts()):
                yield from answered

    return answers()


def write_predictions(options: WriteOptions) -> int:
    """Answer each text, and write the answers to `output_file`, or to standard output.

    Returns:
        The number of texts that this call has answered.

    Raises:
        InputError: as `predict` does, and where `output_file` cannot be written or must not be.
        EnvironmentFault, ClassifierError: as `predict` does.
    """
    output = options.output_file
    with _open_data(options) as stream:
        if output and not _anything_to_do(output, stream, options):
            print(f"{output} is complete; leave out --resume to predict anew", file=sys.stderr)
            return 0
        return _write(_classifier(options), stream, options)


def parse_args(argv: Sequence[str] | None) -> WriteOptions:
    return parse(WriteOptions, argv, __doc__)


def main(argv: Sequence[str] | None = None) -> None:
    write_predictions(parse_args(argv))


def _open_data(options: PredictOptions) -> contextlib.AbstractContextManager[IO[bytes]]:
    if options.data_file == STANDARD_INPUT:
        return contextlib.nullcontext(sys.stdin.buffer)
    path = options.file(options.data_file)
    check_holds_texts(path)
    try:
        return open(path, "rb")
    except OSError as error:
        hint = "; that is the default of --data_file, give it a file of texts, one a line, or - for standard input"
        hint = "" if options.given("data_file") else hint
        raise InputError(f"cannot read {path}: {error.strerror}{hint}") from error


def _anything_to_do(output: Path, stream: IO[bytes], options: WriteOptions) -> bool:
    if output.exists() and os.path.samestat(os.stat(output), os.fstat(stream.fileno())):
        raise InputError(f"--output_file {output} is the file that the texts are read from; give another one")
    to_do = check_output(output, options.resume)
    folder = options.dataset_dir or Path(str(stream.name)).parent
    check_outputs({"--output_file": output}, [folder / options.label_file], folder)
    return to_do


def _classifier(options: PredictOptions) -> Classifier:
    """The model, held against what the options say of it.

    Raises:
        InputError: --label_file lists other labels, or --model_name names another known encoder. A folder's name is
            not judged: the same encoder may lie anywhere.
    """
    asked = bool(options.given("label_file"))  # one that was asked for may not be absent

    def check(hierarchy: LabelHierarchy, model_name: str) -> None:
        if options.dataset_dir is not None or asked:
            path = options.folder / options.label_file
            if asked or path.exists():
                check_labels(path, hierarchy)
        if contradict(options.model_name, model_name):
            raise InputError(
                f"--model_name is {options.model_name}, and {options.params_path} was trained with {model_name}; "
                "leave --model_name out, or give another --params_path"
            )

    return options.classifier(check)


def _answered(
    classifier: Classifier, options: PredictOptions, lines: InputLines, texts: Iterator[str]
) -> Iterator[list[Answered]]:
    """The answers to `texts`, which are what is left of `lines`, piece by piece."""
    decoder = options.decoder(classifier.decoder)
    if options.explain:
        classifier.checked_encoder(())
    for chunk in chunks(texts, rows_per_chunk(len(classifier.hierarchy)), CHARACTERS_PER_CHUNK):
        try:
            answers = _explained(classifier, decoder, chunk) if options.explain else _read(classifier, decoder, chunk)
        except ClassifierError as error:
            place = f"{lines.name}, lines {lines.rows - len(chunk) + 1} to {lines.rows}"
            raise ClassifierError(f"{place}: {error}") from error
        yield list(map(Answered, chunk, answers))


def _read(classifier: Classifier, decoder: Decoder, texts: Sequence[str]) -> list[Answer]:
    logits, truncated = classifier.read(texts)
    return decoder.answers(logits, truncated)


def _explained(classifier: Classifier, decoder: Decoder, texts: Sequence[str]) -> list[Answer]:
    return list(explained(texts, classifier.checked_encoder(texts), decoder, classifier.read, classifier.neighbours()))


def _write(classifier: Classifier, stream: IO[bytes], options: WriteOptions) -> int:
    output, show, started = options.output_file, FORMATS[options.format], time.monotonic()
    lines = InputLines(stream, str(stream.name))
    texts = lines.texts()
    write: Callable[[bytes, InputLines], None] = _write_standard_output
    done = cut = 0
    with contextlib.ExitStack() as stack:
        if output:
            file = stack.enter_context(PredictionsFile(output, _description(classifier, options)))
            done = sum(1 for _ in itertools.islice(texts, file.progress.rows))
            file.check_input(lines)
            write = file.append
        bar = stack.enter_context(_progress_bar(stream, lines.bytes, hidden=output is None and sys.stdout.isatty()))
        for answered in _answered(classifier, options, lines, texts):
            write("".join(f"{show(*answer)}\n" for answer in answered).encode(), lines)
            cut += sum(bool(labels.truncated) for _, labels in answered)
            bar.set_postfix_str(f"{lines.rows} rows", refresh=False)
            bar.update(lines.bytes - bar.n)
    rows, seconds = lines.rows - done, time.monotonic() - started
    longer = ""
    if cut and classifier.encoder:
        longer = f"; longer than {classifier.encoder.most_tokens} tokens and cut: {cut:,}"
    print(f"{rows} texts in {seconds:.1f} s, {rows / max(seconds, 1e-9):.0f} a second{longer}", file=sys.stderr)
    return rows


def _write_standard_output(block: bytes, lines: InputLines) -> None:
    sys.stdout.buffer.write(block)
    sys.stdout.buffer.flush()


def _description(classifier: Classifier, options: WriteOptions) -> dict[str, Any]:
    """All that the answers depend on, except for the texts."""
    given = {"format": options.format, "max_seq_length": options.max_seq_length, **options.decoding()}
    given |= {"explain": True} if options.explain else {}  # a run of an earlier release goes on without it
    return {"model": classifier.identity, **{f"--{name}": value for name, value in given.items()}}


def _progress_bar(stream: IO[bytes], done: int, hidden: bool) -> tqdm:
    """Counts bytes, which takes no pass over the file to count its rows; only on a terminal."""
    size = os.fstat(stream.fileno()).st_size
    hidden = hidden or not sys.stderr.isatty()
    return tqdm(total=size or None, initial=done, unit="B", unit_scale=True, disable=hidden)


if __name__ == "__main__":
    run(main)
