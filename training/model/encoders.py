"""Encoders by name: the documented ERNIE models, a local folder, or a shape that trains from nothing."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import paddle
from paddlenlp.transformers import BertTokenizer, ErnieConfig, ErnieForSequenceClassification

from pipeline.errors import ClassifierError, EnvironmentFault, InputError
from pipeline.option_values import AUTO
from pipeline.text.tokeniser_files import SPECIAL_TOKENS, write_subword
from pipeline.text.unspaced import LEAST_SHARE, learn_pieces, share_of_unspaced
from pipeline.text.vocabulary import build_vocabulary
from pipeline.text.wordpiece import VOCABULARY_FILE
from pipeline.text.words import TokeniserSettings
from training.model.folders import load_encoder
from training.model.model_names import SCRATCH, SCRATCH_VOCABULARY_SIZE, ScratchShape, check_model_name
from training.model.pretrained.by_name import fetch_encoder
from training.model.pretrained.names import NAMED

SCRATCH_TOKENISER = TokeniserSettings(kind="bert", strip_accents=False)
"""Marks tell words apart in Vietnamese, Hindi, Japanese and Russian: they stay."""


def create_model(
    name: str, labels: int, max_seq_length: int, texts: Iterable[str], tokeniser_folder: Path, trim: str = AUTO
) -> paddle.nn.Layer:
    """A model ready to train, its tokeniser's files written to `tokeniser_folder`.

    Args:
        name: a name of NAMED or SCRATCH, or a folder: one that paddlenlp wrote, or a Hugging Face model.
        labels: width of the classifier.
        max_seq_length: tokens per text; bounds the position embeddings of a scratch model.
        texts: normalised training texts, from which a scratch model's vocabulary is made, and to which a large one of
            Hugging Face is cut down.
        tokeniser_folder: an existing folder.
        trim: as for `training.model.pretrained.hugging_face.read_hugging_face`.

    Raises:
        InputError: an unknown name, a folder that does not load, or a `max_seq_length` that the model cannot read.
        EnvironmentFault: the weights cannot be fetched.
    """
    if name in SCRATCH:
        size = learn_tokeniser(texts, tokeniser_folder)
        return ErnieForSequenceClassification(scratch_config(SCRATCH[name], size, labels, max_seq_length))
    check_model_name(name)
    try:
        model = _load_pretrained(name, labels, tokeniser_folder, texts, trim)
    except ClassifierError:
        raise
    except Exception as error:
        if name not in NAMED:
            raise InputError(f"{name} does not load as a paddlenlp or Hugging Face model: {error}") from error
        raise EnvironmentFault(
            f"the weights of {name} cannot be fetched ({error}); give --model_name a local folder, such as build/e5 "
            f"after `make e5`, or one of {', '.join(SCRATCH)}, which need none"
        ) from error
    check_length(model, name, max_seq_length)
    return model


def learn_tokeniser(texts: Iterable[str], folder: Path) -> int:
    """Write the tokeniser of a scratch model, learnt from normalised texts, to `folder`; the size of its vocabulary.

    It reads words and their pieces. Where a part of the texts is in scripts that put no spaces between words, it reads
    pieces of characters alone, and a line says so.
    """
    texts = list(texts)
    share = share_of_unspaced(texts)
    if share >= LEAST_SHARE:
        content = learn_pieces(texts, SCRATCH_VOCABULARY_SIZE, SCRATCH_TOKENISER)
        print(
            f"{100 * share:.1f} % of the letters are of scripts without spaces between words: the vocabulary is "
            f"{len(content['model']['vocab']):,} pieces of characters, not words"
        )
        write_subword(content, {key: getattr(SCRATCH_TOKENISER, key) for key in SPECIAL_TOKENS}, folder)
        return len(content["model"]["vocab"])
    vocabulary = build_vocabulary(texts, SCRATCH_VOCABULARY_SIZE, SCRATCH_TOKENISER)
    (folder / VOCABULARY_FILE).write_text("\n".join(vocabulary) + "\n", encoding="utf-8")
    options = {"do_lower_case": SCRATCH_TOKENISER.lower_case, "strip_accents": SCRATCH_TOKENISER.strip_accents}
    tokeniser = BertTokenizer(str(folder / VOCABULARY_FILE), **options)
    tokeniser.save_pretrained(str(folder))
    return len(tokeniser)


def check_length(model: paddle.nn.Layer, name: str, max_seq_length: int) -> None:
    """Raise InputError where `model`, called `name`, cannot read so many tokens."""
    most = model.config.max_position_embeddings
    if most < max_seq_length:
        raise InputError(f"--max_seq_length is {max_seq_length}, and {name} reads at most {most}")


def _load_pretrained(
    name: str, labels: int, tokeniser_folder: Path, texts: Iterable[str], trim: str
) -> paddle.nn.Layer:
    """A pretrained encoder with a classifier on top, its tokeniser's files written to `tokeniser_folder`."""
    if Path(name).is_dir():
        return load_encoder(Path(name), labels, tokeniser_folder, texts, trim)
    return fetch_encoder(name, labels, tokeniser_folder)


def scratch_config(shape: ScratchShape, vocabulary_size: int, labels: int, max_seq_length: int) -> ErnieConfig:
    return ErnieConfig(
        vocab_size=vocabulary_size,
        hidden_size=shape.hidden_size,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        intermediate_size=shape.feed_forward_size,
        hidden_act="relu",
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        classifier_dropout=shape.pooled_dropout,
        max_position_embeddings=max_seq_length,
        type_vocab_size=2,
        use_task_id=False,
        num_labels=labels,
    )


def freeze_layers(model: paddle.nn.Layer, count: int) -> None:
    """Keep the embeddings and the `count` lowest encoder layers as they are, and let them drop nothing.

    What they drop would be noise to the layers above, which is no use to layers that do not learn.

    Raises:
        InputError: the encoder has fewer layers.
    """
    encoder = getattr(model, model.base_model_prefix)
    layers = list(encoder.encoder.layers)
    if count > len(layers):
        raise InputError(f"--freeze_layers is {count}, and the encoder has {len(layers)} layers")
    for frozen in (encoder.embeddings, *layers[:count]):
        for parameter in frozen.parameters():
            parameter.stop_gradient = True
        for part in frozen.sublayers(include_self=True):
            if isinstance(part, paddle.nn.Dropout):
                part.p = 0.0
            elif isinstance(part, paddle.nn.MultiHeadAttention):
                part.dropout = 0.0


def slow_lower_layers(model: paddle.nn.Layer, decay: float) -> None:
    """Let each encoder layer learn at `decay` times the rate of the one above it, and the embeddings below the lowest.

    An optimizer has to hold the parameters already: it sets their rates when it is made.
    """
    encoder = getattr(model, model.base_model_prefix)
    for depth, layer in enumerate([*reversed(encoder.encoder.layers), encoder.embeddings]):
        for parameter in layer.parameters():
            parameter.optimize_attr["learning_rate"] *= decay**depth


def model_logits(model: paddle.nn.Layer, input_ids: np.ndarray, token_type_ids: np.ndarray) -> np.ndarray:
    """Logits, float32 [batch, labels], of int64 [batch, length] twice, without gradients."""
    with paddle.no_grad():
        return model(paddle.to_tensor(input_ids), paddle.to_tensor(token_type_ids)).numpy()


class Silent(paddle.nn.Layer):
    """What stands in an encoder's place in a linear model.

    It gives logits of 0, float32 [batch, labels], for `input_ids` and `token_type_ids`, int64 [batch, length].

    Args:
        labels: how many.
    """

    def __init__(self, labels: int) -> None:
        super().__init__()
        self.nothing = self.create_parameter([1, labels], default_initializer=paddle.nn.initializer.Constant(0.0))

    def forward(self, input_ids: paddle.Tensor, token_type_ids: paddle.Tensor) -> paddle.Tensor:
        read = (input_ids + token_type_ids)[:, :1]  # a graph has both of them as inputs
        return paddle.matmul(paddle.cast(read, "float32"), self.nothing)
