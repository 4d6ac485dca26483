"""What people with a screen reader, a keyboard alone or little sight meet on the page; looked at by axe-core."""

import json
from importlib.resources import files

import pytest

from tests.serving.console.running import classify
from tests.serving.console.test_files import give

AXE = files("axe_playwright_python").joinpath("axe.min.js")


@pytest.mark.parametrize("language", ["en", "zh-CN"])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_nothing_serious(opened, console, language, dark, width):
    opened.open(console.url, width=width, dark=dark, language=language)
    opened.wait_for("!!document.getElementById('input')")
    give(opened, [("a.csv", b"title,body\na,b\n")])
    opened.click("#files li button")
    classify(opened, ["某公司宣布裁员两千人", "\u200b"])
    opened.faults.clear()  # the browser's own word on the text that is refused
    opened.click(".corrections .link", 2)
    opened.type(".picker input", "裁")
    opened.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    opened.wait_for("!!document.getElementById('label-browser') && !!document.querySelector('.found button')")
    opened.evaluate(AXE.read_text("utf-8") + "; true")
    found = opened.evaluate("axe.run().then(({ violations }) => violations)")
    serious = [each for each in found if each["impact"] in ("serious", "critical")]
    said = [(each["id"], [node["html"][:200] for node in each["nodes"][:3]]) for each in serious]
    assert not said, json.dumps(said, indent=1)


def test_axe_would_find_a_fault(opened):
    opened.evaluate(AXE.read_text("utf-8") + "; true")
    opened.evaluate("document.querySelector('h1').style.color = '#ddd'")
    found = opened.evaluate("axe.run().then(({ violations }) => violations.map(({ id }) => id))")
    assert found == ["color-contrast"]


def test_the_keyboard_alone_does_everything(opened):
    """From the text to a correction; what has the focus is named by what it shows."""
    focus = "(document.activeElement.getAttribute('aria-label') || document.activeElement.textContent)"

    def tab_to(name):
        for _ in range(40):
            opened.press("Tab")
            if opened.evaluate(focus) == name:
                return
        raise AssertionError(f"Tab does not lead to {name}")

    opened.type("#input", "某公司宣布裁员两千人")
    opened.press("Enter", control=True)
    opened.wait_for("document.querySelectorAll('ol.answers > li').length === 1")
    tab_to("Should be …")
    opened.press("Enter")
    tab_to("Find a label")
    opened.type(".picker input", "地震")
    opened.wait_for("!!document.querySelector('.found button')")
    tab_to("灾害/意外 › 地震")
    opened.press("Enter")
    assert any("地震" in chip for chip in opened.texts(".chips li"))
    tab_to("Keep")
    opened.press("Enter")
    opened.wait_for(f"{focus} === '' && document.activeElement.id === 'name'")  # which is asked for first
