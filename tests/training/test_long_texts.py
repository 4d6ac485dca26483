"""Training on texts that are longer than the model takes at once: `train.py --long_texts`."""

import numpy as np
import paddle
import pytest
from hypothesis import given
from hypothesis import strategies as st

import training.data.batch_parts
from benchmarks.quality.long_texts import LongTextOptions, write_long_dataset
from pipeline.compute.windows import Windows
from pipeline.errors import InputError
from pipeline.files.bundle import Bundle
from pipeline.files.dataset import read_examples
from pipeline.metrics.sets import Metrics
from pipeline.predictor import Predictor
from pipeline.text.long_texts import LongTexts
from tests.conftest import run_in_process
from training import export_model, prune, train
from training.analysis.evidence.features import load_features
from training.checkpoint.classifier import load_classifier
from training.checkpoint.files import read_checkpoint
from training.data.batch_parts import batch_parts
from training.loop.losses import pooled

OPTIONS = (
    "--device",
    "cpu",
    "--model_name",
    "scratch-tiny",
    "--max_seq_length",
    64,
    "--at_least_one",
    "--linear",
    "never",
)
LEARNT = (*OPTIONS, "--learning_rate", 3e-3, "--batch_size", 16, "--epochs", 10, "--warmup", "--warmup_steps", 20)
ONE_EPOCH = (*OPTIONS, "--learning_rate", 1e-3, "--batch_size", 16, "--epochs", 1)


def done(main, *words):
    """What a command printed, which succeeded."""
    finished = run_in_process(main, *words)
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Texts of 300 characters, of which a sentence in the last quarter tells the label, and shorter ones."""
    folder = tmp_path_factory.mktemp("long") / "data"
    options = LongTextOptions(short_rows=400, long_rows=32, characters=300, max_seq_length=64)
    write_long_dataset(folder, options)
    return folder


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    """A checkpoint that reads windows, and what was said while it was trained."""
    folder = tmp_path_factory.mktemp("trained") / "checkpoint"
    return folder, done(
        train.main, "--dataset_dir", data, "--save_dir", folder, *LEARNT, "--long_texts", "windows", "--max_windows", 8
    )


@pytest.fixture(scope="module")
def long_bundle(trained):
    done(export_model.main, "--params_path", trained[0], "--output_path", trained[0].with_name("export"))
    return Bundle(trained[0].with_name("export"))


@pytest.fixture(scope="module")
def examples(data, long_bundle):
    return list(read_examples(data / "test.txt", long_bundle.hierarchy))


def micro_f1(classifier, examples):
    metrics = Metrics(classifier.hierarchy)
    selected = classifier.decoder.decode(classifier.logits([example.text for example in examples])).selected
    metrics.update(classifier.hierarchy.matrix([example.labels for example in examples]), selected)
    return metrics.result()["micro_f1"]


def test_windows_find_what_the_first_tokens_do_not_tell(data, trained, examples, tmp_path):
    done(train.main, "--dataset_dir", data, "--save_dir", tmp_path / "first", *LEARNT, "--epochs", 4)
    of_windows, of_first = (
        micro_f1(load_classifier(folder, "cpu", None, 16), examples) for folder in (trained[0], tmp_path / "first")
    )
    assert of_windows > 0.8 and of_first < 0.4


def test_how_long_texts_are_read_is_recorded_and_told(trained, long_bundle):
    record, said = read_checkpoint(trained[0]).record, trained[1]
    assert record.max_seq_length == 64
    assert record.long_texts == long_bundle.manifest.long_texts
    assert (record.long_texts.way, record.long_texts.most_windows) == ("windows", 8)
    pool = {"max": "maximum", "mean": "mean"}[record.long_texts.pool]
    reads = (
        f"it reads a text in up to 8 windows of 62 tokens, which overlap by 15, and takes the {pool} of their logits"
    )
    assert f"long texts: {reads} for each label" in said
    assert "100.0 % of all tokens are read" in said
    assert "It reads a text in up to 8 windows of 62 tokens" in (long_bundle.path / "README.md").read_text()
    assert long_bundle.manifest.to_json()["format_version"] == (4 if record.calibration else 3)


def test_checkpoint_and_bundle_give_the_same(trained, long_bundle, examples):
    texts = [example.text for example in examples[:12]] + ["短", examples[0].text * 20]
    expected = load_classifier(trained[0], "cpu", None, 4).logits(texts)
    assert Predictor(long_bundle).logits(texts) == pytest.approx(expected, abs=1e-4)
    assert load_classifier(long_bundle.path, "cpu", None, 4).logits(texts) == pytest.approx(expected, abs=1e-4)
    features = load_features(trained[0], "cpu", None, 4)(texts)
    assert features.shape == (14, 128) and np.isfinite(features).all()


def test_a_pruned_model_reads_as_the_whole_one(data, trained, tmp_path):
    places = ("--dataset_dir", data, "--params_dir", trained[0], "--output_dir", tmp_path / "prune")
    done(prune.main, *places, "--device", "cpu", "--num_train_epochs", 1, "--width_mult", "1/2")
    bundle = Bundle(tmp_path / "prune" / "0.5")
    assert bundle.manifest.long_texts == read_checkpoint(trained[0]).record.long_texts
    refused = run_in_process(prune.main, *places, "--width_mult", "1/4", "--engine", "paddleslim")
    assert refused.returncode and "--engine paddleslim reads no text in windows; take" in refused.stderr


@pytest.mark.parametrize("way", ["windows", "head_tail"])
def test_a_batch_in_parts_teaches_the_same(data, tmp_path, monkeypatch, way):
    options = (*ONE_EPOCH, "--long_texts", way, "--token_dropout", 0)
    said = [done(train.main, "--dataset_dir", data, "--save_dir", tmp_path / "whole", *options)]
    monkeypatch.setattr(training.loop.trainer, "batch_parts", lambda rows, windows: batch_parts(rows, windows, 600))
    said.append(done(train.main, "--dataset_dir", data, "--save_dir", tmp_path / "parts", *options))
    losses = [float(line.split()[3].rstrip(",")) for each in said for line in each.splitlines() if "loss" in line]
    assert losses[0] == pytest.approx(losses[1], rel=0.05)  # what the pooled output drops differs
    start = ("--init_from_ckpt", tmp_path / "whole" / "model_state.pdparams")
    said = done(train.main, "--dataset_dir", data, "--save_dir", tmp_path / "on", *ONE_EPOCH, *start)
    assert f"model_state.pdparams was trained with --long_texts {way}; this run goes on with first" in said


@given(st.lists(st.integers(1, 90), min_size=1, max_size=12), st.integers(3, 40), st.integers(1, 400))
def test_parts_hold_each_text_once_within_the_tokens_that_are_allowed(lengths, length, most):
    rows = [np.arange(2, 2 + each) for each in lengths]
    parts = list(batch_parts(rows, Windows(length), most))
    assert [row for part in parts for row in range(*part.texts.indices(99))] == list(range(len(rows)))
    for part in parts:
        texts = rows[part.texts]
        assert part.input_ids.size <= most or len(texts) == 1
        assert len(np.unique(part.owners)) == len(texts)
        windows, owners = Windows(length).split(texts)
        assert (part.owners == owners).all() and part.input_ids.shape == (len(windows), max(map(len, windows)))


def test_windows_are_pooled_by_a_smooth_maximum_or_the_mean():
    values, owners = np.random.default_rng(3).normal(0, 5, (6, 3)).astype(np.float32), np.array([0, 0, 1, 2, 2, 2])
    formulas = {"max": lambda rows: np.log(np.exp(rows).sum(axis=0)), "mean": lambda rows: rows.mean(axis=0)}
    for pool, formula in formulas.items():
        logits = paddle.to_tensor(values, stop_gradient=False)
        computed = pooled(logits, owners, pool)
        expected = [formula(values[owners == text]) for text in range(3)]
        assert computed.numpy() == pytest.approx(np.array(expected), rel=1e-4)
        computed.sum().backward()
        shares = [logits.grad.numpy()[owners == text].sum(axis=0) for text in range(3)]
        assert np.array(shares) == pytest.approx(1, abs=1e-4)
    assert pooled(paddle.to_tensor(values), np.arange(6), "max").numpy() == pytest.approx(values)
    far = paddle.to_tensor(np.array([[500.0], [-500.0]], np.float32))
    assert float(pooled(far, np.array([0, 0]), "max")) == 500


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--max_windows", "8"), "--max_windows is for --long_texts windows; give that, too, or leave it out"),
        (("--pool_windows", "mean", "--long_texts", "head_tail"), "--pool_windows is for --long_texts windows"),
        (("--long_texts", "windows", "--max_windows", "65"), "--max_windows"),
        (("--max_seq_length", "2049"), "--max_seq_length"),
    ],
)
def test_what_does_not_go_together_is_refused(tmp_path, options, said):
    refused = run_in_process(train.main, "--dataset_dir", tmp_path, *options)
    assert refused.returncode and said in refused.stderr


def test_a_checkpoint_of_an_earlier_version_reads_the_first_tokens(checkpoint):
    record = read_checkpoint(checkpoint).record
    assert record.long_texts == LongTexts()
    with pytest.raises(InputError, match="unknown way"):
        LongTexts("last")


def test_as_many_tokens_are_taken_as_the_encoder_has_positions_for(data, tmp_path):
    folder = tmp_path / "long"
    options = (*ONE_EPOCH, "--max_seq_length", 2048, "--dataset_dir", data)
    said = done(train.main, *options, "--save_dir", folder)
    assert "0.0 % of the texts are longer than 2048 tokens" in said
    other = (*ONE_EPOCH[:2], "--model_name", folder, "--max_seq_length", 2048, "--epochs", 1, "--dataset_dir", data)
    assert "kept in" in done(train.main, *other, "--save_dir", tmp_path / "other")
