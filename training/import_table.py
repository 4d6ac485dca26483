"""Turn a table of labelled texts into a dataset folder: a workbook, CSV, TSV or JSON lines.

python training/import_table.py --table_file orders.xlsx --text_columns text --label_columns "level 1" "level 2"
python training/import_table.py --table_file orders.csv --label_columns label --separator=/ --label_separator=';'
python training/import_table.py --table_file orders.tsv --header_row 0 --text_columns 1 --label_columns 2 3

Several label columns are the levels of one label, from the top down, unless --columns_are labels. With --edges_file a
label is a node of a graph, by its id or name. What was understood is printed as a tree with counts before anything is
written; --dry_run stops there. What looks wrong is refused with a question, to which --yes says yes. Rows without
labels become data.txt. In a program:

    from training.import_table import ImportOptions, convert
    convert(ImportOptions(table_file="orders.xlsx", label_columns=("level 1", "level 2"))).rows
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.command import run
from pipeline.errors import DatasetError, InputError
from pipeline.files.dataset import join_labels
from pipeline.files.tables.cells import Table, loose, plain
from pipeline.files.tables.options import TableOptions
from pipeline.files.tables.reading import open_table
from pipeline.labels.hierarchy import SEPARATOR, LabelHierarchy, parent_path
from pipeline.options import option, parse
from pipeline.output import counted, tree_lines
from training.data import label_names
from training.data.dataset_folder import NewDatasetOptions, WrittenDataset, write_dataset
from training.data.row_collector import RowCollector
from training.data.tables.edge_list import EdgeList
from training.data.tables.label_columns import COLUMNS_ARE, LEVELS, LabelColumns

REFUSE, MERGE, KEEP = "refuse", "merge", "keep"
MOST_SHOWN, SHOWN_BELOW = 80, 4
"""Labels of a tree that is shown whole, and of a larger one those that are shown below each label."""


@dataclass(frozen=True)
class ImportOptions(TableOptions, NewDatasetOptions):
    """Which table is read, and what its columns hold."""

    table_file: Path = option(help="the table: .xlsx, .csv, .tsv or JSON lines, told by its content")
    text_columns: tuple[str, ...] = option(
        ("text",), "columns of the text, by name or number; of several, the texts are joined by a space"
    )
    label_columns: tuple[str, ...] = option(("label",), "columns of the labels, by name or number")
    columns_are: str = option(
        LEVELS,
        "what several label columns are: the levels of a label from the top down, or labels",
        choices=COLUMNS_ARE,
    )
    separator: str = option(SEPARATOR, "what stands between the levels of a label in one cell, as in --separator=/")
    edges_file: Path | None = option(
        None, "edges of a graph, a parent, a tab and a child a line: label cells then name its nodes"
    )
    names_file: Path | None = option(None, "names of the nodes of --edges_file, an id, a tab and a name a line")
    all_paths: bool = option(False, "list each node of --edges_file by every way down to it, not by one alone")
    label_separator: str | None = option(
        None, "what stands between the labels of one cell, as in --label_separator=';' (a cell is one label)"
    )
    conflicts: str = option(
        REFUSE, "what is done with texts that come again with other labels", choices=(REFUSE, MERGE, KEEP)
    )
    dry_run: bool = option(False, "show what is understood, and write nothing")
    yes: bool = option(False, "write even if something looks wrong")

    @property
    def sources(self) -> list[Path]:
        """The files that are read."""
        return [path for path in (self.table_file, self.edges_file, self.names_file) if path]

    def check(self) -> None:
        super().check()
        if not self.separator or self.label_separator == "":
            raise InputError("--separator and --label_separator must not be empty; leave out what is not needed")
        if self.label_separator == self.separator:
            raise InputError(
                f"--separator and --label_separator are both {self.separator!r}; they cannot be told apart"
            )
        if len(self.label_columns) > 1 and self.columns_are == LEVELS and self.label_separator:
            raise InputError(
                "with a column for each level a cell holds one name; leave out --label_separator, or give "
                "--columns_are labels"
            )
        if self.edges_file is None and (self.names_file or self.all_paths):
            raise InputError("--names_file and --all_paths are about the nodes of --edges_file; give that, too")
        if self.edges_file and len(self.label_columns) > 1 and self.columns_are == LEVELS:
            raise InputError("with --edges_file a label is one node; give one label column, or --columns_are labels")
        twice = [name for name, count in Counter((*self.text_columns, *self.label_columns)).items() if count > 1]
        if twice:
            raise InputError(f"column {twice[0]!r} is given twice in --text_columns and --label_columns")


@dataclass(frozen=True)
class Understood:
    """A table that was read.

    Attributes:
        options: how.
        collector: its rows.
        hierarchy: its labels.
        counts: rows by label, those of its descendants among them.
        shape: what the file and its columns were taken for, a line each.
        warnings: what a user should look at, a sentence each.
        doubts: likewise, what is refused without `yes`.
    """

    options: ImportOptions
    collector: RowCollector
    hierarchy: LabelHierarchy
    counts: Counter[str]
    shape: tuple[str, ...]
    warnings: tuple[str, ...]
    doubts: tuple[str, ...]

    def __str__(self) -> str:
        row = self.collector.rows[0]
        deepest = self.hierarchy.deepest(sorted(self.hierarchy.with_ancestors(row.labels)))
        labels = join_labels(self.hierarchy.labels[position] for position in deepest)
        example = f"row {row.line}: {row.text[:60]!r} is {labels}"
        return "\n".join((*self.shape, example, "", *tree(self.hierarchy, self.counts), ""))

    def write(self) -> WrittenDataset:
        """Write the dataset folder.

        Raises:
            InputError: something is in doubt, or texts contradict each other, and no option says what is done.
        """
        options, report = self.options, self.collector.report
        if self.doubts and not options.yes:
            raise InputError(f"{options.table_file}: {'; '.join(self.doubts)} (if it is as it should be, give --yes)")
        if report.contradictions and options.conflicts == REFUSE:
            first = report.listed_contradictions()[0]
            raise InputError(
                f"{report.contradicting()}, as {first}; correct that, or give "
                "--conflicts merge to unite their labels, or keep to leave them as they are"
            )
        files = options.split(self.collector.rows)
        notes = (*self.warnings, *(self.doubts if options.yes else ()))
        return write_dataset(options.save_dir, self.hierarchy, files, self.collector.unlabelled(), notes)


def understand(options: ImportOptions) -> Understood:
    """Read the table, and write nothing.

    Raises:
        InputError: it cannot be read, a cell cannot be used, or no row has a label.
    """
    path, columns = options.table_file, (*options.text_columns, *options.label_columns)
    table = open_table(path, options, columns, furthest=len(options.text_columns) + 1)
    places = table.places(columns)
    texts = list(zip(places, options.text_columns))
    labels = LabelColumns(
        path,
        options.label_columns,
        places[len(texts) :],
        options.columns_are,
        options.separator,
        options.label_separator,
    )
    nodes = EdgeList(options.edges_file, options.names_file) if options.edges_file else None
    collector = RowCollector(path)
    for row in table.rows:
        words = [plain(path, row, place, name) for place, name in texts]
        found = labels.of(row) if nodes is None else _paths(path, row.number, nodes, labels.of(row))
        collector.add(row.number, " ".join(filter(None, words)), found)
    hierarchy = collector.hierarchy()
    if nodes is not None:
        hierarchy = nodes.hierarchy(hierarchy.labels, options.all_paths)
    if options.conflicts == MERGE:
        collector.unite()
    elif options.conflicts == REFUSE:
        collector.report.fate = "are refused"
    counts = _counts(collector, hierarchy)
    warnings = [*table.notes, *collector.report.notes(), *label_names.notes(hierarchy.labels), *labels.notes()]
    warnings += label_names.misspelt(hierarchy.labels, counts)
    if nodes is not None and nodes.repeated:
        warnings.append(f"{options.edges_file} repeats {counted(nodes.repeated, 'edge')}, which say nothing new")
    doubts = list(label_names.doubts(hierarchy.labels, counts, len(collector.rows)))
    doubts += labels.doubts()
    doubts += _no_header(table, labels, counts)
    if not options.header_row:
        warnings += _header_after_all(collector, counts)
    shape = tuple(_shape(options, table, labels, collector))
    return Understood(options, collector, hierarchy, counts, shape, tuple(warnings), tuple(doubts))


def _paths(path: Path, number: int, nodes: EdgeList, words: Sequence[str]) -> list[str]:
    try:
        return nodes.paths(words)
    except InputError as error:
        raise DatasetError(path, number, str(error)) from error


def _counts(collector: RowCollector, hierarchy: LabelHierarchy) -> Counter[str]:
    """Rows by label, those of its descendants among them."""
    counts: Counter[str] = Counter()
    for labels, rows in Counter(row.labels for row in collector.rows).items():
        for position in hierarchy.with_ancestors(labels):
            counts[hierarchy.labels[position]] += rows
    return counts


def _no_header(table: Table, labels: LabelColumns, counts: Counter[str]) -> Iterator[str]:
    """A question where columns were given by number and the header has a label that rows have, too."""
    for place, given in zip(labels.places, labels.names):
        name = table.header[place].strip() if place < len(table.header) else ""
        if counts[name] and loose(name) != loose(given):
            yield f"row {table.header_row} names the columns, and its {name!r} is a label, too: or is it no header?"


def _header_after_all(collector: RowCollector, counts: Counter[str]) -> Iterator[str]:
    first = collector.rows[0]
    alone = sorted(label for label in first.labels if counts[label] == 1)
    if len(alone) == len(first.labels) and len(collector.rows) > len(counts):
        yield f"row {first.line} is data, and no other has its label {alone[0]!r}; is it a header (--header_row 1)?"


def _shape(options: ImportOptions, table: Table, labels: LabelColumns, collector: RowCollector) -> Iterator[str]:
    yield f"{options.table_file}: {table.form}"
    if table.keyed:
        yield f"keys: {table.named()}"
    else:
        yield (
            f"row {table.header_row} names the columns: {table.named()}" if table.header else "no row names the columns"
        )
    text = " and ".join(map(repr, options.text_columns))
    between = " above " if labels.is_by_level else " and "
    how = ", a level each" if labels.is_by_level else f", levels between {options.separator!r}"
    how = f", a node of {options.edges_file}" if options.edges_file else how
    how += f", labels between {options.label_separator!r}" if options.label_separator else ""
    yield f"text: {text}; label: {between.join(map(repr, options.label_columns))}{how}"
    rows, texts = len(collector.rows), len(collector.unlabelled())
    yield f"{rows} labelled rows, {texts} texts without labels, {len(collector.report.empty)} rows without a text"


def tree(hierarchy: LabelHierarchy, counts: Counter[str]) -> list[str]:
    """The labels with their rows, the most frequent first; of a large hierarchy some below each label."""
    children: dict[str | None, list[str]] = {}
    for label in sorted(hierarchy.labels, key=lambda label: -counts[label]):
        children.setdefault(parent_path(label), []).append(label)
    most = len(hierarchy) if len(hierarchy) <= MOST_SHOWN else SHOWN_BELOW
    shown: dict[str, str] = {}

    def show(parent: str | None) -> None:
        below = children.get(parent, [])
        for label in below[: most if parent else MOST_SHOWN // (most + 1) if most == SHOWN_BELOW else most]:
            more = len(children.get(label, ())) - most
            shown[label] = f"{counts[label]}" + (f"  (and {more} more below)" if more > 0 else "")
            show(label)

    show(None)
    lines = tree_lines(shown)
    missing = len(hierarchy) - len(shown)
    return [*lines, f"... {missing} of {len(hierarchy)} labels are not shown"] if missing else lines


def convert(options: ImportOptions) -> WrittenDataset:
    """Write the table `table_file` as the dataset folder `save_dir`.

    Raises:
        InputError: as `understand` and `Understood.write` do; what was at `save_dir` is untouched.
    """
    options.check_target(*options.sources)
    return understand(options).write()


def parse_args(argv: Sequence[str] | None) -> ImportOptions:
    return parse(ImportOptions, argv, __doc__)


def main(argv: Sequence[str] | None = None) -> None:
    options = parse_args(argv)
    if not options.dry_run:
        options.check_target(*options.sources)
    understood = understand(options)
    print(understood, flush=True)
    for note in (*understood.warnings, *(understood.doubts if options.dry_run or options.yes else ())):
        print(f"note: {note}", file=sys.stderr)
    if not options.dry_run:
        print(understood.write())


if __name__ == "__main__":
    run(main)
