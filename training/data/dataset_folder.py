"""Making a dataset folder: rows are split, and all files are written at once or not at all."""

from __future__ import annotations

import random
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from pipeline.errors import InputError
from pipeline.files.atomic import atomic_folder
from pipeline.files.checksums import check_link
from pipeline.files.dataset import (
    DATA_FILE,
    DEV_FILE,
    GRAPH_FILE,
    LABEL_FILE,
    TEST_FILE,
    TRAIN_FILE,
    Example,
    write_examples,
    write_labels,
    write_texts,
)
from pipeline.labels.hierarchy import LabelHierarchy
from pipeline.local_servers import PROJECT
from pipeline.options import Options, option
from pipeline.output import counted
from training.data.apportionment import largest_remainders
from training.data.row_collector import Row
from training.data.stratification import stratified

LABELLED_FILES = (TRAIN_FILE, DEV_FILE, TEST_FILE)
FILES = (*LABELLED_FILES, LABEL_FILE, GRAPH_FILE, DATA_FILE)
IGNORE_FILE, IGNORE_ALL = ".gitignore", b"*\n"
"""Of a dataset folder inside this project, which is data and no change of the project."""


@dataclass(frozen=True)
class NewDatasetOptions(Options):
    """Options of a dataset folder that is made: where it is written, and how labelled rows are shared out."""

    save_dir: Path = option("./data", "dataset folder to write")
    splits: tuple[float, ...] = option((0.8, 0.1, 0.1), "shares of train.txt, dev.txt and, if wanted, test.txt")
    is_shuffle: bool = option(True, "share rows out by chance, each label alike; otherwise each file is a run of rows")
    seed: int = option(1000, "seed of the shuffling")
    overwrite: bool = option(False, "replace the dataset that is in --save_dir")

    def check(self) -> None:
        super().check()
        if len(self.splits) not in (2, 3) or not all(0 <= share <= 1 for share in self.splits) or sum(self._exact) != 1:
            raise InputError(
                f"--splits {' '.join(map(str, self.splits))} cannot be used: give the shares of train, dev and test "
                "(or of train and dev), each of 0 to 1, which sum to 1; for example --splits 0.8 0.1 0.1"
            )

    @property
    def _exact(self) -> list[Fraction]:
        """The shares as they were typed: 0.7 + 0.2 + 0.1 is 1 in decimal, and not in binary."""
        return [Fraction(str(share)) for share in self.splits]

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
        """The rows of each file: all rows of a text go to one, to that which a row of it is the first to name.

        Texts of which no row names a file are shared out.

        Raises:
            InputError: there are too few rows for so many files.
        """
        files: dict[str, list[Row]] = {name: [] for name in LABELLED_FILES}
        rows = list(rows)
        named = {row.same: row.file for row in reversed(rows) if row.file}
        free: dict[str, list[Row]] = {}
        for row in rows:
            file = named.get(row.same)
            (files[file] if file else free.setdefault(row.same, [])).append(row)
        texts = list(free.values())
        counts = self.counts(len(texts))
        places = [place for place, count in enumerate(counts) for _ in range(count)]
        if self.is_shuffle:
            random.Random(self.seed).shuffle(texts)
            places = stratified([frozenset().union(*(row.labels for row in same)) for same in texts], counts)
        for same, place in zip(texts, places):
            files[LABELLED_FILES[place]] += same
        empty = [name for name, share in zip(LABELLED_FILES, self.splits) if share and not files[name]]
        if empty:
            total = sum(map(len, files.values()))
            raise InputError(
                f"{total} labelled rows are too few: {' and '.join(empty)} would be empty; "
                "label more texts, or give --splits a share of 0 there"
            )
        return files

    def check_target(self, *sources: Path) -> None:
        """Make sure that `save_dir` may be replaced.

        Args:
            sources: files that the dataset is made of.

        Raises:
            InputError: it is a file or a link that leads nowhere; it holds something else than is written here, or a
                source, which would be lost; or it holds a dataset and `overwrite` is not set.
        """
        check_target(self.save_dir, "--save_dir", sources, self.overwrite)


def _is_ignore_file(path: Path) -> bool:
    return path.name == IGNORE_FILE and path.is_file() and path.read_bytes() == IGNORE_ALL


def check_target(folder: Path, option: str, sources: Iterable[Path], overwrite: bool) -> None:
    """Make sure that a dataset folder may be written.

    Args:
        folder: where.
        option: what named it, for the message.
        sources: files that the dataset is made of.
        overwrite: whether a dataset that is there may go.

    Raises:
        InputError: it is a file or a link that leads nowhere; it holds something else than is written here, or a
            source, which would be lost; or it holds a dataset and `overwrite` is not set.
    """
    check_link(folder, option)
    if not folder.exists():
        return
    if not folder.is_dir():
        raise InputError(f"{option} {folder} is a file; name a folder")
    names = sorted(entry.name for entry in folder.iterdir() if not _is_ignore_file(entry))
    foreign = [name for name in names if name not in FILES]
    if foreign:
        raise InputError(f"{option} {folder} holds {foreign[0]!r}, which would be lost; give a new or an empty folder")
    for source in sources:
        if folder.resolve() in (*source.resolve().parents, source.parent.resolve()):
            raise InputError(f"{option} {folder} holds {source}, which is read and would be lost; give another folder")
    if names and not overwrite:
        raise InputError(
            f"{option} {folder} holds a dataset already; give another folder, or --overwrite to replace it"
        )


@dataclass(frozen=True)
class WrittenDataset:
    """A dataset folder that was written.

    Attributes:
        folder: where it is.
        hierarchy: its labels.
        rows: how many each file has, by name; of data.txt the texts without labels.
        notes: what was changed or left out, a sentence each.
    """

    folder: Path
    hierarchy: LabelHierarchy
    rows: dict[str, int]
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        levels = self.hierarchy.levels
        by_level = " + ".join(str((levels == level).sum()) for level in range(1, self.hierarchy.depth + 1))
        written = [f"{LABEL_FILE} {len(self.hierarchy)} labels (by level: {by_level})"]
        if self.hierarchy.is_graph:
            written.append(f"{GRAPH_FILE} {counted(len(self.hierarchy.edges), 'edge')}")
        for name, count in self.rows.items():
            written.append(f"{name} {count} {'texts without labels' if name == DATA_FILE else 'rows'}")
        return f"{self.folder}: {', '.join(written)}"

    def tell(self) -> None:
        """Print what was written, its notes on standard error."""
        for note in self.notes:
            print(f"note: {note}", file=sys.stderr)
        print(self)


def write_dataset(
    folder: Path,
    hierarchy: LabelHierarchy,
    files: Mapping[str, Sequence[Row]],
    texts: Collection[str] = (),
    notes: Iterable[str] = (),
) -> WrittenDataset:
    """Write a dataset folder; a file without rows is left out. Inside this project git is told to ignore it.

    Args:
        folder: what is there is replaced.
        hierarchy: all labels of the rows.
        files: rows by file name.
        texts: of data.txt.
        notes: what happened to the rows before.
    """
    positions: dict[frozenset[str], tuple[int, ...]] = {}

    def example(row: Row) -> Example:
        if row.labels not in positions:
            positions[row.labels] = tuple(sorted(hierarchy.with_ancestors(row.labels)))
        return Example(row.text, positions[row.labels])

    files = {name: rows for name, rows in files.items() if rows}
    counts = {name: len(rows) for name, rows in files.items()}
    with atomic_folder(folder) as draft:
        write_labels(draft / LABEL_FILE, hierarchy)
        for name, rows in files.items():
            write_examples(draft / name, map(example, rows), hierarchy)
        if texts:
            write_texts(draft / DATA_FILE, texts)
            counts[DATA_FILE] = len(texts)
        if PROJECT in folder.resolve().parents:
            (draft / IGNORE_FILE).write_bytes(IGNORE_ALL)
    return WrittenDataset(folder, hierarchy, counts, tuple(notes))
