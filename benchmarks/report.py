"""Tables and plots of the measured parts, beside their records and in the pages.

    python -m benchmarks.report                              benchmarks/results, README.md and docs, in both languages
    python -m benchmarks.report --results_dir build/bench    there alone

The tables of a page stand between two marker comments and are made from the records; a test fails where they differ.
Records of another kind of processor lie in a folder of their own in benchmarks/results.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.plots import PLOTS, save
from benchmarks.records import PROJECT, RESULTS, read_record
from benchmarks.tables import COMPARED, PAGE_TABLES, SERVED, TABLES, Record, compared, origin, served
from benchmarks.words import Say, chinese, english
from pipeline.command import run
from pipeline.errors import InputError
from pipeline.files.atomic import atomic_writer
from pipeline.options import Options, option, parse

BEGIN, END = "<!-- benchmarks.report: begin -->\n", "<!-- benchmarks.report: end -->\n"
READMES: Mapping[str, Say] = {"README.md": english, "README.zh-CN.md": chinese}
RESULT_PAGES: Mapping[str, Say] = {"docs/en/reference/results.md": english, "docs/zh/reference/results.md": chinese}
PICTURES = PROJECT / "docs" / "pictures"
PICTURED = ("frontier", "load", "scaling")
"""Parts whose plots stand in the pages."""
TABLES_FILE = "tables.md"


@dataclass(frozen=True)
class ReportOptions(Options):
    """Of which records."""

    results_dir: Path | None = option(None, f"folder with the parts' JSON files ({RESULTS.relative_to(PROJECT)})")


def write(options: ReportOptions) -> list[Path]:
    """Write the tables and plots of the records in a folder, and of README.md's those in the pages; returns the files.

    Raises:
        InputError: the folder has no record, or a page no place for tables.
    """
    folder = options.results_dir or RESULTS
    parts = [part for part in TABLES if (folder / f"{part}.json").is_file()]
    if not parts:
        raise InputError(f"{folder} has no record of {', '.join(TABLES)}; measure with python -m benchmarks.bench")
    written = [folder / TABLES_FILE]
    _write(folder / TABLES_FILE, all_tables(folder, parts))
    for part in (each for each in parts if each in PLOTS):
        written.append(folder / f"{part}.png")
        save(PLOTS[part](read_record(folder / f"{part}.json")), written[-1])
    if folder.resolve() == RESULTS:
        for name, tables in page_tables(folder).items():
            written.append(PROJECT / name)
            _write(PROJECT / name, with_tables(name, tables))
        for part in PICTURED:
            written.append(Path(shutil.copy(folder / f"{part}.png", PICTURES)))
    return written


def all_tables(folder: Path, parts: Sequence[str]) -> str:
    """Every part's table, and of which machine and commit it is."""
    sections = []
    for part in parts:
        record = read_record(folder / f"{part}.json")
        where = origin(record, english)
        about = {"model": "{}", "texts": "{}", "tokens per text": "{} tokens per text"}
        model = ", ".join(words.format(record[key]) for key, words in about.items() if key in record)
        sections.append(f"## {part}\n\n{where}{'; ' if model else ''}{model}\n\n{TABLES[part](record)}\n")
    return "# Measured\n\nWritten by `python -m benchmarks.report`.\n\n" + "\n".join(sections)


def page_tables(folder: Path) -> dict[str, str]:
    """What stands between the markers of each page that is there, by the page's path."""
    paths = {part: folder / f"{part}.json" for part in (*PAGE_TABLES, *COMPARED)}
    found = {part: read_record(path) for part, path in paths.items() if path.is_file()}
    tables = {name: headline(found, say) for name, say in READMES.items()}
    tables.update((name, result_tables(found, say)) for name, say in RESULT_PAGES.items())
    of_all = [folder, *sorted(path for path in folder.iterdir() if path.is_dir())]
    all_served = [path for each in of_all for part in SERVED if (path := each / f"{part}.json").is_file()]
    for name, say in {**READMES, **RESULT_PAGES}.items():
        tables[name] += f"\n{served(list(map(read_record, all_served)), say)}\n"
    return {name: text for name, text in tables.items() if (PROJECT / name).is_file()}


def headline(found: Mapping[str, Record], say: Say) -> str:
    """README's one table."""
    return f"{compared(found, say)}\n\n{origin(next(iter(found.values())), say)}\n"


def result_tables(found: Mapping[str, Record], say: Say) -> str:
    """The tables of the parts that have been measured, each with where it was."""
    tables = [(PAGE_TABLES[part](found[part], say), found[part]) for part in PAGE_TABLES if part in found]
    others = {part: found[part] for part in COMPARED if part in found}
    if others:
        tables.insert(1, (compared(others, say), next(iter(others.values()))))
    return "\n".join(f"{table}\n\n{origin(record, say)}\n" for table, record in tables)


def with_tables(name: str, tables: str) -> str:
    """The page's text with the tables between its markers.

    Raises:
        InputError: it has no such place.
    """
    before, begin, rest = (PROJECT / name).read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise InputError(f"{name} has no lines {BEGIN.strip()} and {END.strip()}; put them where the tables belong")
    return f"{before}{BEGIN}\n{tables}\n{END}{after}"


def _write(path: Path, text: str) -> None:
    with atomic_writer(path) as stream:
        stream.write(text.encode())


def parse_args(argv: Sequence[str] | None) -> ReportOptions:
    return parse(ReportOptions, argv, __doc__)


def main(argv: Sequence[str] | None = None) -> None:
    print("\n".join(map(str, write(parse_args(argv)))), file=sys.stderr)


if __name__ == "__main__":
    run(main)
