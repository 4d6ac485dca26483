"""Labels as people write them: how they become label paths, and what looks as if it was not meant."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence

from pipeline.errors import InputError
from pipeline.labels.hierarchy import SEPARATOR, composed, parent_path, path_fault
from training.data.row_collector import surrogate_fault

SIGNS = ("->", "→", ">", "＞", "/", "／", "|", "｜", "\\", "::", "-")
"""What people write between levels, longer ones first."""
EMPTY_WORDS = frozenset(("nan", "none", "null", "n/a", "#n/a", "nat", "undefined"))
"""What programs write into a cell that is empty."""
MANY_LABELS, ENOUGH_ROWS = 1000, 20
SHOWN = 3
RARE_ROWS, OFTEN, SHORT_NAME = 2, 10, 4
"""A label with so few rows is held against those with so many times as many; shorter names may differ by one."""


def path_of(segments: Iterable[str]) -> str:
    """The label path of segments, from the top level down, in NFC; white space at their ends is removed.

    Raises:
        InputError: no dataset file can hold it.
    """
    path = composed(SEPARATOR.join(segment.strip().lstrip("\ufeff").strip() for segment in segments))
    fault = path_fault(path) or surrogate_fault(path)
    if fault:
        raise InputError(fault)
    return path


def notes(labels: Sequence[str]) -> Iterator[str]:
    """What a user should know of a data set's labels, all of which are given."""
    yield from _flat(labels)
    yield from near_doubles(labels)
    names = {label: label.split(SEPARATOR)[-1] for label in labels}
    if empty := [label for label, name in names.items() if name.casefold() in EMPTY_WORDS]:
        yield f"label {empty[0]!r} looks like what a program writes into an empty cell; empty those cells"
    if all(re.fullmatch(r"[\d.,]+", name) for name in names.values()):
        yield f"every label is a number, as {_some(labels)}: is there a column with names?"
    known = set(labels)
    mirrored = [label for label in labels if label < (turned := _turned(label)) and turned in known]
    if mirrored:
        yield (
            f"{mirrored[0]!r} and {_turned(mirrored[0])!r} are both labels: the levels stand in two orders; write the "
            "top level first in every row"
        )


def near_doubles(labels: Sequence[str]) -> Iterator[str]:
    """A sentence where labels differ in letter case or in the width of their characters alone."""
    alike: dict[str, list[str]] = {}
    for label in labels:
        alike.setdefault(unicodedata.normalize("NFKC", label).casefold(), []).append(label)
    # Of two labels with the same name below two that differ nothing more is to be said.
    pairs = [found for found in alike.values() if len({label.split(SEPARATOR)[-1] for label in found}) > 1]
    if pairs:
        shown = "; ".join(" and ".join(map(repr, found)) for found in pairs[:SHOWN]) + "; ..." * (len(pairs) > SHOWN)
        yield f"labels that differ in letter case or width alone: {shown}; if those are one, write it in one way"


def misspelt(labels: Sequence[str], counts: Mapping[str, int]) -> Iterator[str]:
    """A sentence where a rare label may be a frequent one beside it that was written wrongly.

    Args:
        labels: all of them.
        counts: rows by label.
    """
    siblings: dict[str | None, list[str]] = {}
    for label in labels:
        siblings.setdefault(parent_path(label), []).append(label)
    found = []
    for rare in (label for label in labels if counts[label] <= RARE_ROWS):
        often = [each for each in siblings[parent_path(rare)] if counts[each] >= OFTEN * counts[rare]]
        found += [(rare, each) for each in often if _is_slip(*(name.split(SEPARATOR)[-1] for name in (rare, each)))]
    if found:
        each = [
            f"{rare!r} ({counts[rare]:,} {'row' if counts[rare] == 1 else 'rows'}) and {often!r} ({counts[often]:,})"
            for rare, often in found[:SHOWN]
        ]
        shown = "; ".join(each) + "; ..." * (len(found) > SHOWN)
        yield f"labels that differ by a slip alone: {shown}; if those are one, write it in one way"


def _is_slip(one: str, other: str) -> bool:
    """Whether names differ in white space, or, if they are long, in a character, or two that changed places."""
    one, other = ("".join(name.split()).casefold() for name in (one, other))
    if one == other:
        return True
    if min(len(one), len(other)) < SHORT_NAME or abs(len(one) - len(other)) > 1 or any(map(str.isdigit, one + other)):
        return False
    same = len(os.path.commonprefix([one, other]))
    ends = one[same:], other[same:]
    behind = len(os.path.commonprefix([end[::-1] for end in ends]))
    left = [end[: len(end) - behind] for end in ends]
    return max(map(len, left)) <= 1 or (len(left[0]) == 2 and left[0] == left[1][::-1])


def _flat(labels: Sequence[str]) -> Iterator[str]:
    """A hint where no label has a parent, and names look like paths."""
    if any(SEPARATOR in label for label in labels):
        return
    for sign in SIGNS:
        holding = [label for label in labels if sign in label.strip(sign)]
        if len(holding) > 1 and 3 * len(holding) >= len(labels):
            yield (
                f"no label has a parent, and {len(holding)} of {len(labels)} contain {sign!r}, as {holding[0]!r}; if "
                f"that stands between levels, give --separator={_in_shell(sign)}"
            )
            return


def _in_shell(sign: str) -> str:
    return sign if sign in ("/", "-", "::", "→", "＞", "／", "｜") else f"'{sign}'"


def _turned(label: str) -> str:
    return SEPARATOR.join(reversed(label.split(SEPARATOR)))


def doubts(labels: Sequence[str], counts: Mapping[str, int], rows: int) -> Iterator[str]:
    """What is hardly meant, as sentences.

    Args:
        labels: all of them.
        counts: rows by label.
        rows: labelled rows.
    """
    parents = {parent_path(label) for label in labels}
    leaves = [label for label in labels if label not in parents]
    alone = sum(counts[label] == 1 for label in leaves)
    if len(labels) > MANY_LABELS or (rows >= ENOUGH_ROWS and 2 * alone > rows):
        yield (
            f"{len(labels):,} labels in {rows:,} rows, of which {alone:,} occur once, as {_some(leaves)}: is that the "
            "column of the labels?"
        )
    children: dict[str, list[str]] = {}
    for label in labels:
        top, *below = label.split(SEPARATOR)
        if len(below) == 1:
            children.setdefault(top, []).append(below[0])
    second = {name for names in children.values() for name in names}
    if len(children) > SHOWN and 2 * len(second) <= len(children) and all(len(each) == 1 for each in children.values()):
        shown = _some([f"{top}{SEPARATOR}{each[0]}" for top, each in children.items()])
        yield (
            f"each of the {len(children)} labels of the first level has one label below it, and those are only "
            f"{len(second)}, as {shown}: do the levels stand in the other order? The top level comes first"
        )


def _some(labels: Sequence[str]) -> str:
    return ", ".join(f"{label!r:.40}" for label in labels[:SHOWN]) + ", ..." * (len(labels) > SHOWN)
