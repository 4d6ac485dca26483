"""The pages as text: their headings and their code blocks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import PROJECT

ENGLISH, CHINESE = PROJECT / "docs" / "en", PROJECT / "docs" / "zh"
_FENCE = re.compile(r"^( *)```(\w*)[^\n]*\n(.*?)^ *```$", flags=re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block: where it stands, its language and its lines."""

    page: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(PROJECT)}:{self.line}"


def blocks(page: Path) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    for found in _FENCE.finditer(text):
        line = text.count("\n", 0, found.start()) + 1
        body = re.sub(f"^{found[1]}", "", found[3], flags=re.MULTILINE)
        yield Block(page, line, found[2], body)


def outline(page: Path) -> list[str]:
    """What a page is made of: `#` and `##` for headings, `|` for a table's row, `-`, `1.` and `>`, and `text`.

    A line that goes on with a paragraph or a list's entry does not count, nor do code blocks and their words.
    """
    found: list[str] = []
    before = ""
    for line in without_blocks(page.read_text(encoding="utf-8")).splitlines():
        mark = re.match(r"\s*(#+|-|\d+\.|>|!!!|<!--)(?= )|(\|)", line)
        if mark:
            found.append(re.sub(r"\d+", "1", mark[0].strip()))
        elif line.strip() and not before.strip():
            found.append("text")
        before = "" if line.startswith(("#", "!!!")) else line
    return found


def without_blocks(text: str) -> str:
    return _FENCE.sub("", text)
