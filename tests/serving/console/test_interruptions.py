"""The page while something goes wrong: a run is cancelled, the page is loaded anew, the console goes away."""

import pytest

from pipeline.files.dataset import read_texts
from tests.serving.console.running import Console, classify
from tests.serving.console.test_files import give

MANY = 3000


@pytest.fixture(scope="module")
def texts(sample_dataset):
    return list(read_texts(sample_dataset / "data.txt"))[:20]


def start(page, texts):
    """Begin to classify many texts, and wait until some are answered."""
    page.type("#input", "\n".join((texts * MANY)[:MANY]))
    page.click("#classify")
    page.wait_for("document.querySelector('progress').value > 0")


def test_a_run_is_cancelled_with_what_was_answered_kept(opened, texts):
    start(opened, texts)
    opened.click("#cancel")
    opened.wait_for("!document.getElementById('classify').disabled")
    said = opened.texts(".status")[0]
    assert said.startswith("Cancelled: ")
    done = int(said.split()[1].replace(",", ""))
    assert 0 < done < MANY
    assert opened.texts("#summary")[0].startswith(f"{done:,} texts")


def test_a_page_that_is_loaded_anew_in_the_middle_begins_again(opened, console, texts):
    start(opened, texts)
    opened.open(console.url)
    opened.wait_for("document.querySelector('progress')?.value > 0")
    opened.click("#cancel")
    opened.wait_for("!document.getElementById('classify').disabled")
    assert opened.texts("#found") == [f"{MANY:,} texts"]


def test_a_console_that_went_away_and_is_back_answers_on(browser, bundle_path, texts):
    with Console("--bundle", bundle_path) as first:
        browser.open(first.url)
        browser.wait_for("!!document.getElementById('input')")
        classify(browser, texts[:3])
    classify(browser, texts[:4])
    assert browser.texts(".notice")[-1].startswith("0 of 4 texts were classified; then: ")
    with Console("--bundle", bundle_path, "--port", first.port) as second:
        assert f":{first.port}" in second.said
        classify(browser, texts[:4])
        assert browser.texts("#summary")[0].startswith("4 texts")


def test_a_file_that_the_console_did_not_read_is_read_again(browser, bundle_path):
    with Console("--bundle", bundle_path) as first:
        browser.open(first.url)
        browser.wait_for("!!document.getElementById('input')")
    give(browser, [("a.txt", "裁员\n地震".encode())])
    assert "the console does not answer" in browser.texts("#files .notice")[0]
    with Console("--bundle", bundle_path, "--port", first.port):
        browser.click("#files .notice button")
        browser.wait_for("document.getElementById('found').textContent === '2 texts'")
        assert browser.texts("#files .notice") == []
