"""Checkpoints that were never trained, in no time: random parameters under given labels."""

from __future__ import annotations

import json
import pickle
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipeline.files.checksums import write_all_checksums
from pipeline.files.dataset import write_labels
from pipeline.labels.hierarchy import LabelHierarchy
from pipeline.text.linear import LinearPart
from training.linear.features import learn_tables

WIDTH = 8
TEXTS = ["今天裁员了三百人", "公司宣布裁员", "股价上涨", "上涨,上涨,再上涨", "新品发布会", "the ship left port"] * 3
ORGANISED = ("组织", "组织##裁员", "组织##罢工", "组织##罢工##全国", "产品", "产品##发布", "财经")


def write_small_checkpoint(
    folder: Path,
    labels: Sequence[str] = ORGANISED,
    *,
    encoder: bool = True,
    linear: bool = False,
    texts: Sequence[str] = TEXTS,
    **record: object,
) -> Path:
    """A checkpoint folder; without an encoder it is a linear one, which knows the n-grams of `texts`."""
    folder.mkdir(parents=True)
    random, count = np.random.default_rng(0), len(labels)
    write_labels(folder / "label.txt", LabelHierarchy(labels))
    (folder / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n", encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "ErnieTokenizer"}), encoding="utf-8")
    if encoder:
        parameters = {
            "ernie.pooler.dense.bias": random.normal(size=WIDTH).astype(np.float32),
            "classifier.weight": random.normal(size=(WIDTH, count)).astype(np.float32),
            "classifier.bias": random.normal(size=count).astype(np.float32),
        }
        (folder / "model_state.pdparams").write_bytes(pickle.dumps(parameters, 4))
        for name in ("config.json", "model_config.json"):
            (folder / name).write_text(json.dumps({"model_type": "ernie", "hidden_size": WIDTH}), encoding="utf-8")
    if linear or not encoder:
        tables, rarity = learn_tables(texts, count)
        weights = random.normal(size=(len(rarity), count)).astype(np.float16)
        LinearPart(tables, rarity, weights, random.normal(size=count)).write(folder / "linear.npz")
        record["encoder_weight"] = 0.5 if encoder else 0.0
    fields = {
        "model_name": "scratch-tiny" if encoder else "linear",
        "max_seq_length": 64,
        "normalisation": "none",
        "metrics": {"dev": {"micro_f1": 0.5}},
        "thresholds": [round(0.1 + 0.8 * column / count, 6) for column in range(count)],
        "data": {"label_rows": list(range(count))},
        "a field of a later version": 1,
        **record,
    }
    (folder / "training.json").write_text(json.dumps(fields, ensure_ascii=False), encoding="utf-8")
    write_all_checksums(folder)
    return folder
