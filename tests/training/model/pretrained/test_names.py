"""The names of encoders that paddlenlp fetches, and what becomes of those."""

import numpy as np
import paddle
import pytest
from paddlenlp.transformers import RobertaChineseTokenizer, RobertaConfig, RobertaModel
from paddlenlp.transformers.bert.configuration import BERT_PRETRAINED_INIT_CONFIGURATION as BERT
from paddlenlp.transformers.ernie.configuration import ERNIE_PRETRAINED_INIT_CONFIGURATION as ERNIE
from paddlenlp.transformers.ernie_m.configuration import ERNIE_M_PRETRAINED_INIT_CONFIGURATION as ERNIE_M
from paddlenlp.transformers.roberta.configuration import PRETRAINED_INIT_CONFIGURATION as ROBERTA

from pipeline.errors import EnvironmentFault, InputError
from pipeline.text.tokeniser_files import checkpoint_tokeniser
from training.model import encoders
from training.model.encoders import create_model, model_logits
from training.model.model_names import DOCUMENTED, check_model_name
from training.model.pretrained import by_name
from training.model.pretrained.names import NAMED, UNREAD

SIZES = {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "罢", "工", "a"]


def test_they_are_those_of_paddlenlp():
    theirs = {
        name: (family, config["hidden_size"])
        for family, configs in (("bert", BERT), ("ernie", ERNIE), ("roberta", ROBERTA))
        for name, config in configs.items()
        if name not in UNREAD
    }
    assert theirs == NAMED
    assert set(UNREAD) == {"ernie-tiny", *ERNIE_M}
    assert set(DOCUMENTED) <= set(NAMED)


def test_each_is_known_and_others_are_told_what_there_is():
    for name in NAMED:
        check_model_name(name)
    with pytest.raises(InputError, match=r"its tokeniser is not read here; give .* build/e5, which `make e5` fetches"):
        check_model_name("ernie-m-base")
    with pytest.raises(InputError, match=r"or another BERT, .* knows by name; did you mean bert-base-chinese\?"):
        check_model_name("bert-base-chinse")


def test_what_to_do_where_it_cannot_be_fetched(monkeypatch, tmp_path):
    def fail(*_):
        raise RuntimeError("no route to host")

    monkeypatch.setattr(encoders, "fetch_encoder", fail)
    with pytest.raises(EnvironmentFault, match=r"cannot be fetched \(no route to host\); .* build/e5 after `make e5`"):
        create_model("bert-base-chinese", 2, 12, [], tmp_path)


def test_a_chinese_roberta_becomes_a_bert_with_positions_from_0(monkeypatch, tmp_path):
    (tmp_path / "words").write_text("\n".join(WORDS) + "\n", encoding="utf-8")
    config = RobertaConfig(
        **SIZES, vocab_size=len(WORDS), max_position_embeddings=16, type_vocab_size=2, pad_token_id=0
    )
    paddle.seed(1)
    theirs = RobertaModel(config)
    for parameter in theirs.parameters():
        parameter.set_value(paddle.randn(parameter.shape) * 0.5)
    monkeypatch.setattr(by_name.RobertaModel, "from_pretrained", lambda name: theirs)
    tokeniser = RobertaChineseTokenizer(str(tmp_path / "words"))
    monkeypatch.setattr(by_name.RobertaChineseTokenizer, "from_pretrained", lambda name: tokeniser)
    (tmp_path / "own").mkdir()
    model = create_model("hfl/rbt3", 3, 12, [], tmp_path / "own")
    ids = checkpoint_tokeniser(tmp_path / "own", 12).encode(["罢工 A"])[0]
    assert [WORDS[number] for number in ids] == ["[CLS]", "罢", "工", "a", "[SEP]"]
    theirs.eval()
    model.eval()
    pooled = theirs(paddle.to_tensor(ids[None]), position_ids=paddle.arange(len(ids))[None])[1].numpy()
    expected = pooled @ model.classifier.weight.numpy() + model.classifier.bias.numpy()
    assert model_logits(model, ids[None], np.zeros_like(ids)[None]) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("name", ["ernie-3.0-nano-zh", "bert-base-chinese"])
def test_others_are_fetched_by_their_own_classes(name, monkeypatch, tmp_path):
    asked = []
    family = by_name.FAMILIES[NAMED[name].family]
    for part in (family.tokeniser, family.classifier):
        monkeypatch.setattr(part, "from_pretrained", lambda name, part=part, **_: asked.append((part, name)) or part)
        monkeypatch.setattr(part, "save_pretrained", lambda folder: None)
    assert by_name.fetch_encoder(name, 2, tmp_path) is family.classifier
    assert asked == [(family.tokeniser, name), (family.classifier, name)]
