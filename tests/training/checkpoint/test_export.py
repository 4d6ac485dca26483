import json
import pickle
import re
import shutil
from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from pipeline.compute.runtimes import create_runtime
from pipeline.errors import BundleError, ClassifierError, EnvironmentFault, InputError
from pipeline.files.bundle import Bundle
from pipeline.files.checksums import write_all_checksums
from pipeline.metrics.sets import COUNTED, LABEL_COUNTS
from serving.paddle.deployment import PaddleDeployment
from serving.triton.deployment import TritonDeployment
from serving.triton.repository import ModelRepository
from tests.conftest import PROJECT, run_command
from training import export_model
from training.checkpoint import export as exporting
from training.checkpoint.files import TrainingRecord, read_checkpoint


def test_the_export_has_the_documented_files(bundle_path):
    names = {file.name for file in bundle_path.iterdir()}
    assert {"float32.pdmodel", "float32.pdiparams", "float32.pdiparams.info", "model.onnx", "bundle.json"} <= names


def test_the_bundle_knows_what_training_knew(bundle_path, checkpoint):
    manifest, record = Bundle(bundle_path).manifest, read_checkpoint(checkpoint).record
    assert manifest.max_seq_length == record.max_seq_length == 128
    assert manifest.model_name == "scratch-tiny"
    assert manifest.metrics["dev"]["micro_f1"] == record.metrics["dev"]["micro_f1"]
    assert manifest.decoding.at_least_one
    assert len(manifest.goldens) == 32


def test_the_folder_where_an_encoder_lay_does_not_travel(checkpoint, tmp_path):
    trained = read_checkpoint(checkpoint)
    elsewhere = replace(trained, record=replace(trained.record, model_name="/home/me/minilm"))
    bundle = exporting.export_checkpoint(elsewhere, tmp_path / "export", elsewhere.decoder())
    assert bundle.manifest.model_name == "minilm"
    assert "/home/me" not in bundle.file("bundle.json").read_text(encoding="utf-8")


def test_a_notebook_shows_a_checkpoint_in_a_line(checkpoint):
    read = read_checkpoint(checkpoint)
    assert re.fullmatch(r"Checkpoint\('[^']+', '[^']+', labels=\d+, dev micro_f1=0\.\d{4}\)", repr(read))


def test_the_onnx_graph_is_clean(bundle_path):
    graph = onnx.load(bundle_path / "model.onnx").graph
    assert not [node for node in graph.node if node.op_type == "Constant"]
    assert [tensor.name for tensor in graph.input] == ["input_ids", "token_type_ids"]
    assert [tensor.name for tensor in graph.output] == ["logits"]
    assert [dimension.dim_param for dimension in graph.input[0].type.tensor_type.shape.dim] == ["batch", "length"]
    vocabulary = len((bundle_path / "vocab.txt").read_text().splitlines())
    tables = [tensor for tensor in graph.initializer if tensor.dims[:1] == [vocabulary]]
    assert len(tables) == 1
    assert not numpy_helper.to_array(tables[0])[0].any()  # [PAD]


def test_batch_and_length_are_free(bundle_path):
    runtime = create_runtime(Bundle(bundle_path), "onnxruntime")
    for shape in ((1, 1), (3, 7), (2, 128)):
        assert runtime.run(np.full(shape, 5), np.zeros(shape, np.int64)).shape[0] == shape[0]


def test_an_export_that_differs_from_the_checkpoint_is_refused(checkpoint, tmp_path, monkeypatch):
    """A graph that is wrong by a little: one bias of the exported graph is moved."""
    exported = exporting.export_onnx

    def bent(folder, destination):
        exported(folder, destination)
        model = onnx.load(destination)
        bias = next(t for t in model.graph.initializer if len(t.dims) == 1 and t.dims[0] == 74)
        bias.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(bias) + np.float32(2e-4), bias.name))
        onnx.save(model, destination)

    monkeypatch.setattr(exporting, "export_onnx", bent)
    with pytest.raises(ClassifierError, match=r"logits in onnxruntime differ .* by 2\.\de-04.*nothing was exported"):
        export_model.main(["--params_path", str(checkpoint), "--output_path", str(tmp_path / "export")])
    assert list(tmp_path.iterdir()) == []


def test_an_export_is_published_for_both_servers_in_the_same_go(bundle_path, model_repository):
    folders = (TritonDeployment(ModelRepository(model_repository)), PaddleDeployment(f"{model_repository}.paddle"))
    for each in folders:
        assert (each.live().number, each.live().bundle) == (1, Bundle(bundle_path).identity)


def test_a_checkpoint_is_no_place_for_its_bundle(checkpoint):
    """Nor for another's: the trained parameters would be gone."""
    words = ("--params_path", str(checkpoint), "--output_path", str(checkpoint))
    with pytest.raises(InputError, match="which would be lost; give --output_path a new or an empty folder"):
        export_model.main(list(words))
    assert read_checkpoint(checkpoint)


def test_what_cannot_be_published_is_exported_all_the_same(checkpoint, tmp_path, monkeypatch):
    def no_disk(options):
        raise EnvironmentFault("the disk is full")

    monkeypatch.setattr("serving.publish.publish", no_disk)
    words = ("--params_path", checkpoint, "--output_path", tmp_path / "export", "--model_repository", tmp_path / "to")
    with pytest.raises(EnvironmentFault, match="export, but was not published: the disk is full"):
        export_model.main(list(map(str, words)))
    assert Bundle(tmp_path / "export").manifest.labels


def test_a_folder_that_is_no_export_is_not_overwritten(checkpoint, tmp_path):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(InputError, match=r"holds 'thesis\.tex', which would be lost; give --output_path"):
        export_model.main(["--params_path", str(checkpoint), "--output_path", str(tmp_path)])


def test_an_absent_or_damaged_checkpoint_is_named(checkpoint, tmp_path):
    with pytest.raises(BundleError, match="there is no checkpoint at"):
        read_checkpoint(tmp_path)
    copy = tmp_path / "copy"
    shutil.copytree(checkpoint, copy)
    (copy / "training.json").write_text(json.dumps({"model_name": "x"}))
    with pytest.raises(BundleError, match=r"training\.json is damaged: its checksum differs"):
        read_checkpoint(copy)
    write_all_checksums(copy)
    with pytest.raises(BundleError, match=r"training\.json is damaged \(max_seq_length is missing"):
        read_checkpoint(copy)


def test_the_bundle_tells_nothing_of_this_machine(bundle_path):
    for file in bundle_path.iterdir():
        assert str(PROJECT).encode() not in file.read_bytes(), file


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--policy greedy", "--policy is 'greedy'; give one of threshold"),
        ("--top_k 0", "top_k is 0"),
        ("--threshold 1.5", "--threshold is 1.5; give a number, above 0 and below 1"),
    ],
)
def test_wrong_options_are_refused(checkpoint, tmp_path, options, message):
    words = ("--params_path", checkpoint, "--output_path", tmp_path / "export", *options.split())
    done = run_command("training/export_model.py", *words, check=False)
    assert done.returncode == 2
    assert message in done.stderr


def test_a_record_without_thresholds_is_refused():
    with pytest.raises(InputError, match="thresholds are empty"):
        TrainingRecord("scratch-tiny", 128, "none", thresholds=())


def test_two_exports_of_a_checkpoint_are_one_bundle(bundle_path):
    """The order in which paddle writes the names differs from process to process."""
    names = pickle.loads((bundle_path / "float32.pdiparams.info").read_bytes())
    assert len(names) > 10
    assert list(names) == sorted(names)


def test_a_bundle_tells_how_the_development_set_is_spread(checkpoint, bundle_path, sample_dataset):
    """That bundle gives every text a label, which training did not: what is answered is not as on dev.txt."""
    learnt = read_checkpoint(checkpoint).record.data["traffic"]
    rows = len((sample_dataset / "dev.txt").read_text(encoding="utf-8").splitlines())
    counted = {feature: sum(bins.values()) for feature, bins in learnt.items()}
    assert counted == dict.fromkeys(("top_score", "top_label", "text_length", "unknown_share"), rows)
    del learnt["top_label"]
    assert Bundle(bundle_path).manifest.training["data"]["traffic"] == learnt


def test_a_bundle_tells_how_often_each_label_was_right_by_its_own_decoding(checkpoint, bundle_path, tmp_path):
    trained = read_checkpoint(checkpoint)
    counts = trained.record.data[LABEL_COUNTS]
    assert [len(counts[name]) for name in COUNTED] == [len(trained.hierarchy)] * 3
    right, answered, rows = (sum(counts[name]) for name in ("right", "answered", "rows"))
    assert 2 * right / (answered + rows) == pytest.approx(trained.record.metrics["dev"]["micro_f1"])
    own = exporting.export_checkpoint(trained, tmp_path / "export", trained.decoder())
    assert own.manifest.training["data"][LABEL_COUNTS] == counts
    assert Bundle(bundle_path).manifest.training["data"][LABEL_COUNTS] == {"rows": counts["rows"]}
