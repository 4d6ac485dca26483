"""The Chinese pages keep to one typography and one word for each thing, and translate every option."""

from __future__ import annotations

import json
import re
import runpy

import pytest

from tests.conftest import PROJECT
from tests.docs.pages import CHINESE, without_blocks

TRANSLATIONS = CHINESE / "options.json"
PICTURE = PROJECT / "docs" / "pictures" / "architecture.zh.svg"
REPORT = PROJECT / "training" / "analysis" / "report_page" / "messages.js"
PAGES = {
    str(path.relative_to(PROJECT)): path
    for path in [PROJECT / "README.zh-CN.md", *sorted(CHINESE.rglob("*.md")), PICTURE, REPORT]
}
HAN = r"[\u4e00-\u9fff]"
FAULTS = {
    "no space between Chinese and other letters": rf"{HAN}[A-Za-z0-9@+-]|[A-Za-z0-9@%+-]{HAN}",
    "half-width punctuation in Chinese text": rf"{HAN} ?[,;:!?()]|[,;:!?()] ?{HAN}|{HAN}\.(?!\w)",
    "a space beside full-width punctuation": r"[，。；：！？、（）「」“”] +(?=\S)|(?<=\S) +[，。；：！？、（）]",
    "two spaces, or one between Chinese characters": rf"\S  +\S|{HAN} +{HAN}",
}
WORDS = {
    "检查点": r"(?i)\bcheckpoints?\b(?!/)|存盘点|权重快照",
    "词元": r"(?i)\btokens?\b|令牌|记号",
    "模型包": r"(?<!（)\bbundles?\b",
    "集成模型": r"(?<!（)\bensembles?\b",
    "自检样本": r"(?i)\bgoldens?\b|黄金|金标|问一[条个]自检",
    "发布门禁": r"(?i)\bgate\b|关卡|闸门",
    "默认不对外暴露": "默认(是)?(关闭|封闭|不开放)",
    "裁剪": "剪枝",
    "推理引擎": "运行库",
    "精度": "数值格式",
    "回滚": "回退",
    "施加负载": "对.{0,10}加载负载|服务加载，|(?<!施)加负载|负荷",
    "响应": "答复|应答",
    "守护": "监护|监管|看护",
    "断点续训": "中断后继续",
    "计算图": "导出的图|打包图|描述图",
}
"""The word for a thing, and what would be another one for it."""


def read(page):
    """A page's text; of the report's messages, and of a picture, what they say, in a line each."""
    text = PAGES[page].read_text(encoding="utf-8")
    if PAGES[page] == REPORT:
        said = re.findall(r"(?<!\w)[\"`]([^\"`\n]+)[\"`]", text.partition("\n  zh: {")[2].partition("\n};")[0])
        return "\n\n".join(re.sub(r"\$\{[^}]*\}", "@", message) for message in said)
    return re.sub("<[^>]+>", "\n\n", text) if PAGES[page] == PICTURE else text


def prose(text):
    """Lines without fenced blocks and comments; code and options become `@`, links and emphasis their text."""
    text = re.sub(r"<!--.*?-->", "", without_blocks(text), flags=re.DOTALL)
    text = re.sub(r"`[^`\n]+`|--\w+", "@", text)
    text = re.sub(r"!?\[([^]]*)\]\([^)]*\)", r"\1", text)
    return re.sub(r"\*+|\\", "", text).splitlines()


def cells(line):
    """A line's parts, of which each is a text: a table's cells, or the line without the marks at its beginning."""
    if line.startswith("|"):
        return [cell.strip() for cell in line.strip("|").split("|")]
    return [re.sub(r"^\s*(#+|-|\d+\.|>|!!!) +", "", line).strip()]


def faults(text, patterns):
    return [
        (name, found[0], part)
        for part in cells(text)
        for name in patterns
        for found in re.finditer(patterns[name], part)
    ]


@pytest.mark.parametrize("page", PAGES)
def test_typography(page):
    lines = prose(read(page))
    assert [fault for line in lines for fault in faults(line, FAULTS)] == []


@pytest.mark.parametrize("page", PAGES)
def test_one_word_for_each_thing(page):
    lines = prose(read(page))
    assert [fault for line in lines for fault in faults(line, WORDS)] == []


@pytest.mark.parametrize("page", PAGES)
def test_a_paragraph_is_one_line(page):
    lines = prose(read(page))
    plain = [bool(re.match(r"[^\W\d]|[“@]|\d+(?!\. )", line)) for line in lines]
    assert [lines[place] for place in range(1, len(lines)) if plain[place] and plain[place - 1]] == []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("用Triton 部署", "no space between Chinese and other letters"),
        ("占80%的行", "no space between Chinese and other letters"),
        ("先训练,再导出", "half-width punctuation in Chinese text"),
        ("先训练， 再导出", "a space beside full-width punctuation"),
        ("先训练 再导出", "two spaces, or one between Chinese characters"),
        ("每个 token 的 id", "词元"),
        ("默认关闭，不对外开放", "默认不对外暴露"),
        ("向服务询问一条自检样本", "自检样本"),
    ],
)
def test_such_faults_are_found(text, fault):
    assert fault in {name for name, _, _ in faults(text, {**FAULTS, **WORDS})}


@pytest.fixture(scope="module")
def english_texts():
    return runpy.run_path(str(PROJECT / "docs" / "write_options.py"))["texts"]()


def test_every_option_is_explained_in_chinese(english_texts):
    """An English text that was changed is missing here as the new one, and left over below as the old one."""
    known = json.loads(TRANSLATIONS.read_text(encoding="utf-8"))
    assert [text for text in english_texts if not known.get(text)] == []


def test_no_translation_is_left_of_what_is_gone(english_texts):
    known = json.loads(TRANSLATIONS.read_text(encoding="utf-8"))
    assert sorted(set(known) - set(english_texts)) == []
