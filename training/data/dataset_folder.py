"""Making a dataset folder: rows are split, and all files are written at once or not at all."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from pipeline.errors import InputError
from pipeline.files.atomic import atomic_folder
from pipeline.files.dataset import (
    DATA_FILE,
    DEV_FILE,
    LABEL_FILE,
    TEST_FILE,
    TRAIN_FILE,
    Example,
    write_examples,
    write_labels,
    write_texts,
)
from pipeline.labels.hierarchy import LabelHierarchy
from training.data.apportionment import largest_remainders
from training.data.row_collector import Row

LABELLED_FILES = (TRAIN_FILE, DEV_FILE, TEST_FILE)
FILES = (*LABELLED_FILES, LABEL_FILE, DATA_FILE)


@dataclass(frozen=True)
class Splitting:
    """How labelled rows are shared among train.txt, dev.txt and test.txt.

    Attributes:
        shares: of the three files; where there are two, there is no test.txt.
        shuffle: whether rows are shuffled first; otherwise each file is a run of rows.
        seed: of the shuffling; the same seed and rows give the same files.

    Raises:
        InputError: not two or three numbers of 0 to 1 that sum to 1.
    """

    shares: Sequence[float]
    shuffle: bool = True
    seed: int = 1000

    def __post_init__(self) -> None:
        if len(self.shares) not in (2, 3) or not all(0 <= share <= 1 for share in self.shares) or sum(self._exact) != 1:
            raise InputError(
                f"--splits {' '.join(map(str, self.shares))} cannot be used: give the shares of train, dev and test "
                "(or of train and dev), each of 0 to 1, which sum to 1; for example --splits 0.8 0.1 0.1"
            )

    @property
    def _exact(self) -> list[Fraction]:
        """The shares as they were typed: 0.7 + 0.2 + 0.1 is 1 in decimal, and not in binary."""
        return [Fraction(str(share)) for share in self.shares]

    def counts(self, rows: int) -> list[int]:
        """Rows of each file: shares rounded by largest remainders, and none empty that has a share, if rows allow."""
        counts = largest_remainders(self._exact, rows)
        for place, share in enumerate(self._exact):
            largest = max(range(len(counts)), key=counts.__getitem__)
            if share and not counts[place] and counts[largest] > 1:
                counts[largest] -= 1
                counts[place] += 1
        return counts

    def split(self, rows: Iterable[Row]) -> dict[str, list[Row]]:
        """The rows of each file; one that says which file it has to go to goes there, the others are shared out.

        Raises:
            InputError: there are too few rows for so many files.
        """
        files: dict[str, list[Row]] = {name: [] for name in LABELLED_FILES}
        free: list[Row] = []
        for row in rows:
            (files[row.file] if row.file else free).append(row)
        if self.shuffle:
            random.Random(self.seed).shuffle(free)
        start = 0
        for name, count in zip(LABELLED_FILES, self.counts(len(free))):
            files[name] += free[start : start + count]
            start += count
        empty = [name for name, share in zip(LABELLED_FILES, self.shares) if share and not files[name]]
        if empty:
            total = sum(map(len, files.values()))
            raise InputError(
                f"{total} labelled rows are too few: {' and '.join(empty)} would be empty; "
                "label more texts, or give --splits a share of 0 there"
            )
        return files


def check_dataset_target(folder: Path, overwrite: bool) -> None:
    """Make sure that `folder` may be replaced by a dataset folder.

    Raises:
        InputError: it is a file; it holds something else than dataset files, which would be lost; or it holds a
            dataset and `overwrite` is not set.
    """
    if not folder.exists():
        return
    if not folder.is_dir():
        raise InputError(f"--save_dir {folder} is a file; name a folder")
    names = sorted(entry.name for entry in folder.iterdir())
    foreign = [name for name in names if name not in FILES]
    if foreign:
        raise InputError(
            f"--save_dir {folder} holds {foreign[0]!r}, which would be lost; give a new or an empty folder"
        )
    if names and not overwrite:
        raise InputError(
            f"--save_dir {folder} holds a dataset already; give another folder, or --overwrite to replace it"
        )


def write_dataset(
    folder: Path, hierarchy: LabelHierarchy, files: dict[str, list[Row]], texts: Collection[str] = ()
) -> str:
    """Write a dataset folder; a file without rows is left out.

    Args:
        folder: what is there is replaced.
        hierarchy: all labels of the rows.
        files: rows by file name.
        texts: of data.txt.

    Returns:
        What was written, for the log.
    """
    positions: dict[frozenset[str], tuple[int, ...]] = {}

    def example(row: Row) -> Example:
        if row.labels not in positions:
            positions[row.labels] = tuple(sorted(hierarchy.with_ancestors(row.labels)))
        return Example(row.text, positions[row.labels])

    with atomic_folder(folder) as draft:
        write_labels(draft / LABEL_FILE, hierarchy)
        for name, rows in files.items():
            if rows:
                write_examples(draft / name, map(example, rows), hierarchy)
        if texts:
            write_texts(draft / DATA_FILE, texts)
    levels = " + ".join(str((hierarchy.levels == level).sum()) for level in range(1, hierarchy.depth + 1))
    written = [f"{LABEL_FILE} {len(hierarchy)} labels (by level: {levels})"]
    written += [f"{name} {len(rows)} rows" for name, rows in files.items() if rows]
    written += [f"{DATA_FILE} {len(texts)} texts without labels"] if texts else []
    return f"{folder}: {', '.join(written)}"
