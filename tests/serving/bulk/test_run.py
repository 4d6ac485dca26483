"""The command: workers and the driver may be killed at any moment, and each text is answered once all the same."""

from __future__ import annotations

import gzip
import json
import multiprocessing
import os
import resource
import signal
import subprocess
import sys

import pytest

from pipeline.errors import InputError
from serving.bulk.running import score
from serving.bulk.workers import score_shards
from tests.conftest import ENVIRONMENT, PROJECT
from tests.serving.bulk.scored import answers, as_json_lines, as_lines, shards_of
from tests.serving.tiny_model import eventually


def command(given, *more: str, **how) -> subprocess.Popen[str]:
    places = ("--input", *given.input, "--bundle", str(given.bundle), "--output_dir", str(given.output_dir))
    words = [sys.executable, "-m", "serving.bulk", *places, "--shard_bytes", str(given.shard_bytes), *more]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(words, cwd=PROJECT, env=ENVIRONMENT, **pipes, **how)


def workers_of(driver: int) -> list[int]:
    """The processes that a driver has started to compute."""
    found = []
    for task in (f"/proc/{driver}/task/{name}" for name in os.listdir(f"/proc/{driver}/task")):
        with open(f"{task}/children") as stream:
            found += [int(word) for word in stream.read().split()]
    return [each for each in found if b"spawn_main" in open(f"/proc/{each}/cmdline", "rb").read()]


def lines_of(given) -> int:
    manifest = given.output_dir / "manifest.jsonl"
    return manifest.read_bytes().count(b"\n") if manifest.exists() else 0


def test_worker_and_driver_are_killed_and_every_text_is_answered_once(options, texts, expected, tmp_path):
    times = 100
    (tmp_path / "in" / "a.txt").write_bytes(as_lines(texts * times))
    given = options(shard_bytes=1 << 13)
    driver = command(given)
    assert eventually(lambda: lines_of(given) > 2, 120)
    os.kill(workers_of(driver.pid)[0], signal.SIGKILL)
    assert eventually(lambda: lines_of(given) > 8, 120)
    left = workers_of(driver.pid)
    driver.kill()
    driver.communicate()
    assert eventually(lambda: not any(os.path.exists(f"/proc/{each}") for each in left))
    done = lines_of(given)
    assert done < len(as_lines(texts * times)) / given.shard_bytes - 1
    output, errors = command(given).communicate()
    assert f"{done:,} of" in errors
    found = answers(given.output_dir)
    assert [row for _, row in found] == expected * times
    assert len({own for own, _ in found}) == len(found) == json.loads(output)["rows"]
    assert not any((given.output_dir / "drafts").iterdir())


def test_a_shard_that_kills_its_workers_is_given_up_and_the_others_are_done(options, scorer, texts, tmp_path):
    for name, times in (("a.txt", 1), ("b.txt", 100), ("c.txt", 1)):  # b is not answered before its worker is killed
        (tmp_path / "in" / name).write_bytes(as_lines(texts * times))
    given = options(processes=1)
    shards, told = shards_of(given, scorer.predictor.bundle), []
    for each in score_shards(
        shards, given, scorer.predictor.bundle.identity, lambda shard, number: tmp_path / f"{shard.file_stem}-{number}"
    ):
        told.append(each)
        if each.texts and each.shard.name.startswith("b.txt"):
            (worker,) = multiprocessing.active_children()
            os.kill(worker.pid, signal.SIGKILL)
    (lost,) = [each for each in told if each.reason]
    assert lost.killed
    assert lost.reason == (f"{lost.shard.name}: its worker was killed (SIGKILL), perhaps for want of memory, 3 times")
    assert lost.shard.source.name == "b.txt"
    assert {each.shard.source.name for each in told if each.part} == {"a.txt", "c.txt"}
    assert not multiprocessing.active_children()


@pytest.mark.slow
def test_a_full_disk_is_told_and_leaves_nothing_torn(options, texts, expected, tmp_path):
    (tmp_path / "in" / "a.txt").write_bytes(as_lines(texts[:5]))
    (tmp_path / "in" / "b.txt").write_bytes(as_lines(texts * 20))
    given, room = options(shard_bytes=1 << 20), 8 << 10
    full = command(
        given, "--processes", "1", preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
    )
    _, errors = full.communicate()
    assert full.returncode == 3, errors
    assert "File too large; make room, the same command goes on then" in errors
    assert len(answers(given.output_dir)) == 5
    assert command(given).wait() == 0
    assert [row for _, row in answers(given.output_dir)] == expected[:5] + expected * 20


def test_a_file_that_breaks_off_does_not_stop_the_others(options, texts, tmp_path):
    (tmp_path / "in" / "a.txt.gz").write_bytes(gzip.compress(as_lines(texts * 200))[:-9])
    (tmp_path / "in" / "b.txt").write_bytes(as_lines(texts))
    with pytest.raises(Exception, match=r"1 shard left out; the same command tries again:\na.txt.gz cannot be read"):
        score(options(processes=1))
    assert len(answers(tmp_path / "out")) == len(texts)


def test_a_shard_that_cannot_be_read_takes_no_place_within_the_limit(options, texts, tmp_path):
    (tmp_path / "in" / "a.txt.gz").write_bytes(gzip.compress(as_lines(texts * 200))[:-9])
    (tmp_path / "in" / "b.txt").write_bytes(as_lines(texts))
    with pytest.raises(InputError, match="1 shard left out"):
        score(options(processes=1, limit=1, shard_bytes=2048))
    assert lines_of(options()) == 1


def test_a_run_is_tried_first_limited_and_summed_up(options, texts, tmp_path, capsys):
    (tmp_path / "in" / "a.jsonl").write_bytes(as_json_lines(texts) + as_json_lines(texts[:2]))
    given = {"shard_bytes": 2048, "id_column": "id", "processes": 1}
    assert score(options(dry_run=True, **given)) is None
    shown = capsys.readouterr().out
    assert "about 102 texts" in shown
    assert not (tmp_path / "out").exists()
    assert score(options(limit=2, **given)) is None
    assert lines_of(options()) == 2
    assert not (tmp_path / "out" / "summary.json").exists()
    summary = score(options(**given))
    assert (summary.rows, summary.bad_rows, summary.duplicate_ids, summary.duplicate_rows) == (102, 0, 2, 4)
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["rows"] == 102
    assert (tmp_path / "out" / "duplicates.jsonl").read_text().count("\n") == 2
    assert "2 ids stand in several rows, 4 together: " in capsys.readouterr().err


def test_one_id_of_several_rows_is_told_in_the_singular(options, texts, tmp_path, capsys):
    (tmp_path / "in" / "a.jsonl").write_bytes(as_json_lines(texts[:2]) + as_json_lines(texts[:1]))
    score(options(id_column="id", processes=1))
    assert "1 id stands in several rows, 2 together: " in capsys.readouterr().err
