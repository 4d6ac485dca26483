"""What is wrong with a row's labels, said in terms of the hierarchy."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pipeline.labels.hierarchy import LabelHierarchy

SWAPPED_SIBLING, SWAPPED_BRANCH = "swapped sibling", "swapped branch"
MISSING_LEAF, MISSING_PARENT, SPURIOUS = "missing leaf", "missing parent", "spurious label"


class Doubt(NamedTuple):
    """One thing that is probably wrong with a row's labels.

    Attributes:
        kind: SWAPPED_SIBLING: another child of the same parent is meant. SWAPPED_BRANCH: a label elsewhere in the
            hierarchy is meant. MISSING_LEAF: a given label lacks its child. MISSING_PARENT: a label is missing, and
            so is its parent or it has none. SPURIOUS: the label is not meant.
        given: the deepest label that should go, None where nothing should.
        suggested: the deepest label that should come, None where nothing should.
    """

    kind: str
    given: str | None
    suggested: str | None

    def __str__(self) -> str:
        parts = " -> ".join(label for label in (self.given, self.suggested) if label)
        return f"{self.kind}: {parts}"


def label_doubts(hierarchy: LabelHierarchy, given: np.ndarray, suggested: np.ndarray) -> list[Doubt]:
    """How a row's labels differ from the suggested ones.

    A label that should go and one that should come make a pair, siblings first.

    Args:
        given, suggested: bool [labels], ancestors included.
    """
    goes = _deepest(hierarchy, given & ~suggested)
    comes = _deepest(hierarchy, suggested & ~given)
    doubts = []
    for siblings in (True, False):
        for label in list(goes):
            partner = next((new for new in comes if not siblings or _are_siblings(hierarchy, label, new)), None)
            if partner is not None:
                goes.remove(label)
                comes.remove(partner)
                kind = SWAPPED_SIBLING if siblings else SWAPPED_BRANCH
                doubts.append(Doubt(kind, hierarchy.labels[label], hierarchy.labels[partner]))
    doubts += [Doubt(SPURIOUS, hierarchy.labels[label], None) for label in goes]
    for label in comes:
        parents = hierarchy.parents_of(label)
        kind = MISSING_LEAF if parents and all(given[parent] for parent in parents) else MISSING_PARENT
        doubts.append(Doubt(kind, None, hierarchy.labels[label]))
    return doubts


def _are_siblings(hierarchy: LabelHierarchy, one: int, other: int) -> bool:
    above = [hierarchy.parents_of(label) for label in (one, other)]
    return not any(above) or not set(above[0]).isdisjoint(above[1])


def _deepest(hierarchy: LabelHierarchy, selected: np.ndarray) -> list[int]:
    """Positions of the labels of bool [labels] without a child among them."""
    return np.flatnonzero(selected & ~hierarchy.has_child_in(selected[None])[0]).tolist()
