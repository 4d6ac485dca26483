"""What is done stays done, and is trusted only as long as it is what the manifest says."""

from __future__ import annotations

import json
import os
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.errors import InputError
from serving.bulk import duplicates
from serving.bulk.duplicates import find_duplicates
from serving.bulk.ledger import Ledger
from serving.bulk.running import score
from serving.bulk.scoring import METADATA_KEY, score_shard
from serving.bulk.shards import Shard
from serving.bulk.sources import find_sources
from tests.serving.bulk.scored import answers, as_lines, run_here, shards_of


@pytest.fixture
def folder(options, texts, tmp_path):
    (tmp_path / "in" / "a.txt").write_bytes(as_lines(texts))
    (tmp_path / "in" / "b.txt").write_bytes(as_lines(texts[:3]))
    return tmp_path / "in"


def done(given, scorer):
    """Which shards a new run would find done."""
    with Ledger(given, scorer.predictor.bundle.identity, shards_of(given, scorer.predictor.bundle)) as ledger:
        return {shard.name for shard in ledger.own} - {shard.name for shard in ledger.to_do}


def stems(given) -> dict[str, str]:
    lines = (given.output_dir / "manifest.jsonl").read_text().splitlines()
    return {entry["shard"]: entry["stem"] for entry in map(json.loads, lines)}


def test_a_part_tells_what_made_it(folder, options, scorer):
    given = options()
    run_here(given, scorer)
    part = next((given.output_dir / "parts").iterdir())
    said = json.loads(pq.read_schema(part).metadata[METADATA_KEY])
    assert said["bundle"] == scorer.predictor.bundle.identity
    assert said["decoding"].startswith("policy ancestors")
    assert said["options"]["text_column"] == "text"


def test_what_a_run_that_was_killed_still_writes_is_no_draft_of_the_next_one(folder, options, scorer):
    given, drafts = options(), []
    shards = shards_of(given, scorer.predictor.bundle)
    for _ in range(2):
        with Ledger(given, scorer.predictor.bundle.identity, shards) as ledger:
            drafts += [ledger.draft(shard, number) for shard in shards for number in range(2)]
    assert len(set(drafts)) == 8
    drafts[0].with_suffix(".parquet").touch()
    run_here(given, scorer)
    assert not drafts[0].with_suffix(".parquet").exists()


def test_a_part_that_changed_or_is_gone_is_done_again(folder, options, scorer, capsys):
    given = options(shard_bytes=2048)
    run_here(given, scorer)
    before, names = sorted(answers(given.output_dir)), stems(given)
    first, second, third, *rest = names
    parts = given.output_dir / "parts"
    os.truncate(parts / f"{names[first]}.parquet", 100)
    (parts / f"{names[second]}.parquet").unlink()
    shutil.copyfile(parts / f"{names[rest[0]]}.parquet", parts / f"{names[third]}.parquet")
    assert done(given, scorer) == set(rest)
    assert "3 parts changed, cut short or gone, done again" in capsys.readouterr().err
    run_here(given, scorer)
    assert sorted(answers(given.output_dir)) == before


def test_a_line_cut_short_and_a_part_without_a_line_are_done_again(folder, options, scorer, capsys):
    given = options(shard_bytes=2048)
    run_here(given, scorer)
    before, manifest = sorted(answers(given.output_dir)), given.output_dir / "manifest.jsonl"
    os.truncate(manifest, manifest.stat().st_size - 20)
    shutil.copyfile(next((given.output_dir / "parts").iterdir()), given.output_dir / "parts" / "0-1.parquet")
    run_here(given, scorer)
    assert "is cut short or damaged" in capsys.readouterr().err
    assert sorted(answers(given.output_dir)) == before


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"promise": 0.5}, "was begun with --promise None, and now it is 0.5"),
        ({"shard_bytes": 9999}, "was begun with --shard_bytes 1024, and now it is 9999"),
        ({"engine": "job", "completions": 2, "index": 0}, "was begun with completions None, and now it is 2"),
    ],
)
def test_other_options_are_refused(folder, options, scorer, changed, reason):
    run_here(options(shard_bytes=1024), scorer)
    with pytest.raises(InputError, match=reason):
        done(options(**{"shard_bytes": 1024, **changed}), scorer)


def test_another_bundle_is_refused(folder, options, scorer, bundle):
    run_here(options(), scorer)
    with pytest.raises(InputError, match=f"was begun with bundle {scorer.predictor.bundle.identity}, and now it is"):
        score(options(bundle=bundle.path))


def test_a_file_that_changed_or_is_gone_is_refused_or_done_without(folder, options, scorer, texts, capsys):
    run_here(options(), scorer)
    (folder / "a.txt").write_bytes(as_lines(texts[:7]))
    with pytest.raises(InputError, match=r"a.txt.*has changed, or is gone.*--changed redo"):
        done(options(), scorer)
    assert len(answers(options().output_dir)) == 103
    run_here(options(changed="redo"), scorer)
    assert "1 shard of files that changed" in capsys.readouterr().err
    assert len(answers(options().output_dir)) == 10
    (folder / "a.txt").unlink()
    run_here(options(changed="redo"), scorer)
    assert len(answers(options().output_dir)) == 3


def test_a_file_that_changes_while_it_is_read_gives_no_part(folder, options, scorer, tmp_path):
    (shard, _) = shards_of(options(), scorer.predictor.bundle)
    with pytest.raises(InputError, match="changed while it was read"):
        score_shard(shard, scorer, options(), tmp_path / "x", lambda texts: os.utime(folder / "a.txt", (1, 1)))


def test_a_second_driver_is_refused(folder, options, scorer):
    with Ledger(options(), scorer.predictor.bundle.identity, []), pytest.raises(InputError, match="another process"):
        done(options(), scorer)


def test_a_folder_of_something_else_is_refused(folder, options, scorer, tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").touch()
    with pytest.raises(InputError, match="is of no run; give a new or an empty one"):
        done(options(output_dir=tmp_path / "other"), scorer)


def test_pods_share_the_shards_and_one_closes(folder, options, scorer, texts):
    pods = [options(shard_bytes=1024, engine="job", completions=3, index=index) for index in range(3)]
    finish = options(shard_bytes=1024, engine="job", completions=3, finish=True)
    for pod in (pods[0], pods[2]):
        run_here(pod, scorer)
    with pytest.raises(Exception, match="shards not done, .* first; run the job again"):
        score(finish)
    run_here(pods[1], scorer)
    summary = score(finish)
    assert summary.rows == 103
    assert len(answers(finish.output_dir)) == 103
    assert not list(finish.output_dir.glob("manifest-*"))
    assert score(finish) == summary


@pytest.mark.parametrize("damaged", [False, True])
def test_a_pod_that_starts_again_after_the_end_keeps_what_is_done(damaged, folder, options, scorer):
    how = {"shard_bytes": 1024, "engine": "job", "completions": 2}
    pods, finish = [options(**how, index=index) for index in range(2)], options(**how, finish=True)
    for pod in pods:
        run_here(pod, scorer)
    summary, before = score(finish), sorted(answers(finish.output_dir))
    if damaged:
        own = stems(finish)[shards_of(finish, scorer.predictor.bundle)[1].name]
        os.truncate(finish.output_dir / "parts" / f"{own}.parquet", 100)
    for pod in pods:
        run_here(pod, scorer)
        assert (finish.output_dir / "summary.json").exists() == (not damaged or pod == pods[0])
    assert len(list(finish.output_dir.glob("manifest-*"))) == damaged
    assert score(finish) == summary
    assert sorted(answers(finish.output_dir)) == before


def test_pods_of_a_million_shards_leave_each_others_files(folder, options, scorer):
    (source, *_) = find_sources(options())
    own, other = (Shard(source, number, number, number + 1, 1) for number in (100_000, 1_000_000))
    theirs = options().output_dir / "parts" / f"{other.file_stem}.parquet"
    theirs.parent.mkdir(parents=True)
    theirs.touch()
    with Ledger(options(engine="job", completions=2, index=0), "bundle", [own, other]):
        assert theirs.exists()


def test_no_summary_tells_of_parts_that_are_gone(folder, options, scorer, monkeypatch):
    score(options(processes=1))
    (folder / "a.txt").unlink()

    def killed(*args: object) -> None:
        assert not any(options().output_dir.glob("[ds]*.json*"))
        raise KeyboardInterrupt

    for step in ("_rewrite", "_sweep"):
        monkeypatch.setattr(Ledger, step, killed)
    with pytest.raises(KeyboardInterrupt):
        done(options(changed="redo"), scorer)


def test_a_pod_that_sees_other_files_is_refused(folder, options, scorer):
    run_here(options(engine="job", completions=2, index=0), scorer)
    (folder / "c.txt").write_text("more\n")
    with pytest.raises(InputError, match="was begun with other input files"):
        run_here(options(engine="job", completions=2, index=1), scorer)


@pytest.mark.parametrize("index", ["", "2", "x"])
def test_a_pod_without_a_number_is_refused(options, index, monkeypatch):
    monkeypatch.setenv("JOB_COMPLETION_INDEX", index)
    with pytest.raises(InputError, match="give the number of this pod, from 0 to 1"):
        assert options(engine="job", completions=2).pod


def test_duplicate_ids_are_counted_exactly(tmp_path, monkeypatch):
    monkeypatch.setattr(duplicates, "IDS_AT_ONCE", 5)
    ids = [["a", "b", "a\n", "a\\n", "a\\\n"], ["a", "c", "a\n", "a", "字"], ["字"]]
    parts = [tmp_path / f"{number}.parquet" for number in range(3)]
    for part, own in zip(parts, ids):
        pq.write_table(pa.table({"id": own}), part)
    found = tmp_path / "duplicates.jsonl"
    assert find_duplicates(parts, 11, tmp_path, found) == (3, 7)
    lines = [json.loads(line) for line in found.read_text().splitlines()]
    assert sorted((line["id"], line["rows"]) for line in lines) == [("a", 3), ("a\n", 2), ("字", 2)]
    assert find_duplicates(parts[1:2], 1, tmp_path, found) == (1, 2)
    assert find_duplicates(parts[2:], 1, tmp_path, found) == (0, 0)
    assert not found.exists()
