"""The bundle: an immutable, self-describing folder with everything that serving a model needs.

    bundle.json     what it is: labels, thresholds, decoding policy, tokeniser, normalisation, metrics, golden texts
    vocab.txt       the tokeniser's vocabulary; or tokenizer.json, the whole tokeniser
    model.onnx      the graph for onnxruntime
    model.float16.onnx, model.int8.onnx   the same in other precisions, optional: they can be derived from it
    float32.pdmodel, float32.pdiparams    the same graph for OpenVINO and Paddle
    packed.pdmodel  a graph that takes several texts in a row (`pipeline.compute.packing`), with the same parameters;
                    optional
    linear.npz      the linear part, see `pipeline.text.linear`; optional
    examples.txt    rows of the training set, to show those that are like a text; optional
    README.md       the model card, for people; optional
    SHA256SUMS      a checksum of each file above

A part of a bundle (only the files that one server process needs) is laid out and loaded in the same way.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pipeline.errors import BundleError, InputError
from pipeline.files.checksums import CHECKSUM_FILE, read_checksums, verify_file, write_all_checksums, write_checksums
from pipeline.files.manifest import FORMAT_VERSION, Manifest
from pipeline.labels.decoding import Decoder
from pipeline.records import read_json
from pipeline.text.encoding import TextEncoder
from pipeline.text.linear import LINEAR_FILE, LinearPart
from pipeline.text.tokeniser_files import open_tokeniser, tokeniser_file

MANIFEST_FILE = "bundle.json"
CHECKPOINT_FILE = "training.json"
"""The file that a checkpoint has in its place; a pruned folder has both."""
ONNX_FILE = "model.onnx"
ONNX_FLOAT16_FILE, ONNX_INT8_FILE = "model.float16.onnx", "model.int8.onnx"
PADDLE_GRAPH_FILE = "float32.pdmodel"
PADDLE_PARAMETERS_FILE = "float32.pdiparams"
PACKED_GRAPH_FILE = "packed.pdmodel"
EXAMPLES_FILE = "examples.txt"
CARD_FILE = "README.md"


class Bundle:
    """A bundle, or a part of one, whose files were checked.

    Args:
        path: the folder.

    Attributes:
        path: the folder.
        manifest: what bundle.json says.
        hierarchy: its labels.
        identity: 12 hexadecimal digits that change with any byte of any file.

    Raises:
        BundleError: the folder or a file of it is missing, a checksum differs, the format is a newer one, or the folder
            is a checkpoint.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        if not self.path.is_dir():
            raise BundleError(f"there is no bundle at {self.path}; make one with training/export_model.py")
        sums = read_checksums(self.path)
        if CHECKPOINT_FILE in sums and MANIFEST_FILE not in sums:
            raise BundleError(
                f"{self.path} is a checkpoint and no bundle; export it first: "
                f"training/export_model.py --params_path {self.path} --output_path export"
            )
        verify_file(self.path, MANIFEST_FILE, sums)
        try:
            fields = read_json(self.path / MANIFEST_FILE)
            _check_version(self.path, fields)
            for name in sums:
                verify_file(self.path, name, sums)
            self.manifest = Manifest.from_json(fields)
            self.hierarchy = self.manifest.hierarchy
        except BundleError:
            raise
        except ValueError as error:
            raise BundleError(f"{self.path / MANIFEST_FILE}: {error}; export the bundle again") from error
        self.files = tuple(sums)
        self.identity = hashlib.sha256((self.path / CHECKSUM_FILE).read_bytes()).hexdigest()[:12]

    def __repr__(self) -> str:
        return f"Bundle({str(self.path)!r}, identity={self.identity!r}, labels={len(self.hierarchy)})"

    def file(self, name: str) -> Path:
        """Path of one of the bundle's files.

        Raises:
            BundleError: this bundle, or part of one, does not hold it.
        """
        if name not in self.files:
            raise BundleError(f"{self.path} holds no {name}; it holds {', '.join(self.files)}")
        return self.path / name

    @property
    def tokeniser_file(self) -> str:
        """The name of the file that the tokeniser is read from."""
        return tokeniser_file(self.manifest.tokeniser)

    @property
    def reading_files(self) -> tuple[str, ...]:
        """The names of the files that `encoder` reads."""
        return (self.tokeniser_file, *[LINEAR_FILE] * (self.manifest.encoder_weight is not None))

    @property
    def explaining_files(self) -> tuple[str, ...]:
        """The names of the files that tell which training rows a text is like."""
        return (EXAMPLES_FILE,) * bool(self.manifest.examples)

    def decoder(self) -> Decoder:
        """A decoder with the bundle's thresholds, policy, calibration and promises."""
        manifest = self.manifest
        own = (manifest.thresholds, manifest.decoding, manifest.calibration, manifest.promises)
        return Decoder(self.hierarchy, *own)

    def encoder(self, max_seq_length: int | None = None) -> TextEncoder:
        """What turns texts into token ids as the model was trained to read them.

        Args:
            max_seq_length: tokens to take at once, if fewer than the model does.

        Raises:
            InputError: `max_seq_length` leaves no room for text.
            BundleError: the vocabulary has not as many tokens as the manifest says, or lacks a special one.
        """
        manifest = self.manifest
        try:
            path = self.file(self.tokeniser_file)
            tokeniser = open_tokeniser(path, manifest.tokeniser, manifest.max_seq_length)
        except BundleError:
            raise
        except InputError as error:
            raise BundleError(f"{self.path / MANIFEST_FILE}: {error}") from error
        if tokeniser.vocabulary_size != manifest.vocabulary_size:
            raise BundleError(
                f"{path} has {tokeniser.vocabulary_size:,} tokens, and {MANIFEST_FILE} says "
                f"{manifest.vocabulary_size:,}; export the bundle again"
            )
        length = manifest.max_seq_length if max_seq_length is None else min(max_seq_length, manifest.max_seq_length)
        reads_tokens = manifest.encoder_weight != 0
        tokeniser = tokeniser.with_length(length)
        return TextEncoder(manifest.normalisation, tokeniser, self._linear_part(), reads_tokens, manifest.long_texts)

    def _linear_part(self) -> LinearPart | None:
        if self.manifest.encoder_weight is None:
            return None
        try:
            return read_linear(self.file(LINEAR_FILE), len(self.manifest.labels))
        except InputError as error:
            raise BundleError(f"{error}; export the bundle again") from error


def read_linear(path: Path, labels: int) -> LinearPart:
    """The linear part in a file; raises InputError where it cannot be read, or is of another number of labels."""
    part = LinearPart.read(path)
    if part.labels != labels:
        raise InputError(f"{path} is of {part.labels} labels, and the model has {labels}")
    return part


def seal(folder: Path, manifest: Manifest) -> Bundle:
    """Make a folder that holds the vocabulary and the graphs a bundle: add the manifest and the checksums."""
    text = json.dumps(manifest.to_json(), ensure_ascii=False, indent=1)
    (folder / MANIFEST_FILE).write_text(text + "\n", encoding="utf-8")
    write_all_checksums(folder)
    return Bundle(folder)


def stage(bundle: Bundle, names: Iterable[str], destination: Path) -> None:
    """Copy the manifest and the named files into the existing folder `destination`, as a part of a bundle.

    A file that stands there already is left as it is.
    """
    staged = [MANIFEST_FILE, *names]
    for name in staged:
        if not (destination / name).exists():
            shutil.copyfile(bundle.file(name), destination / name)
    write_checksums(destination, staged)


def join(parts: Sequence[Bundle], engine: tuple[str, str], folder: Path) -> Bundle:
    """Copy parts of one bundle into the existing folder `folder`, as a bundle that answers as they do.

    Args:
        parts: what `stage` laid out, the graph among it.
        engine: the runtime and the precision that it is computed with.
        folder: empty.
    """
    for part in parts:
        for name in part.files:
            shutil.copyfile(part.file(name), folder / name)
    runtime, precision = engine
    gate = {"choices": [{"runtime": runtime, "precision": precision}]}
    return seal(folder, dataclasses.replace(parts[0].manifest, gate=gate))


def _check_version(folder: Path, fields: Any) -> None:
    version = fields.get("format_version") if isinstance(fields, dict) else None
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise BundleError(f"{folder / MANIFEST_FILE} states no format_version; export the bundle again")
    if version > FORMAT_VERSION:
        raise BundleError(
            f"{folder} has bundle format {version}, and this version reads formats up to {FORMAT_VERSION}; "
            "update this software, or export the bundle with this version"
        )
