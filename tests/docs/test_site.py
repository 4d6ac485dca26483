"""The built pages: no dead link, nothing from the network, and a search that finds words in both languages."""

from __future__ import annotations

import functools
import http.server
import os
import re
import subprocess
import threading

import pytest

from tests.browser import Browser, find_browser
from tests.conftest import PROJECT

MKDOCS = PROJECT / ".venv-docs" / "bin" / "mkdocs"
FIELD = "[data-md-component=search-query]"
FOREIGN = re.compile(r"""<(?:script|link|img|iframe)\b[^>]*(?:src|href)=["'](?:https?:)?//""")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The pages, built strictly."""
    if not MKDOCS.exists():
        pytest.skip("there is no .venv-docs; make docs makes it")
    folder = tmp_path_factory.mktemp("site")
    words = [MKDOCS, "build", "--strict", "--site-dir", folder]
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(words, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


@pytest.fixture
def address(site):
    """Where the pages are served."""
    handler = functools.partial(Quiet, directory=site)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_pages_ask_nobody_else_for_anything(site):
    wrong = [str(page) for page in site.rglob("*.html") if FOREIGN.search(page.read_text(encoding="utf-8"))]
    assert not wrong


@pytest.mark.parametrize(
    ("place", "words", "found"),
    [("/", "packed graph", "/concepts/packing/"), ("/zh/", "阈值", "/zh/concepts/thresholds/")],
)
def test_the_search_finds_words(address, tmp_path, place, words, found):
    if not find_browser():
        pytest.skip("there is no Chromium")
    with Browser(find_browser(), tmp_path) as browser:
        browser.open(f"{address}{place}")
        browser.wait_for(f"!!document.querySelector('{FIELD}')")
        browser.evaluate(f"document.querySelector('{FIELD}').focus()")
        typed = f"field.value = {words!r}; field.dispatchEvent(new Event('keyup', {{bubbles: true}}))"
        answers = "[...document.querySelectorAll('.md-search-result__item a')].map((link) => link.href).join()"
        browser.wait_for(f"(() => {{ const field = document.querySelector('{FIELD}'); {typed}; return {answers} }})()")
        assert found in browser.evaluate(answers)
        assert not [asked for asked in browser.requests if not asked.startswith(("data:", address))]
