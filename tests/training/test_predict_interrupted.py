"""Predictions that were interrupted go on where they were."""

import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import ClassifierError, DatasetError, InputError
from pipeline.files.dataset import read_texts
from tests.conftest import PROJECT
from tests.prediction import SMALL_CHUNKS, TEXTS, answers, use_stand_in, write_texts_to
from training import predict
from training.data.predictions_file import PredictionsFile, progress_path


class Killed(BaseException):
    pass


def run_until(step, folder):
    """Run with --resume; the process dies before the `step`th time that it makes something last."""
    steps = iter(range(1, 1000))

    def mortal(call):
        def dying(*arguments, **options):
            if next(steps) >= step:
                raise Killed
            return call(*arguments, **options)

        return dying

    with pytest.MonkeyPatch.context() as patch:
        use_stand_in(patch)
        for name in ("fsync", "replace", "open", "unlink"):
            patch.setattr(os, name, mortal(getattr(os, name)))
        try:
            answers(folder, "--resume")
        except Killed:
            return False
    return True


@settings(max_examples=25)
@given(st.lists(st.integers(1, 30), min_size=1, max_size=6))
def test_wherever_a_run_dies_it_goes_on_from_there(tmp_path_factory, deaths):
    with pytest.MonkeyPatch.context() as patch:
        use_stand_in(patch)
        folder = write_texts_to(tmp_path_factory.mktemp("data"))
        whole = answers(folder)
    (folder / "out").unlink()
    for step in deaths:
        run_until(step, folder)
    assert run_until(1000, folder)
    assert (folder / "out").read_bytes() == whole


def test_a_death_at_each_single_step_is_survived(folder, stand_in):
    whole = answers(folder)
    for step in range(1, 1000):
        (folder / "out").unlink()
        if run_until(step, folder):
            break
        assert run_until(1000, folder)
        assert (folder / "out").read_bytes() == whole
    assert step > 4 * 4  # for each of four chunks: the output, the record beside it, its name, its folder


def test_killed_again_and_again_it_writes_what_an_undisturbed_run_writes(bundle_path, sample_dataset, tmp_path):
    write_texts_to(tmp_path, [*read_texts(sample_dataset / "data.txt")] * 5)
    options = ("--device", "cpu", "--dataset_dir", tmp_path, "--params_path", bundle_path, "--output_file")
    words = list(map(str, (sys.executable, "-c", SMALL_CHUNKS, *options)))
    subprocess.run([*words, tmp_path / "whole"], cwd=PROJECT, check=True)
    output, moments, kills = tmp_path / "out", random.Random(3), 0
    for _ in range(5):
        process = subprocess.Popen([*words, output, "--resume"], cwd=PROJECT)
        before = rows_done(output)
        while process.poll() is None and rows_done(output) == before:
            time.sleep(0.001)
        time.sleep(moments.uniform(0, 0.05))
        process.send_signal(signal.SIGKILL)
        kills += process.wait() == -signal.SIGKILL
    assert kills == 5
    assert 0 < rows_done(output) < 1000
    subprocess.run([*words, output, "--resume"], cwd=PROJECT, check=True)
    assert output.read_bytes() == (tmp_path / "whole").read_bytes()


def rows_done(output):
    try:
        return json.loads(progress_path(output).read_bytes())["rows"]
    except FileNotFoundError:
        return 0


@pytest.fixture
def interrupted(folder, stand_in):
    """A folder whose run ended at row 7."""
    (folder / "data.txt").write_text("".join(f"{text}\n" for text in TEXTS[:7]) + "\n")
    with pytest.raises(DatasetError):
        answers(folder)
    return write_texts_to(folder)


def test_an_interrupted_run_is_not_overwritten_by_chance(interrupted):
    before = (interrupted / "out").read_bytes()
    with pytest.raises(InputError, match=r"out holds the first 7 rows of a run that has not finished; .*--resume"):
        answers(interrupted)
    assert (interrupted / "out").read_bytes() == before
    (interrupted / "out.progress").unlink()
    assert answers(interrupted).count(b"text: ") == 10


def test_another_input_does_not_go_on(interrupted):
    write_texts_to(interrupted, ["另一条", *TEXTS[1:]])
    with pytest.raises(InputError, match="the first 7 lines of .*data.txt are not those whose answers"):
        answers(interrupted, "--resume")
    write_texts_to(interrupted, TEXTS[:6])
    with pytest.raises(InputError, match="the first 7 lines of"):
        answers(interrupted, "--resume")


def test_other_options_or_another_model_do_not_go_on(interrupted, monkeypatch):
    with pytest.raises(InputError, match="was begun with had --format 'text', and now it is 'tsv'"):
        answers(interrupted, "--resume", "--format", "tsv")
    with pytest.raises(InputError, match="had --top_k None, and now it is 2"):
        answers(interrupted, "--resume", "--top_k", 2)
    use_stand_in(monkeypatch, "another")
    with pytest.raises(InputError, match="had model 'model', and now it is 'another'"):
        answers(interrupted, "--resume")


def test_a_shortened_output_does_not_go_on(interrupted):
    os.truncate(interrupted / "out", 5)
    with pytest.raises(InputError, match=r"out has 5 bytes, and \d+ had been written"):
        answers(interrupted, "--resume")


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"run": 1, "rows": null}'])
def test_a_damaged_record_is_named(interrupted, content):
    (interrupted / "out.progress").write_text(content)
    with pytest.raises(InputError, match=r"out.progress is no record of an interrupted run"):
        answers(interrupted, "--resume")


def test_two_runs_do_not_write_one_file(folder, stand_in):
    with PredictionsFile(folder / "out", {}), pytest.raises(ClassifierError, match="another process is writing"):
        answers(folder)


@pytest.mark.usefixtures("stand_in")
def test_a_complete_output_is_left_alone_by_resume(folder, capsys):
    whole = answers(folder, "--resume")
    capsys.readouterr()
    write_texts_to(folder, ["另一条"])
    assert answers(folder, "--resume") == whole
    assert "out is complete; leave out --resume to predict anew" in capsys.readouterr().err
    assert answers(folder).count(b"text: ") == 1


def test_resume_needs_a_file():
    with pytest.raises(InputError, match="--resume goes on with a file; give its --output_file"):
        predict.WriteOptions(dataset_dir="data", resume=True)


def test_a_full_disk_costs_nothing_that_was_written(command, tmp_path):
    words = [*command, "--output_file", tmp_path / "out", "--format", "tsv"]
    words[1:2] = ["-c", SMALL_CHUNKS]
    subprocess.run(words, cwd=PROJECT, check=True)
    whole = (tmp_path / "out").read_bytes()
    (tmp_path / "out").unlink()
    small_disk = ("sh", "-c", f'ulimit -f {len(whole) // 2 // 512}; exec "$@"', "sh")
    done = subprocess.run([*small_disk, *words], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert f"error: cannot write {tmp_path}/out: File too large" in done.stderr
    assert "go on with --resume" in done.stderr
    subprocess.run([*words, "--resume"], cwd=PROJECT, check=True)
    assert (tmp_path / "out").read_bytes() == whole
