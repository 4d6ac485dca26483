"""Turn the published Web of Science release into a dataset folder.

python training/wos.py --release_dir WebOfScience/WOS46985 --save_dir data/wos

The release (Kowsari et al. 2017, HDLTex; Mendeley Data, doi 10.17632/9rw3vkcfy4) has three folders of one layout:
X.txt an abstract per line, Y.txt the number of its area, YL1.txt the number of its domain. YL2.txt, the number of the
area within the domain, is not read: two areas of WOS46985 share one. The names stand in Meta-data/Data.xlsx beside
the folders, with the columns Y, Domain, area and Abstract.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from pipeline.command import run
from pipeline.errors import DatasetError, InputError
from pipeline.files.lines import read_lines
from pipeline.files.tables.reading import read_columns
from pipeline.labels.hierarchy import SEPARATOR, composed, path_fault
from pipeline.options import option, parse
from training.data.dataset_folder import NewDatasetOptions, WrittenDataset, write_dataset
from training.data.row_collector import RowCollector

TEXT_FILE, AREA_FILE, DOMAIN_FILE = "X.txt", "Y.txt", "YL1.txt"
META_DATA = tuple(f"Meta-data/Data.{ending}" for ending in ("xlsx", "csv", "tsv", "txt", "xls"))
META_COLUMNS = ("Y", "Domain", "area", "Abstract")
NO_META_DATA = "none"
PUBLISHED_LABELS = {"WOS46985": (7, 134), "WOS11967": (7, 35), "WOS5736": (3, 11)}
"""Domains and areas of each folder, as its authors count them."""


@dataclass(frozen=True)
class WosOptions(NewDatasetOptions):
    """Which folder of the release is read, and where its names are."""

    release_dir: Path = option(help="a folder of the release, such as WebOfScience/WOS46985")
    save_dir: Path = option("data/wos", "dataset folder to write")
    meta_data: Path | None = option(
        None,
        f"Data.xlsx of the release, or a .csv or .tsv of it; {NO_META_DATA} makes numbers the labels "
        f"({META_DATA[0]} beside the folder, where it is)",
    )

    def names(self) -> Path | None:
        """The table of names, if there is one."""
        if self.meta_data is None:
            beside = self.release_dir.resolve().parent
            return next((path for name in META_DATA if (path := beside / name).is_file()), None)
        return None if self.meta_data == Path(NO_META_DATA) else self.meta_data


class Release(NamedTuple):
    """A folder of the release: per row the text, the number of its area, and the number of its domain."""

    texts: list[str]
    areas: list[int]
    domains: list[int]


def read_release(folder: Path) -> Release:
    """Read a folder such as WOS46985.

    Raises:
        InputError: a file is missing.
        DatasetError: a line is not UTF-8 or no number, or the files are of different length.
    """
    if not folder.is_dir():
        raise InputError(f"--release_dir {folder} is no folder; give for example WebOfScience/WOS46985")
    release = Release(_lines(folder / TEXT_FILE), _numbers(folder / AREA_FILE), _numbers(folder / DOMAIN_FILE))
    texts, areas, domains = len(release.texts), len(release.areas), len(release.domains)
    if not texts == areas == domains:
        listed = f"{TEXT_FILE} {texts}, {AREA_FILE} {areas}, {DOMAIN_FILE} {domains}"
        raise DatasetError(folder, None, f"the files differ in lines ({listed}); unpack the release again")
    if not texts:
        raise DatasetError(folder / TEXT_FILE, None, "the file is empty; unpack the release again")
    return release


def _lines(path: Path) -> list[str]:
    """The lines of a file, blank ones at the end left out."""
    lines = [line for _, line in read_lines(path)]
    while lines and not lines[-1].strip():
        lines.pop()
    return lines


def _numbers(path: Path) -> list[int]:
    numbers = []
    for line, word in enumerate(_lines(path), start=1):
        if not word.strip().isdecimal():
            raise DatasetError(path, line, f"{word!r:.40} is no number; unpack the release again")
        numbers.append(int(word))
    return numbers


def numbered_labels(release: Release) -> dict[int, str]:
    """A label path per area, made of numbers: area 17 of domain 1 is `1##1.17`."""
    votes: dict[int, Counter[str]] = defaultdict(Counter)
    for area, domain in zip(release.areas, release.domains):
        votes[area][f"{domain}{SEPARATOR}{domain}.{area}"] += 1
    return _elected(votes)


def named_labels(release: Release, meta_data: Path) -> tuple[dict[int, str], list[str]]:
    """A label path `Domain##area` per area, and notes for the user.

    The release numbers some areas that it names in several ways: the commonest name is taken. Where the numbers of
    its rows are those of the release's rows, names go by row. The two smaller folders hold some of the rows under
    numbers of their own: there names go by the text.

    Raises:
        InputError: the table cannot be read, describes other texts, or names an area in a way that no label can have.
    """
    try:
        table = list(read_columns(meta_data, META_COLUMNS))
    except InputError as error:
        raise InputError(f"{error}; or give --meta_data {NO_META_DATA} for numbers as labels") from error
    names = [
        composed(SEPARATOR.join(" ".join(cell.split()) for cell in (domain, area))) for _, domain, area, _ in table
    ]
    if [_whole(number) for number, *_ in table] == release.areas:
        named_rows: Iterable[tuple[int, str]] = zip(release.areas, names)
    else:
        by_text = {_key(abstract): name for (*_, abstract), name in zip(table, names)}
        keys = map(_key, release.texts)
        named_rows = [(area, by_text[key]) for area, key in zip(release.areas, keys) if key in by_text]
    votes: dict[int, Counter[str]] = defaultdict(Counter)
    for area, name in named_rows:
        votes[area][name] += 1
    nameless = sorted(set(release.areas) - set(votes))
    if nameless:
        raise InputError(
            f"{meta_data} names no row of {len(nameless)} areas, of number {nameless[0]} first; give --meta_data the "
            f"table of the same release, or --meta_data {NO_META_DATA} for numbers as labels"
        )
    labels = _elected(votes)
    for area, label in labels.items():
        fault = path_fault(label) or (None if label.count(SEPARATOR) == 1 else f"{label!r} contains {SEPARATOR!r}")
        if fault:
            raise InputError(f"{meta_data}: area {area}: {fault}; correct it there")
    ambiguous = [area for area in labels if len(votes[area]) > 1]
    notes = [f"{area} is {_counted(votes[area])}" for area in ambiguous[:3]]
    if ambiguous:
        notes = [f"{len(ambiguous)} areas have several names, of which the commonest is taken: {'; '.join(notes)}"]
    return labels, notes


def _elected(votes: dict[int, Counter[str]]) -> dict[int, str]:
    return {area: min(names, key=lambda name: (-names[name], name)) for area, names in votes.items()}


def _counted(names: Counter[str]) -> str:
    return ", ".join(f"{name} ({count})" for name, count in names.most_common(4))


def _whole(word: str) -> int:
    """A spreadsheet's number: 40 may stand there as 40.0."""
    try:
        return int(float(word))
    except (ValueError, OverflowError):
        return -1


def _key(text: str) -> str:
    return " ".join(text.split())


def convert(options: WosOptions) -> WrittenDataset:
    """Write the release as a dataset folder.

    Raises:
        InputError: the release or the table cannot be used; what was at `save_dir` is untouched.
    """
    options.check_target()
    release, meta_data = read_release(options.release_dir), options.names()
    labels, notes = named_labels(release, meta_data) if meta_data else (numbered_labels(release), [])
    if not meta_data:
        notes.append("labels are numbers; give --meta_data the release's Data.xlsx for names")
    collector = RowCollector(options.release_dir / TEXT_FILE)
    for line, (text, area) in enumerate(zip(release.texts, release.areas), start=1):
        collector.add(line, text, [labels[area]])
    hierarchy = collector.hierarchy()
    counts = tuple(int((hierarchy.levels == level).sum()) for level in (1, 2))
    published = PUBLISHED_LABELS.get(options.release_dir.resolve().name, counts)
    if counts != published:
        notes.append(
            f"{options.release_dir} is published with {published[0]} domains and {published[1]} areas; "
            f"these are {counts[0]} and {counts[1]}"
        )
    notes += collector.report.notes()
    return write_dataset(options.save_dir, hierarchy, options.split(collector.rows), notes=notes)


def parse_args(argv: Sequence[str] | None) -> WosOptions:
    return parse(WosOptions, argv, __doc__)


def main(argv: Sequence[str] | None = None) -> None:
    convert(parse_args(argv)).tell()


if __name__ == "__main__":
    run(main)
