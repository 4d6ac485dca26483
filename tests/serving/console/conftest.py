from collections.abc import Iterator

import pytest

from tests.serving.console.running import Console


@pytest.fixture(scope="session")
def console(bundle_path) -> Iterator[Console]:
    """A console that answers by a bundle."""
    with Console("--bundle", bundle_path) as running:
        yield running


@pytest.fixture
def opened(browser, console):
    """The page, empty; it must not have complained by the end, and have asked its own server alone."""
    browser.open(f"{console.url}health")  # of the same origin, and without scripts
    browser.evaluate("sessionStorage.clear()")
    browser.open(console.url)
    browser.wait_for("!!document.getElementById('input')")
    yield browser
    assert browser.faults == []
    own = f"{console.url.rstrip('/')}/", f"blob:{console.url}"
    assert [request for request in browser.requests if not request.startswith(own)] == []
