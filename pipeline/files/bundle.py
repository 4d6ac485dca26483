"""The bundle: an immutable, self-describing folder with everything that serving a model needs.

    bundle.json     what it is: labels, thresholds, decoding policy, tokeniser, normalisation, metrics, golden texts
    vocab.txt       the tokeniser's vocabulary; or tokenizer.json, the whole tokeniser
    model.onnx      the graph for onnxruntime
    model.float16.onnx, model.int8.onnx   the same in other precisions, optional: they can be derived from it
    float32.pdmodel, float32.pdiparams    the same graph for OpenVINO and Paddle
    packed.pdmodel  a graph that takes several texts in a row (`pipeline.compute.packing`), with the same parameters;
                    optional
    README.md       the model card, for people; optional
    SHA256SUMS      a checksum of each file above

A part of a bundle (only the files that one server process needs) is laid out and loaded in the same way.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import BundleError, InputError
from pipeline.files.checksums import CHECKSUM_FILE, read_checksums, verify_file, write_all_checksums, write_checksums
from pipeline.labels.decoding import Decoder, DecodingPolicy, check_thresholds
from pipeline.labels.hierarchy import LabelHierarchy
from pipeline.records import from_fields, read_json
from pipeline.text.encoding import TextEncoder
from pipeline.text.normalisation import MAX_TEXT_CHARACTERS, NORMALISATIONS, text_fault
from pipeline.text.tokeniser_files import open_tokeniser, tokeniser_file
from pipeline.text.words import SUBWORD, TokeniserSettings

FORMAT_VERSION = 2
"""The newest. A bundle states the oldest that says all of it: 1 knows no tokenizer.json."""
MANIFEST_FILE = "bundle.json"
CHECKPOINT_FILE = "training.json"
"""The file that a checkpoint has in its place; a pruned folder has both."""
ONNX_FILE = "model.onnx"
ONNX_FLOAT16_FILE, ONNX_INT8_FILE = "model.float16.onnx", "model.int8.onnx"
PADDLE_GRAPH_FILE = "float32.pdmodel"
PADDLE_PARAMETERS_FILE = "float32.pdiparams"
PACKED_GRAPH_FILE = "packed.pdmodel"
CARD_FILE = "README.md"

MOST_GOLDENS = 1024
_WIDTH = re.compile(r"1|[1-9]\d{0,3}/[1-9]\d{0,3}", re.ASCII)


@dataclass(frozen=True)
class Golden:
    """A text and the label set that the released model gives it, to check a server with."""

    text: str
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Manifest:
    """What bundle.json holds.

    A field that only people read may be added without a new FORMAT_VERSION: readers pass over fields that they do not
    know. Whatever changes an answer needs a new one.

    Attributes:
        labels: the label paths, in the order of the logits' columns.
        thresholds: one per label, in (0, 1).
        decoding: how scores become label sets.
        vocabulary_size: token ids lie below it.
        max_seq_length: tokens that the model reads, [CLS] and [SEP] included.
        normalisation: a name of `pipeline.text.normalisation.NORMALISATIONS`.
        tokeniser: the tokeniser's settings; its vocabulary is vocab.txt.
        model_name: what was trained, for people to read.
        metrics: scores by dataset file, e.g. {"dev": {"micro_f1": ...}}.
        goldens: texts with the answers that a server must give.
        width: share of the encoder's heads and neurons that pruning has left, such as 2/3.
        gate: what the release gate measured; `choices` lists the runtimes and precisions that passed, fastest first.
        training: how the model was made, for the model card: its data, its encoder, the licence of its weights.

    Raises:
        InputError: a value that cannot be used; the message names the field.
    """

    labels: tuple[str, ...]
    thresholds: tuple[float, ...]
    decoding: DecodingPolicy
    vocabulary_size: int
    max_seq_length: int
    normalisation: str
    tokeniser: TokeniserSettings
    model_name: str = ""
    metrics: Mapping[str, Any] = field(default_factory=dict)
    goldens: tuple[Golden, ...] = ()
    width: str = "1"
    gate: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_thresholds(np.asarray(self.thresholds), len(self.labels))
        if self.vocabulary_size < 1:
            raise InputError(f"vocabulary_size is {self.vocabulary_size}; a vocabulary has at least one token")
        check_reading(self.normalisation, self.max_seq_length)
        check_width(self.width)
        check_kept_texts("goldens", [golden.text for golden in self.goldens])
        self._check_gate()
        known = set(self.labels)
        for number, golden in enumerate(self.goldens):
            if unknown := set(golden.labels) - known:
                raise InputError(f"goldens[{number}]: {min(unknown)!r:.40} is no label of this bundle")

    def _check_gate(self) -> None:
        choices = self.gate.get("choices", ())
        if not isinstance(choices, (list, tuple)):
            raise InputError(f"gate.choices must be a list, not {choices!r:.40}")
        for choice in choices:
            named = [choice.get(name) for name in ("runtime", "precision")] if isinstance(choice, dict) else [None]
            if not all(isinstance(name, str) for name in named):
                raise InputError(f"gate.choices: {choice!r:.40} names no runtime and precision")

    def to_json(self) -> dict[str, Any]:
        fields = {name: getattr(self, name) for name in self.__dataclass_fields__}
        fields["decoding"] = self.decoding.to_json()
        fields["tokeniser"] = self.tokeniser.to_json()
        fields["goldens"] = [asdict(golden) for golden in self.goldens]
        version = 2 if self.tokeniser.kind == SUBWORD else 1
        return {"format_version": version, **fields}

    @classmethod
    def from_json(cls, fields: Any) -> Manifest:
        """What `to_json` gave; raises InputError for a field that is missing or wrong."""
        return from_fields(cls, fields)


def check_reading(normalisation: str, max_seq_length: int) -> None:
    """Raise InputError unless this version can read texts in this way."""
    if normalisation not in NORMALISATIONS:
        known = ", ".join(NORMALISATIONS)
        raise InputError(f"unknown normalisation {normalisation!r:.40}; this version knows {known}")
    if not 3 <= max_seq_length <= MAX_TEXT_CHARACTERS:
        raise InputError(f"max_seq_length is {max_seq_length}; it lies between 3 and {MAX_TEXT_CHARACTERS:,}")


def check_kept_texts(name: str, texts: Sequence[str]) -> None:
    """Raise InputError unless servers can be checked with the texts, which the field `name` holds."""
    if len(texts) > MOST_GOLDENS:
        raise InputError(f"{name} are {len(texts):,}; at most {MOST_GOLDENS:,} are asked of a server")
    for number, text in enumerate(texts):
        if fault := text_fault(text):
            raise InputError(f"{name}[{number}]: {fault}")


def check_width(width: str) -> None:
    """Raise InputError unless `width` is a share of the encoder, such as 1 or 2/3."""
    if not _WIDTH.fullmatch(width) or Fraction(width) > 1:
        raise InputError(f"width is {width!r:.40}; give a share such as 2/3")


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
            self.hierarchy = LabelHierarchy(self.manifest.labels)
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

    def decoder(self) -> Decoder:
        """A decoder with the bundle's thresholds and policy."""
        return Decoder(self.hierarchy, self.manifest.thresholds, self.manifest.decoding)

    def encoder(self, max_seq_length: int | None = None) -> TextEncoder:
        """What turns texts into token ids as the model was trained to read them.

        Args:
            max_seq_length: tokens to read of a text, if fewer than the model reads.

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
        return TextEncoder(manifest.normalisation, tokeniser.with_length(length))


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


def _check_version(folder: Path, fields: Any) -> None:
    version = fields.get("format_version") if isinstance(fields, dict) else None
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise BundleError(f"{folder / MANIFEST_FILE} states no format_version; export the bundle again")
    if version > FORMAT_VERSION:
        raise BundleError(
            f"{folder} has bundle format {version}, and this version reads formats up to {FORMAT_VERSION}; "
            "update this software, or export the bundle with this version"
        )
