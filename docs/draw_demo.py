"""Draw docs/pictures/demo.svg: a terminal with what README.md says that the demo prints.

python docs/draw_demo.py
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from html import escape
from pathlib import Path

DOCS = Path(__file__).resolve().parent
README, PICTURE = DOCS.parent / "README.md", DOCS / "pictures" / "demo.svg"
COMMAND = "make demo"
CHARACTER, LINE, LEFT, TOP = 9, 21, 20, 62
"""In pixels; a Chinese character is two characters wide."""
FONT = "ui-monospace, SFMono-Regular, Menlo, Consolas, monospace"
STYLE = "rect{fill:#161b22;stroke:#484f58}text{fill:#e6edf3;white-space:pre}.p{fill:#7ee787}"
LABEL = "What make demo prints: both servers, answers as trees, and scores"
BUTTONS = '<circle cx="22" cy="20" r="6" fill="#ff5f57"/><circle cx="42" cy="20" r="6" fill="#febc2e"/>'
BUTTONS += '<circle cx="62" cy="20" r="6" fill="#28c840"/>'


def printed() -> list[str]:
    """The lines of README's block, without the line of JSON."""
    block = re.search(r"```text\n(\.\.\.\nTriton .*?)```", README.read_text(encoding="utf-8"), flags=re.DOTALL)
    if block is None:
        raise SystemExit("README.md has no block with what the demo prints")
    return [line for line in block[1].splitlines() if not line.startswith("{")]


def picture() -> str:
    lines = [f"$ {COMMAND}", *printed()]
    width, height = 2 * LEFT + CHARACTER * max(map(columns, lines)), TOP + LINE * len(lines)
    size = f'viewBox="0 0 {width} {height}" font-family="{FONT}" font-size="15"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{LABEL}">'
    frame = f'<rect x="1" y="1" width="{width - 2}" height="{height - 2}" rx="8"/>{BUTTONS}'
    texts = [text for number, line in enumerate(lines) for text in drawn(line, TOP + LINE * number)]
    return "\n".join([head, f"<style>{STYLE}</style>", frame, *texts, "</svg>"]) + "\n"


def drawn(line: str, y: int) -> Iterator[str]:
    """A line's words, each at its place and of its width, whatever font is there."""
    prompt = ' class="p"' if line.startswith("$ ") else ""
    for word in re.finditer(r"[!-~]+(?: [!-~]+)*|[^ -~]+", line):
        x, length = LEFT + CHARACTER * columns(line[: word.start()]), CHARACTER * columns(word[0])
        yield f'<text{prompt} x="{x}" y="{y}" textLength="{length}">{escape(word[0])}</text>'


def columns(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(character) in "FW" else 1 for character in text)


if __name__ == "__main__":
    PICTURE.write_text(picture(), encoding="utf-8")
