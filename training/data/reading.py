"""What a model will read of a labelled file, and which labels it can hardly learn: said before training starts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.errors import InputError
from pipeline.files.dataset import GRAPH_FILE, LABEL_FILE
from pipeline.labels.hierarchy import LabelHierarchy
from pipeline.text.encoding import TextEncoder
from pipeline.text.long_texts import FIRST, HEAD_TAIL, WINDOWS
from pipeline.text.normalisation import MAX_TEXT_CHARACTERS
from training.data.label_names import near_doubles

FEW_ROWS = 10
"""A label with fewer training rows is hardly learnt."""
MOST_UNKNOWN, LEAST_READ, WANTED = 0.02, 0.9, 0.99
SAMPLED_TEXTS = 2000
SHOWN_LABELS = 3


def check_readable(folder: Path, names: Iterable[str]) -> None:
    """Raise InputError where a dataset folder is none, or a file of it cannot be read."""
    if not folder.is_dir():
        raise InputError(f"--dataset_dir {folder} is no folder; give the one that holds {', '.join(names)}")
    for path in (folder / name for name in names):
        try:
            open(path, "rb").close()
        except OSError as error:
            raise InputError(f"cannot read {path}: {error.strerror}") from error


@dataclass(frozen=True)
class Reading:
    """Of a sample of texts, how much a tokeniser reads.

    Attributes:
        length: tokens of a text that are read at most, [CLS] and [SEP] included.
        way: which of a longer text, a name of `pipeline.text.long_texts.WAYS`.
        cut: share of the texts that are longer.
        read: share of the tokens that are read.
        unknown: share of those that the vocabulary does not know.
        wanted_length: the length that would read 99 % of the tokens.
    """

    length: int
    way: str
    cut: float
    read: float
    unknown: float
    wanted_length: int

    def notes(self, path: Path) -> Iterator[str]:
        """A line for the log, and a warning for each share that is beyond its bound."""
        yield (
            f"{path}: {100 * self.cut:.1f} % of the texts are longer than {self.length} tokens, {100 * self.read:.1f} %"
            f" of all tokens are read, {100 * self.unknown:.2f} % of them unknown"
        )
        if self.read < LEAST_READ:
            yield f"warning: much of the texts is not read; {self._remedy()}"
        if self.unknown > MOST_UNKNOWN:
            yield (
                f"warning: {100 * self.unknown:.1f} % of the tokens are unknown: texts that differ in them alone get "
                "the same answer. The vocabulary does not fit the texts; give --model_name an encoder of their "
                "language, build/e5 for some hundred of them (`make e5`), or a scratch one, which learns its own"
            )

    def _remedy(self) -> str:
        if self.way == WINDOWS:
            return f"{self.wanted_length:,} tokens a text would be 99 %: raise --max_windows, or --max_seq_length"
        return (
            f"--max_seq_length {self.wanted_length} would read 99 %, and --long_texts {WINDOWS} reads texts of any "
            "length" + f"; --long_texts {HEAD_TAIL} reads their ends, too, at no cost" * (self.way == FIRST)
        )


def measure_reading(texts: Sequence[str], encoder: TextEncoder) -> Reading:
    """How much of up to SAMPLED_TEXTS of the texts, of which there is at least one, is read."""
    tokeniser, room = encoder.tokeniser, encoder.most_tokens - 2
    sample = texts[:: -(-len(texts) // SAMPLED_TEXTS)]
    whole = TextEncoder(encoder.normalisation, tokeniser.with_length(MAX_TEXT_CHARACTERS + 2)).encode(sample)
    rows = [row[1:-1] for row in whole]
    lengths = np.array([len(row) for row in rows])
    unknown = sum(np.count_nonzero(row[:room] == tokeniser.unknown_id) for row in rows)
    total, read = max(1, int(lengths.sum())), max(1, int(np.minimum(lengths, room).sum()))
    wanted = next(n for n in np.unique(lengths) if np.minimum(lengths, n).sum() >= WANTED * lengths.sum())
    return Reading(
        room + 2, encoder.long_texts.way, float((lengths > room).mean()), read / total, unknown / read, int(wanted) + 2
    )


def label_notes(path: Path, hierarchy: LabelHierarchy, labels: np.ndarray, dev_labels: np.ndarray) -> Iterator[str]:
    """What is odd about labels: near doubles, few or no training rows, and what macro F1 makes of those dev lacks.

    Args:
        path: the training file.
        labels, dev_labels: bool or float [rows, labels] of train and of dev.
    """
    if hierarchy.is_graph:
        several, named = (
            int((np.bincount(columns) > 1).sum()) for columns in (hierarchy.pairs[0], hierarchy.path_columns)
        )
        yield (
            f"note: the labels form a graph ({GRAPH_FILE}): {several} of {len(hierarchy)} have several parents, and "
            f"{named} several paths in {LABEL_FILE}"
        )
    yield from (f"note: {note}" for note in near_doubles(hierarchy.labels))
    rows, dev_rows = ((each > 0).sum(axis=0) for each in (labels, dev_labels))
    for few, what in ((rows == 0, "no row"), ((rows > 0) & (rows < FEW_ROWS), f"fewer than {FEW_ROWS} rows")):
        if few.any():
            yield f"warning: {path}: {_named(hierarchy, few)} {what}: hardly to be learnt"
    if (absent := dev_rows == 0).any():
        yield f"note: macro F1 counts every label; {_named(hierarchy, absent)} no dev row and count as 0"


def _named(hierarchy: LabelHierarchy, chosen: np.ndarray) -> str:
    names = [hierarchy.labels[position] for position in np.flatnonzero(chosen)]
    shown = ", ".join(names[:SHOWN_LABELS]) + ", ..." * (len(names) > SHOWN_LABELS)
    return f"{len(names)} of {len(hierarchy)} labels ({shown}) have"
