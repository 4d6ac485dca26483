import json
import os
import pty
import random
import signal
import subprocess
import sys
import time
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.dataset import read_texts, write_labels
from pipeline.decoding import Decoder
from pipeline.errors import BundleError, ClassifierError, DatasetError, EnvironmentFault, InputError
from pipeline.hierarchy import LabelHierarchy
from pipeline.predictor import Predictor
from tests.conftest import PROJECT
from training import predict
from training.classifier import Classifier
from training.predictions_file import PredictionsFile, progress_path

LABELS = LabelHierarchy(["人生", "人生##死亡", "灾害"])
TEXTS = [f"第{number}条" for number in range(10)]
SMALL_CHUNKS = """
from pipeline import chunks
from pipeline.command import run
from training import predict
chunks.ROWS_PER_CHUNK = 16
run(predict.main)
"""


def arbitrary_logits(texts):
    """Logits that depend on the text alone."""
    return np.array([[zlib.crc32(f"{text}{label}".encode()) % 9 - 4 for label in range(3)] for text in texts], "f4")


@pytest.fixture
def stand_in(monkeypatch):
    """A classifier at no cost, and chunks of three rows, for what is about files rather than models."""
    use_stand_in(monkeypatch)


def use_stand_in(patch, identity="model"):
    classifier = Classifier(Decoder(LABELS), arbitrary_logits, "scratch-tiny", identity)
    patch.setattr(predict, "chosen_classifier", lambda *arguments: classifier)
    patch.setattr("pipeline.chunks.ROWS_PER_CHUNK", 3)


@pytest.fixture
def folder(tmp_path):
    """A dataset folder with texts alone."""
    return write_texts_to(tmp_path)


def write_texts_to(folder, texts=TEXTS):
    (folder / "data.txt").write_text("".join(f"{text}\n" for text in texts))
    return folder


def answers(folder, *options):
    """What `--output_file` holds after a run."""
    predict.main(["--dataset_dir", str(folder), "--output_file", str(folder / "out"), *map(str, options)])
    assert not progress_path(folder / "out").exists()
    return (folder / "out").read_bytes()


def printed(capfdbinary, folder, *options):
    predict.main(["--device", "cpu", "--dataset_dir", str(folder), *map(str, options)])
    return capfdbinary.readouterr().out.decode()


def test_a_bundle_answers_each_line_in_order(bundle_path, sample_dataset, capfdbinary):
    shown = printed(capfdbinary, sample_dataset, "--params_path", bundle_path, "--format", "jsonl")
    texts = list(read_texts(sample_dataset / "data.txt"))
    rows = [json.loads(line) for line in shown.splitlines()]
    assert [row["text"] for row in rows] == texts
    for row, expected in zip(rows, Predictor(bundle_path).predict(texts)):
        found = {label["label"]: label["confidence"] for label in row["labels"]}
        assert found == pytest.approx(dict(expected), abs=1e-4)


def test_a_checkpoint_answers_as_its_bundle_does(bundle_path, checkpoint, sample_dataset, capfdbinary):
    def label_sets(path):
        shown = printed(capfdbinary, sample_dataset, "--params_path", path, "--format", "tsv", "--at_least_one")
        return [(row.split("\t")[0], set(row.split("\t")[1].split(","))) for row in shown.splitlines()]

    assert label_sets(checkpoint / "model_state.pdparams") == label_sets(bundle_path)


@pytest.mark.parametrize("device", ["gpu", "xpu", "npu"])
def test_a_device_that_paddle_lacks_is_named(checkpoint, sample_dataset, device):
    with pytest.raises(EnvironmentFault, match=f"--device {device} is not available with the installed paddle"):
        predict.main(["--device", device, "--dataset_dir", str(sample_dataset), "--params_path", str(checkpoint)])


@pytest.mark.usefixtures("stand_in")
def test_the_command_line_overrides_the_model(folder):
    def labels(*options):
        return [row.split("\t")[1] for row in answers(folder, "--format", "tsv", *options).decode().splitlines()]

    assert any("," in row for row in labels())
    assert not any("," in row for row in labels("--top_k", 1))
    assert set(labels("--threshold", 0.99)) == {""}
    assert "" not in labels("--threshold", 0.99, "--at_least_one")
    assert "人生##死亡" in labels("--policy", "threshold")


@pytest.mark.usefixtures("stand_in")
def test_no_texts_are_no_answers(folder):
    write_texts_to(folder, [])
    assert answers(folder) == b""


@pytest.mark.usefixtures("stand_in")
@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (b"", "text is empty"),
        (b"\xff\xfe", "byte 1 .0xff. is not UTF-8"),
        ("长".encode() * 200_001, "longer than the limit of 200,000"),
        ("长".encode() * 300_000, "longer than 200,000 characters"),
    ],
    ids=["empty", "not UTF-8", "long", "too long to read"],
)
def test_a_wrong_row_is_named_and_mended(folder, row, reason):
    whole = answers(folder)
    lines = [text.encode() for text in TEXTS]
    (folder / "data.txt").write_bytes(b"\n".join([*lines[:7], row, *lines[8:], b""]))
    with pytest.raises(DatasetError, match=f"^{folder}/data.txt:8: .*{reason}"):
        answers(folder)
    written = (folder / "out").read_bytes()
    assert written.count(b"text: ") == 7
    assert whole.startswith(written)
    write_texts_to(folder)
    assert answers(folder, "--resume") == whole


def test_an_endless_line_is_not_read_to_its_end(stand_in, folder):
    with pytest.raises(DatasetError, match="^/dev/zero:1: the text is longer than 200,000 characters"):
        predict.main(["--dataset_dir", str(folder), "--data_file", "/dev/zero"])


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


@pytest.mark.usefixtures("stand_in")
def test_the_file_that_a_link_leads_to_is_written(folder):
    (folder / "out").symlink_to(folder / "elsewhere")
    assert answers(folder) == (folder / "elsewhere").read_bytes()
    assert (folder / "out").is_symlink()


@pytest.mark.usefixtures("stand_in")
@pytest.mark.parametrize(
    ("output", "reason"), [("data.txt", "is the file that the texts are read from"), (".", "is no ordinary file")]
)
def test_an_output_that_must_not_be_written_is_refused(folder, output, reason):
    with pytest.raises(InputError, match=reason):
        predict.main(["--dataset_dir", str(folder), "--output_file", str(folder / output)])
    assert (folder / "data.txt").read_text().splitlines() == TEXTS


@pytest.mark.usefixtures("stand_in")
def test_a_label_file_must_fit_the_model(folder):
    with pytest.raises(InputError, match="cannot read .*labels.txt"):
        answers(folder, "--label_file", "labels.txt")
    write_labels(folder / "label.txt", LabelHierarchy(reversed(LABELS.labels)))
    answers(folder)
    write_labels(folder / "label.txt", LabelHierarchy(["人生"]))
    with pytest.raises(InputError, match="label.txt does not fit the model: .*give the label file that the model"):
        answers(folder)


@pytest.mark.usefixtures("stand_in")
def test_another_known_encoder_is_refused_and_a_folder_is_not_judged(folder):
    answers(folder, "--model_name", "scratch-tiny")
    answers(folder, "--model_name", "/some/folder")
    with pytest.raises(InputError, match="--model_name is ernie-3.0-base-zh, and .* was trained with scratch-tiny"):
        answers(folder, "--model_name", "ernie-3.0-base-zh")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--top_k", 0), "top_k is 0"),
        (("--threshold", 1), r"threshold 1.0 lies outside \(0, 1\)"),
        (("--data_file", "none.txt"), "cannot read .*none.txt: No such file"),
        (("--params_path", "/nowhere"), "there is no checkpoint at /nowhere"),
        (("--batch_size", 0), "--batch_size 0"),
    ],
)
def test_options_that_cannot_be_met_are_named(folder, options, reason):
    with pytest.raises((InputError, BundleError), match=reason):
        answers(folder, *options)
    assert not (folder / "out").exists()


def test_resume_needs_a_file(folder, capsys):
    with pytest.raises(SystemExit):
        predict.main(["--dataset_dir", str(folder), "--resume"])
    assert "--resume goes on with a file; give its --output_file" in capsys.readouterr().err


def test_logits_that_are_not_finite_are_placed(folder, stand_in, monkeypatch):
    broken = Classifier(Decoder(LABELS), lambda texts: np.full((len(texts), 3), np.nan, "f4"))
    monkeypatch.setattr(predict, "chosen_classifier", lambda *arguments: broken)
    with pytest.raises(ClassifierError, match=r"data.txt, lines 1 to 3: row 0: the model's logits are not finite"):
        answers(folder)


@pytest.fixture
def command(bundle_path, sample_dataset):
    """The words of a command that predicts with the bundle."""
    options = ("--device", "cpu", "--dataset_dir", sample_dataset, "--params_path", bundle_path)
    return list(map(str, (sys.executable, "training/predict.py", *options)))


def test_standard_input_is_answered(command):
    words = [*command, "--data_file", "-", "--format", "jsonl"]
    done = subprocess.run(words, cwd=PROJECT, input="裁员\n地震\n\n".encode(), capture_output=True, check=False)
    assert [json.loads(line)["text"] for line in done.stdout.splitlines()] == ["裁员", "地震"]
    assert done.returncode == 2
    assert "error: <stdin>:3: text is empty" in done.stderr.decode()


def test_a_reader_that_stops_early_is_no_error(command):
    words = [*command, "--data_file", "/dev/stdin"]
    endless = subprocess.Popen(["yes", "裁员"], stdout=subprocess.PIPE)
    predicting = subprocess.Popen(
        words, cwd=PROJECT, stdin=endless.stdout, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert predicting.stdout.readline().decode() == "text: 裁员\n"
    predicting.stdout.close()
    assert predicting.wait(timeout=60) == 0
    assert b"error" not in predicting.stderr.read()
    endless.kill()
    endless.wait()


def test_a_terminal_shows_the_progress(command, tmp_path):
    leader, follower = pty.openpty()
    subprocess.run([*command, "--output_file", tmp_path / "out"], cwd=PROJECT, stderr=follower, check=True)
    os.close(follower)
    assert b"\r100% " in os.read(leader, 1 << 16)


def test_a_full_disk_costs_nothing_that_was_written(command, tmp_path):
    words = [*command, "--output_file", tmp_path / "out", "--format", "tsv"]
    words[1:2] = ["-c", SMALL_CHUNKS]
    subprocess.run(words, cwd=PROJECT, check=True)
    whole = (tmp_path / "out").read_bytes()
    (tmp_path / "out").unlink()
    small_disk = ("sh", "-c", f'ulimit -f {len(whole) // 2 // 512}; exec "$@"', "sh")
    done = subprocess.run([*small_disk, *words], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"error: cannot write {tmp_path}/out: File too large" in done.stderr
    assert "go on with --resume" in done.stderr
    subprocess.run([*words, "--resume"], cwd=PROJECT, check=True)
    assert (tmp_path / "out").read_bytes() == whole
