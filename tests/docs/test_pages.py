"""The pages: both languages say the same, and what they name exists."""

from __future__ import annotations

import re
import runpy
import subprocess

import pytest

from pipeline import errors
from tests.conftest import PROJECT
from tests.docs.pages import CHINESE, ENGLISH, blocks, outline, without_blocks
from tests.training.test_documented_options import DIFFERENT

PAGES = sorted(page.relative_to(ENGLISH).as_posix() for page in ENGLISH.rglob("*.md"))
IN_BOTH = {page: (ENGLISH / page, CHINESE / page) for page in PAGES}
IN_BOTH["README.md"] = (PROJECT / "README.md", PROJECT / "README.zh-CN.md")


@pytest.mark.parametrize("page", IN_BOTH)
def test_both_languages_say_the_same(page):
    english, chinese = IN_BOTH[page]
    assert outline(chinese) == outline(english)
    assert commands(chinese) == commands(english)


def commands(page):
    """The shell and python blocks, without comments, and what is printed after python."""
    found, before = [], ""
    for block in blocks(page):
        if block.language in ("shell", "python"):
            found.append(re.sub(r"[ \t]*#.*", "", block.text))
        elif before == "python":
            found.append(block.text)
        before = block.language
    return found


@pytest.mark.parametrize(
    "page",
    [*sorted(PROJECT.glob("*.md")), *sorted((PROJECT / "docs").rglob("*.md"))],
    ids=lambda page: page.relative_to(PROJECT).as_posix(),
)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\((?!https?://)([^)\s]+)\)", without_blocks(page.read_text(encoding="utf-8"))):
        name, _, anchor = target.partition("#")
        path = page.parent / name if name else page
        assert path.exists(), f"{page.name} links to {name}, which is not there"
        assert not anchor or anchor in anchors(path), f"{page.name} links to {target}, and {name} has no such heading"


def anchors(page):
    """The anchors of a page's headings."""
    headings = re.findall(r"^#+ (.*)", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def test_no_page_is_in_chinese_alone():
    assert {page.relative_to(CHINESE).as_posix() for page in CHINESE.rglob("*.md")} <= set(PAGES)


@pytest.mark.parametrize("page", [ENGLISH / page for page in PAGES] + [PROJECT / "README.md"], ids=str)
def test_folders_and_modules_that_a_page_names_exist(page):
    text = page.read_text(encoding="utf-8")
    named = re.findall(r"`((?:pipeline|training|serving|clients|benchmarks|tests|examples)/[\w./-]*)`", text)
    named += [
        name.replace(".", "/") + ".py"
        for name in re.findall(r"python -m ((?:serving|clients|benchmarks)\.[\w.]+)", text)
    ]
    missing = {
        name for name in named if not (PROJECT / name).exists() and not (PROJECT / name.removesuffix(".py")).is_dir()
    }
    assert not missing


@pytest.fixture(scope="module")
def options_reference():
    return runpy.run_path(str(PROJECT / "docs" / "write_options.py"))


def test_the_reference_of_options_is_what_the_code_says(options_reference):
    for path, text in options_reference["pages"]().items():
        assert path.read_text(encoding="utf-8") == text, "run make docs"


def test_the_picture_of_the_demo_shows_what_the_readme_quotes():
    drawing = runpy.run_path(str(PROJECT / "docs" / "draw_demo.py"))
    assert drawing["PICTURE"].read_text(encoding="utf-8") == drawing["picture"](), "run make docs"


@pytest.mark.parametrize("page", [pages / "how-to" / "migrate.md" for pages in (ENGLISH, CHINESE)], ids=str)
def test_whoever_moves_here_is_told_which_defaults_differ(page):
    rows = [line for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    missing = [
        (script, name)
        for script, name in DIFFERENT
        if not any(f"`{script}`" in row and f"`--{name}`" in row for row in rows)
    ]
    assert missing == []


def test_the_table_of_errors_names_every_class_and_its_exit_status():
    """Both languages have the same table; see `test_both_languages_say_the_same`."""
    page = (ENGLISH / "reference" / "errors.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)`[^|]*\|[^|]*\| (\d) \|", page, flags=re.MULTILINE)
    classes = {name: kind for name, kind in vars(errors).items() if isinstance(kind, type)}
    assert {name: int(status) for name, status in rows} == {name: kind.exit_status for name, kind in classes.items()}


WRITES = re.compile(
    r"(?:--(save_dir|output_dir|output_path|output_file|bad_case_path|report|json|config|export|export_file|doccano_file|key_file"
    r"|tls_\w+)\s|(?<= )>)\s*([\w./]+)"
)
"""What a command of the pages writes, or reads because the user laid it there: a secret, an export of doccano."""


@pytest.mark.parametrize("page", [ENGLISH / page for page in PAGES] + [PROJECT / "README.md"], ids=str)
def test_git_ignores_what_the_commands_of_a_page_write(page):
    written = set()
    for block in blocks(page):
        if block.language == "shell":
            for option, name in WRITES.findall(block.text):
                written |= {f"{name}.logs/x", f"{name}.resume/x"} if option == "save_dir" else set()
                written.add(f"{name}/x" if option.endswith(("_dir", "_path")) and "." not in name else name)
    command = ["git", "check-ignore", *sorted(written)]
    run = subprocess.run(command, cwd=PROJECT, check=False, capture_output=True, text=True)
    assert written == set(run.stdout.split()), run.stderr


OBSCURE = (
    "by how many are under way",
    "holds the answer together",
    "whole or not at all",
    "left alone, both",
    "cancellation that meets",
    "second of two widths out of the first",
    "the layer strains against",
    "changed for good therefore",
    "takes the other back alone",
    "four Triton models",
    "in a process of its own, against",
    "that are computed at once",
    "makes of its rows",
    "resembles one of the first three",
    "speaks of this one",
    "to its own float32",
)
"""Phrases that readers had to read twice."""


@pytest.mark.parametrize("folder", ["pipeline", "training", "serving", "clients", "benchmarks", "docs", "examples"])
def test_obscure_phrases_do_not_come_back(folder):
    files = [file for ending in ("py", "md") for file in (PROJECT / folder).rglob(f"*.{ending}")]
    texts = {file: " ".join(file.read_text(encoding="utf-8").split()) for file in files}
    assert not [(str(file), words) for file, text in texts.items() for words in OBSCURE if words in text]
