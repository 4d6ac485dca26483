"""Text and tables in Markdown, whatever they hold."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

from pipeline.output import shortened

SHOWN_CHARACTERS = 80
_SPECIAL = re.compile(r"""[\\`*_{}\[\]<>()#+!|&~$^=:@"']|(?i:(?<=www)\.)""")


def escape(text: str) -> str:
    """`text` as Markdown that shows it, in a line of its own or in a table, and does nothing else; long ones are cut.

    Control characters, and those that turn the direction of writing, become U+FFFD.
    """
    hidden = ("Cc", "Cs", "Zl", "Zp")
    shown = "".join(
        "\ufffd" if unicodedata.category(c) in hidden or unicodedata.bidirectional(c) in _TURNING else c for c in text
    )
    return _SPECIAL.sub(lambda found: f"\\{found[0]}", shortened(shown, SHOWN_CHARACTERS))


_TURNING = ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")


def markdown_table(headings: Sequence[str], rows: Iterable[Sequence[str]], named: int = 1) -> str:
    """A table of cells that are Markdown already; the columns after the `named` first ones are of figures."""
    lines = [headings, [*["---"] * named, *["--:"] * (len(headings) - named)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
