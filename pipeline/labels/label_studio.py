"""Label Studio's forms: its labelling configuration, and what an annotation or a prediction says of a text.

The labels are a Taxonomy, a tree of choices. An annotation holds the chosen ones as lists of names from the top down;
as people choose the deepest, these are all that is written, and readers add the ancestors. In a graph a label stands at
each of its paths, and any of them names it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

import numpy as np

from pipeline.errors import InputError
from pipeline.labels.hierarchy import SEPARATOR, LabelHierarchy, composed, parent_path
from pipeline.records import MOST_LEVELS

CONTROL, TEXT = "labels", "text"
"""Names of the control and of the text in the configuration that is written here; TEXT is the key of a task's data."""
TAXONOMY, CHOICES = "taxonomy", "choices"
"""Kinds of controls that a label can be chosen with."""
RESULT, SCORE, VERSION = "result", "score", "model_version"
SHOWN = 5
MOST_CHARACTERS, MOST_NAME_CHARACTERS, MOST_PATH_CHARACTERS = 4_000_000, 1000, 20_000_000
"""Of a configuration, of a choice's name, and of all paths: each of a choice's many children would repeat its name."""


@dataclass(frozen=True)
class Control:
    """What people choose labels with.

    Attributes:
        name: of the tag, which annotations bear as `from_name`.
        text_name: of the tag that shows the text, their `to_name`.
        kind: TAXONOMY or CHOICES.
        text_key: where a task's data holds the text.
        paths: the label paths that can be chosen.
    """

    name: str = CONTROL
    text_name: str = TEXT
    kind: str = TAXONOMY
    text_key: str = TEXT
    paths: frozenset[str] = frozenset()

    def check(self, hierarchy: LabelHierarchy) -> None:
        """Raise InputError where a label of the model cannot be chosen: the project has another configuration."""
        if missing := [label for label in hierarchy.labels if label not in self.paths]:
            shown = ", ".join(missing[:SHOWN]) + ", ..." * (len(missing) > SHOWN)
            raise InputError(
                f"{len(missing)} of {len(hierarchy)} labels of the model are no choice of {self.name!r} in the "
                f"project's labelling configuration: {shown}; write it anew from the model's label.txt"
            )

    def is_of(self, results: Sequence[Mapping[str, Any]]) -> bool:
        """Whether what an annotation holds says something of the labels: nothing at all says that none fits."""
        return not results or any(each.get("from_name") == self.name for each in results)

    def result(self, labels: Iterable[str]) -> list[dict[str, Any]]:
        """What an annotation with these label paths holds, of which only the deepest should be given."""
        chosen = [label.split(SEPARATOR) if self.kind == TAXONOMY else label for label in labels]
        if not chosen:
            return []
        return [{"from_name": self.name, "to_name": self.text_name, "type": self.kind, "value": {self.kind: chosen}}]


def configuration(hierarchy: LabelHierarchy, leaves_only: bool = False) -> str:
    """A labelling configuration, XML, in which the labels are a tree of choices.

    Args:
        hierarchy: of a graph, a label can be chosen at each path that label.txt lists.
        leaves_only: whether a label that has others below it cannot be chosen by itself.
    """
    view = ElementTree.Element("View")
    ElementTree.SubElement(view, "Text", name=TEXT, value=f"${TEXT}")
    attributes = {"name": CONTROL, "toName": TEXT, "showFullPath": "true", "pathSeparator": f" {SEPARATOR} "}
    attributes |= {"leafsOnly": "true"} if leaves_only else {}
    tags: dict[str | None, ElementTree.Element] = {None: ElementTree.SubElement(view, "Taxonomy", attributes)}
    for path in sorted(hierarchy.paths, key=lambda path: path.count(SEPARATOR)):  # label.txt may list a child first
        above = tags[parent_path(path)]
        tags[path] = ElementTree.SubElement(above, "Choice", value=path.rpartition(SEPARATOR)[2])
    ElementTree.indent(view)
    return ElementTree.tostring(view, encoding="unicode") + "\n"


def read_configuration(xml: str) -> Control:
    """The control of a labelling configuration by which labels are chosen.

    Raises:
        InputError: it is no XML, too large, or has not one Taxonomy or Choices of a text.
    """
    if len(xml) > MOST_CHARACTERS:
        raise InputError(
            f"the labelling configuration has {len(xml):,} characters; at most {MOST_CHARACTERS:,} are read"
        )
    if "<!" in xml.replace("<!--", ""):
        raise InputError("the labelling configuration declares XML entities or a document type; take that out")
    try:
        root = ElementTree.fromstring(xml)
    except (ElementTree.ParseError, ValueError) as error:  # the second of half a surrogate pair
        raise InputError(f"the labelling configuration is no XML: {error}") from None
    texts = {tag.get("name"): tag.get("value", "") for tag in root.iter("Text")}
    found = [tag for kind in ("Taxonomy", "Choices") for tag in root.iter(kind) if tag.get("toName") in texts]
    if len(found) != 1:
        raise InputError(
            f"the labelling configuration has {len(found)} Taxonomy or Choices tags of a text; one is needed, as "
            "training/label_studio.py --config writes it"
        )
    tag = found[0]
    value = texts[tag.get("toName")]
    if not value.startswith("$") or not tag.get("name"):
        raise InputError(
            f"the text of the labelling configuration is {value!r:.40}; a key of tasks, as $text, is needed"
        )
    kind = tag.tag.lower()
    paths = _paths_below(tag) if kind == TAXONOMY else map(_named, tag.iter("Choice"))
    return Control(tag.get("name", ""), tag.get("toName", ""), kind, value[1:], frozenset(map(composed, paths)))


def _paths_below(taxonomy: ElementTree.Element) -> Iterator[str]:
    level = [(choice, "") for choice in taxonomy.findall("Choice")]
    left = MOST_PATH_CHARACTERS
    for _ in range(MOST_LEVELS):
        below: list[tuple[ElementTree.Element, str]] = []
        for choice, above in level:
            path = above + _named(choice)
            left -= len(path)
            if left < 0:
                raise InputError(
                    f"the paths of the labelling configuration have more than {MOST_PATH_CHARACTERS:,} characters"
                )
            yield path
            prefix = path + SEPARATOR  # one string for all children
            below += [(each, prefix) for each in choice.findall("Choice")]
        level = below
    if level:
        raise InputError(f"the labelling configuration has choices in more than {MOST_LEVELS} levels")


def _named(choice: ElementTree.Element) -> str:
    """What annotations call a choice."""
    name = choice.get("alias") or choice.get("value") or ""
    if len(name) > MOST_NAME_CHARACTERS:
        raise InputError(
            f"a choice of the labelling configuration is called {name[:SHOWN]!r}... with {len(name):,} characters; at "
            f"most {MOST_NAME_CHARACTERS:,} are read"
        )
    return name


def chosen(value: Any, separator: str = SEPARATOR) -> list[list[str]]:
    """The labels that a value says, each as its names from the top down.

    Args:
        value: {"taxonomy": [["人生", "死亡"]]}, {"choices": ["人生##死亡"]}, a list of such, or a single choice: as a
            result in JSON, or a column of JSON-MIN or CSV holds it.
        separator: what stands between the levels of a choice that is no list.

    Raises:
        InputError: it is nothing of these, or a name contains `##`.
    """
    return [names for each in (value if isinstance(value, list) else [value]) for names in _chosen(each, separator)]


def _chosen(value: Any, separator: str) -> Iterator[list[str]]:
    if isinstance(value, str):
        if value.strip():
            yield _names(value.split(separator))
    elif isinstance(value, dict) and isinstance(words := value.get(CHOICES), list):
        for word in words:
            yield _names(word.split(separator) if isinstance(word, str) else word)
    elif isinstance(value, dict) and isinstance(lists := value.get(TAXONOMY), list):
        yield from map(_names, lists)
    else:
        raise InputError(f"{value!r:.60} is no choice of labels, as a Taxonomy or Choices gives it")


def _names(names: Any) -> list[str]:
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise InputError(f"{names!r:.60} is no path of a Taxonomy: a list of names is needed")
    if inside := next((name for name in names if SEPARATOR in name), None):
        raise InputError(f"the choice {inside!r} contains {SEPARATOR!r}, which separates levels; rename it")
    return names


def certainty(scores: np.ndarray, selected: np.ndarray) -> np.ndarray:
    """float64 [texts], the chance that a label set is right as a whole, by scores that are taken as independent.

    Label Studio can hand out the tasks with the lowest score first. On the development rows of two datasets this score
    put wrong answers to the front better than that of the least sure label, or of the one nearest to its threshold.

    Args:
        scores: float [texts, labels], calibrated.
        selected: bool [texts, labels], the label set.
    """
    right = np.where(selected, scores, 1 - scores).astype(np.float64)
    return np.exp(np.log(right.clip(1e-7)).sum(axis=1))


def predictions(
    control: Control, hierarchy: LabelHierarchy, answers: Sequence[Iterable[str]], scores: np.ndarray, version: str
) -> list[dict[str, Any]]:
    """What a model predicts, a prediction of Label Studio for each text.

    Args:
        answers: per text its label paths, ancestors included.
        scores: float [texts, labels].
        version: of the model, which Label Studio tells predictions apart by.
    """
    rows = [hierarchy.with_ancestors(labels) for labels in answers]
    sure = certainty(scores, hierarchy.matrix(rows))
    return [
        {
            RESULT: control.result(hierarchy.labels[position] for position in hierarchy.deepest(sorted(row))),
            SCORE: float(score),
            VERSION: version,
        }
        for row, score in zip(rows, sure)
    ]
