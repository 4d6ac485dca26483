"""Encoders of other architectures, and tokenisers in a tokenizer.json, as BERT with its own vocabulary."""

import json

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

from pipeline.errors import InputError
from pipeline.text.tokeniser_files import checkpoint_tokeniser
from tests.training.model.tiny_bert import WIDTH, WORDS, bert_features, bert_weights, write_hugging_face_folder
from training.model.encoders import create_model, model_logits
from training.model.pretrained import hugging_face
from training.model.pretrained.trimming import scripts

SPECIALS = ["<s>", "<pad>", "</s>", "<unk>"]
PIECES = [*SPECIALS, "▁", "罢", "工", "罢工", "停产", "▁strike", "s", "ป่วย", "ป", "<mask>"]
PLAIN = {"type": "WordPiece", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100}
TEXTS = ["罢工 停产", "停产 strikes", "罢工罢工罢工停产停产停产"]


def unigram(folder, pieces=PIECES):
    scores = [(piece, 0.0 if piece in SPECIALS else -1.0 - number) for number, piece in enumerate(pieces)]
    tokeniser = Tokenizer(models.Unigram(scores, unk_id=3))
    tokeniser.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
    tokeniser.pre_tokenizer = pre_tokenizers.Metaspace()
    tokeniser.add_special_tokens([*SPECIALS, "<mask>"])
    tokeniser.save(str(folder / "tokenizer.json"))


def byte_pairs(folder):
    tokens = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", "a", "b", "c", "ab", "abc"]
    ids = {token: number for number, token in enumerate(tokens)}
    tokeniser = Tokenizer(models.BPE(ids, [("a", "b"), ("ab", "c")], unk_token="<unk>"))
    tokeniser.save(str(folder / "tokenizer.json"))


def make(folder, kind, write_tokeniser):
    """A random encoder of that kind with some rows of words too many, as multilingual models have."""
    write_hugging_face_folder(folder)
    (folder / "vocab.txt").unlink()
    write_tokeniser(folder)
    config = json.loads((folder / "config.json").read_text())
    roberta = kind in ("roberta", "xlm-roberta")
    weights, random = bert_weights(), np.random.default_rng(5)
    weights["embeddings.word_embeddings.weight"] = random.normal(0, 0.5, (16, WIDTH)).astype(np.float32)
    if roberta:
        weights["embeddings.token_type_embeddings.weight"] = weights["embeddings.token_type_embeddings.weight"][:1]
    if kind == "ernie":
        tasks = random.normal(0, 0.5, (3, WIDTH)).astype(np.float32)
        weights["embeddings.task_type_embeddings.weight"] = tasks
    config.update(model_type=kind, vocab_size=16, type_vocab_size=1 if roberta else 2, pad_token_id=1)
    (folder / "config.json").write_text(json.dumps(config))
    names = {"cls_token": "<s>", "sep_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
    told = {} if roberta else {**names, "mask_token": {"content": "<mask>"}}
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "XLMRobertaTokenizer", **told}))
    prefix = hugging_face.MODEL_TYPES[kind]
    save_file({f"{prefix}{name}": array for name, array in weights.items()}, folder / "model.safetensors")
    return weights


@pytest.mark.parametrize("kind", hugging_face.MODEL_TYPES)
@pytest.mark.parametrize("trimmed_from", [4, 50_000])
@pytest.mark.parametrize("write_tokeniser", [unigram, byte_pairs])
def test_the_encoder_computes_what_its_weights_say(kind, trimmed_from, write_tokeniser, tmp_path, monkeypatch):
    monkeypatch.setattr(hugging_face, "TRIMMED_FROM", trimmed_from)
    weights = make(tmp_path / "hub", kind, write_tokeniser)
    (tmp_path / "own").mkdir()
    model = create_model(str(tmp_path / "hub"), 3, 12, TEXTS, tmp_path / "own")
    model.eval()
    text = "abcabcabab" if write_tokeniser is byte_pairs else "停产 strikes罢工"
    reference = Tokenizer.from_file(str(tmp_path / "hub" / "tokenizer.json"))
    ids = [0, *reference.encode(text, add_special_tokens=False).ids, 2]
    assert len(ids) > 4
    if kind == "ernie":
        weights["embeddings.token_type_embeddings.weight"] += weights["embeddings.task_type_embeddings.weight"][0]
    features = bert_features(weights, ids, first_position=2 if "roberta" in kind else 0)
    expected = features @ model.classifier.weight.numpy() + model.classifier.bias.numpy()
    own = checkpoint_tokeniser(tmp_path / "own", 12)
    row = own.encode([text])[0][None]
    assert own.pad_id == 0
    assert model_logits(model, row, np.zeros_like(row))[0] == pytest.approx(expected, abs=1e-5)


def test_a_large_vocabulary_keeps_what_the_texts_and_their_scripts_need(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(hugging_face, "TRIMMED_FROM", 4)
    make(tmp_path / "hub", "xlm-roberta", unigram)
    model = create_model(str(tmp_path / "hub"), 3, 12, ["罢工罢工罢工罢工 strike"] * 3, tmp_path)
    kept = {piece for piece, _ in json.loads((tmp_path / "tokenizer.json").read_text())["model"]["vocab"]}
    assert kept == set(PIECES) - {"ป่วย"}  # its single letters stay, "停产" is of the script of the texts
    assert model.bert.embeddings.word_embeddings.weight.shape[0] == len(kept)
    assert "cut from 14 tokens to the 13 that the texts and their scripts need" in capsys.readouterr().out
    create_model(str(tmp_path / "hub"), 3, 12, TEXTS, tmp_path, "never")
    assert checkpoint_tokeniser(tmp_path, 12).vocabulary_size == len(PIECES)


def test_scripts_are_those_of_a_tenth_of_the_letters():
    assert scripts(["裁员罢工，strike!", "かな" * 3, "1999"]) == {"CJK", "LATIN", "HIRAGANA"}
    assert scripts(["裁员" * 50 + "strike 1999"]) == {"CJK"}
    assert scripts(["देना", "2024"]) == {"DEVANAGARI"}
    assert scripts([]) == set()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content["model"].update(type="WordLevel"), "its model is 'WordLevel'; supported are Unigram"),
        (lambda content: content.pop("model"), "its model is None"),
        (lambda content: content["model"].update(vocab=5), "describes no Unigram tokeniser"),
        (lambda content: content.update(normalizer={"type": "Python", "code": "x"}), "no tokeniser that loads"),
        (
            lambda content: content["model"]["vocab"].extend([f"x{n}", -9.0] for n in range(5)),
            "embeddings of 16",
        ),
        (lambda content: content["model"].update(vocab=content["model"]["vocab"][:3]), r"tokenizer\.json"),
    ],
)
def test_a_tokeniser_that_does_not_fit_is_refused(change, message, tmp_path):
    make(tmp_path / "hub", "xlm-roberta", unigram)
    path = tmp_path / "hub" / "tokenizer.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=message):
        create_model(str(tmp_path / "hub"), 3, 12, TEXTS, tmp_path)


@pytest.mark.parametrize("pad_id", [None, "1", -1, 15])
def test_positions_cannot_begin_behind_any_padding_id(pad_id, tmp_path):
    make(tmp_path / "hub", "xlm-roberta", unigram)
    path = tmp_path / "hub" / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "pad_token_id": pad_id}))
    with pytest.raises(InputError, match=rf"pad_token_id is {pad_id!r}; .* it must be a whole number from 0 to 14"):
        create_model(str(tmp_path / "hub"), 3, 12, TEXTS, tmp_path)


def test_a_checkpoint_with_such_a_tokeniser_is_a_start_as_well(tmp_path):
    make(tmp_path / "hub", "xlm-roberta", unigram)
    (tmp_path / "own").mkdir()
    first = create_model(str(tmp_path / "hub"), 3, 12, TEXTS, tmp_path / "own")
    first.save_pretrained(str(tmp_path / "own"))
    (tmp_path / "again").mkdir()
    second = create_model(str(tmp_path / "own"), 5, 12, TEXTS, tmp_path / "again")
    states = [model.bert.state_dict() for model in (first, second)]
    assert all(np.array_equal(states[0][name].numpy(), states[1][name].numpy()) for name in states[0])
    assert (tmp_path / "again" / "tokenizer.json").read_bytes() == (tmp_path / "own" / "tokenizer.json").read_bytes()


def test_weights_that_are_left_over_are_refused(tmp_path):
    make(tmp_path / "hub", "roberta", unigram)
    weights = load_file(tmp_path / "hub" / "model.safetensors")
    save_file({**weights, "roberta.adapter.weight": np.ones((2, 2))}, tmp_path / "hub" / "model.safetensors")
    with pytest.raises(Exception, match="it has too much adapter.weight"):
        create_model(str(tmp_path / "hub"), 3, 12, TEXTS, tmp_path)


def described_wordpiece(folder, **changes):
    """A folder with WordPiece in a tokenizer.json alone."""
    write_hugging_face_folder(folder)
    tokeniser = Tokenizer(models.WordPiece({word: number for number, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokeniser.normalizer = normalizers.BertNormalizer(lowercase=False)
    tokeniser.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokeniser.add_special_tokens(WORDS[:5])
    (folder / "tokenizer.json").write_text(json.dumps({**json.loads(tokeniser.to_str()), **changes}))
    return folder


def test_wordpiece_in_a_tokenizer_json_alone_is_that_of_a_vocab_txt(tmp_path):
    folder, ids = described_wordpiece(tmp_path / "hub"), []
    for name in ("with", "without"):
        (tmp_path / name).mkdir()
        create_model(str(folder), 2, 12, [], tmp_path / name)
        ids.append(checkpoint_tokeniser(tmp_path / name, 12).encode(["a Train was later, [SEP] é"])[0].tolist())
        (folder / "vocab.txt").unlink(missing_ok=True)
    assert ids[0] == ids[1]
    assert ids[0][:6] == [2, 5, 10, 7, 8, 9]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"normalizer": {"type": "NFKC"}}, "normalizer of its WordPiece is 'NFKC'; only 'BertNormalizer' is read"),
        ({"pre_tokenizer": None}, "pre_tokenizer of its WordPiece is None"),
        ({"model": {"type": "WordPiece", "vocab": {"a": 1}, "continuing_subword_prefix": "@"}}, "prefix .* is '@'"),
        ({"model": {**PLAIN, "vocab": {"a": 1}}}, "the ids of its 1 tokens are not 0 to 0"),
        ({"model": {**PLAIN, "vocab": ["a"]}}, "its vocabulary is no object from tokens to ids"),
        ({"model": {**PLAIN, "vocab": {"a\nb": 0}}}, r"the token 'a\\nb' has a line's end"),
        ({"model": 3}, "its model is None"),
    ],
)
def test_wordpiece_that_reads_otherwise_is_refused(changes, message, tmp_path):
    folder = described_wordpiece(tmp_path / "hub", **changes)
    (folder / "vocab.txt").unlink()
    with pytest.raises(InputError, match=message):
        create_model(str(folder), 2, 12, [], tmp_path)
