"""Encoders by name and by folder; a Hugging Face BERT folder is made here, small and random."""

import hashlib
import json
import shutil
from fractions import Fraction

import numpy as np
import paddle
import pytest
from safetensors.numpy import load_file, save_file

from pipeline.compute.batching import run_in_batches
from pipeline.compute.packing import pack
from pipeline.compute.runtimes.graph_check import PACKED_INPUTS
from pipeline.errors import BundleError, InputError
from pipeline.text.normalisation import normalise
from pipeline.text.tokeniser_files import checkpoint_tokeniser
from tests.training.model.tiny_bert import (
    FEED_FORWARD,
    LAYERS,
    WIDTH,
    WORDS,
    bert_features,
    bert_states,
    bert_weights,
    write_hugging_face_folder,
)
from training.model.encoders import create_model, freeze_layers, model_logits
from training.model.folders import load_model
from training.model.packed import PackedClassifier
from training.model.static_graph import export_static


@pytest.fixture(scope="module")
def hugging_face_folder(tmp_path_factory):
    return write_hugging_face_folder(tmp_path_factory.mktemp("hub") / "tiny")


def test_a_hugging_face_folder_computes_what_its_weights_say(hugging_face_folder, tmp_path):
    model = create_model(str(hugging_face_folder), 3, 12, [], tmp_path)
    model.eval()
    ids = checkpoint_tokeniser(tmp_path, 12).encode(["a Train was later"])[0]
    features = bert_features(bert_weights(), ids)
    expected = features @ model.classifier.weight.numpy() + model.classifier.bias.numpy()
    assert model_logits(model, ids[None], np.zeros_like(ids)[None])[0] == pytest.approx(expected, abs=1e-5)


def test_its_tokeniser_comes_along(hugging_face_folder, tmp_path):
    create_model(str(hugging_face_folder), 3, 12, [], tmp_path)
    ids = checkpoint_tokeniser(tmp_path, 12).encode(["a Train was later"])[0]
    assert [WORDS[i] for i in ids] == ["[CLS]", "a", "Train", "was", "late", "##r", "[SEP]"]


def test_a_tokeniser_file_that_the_settings_do_not_name_is_left_out(hugging_face_folder, tmp_path):
    own, again = tmp_path / "own", tmp_path / "again"
    own.mkdir()
    again.mkdir()
    create_model(str(hugging_face_folder), 3, 12, [], own).save_pretrained(str(own))
    (own / "tokenizer.json").write_text("{}")
    create_model(str(own), 3, 12, [], again)
    encoded = [checkpoint_tokeniser(folder, 12).encode(["a Train was later"])[0] for folder in (own, again)]
    assert np.array_equal(*encoded)


def test_the_folder_stays_as_it_is(hugging_face_folder, tmp_path):
    def checksums():
        return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in hugging_face_folder.iterdir()}

    before = checksums()
    create_model(str(hugging_face_folder), 3, 12, [], tmp_path)
    assert checksums() == before


def test_a_folder_that_is_no_model_is_named(hugging_face_folder, tmp_path):
    with pytest.raises(InputError, match=r"config\.json cannot be read: No such file"):
        create_model(str(tmp_path), 3, 12, [], tmp_path)
    pickled = tmp_path / "pickled"
    shutil.copytree(hugging_face_folder, pickled)
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    with pytest.raises(InputError, match=r"no model\.safetensors; weights in pytorch_model\.bin .* convert them"):
        create_model(str(pickled), 3, 12, [], tmp_path)
    (pickled / "model.safetensors").write_bytes(b"no such format")
    with pytest.raises(InputError, match="does not load as a paddlenlp or Hugging Face model"):
        create_model(str(pickled), 3, 12, [], tmp_path)
    with pytest.raises(InputError, match="--max_seq_length is 17, and .* reads at most 16"):
        create_model(str(hugging_face_folder), 3, 17, [], tmp_path)


def changed(folder, target, *, config=None, tokeniser=None, weights=None):
    """A copy with other settings, and with weights that `weights` makes of its own."""
    shutil.copytree(folder, target)
    for name, settings in (("config.json", config), ("tokenizer_config.json", tokeniser)):
        held = json.loads((target / name).read_text())
        (target / name).write_text(json.dumps({**held, **(settings or {})}))
    if weights:
        save_file(weights(load_file(target / "model.safetensors")), target / "model.safetensors")
    return str(target)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"config": {"model_type": "deberta"}},
            "model_type is 'deberta'; of .* those with bert, ernie",
        ),
        ({"config": {"hidden_act": "silu"}}, "hidden_act is 'silu'"),
        ({"config": {"hidden_size": "8"}}, "hidden_size is '8'; it must be a whole number from 1 to"),
        ({"config": {"position_embedding_type": "relative_key"}}, "position_embedding_type is 'relative_key'"),
        ({"tokeniser": {"tokenizer_class": "BertJapaneseTokenizer"}}, "tokenizer_class is 'BertJapaneseTokenizer'"),
        (
            {"weights": lambda held: {f"roberta.{name}": array for name, array in held.items()}},
            r"model\.safetensors does not hold the parameters .* it lacks .* and \d+ more; it has too much roberta",
        ),
        ({"config": {"num_hidden_layers": LAYERS + 1}}, r"it lacks encoder\.layers\.2\.self_attn"),
        ({"config": {"num_hidden_layers": LAYERS - 1}}, r"it has too much encoder\.layers\.1\."),
        ({"config": {"intermediate_size": FEED_FORWARD * 2}}, "it has in another shape encoder.layers.0.linear1"),
    ],
)
def test_a_folder_of_another_architecture_is_refused(change, message, hugging_face_folder, tmp_path):
    with pytest.raises((InputError, BundleError), match=message):
        create_model(changed(hugging_face_folder, tmp_path / "other", **change), 3, 12, [], tmp_path)


@pytest.mark.parametrize(
    "weights",
    [
        lambda held: {f"bert.{name}": array for name, array in held.items()} | {"cls.predictions.bias": np.ones(3)},
        lambda held: {
            name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): array
            for name, array in held.items()
        },
        lambda held: {**held, "embeddings.position_ids": np.arange(16)[None]},
    ],
)
def test_the_ways_of_naming_the_same_weights_are_one(weights, hugging_face_folder, tmp_path):
    other = changed(hugging_face_folder, tmp_path / "other", weights=weights)
    encoders = [create_model(name, 3, 12, [], tmp_path).bert for name in (str(hugging_face_folder), other)]
    first, second = (encoder.state_dict() for encoder in encoders)
    assert all(np.array_equal(first[name].numpy(), second[name].numpy()) for name in first)


def test_an_encoder_without_a_pooler_is_read_at_all_positions(hugging_face_folder, tmp_path, capsys):
    def without(held):
        return {name: array for name, array in held.items() if not name.startswith("pooler")}

    model = create_model(changed(hugging_face_folder, tmp_path / "other", weights=without), 3, 12, [], tmp_path)
    assert "has no pooler; a classifier reads the mean of the encoder's output" in capsys.readouterr().out
    model.eval()
    rows = checkpoint_tokeniser(tmp_path, 12).encode(["a Train was later", "late", "was"])
    states = np.stack([bert_states(bert_weights(), ids).mean(axis=0) for ids in rows])
    pooler = model.bert.pooler.dense
    pooled = states @ pooler.weight.numpy() + pooler.bias.numpy()
    expected = pooled @ model.classifier.weight.numpy() + model.classifier.bias.numpy()
    computed = run_in_batches(rows, lambda *inputs: model_logits(model, *inputs))
    assert computed == pytest.approx(expected, abs=1e-5)
    packed = PackedClassifier(model)
    packed.eval()
    for batch in pack(rows, 64):
        inputs = [paddle.to_tensor(batch.inputs[name]) for name in PACKED_INPUTS]
        assert packed(*inputs).numpy()[batch.places] == pytest.approx(expected[batch.texts], abs=1e-5)
    export_static(model, tmp_path)
    assert (tmp_path / "packed.pdmodel").exists()
    model.save_pretrained(str(tmp_path))
    again = load_model(tmp_path, 3, Fraction(1))
    assert run_in_batches(rows, lambda *inputs: model_logits(again, *inputs)) == pytest.approx(expected, abs=1e-5)


def test_a_paddlenlp_folder_gives_its_encoder_and_refuses_another(hugging_face_folder, tmp_path):
    first = create_model(str(hugging_face_folder), 3, 12, [], tmp_path)
    folder = tmp_path / "paddlenlp"
    first.save_pretrained(str(folder))
    for name in ("vocab.txt", "tokenizer_config.json"):
        shutil.copyfile(tmp_path / name, folder / name)
    second = create_model(str(folder), 5, 12, [], tmp_path)
    assert second.classifier.weight.shape == [WIDTH, 5]
    held = second.bert.state_dict()
    assert all(np.array_equal(tensor.numpy(), held[name].numpy()) for name, tensor in first.bert.state_dict().items())
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "ernie_gram"}))
    with pytest.raises(InputError, match="a model of type 'ernie_gram'; supported are bert, ernie"):
        create_model(str(folder), 5, 12, [], tmp_path)


def test_frozen_layers_do_not_learn(hugging_face_folder, tmp_path):
    model = create_model(str(hugging_face_folder), 3, 12, [], tmp_path)
    freeze_layers(model, 1)
    learning = {name for name, parameter in model.named_parameters() if not parameter.stop_gradient}
    assert not [name for name in learning if "embeddings" in name or "layers.0." in name]
    assert [name for name in learning if "layers.1." in name] and "classifier.weight" in learning
    model.train()
    embedded, again = (model.bert.embeddings(paddle.to_tensor([[2, 5, 6, 3]] * 8)) for _ in range(2))
    lower, upper = model.bert.encoder.layers
    assert (lower(embedded) == lower(again)).all() and not (upper(embedded) == upper(again)).all()
    with pytest.raises(InputError, match="--freeze_layers is 3, and the encoder has 2 layers"):
        freeze_layers(model, 3)


@pytest.mark.parametrize(
    "texts",
    [["ma", "má", "mà", "mả", "mã", "mạ"], ["か", "が"], ["दिन", "दान", "दीन"], ["мой", "мои"], ["กา", "กำ", "ก็"]],
)
def test_a_scratch_model_tells_words_apart_by_their_marks(texts, tmp_path):
    normalised = [normalise(text) for text in texts]
    create_model("scratch-tiny", 2, 16, normalised * 2, tmp_path)
    rows = checkpoint_tokeniser(tmp_path, 16).encode(normalised)
    assert len({tuple(row.tolist()) for row in rows}) == len(texts)
