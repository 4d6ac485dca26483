"""The options of training are given, judged and remembered the same by all who train."""

from __future__ import annotations

import json

from training.loop.interruptible import NOT_OF_THE_RUN
from training.loop.options import TrainingRun

RECORDED = """
{"train_file": "train.txt", "dev_file": "dev.txt", "label_file": "label.txt", "max_seq_length": 128, "seed": 3,
 "model_name": "ernie-3.0-medium-zh", "batch_size": 32, "learning_rate": 0.002, "epochs": 2, "early_stop": false,
 "early_stop_nums": 10, "weight_decay": 0.0, "warmup": true, "warmup_steps": 6, "init_from_ckpt": null, "loss": "bce",
 "hierarchy_weight": 0.0, "thresholds": "fixed", "freeze_layers": null, "teachers": ["a.jsonl", "b.jsonl"],
 "average_weights": 0.0, "token_dropout": 0.0, "unlabelled_file": "data.txt", "normalisation": "half_width"}
"""


def test_a_run_that_an_earlier_version_began_can_be_resumed():
    """What has to be equal is recorded under the same names and in the same form; a newer option is at its default."""
    run = TrainingRun(
        dataset_dir="data",
        epochs=2,
        learning_rate=2e-3,
        warmup=True,
        warmup_steps=6,
        teachers=["a.jsonl", "b.jsonl"],
        normalisation="half_width",
    )
    identity = {name: value for name, value in run.record().items() if name not in NOT_OF_THE_RUN}
    recorded = json.loads(RECORDED)
    assert {name: identity[name] for name in recorded} == recorded
    untouched = TrainingRun(dataset_dir="data").record()
    assert all(identity[name] == untouched[name] for name in identity.keys() - recorded.keys())
