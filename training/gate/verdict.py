"""What a candidate for release is measured by, and whether it may be released."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pipeline.errors import ClassifierError
from pipeline.labels.decoding import Decoder
from pipeline.metrics.sets import Metrics
from pipeline.options import Options, option

HALF = ("bfloat16", "float16")
CHECKPOINT = "the checkpoint"
BOTH, SINGLE, BULK = USES = ("both", "single", "bulk")


class NothingPasses(ClassifierError):
    """The gate refused every candidate, and nothing was written."""


@dataclass(frozen=True)
class Allowances(Options):
    """How far a candidate may differ from what it is compared with; falls in points (hundredths) of F1."""

    allowance_half: float = option(0.1, "points of micro F1 that bfloat16 and float16 may lose to float32", at_least=0)
    allowance_int8: float = option(0.5, "points of micro F1 that int8 may lose to float32", at_least=0)
    allowance_width: float = option(
        0.5, "points of micro F1 that any candidate may lie below the checkpoint", at_least=0
    )
    allowance_macro: float = option(
        1.0, "points of macro F1 that any candidate may lie below the checkpoint", at_least=0
    )
    agreement: float = option(
        99.5, "percent of the texts that must keep their float32 label set", at_least=0, at_most=100
    )


@dataclass(frozen=True)
class Quality:
    """How right a candidate is, and how like the model that it is to stand in for.

    Attributes:
        micro_f1, macro_f1, consistent_share: in [0, 1].
        agreement: share of the texts with the same label set as in float32 at the same width.
        checkpoint_agreement: share of the texts with the same label set as the checkpoint's.
        largest_difference: of a logit from float32 at the same width.
    """

    micro_f1: float
    macro_f1: float
    consistent_share: float
    agreement: float
    checkpoint_agreement: float
    largest_difference: float

    def losses(self, whole: Quality, compared: str = CHECKPOINT) -> str:
        """How far this lies below what it is compared with, in words."""

        def place(name: str) -> str:
            points = round(100 * (getattr(self, name) - getattr(whole, name)), 2)
            return f"{abs(points):.2f} points {'above' if points > 0 else 'below'}" if points else "equal to"

        return (
            f"micro F1 is {place('micro_f1')} and macro F1 {place('macro_f1')} {compared}'s, "
            f"{100 * self.checkpoint_agreement:.1f} % of the label sets are the same"
        )


@dataclass(frozen=True)
class Cost:
    """What a candidate takes.

    Attributes:
        milliseconds_1, milliseconds_32: per text, in batches of 1 and of 32; the median over the rounds.
        resident_bytes: of a process that has it loaded and has run it.
        file_bytes: of its graph, and of its linear part.
    """

    milliseconds_1: float
    milliseconds_32: float
    resident_bytes: int
    file_bytes: int


@dataclass
class Candidate:
    """One bundle in one runtime and one precision.

    Attributes:
        bundle: the folder's name, for people to read.
        width: share of the encoder that pruning has left.
        runtime, precision: of `pipeline.compute.runtimes`.
        quality, cost: what was measured; None where it could not be.
        refusal: why it may not be released; empty for one that may.
    """

    bundle: str
    width: str
    runtime: str
    precision: str
    quality: Quality | None = None
    cost: Cost | None = None
    refusal: str = ""

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON holds them."""
        return asdict(self)


def too_few(texts: int, allowances: Allowances) -> str:
    """What is to be said of a file with so few texts that one of them weighs more than a fall that is allowed."""
    weight, least = 100 / texts, min(allowances.allowance_int8, allowances.allowance_width, 100 - allowances.agreement)
    if weight <= least:
        return ""
    return (
        f"{texts} texts tell little: one of them is {weight:.1f} % of all, and differences of {least:g} are judged; "
        "measure on more"
    )


def measure_quality(
    decoder: Decoder, logits: np.ndarray, reference: np.ndarray, whole: np.ndarray, actual: np.ndarray
) -> Quality:
    """Compare logits with the logits of float32, the checkpoint's label sets, and the labels; all [texts, labels]."""
    selected, expected = decoder.decode(logits).selected, decoder.decode(reference).selected
    metrics = Metrics(decoder.hierarchy)
    metrics.update(actual, selected)
    scores = metrics.result()
    return Quality(
        micro_f1=scores["micro_f1"],
        macro_f1=scores["macro_f1"],
        consistent_share=scores["consistent_share"],
        agreement=float((selected == expected).all(axis=1).mean()),
        checkpoint_agreement=float((selected == whole).all(axis=1).mean()),
        largest_difference=float(np.abs(logits - reference).max()),
    )


def refusal(
    candidate: Candidate, same_width: float, unpruned: Quality, allowances: Allowances, compared: str = CHECKPOINT
) -> str:
    """Why a measured candidate may not be released; empty where it may.

    Args:
        same_width: micro F1 of float32 at its width.
        unpruned: the checkpoint itself, or whatever it is compared with.
        compared: what that is, in words.
    """
    assert candidate.quality is not None
    points = 100 * candidate.quality.micro_f1
    limits = {**dict.fromkeys(HALF, allowances.allowance_half), "int8": allowances.allowance_int8}
    fall, limit = 100 * same_width - points, limits.get(candidate.precision)
    if limit is not None and fall > limit:
        return f"micro F1 is {fall:.2f} points below float32's at this width, more than {limit:g}"
    same = 100 * candidate.quality.agreement
    if same < allowances.agreement:
        return f"only {same:.2f} % of the label sets are float32's, less than {allowances.agreement:g}"
    for name, allowed in (("micro", allowances.allowance_width), ("macro", allowances.allowance_macro)):
        fall = 100 * (getattr(unpruned, f"{name}_f1") - getattr(candidate.quality, f"{name}_f1"))
        if fall > allowed:
            return f"{name} F1 is {fall:.2f} points below {compared}'s, more than {allowed:g}"
    return ""


def best_refusal(candidates: Sequence[Candidate]) -> str:
    """Where nothing passed: why the most accurate that was measured did not; empty where none was."""
    measured = [(each.quality.micro_f1, each) for each in candidates if each.quality and each.refusal]
    if not measured:
        return ""
    _, best = max(measured, key=lambda pair: pair[0])
    return f"; the best, {best.bundle} in {best.runtime} {best.precision}: {best.refusal}"


def fastest_first(candidates: Sequence[Candidate], use: str) -> list[Candidate]:
    """Those that passed, the best for a use first.

    Args:
        use: SINGLE orders by latency at a batch size of 1 and BULK at 32. BOTH takes for each candidate how many times
            slower than the fastest it is at 1 and at 32, and orders by the larger of the two.
    """
    passed = [candidate for candidate in candidates if candidate.cost and not candidate.refusal]
    slowness = {id(candidate): times_slower(candidate, passed) for candidate in passed}

    def key(candidate: Candidate) -> float:
        single, bulk = slowness[id(candidate)]
        return {SINGLE: single, BULK: bulk}.get(use, max(single, bulk))

    return sorted(passed, key=key)


def times_slower(candidate: Candidate, passed: Sequence[Candidate]) -> tuple[float, float]:
    """How many times the latency of the fastest that passed a candidate takes, at batch sizes of 1 and of 32."""
    costs = [each.cost for each in passed if each.cost]
    assert candidate.cost is not None
    return (
        candidate.cost.milliseconds_1 / min(cost.milliseconds_1 for cost in costs),
        candidate.cost.milliseconds_32 / min(cost.milliseconds_32 for cost in costs),
    )


def chosen_for(use: str, passed: Sequence[Candidate]) -> str:
    """For which use the first was chosen, and what it takes in both, in words."""
    cost, slowness = passed[0].cost, times_slower(passed[0], passed)
    assert cost is not None
    single, bulk = (
        f"{milliseconds:.2f} ms {what} ({'the fastest' if times <= 1 else f'{times:.1f} times the fastest'})"
        for milliseconds, what, times in (
            (cost.milliseconds_1, "for a text alone", slowness[0]),
            (cost.milliseconds_32, "a text in batches of 32", slowness[1]),
        )
    )
    uses = {SINGLE: "single texts", BULK: "texts in bulk"}.get(use, "single texts and texts in bulk")
    return f"chosen for {uses}: {single}, {bulk}"
