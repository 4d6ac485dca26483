"""Bounds that pages state are those of the code."""

from __future__ import annotations

import pytest

from pipeline.records import MOST_LEVELS
from serving.triton.front.bodies import MOST_DIMENSIONS
from serving.triton.front.door import _Handler
from serving.triton.server.options import TritonOptions
from tests.docs.pages import CHINESE, ENGLISH

SIZE, CHUNKS = f"{TritonOptions().request_bytes >> 20} MiB", f"{_Handler.most_chunks:,}"
STATED = {
    "reference/wire-format.md": (
        [
            f"{SIZE}, also once",
            f"{CHUNKS} chunks",
            f"{MOST_LEVELS} levels deep",
            f"at most {MOST_DIMENSIONS} dimensions",
        ],
        [f"最大 {SIZE}", f"{CHUNKS} 块", f"至多 {MOST_LEVELS} 层", f"至多 {MOST_DIMENSIONS} 维"],
    ),
    "how-to/secure.md": (
        [f"`--request_bytes`, {SIZE}", f"at most {MOST_DIMENSIONS} dimensions"],
        [f"`--request_bytes`，{SIZE}", f"至多 {MOST_DIMENSIONS} 维"],
    ),
}


@pytest.mark.parametrize("page", STATED)
def test_what_a_request_may_have(page):
    for folder, stated in zip((ENGLISH, CHINESE), STATED[page], strict=True):
        text = " ".join((folder / page).read_text(encoding="utf-8").split())
        assert [bound for bound in stated if bound not in text] == []
