"""The evaluation report, looked at in a real browser."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from pipeline.labels.hierarchy import ancestor_paths
from tests.evaluations import LABELS, averages, evaluation
from training.analysis import report
from training.analysis.report import report_page, write_report

HOSTILE = "</script><img src=x onerror='window.attacked = 1'><!--\"&amp;{{script}}\u2028\u202e"
PAGE = Path(report.__file__).parent / "report_page"


def embedded(page: str) -> dict:
    """What the page's script reads."""
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)
    return json.loads(found[1])


def test_report_is_one_file_that_names_no_other(tmp_path):
    write_report(tmp_path / "new" / "report.html", evaluation())
    page = (tmp_path / "new" / "report.html").read_text("utf-8")
    assert "default-src 'none'" in page
    assert set(re.findall(r"https?://[^\"']+", page)) == {"http://www.w3.org/2000/svg"}  # a name, never fetched
    assert not re.search(r"<(link|img|iframe|script src)|@import|url\(", page)
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["report.html"]


def test_report_that_cannot_be_made_leaves_the_old_one(tmp_path):
    path = tmp_path / "report.html"
    write_report(path, evaluation(title="old"))
    with pytest.raises(KeyError):
        write_report(path, {"rows": 1})
    assert "<title>old</title>" in path.read_text("utf-8")
    assert list(tmp_path.iterdir()) == [path]


def test_any_text_survives_embedding():
    example = evaluation(title=HOSTILE, labels=(HOSTILE, HOSTILE + "##b", "c"))
    page = report_page(example)
    assert embedded(page) == {**example, "separator": "##"}
    assert page.count("</script>") == 2
    assert "<img" not in page


def test_lone_surrogate_is_written(tmp_path):
    write_report(tmp_path / "report.html", evaluation(title="\ud800"))
    assert embedded((tmp_path / "report.html").read_text("utf-8"))["title"] == "\ud800"


def test_numpy_values_and_undefined_scores():
    page = report_page(evaluation(rows=np.int64(5), summary={"micro_f1": np.float32(0.5), "macro_f1": float("nan")}))
    assert embedded(page)["summary"] == {"micro_f1": 0.5, "macro_f1": None}


def test_both_languages_say_the_same_things():
    english, chinese = (PAGE / "messages.js").read_text("utf-8").split("  zh: {")
    keys = [re.findall(r"^    (\w+):", part, re.M) for part in (english, chinese)]
    assert keys[0] == keys[1]


def test_every_part_is_on_the_page():
    assert {*report._STYLES, *report._SCRIPTS} == {file.name for file in PAGE.iterdir()}


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("dark", [False, True])
def test_report_shows_everything_without_sideways_scroll(opened, width, dark):
    page = opened(evaluation(), width=width, dark=dark)
    assert page.fits(width)
    assert page.texts("h1") == ["checkpoint on dev.txt"]
    assert page.texts("h2") == [
        "Overview", "Hierarchy", "Levels", "Labels", "Thresholds", "Calibration", "Confusions", "Bad cases",
    ]  # fmt: skip
    assert page.texts(".tile .score")[0] == "87.65%"
    assert len(page.texts(".slice")) == 5  # the label without rows has no size
    assert len(page.texts("table.levels tbody tr")) == 2
    assert len(page.texts("#thresholds polyline")) == 4
    assert len(page.texts("#calibration .bin")) == 5
    assert page.texts(".confusions .number") == ["7"]
    assert page.texts(".best text") == ["best 87.65 at 0.50"]


def test_labels_are_sorted_and_filtered(opened):
    page = opened(evaluation())
    shown = "table.labels tbody .leaf"
    weakest_first = ["组织关系", "裁员", "加盟", "司法行为", "起诉"]
    assert page.texts(shown) == [*weakest_first, LABELS[-1]]  # a label without rows has no F1 and comes last
    page.click('[data-sort="f1"]')
    assert page.texts(shown) == [*weakest_first[::-1], LABELS[-1]]
    assert page.evaluate("document.querySelector('[aria-sort=descending]').textContent") == "F1↓"

    page.type("#labels input", "司法")
    page.wait_for("document.querySelectorAll('table.labels tbody tr').length === 2")
    assert page.texts("#labels .status") == ["2 of 6 labels"]
    page.type("#labels input", "nowhere")
    page.wait_for("document.querySelector('table.labels tbody').textContent === 'Nothing matches.'")


def test_f1_range_lists_its_labels(opened):
    page = opened(evaluation())
    assert page.texts(".distribution strong") == ["2", "2", "1", "1"]  # below 50, 50-70, 70-80, no rows
    page.click(".distribution button", 1)
    assert page.texts("table.labels tbody .leaf") == ["加盟", "司法行为"]


def test_hierarchy_zooms_and_shows_figures(opened):
    page = opened(evaluation())
    page.click(".slice", 0)
    assert page.texts(".slice text") == ["裁员", "加盟"]
    assert page.texts(".crumbs button") == ["All labels", "组织关系"]
    page.click(".slice", 1)
    assert page.texts(".details h3") == ["组织关系 › 加盟"]
    assert page.texts(".details tbody tr") == ["Evaluated1050.050.050.0", "Training1099.099.099.0"]
    page.click(".centre")
    assert len(page.texts(".slice")) == 5


def test_hierarchy_answers_to_the_keyboard(opened):
    page = opened(evaluation())
    page.evaluate("document.querySelector('.slice').focus()")
    page.press("ArrowRight")
    assert page.texts(".details h3") == ["司法行为"]
    page.press("Enter")
    assert page.texts(".slice text") == ["起诉"]
    page.press("Escape")
    assert len(page.texts(".slice")) == 5


def test_zooming_in_motion_ends_at_the_same_picture(opened):
    page = opened(evaluation(), motion=True)
    page.click(".slice", 0)
    page.wait_for("document.querySelectorAll('.slice text').length === 2")
    assert page.texts(".slice text") == ["裁员", "加盟"]


def test_pointer_reads_the_pictures(opened):
    page = opened(evaluation())
    page.point(".slice > path", 3)
    assert page.texts(".tooltip > *") == ["司法行为", "F1 60.0Support 10"]
    assert page.texts(".details h3") == ["司法行为"]
    page.point("#calibration .bin .touch", 2)
    assert page.texts(".tooltip > *") == ["0.40–0.60", "Confidence 50.0", "Accuracy 40.0", "Decisions 100"]
    page.point("#thresholds .best circle")
    assert page.texts(".tooltip > *")[:2] == ["Threshold 0.50", "Micro F1 87.65"]
    page.point("h1")
    assert page.evaluate("document.querySelector('.tooltip').hidden")


def test_arrow_keys_read_the_charts(opened):
    page = opened(evaluation())
    page.evaluate("document.querySelector('#thresholds svg').focus()")
    page.press("ArrowRight")
    assert page.texts(".tooltip > *")[:2] == ["Threshold 0.75", "Micro F1 60.00"]
    page.evaluate("document.querySelector('#calibration svg').focus()")
    page.press("ArrowRight")
    assert page.texts(".tooltip > *")[0] == "0.00–0.20"


def test_label_in_the_table_is_found_in_the_hierarchy(opened):
    page = opened(evaluation())
    page.click("table.labels tbody button", 2)
    assert page.texts(".details h3") == ["组织关系 › 加盟"]
    assert page.texts(".slice.chosen text") == ["加盟"]


def test_bad_cases_are_searched_and_marked(opened):
    page = opened(evaluation())
    assert page.texts("#cases .status") == ["3 rows"]
    assert page.texts(".case:first-child .correct .path") == ["组织关系"]
    assert page.texts(".case:first-child .missed .path") == ["组织关系 › 裁员"]
    assert page.texts(".case:first-child .wrong .path") == ["司法行为 › 起诉"]

    page.type("#cases input", "BERLIN 公司")
    page.wait_for("document.querySelectorAll('.case').length === 1")
    assert page.texts(".case mark") == ["公司", "Berlin"]
    page.type("#cases input", "组织关系##裁员")  # a label: one case missed it, one has it in vain
    page.wait_for("document.querySelectorAll('.case').length === 2")
    page.type("#cases input", "nowhere")
    page.wait_for("document.querySelector('.cases').textContent === 'Nothing matches.'")


def test_confused_pair_lists_its_rows(opened):
    page = opened(evaluation())
    page.click(".confusions button")
    assert page.texts(".case .text") == ["公司宣布裁员 in Berlin"]
    page.click("button.filter")
    assert len(page.texts(".case")) == 3


def test_long_text_opens_whole(opened):
    page = opened(evaluation())
    assert len(page.texts(".case .text")[2]) < 500
    page.click(".case .link")
    assert page.texts(".case .text")[2] == "x" * 3000


def test_language_follows_the_browser_and_can_be_switched(opened):
    page = opened(evaluation(), language="zh-CN")
    assert page.texts("h2")[-1] == "错误样本"
    page.click('.languages [lang="en"]')
    assert page.texts("h2")[-1] == "Bad cases"
    assert page.evaluate("document.documentElement.lang") == "en"


@pytest.mark.parametrize("width", [1280, 390])
def test_hostile_texts_stay_texts(opened, width):
    labels = (HOSTILE, HOSTILE + "##" + "x" * 300, "很长的标签" * 60)
    page = opened(evaluation(labels=labels, title=HOSTILE), width=width)
    assert page.evaluate("[window.attacked, document.images.length]") == [None, 0]
    assert page.texts("h1") == [HOSTILE]
    assert HOSTILE in page.texts("table.labels .leaf")
    assert page.fits(width)


def test_page_can_neither_connect_nor_run_foreign_scripts(browser, tmp_path):
    write_report(tmp_path / "report.html", evaluation())
    browser.open(tmp_path / "report.html")
    connects = browser.evaluate("fetch('http://127.0.0.1:1/').then(() => true, () => false)")
    browser.evaluate("document.body.append(Object.assign(document.createElement('script'), {text: 'attacked = 1'}))")
    assert not connects
    assert browser.evaluate("window.attacked") is None
    assert sum("Content Security Policy" in fault for fault in browser.faults) >= 2


UNUSUAL = {
    "no rows": evaluation(rows=0, calibration=[], confusions=[], bad_cases={"total": 0, "shown": []}),
    "no threshold curve": evaluation(threshold_curve={"thresholds": [], **{name: [] for name in averages(0)}}),
    "no bad cases": evaluation(confusions=[], bad_cases={"total": 0, "shown": []}),
    "one label": evaluation(labels=("only", "unseen")),
    "flat": evaluation(labels=("spam", "news", "sports", "none")),
    "five levels": evaluation(labels=[*reversed(list(ancestor_paths("a##b##c##d##e"))), "a##b##c##d##e", "f"]),
    "no training rows": evaluation(train_rows=0),
    "training not measured": evaluation(train_measured=False),
    "undefined scores": evaluation(summary={}),
}


@pytest.mark.parametrize("name", UNUSUAL)
@pytest.mark.parametrize("width", [1280, 390])
def test_unusual_evaluations(opened, name, width):
    page = opened(UNUSUAL[name], width=width)
    assert len(page.texts("h2")) == 8
    assert page.fits(width)


@pytest.mark.parametrize("levels", [1, 5])
def test_ten_thousand_labels_are_drawn_in_part_and_found_in_full(opened, levels):
    parents = [f"top{i}" + "".join(f"##{level}" for level in range(1, levels - 1)) for i in range(20)]
    leaves = [f"{parents[i % 20]}##leaf{i}" if levels > 1 else f"leaf{i}" for i in range(10_000)]
    above = dict.fromkeys(path for leaf in leaves for path in reversed(list(ancestor_paths(leaf))))
    page = opened(evaluation(labels=[*above, *leaves]))
    drawn = "document.querySelectorAll('*').length"
    assert page.evaluate(drawn) < 10_000
    page.type("#labels input", "leaf7654")
    page.wait_for("document.querySelectorAll('table.labels tbody tr').length === 1")
    page.click("table.labels tbody button")
    assert page.texts(".slice.chosen text") == ["leaf7654"]
    assert page.evaluate(drawn) < 10_000


def test_report_prints(opened):
    page = opened(evaluation())
    assert page.pdf().startswith(b"%PDF")
