"""The evaluation report: one HTML page that holds its data, styles and scripts and asks the network for nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline.files.atomic import atomic_writer
from pipeline.page import assemble

_PARTS = Path(__file__).parent / "report_page"
_STYLES = ("tables.css", "hierarchy.css", "charts.css", "cases.css", "narrow.css")
_SCRIPTS = (
    "messages.js",
    "overview.js",
    "levels.js",
    "tree.js",
    "slices.js",
    "sunburst.js",
    "hierarchy.js",
    "labels.js",
    "charts.js",
    "thresholds.js",
    "calibration.js",
    "promises.js",
    "cases.js",
    "confusions.js",
    "page.js",
)
_NOSCRIPT = "This report needs JavaScript. It makes no connection. 查看本报告需要启用 JavaScript，页面不会联网。"


def write_report(path: Path, evaluation: dict[str, Any]) -> None:
    """Write the report page of an evaluation.

    Args:
        path: the HTML file, replaced as a whole.
        evaluation: what `training.analysis.evaluation` gathers; every score in [0, 1], or None or NaN where there
            is none. Texts and labels may hold anything.

    Raises:
        OSError: the file cannot be written; one that was there is then unchanged.
    """
    with atomic_writer(path) as stream:
        stream.write(report_page(evaluation).encode("utf-8", "replace"))


def report_page(evaluation: dict[str, Any]) -> str:
    """The page's HTML."""
    styles, scripts = ([_PARTS / name for name in names] for names in (_STYLES, _SCRIPTS))
    return assemble(evaluation["title"], evaluation, styles, scripts, _NOSCRIPT)
