"""The evaluation report: one HTML page that holds its data, styles and scripts and asks the network for nothing."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import math
import re
from pathlib import Path
from typing import Any

from pipeline.files.atomic import atomic_writer
from pipeline.labels.hierarchy import SEPARATOR

_PARTS = Path(__file__).parent / "report_page"
_STYLES = ("theme.css", "parts.css", "page.css", "tables.css", "hierarchy.css", "charts.css", "cases.css", "narrow.css")
# One script in the end: each file may use what the others define, and the last one draws the page.
_SCRIPTS = (
    "dom.js",
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
    "cases.js",
    "confusions.js",
    "page.js",
)
# What would end the script element or the line, or cannot be written as UTF-8.
_UNSAFE_IN_SCRIPT = re.compile("[<>&\u2028\u2029\ud800-\udfff]")


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
    style = "".join(_part(name) for name in _STYLES)
    script = '"use strict";\n(() => {\n' + "".join(_part(name) for name in _SCRIPTS) + "})();\n"
    values = {
        "policy": f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; "
        "base-uri 'none'; form-action 'none'",
        "title": html.escape(evaluation["title"]),
        "style": style,
        "evaluation": _embedded({**evaluation, "separator": SEPARATOR}),
        "script": script,
    }
    # In one pass, so that a text with braces of its own stays as it is.
    return re.sub(r"\{\{(\w+)\}\}", lambda match: values[match[1]], _part("template.html"))


def _part(name: str) -> str:
    return (_PARTS / name).read_text("utf-8")


def _digest(source: str) -> str:
    """The source's hash as a Content-Security-Policy names it: nothing but this very script or style is let in."""
    return "sha256-" + base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()


def _embedded(evaluation: dict[str, Any]) -> str:
    """JSON that can stand inside a script element whatever its strings hold."""
    text = json.dumps(_plain(evaluation), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return _UNSAFE_IN_SCRIPT.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _plain(value: Any) -> Any:
    """`value` in JSON's own types: numpy scalars and arrays unwrapped, None for what is no finite number."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
