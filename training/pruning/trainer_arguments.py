"""paddlenlp's TrainingArguments, read into the options of a student."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from pipeline.errors import InputError
from training.pruning.options import StudentOptions

FIXED: dict[str, Any] = {
    **{"max_steps": -1, "gradient_accumulation_steps": 1, "dataloader_drop_last": False},
    **{"lr_scheduler_type": "linear", "optim": "adamw", "max_grad_norm": 1.0},
    **{"adam_beta1": 0.9, "adam_beta2": 0.999, "adam_epsilon": 1e-8},
    **{"fp16": False, "bf16": False, "label_names": None, "resume_from_checkpoint": None},
}
"""Attributes that would change what is learnt, each with the one value that pruning here can honour."""


def student_options(args: Any, rows: int, processes: int) -> StudentOptions:
    """How a student is taught, by the attributes of `args` with the names of `StudentOptions`, and `warmup_ratio`.

    What lacks has its default. Attributes of FIXED may hold that value alone. The others say where and how paddlenlp's
    Trainer would log, save and evaluate; here the loop evaluates after each epoch, keeps the best, and computes where
    paddle is set to compute.

    Args:
        rows: of the training set.
        processes: that train together.

    Raises:
        InputError: a value that cannot be meant, or honoured.
    """
    names = [each.name for each in dataclasses.fields(StudentOptions)]
    if isinstance(args, type) or not any(hasattr(args, name) for name in (*names, *FIXED, "warmup_ratio")):
        raise InputError(
            f"args is {args!r:.60}, which has no attribute such as num_train_epochs; give paddlenlp's "
            "TrainingArguments, or types.SimpleNamespace(num_train_epochs=3)"
        )
    for name, fixed in FIXED.items():
        value = getattr(args, name, fixed)
        if getattr(value, "value", value) != fixed:
            raise InputError(f"args.{name} is {value!r}, which pruning here does not do; leave it at {fixed!r}")
    given = {name: getattr(args, name) for name in names if hasattr(args, name)}
    epochs = given.get("num_train_epochs")
    if isinstance(epochs, float) and epochs.is_integer():  # TrainingArguments holds 3.0 where 3 was meant
        given["num_train_epochs"] = int(epochs)
    options = StudentOptions(**given)
    ratio = getattr(args, "warmup_ratio", 0.0)
    if not isinstance(ratio, (int, float)) or isinstance(ratio, bool) or not 0 <= ratio <= 1:
        raise InputError(f"args.warmup_ratio is {ratio!r:.60}; give a share of the steps, from 0 to 1")
    if options.warmup_steps or not ratio:
        return options
    steps = math.ceil(math.ceil(rows / options.per_device_train_batch_size) / processes) * options.num_train_epochs
    return dataclasses.replace(options, warmup_steps=math.ceil(steps * float(ratio)))
