"""`--model_name linear`, and a linear part beside an encoder: trained, evaluated, exported, released, pruned."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import BundleError, InputError
from pipeline.files.bundle import Bundle, read_linear
from pipeline.files.checksums import write_all_checksums
from pipeline.predictor import Predictor
from pipeline.text.linear import LINEAR_FILE
from tests.conftest import first_rows
from training.analysis.evaluate import EvaluateOptions, evaluate
from training.checkpoint.classifier import load_classifier
from training.checkpoint.files import read_checkpoint, rewrite_checkpoint
from training.data.encoded import read_encoded
from training.export_model import ExportOptions, export
from training.gate.options import ReleaseOptions
from training.linear.completion import join_linear_part
from training.loop.options import TrainingRun
from training.prune import prune
from training.pruning.options import PruningRun
from training.release import release
from training.train import train

FILES = ("train.txt", "dev.txt")


@pytest.fixture(scope="module")
def few(sample_dataset, tmp_path_factory) -> Path:
    return first_rows(sample_dataset, tmp_path_factory.mktemp("few") / "data", 600, 150)


@pytest.fixture(scope="module")
def linear(few, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("linear") / "checkpoint"
    train(TrainingRun(dataset_dir=few, model_name="linear", save_dir=folder))
    return folder


def test_a_linear_model_goes_all_the_way(few, linear, tmp_path):
    record = read_checkpoint(linear).record
    assert record.encoder_weight == 0 and record.metrics["dev"]["micro_f1"] > 0.7
    scores = evaluate(EvaluateOptions(params_path=linear, dataset_dir=few, bad_case_path=tmp_path / "bad.txt"))
    assert scores["summary"]["micro_f1"] == pytest.approx(record.metrics["dev"]["micro_f1"])
    bundle = export(ExportOptions(params_path=linear, output_path=tmp_path / "export"))
    assert json.loads((bundle.path / "bundle.json").read_text())["format_version"] == 4
    assert bundle.decoder().calibration == record.calibration is not None
    assert scores["summary"]["calibration_error"] < scores["uncalibrated"]["calibration_error"]
    assert "No encoder" in (bundle.path / "README.md").read_text(encoding="utf-8")
    texts = [line.split("\t")[0] for line in (few / "dev.txt").read_text(encoding="utf-8").splitlines()]
    own = load_classifier(linear, "cpu", None, 32).logits(texts)
    for runtime in ("onnxruntime", "openvino"):
        assert np.allclose(Predictor(bundle, runtime).logits(texts), own, atol=1e-5)


def test_a_finished_linear_model_is_kept_beside_the_next_one(few, linear):
    train(TrainingRun(dataset_dir=few, model_name="linear", save_dir=linear))
    assert (linear.with_name("checkpoint.previous") / LINEAR_FILE).exists()


@pytest.mark.parametrize("option", [{"epochs": 3}, {"resume": True}, {"freeze_layers": 1}, {"linear": "never"}])
def test_what_only_an_encoder_has_a_use_for_is_refused(few, tmp_path, option):
    with pytest.raises(InputError, match=f"--{next(iter(option))} is of no use"):
        train(TrainingRun(dataset_dir=few, model_name="linear", save_dir=tmp_path / "checkpoint", **option))


def test_a_linear_model_that_finds_nothing_is_not_told_to_train_for_longer(tmp_path, capsys):
    (tmp_path / "label.txt").write_text("a\nb\nc\nd\n", encoding="utf-8")
    for name, words in (("train.txt", "abcdefgh"), ("dev.txt", "stuvwxyz")):
        rows = [f"{word * 9}\t{'abcd'[place % 4]}\n" for place, word in enumerate(words)]
        (tmp_path / name).write_text("".join(rows), encoding="utf-8")
    train(TrainingRun(dataset_dir=tmp_path, model_name="linear", save_dir=tmp_path / "checkpoint"))
    said = capsys.readouterr().out
    assert "finds no label of dev" in said and "--epochs" not in said


def test_a_linear_model_has_no_encoder_to_prune_or_to_start_from(few, linear, tmp_path):
    with pytest.raises(InputError, match="no encoder"):
        prune(PruningRun(params_dir=linear, dataset_dir=few, output_dir=tmp_path))
    with pytest.raises(InputError, match="no encoder to start from"):
        start = linear / LINEAR_FILE
        train(TrainingRun(dataset_dir=few, model_name="scratch-tiny", save_dir=tmp_path / "next", init_from_ckpt=start))


def test_a_linear_part_joins_an_encoder(checkpoint, sample_dataset, tmp_path):
    folder = Path(shutil.copytree(checkpoint, tmp_path / "checkpoint"))
    own = read_checkpoint(folder)
    train_set, dev_set = (read_encoded(sample_dataset / name, own.hierarchy, own.encoder()) for name in FILES)
    join_linear_part(folder, train_set, dev_set, ("fixed", False), must_gain=False)
    joined = read_checkpoint(folder)
    assert joined.record.encoder_weight is not None
    assert joined.record.metrics["dev"]["micro_f1"] >= own.record.metrics["dev"]["micro_f1"]
    joined = replace(joined, record=replace(joined.record, encoder_weight=0.5))  # whatever was learnt: both count
    rewrite_checkpoint(joined, joined.record, read_linear(folder / LINEAR_FILE, len(own.hierarchy)))
    bundle = export(ExportOptions(params_path=folder, output_path=tmp_path / "export"))
    texts = list(own.record.sample_texts)
    whole = load_classifier(folder, "cpu", None, 32)
    assert np.allclose(Predictor(bundle).logits(texts), whole.logits(texts), atol=1e-3)
    assert "Beside it" in (bundle.path / "README.md").read_text(encoding="utf-8")
    assert LINEAR_FILE in bundle.reading_files
    released = release(
        ReleaseOptions(
            bundles=(bundle.path,),
            params_path=folder,
            dataset_dir=sample_dataset,
            output_path=tmp_path / "released",
            runtime="onnxruntime",
            precision="float32",
            rounds=1,
        )
    )
    assert [golden.labels for golden in released.manifest.goldens] == [
        tuple(prediction.label for prediction in answer)
        for answer in Predictor(released).predict([golden.text for golden in released.manifest.goldens])
    ]


def test_a_bundle_without_its_linear_part_is_refused(linear, tmp_path):
    bundle = export(ExportOptions(params_path=linear, output_path=tmp_path / "export"))
    (bundle.path / LINEAR_FILE).unlink()
    (bundle.path / "README.md").unlink()
    write_all_checksums(bundle.path)
    with pytest.raises(BundleError, match=LINEAR_FILE):
        Bundle(bundle.path).encoder()


def test_what_the_linear_part_does_not_read_is_told(linear, checkpoint, tmp_path):
    """An encoder that reads a text to its end does not hide that its linear part did not."""
    texts = ["罢工。", "罢工。" * 7000]
    assert load_classifier(linear, "cpu", None, 32).read(texts)[1] == [False, True]
    folder = Path(shutil.copytree(checkpoint, tmp_path / "joint"))
    own = read_checkpoint(folder)
    rewrite_checkpoint(own, replace(own.record, encoder_weight=0.5), read_linear(linear / LINEAR_FILE, 74))
    reader = read_checkpoint(folder).encoder(65_000)
    assert reader.encode_checked(texts).truncated.tolist() == [False, True]


def test_a_rewritten_checkpoint_keeps_all_its_files(checkpoint, tmp_path):
    folder = Path(shutil.copytree(checkpoint, tmp_path / "checkpoint"))
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "SHA256SUMS"}
    own = read_checkpoint(folder)
    rewrite_checkpoint(own, own.record, None)
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "SHA256SUMS"} == before


def test_the_gate_counts_the_linear_part_s_time_and_size(linear, few, tmp_path):
    bundle = export(ExportOptions(params_path=linear, output_path=tmp_path / "export"))
    options = {"runtime": "onnxruntime", "precision": "float32", "rounds": 1, "dataset_dir": few}
    places = {"bundles": (bundle.path,), "params_path": linear, "output_path": tmp_path / "released"}
    (candidate,) = release(ReleaseOptions(**places, **options)).manifest.gate["candidates"]
    sizes = {name: bundle.file(name).stat().st_size for name in ("model.onnx", LINEAR_FILE)}
    assert candidate["cost"]["file_bytes"] == sum(sizes.values())
