"""What several processes of the tests share."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from tests.processes import ORDER, group, made_once


@pytest.mark.parametrize(
    ("file", "fixtures", "wanted"),
    [
        ("training/test_train.py", {"checkpoint", "tmp_path"}, "training"),
        ("training/loop/test_losses.py", {"tmp_path"}, "training/loop/test_losses.py"),
        ("pipeline/test_infer.py", {"bundle_path"}, "training"),
        ("pipeline/test_options.py", set(), "pipeline"),
        ("serving/triton/test_health.py", {"bundle_path"}, "servers"),
        ("serving/console/test_page.py", {"browser", "bundle_path"}, "console"),
        ("serving/process/test_guard.py", {"tmp_path"}, "serving/process/test_guard.py"),
    ],
)
def test_what_needs_a_shared_fixture_stays_together(file, fixtures, wanted):
    assert group(file, fixtures) == wanted
    assert (wanted in ORDER) == (wanted != file)


class Factory:
    """Of temporary folders of one of several processes."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir(parents=True)

    def getbasetemp(self):
        return self.folder

    def mktemp(self, name):
        (self.folder / name).mkdir()
        return self.folder / name


def test_a_folder_is_made_by_one_process_and_copied_by_all(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTEST_XDIST_WORKER", "gw0")
    run = SimpleNamespace(made=0)

    def make(folder):
        run.made += 1
        folder.mkdir()
        (folder / "weights").write_text("1 2 3")

    factories = [Factory(tmp_path / f"popen-gw{number}") for number in range(4)]
    with ThreadPoolExecutor(4) as pool:
        folders = list(pool.map(lambda factory: made_once(factory, "checkpoint", make), factories))
    assert run.made == 1
    assert len(set(folders)) == 4
    assert {(folder / "weights").read_text() for folder in folders} == {"1 2 3"}


def test_what_failed_is_made_again_from_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTEST_XDIST_WORKER", "gw0")
    first, second = (Factory(tmp_path / f"popen-gw{number}") for number in range(2))

    def failing(folder):
        folder.mkdir()
        (folder / "half").touch()
        raise RuntimeError("no memory")

    with pytest.raises(RuntimeError, match="no memory"):
        made_once(first, "checkpoint", failing)
    assert list(made_once(second, "checkpoint", lambda folder: folder.mkdir()).iterdir()) == []
