"""CONTRIBUTING.md names what is there."""

import re

import pytest

from tests.conftest import PROJECT

TEXT = (PROJECT / "CONTRIBUTING.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(("names", "path"), re.findall(r"((?:`[\w.]+`(?:, | and )?)+) in\s+`([\w/.]+\.\w+)`", TEXT))
def test_what_it_names_stands_in_the_file(names, path):
    content = (PROJECT / path).read_text(encoding="utf-8")
    for name in re.findall(r"`([\w.]+)`", names):
        for part in name.split("."):
            assert re.search(rf"\b{part}\b", content), f"{part} is not in {path}"


def test_the_files_that_it_names_are_there():
    paths = re.findall(r"`((?:pipeline|training|tests|docs|requirements)/[\w/.*-]+)`", TEXT)
    assert len(paths) > 15
    assert [path for path in paths if not list(PROJECT.glob(path))] == []


@pytest.mark.parametrize("target", sorted(set(re.findall(r"`?make ([a-z-]+)", TEXT))))
def test_the_targets_that_it_names_are_there(target):
    assert re.search(rf"^{target}:", (PROJECT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
