"""What the page says in Chinese of refusals, which the console words in English."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.text.normalisation import MAX_TEXT_CHARACTERS
from serving.console import page as page_room
from serving.console.files.reading import _without_options
from tests.conftest import PROJECT
from tests.serving.console.running import Console, classify
from tests.serving.console.test_files import give

TABLE = Path(next(iter(page_room.__path__))) / "problems.js"
SOURCES = (
    *sorted(PROJECT.glob("serving/console/*.py")),
    *sorted(PROJECT.glob("serving/console/files/*.py")),
    *sorted(PROJECT.glob("pipeline/files/tables/*.py")),
    *(PROJECT / "pipeline" / name for name in ("text/normalisation.py", "files/feedback.py", "served.py")),
    *(PROJECT / "pipeline/labels" / name for name in ("request_options.py", "promises.py", "decoding.py")),
    *(PROJECT / "clients" / name for name in ("triton_calls.py", "triton_request.py")),
    *(PROJECT / "serving/triton" / name for name in ("backend/admission.py", "front/calls.py", "metrics.py")),
    *sorted(TABLE.parent.rglob("*.js")),
)
OF_COMMANDS = ("opening.py", "options.py", "__main__.py", "label_studio.py")
"""Said to whoever starts the console, or to Label Studio."""
NOT_ASKED = (
    *(
        "inputs holds pairs of texts",
        "thresholds for",
        "time is ",
        "this is no correction",
        "row {}: text is not UTF-8",
    ),
    *("there are no texts; give", "is a {}, not a text", "holds a lone surrogate", "the answer's {} cannot be read"),
    *("top_k is", "at_least_one is", "leading is", "unknown {}", "a JSON object is needed, not {!r", "promises are of"),
    *("a promise has cut-offs of more", "of a promise must lie", "the calibration is of", "logits have shape"),
    *("the model's logits are not finite", "unknown normalisation", "--delimiter is", "cannot be read: {}"),
    *("the call has no message", "there is no model {}", "output {}: {}"),
)
"""Of what the page never sends or asks."""
ERRORS = ("InputError", "ServerError", "Refused", "HTTPException", "DatasetError", "Flaw", "_too_large", "_overloaded")
OF_LIBRARIES = ("{}: List should have at most {} items after validation, not {}",)
PLACE = re.compile(r"^(row \{\}: |column \{\} |\{\}(?=, ))")


def table() -> list[tuple[str, str]]:
    lines = re.findall(r"^  (\[\".*\"\]),$", TABLE.read_text("utf-8"), re.M)
    return [tuple(json.loads(line)) for line in lines]


def pattern(english: str) -> re.Pattern[str]:
    return re.compile("(.*?)".join(map(re.escape, english.split("{}"))), re.S)


def template(node: ast.expr) -> Iterator[str]:
    """The messages that an expression may be, with {} for what is put into them."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        yield "".join(part.value if isinstance(part, ast.Constant) else "{}" for part in node.values)
    elif isinstance(node, ast.IfExp):
        yield from template(node.body)
        yield from template(node.orelse)


def said(path: Path) -> Iterator[str]:
    """The messages of a module's errors."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        parts: list[ast.expr] = []
        if isinstance(node, ast.Call):
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            parts = [*node.args] if name in ERRORS else []
        elif isinstance(node, ast.FunctionDef) and re.search("fault|unavailable", node.name):
            parts = [each.value for each in ast.walk(node) if isinstance(each, ast.Return) and each.value]
        elif isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") in ("what", "known", "_NO_VALUE"):
            parts = [node.value]
        for part in parts:
            for message in template(part):
                if " " in message.replace("{}", "").strip():
                    yield _without_options(message)


def known(message: str) -> bool:
    message = PLACE.sub("", message)
    if message in ("{}", "{}: {}"):  # a place, and what is said of it
        return True
    shown = message.replace("{}", "7")
    return any(pattern(english).fullmatch(each) for english, _ in table() for each in (shown, f"column 7 {shown}"))


PYTHON_SOURCES = [path for path in SOURCES if path.suffix == ".py" and path.name not in OF_COMMANDS]


@pytest.mark.parametrize("path", PYTHON_SOURCES, ids=lambda path: str(path.relative_to(PROJECT)))
def test_each_message_has_a_wording_in_chinese(path):
    lacking = [
        message for message in said(path) if not known(message) and not any(each in message for each in NOT_ASKED)
    ]
    assert not lacking


def literals(path: Path) -> Iterator[str]:
    """All that a source may say, with {} for what is put in."""
    source = path.read_text("utf-8")
    if path.suffix == ".js":
        strings = re.findall(r'["`]([^"`\n]*)["`]', source) if path != TABLE else []
        yield from (re.sub(r"\$\{[^}]*\}", "{}", each) for each in strings)
        return
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.Constant, ast.JoinedStr)):
            yield from map(_without_options, template(node))


def test_the_table_holds_what_is_said_and_both_languages_name_the_same():
    sources = {*OF_LIBRARIES, *(each for path in SOURCES for each in literals(path))}
    for english, chinese in table():
        assert english.count("{}") == chinese.count("{}"), english
        assert re.search("[\u4e00-\u9fff]", chinese), english
        assert any(PLACE.sub("", english) in each for each in sources), english
    assert len({english for english, _ in table()}) == len(table()) > 90


def in_chinese(message: str) -> bool:
    """Whether it is a Chinese sentence, but for names of the console's and what was typed."""
    message = re.sub("（[^）]*）", "", message)  # what a library says
    return bool(re.search("[\u4e00-\u9fff]", message)) and not re.search(r"[a-z]{2,} [a-z]{2,} [a-z]{2,}", message)


TOKEN = "of-those-who-read-Chinese"
"""Of no other test: a browser sends cookies to all ports of a host, so that it might be signed in already."""


def test_people_read_chinese_whatever_goes_wrong(browser, bundle_path, tmp_path):
    (tmp_path / "token").write_text(TOKEN)
    options = ("--token_file", tmp_path / "token", "--feedback_file", tmp_path / "missing" / "feedback.jsonl")
    with Console("--bundle", bundle_path, *options) as console:
        browser.open(console.url, language="zh-CN")
        browser.wait_for("!!document.getElementById('token')")
        browser.type("#token", "wrong")
        browser.click("#sign-in-button")
        browser.wait_for("document.querySelector('.notice')?.hidden === false")
        assert browser.texts(".notice") == ["口令不正确。"]
        browser.type("#token", "a" * 5000)
        browser.click("#sign-in-button")
        browser.wait_for("document.querySelector('.notice').textContent.includes('4,096')")
        assert browser.texts(".notice") == ["请求超过 4,096 字节，请分几次发送"]
        browser.type("#token", TOKEN)
        browser.click("#sign-in-button")
        browser.wait_for("!!document.getElementById('input')")
        classify(browser, ["\u200b", "长" * (MAX_TEXT_CHARACTERS + 1), "某公司宣布裁员两千人"])
        problems = browser.texts("ol.answers > li > .hint")
        assert problems[0].endswith(" 只有空白和控制字符；请去掉它，或发送有可见字符的文本")
        most = f"{MAX_TEXT_CHARACTERS:,}"
        assert problems[1] == f"文本有 {MAX_TEXT_CHARACTERS + 1:,} 个字符，超过上限 {most}；请缩短，或分段发送"
        assert browser.evaluate("document.querySelectorAll('ol.answers > li').length") == 3
        browser.type("#name", "安娜")
        browser.click(".corrections .link")
        browser.wait_for("document.querySelector('.corrections .hint').textContent.startsWith('未能保存')")
        files = [
            ("a.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)),
            ("b.csv", b'text,label\n"a,b\n'),
            ("c.jsonl", b'{"text": "a"}\n[1]\n'),
            ("d.txt", b""),
        ]
        give(browser, files)
        browser.wait_for(f"document.querySelectorAll('#files .notice').length === {len(files)}")
        notices = browser.texts("#files .notice")
        assert notices[0] == "a.xls 是旧的 .xls 格式，请用电子表格软件另存为 .xlsx 或 .csv 重试"
        assert notices[2].startswith("c.jsonl 第 2 行：需要 JSON 对象，而不是 ")
        assert [notice for notice in notices if not in_chinese(notice)] == []
        for _ in files:
            browser.click("#files li > p button")
    browser.faults.clear()  # the browser's own words on the refusals
    classify(browser, ["某公司宣布裁员两千人"])
    assert browser.texts(".notice")[-1] == "已分类 0 / 1 条，随后出错：控制台没有响应，请确认它正在运行"
    browser.click('.languages [lang="en"]')
    classify(browser, ["某公司宣布裁员两千人"])
    assert browser.texts(".notice")[-1].endswith("then: the console does not answer; is it running?")
