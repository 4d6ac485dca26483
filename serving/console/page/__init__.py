"""The console's page: one file of HTML, which asks its own server and nobody else."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from pipeline.page import assemble

_PARTS = Path(__file__).parent
_STYLES = ("console.css",)
_SCRIPTS = (
    "messages.js",
    "problems.js",
    "decoding.js",
    "asking.js",
    "files/messages.js",
    "files/downloads.js",
    "files/list.js",
    "compare/messages.js",
    "compare/compare.js",
    "state.js",
    "texts.js",
    "settings.js",
    "corrections.js",
    "queue/messages.js",
    "queue/queue.js",
    "queue/kept.js",
    "answers.js",
    "model/messages.js",
    "model/card.js",
    "model/tree.js",
    "model/traffic.js",
    "page.js",
)
_NOSCRIPT = "The console needs JavaScript. 控制台需要启用 JavaScript。"


@cache
def console_page() -> str:
    """The page's HTML; it holds nothing of the model."""
    styles, scripts = ([_PARTS / name for name in names] for names in (_STYLES, _SCRIPTS))
    return assemble("Text classifier", {}, styles, scripts, _NOSCRIPT, connect="'self'")


def page_headers() -> list[tuple[bytes, bytes]]:
    """What every answer of the console bears, so that no other site shows or reads it."""
    return [
        (b"content-security-policy", b"frame-ancestors 'none'"),
        (b"cross-origin-resource-policy", b"same-origin"),
        (b"x-content-type-options", b"nosniff"),
        (b"referrer-policy", b"no-referrer"),
        (b"cache-control", b"no-store"),
    ]
