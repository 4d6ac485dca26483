"""prune.py: from a checkpoint to a checkpoint and a bundle for each width, by both engines."""

import json
import shutil

import numpy as np
import pytest

import training.pruning.run
from pipeline.compute.graph_statistics import graph_statistics
from pipeline.errors import BundleError, InputError
from pipeline.files.bundle import Bundle
from pipeline.files.checksums import write_all_checksums
from pipeline.files.dataset import read_texts
from pipeline.predictor import Predictor
from serving.paddle.deployment import PaddleDeployment
from serving.triton.deployment import TritonDeployment
from serving.triton.repository import ModelRepository
from tests.conftest import first_rows, run_command, run_in_process
from training import export_model
from training.checkpoint.classifier import load_classifier
from training.checkpoint.files import read_checkpoint
from training.loop.options import TrainingRun
from training.loop.trainer import Trainer
from training.prune import PruningRun, main
from training.prune import prune as prune_by
from training.pruning.options import ENGINES, STUDENT
from training.train import train

OPTIONS = ("--device", "cpu", "--learning_rate", "1e-3", "--num_train_epochs", "1")
DOCUMENTED_FILES = {
    *("float32.pdiparams", "float32.pdiparams.info", "float32.pdmodel"),
    *("model_state.pdparams", "model_config.json"),
}


def prune(dataset, checkpoint, output_dir, *options):
    places = ("--dataset_dir", dataset, "--params_dir", checkpoint, "--output_dir", output_dir)
    main(list(map(str, (*places, *options))))


def logits(bundle):
    return Predictor(bundle, threads=1).logits(["公司裁员一千人", "地震"]).tolist()


@pytest.fixture(scope="module")
def pruned(sample_dataset, checkpoint, tmp_path_factory):
    """The checkpoint at three quarters and at half of its width."""
    folder = tmp_path_factory.mktemp("pruned") / "prune"
    prune(sample_dataset, checkpoint, folder, *OPTIONS, "--width_mult", "3/4", "1/2")
    return folder


@pytest.fixture(scope="module")
def pruned_by_paddleslim(sample_dataset, checkpoint, tmp_path_factory):
    folder = tmp_path_factory.mktemp("paddleslim") / "prune"
    places = {"dataset_dir": sample_dataset, "params_dir": checkpoint, "output_dir": folder}
    how = {"engine": "paddleslim", "device": "cpu", "learning_rate": 2e-3, "num_train_epochs": 1}
    bundles = prune_by(PruningRun(**places, **how, width_mult=("3/4", "1/2")))
    assert [(bundle.path.name, bundle.manifest.width) for bundle in bundles] == [("0.75", "3/4"), ("0.5", "1/2")]
    return folder


@pytest.fixture(params=["pruned", "pruned_by_paddleslim"])
def pruned_by_either(request):
    return request.getfixturevalue(request.param)


def test_each_width_is_a_checkpoint_and_a_bundle_that_answer_alike(pruned_by_either, checkpoint, sample_dataset):
    pruned = pruned_by_either
    assert sorted(path.name for path in pruned.iterdir()) == ["0.5", "0.5.logs", "0.75", "0.75.logs"]
    texts = list(read_texts(sample_dataset / "data.txt"))[:50]
    for name, width in (("0.75", "3/4"), ("0.5", "1/2")):
        assert {path.name for path in (pruned / name).iterdir()} >= DOCUMENTED_FILES
        assert read_checkpoint(pruned / name).record.width == width
        shutil.copytree(pruned / name, pruned.parent / name)
        (pruned.parent / name / "bundle.json").rename(pruned.parent / name / "no_bundle.json")
        (pruned.parent / name / "SHA256SUMS").write_text(
            (pruned / name / "SHA256SUMS").read_text().replace("bundle.json", "no_bundle.json")
        )
        classifier = load_classifier(pruned.parent / name, "cpu", 128, 32)
        np.testing.assert_allclose(classifier.logits(texts), Predictor(pruned / name).logits(texts), atol=1e-4)


def test_a_pruned_model_is_published_for_both_servers(pruned, sample_dataset, checkpoint, tmp_path, capsys):
    """Here by a run that has nothing left to do."""
    repository = tmp_path / "repository"
    words = ("--width_mult", "1/2", "--resume", "--model_repository", repository)
    prune(sample_dataset, checkpoint, pruned, *OPTIONS, *words)
    assert "Paddle Serving: published bundle" in capsys.readouterr().out
    folders = (TritonDeployment(ModelRepository(repository)), PaddleDeployment(tmp_path / "repository.paddle"))
    assert [each.live().bundle for each in folders] == 2 * [Bundle(pruned / "0.5").identity]


def test_of_several_widths_none_is_published_unasked():
    with pytest.raises(InputError, match=r"takes one model, and --width_mult makes 2; .*--bundle prune/0\.75"):
        PruningRun(dataset_dir="data", width_mult=("3/4", "1/2"), model_repository="repository")


def test_a_pruned_model_is_nearly_as_right_and_smaller(pruned_by_either, checkpoint, bundle_path):
    pruned = pruned_by_either
    whole = read_checkpoint(checkpoint).record.metrics["dev"]["micro_f1"]
    graph = Bundle(bundle_path).file("model.onnx")
    hidden, neurons, layers = 128, 512, 2
    weights = layers * (4 * hidden * hidden + 2 * hidden * neurons)
    biases = layers * (3 * hidden + neurons)
    for name, share, allowance in (("0.75", 0.25, 0.04), ("0.5", 0.5, 0.08)):
        bundle = Bundle(pruned / name)
        assert bundle.manifest.metrics["dev"]["micro_f1"] > whole - allowance
        assert f"pruned to {bundle.manifest.width} of its heads" in bundle.file("README.md").read_text(encoding="utf-8")
        narrow = bundle.file("model.onnx")
        before, after = graph_statistics(graph), graph_statistics(narrow)
        assert before.macs - after.macs == share * weights
        assert before.parameters - after.parameters == share * (weights + biases)
        assert graph.stat().st_size - narrow.stat().st_size == pytest.approx(4 * share * (weights + biases), rel=0.01)


def test_training_goes_on_from_a_pruned_model(pruned, sample_dataset, tmp_path):
    few = first_rows(sample_dataset, tmp_path / "few", train=20, dev=20)
    start, save_dir = pruned / "0.5" / "model_state.pdparams", tmp_path / "next"
    places = {"dataset_dir": few, "save_dir": save_dir, "init_from_ckpt": start}
    train(TrainingRun(**places, model_name="scratch-tiny", epochs=1, linear="never", device="cpu"))
    assert read_checkpoint(save_dir).record.width == "1/2"
    texts = list(read_texts(few / "data.txt"))
    assert load_classifier(save_dir, "cpu", 128, 32).logits(texts).shape[0] == len(texts)


def test_a_checkpoint_remembers_the_option_run_and_which_run_it_is_of(pruned):
    options = read_checkpoint(pruned / "0.5").record.options
    assert options["run"] is None
    assert options["run_identity"]["--width_mult"] == "1/2"


def test_a_pruned_checkpoint_can_be_exported_again_and_not_pruned_again(pruned_by_either, sample_dataset, tmp_path):
    pruned = pruned_by_either
    export_model.main(["--params_path", str(pruned / "0.5"), "--output_path", str(tmp_path / "export")])
    assert logits(tmp_path / "export") == logits(pruned / "0.5")
    with pytest.raises(InputError, match="was pruned already, to 1/2; give the whole checkpoint"):
        prune(sample_dataset, pruned / "0.5", tmp_path / "prune", *OPTIONS)


@pytest.mark.parametrize("width", ["1/0", "0", "wide", "2"])
def test_a_checkpoint_of_an_impossible_width_is_damaged(checkpoint, tmp_path, width):
    shutil.copytree(checkpoint, tmp_path / "checkpoint")
    record = json.loads((checkpoint / "training.json").read_text())
    (tmp_path / "checkpoint" / "training.json").write_text(json.dumps({**record, "width": width}))
    write_all_checksums(tmp_path / "checkpoint")
    with pytest.raises(BundleError, match="training.json is damaged"):
        read_checkpoint(tmp_path / "checkpoint")


def test_an_interrupted_run_goes_on_to_the_same_models(pruned, sample_dataset, checkpoint, tmp_path, monkeypatch):
    options = (*OPTIONS, "--width_mult", "3/4", "1/2", "--save_steps", 10)
    target, step = tmp_path / "prune", Trainer.step

    def stopping(trainer, batches):
        if trainer.progress.step == 25 and trainer.files.state.name.startswith("0.5"):
            raise KeyboardInterrupt
        return step(trainer, batches)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Trainer, "step", stopping)
        prune(sample_dataset, checkpoint, target, *options)
    written = (target / "0.75" / "bundle.json").stat().st_mtime_ns
    with pytest.raises(InputError, match="go on with --resume, or begin anew with --overwrite"):
        prune(sample_dataset, checkpoint, target, *options)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(training.pruning.run, "export_checkpoint", interrupted)
        prune(sample_dataset, checkpoint, target, *options, "--resume")
    prune(sample_dataset, checkpoint, target, *options, "--resume")
    assert (target / "0.75" / "bundle.json").stat().st_mtime_ns == written
    for name in ("0.75", "0.5"):
        assert logits(target / name) == logits(pruned / name)


def interrupted(*_, **__):
    raise KeyboardInterrupt


def test_two_processes_prune_as_one_does(pruned, sample_dataset, checkpoint, tmp_path):
    launch = ("-m", "paddle.distributed.launch", "--nproc_per_node=2", "--backend=gloo", "--log_dir", tmp_path / "logs")
    places = ("--dataset_dir", sample_dataset, "--params_dir", checkpoint, "--output_dir", tmp_path / "prune")
    options = (*OPTIONS, "--width_mult", "1/2", "--per_device_train_batch_size", 16)
    run_command(*launch, "training/prune.py", *places, *options)
    together, alone = (
        Bundle(path / "0.5").manifest.metrics["dev"]["micro_f1"] for path in (tmp_path / "prune", pruned)
    )
    assert together == pytest.approx(alone, abs=0.04)


@pytest.mark.parametrize("engine", ENGINES)
def test_texts_without_labels_are_learnt_from_too(sample_dataset, checkpoint, tmp_path, engine):
    data = first_rows(sample_dataset, tmp_path / "data", train=100, dev=30)
    known = (data / "dev.txt").read_text(encoding="utf-8").partition("\t")[0]
    (data / "data.txt").write_text(f"又一条新闻\n{known}\n又一条新闻\n另一条新闻\n", encoding="utf-8")
    places = ("--dataset_dir", data, "--params_dir", checkpoint, "--output_dir", tmp_path / "prune")
    options = (*OPTIONS, "--width_mult", "1/2", "--unlabelled_file", "data.txt", "--per_device_train_batch_size", 102)
    kept = ("--no_texts",) if engine == STUDENT else ("--goldens", data / "data.txt")
    done = run_in_process(main, *places, *options, *kept, "--logging_steps", 1, "--engine", engine)
    assert done.returncode == 0, done.stderr
    assert "2 more texts without labels" in done.stdout
    bundle, record = Bundle(tmp_path / "prune" / "0.5"), read_checkpoint(tmp_path / "prune" / "0.5").record
    assert record.sample_texts == tuple(golden.text for golden in bundle.manifest.goldens)
    if engine == STUDENT:
        assert "it holds no text of the development file" in done.stdout
        assert set(", ".join(record.sample_texts).split(", ")) <= {
            label.replace("##", " ") for label in bundle.hierarchy.labels
        }
    else:
        assert record.sample_texts == tuple(read_texts(data / "data.txt"))
    if engine == STUDENT:  # the other's steps are told by paddlenlp's logger
        assert done.stdout.count("global step") == 1


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (
            ("--width_mult", "2/3"),
            r"leaves 2.67 of 4 attention heads .* multiple of 1/4, such as 1/2 or 3/4",
        ),
        (("--width_mult", "1/5"), "such as 1/4"),
        (("--width_mult", "1/2", "--unlabelled_file", "none.txt"), "none.txt"),
        (("--width_mult", "1/2", "--goldens", "none.txt"), "none.txt"),
        (("--width_mult", "1/2", "--goldens", "own.txt", "--no_texts"), "--no_texts keeps none; choose one"),
        (("--width_mult", "2"), "above 0 and at most 1"),
        (("--width_mult", "1/2", "--engine", "paddleslim", "--resume"), "--engine paddleslim writes no training state"),
        (("--width_mult", "1/2", "--engine", "paddle_slim"), "did you mean paddleslim?"),
        (("--width_mult", "1/2", "--num_train_epochs", 0), "--num_train_epochs is 0"),
        (("--width_mult", "1/2", "--per_device_train_batch_size", -1), "--per_device_train_batch_size is -1"),
        (("--width_mult", "1/2", "--learning_rate", 0), "--learning_rate is 0"),
        (("--width_mult", "1/2", "--max_seq_length", 129), "reads at most 128"),
        (("--width_mult", "1/2", "--dataset", "wos"), "give either --dataset_dir"),
        (("--width_mult", "1/2", "--resume", "--overwrite"), "choose one"),
        (("--width_mult", "1/2", "--train_file", "none.txt"), "cannot read .*none.txt"),
        (("--width_mult", "1/2", "--prune_config", "none.json"), "cannot read --prune_config none.json"),
    ],
)
def test_what_cannot_be_done_is_refused(sample_dataset, checkpoint, tmp_path, options, reason):
    with pytest.raises(InputError, match=reason):
        prune(sample_dataset, checkpoint, tmp_path / "prune", "--device", "cpu", *options)
    assert not list(tmp_path.rglob("*.pdparams"))


def test_other_labels_and_other_folders_are_refused(sample_dataset, checkpoint, tmp_path):
    shutil.copytree(sample_dataset, tmp_path / "data")
    (tmp_path / "data" / "label.txt").write_text("人生\n")
    with pytest.raises(InputError, match="label.txt does not fit the model"):
        prune(tmp_path / "data", checkpoint, tmp_path / "prune", *OPTIONS, "--width_mult", "1/2")
    (tmp_path / "prune" / "0.5").mkdir(parents=True)
    (tmp_path / "prune" / "0.5" / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match="--output_dir"):
        prune(sample_dataset, checkpoint, tmp_path / "prune", *OPTIONS, "--width_mult", "1/2")
    with pytest.raises(BundleError, match="there is no checkpoint at"):
        prune(sample_dataset, tmp_path, tmp_path / "prune", *OPTIONS, "--width_mult", "1/2")
