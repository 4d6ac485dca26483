import ctypes
import errno
import os
import signal
import subprocess
import sys

import pytest

from pipeline.files.atomic import atomic_folder, atomic_writer


def test_a_folder_is_replaced_whole(tmp_path):
    target = tmp_path / "target"
    for content in ("old", "new"):
        with atomic_folder(target) as folder:
            (folder / "file").write_text(content)
            (folder / content).touch()
    assert sorted(os.listdir(target)) == ["file", "new"]
    assert os.listdir(tmp_path) == ["target"]


def test_a_link_leads_to_what_is_replaced(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    with atomic_folder(tmp_path / "link") as folder:
        (folder / "new").touch()
    assert os.listdir(tmp_path / "real") == ["new"]
    assert (tmp_path / "link").is_symlink()


def test_no_umask_lets_others_write(tmp_path):
    before = os.umask(0)
    try:
        with atomic_folder(tmp_path / "target") as folder:
            (folder / "code").mkdir()
            (folder / "code" / "model.py").touch()
        words = "import pathlib; from pipeline.command import run; run(lambda _: pathlib.Path('made').mkdir())"
        place = {**os.environ, "PYTHONPATH": os.getcwd()}
        subprocess.run([sys.executable, "-c", words], cwd=tmp_path, env=place, check=True)
    finally:
        os.umask(before)
    written = [tmp_path / "target", *(tmp_path / "target").rglob("*")]
    assert [path.name for path in written if path.stat().st_mode & 0o022] == []
    assert (tmp_path / "made").stat().st_mode & 0o002 == 0


def test_where_folders_cannot_be_swapped_they_are_renamed(tmp_path, monkeypatch):
    class Refusing:
        """The C library of a network file system's client."""

        def renameat2(self, *arguments):
            ctypes.set_errno(errno.EINVAL)
            return -1

    monkeypatch.setattr(ctypes, "CDLL", lambda *arguments, **options: Refusing())
    test_a_folder_is_replaced_whole(tmp_path)


def test_a_failure_leaves_the_old_folder(tmp_path):
    target = tmp_path / "target"
    target.mkdir()
    (target / "old").touch()
    with pytest.raises(OSError, match="disk full"), atomic_folder(target) as folder:
        (folder / "new").touch()
        raise OSError("disk full")
    assert os.listdir(target) == ["old"]
    assert os.listdir(tmp_path) == ["target"]


def test_a_failure_leaves_the_old_file(tmp_path):
    target = tmp_path / "file"
    target.write_text("old")
    with pytest.raises(ValueError, match="stop"), atomic_writer(target) as stream:
        stream.write(b"new")
        raise ValueError("stop")
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]


def test_a_full_disk_is_named_by_what_was_written(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=f"No space left on device: '{tmp_path}/file'"), atomic_writer(tmp_path / "file"):
        pass
    with (
        pytest.raises(OSError, match=f"No space left on device: '{tmp_path}/folder'"),
        atomic_folder(tmp_path / "folder"),
    ):
        full()
    assert os.listdir(tmp_path) == []


def test_a_process_killed_while_writing_leaves_the_old_folder(tmp_path):
    target = tmp_path / "target"
    target.mkdir()
    (target / "old").touch()
    script = (
        "import os, signal, sys; from pipeline.files.atomic import atomic_folder\n"
        "with atomic_folder(sys.argv[1]) as folder:\n"
        "    (folder / 'new').touch(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = subprocess.run([sys.executable, "-c", script, str(target)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert os.listdir(target) == ["old"]


def test_what_a_killed_process_left_is_gone_after_the_next_write(tmp_path):
    """Whatever it wrote; what another process is about to write stays."""
    words = """
import os, sys
from pipeline.files.atomic import atomic_folder, atomic_writer
with atomic_folder("export") as folder, atomic_writer("rows.txt"):
    (folder / "half").touch()
    os.kill(os.getpid(), 9)
"""
    place = {**os.environ, "PYTHONPATH": os.getcwd()}
    assert subprocess.run([sys.executable, "-c", words], cwd=tmp_path, env=place, check=False).returncode == -9
    left = sorted(tmp_path.iterdir())
    assert len(left) == 2
    (tmp_path / ".rows.txt.original").touch()  # somebody's own
    os.utime(tmp_path / ".rows.txt.original", (0, 0))
    with atomic_folder(tmp_path / "export"):
        pass
    assert left[0].exists()  # it is too new to tell
    for path in left:
        os.utime(path, (0, 0))
    with atomic_folder(tmp_path / "export") as draft, atomic_writer(tmp_path / "rows.txt"):
        assert not any(path.exists() for path in left)
        os.utime(draft, (0, 0))
        with atomic_folder(tmp_path / "export"):
            assert draft.exists()
    assert sorted(os.listdir(tmp_path)) == [".rows.txt.original", "export", "rows.txt"]
