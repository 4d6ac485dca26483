"""The gate's table and its plot, to look at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from training.checkpoint.card_text import escape, markdown_table
from training.gate.verdict import Candidate

HEADINGS = (
    *(
        "bundle",
        "width",
        "runtime",
        "precision",
        "micro F1",
        "macro F1",
        "consistent",
        "float32's sets",
        "checkpoint's sets",
    ),
    *("max |d logit|", "ms, batch 1", "ms, batch 32", "memory MB", "files MB", "verdict"),
)
NAMED = 4  # first columns, of words; the others hold figures


def table(candidates: Sequence[Candidate], released: Candidate | None) -> str:
    """One line per candidate, columns aligned; a star marks the one that is released."""
    lines = [HEADINGS, *(_cells(candidate, candidate is released) for candidate in candidates)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADINGS) - 1)]
    return "\n".join("  ".join([*_aligned(line, widths), line[-1]]) for line in lines)


def markdown(candidates: Sequence[Candidate], released: Candidate | None) -> str:
    """The same for the model card."""
    rows = ([escape(cell) for cell in _cells(candidate, candidate is released)] for candidate in candidates)
    return markdown_table(HEADINGS, rows, named=NAMED)


def _aligned(line: Sequence[str], widths: Sequence[int]) -> list[str]:
    return [
        cell.ljust(width) if column < NAMED else cell.rjust(width)
        for column, (cell, width) in enumerate(zip(line, widths))
    ]


def _cells(candidate: Candidate, is_released: bool) -> tuple[str, ...]:
    quality, cost = candidate.quality, candidate.cost
    of_quality = (
        ("-",) * 6
        if quality is None
        else (
            f"{100 * quality.micro_f1:.2f}",
            f"{100 * quality.macro_f1:.2f}",
            f"{100 * quality.consistent_share:.2f}",
            f"{100 * quality.agreement:.2f}",
            f"{100 * quality.checkpoint_agreement:.2f}",
            f"{quality.largest_difference:.1e}",
        )
    )
    of_cost = (
        ("-",) * 4
        if cost is None
        else (
            f"{cost.milliseconds_1:.2f}",
            f"{cost.milliseconds_32:.2f}",
            f"{cost.resident_bytes / 1e6:.0f}",
            f"{cost.file_bytes / 1e6:.1f}",
        )
    )
    verdict = candidate.refusal or ("passed *" if is_released else "passed")
    return (candidate.bundle, candidate.width, candidate.runtime, candidate.precision, *of_quality, *of_cost, verdict)


def draw(candidates: Sequence[Candidate], released: Candidate | None, path: Path) -> None:
    """Micro F1 against latency at batch 32 as a PNG: a colour per runtime and precision, hollow where refused."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.add_subplot()
    axes.set(xlabel="ms per text in batches of 32", ylabel="micro F1 on dev, %", title="Candidates for release")
    axes.grid(alpha=0.3)
    kinds = list(dict.fromkeys((candidate.runtime, candidate.precision) for candidate in candidates))
    for number, kind in enumerate(kinds):
        shown = [candidate for candidate in candidates if (candidate.runtime, candidate.precision) == kind]
        for candidate in shown:
            if candidate.quality and candidate.cost:
                place = (candidate.cost.milliseconds_32, 100 * candidate.quality.micro_f1)
                face = "none" if candidate.refusal else f"C{number}"
                size = 140 if candidate is released else 45
                axes.scatter(*place, s=size, marker="o", edgecolors=f"C{number}", facecolors=face)
                axes.annotate(candidate.width, place, xytext=(5, 4), textcoords="offset points", fontsize=8)
        axes.scatter([], [], color=f"C{number}", label=" ".join(kind))
    axes.set_xlim(left=0)
    axes.legend(fontsize=8)
    FigureCanvasAgg(figure).print_png(str(path))
