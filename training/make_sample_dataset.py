"""Write the sample dataset: synthetic Chinese news-event sentences with the label paths of 65 kinds of event.

No sentence is real: templates, names, companies and numbers are put together from the word lists in
`training/data/sample_wordings`. The same seed and row counts give the same bytes on every machine.

What makes it more than a word list: many words serve several labels and only their company settles which (上调 of a
price or of an interest rate, 上市 of a company or of a car, 离开 to join or to resign); about one row in five also
names an event that is denied or past and gets no label for it; names in dev and test that no training row has.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.command import run
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
from pipeline.labels.hierarchy import LabelHierarchy, ancestor_paths
from pipeline.options import Options, option, parse
from training.data.apportionment import largest_remainders
from training.data.sample_wordings import joint, people, world
from training.data.sample_wordings.author import Author, Kind, read_kinds

SOURCE_FILE = "SOURCE.md"
MARKER = "# Synthetic sample dataset, written by training/make_sample_dataset.py"
FILES = (TRAIN_FILE, DEV_FILE, TEST_FILE, LABEL_FILE, DATA_FILE, SOURCE_FILE)

MINIMUM_ROWS = 200  # per file, so that each leaf can have the two rows that it gets at least
LEAF_MINIMUM = 2
JOINT_SHARE = 0.11

SINGLE_KINDS = read_kinds(people.TEMPLATES) + read_kinds(world.TEMPLATES)
JOINT_KINDS = read_kinds(joint.TEMPLATES)
LABELS = tuple(sorted({path for kind in SINGLE_KINDS for path in (*ancestor_paths(kind.leaves[0]), *kind.leaves)}))


def plan(rows: int) -> list[Kind]:
    """The kind of every row of a file, in table order."""
    joint_rows = round(JOINT_SHARE * rows)
    spare_rows = rows - joint_rows - LEAF_MINIMUM * len(SINGLE_KINDS)
    singles = largest_remainders([kind.weight for kind in SINGLE_KINDS], spare_rows)
    joints = largest_remainders([kind.weight for kind in JOINT_KINDS], joint_rows)
    counts = [LEAF_MINIMUM + count for count in singles] + joints
    return [kind for kind, count in zip(SINGLE_KINDS + JOINT_KINDS, counts) for _ in range(count)]


@dataclass(frozen=True)
class SampleOptions(Options):
    """How much is written, and where to."""

    output_dir: Path = option("data/sample", "dataset folder to write")
    seed: int = option(3, "random seed; another seed, other sentences")
    train_rows: int = option(4000, "rows of train.txt", at_least=MINIMUM_ROWS)
    dev_rows: int = option(500, "rows of dev.txt", at_least=MINIMUM_ROWS)
    test_rows: int = option(500, "rows of test.txt", at_least=MINIMUM_ROWS)
    data_rows: int = option(200, "texts of data.txt, without labels", at_least=0)

    def rows(self) -> dict[str, int]:
        return {TRAIN_FILE: self.train_rows, DEV_FILE: self.dev_rows, TEST_FILE: self.test_rows}


class SampleDataset:
    """The rows of every file; no text occurs twice, within a file or across them."""

    def __init__(self, options: SampleOptions) -> None:
        self.options = options
        self.hierarchy = LabelHierarchy(LABELS)
        self._texts: set[str] = set()
        self.examples = {name: list(self._rows(name, rows)) for name, rows in options.rows().items()}
        self.data = [example.text for example in self._rows(DATA_FILE, max(options.data_rows, MINIMUM_ROWS))]
        del self.data[options.data_rows :]

    def _rows(self, name: str, rows: int) -> Iterator[Example]:
        author = Author(f"{self.options.seed} {name}", novel=name != TRAIN_FILE)
        for kind in author.shuffled(plan(rows)):
            text = author.sentence(kind)
            while text in self._texts:
                text = author.sentence(kind)
            self._texts.add(text)
            yield Example(text, tuple(sorted(self.hierarchy.with_ancestors(kind.leaves))))

    @property
    def several_paths_share(self) -> float:
        """The share of rows with more than one leaf path."""
        kinds = [kind for rows in self.options.rows().values() for kind in plan(rows)]
        return sum(len(kind.leaves) > 1 for kind in kinds) / len(kinds)

    def summary(self) -> str:
        """What was made, for the log and for SOURCE.md."""
        levels = Counter(label.count("##") + 1 for label in LABELS)
        return "\n".join(
            [
                "synthetic Chinese news-event sentences; none is a report of anything that happened",
                "rows: " + ", ".join(f"{name} {len(rows)}" for name, rows in self.examples.items()),
                "labels: " + ", ".join(f"level {level} {count}" for level, count in sorted(levels.items())),
                f"rows with several leaf paths: {self.several_paths_share:.1%}",
            ]
        )

    def write(self, folder: Path) -> None:
        """Write the files of a dataset folder, and SOURCE.md, into `folder`."""
        write_labels(folder / LABEL_FILE, self.hierarchy)
        for name, examples in self.examples.items():
            write_examples(folder / name, examples, self.hierarchy)
        write_texts(folder / DATA_FILE, self.data)
        about = f"{MARKER}\n\n{self.summary()}\n\nseed: {self.options.seed}\n\n{_ABOUT}"
        (folder / SOURCE_FILE).write_text(about, encoding="utf-8")


_ABOUT = """\
Every sentence is synthetic: put together by a program from made-up templates, names and numbers. People and
companies are invented; a likeness to real ones is chance. Figures measured on these rows say that the programs
work, and nothing about real news. Running the generator again with the same options gives the same bytes; it
replaces this folder only while nothing else lies in it.

本数据集全部为程序合成的句子，人物、公司与事件均属虚构，不代表任何真实新闻。
"""


def check_target(folder: Path) -> None:
    """Make sure that `folder` may be replaced.

    Raises:
        InputError: it is a file or a link, or a folder that this generator did not write or that holds more.
    """
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise InputError(f"--output_dir {folder} is not a folder; name another one")
    names = sorted(entry.name for entry in folder.iterdir()) if folder.exists() else []
    if not names:
        return
    source = folder / SOURCE_FILE
    if not source.is_file() or source.read_bytes().split(b"\n", 1)[0] != MARKER.encode():
        raise InputError(f"--output_dir {folder} holds files that this generator did not write; name another folder")
    foreign = [name for name in names if name not in FILES]
    if foreign:
        raise InputError(f"--output_dir {folder} also holds {foreign[0]!r}; move it away or name another folder")


def make_sample(options: SampleOptions) -> SampleDataset:
    """Write a sample dataset to `output_dir`, and return its rows.

    Raises:
        InputError: as `check_target` does.
    """
    check_target(options.output_dir)
    dataset = SampleDataset(options)
    with atomic_folder(options.output_dir) as folder:
        dataset.write(folder)
    return dataset


def parse_args(argv: Sequence[str] | None) -> SampleOptions:
    return parse(SampleOptions, argv, __doc__)


def main(argv: Sequence[str] | None = None) -> None:
    dataset = make_sample(parse_args(argv))
    print(f"{dataset.options.output_dir}: {dataset.summary()}")


if __name__ == "__main__":
    run(main)
