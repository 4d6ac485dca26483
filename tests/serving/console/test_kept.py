"""A sample of the texts that programs send."""

import json
import os
import stat
import subprocess

import pytest

from pipeline.errors import InputError
from pipeline.files.bundle import Bundle
from pipeline.labels.answers import Prediction
from pipeline.labels.decoding import Answer
from pipeline.served import ServedModel
from serving.console import kept
from serving.console.kept import KeptTexts
from serving.console.options import ConsoleOptions
from tests.serving.console.running import Console

SURE, UNSURE = 0.999, 0.51


@pytest.fixture(scope="module")
def served(bundle_path):
    record = {"number": 1, "bundle": "0123456789ab", "published": "", "model": ""}
    return ServedModel.of(record, Bundle(bundle_path).manifest, 128, 64)


@pytest.fixture
def answer(served):
    label = served.labels[0]

    def answered(confidence):
        threshold = served.thresholds[0]
        odds = confidence / (1 - confidence) * threshold / (1 - threshold)
        return Answer([Prediction(label, odds / (1 + odds))])

    return answered


def fill(sample, texts, given, served):
    sample.add(texts, [given] * len(texts), served)


def test_the_file_alone_tells_the_sample_and_only_its_owner_reads_it(tmp_path, served, answer):
    path = tmp_path / "kept.jsonl"
    sample = KeptTexts(path, 50)
    for first in range(0, 400, 20):
        fill(sample, [f"text {number}" for number in range(first, first + 20)], answer(SURE), served)
    before = sample.texts()
    assert len(before) == 50
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert 50 <= len(path.read_text().splitlines()) <= 120
    fill(sample, [f"text {number}" for number in range(400)], answer(SURE), served)
    assert sample.texts() == before  # it does not matter how often a text was sent
    sample._close()
    with open(path, "ab") as stream:
        stream.write(b'{"kept": "2026-01')  # as a console leaves it that is killed
    again = KeptTexts(path, 50)
    assert again.texts() == before
    fill(again, [f"more {number}" for number in range(400)], answer(UNSURE), served)
    after = again.texts()
    again._close()
    assert KeptTexts(path, 50).texts() == after != before


def test_what_the_model_is_unsure_of_is_preferred(tmp_path, served, answer):
    sample = KeptTexts(tmp_path / "kept.jsonl", 100)
    fill(sample, [f"sure {number}" for number in range(500)], answer(SURE), served)
    fill(sample, [f"unsure {number}" for number in range(500)], answer(UNSURE), served)
    unsure = sum(text.startswith("unsure") for text in sample.texts())
    assert 70 < unsure < 100


def test_bytes_are_bounded(tmp_path, served, answer, monkeypatch):
    monkeypatch.setattr(kept, "MOST_BYTES", 100_000)
    sample = KeptTexts(tmp_path / "kept.jsonl", 1000)
    for number in range(100):
        fill(sample, [f"{number} " + "裁" * 3000], answer(UNSURE), served)
        assert sample.path.stat().st_size < 250_000
    assert 5 <= len(sample.texts()) <= 11


def test_where_the_file_is_removed_all_is_forgotten(tmp_path, served, answer):
    sample = KeptTexts(tmp_path / "kept.jsonl", 10)
    fill(sample, ["secret"], answer(UNSURE), served)
    sample.path.unlink()
    assert sample.texts() == []
    fill(sample, ["other"], answer(UNSURE), served)
    sample.path.write_bytes(b"")
    assert sample.texts() == []
    fill(sample, ["third"], answer(UNSURE), served)
    assert [json.loads(line)["text"] for line in sample.path.read_text().splitlines()] == ["third"]


def test_what_cannot_be_written_is_told_once_and_nothing_stops(tmp_path, served, answer, capsys):
    (tmp_path / "folder").mkdir()
    sample = KeptTexts(tmp_path / "folder" / "kept.jsonl", 10)
    sample.path.unlink()
    (tmp_path / "folder").rename(tmp_path / "gone")
    for text in ("secret", "secret too"):
        fill(sample, [text], answer(UNSURE), served)
    said = capsys.readouterr().err
    assert said.count("note: texts are not kept in") == 1
    assert "secret" not in said
    (tmp_path / "folder").mkdir()
    fill(sample, ["again"], answer(UNSURE), served)
    assert sample.texts() == ["again"]


def test_a_file_of_something_else_or_of_another_console_is_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("my notes\n")
    with pytest.raises(InputError, match=r"notes\.txt:1 is no text that was kept"):
        KeptTexts(tmp_path / "notes.txt", 10)
    assert (tmp_path / "notes.txt").read_text() == "my notes\n"
    KeptTexts(tmp_path / "kept.jsonl", 10)
    with pytest.raises(InputError, match="another console keeps texts"):
        KeptTexts(tmp_path / "kept.jsonl", 10)
    with pytest.raises(InputError, match="keep_most"):
        ConsoleOptions(keep_most=0)


@pytest.mark.parametrize("made", [os.mkfifo, lambda path: path.symlink_to(path.with_name("other"))])
def test_links_and_what_is_no_file_are_refused(tmp_path, made):
    made(tmp_path / "kept.jsonl")
    with pytest.raises(InputError, match="is a link, or no file"):
        KeptTexts(tmp_path / "kept.jsonl", 5)


def test_a_file_of_something_else_stays_as_it_is(tmp_path, served, answer):
    path, draft = tmp_path / "notes.txt", tmp_path / "notes.txt.draft"
    path.write_text("notes\n")
    draft.write_text("mine\n")
    path.chmod(0o644)
    with pytest.raises(InputError):
        KeptTexts(path, 5)
    assert path.stat().st_mode & 0o777 == 0o644 and draft.read_text() == "mine\n"
    draft.unlink()
    path.unlink()
    sample = KeptTexts(path, 5)
    path.unlink()
    path.write_text("notes\n" * 50)
    for text in ("one", "two"):
        sample.add([text], [answer(0.5)], served)
    assert path.read_text() == "notes\n" * 50


def test_a_file_that_cannot_be_replaced_holds_nobody_up(tmp_path, served, answer, monkeypatch):
    def busy(*_):
        raise OSError(16, "Device or resource busy")  # as where the file itself is mounted

    sample = KeptTexts(tmp_path / "kept.jsonl", 2)
    monkeypatch.setattr(kept.os, "replace", busy)
    before = len(os.listdir("/proc/self/fd"))
    for number in range(40):
        sample.add([f"text {number}"], [answer(0.5)], served)
    assert len(os.listdir("/proc/self/fd")) == before
    assert len(sample.texts()) == 2 and os.listdir(tmp_path) == ["kept.jsonl"]


def test_what_programs_send_is_shown_on_the_page_and_removed_by_one_command(browser, bundle_path, tmp_path):
    path = tmp_path / "kept.jsonl"
    texts = ["某公司宣布裁员两千人", "地震", "夺冠"]
    with Console("--bundle", bundle_path, "--keep_texts", path) as console:
        assert console.said.endswith(f"; texts that programs send are kept in {path}\n")
        assert console.ask("/classify", {"texts": texts[:1]})[0] == 200
        assert console.ask("/classify", {"input": texts[1]})[0] == 200
        assert console.ask("/predict", {"inputs": texts[2]})[0] == 200
        assert console.ask("/classify", {"texts": ["typed"]}, Sec_Fetch_Site="same-origin")[0] == 200
        assert console.ask("/classify", {"texts": ["by plain HTTP"]}, Origin=console.url[:-1])[0] == 200
        assert console.ask("/classify", {"texts": ["empty", ""]})[0] == 400
        assert console.ask("/scores", {"texts": ["of the page"]})[0] == 200
        assert sorted(console.ask("/kept")[1]["texts"]) == sorted(texts)
        browser.open(console.url)
        browser.wait_for("!!document.getElementById('kept')")
        assert "1,000" in browser.texts("#kept")[0]
        browser.click("#show-kept")
        browser.wait_for("document.querySelectorAll('#files li').length === 1")
        browser.click("#classify")
        browser.wait_for("document.querySelectorAll('ol.answers > li').length === 3")
        assert sorted(browser.texts("ol.answers .text")) == sorted(texts)
        assert browser.faults == []
        subprocess.run(["rm", path], check=True)
        assert console.ask("/kept")[1]["texts"] == []
        assert os.path.getsize(path) == 0
        browser.click('.languages [lang="zh"]')
        assert browser.texts(".status")[0].startswith("3 条文本，用时 ")
    browser.click("#show-kept")
    browser.wait_for("!document.querySelector('.notice[role=alert]').hidden")
    assert browser.texts(".notice[role=alert]") == ["控制台没有响应，请确认它正在运行"]
    assert not any(text in console.output for text in texts)


def test_nothing_is_kept_unless_it_is_asked_for(console):
    assert console.ask("/caller")[1]["kept"] is None
    assert console.ask("/kept")[0] == 404


def test_only_who_is_signed_in_sees_them(bundle_path, tmp_path):
    proxy = ("--user_header", "X-Remote-User", "--trusted_proxy", "127.0.0.1")
    with Console("--bundle", bundle_path, "--keep_texts", tmp_path / "kept.jsonl", *proxy) as console:
        assert console.ask("/kept")[0] == 401
        assert console.ask("/kept", X_Remote_User="anna")[0] == 200
