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


def heading_levels(page: Path) -> list[int]:
    """1 for a line that begins with `# `, and so on; those in code blocks do not count."""
    text = without_blocks(page.read_text(encoding="utf-8"))
    return [len(marks) for marks in re.findall(r"^(#+) ", text, flags=re.MULTILINE)]


def without_blocks(text: str) -> str:
    return _FENCE.sub("", text)
