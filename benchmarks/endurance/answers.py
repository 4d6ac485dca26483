"""What each version must answer to each kind of request, told by the predictor in process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from shutil import copytree

import numpy as np

from pipeline.compute.runtimes import AUTO
from pipeline.errors import InputError
from pipeline.files.bundle import Bundle, seal
from pipeline.files.manifest import Golden
from pipeline.labels.hierarchy import SEPARATOR
from pipeline.labels.request_options import DecoderChoice
from pipeline.predictor import Predictor
from pipeline.tensors import POLICY, THRESHOLD
from serving.golden import MARGIN

MARK = "B"
CHOICES: tuple[Mapping[str, object], ...] = ({}, {THRESHOLD: 0.3}, {POLICY: "threshold"}, {POLICY: "top_down"})
"""What requests choose for themselves."""
CONFIDENCE_TOLERANCE = 1e-3
"""In float32, as the contract between the servers says; elsewhere it is MARGIN."""
MOST_TEXTS = 400
LONG = 12
"""How often a text is repeated within itself to be longer than most models read."""


class Answers:
    """The label sets, confidences and scores that texts must get.

    Args:
        bundles: those that are published in turn; their identities name them.
        texts: candidates; those whose label set may depend on rounding, by any of CHOICES, are left out.
        runtime, precision: that Triton computes in.

    Attributes:
        short, long: the texts that are sent, short ones and those repeated within themselves.

    Raises:
        InputError: no text is left.
    """

    def __init__(
        self, bundles: Sequence[Bundle], texts: Sequence[str], runtime: str = AUTO, precision: str = AUTO
    ) -> None:
        short = list(dict.fromkeys(texts))[:MOST_TEXTS]
        long = [text * LONG for text in short[:: max(1, len(short) // 50)]]
        candidates, keep = short + long, np.ones(len(short) + len(long), bool)
        self._labels: dict[tuple[str, int], list[dict[str, float]]] = {}
        self._scores: dict[str, np.ndarray] = {}
        for bundle in bundles:
            predictor = Predictor(bundle, runtime, precision)
            logits, choose = predictor.logits(candidates), DecoderChoice(bundle.decoder())
            exact = predictor.precision == "float32"
            for number, choice in enumerate(CHOICES):
                decoder = choose(choice)
                decoded = decoder.decode(logits)
                keep &= np.abs(decoded.scores - decoder.thresholds).min(axis=1) >= MARGIN
                keep &= (decoded.scores >= decoder.thresholds).any(axis=1)
                self._labels[bundle.identity, number] = [dict(row) for row in decoded.predictions()]
                self._scores[bundle.identity] = decoded.scores
        self.tolerance = CONFIDENCE_TOLERANCE if exact else MARGIN
        self._rows = {text: row for row, text in enumerate(candidates) if keep[row]}
        self.short, self.long = ([text for text in each if text in self._rows] for each in (short, long))
        if not self.short or not self.long:
            raise InputError(
                f"of {len(candidates)} texts {len(self._rows)} have an answer that does not depend on rounding; give "
                "more --texts, or another bundle"
            )

    def fault(self, text: str, got: Mapping[str, float], choice: int, versions: frozenset[str]) -> str:
        """What is wrong with an answer, in words; nothing where one of the versions gives it.

        Args:
            got: confidences by label path.
            choice: which of CHOICES was asked for.
            versions: identities of the bundles that may have answered.
        """
        row, said = self._rows[text], ""
        for version in sorted(versions):
            wanted = self._labels[version, choice][row]
            if wanted.keys() == got.keys():
                worst = max((abs(wanted[label] - got[label]) for label in got), default=0.0)
                if worst <= self.tolerance:
                    return ""
                said = f"confidence differs by {worst:.4f}"
        return said or f"labels {', '.join(sorted(got)) or 'none'} for {text!r:.40} by {CHOICES[choice]}"

    def scores_fault(self, texts: Sequence[str], got: np.ndarray, versions: frozenset[str]) -> str:
        """As `fault`, of every label's score, float32 [texts, labels]."""
        rows = [self._rows[text] for text in texts]
        worst = min(np.abs(self._scores[version][rows] - got).max() for version in versions)
        return f"scores differ by {worst:.4f}" if worst > self.tolerance else ""


def relabelled(bundle: Bundle, folder: Path) -> Bundle:
    """`bundle` with every label path marked, so that any answer tells which of the two gave it."""
    copytree(bundle.path, folder)
    manifest = bundle.manifest

    def marked(label: str) -> str:
        return SEPARATOR.join(f"{MARK}{part}" for part in label.split(SEPARATOR))

    goldens = tuple(Golden(each.text, tuple(map(marked, each.labels))) for each in manifest.goldens)
    return seal(folder, replace(manifest, labels=tuple(map(marked, manifest.labels)), goldens=goldens))
