"""Export a checkpoint: static graph, ONNX graph, and the bundle that every server loads.

python training/export_model.py --params_path ./checkpoint/ --output_path ./export
python training/export_model.py --model_repository model_repository       publishes the bundle in the same go
python training/export_model.py --promise 0.9 0.95 --promise_rows rows.txt       promises how often labels are right
python training/export_model.py --with_examples       explanations then show the training rows that a text is like
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.command import run
from pipeline.errors import InputError
from pipeline.explanation.pieces import BEGINNING_CHARACTERS
from pipeline.files.bundle import MANIFEST_FILE, Bundle
from pipeline.files.checksums import check_replaceable
from pipeline.options import option, parse
from pipeline.output import counted
from pipeline.run_folder import RunFolderOptions, interrupted
from training.checkpoint.files import RECORD_FILE, read_checkpoint
from training.checkpoint.kept_rows import kept_rows
from training.options import DecodingOptions, GoldenOptions, PublishingOptions


@dataclass(frozen=True)
class ExportOptions(GoldenOptions, DecodingOptions, PublishingOptions, RunFolderOptions):
    """What to export, and where to."""

    params_path: Path = option("./checkpoint/", "the checkpoint's folder, or its parameter file", in_run="checkpoint")
    output_path: Path = option("./export", "where the export is written", in_run="export")
    num_classes: int | None = option(None, "number of labels, to check the checkpoint against", at_least=1)
    promise: tuple[float, ...] = option(
        (), "precisions that the bundle promises: a request may ask for the labels of one alone", above=0, below=1
    )
    promise_rows: Path | None = option(
        None, "labelled rows that promises are found on, best such as nothing has seen (the development file)"
    )
    with_examples: bool = option(
        False, "keep rows of the training set in the bundle, so that explanations show those that a text is like"
    )
    license: str = option("", "licence of the weights, such as apache-2.0, for the model card")
    model_name: str | None = option(None, "accepted for older command lines; the checkpoint knows its model")

    def check(self) -> None:
        super().check()
        if self.promise_rows and not self.promise:
            raise InputError("--promise_rows are rows to find promises on; give --promise, too, with the precisions")
        if self.with_examples and self.no_texts:
            raise InputError("--with_examples keeps texts of the training set, and --no_texts is for none; choose one")
        if not self.license.isprintable():
            raise InputError(f"--license is {self.license!r}; give the licence's name, in one line")


def export(options: ExportOptions) -> Bundle:
    """Export a checkpoint as a bundle, atomically, and publish it where that is asked for.

    Raises:
        InputError: the checkpoint cannot be used, or `output_path` holds what is not part of a bundle.
        ClassifierError: an exported graph's logits differ from the checkpoint's, or the bundle cannot be published.
    """
    checkpoint = read_checkpoint(options.params_path)
    if options.num_classes not in (None, len(checkpoint.hierarchy)):
        raise InputError(
            f"--num_classes is {options.num_classes}; {options.params_path} has {len(checkpoint.hierarchy)} labels"
        )
    decoder = options.decoder(checkpoint.decoder())
    goldens = options.golden_texts
    check_replaceable(options.output_path, "--output_path", MANIFEST_FILE, spared=RECORD_FILE)
    if options.promise:
        from training.confidence.promise import with_promises

        decoder = with_promises(decoder, checkpoint, options.promise, options.promise_rows)
    examples = kept_rows(checkpoint) if options.with_examples else ()
    # Importing paddle takes seconds: what was asked for is judged first.
    from training.checkpoint.export import export_checkpoint

    bundle = export_checkpoint(
        checkpoint, options.output_path, decoder, license=options.license, goldens=goldens, examples=examples
    )
    options.publish(options.output_path)
    return bundle


def parse_args(argv: Sequence[str] | None) -> ExportOptions:
    return parse(ExportOptions, argv, __doc__)


def main(argv: Sequence[str] | None = None) -> None:
    options = parse_args(argv)
    folder = options.params_path.parent if options.params_path.is_file() else options.params_path
    if note := interrupted(folder):
        print(note, file=sys.stderr)
    bundle = export(replace(options, model_repository=None))
    print(f"exported bundle {bundle.identity} to {options.output_path}: {', '.join(bundle.files)}")
    print(options.in_words(len(bundle.manifest.goldens)))
    if bundle.manifest.examples:
        print(
            f"it holds {counted(bundle.manifest.examples, 'row')} of the training set, of each text the first "
            f"{BEGINNING_CHARACTERS} characters: who asks a server for explanations sees those that a text is like"
        )
    print(f"decoding: {bundle.decoder().in_words()}")
    for line in options.publish(options.output_path):
        print(line)


if __name__ == "__main__":
    run(main)
