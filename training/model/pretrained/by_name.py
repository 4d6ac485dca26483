"""Encoders that paddlenlp fetches by their names."""

from __future__ import annotations

from pathlib import Path

import paddle
from paddlenlp.transformers import (
    BertConfig,
    BertForSequenceClassification,
    BertTokenizer,
    RobertaChineseTokenizer,
    RobertaModel,
)

from pipeline.text.wordpiece import VOCABULARY_FILE
from training.model.folders import FAMILIES, set_encoder
from training.model.pretrained.hugging_face import SETTINGS, SIZES
from training.model.pretrained.names import NAMED


def fetch_encoder(name: str, labels: int, tokeniser_folder: Path) -> paddle.nn.Layer:
    """A key of NAMED with a new classifier on top, its tokeniser's files written to `tokeniser_folder`.

    Raises:
        Exception: whatever paddlenlp raises where it cannot fetch or read a file.
    """
    if NAMED[name].family == "roberta":
        return _chinese_roberta(name, labels, tokeniser_folder)
    family = FAMILIES[NAMED[name].family]
    family.tokeniser.from_pretrained(name).save_pretrained(str(tokeniser_folder))
    return family.classifier.from_pretrained(name, num_labels=labels, ignore_mismatched_sizes=True)


def _chinese_roberta(name: str, labels: int, tokeniser_folder: Path) -> paddle.nn.Layer:
    """HFL's RoBERTa, a BERT with positions from 0; paddlenlp's RoBERTa counts them from 1."""
    tokeniser = RobertaChineseTokenizer.from_pretrained(name)
    tokeniser.save_resources(str(tokeniser_folder))
    own = BertTokenizer(str(tokeniser_folder / VOCABULARY_FILE), do_lower_case=tokeniser.do_lower_case)
    own.save_pretrained(str(tokeniser_folder))
    encoder = RobertaModel.from_pretrained(name)
    config = {key: getattr(encoder.config, key) for key in (*SIZES, *SETTINGS) if hasattr(encoder.config, key)}
    model = BertForSequenceClassification(BertConfig(**config, num_labels=labels))
    set_encoder(model, {key: tensor.numpy() for key, tensor in encoder.state_dict().items()}, Path(name))
    return model
