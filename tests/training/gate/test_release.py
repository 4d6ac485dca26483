"""The release gate: what it measures, what it refuses, and what it leaves behind."""

import os
import re
import shutil
import signal
from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from pipeline.compute.graph_precision import derived_graph
from pipeline.errors import ClassifierError
from pipeline.files.bundle import Bundle, seal
from pipeline.labels.decoding import Decoder
from pipeline.labels.hierarchy import LabelHierarchy
from pipeline.predictor import Predictor
from tests.conftest import run_in_process
from training import release
from training.gate.verdict import (
    USES,
    Allowances,
    Candidate,
    Cost,
    Quality,
    chosen_for,
    fastest_first,
    measure_quality,
    refusal,
    too_few,
)
from training.gate.worker import Worker

LABELS = LabelHierarchy(["人生", "人生##死亡", "灾害"])
QUICK = ("--rounds", 1, "--num_threads", 1, "--agreement", 0)


def quality_of(micro_f1, macro_f1=None, agreement=1.0):
    return Quality(micro_f1, micro_f1 if macro_f1 is None else macro_f1, 1.0, agreement, 1.0, 0.0)


def candidate(precision="float32", micro_f1=0.9, milliseconds=1.0, agreement=1.0, **changes):
    quality = quality_of(micro_f1, agreement=agreement)
    cost = Cost(10 - milliseconds, milliseconds, 1, 1)
    return Candidate("export", "1", "onnxruntime", precision, quality, cost, **changes)


@pytest.mark.parametrize(
    ("precision", "micro_f1", "allowances", "said"),
    [
        ("bfloat16", 0.8991, Allowances(), ""),
        ("bfloat16", 0.8989, Allowances(), "0.11 points below float32's at this width, more than 0.1"),
        ("float16", 0.8989, Allowances(allowance_half=0.2), ""),
        ("int8", 0.8951, Allowances(), ""),
        ("int8", 0.8949, Allowances(), "0.51 points below float32's at this width, more than 0.5"),
        ("float32", 0.8951, Allowances(), ""),
        ("float32", 0.8949, Allowances(), "0.51 points below the checkpoint's, more than 0.5"),
        ("float32", 0.8801, Allowances(allowance_width=2, allowance_macro=2), ""),
        ("float32", 0.88, Allowances(allowance_width=1.9), "2.00 points below the checkpoint's, more than 1.9"),
        ("int8", 0.95, Allowances(), ""),
    ],
)
def test_a_candidate_may_fall_as_far_as_its_precision_allows(precision, micro_f1, allowances, said):
    whole = quality_of(0.9)
    assert refusal(candidate(precision, micro_f1), 0.9, whole, allowances) == (f"micro F1 is {said}" if said else "")


def test_rare_labels_may_not_be_given_up_for_frequent_ones():
    worse = replace(candidate(), quality=quality_of(0.9, macro_f1=0.886))
    said = "macro F1 is 1.40 points below the checkpoint's, more than 1"
    assert refusal(worse, 0.9, quality_of(0.9), Allowances()) == said
    assert refusal(worse, 0.9, quality_of(0.9), Allowances(allowance_macro=1.5)) == ""


def test_what_is_lost_is_said():
    said = "micro F1 is 0.40 points below and macro F1 1.40 points above the checkpoint's, 100.0 % of the label sets"
    assert quality_of(0.896, 0.914).losses(quality_of(0.9)).startswith(said)
    assert "micro F1 is equal to and macro F1 equal to" in quality_of(0.9).losses(quality_of(0.9))
    assert "micro F1 is equal to" in quality_of(0.9 - 1e-9).losses(quality_of(0.9))


def test_a_file_of_few_texts_is_said_to_tell_little():
    assert too_few(40, Allowances()).startswith("40 texts tell little: one of them is 2.5 % of all")
    assert not too_few(200, Allowances())


def test_a_candidate_must_give_the_label_sets_of_float32():
    assert refusal(candidate("int8", agreement=0.996), 0.9, quality_of(0.9), Allowances()) == ""
    changed = candidate("int8", agreement=0.994)
    assert refusal(changed, 0.9, quality_of(0.9), Allowances()) == (
        "only 99.40 % of the label sets are float32's, less than 99.5"
    )
    assert refusal(changed, 0.9, quality_of(0.9), Allowances(agreement=99)) == ""


def test_the_fastest_of_those_that_passed_comes_first():
    slow, fast, refused = (
        candidate(milliseconds=3.0),
        candidate(milliseconds=2.0),
        candidate(milliseconds=1.0, refusal="x"),
    )
    unmeasured = Candidate("export", "1", "openvino", "bfloat16", refusal="no such instructions")
    assert fastest_first([slow, fast, refused, unmeasured], "bulk") == [fast, slow]
    assert fastest_first([slow, fast, refused, unmeasured], "single") == [slow, fast]


def test_what_is_slow_for_single_texts_is_not_chosen_for_both_uses():
    def timed(precision, single, bulk):
        return replace(candidate(precision), cost=Cost(single, bulk, 1, 1))

    plain, half = timed("float32", 1.0, 0.8), timed("bfloat16", 5.0, 0.5)
    assert [fastest_first([half, plain], use)[0] for use in USES] == [plain, plain, half]
    assert chosen_for("both", fastest_first([half, plain], "both")) == (
        "chosen for single texts and texts in bulk: 1.00 ms for a text alone (the fastest), "
        "0.80 ms a text in batches of 32 (1.6 times the fastest)"
    )
    assert "for texts in bulk: 5.00 ms for a text alone (5.0 times the fastest), 0.50 ms" in chosen_for(
        "bulk", fastest_first([half, plain], "bulk")
    )


def test_quality_is_measured_against_labels_and_against_float32():
    actual = np.array([[True, True, False], [False, False, True]])
    reference = np.array([[3, 2, -3], [-2, -2, 2]], np.float32)
    changed = reference + np.array([[0, -4, 0], [0, 0, 0.5]], np.float32)
    quality = measure_quality(Decoder(LABELS), changed, reference, ~actual, actual)
    assert quality == Quality(
        micro_f1=0.8,
        macro_f1=2 / 3,
        consistent_share=1.0,
        agreement=0.5,
        checkpoint_agreement=0.0,
        largest_difference=4.0,
    )


def run(dataset, checkpoint, bundles, output, *options):
    places = ("--dataset_dir", dataset, "--params_path", checkpoint, "--output_path", output)
    return run_in_process(release.main, *places, "--bundles", *bundles, *QUICK, *options)


@pytest.fixture(scope="module")
def released(sample_dataset, checkpoint, bundle_path, tmp_path_factory):
    folder = tmp_path_factory.mktemp("released") / "release"
    return folder, run(sample_dataset, checkpoint, [bundle_path], folder)


def test_every_candidate_is_measured_and_the_fastest_released(released, bundle_path):
    folder, done = released
    assert done.returncode == 0, done.stderr
    bundle = Bundle(folder)
    gate = bundle.manifest.gate
    measured = {(entry["runtime"], entry["precision"]): entry for entry in gate["candidates"]}
    assert {"float32", "float16", "int8"} == {precision for runtime, precision in measured if runtime == "onnxruntime"}
    passed = [entry for entry in gate["candidates"] if not entry["refusal"]]
    latencies = [[entry["cost"][f"milliseconds_{size}"] for entry in passed] for size in (1, 32)]
    slowness = [max(single / min(latencies[0]), bulk / min(latencies[1])) for single, bulk in zip(*latencies)]
    fastest = passed[slowness.index(min(slowness))]
    assert gate["choices"][0] == {name: fastest[name] for name in ("runtime", "precision")}
    assert len(gate["choices"]) == len(passed)
    exact = measured["onnxruntime", "float32"]
    assert exact["quality"]["largest_difference"] == 0
    assert exact["quality"]["micro_f1"] == pytest.approx(bundle.manifest.metrics["dev"]["micro_f1"], abs=0.02)
    assert exact["cost"]["file_bytes"] == Bundle(bundle_path).file("model.onnx").stat().st_size
    assert exact["cost"]["resident_bytes"] > 30e6
    assert f"released export in {fastest['runtime']} {fastest['precision']}" in done.stdout
    assert done.stdout.count("passed *") == 1
    assert "chosen for single texts and texts in bulk: " in done.stdout
    card = bundle.file("README.md").read_text(encoding="utf-8")
    assert card.count("| passed \\* |") == 1
    assert f"| {100 * exact['quality']['micro_f1']:.2f} |" in card
    assert bundle.file("gate.png").read_bytes().startswith(b"\x89PNG")


def test_the_released_bundle_answers_as_it_was_measured(released, bundle_path):
    folder, _ = released
    released_files, exported_files = set(Bundle(folder).files), set(Bundle(bundle_path).files)
    assert released_files - exported_files == {"model.int8.onnx", "model.float16.onnx", "gate.png"}
    assert exported_files - released_files == {"float32.pdiparams.info"}
    texts = ["某公司宣布裁员两千人", "地震"]
    chosen, exact = Predictor(folder, "auto", "auto"), Predictor(bundle_path)
    np.testing.assert_allclose(chosen.logits(texts), exact.logits(texts), atol=0.5)
    assert (chosen.runtime, chosen.precision) == tuple(Bundle(folder).manifest.gate["choices"][0].values())


@pytest.fixture
def spoilt(bundle_path, tmp_path):
    """The bundle with an int8 graph whose last bias answers each text with everything."""
    folder = tmp_path / "spoilt"
    shutil.copytree(bundle_path, folder)
    model = onnx.load_model_from_string(derived_graph(folder / "model.onnx", "int8"))
    bundle = Bundle(bundle_path)
    labels = len(bundle.hierarchy)
    (bias,) = [tensor for tensor in model.graph.initializer if list(tensor.dims) == [labels] and tensor.data_type == 1]
    bias.CopyFrom(numpy_helper.from_array(np.full(labels, 20, np.float32), bias.name))
    onnx.save(model, folder / "model.int8.onnx")
    seal(folder, bundle.manifest)
    return folder


def test_a_candidate_that_is_worse_is_refused_with_its_figures(sample_dataset, checkpoint, spoilt, tmp_path):
    done = run(sample_dataset, checkpoint, [spoilt], tmp_path / "release", "--runtime", "onnxruntime")
    assert re.search(
        r"int8 .* micro F1 is \d\d\.\d\d points below float32's at this width, more than 0\.5", done.stdout
    )
    gate = Bundle(tmp_path / "release").manifest.gate
    assert all(choice["precision"] != "int8" for choice in gate["choices"])
    (refused,) = [entry for entry in gate["candidates"] if entry["precision"] == "int8"]
    assert refused["quality"]["micro_f1"] < 0.2


def test_where_nothing_passes_nothing_is_released(sample_dataset, checkpoint, spoilt, tmp_path):
    done = run(sample_dataset, checkpoint, [spoilt], tmp_path / "release", "--precision", "int8")
    assert done.returncode == 1
    said = (
        "error: no candidate passed the gate; nothing was released; the best, spoilt in onnxruntime int8: micro F1 is "
    )
    assert said in done.stderr
    assert re.search(r"^\S+ in onnxruntime int8 \.\.\.$", done.stderr, flags=re.MULTILINE)  # what is at work
    assert not (tmp_path / "release").exists()


def test_a_graph_that_does_not_load_is_a_refused_candidate(sample_dataset, checkpoint, bundle_path, tmp_path):
    shutil.copytree(bundle_path, tmp_path / "torn")
    (tmp_path / "torn" / "packed.pdmodel").write_bytes(b"torn")
    seal(tmp_path / "torn", Bundle(bundle_path).manifest)
    done = run(sample_dataset, checkpoint, [tmp_path / "torn"], tmp_path / "release", "--precision", "float32")
    assert re.search(r"openvino +float32 .*packed.pdmodel does not load in openvino", done.stdout)
    assert Bundle(tmp_path / "release").manifest.gate["choices"] == [{"runtime": "onnxruntime", "precision": "float32"}]


def test_a_worker_that_dies_is_an_error_and_no_hanging(bundle_path):
    with Worker(bundle_path, "onnxruntime", "float32", 1) as worker:
        assert worker.logits([np.array([1, 5, 2])]).shape == (1, len(Bundle(bundle_path).hierarchy))
        os.kill(worker._process.pid, signal.SIGKILL)
        with pytest.raises(
            ClassifierError, match="the process of export in onnxruntime float32 ended with exit status -9"
        ):
            worker.resident_bytes()


def test_what_is_compared_is_not_replaced(sample_dataset, bundle_path, tmp_path):
    whole = shutil.copytree(bundle_path, tmp_path / "whole")
    done = run(sample_dataset, whole, [bundle_path], whole)
    assert (done.returncode, "whole is read, so that it cannot be replaced" in done.stderr) == (2, True)


def test_what_cannot_be_compared_is_refused(sample_dataset, checkpoint, bundle_path, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(bundle_path, other)
    manifest = Bundle(bundle_path).manifest
    seal(other, replace(manifest, labels=(*manifest.labels[:-1], "另一个")))
    for bundles, options, said in (
        ([bundle_path, other], (), "have different labels; give bundles of one model"),
        ([other], (), "have different labels; export the checkpoint again"),
        ([bundle_path, bundle_path], (), "two of the --bundles are called export"),
        ([tmp_path / "none"], (), "there is no bundle at"),
        ([bundle_path], ("--dev_file", "none.txt"), "none.txt"),
        ([bundle_path], ("--rounds", 0), "--rounds is 0; give a whole number, at least 1"),
        ([bundle_path], ("--allowance_int8", -1), "--allowance_int8 is -1.0; give a number, at least 0"),
    ):
        done = run(sample_dataset, checkpoint, bundles, tmp_path / "release", *options)
        assert done.returncode == 2
        assert said in done.stderr
    assert not (tmp_path / "release").exists()
