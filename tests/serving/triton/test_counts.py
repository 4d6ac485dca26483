"""Counts that the processes of one server share."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time

import pytest

from pipeline.errors import EnvironmentFault
from serving.triton.backend.counts import PREFIX, Texts, Work


@pytest.fixture
def texts(tmp_path):
    return Texts("1", tmp_path)


def test_processes_of_one_server_share_the_counts_of_a_version(texts, tmp_path):
    def step(version, count):
        script = f"""if True:
            from pathlib import Path
            from serving.triton.backend.counts import Texts
            texts = Texts({version!r}, Path({str(tmp_path)!r}))
            texts.lane(1).answered += {count}
            print(texts.answered)"""
        return int(subprocess.run([sys.executable, "-c", script], check=True, capture_output=True).stdout)

    assert [step("1", 12), step("1", 3), step("2", 0)] == [12, 15, 0]
    assert texts.answered == 0  # of this process's own parent


def test_instances_of_a_model_say_when_they_compute(texts, tmp_path):
    assert texts.idle_since() is None
    before = time.monotonic()
    first, second = (Work(Texts("1", tmp_path), f"seqcls_model_0_{number}") for number in (0, 255))
    assert before <= texts.idle_since() <= time.monotonic()
    with second:
        assert texts.idle_since() is None
        with first:
            pass
        assert texts.idle_since() is None
    with first:
        with Work(Texts("1", tmp_path), "seqcls_model_0_16"):
            pass
        assert texts.idle_since() is None  # what the 17th has done says nothing of the first
    with Work(Texts("1", tmp_path), "seqcls_model_0_0", device=1):
        with first:
            pass
        assert texts.idle_since() is None  # nor what one on another GPU has done, which has the same name
    idle_since = texts.idle_since()
    with pytest.raises(ValueError), first:
        raise ValueError
    assert texts.idle_since() > idle_since


def test_files_of_ended_servers_go_and_others_stay(tmp_path):
    namespace = os.stat("/proc/self/ns/pid").st_ino
    ended = [tmp_path / f"{PREFIX}{namespace}-{process}-1-1" for process in (os.getpid(), 2**22 + 1)]
    others = [tmp_path / f"{PREFIX}{namespace + 1}-{2**22 + 1}-1-1", tmp_path / "another", tmp_path / f"{PREFIX}odd"]
    for path in ended + others:
        path.touch()
    Texts("7", tmp_path).lane(1).answered = 3
    assert Texts("7", tmp_path).answered == 3
    assert not any(path.exists() for path in ended)
    assert all(path.exists() for path in others)


def test_a_link_and_another_users_file_are_not_used(tmp_path, monkeypatch, texts):
    (path,) = tmp_path.glob(f"{PREFIX}*")
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(EnvironmentFault, match="not this user's own file; remove it"):
        Texts("1", tmp_path)
    monkeypatch.undo()
    path.rename(tmp_path / "elsewhere")
    path.hardlink_to(tmp_path / "elsewhere")
    with pytest.raises(EnvironmentFault, match="not this user's own file; remove it"):
        Texts("1", tmp_path)
    path.unlink()
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(EnvironmentFault, match="symbolic links"):
        Texts("1", tmp_path)


def test_a_full_disk_is_said_when_the_model_is_loaded(tmp_path, monkeypatch):
    def full(descriptor, start, length):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(EnvironmentFault, match=r"cannot be written \(No space left on device\); make room there"):
        Texts("1", tmp_path)
