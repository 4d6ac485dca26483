"""Pages that are one file of HTML: their styles, scripts and data stand in them, and nothing else is let in.

The styles and scripts in this folder are those that all pages share.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.labels.hierarchy import SEPARATOR

SHARED = Path(__file__).parent
STYLES = ("theme.css", "parts.css", "page.css")
SCRIPTS = ("dom.js", "language.js")
# What would end the script element or the line, or cannot be written as UTF-8.
_UNSAFE_IN_SCRIPT = re.compile("[<>&\u2028\u2029\ud800-\udfff]")


def assemble(
    title: str, data: dict[str, Any], styles: Sequence[Path], scripts: Sequence[Path], noscript: str, connect: str = ""
) -> str:
    """The page's HTML.

    Args:
        title: of its window; any text.
        data: what the scripts find as `DATA`, beside the separator of label paths; any scores, texts and labels.
        styles, scripts: the page's own, after the shared ones. They become one script: each file may use what the
            others define, and the last one draws the page.
        noscript: what is shown without JavaScript.
        connect: what scripts may ask, as a Content-Security-Policy names it; nothing if not given.
    """
    style = "".join(_read(path) for path in [SHARED / name for name in STYLES] + list(styles))
    script = "".join(_read(path) for path in [SHARED / name for name in SCRIPTS] + list(scripts))
    script = '"use strict";\n(() => {\n' + script + "})();\n"
    values = {
        "policy": f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; "
        + (f"connect-src {connect}; " if connect else "")
        + "base-uri 'none'; form-action 'none'",
        "title": html.escape(title),
        "style": style,
        "noscript": html.escape(noscript),
        "data": _embedded({**data, "separator": SEPARATOR}),
        "script": script,
    }
    # In one pass, so that a text with braces of its own stays as it is.
    return re.sub(r"\{\{(\w+)\}\}", lambda match: values[match[1]], _read(SHARED / "template.html"))


def _read(path: Path) -> str:
    return path.read_text("utf-8")


def _digest(source: str) -> str:
    """The source's hash as a Content-Security-Policy names it: nothing but this very script or style is let in."""
    return "sha256-" + base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()


def _embedded(data: dict[str, Any]) -> str:
    """JSON that can stand inside a script element whatever its strings hold."""
    text = json.dumps(_plain(data), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
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
