"""A small random BERT as Hugging Face's libraries write it, and what it computes."""

import json

import numpy as np
from safetensors.numpy import save_file

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "train", "was", "late", "##r", "Train"]
WIDTH, LAYERS, FEED_FORWARD = 8, 2, 16


def write_hugging_face_folder(folder):
    """As `transformers` saves a BertModel, the tokeniser's settings other than the usual ones."""
    folder.mkdir()
    config = {
        "architectures": ["BertModel"],
        "model_type": "bert",
        "hidden_size": WIDTH,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": 2,
        "intermediate_size": FEED_FORWARD,
        "vocab_size": len(WORDS),
        "max_position_embeddings": 16,
        "type_vocab_size": 2,
        "hidden_act": "gelu",
        "use_cache": True,
    }
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"do_lower_case": False, "tokenizer_class": "BertTokenizer", "model_max_length": 16})
    )
    save_file(bert_weights(), folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def bert_weights():
    """By the names that PyTorch gives them; a linear layer's weight is [out, in] there."""
    random = np.random.default_rng(3)
    shapes = {
        f"embeddings.{name}_embeddings.weight": (rows, WIDTH)
        for name, rows in (("word", len(WORDS)), ("position", 16), ("token_type", 2))
    }
    shapes |= linear("pooler.dense", WIDTH, WIDTH) | norm("embeddings.LayerNorm")
    for layer in range(LAYERS):
        place = f"encoder.layer.{layer}"
        for name in ("query", "key", "value"):
            shapes |= linear(f"{place}.attention.self.{name}", WIDTH, WIDTH)
        shapes |= linear(f"{place}.attention.output.dense", WIDTH, WIDTH) | norm(f"{place}.attention.output.LayerNorm")
        shapes |= linear(f"{place}.intermediate.dense", FEED_FORWARD, WIDTH)
        shapes |= linear(f"{place}.output.dense", WIDTH, FEED_FORWARD) | norm(f"{place}.output.LayerNorm")
    return {name: random.normal(0, 0.5, shape).astype(np.float32) for name, shape in shapes.items()}


def linear(name, output, input_width):
    return {f"{name}.weight": (output, input_width), f"{name}.bias": (output,)}


def norm(name):
    return {f"{name}.weight": (WIDTH,), f"{name}.bias": (WIDTH,)}


def dense(weights, x, name):
    return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]


def bert_features(weights, ids, first_position=0):
    """The pooled output of BERT (Devlin et al. 2019) for one text, written out in numpy."""
    return np.tanh(dense(weights, bert_states(weights, ids, first_position)[0], "pooler.dense"))


def bert_states(weights, ids, first_position=0):
    """The output of BERT's last layer, [tokens, WIDTH]."""

    def normalised(x, name):
        scaled = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-12)
        return scaled * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    def gelu(x):
        from scipy.special import erf

        return x * (1 + erf(x / np.sqrt(2))) / 2

    places = slice(first_position, first_position + len(ids))
    x = weights["embeddings.word_embeddings.weight"][ids] + weights["embeddings.token_type_embeddings.weight"][0]
    x = normalised(x + weights["embeddings.position_embeddings.weight"][places], "embeddings.LayerNorm")
    for layer in range(LAYERS):
        place = f"encoder.layer.{layer}"
        queries, keys, values = (
            dense(weights, x, f"{place}.attention.self.{name}").reshape(len(ids), 2, -1)
            for name in ("query", "key", "value")
        )
        scores = np.exp(np.einsum("thd,shd->hts", queries, keys) / np.sqrt(WIDTH // 2))
        mixed = np.einsum("hts,shd->thd", scores / scores.sum(-1, keepdims=True), values).reshape(len(ids), WIDTH)
        x = normalised(
            x + dense(weights, mixed, f"{place}.attention.output.dense"), f"{place}.attention.output.LayerNorm"
        )
        y = dense(weights, gelu(dense(weights, x, f"{place}.intermediate.dense")), f"{place}.output.dense")
        x = normalised(x + y, f"{place}.output.LayerNorm")
    return x
