"""Changes of labels, one after the other: which labels there are then, and what becomes of the old ones."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import DatasetError, InputError
from pipeline.files.lines import read_lines
from pipeline.labels.hierarchy import SEPARATOR, LabelHierarchy, ancestor_paths, composed, parent_path, path_fault
from pipeline.output import counted
from training.data.row_collector import surrogate_fault

RENAME, MOVE, MERGE, DROP, ADD = "rename", "move", "merge", "drop", "add"
FORMS: Mapping[str, tuple[str, ...]] = {
    RENAME: ("OLD", "NEW"),
    MOVE: ("PATH", "NEW_PARENT"),
    MERGE: ("FROM", "INTO"),
    DROP: ("PATH",),
    ADD: ("PATH",),
}
"""What follows the first word of a change."""
_SHOWN = 3


@dataclass(frozen=True)
class Change:
    """One change: a word of FORMS, the label path that it is about, and its second path, if it has one."""

    verb: str
    path: str
    target: str = ""

    @property
    def words(self) -> list[str]:
        """The change as it is typed."""
        return [self.verb, self.path, self.target][: 1 + len(FORMS[self.verb])]

    def __str__(self) -> str:
        verb, *paths = self.words
        return " ".join([verb, *map(repr, paths)])


def read_change(words: Sequence[str]) -> Change:
    """A change from its words; raises InputError where they are none."""
    verb, *paths = words
    if verb not in FORMS:
        forms = "; ".join(" ".join((known, *names)) for known, names in FORMS.items())
        raise InputError(f"{verb!r:.40} is no change of labels; give one of: {forms}")
    names = FORMS[verb]
    if len(paths) != len(names):
        raise InputError(
            f"{verb} takes {' and '.join(names)}, not {counted(len(paths), 'word')}; put a path with spaces in quotes"
        )
    for path in paths:
        if fault := surrogate_fault(path):
            raise InputError(fault)
    return Change(verb, *map(composed, paths))


def read_changes(path: Path) -> list[Change]:
    """The changes in a file, one a line, their words separated by tabs; blank lines and lines after `#` say nothing.

    Raises:
        InputError: the file cannot be read, or holds no change.
        DatasetError: a line is none.
    """
    changes = []
    for number, line in read_lines(path):
        if not line.strip() or line.startswith("#"):
            continue
        words = line.split("\t")
        if words[0] == MOVE and len(words) == 2:  # editors take white space from the end of a line
            words.append("")
        try:
            changes.append(read_change(words))
        except InputError as error:
            raise DatasetError(path, number, f"{error}; tabs separate the words") from error
    if not changes:
        raise InputError(f"{path} holds no change of labels; write one a line, such as drop, a tab, and a label path")
    return changes


def additions(paths: Iterable[str]) -> list[Change]:
    """The addition of labels, parents before their children; raises InputError where there are none, or one twice."""
    paths = list(map(composed, paths))
    if not paths:
        raise InputError("add takes the paths of the labels to be added")
    if len(set(paths)) < len(paths):
        raise InputError(f"add {max(paths, key=paths.count)!r}: the label is named twice; name it once")
    return [read_change([ADD, path]) for path in sorted(paths, key=lambda path: path.count(SEPARATOR))]


class Labels:
    """The labels of a model while they are changed.

    Attributes:
        paths: the labels, in the order that they had; those that went are left out.
        columns: of each, the column that it had at the beginning, [labels]; those that were added follow after these.
        destinations: by each label of the beginning, the label that its rows have now; None where they have none of
            its tree.
    """

    def __init__(self, hierarchy: LabelHierarchy) -> None:
        if hierarchy.is_graph:
            raise InputError(
                "the labels form a graph, and are changed in the dataset: edit label.txt and graph.txt, and train with "
                "--init_from_ckpt, which keeps what the model knows of labels that stay"
            )
        self.paths = list(hierarchy.labels)
        self.columns = list(range(len(self.paths)))
        self.destinations: dict[str, str | None] = {path: path for path in self.paths}

    @property
    def hierarchy(self) -> LabelHierarchy:
        """The labels as they are now."""
        return LabelHierarchy(self.paths)

    def apply(self, changes: Iterable[Change]) -> None:
        """Make the changes, one after the other.

        Raises:
            InputError: one cannot be made; the message quotes it. Nothing is said of those after it.
        """
        for change in changes:
            try:
                if change.verb != ADD:
                    self._known(change.path)
                _MAKE[change.verb](self, change)
                _ = self.hierarchy
            except InputError as error:
                raise InputError(f"{change}: {error}") from error

    def rename(self, change: Change) -> None:
        old, new = change.path, change.target
        self._check_new(new)
        if (above := parent_path(old)) != parent_path(new):
            name = new.rpartition(SEPARATOR)[2]
            kept = SEPARATOR.join(filter(None, (above, name)))
            raise InputError(f"a label keeps its parent when it is renamed; give {kept!r}, or move it")
        self._let_begin(old, new)

    def move(self, change: Change) -> None:
        path, above = change.path, change.target
        if above == path or path in ancestor_paths(above):
            raise InputError("a label cannot stand below itself; give another parent")
        if lacking := [each for each in (above, *ancestor_paths(above)) if each and each not in self.paths]:
            shown = ", ".join(map(repr, reversed(lacking)))
            raise InputError(
                f"the model has no {shown}, and a label takes training: move it below one that is there, or train with "
                f"--init_from_ckpt on a dataset that has it{self._near(above)}"
            )
        new = SEPARATOR.join(filter(None, (above, path.rpartition(SEPARATOR)[2])))
        if new == path:
            raise InputError(f"it stands below {above!r} already" if above else "it stands on the top level already")
        self._check_new(new)
        self._let_begin(path, new)

    def merge(self, change: Change) -> None:
        path, into = change.path, change.target
        self._known(into)
        if path == into:
            raise InputError("a label cannot be merged into itself; give another one")
        if below := self._below(path)[1:]:
            shown = ", ".join(map(repr, below[:_SHOWN])) + ", ..." * (len(below) > _SHOWN)
            raise InputError(f"{counted(len(below), 'label')} would lose {path!r}: move, merge or drop first {shown}")
        self._leave([path], into)

    def drop(self, change: Change) -> None:
        gone = self._below(change.path)
        if len(gone) == len(self.paths):
            raise InputError("no label would be left, and a model needs one")
        self._leave(gone, parent_path(change.path))

    def add(self, change: Change) -> None:
        if change.path in self.paths:
            raise InputError(f"there is a label {change.path!r} already; further rows teach it by training")
        self._check_new(change.path)
        self.columns.append(max(len(self.destinations), *(column + 1 for column in self.columns)))
        self.paths.append(change.path)

    def _below(self, path: str) -> list[str]:
        """A label and all below it."""
        return [path, *(each for each in self.paths if each.startswith(path + SEPARATOR))]

    def _let_begin(self, old: str, new: str) -> None:
        """Give a label and all below it another beginning."""
        names = {each: new + each[len(old) :] for each in self._below(old)}
        self.paths = [names.get(each, each) for each in self.paths]
        self.destinations = {path: names.get(now or "", now) for path, now in self.destinations.items()}

    def _leave(self, gone: list[str], heir: str | None) -> None:
        """Take labels away; their rows get `heir` instead, where there is one."""
        left = set(gone)
        self.columns = [column for path, column in zip(self.paths, self.columns) if path not in left]
        self.paths = [path for path in self.paths if path not in left]
        self.destinations = {path: heir if now in left else now for path, now in self.destinations.items()}

    def _known(self, path: str) -> None:
        if path not in self.paths:
            raise InputError(f"the model has no label {path!r}{self._near(path) or '; label.txt lists its labels'}")

    def _near(self, path: str) -> str:
        """Labels that may be meant, for a message: with nearly the same path, or the same name elsewhere."""
        name = path.rpartition(SEPARATOR)[2]
        alike = [*difflib.get_close_matches(path, self.paths, _SHOWN)]
        alike += [each for each in self.paths if each.rpartition(SEPARATOR)[2] == name and each not in alike]
        return f"; did you mean {' or '.join(map(repr, alike[:_SHOWN]))}?" if alike else ""

    def _check_new(self, path: str) -> None:
        if fault := path_fault(path):
            raise InputError(fault)
        if path in self.paths:
            raise InputError(f"there is a label {path!r} already; merge lets the rows of one count for the other")


_MAKE = {RENAME: Labels.rename, MOVE: Labels.move, MERGE: Labels.merge, DROP: Labels.drop, ADD: Labels.add}


def notes(changes: Sequence[Change]) -> list[str]:
    """What a change without training cannot do, a sentence for each that has such a limit."""
    said = []
    for change in changes:
        if change.verb == MERGE:
            said.append(
                f"note: {change.target!r} keeps its own scores, and those of {change.path!r} are gone: no single "
                "column gives what two gave; train on the rewritten rows, or lower its threshold"
            )
        elif change.verb == MOVE and change.target:
            said.append(
                f"note: {change.target!r} has not learnt from the texts of {change.path!r}: its scores are as they "
                "were; train on the rewritten rows"
            )
        elif change.verb == ADD:
            said.append(
                f"note: {change.path!r} was added by its examples alone, and dev.txt has no row of it: label some to "
                "measure it; labels that were there say of its texts what they said before, until you train"
            )
    return said
