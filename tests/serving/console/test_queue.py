"""Which answers are worth a look, in the page."""

import json
import math
import shutil
from dataclasses import replace

import pytest

from pipeline.files.bundle import Bundle, seal
from pipeline.files.dataset import read_texts
from tests.serving.console.running import Console


@pytest.fixture(scope="module")
def texts(sample_dataset):
    return list(dict.fromkeys(read_texts(sample_dataset / "data.txt")))[:40]


@pytest.fixture
def opened(browser, bundle_path, texts, tmp_path):
    """The page with texts that were answered, and the console behind it."""
    with Console("--bundle", bundle_path, "--feedback_file", tmp_path / "feedback.jsonl") as console:
        browser.open(console.url)
        browser.wait_for("!!document.getElementById('input')")
        browser.type("#input", "\n".join(texts))
        browser.click("#classify")
        browser.wait_for("!document.getElementById('classify').disabled")
        yield browser, console
        assert browser.faults == []


def order(page, chosen):
    page.evaluate(f"document.getElementById('order').value = {json.dumps(chosen)}")
    page.evaluate("document.getElementById('order').dispatchEvent(new Event('change'))")
    return page.texts("ol.answers > li .text")


def log_odds(score):
    return math.log(score / (1 - score))


def test_the_least_sure_texts_come_first(opened, texts):
    page, console = opened
    thresholds = console.ask("/model")[1]["thresholds"]
    answers = console.ask("/scores", {"texts": texts})[1]["answers"]
    sureness = {
        text: min(
            abs(log_odds(score) - log_odds(thresholds[column]))
            for column, score in zip(answer["columns"], answer["scores"])
        )
        for text, answer in zip(texts, answers)
    }
    assert page.texts("ol.answers > li .text") == texts
    assert order(page, "leastSure") == sorted(texts, key=sureness.get)
    assert order(page, "asGiven") == texts


def test_what_was_judged_leaves_the_queue(opened, texts):
    page, _ = opened
    least = order(page, "leastSure")
    page.type("#name", "Anna")
    page.click(".corrections .link", 0)
    page.wait_for("document.querySelector('.corrections .hint').textContent === 'kept: right'")
    page.click("#unjudged")
    assert page.texts("ol.answers > li .text") == least[1:]


def test_of_two_models_those_texts_come_first_on_which_they_are_farthest_apart(browser, bundle_path, texts, tmp_path):
    shutil.copytree(bundle_path, tmp_path / "other")
    manifest = Bundle(bundle_path).manifest
    thresholds = tuple(0.02 + 0.9 * column / len(manifest.labels) for column in range(len(manifest.labels)))
    seal(tmp_path / "other", replace(manifest, thresholds=thresholds))
    with Console("--bundle", bundle_path, "--compare", tmp_path / "other") as console:
        browser.open(console.url)
        browser.wait_for("!!document.getElementById('input')")
        browser.type("#input", "\n".join(texts))
        browser.click("#classify")
        browser.wait_for("!document.getElementById('classify').disabled")
        answers = [console.ask(path, {"texts": texts})[1]["answers"] for path in ("/scores", "/compared/scores")]

        def margin(answer, own, label):
            column = manifest.labels.index(label)
            scores = dict(zip(answer["columns"], answer["scores"]))
            return log_odds(scores.get(column, 0.01)) - log_odds(own[column])

        def distance(place):
            one, other = (each[place] for each in answers)
            shown = [{label["label"] for label in each["labels"]} for each in (one, other)]
            apart = (
                margin(one, manifest.thresholds, label) - margin(other, thresholds, label)
                for label in shown[0] ^ shown[1]
            )
            return max(map(abs, apart), default=0)

        expected = sorted(range(len(texts)), key=lambda place: -round(distance(place), 4))
        assert distance(expected[0]) > distance(expected[5]) > 0
        assert order(browser, "disagreement") == [texts[place] for place in expected]
