"""Messages that a page quotes are those that a reader of the file would get."""

from __future__ import annotations

import re

import pytest

from pipeline.errors import InputError
from pipeline.files.dataset import read_examples, read_labels
from tests.docs.pages import ENGLISH

LABELS = [*(f"标签{number}" for number in range(6)), "组织行为", "组织行为##罢工"]
WRONG = {
    "train.txt:17": "工人举行集会\t组织行为##罢公",
    "train.txt:3": "工人举行集会 组织行为",
    "label.txt:9": "组织关系##裁员",
    "dev.txt:1": "工人举行集会\t组织行为",
}
"""The line that is wrong; that of dev.txt by its encoding."""
PAGE = (ENGLISH / "tutorials" / "your-data.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("message", re.findall(r"^error: (.*)", PAGE, flags=re.MULTILINE))
def test_quoted_messages(message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    place = re.match(r"data/([\w.]+:\d+): ", message)[1]
    name, number = place.split(":")
    before = LABELS if name == "label.txt" else [f"第{row}条\t组织行为" for row in range(1, int(number))]
    files = {"label.txt": LABELS, name: [*before, WRONG[place]]}
    for file, lines in files.items():
        encoding = "utf-16" if "UTF-16" in message and file == name else "utf-8"
        (tmp_path / "data" / file).write_text("\n".join(lines) + "\n", encoding=encoding)
    with pytest.raises(InputError) as caught:
        hierarchy = read_labels("data/label.txt")
        list(read_examples(f"data/{name}", hierarchy))
    assert str(caught.value) == message
