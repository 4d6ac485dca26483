"""Cells that were each taken for one label: which of them look like several, and which have another sign for levels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from training.data.label_names import SIGNS

BETWEEN_LABELS = (";", "；", ",", "，", "、", "|", "｜", "\t")
"""What people write between the labels of a cell; a line break is no part of a label, and refused."""


def several(cells: Mapping[str, int], separator: str, remedy: str) -> Iterator[str]:
    """A question for each sign that seems to stand between labels: what is on its sides are labels elsewhere.

    Args:
        cells: occurrences by cell.
        separator: what stands between levels.
        remedy: what to do, with the sign as `{}`.
    """
    tops = {_path(cell, separator)[0] for cell in cells}
    for sign in BETWEEN_LABELS:
        if sign in separator:
            continue
        parts = {cell: [_path(part, separator) for part in cell.split(sign) if part.strip()] for cell in cells}
        parts = {cell: paths for cell, paths in parts.items() if len(paths) > 1}
        starts = tops | {paths[0][0] for paths in parts.values()}
        # A sign that may stand between levels as well has the same names after it in both cases.
        after = Counter(path for paths in parts.values() for path in paths[1:] if sign not in SIGNS)
        found = [
            cell
            for cell, (first, *others) in parts.items()
            if all(path[0] in starts or (len(path) == len(first) and after[path] > 1) for path in others)
        ]
        if found:
            yield (
                f"{sum(cells[cell] for cell in found)} of {sum(cells.values())} label cells have {sign!r} between what "
                f"look like labels, as {found[0]!r:.80}, and each cell was taken for one label; if they hold several, "
                + remedy.format(sign)
            )


def other_levels(cells: Mapping[str, int], separator: str) -> Iterator[str]:
    """A hint for each other sign that seems to stand between levels where most cells have `separator` there."""
    tops = {_path(cell, separator)[0] for cell in cells if separator in cell}
    found: dict[str, list[str]] = {}
    for cell in cells:
        signs = [sign for sign in SIGNS if sign in cell.strip().strip(sign)] if separator not in cell else []
        if signs and _path(cell, signs[0])[0] in tops:
            found.setdefault(signs[0], []).append(cell)
    for sign, others in found.items():
        yield (
            f"{sum(cells[cell] for cell in others)} of {sum(cells.values())} label cells have {sign!r} and no "
            f"{separator!r}, as {others[0]!r:.80}; if that stands between levels, write {separator!r} there"
        )


def _path(cell: str, separator: str) -> tuple[str, ...]:
    return tuple(segment.strip() for segment in cell.split(separator))
