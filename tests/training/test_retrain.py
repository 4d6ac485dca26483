"""retrain.py: from what people said of answers to a published model, or to a refusal."""

import re
import subprocess
import sys

import numpy as np
import pytest

from pipeline.errors import InputError
from pipeline.files.bundle import Bundle
from pipeline.files.dataset import read_examples, read_labels
from pipeline.files.feedback import Correction, FeedbackFile
from pipeline.predictor import Predictor
from serving.publish import PublishOptions, publish
from serving.servers import PlaceOptions
from tests.conftest import PROJECT, first_rows, run_command, run_in_process
from tests.serving.tiny_model import eventually
from training import retrain as retrain_command
from training.checkpoint.classifier import load_classifier
from training.export_model import ExportOptions, export
from training.retrain import RetrainOptions, retrain


@pytest.fixture(scope="module")
def few(sample_dataset, tmp_path_factory):
    return first_rows(sample_dataset, tmp_path_factory.mktemp("few") / "data", 500, 150)


@pytest.fixture
def place(few, tmp_path):
    """Options of a retraining in a folder of its own; `said` of feedback.py is in `feedback.jsonl`."""
    return {
        "dataset_dir": few,
        "feedback_file": (tmp_path / "feedback.jsonl",),
        "output_dir": tmp_path / "retrain",
        "model_repository": tmp_path / "repository",
        "state_dir": tmp_path / "state",
        "training": "--model_name linear",
        "precision": "float32",
        "runtime": "onnxruntime",
        "rounds": 1,
    }


def rows_of(folder):
    hierarchy = read_labels(folder / "label.txt")
    return [
        (text, tuple(hierarchy.labels[position] for position in positions))
        for text, positions in read_examples(folder / "train.txt", hierarchy)
    ]


def say(place, rows, who="Anna"):
    kept = FeedbackFile(place["feedback_file"][0])
    for text, labels in rows:
        kept.add(Correction("2026-01-31T12:00:00Z", who, "0123456789ab", text, (), tuple(labels)))


def live(place):
    options = PlaceOptions(model_repository=place["model_repository"], state_dir=place["state_dir"])
    return {each.key: each.live().bundle for each in options.deployments() if each.live()}


def command_words(place):
    return [f"--{name}={value[0] if name == 'feedback_file' else value}" for name, value in place.items()]


def test_corrections_are_learnt_and_published_and_what_makes_it_worse_is_refused(place, few):
    rows = rows_of(few)
    text, labels = "蜂巢屋电子的新话题", rows[0][1]
    say(place, [(text, labels), rows[1]])
    first = retrain(RetrainOptions(**place))
    assert [each.deployment.key for each in first.published] == ["triton", "paddle"]
    assert {each.version.data for each in first.published} == {few.name}
    assert first.notes[0] == "train.txt: 1 row added; 0 texts got other labels"
    assert rows_of(place["output_dir"] / "dataset" / few.name) == [*rows, (text, labels)]
    before = live(place)
    assert set(before.values()) == {Bundle(place["output_dir"] / "release").identity}

    again = retrain(RetrainOptions(**place))
    assert again.published == []
    assert again.notes[-1].startswith(f"nothing to learn: bundle {before['triton']} was published with the same rows")

    say(place, [(text, labels) for text, _ in rows])  # Anna calls everything the same
    refused = run_in_process(retrain_command.main, *command_words(place))
    assert refused.returncode == 1
    assert re.search(
        r"error: no candidate passed .* micro F1 is \d\d\.\d\d points below the live model's, more than 0\.5; "
        "nothing is published\n$",
        refused.stderr,
    )
    assert live(place) == before


def test_interrupted_it_goes_on_and_what_was_published_is_whole(place, few, monkeypatch, capsys):
    """What is killed is a step: each of them leaves its folder as it was, or whole."""
    say(place, [("蜂巢屋电子的新话题", rows_of(few)[0][1])])
    for step, there in (("export", "checkpoint"), ("release", "export"), ("publish", "release")):
        with monkeypatch.context() as patched:
            patched.setattr(retrain_command, step, interrupt)
            with pytest.raises(KeyboardInterrupt):
                retrain(RetrainOptions(**place, only="triton"))
        assert (place["output_dir"] / there).is_dir()
        assert live(place) == {}
    assert capsys.readouterr().out.count("is trained already") == 2
    assert len(retrain(RetrainOptions(**place, only="triton")).published) == 1


def interrupt(*_, **__):
    raise KeyboardInterrupt


@pytest.mark.slow
def test_a_training_that_was_killed_is_resumed_and_with_other_corrections_begun_anew(place, few):
    place["training"] = "--model_name scratch-tiny --epochs 3 --save_steps 2 --device cpu --linear never"
    say(place, [("蜂巢屋电子的新话题", rows_of(few)[0][1])])

    def killed():
        started = subprocess.Popen([sys.executable, "training/retrain.py", *command_words(place)], cwd=PROJECT)
        state = place["output_dir"] / "checkpoint.resume"
        assert eventually(lambda: (state / "progress.json").exists() or started.poll() is not None, 120)
        started.kill()
        started.wait()
        assert state.is_dir()

    killed()
    resumed = run_command("training/retrain.py", *command_words(place), check=False)  # it learns too little to publish
    assert "resumed at step" in resumed.stdout
    say(place, [("另一个新话题", rows_of(few)[0][1])])
    killed()
    say(place, [("第三个新话题", rows_of(few)[0][1])])
    anew = run_command("training/retrain.py", *command_words(place), check=False)
    assert "resumed at step" not in anew.stdout
    assert "epoch 1" in anew.stdout


def test_what_the_live_export_was_asked_for_is_kept(place, few):
    """Callers go on asking for the same promise, and no text leaves that was kept back."""
    say(place, [("蜂巢屋电子的新话题", rows_of(few)[0][1])])
    place["only"] = "triton"
    first = retrain(RetrainOptions(**place)).published[0].version
    checkpoint, bundle = place["output_dir"] / "checkpoint", place["output_dir"].parent / "bundle"
    asked = {"at_least_one": True, "top_k": 5, "license": "apache-2.0", "output_path": bundle}
    for texts in ({"no_texts": True}, {"with_examples": True, "promise": (0.5,)}):
        before = export(ExportOptions(params_path=checkpoint, **asked, **texts)).manifest
        publish(PublishOptions(bundle=bundle, model_repository=place["model_repository"], only="triton"))
        (again,) = retrain(RetrainOptions(**place, overwrite=True)).published
        after = Bundle(place["output_dir"] / "release").manifest
        assert again.version.number > first.number
        assert after.decoding == before.decoding
        assert [each.text for each in after.goldens] == [each.text for each in before.goldens]
        assert [each.precision for each in after.promises] == [each.precision for each in before.promises]
        assert (after.examples, after.training["license"]) == (before.examples, "apache-2.0")


def test_what_cannot_be_compared_is_refused_before_training(place, few, bundle_path):
    say(place, [("蜂巢屋电子的新话题", rows_of(few)[0][1])])
    with pytest.raises(InputError, match="--training is not given, and no live model's name says what to train"):
        retrain(RetrainOptions(**{**place, "training": None}))
    publish(PublishOptions(bundle=bundle_path, model_repository=place["model_repository"], only="triton"))
    few_labels = place["dataset_dir"] / "label.txt"
    reordered = first_rows(few, place["output_dir"].parent / "reordered", 500, 150)
    (reordered / "label.txt").write_text("".join(reversed(few_labels.read_text().splitlines(keepends=True))))
    with pytest.raises(InputError, match="are not those of the live model, version 1, or stand in another order"):
        retrain(RetrainOptions(**{**place, "dataset_dir": reordered}))
    assert not (place["output_dir"] / "checkpoint").exists()


def test_what_is_live_is_compared_as_it_answers(bundle_path, tmp_path):
    """In any precision, and by either server, the copied parts give the label sets of what was published."""
    texts = [golden.text for golden in Bundle(bundle_path).manifest.goldens]
    options = PublishOptions(
        bundle=bundle_path, model_repository=tmp_path / "repository", precision="int8", only="triton"
    )
    publish(options)
    publish(PublishOptions(bundle=bundle_path, model_repository=tmp_path / "repository", only="paddle"))
    for each, own in zip(PlaceOptions(model_repository=tmp_path / "repository").deployments(), ("int8", "float32")):
        (tmp_path / each.key).mkdir()
        each.bundle(each.live(), tmp_path / each.key)
        copied = load_classifier(tmp_path / each.key, "cpu", None, 32).logits(texts)
        published = Predictor(bundle_path, "auto", own).logits(texts)
        assert np.allclose(copied, published, atol=1e-4)
