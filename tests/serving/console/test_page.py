"""The console's page, in a real browser."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.files.bundle import EXAMPLES_FILE, Bundle, seal
from pipeline.files.dataset import read_examples, read_texts, write_examples
from pipeline.files.feedback import read_feedback
from pipeline.labels.promises import Promise
from serving.console import page as page_room
from serving.console.page import console_page
from tests.serving.console.running import Console, classify
from tests.serving.tiny_model import eventually

HOSTILE = "<img src=x onerror='window.attacked = 1'></script><script>window.attacked = 1</script>"


@pytest.fixture(scope="module")
def texts(sample_dataset):
    return list(read_texts(sample_dataset / "data.txt"))[:60]


def shown(page):
    """Per text of the page its labels and confidences."""
    row = "[row.querySelector('.path').title, row.querySelector('.number').textContent]"
    rows = page.evaluate(
        "[...document.querySelectorAll('ol.answers > li')].map((item) =>"
        f" [...item.querySelectorAll('.row')].map((row) => {row}))"
    )
    return [sorted(map(tuple, row)) for row in rows]


def asked(console, texts, **options):
    answers = console.ask("/classify", {"texts": texts, **options})[1]["answers"]
    readable = [
        [(each["label"].replace("##", " › "), f"{each['confidence']:.2f}") for each in answer["labels"]]
        for answer in answers
    ]
    return [sorted(row) for row in readable]


def test_texts_are_answered_as_programs_are(opened, console, texts):
    classify(opened, texts[:20])
    assert shown(opened) == asked(console, texts[:20])
    assert opened.texts("#found") == ["20 texts"]


@pytest.mark.parametrize("policy", ["threshold", "ancestors", "top_down", "single_path"])
def test_what_is_moved_acts_at_once_as_the_server_would_answer(opened, console, texts, policy):
    classify(opened, texts[:40])
    before = len(opened.requests)
    for threshold, top_k in ((0.03, None), (0.2, 2), (0.9, 1)):
        opened.evaluate(f"document.getElementById('policy').value = {json.dumps(policy)}")
        opened.evaluate("document.getElementById('policy').dispatchEvent(new Event('change'))")
        opened.type("#threshold", str(threshold))
        opened.type("#top_k", str(top_k or ""))
        options = {"policy": policy, "threshold": threshold, **({"top_k": top_k} if top_k else {})}
        assert shown(opened) == asked(console, texts[:40], **options)
    assert len(opened.requests) == before
    opened.click("#reset")
    assert shown(opened) == asked(console, texts[:40])


def test_only_promised_labels_are_what_a_request_with_that_promise_gets(browser, bundle_path, texts, tmp_path):
    manifest = Bundle(bundle_path).manifest
    promises = (Promise(0.9, (0.6, 0.5)), Promise(0.95, (0.9,)))
    shutil.copytree(bundle_path, tmp_path / "bundle")
    seal(tmp_path / "bundle", replace(manifest, promises=promises))
    with Console("--bundle", tmp_path / "bundle") as console:
        browser.open(console.url)
        browser.wait_for("!!document.getElementById('promise')")
        classify(browser, texts[:20])
        marks = len(browser.texts(".promised"))
        given = console.ask("/classify", {"texts": texts[:20]})[1]["answers"]
        assert marks == sum(label["promised"] > 0 for answer in given for label in answer["labels"]) > 0
        for precision in (0.9, 0.95):
            browser.evaluate(f"document.getElementById('promise').value = '{precision}'")
            browser.evaluate("document.getElementById('promise').dispatchEvent(new Event('change'))")
            assert shown(browser) == asked(console, texts[:20], promise=precision)


@pytest.mark.parametrize("policy", ["top_down", "single_path"])
def test_of_a_model_with_labels_that_were_added_the_server_decodes(browser, bundle_path, texts, tmp_path, policy):
    manifest = Bundle(bundle_path).manifest
    leading = tuple(label for label in manifest.labels if "##" in label)[::3]
    shutil.copytree(bundle_path, tmp_path / "bundle")
    seal(tmp_path / "bundle", replace(manifest, decoding=replace(manifest.decoding, leading=leading)))
    with Console("--bundle", tmp_path / "bundle") as console:
        browser.open(console.url)
        browser.wait_for("!!document.getElementById('policy')")
        classify(browser, texts[:20])
        browser.evaluate(f"document.getElementById('policy').value = '{policy}'")
        browser.evaluate("document.getElementById('policy').dispatchEvent(new Event('change'))")
        browser.type("#threshold", "0.05")
        wanted = asked(console, texts[:20], policy=policy, threshold=0.05)
        eventually(lambda: shown(browser) == wanted)
        assert shown(browser) == wanted


def test_nothing_is_lost_by_reloading(opened, console, texts):
    classify(opened, texts[:3])
    opened.type("#threshold", "0.1")
    before = shown(opened)
    opened.open(console.url, width=390, dark=True, language="zh-CN")
    opened.wait_for("document.querySelectorAll('ol.answers > li').length === 3")
    assert shown(opened) == before
    assert opened.texts("h1") == ["试用模型"]
    assert opened.fits(390)


def test_the_words_that_carry_a_label_are_marked(opened, console):
    text = "🚀 某公司宣布裁员两千人"
    classify(opened, [text])
    opened.click(".why")
    opened.wait_for("!document.querySelector('.why')")
    given = console.ask("/classify", {"texts": [text], "explain": True})[1]["answers"][0]["explanation"]["labels"]
    assert len(given) > 1
    for row, path in enumerate(
        opened.evaluate("[...document.querySelectorAll('.row .path')].map((each) => each.title)")
    ):
        opened.point(".row", row)
        (words,) = [each["words"] for each in given if each["label"] == path.replace(" › ", "##")]
        assert opened.texts("ol.answers mark") == [
            word["text"] for word in sorted(words, key=lambda word: word["start"])
        ]
        assert opened.texts("ol.answers .text") == [text]


def test_training_rows_that_a_text_is_like_stand_below_its_labels(browser, bundle_path, sample_dataset, tmp_path):
    bundle, folder = Bundle(bundle_path), tmp_path / "bundle"
    rows = list(read_examples(sample_dataset / "train.txt", bundle.hierarchy))[:500]
    shutil.copytree(bundle_path, folder)
    write_examples(folder / EXAMPLES_FILE, rows, bundle.hierarchy)
    seal(folder, replace(bundle.manifest, examples=len(rows)))
    text = "某公司宣布裁员两千人"
    with Console("--bundle", folder) as console:
        browser.open(console.url)
        browser.wait_for("!!document.getElementById('input')")
        classify(browser, [text])
        browser.click(".why")
        browser.wait_for("!document.querySelector('.why')")
        (given,) = console.ask("/classify", {"texts": [text], "explain": True})[1]["answers"]
    deepest = given["explanation"]["labels"][-1]
    wanted = [f"{row['text']} {row['similarity']:.2f}" for row in deepest["neighbours"]]
    assert browser.texts(".near li") == wanted != []
    assert deepest["label"].replace("##", " › ") in browser.texts(".near .hint")[0]


def test_what_an_owner_of_the_labels_says_is_kept(browser, bundle_path, texts, tmp_path):
    with Console("--bundle", bundle_path, "--feedback_file", tmp_path / "feedback.jsonl") as console:
        browser.open(console.url)
        browser.wait_for("!!document.getElementById('input')")
        classify(browser, texts[:2])
        browser.click(".corrections .link", 0)
        assert browser.texts(".corrections .hint")[0].startswith("Give your name first")
        browser.type("#name", "安娜")
        browser.click(".corrections .link", 0)
        browser.wait_for("document.querySelector('.corrections .hint').textContent === 'kept: right'")
        browser.click(".corrections .link", 5)  # the second text's "Should be"
        for place in range(len(browser.texts(".chips button")), 0, -1):
            browser.click(".chips button", place - 1)
        browser.type(".picker input", "裁员")
        browser.wait_for("!!document.querySelector('.found button')")
        browser.click(".found button")
        browser.click(".picker .main")
        browser.wait_for("document.querySelectorAll('.corrections .hint')[1].textContent === 'kept: other labels'")
        answers = [answer["labels"] for answer in console.ask("/classify", {"texts": texts[:2]})[1]["answers"]]
    right, other = read_feedback(tmp_path / "feedback.jsonl")
    assert (right.who, right.text, right.labels) == ("安娜", texts[0], tuple(each["label"] for each in answers[0]))
    assert (other.text, other.labels) == (texts[1], ("组织关系##裁员",))


def test_texts_are_texts_whatever_they_hold(opened):
    classify(opened, [HOSTILE])
    assert opened.texts("ol.answers .text") == [HOSTILE]
    assert opened.evaluate("window.attacked") is None


def test_a_text_that_is_refused_says_why_and_the_others_are_answered(opened, texts):
    classify(opened, [texts[0], "\u200b", *texts[1:3]])
    opened.faults.clear()  # the browser's own word on the refusal
    rows = opened.texts("ol.answers > li")
    assert [row.startswith(text) for row, text in zip(rows, [texts[0], "\u200b", *texts[1:3]])] == [True] * 4
    assert "has only white space and control characters" in rows[1]
    assert opened.texts("#summary")[0].startswith("4 texts")
    assert opened.texts("#summary")[0].endswith("1 refused")


def test_with_a_token_the_page_asks_for_it(browser, bundle_path, tmp_path):
    (tmp_path / "token").write_text("0123456789abcdef")
    with Console("--bundle", bundle_path, "--token_file", tmp_path / "token") as console:
        browser.open(console.url)
        browser.wait_for("!!document.getElementById('token')")
        browser.type("#token", "wrong")
        browser.click("#sign-in-button")
        browser.wait_for("document.querySelector('.notice')?.hidden === false")
        browser.type("#token", "0123456789abcdef")
        browser.click("#sign-in-button")
        browser.wait_for("!!document.getElementById('input')")


def test_the_page_is_small_and_says_the_same_in_both_languages():
    assert len(console_page().encode()) < 300_000
    for messages in Path(next(iter(page_room.__path__))).rglob("messages.js"):
        _, english, chinese = re.split(r"(?:en|zh)(?:: |, )\{", messages.read_text("utf-8"))
        keys = [re.findall(r"^ +(\w+):", part, re.M) for part in (english, chinese)]
        assert keys[0] == keys[1] != []


def test_right_is_for_the_model_s_own_answer_and_by_the_name_that_this_tab_shows(opened, console, texts):
    classify(opened, texts[:20])
    count = len(opened.texts(".corrections"))
    words = (
        "[...document.querySelectorAll('.corrections button')].filter((each) => each.textContent === 'Right').length"
    )
    assert opened.evaluate(words) == count
    opened.type("#top_k", "0")
    assert opened.evaluate("document.getElementById('top_k').value") == "1"
    whole = sum(len(row) < 2 for row in asked(console, texts[:20]))
    assert opened.evaluate(words) == whole < count
    assert (
        sum(hint.startswith("“Right” is for the model's own") for hint in opened.texts(".corrections .hint"))
        == count - whole
    )
    opened.click("#reset")
    opened.evaluate("Storage.prototype.setItem = () => { throw new Error('full'); }")
    opened.type("#name", "安娜")
    opened.evaluate("localStorage.removeItem('console-name')")
    opened.click(".corrections .link", 0)
    opened.wait_for("document.querySelector('.corrections .hint').textContent === 'kept: right'")


@pytest.mark.parametrize("kept", ["{", '{"settings": null}', '{"input": 5}', '{"model": {}}', '{"files": [{}]}'])
def test_what_a_tab_kept_and_cannot_be_read_is_told_and_begun_anew(opened, console, kept):
    opened.evaluate(f"sessionStorage.setItem('console', {json.dumps(kept)})")
    opened.open(console.url)
    opened.wait_for("!!document.getElementById('input')")
    assert "What this tab had kept cannot be read; it begins anew." in opened.texts(".notice")
    opened.open(console.url)
    opened.wait_for("!!document.getElementById('input')")
    assert "What this tab had kept cannot be read; it begins anew." not in opened.texts(".notice")


@pytest.mark.parametrize("click", [".why", ".corrections .link"])
def test_where_another_version_answers_a_later_request_changes_over(browser, bundle_path, texts, tmp_path, click):
    manifest = Bundle(bundle_path).manifest
    shutil.copytree(bundle_path, tmp_path / "bundle")
    seal(tmp_path / "bundle", replace(manifest, thresholds=(0.01,) * len(manifest.labels)))
    said = ("--feedback_file", tmp_path / "feedback.jsonl")
    with Console("--bundle", bundle_path, "--compare", bundle_path, *said) as first:
        browser.open(first.url)
        browser.wait_for("!!document.getElementById('input')")
        classify(browser, texts[:3])
        browser.type("#name", "安娜")
    with Console("--bundle", tmp_path / "bundle", "--port", first.port, *said):
        browser.click(click)
        browser.wait_for("document.querySelector('.status').textContent.includes(' s · Another version answers now')")
        assert shown(browser) == asked(first, texts[:3])  # of the same port


def test_where_no_second_model_answers_any_more_it_is_said(browser, bundle_path, texts):
    with Console("--bundle", bundle_path, "--compare", bundle_path) as first:
        browser.open(first.url)
        browser.wait_for("!!document.getElementById('input')")
    with Console("--bundle", bundle_path, "--port", first.port):
        classify(browser, texts[:3])
        browser.wait_for("document.querySelector('.status').textContent.includes(' s · No second model answers')")
        assert len(browser.texts("ol.answers > li")) == 3
