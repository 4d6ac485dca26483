"""Which answers are worth a look, in the page."""

import json
import math
import shutil
from collections import Counter
from dataclasses import replace

import pytest

from pipeline.files.bundle import Bundle, seal
from pipeline.files.dataset import read_texts
from tests.serving.console.running import Console, classify


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


def test_what_is_rarest_on_the_development_set_comes_first_and_says_why(opened, texts, bundle_path):
    page, console = opened
    odd = ["长" * 500, "☃ ☂ ☠ ✂ ✈", *texts[:5]]
    classify(page, [*texts, *odd])
    expected = console.ask("/model")[1]["expected"]
    assert expected == Bundle(bundle_path).manifest.training["data"]["traffic"]
    answers = console.ask("/scores", {"texts": [*texts, *odd]})[1]["answers"]
    labels = Counter(answer["bins"]["top_label"] for answer in answers) if "top_label" in expected else {}

    def rarity(feature, own):
        counts = expected[feature]
        name = own if own in counts else "## others"
        whole = sum(texts + 0.5 for texts in counts.values())
        rare = sum(texts + 0.5 for texts in counts.values() if texts <= counts[name]) / whole
        if feature != "top_label":
            return rare
        here = sum(texts for label, texts in labels.items() if (label if label in counts else "## others") == name)
        return rare / max(1, (here - 1) / (len(answers) - 1) / ((counts[name] + 0.5) / whole))

    def drift(answer):
        logs = [math.log(rarity(feature, own)) for feature, own in answer["bins"].items() if feature in expected]
        return min(logs) + 0.001 * sum(logs)

    drifts = {text: drift(answer) for text, answer in zip([*texts, *odd], answers)}
    assert [drifts[text] for text in order(page, "drifted")] == pytest.approx(sorted(map(drift, answers)))
    assert set(page.texts("ol.answers > li .text")[:2]) == set(odd[:2])
    assert page.texts("ol.answers .rare")[0].startswith("rare on the development set: up to ")
    assert page.evaluate("document.getElementById('order-hint').hidden") is False
    order(page, "asGiven")
    assert page.texts("ol.answers .rare") == []


def test_where_the_development_set_is_not_known_nothing_is_held_against_it(browser, bundle_path, tmp_path):
    shutil.copytree(bundle_path, tmp_path / "bundle")
    manifest = Bundle(bundle_path).manifest
    data = {name: value for name, value in manifest.training["data"].items() if name != "traffic"}
    seal(tmp_path / "bundle", replace(manifest, training={**manifest.training, "data": data}))
    with Console("--bundle", tmp_path / "bundle") as console:
        browser.open(console.url)
        browser.wait_for("!!document.getElementById('order')")
        assert browser.texts("#order option") == ["as given", "least sure first"]


@pytest.mark.parametrize("name", ["constructor", "__proto__"])
def test_a_label_named_as_what_every_object_has_is_another_label(browser, bundle_path, texts, tmp_path, name):
    manifest = Bundle(bundle_path).manifest
    labels = tuple(label.replace("组织关系", name) for label in manifest.labels)
    shutil.copytree(bundle_path, tmp_path / "bundle")
    traffic = {"top_label": {"## none": 0, "a": 200, "## others": 0}}
    training = {"data": {**manifest.training["data"], "traffic": traffic}}
    seal(tmp_path / "bundle", replace(manifest, labels=labels, goldens=(), training=training))
    with Console("--bundle", tmp_path / "bundle") as console:
        browser.open(console.url)
        browser.wait_for("!!document.getElementById('order')")
        classify(browser, texts)
        answered = [answer["labels"][0]["label"] for answer in console.ask("/classify", {"texts": texts})[1]["answers"]]
        assert name in answered
        order(browser, "drifted")
        assert not any(f"“{name}”" in said for said in browser.texts("ol.answers .rare"))
        assert any("another label" in said for said in browser.texts("ol.answers .rare"))
