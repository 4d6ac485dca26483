"""The complete state of a training run, written so that a killed run can go on as if nothing had happened.

tensors.npz      parameters, and what the optimizer keeps of each
progress.json    how far the run is, and which run it is
SHA256SUMS       their checksums

There is no random state in it: each step draws its own random numbers from the seed and the step's number.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import paddle

from pipeline.errors import BundleError, InputError
from pipeline.files.atomic import atomic_folder
from pipeline.files.checksums import read_checksums, verify_file, write_all_checksums
from pipeline.option_values import AUTO
from pipeline.records import from_fields, read_json
from training.loop.averaging import WeightAverage

TENSORS_FILE = "tensors.npz"
PROGRESS_FILE = "progress.json"


@dataclass(frozen=True)
class RunFiles:
    """Where a run keeps what it needs to go on, and its curves.

    Attributes:
        state: folder of the training state.
        logs: folder of the curves.
        identity: what a run that goes on must have in common with this one.
    """

    state: Path
    logs: Path
    identity: dict[str, Any]


@dataclass
class Progress:
    """How far a run is.

    Attributes:
        step: optimizer steps done since the start.
        loss_sum: of this epoch's steps so far.
        best: the best dev scores so far.
        epochs_without_gain: since the best.
        history: what was logged, see `training.loop.run_log`.
    """

    step: int = 0
    loss_sum: float = 0.0
    best: dict[str, Any] | None = None
    epochs_without_gain: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)


def write_state(
    path: Path,
    identity: dict[str, Any],
    progress: Progress,
    model: paddle.nn.Layer,
    optimizer: Any,
    average: WeightAverage | None,
) -> None:
    """Write the state atomically, in place of one that is there already.

    Args:
        identity: what a run that goes on must have in common with this one.
    """
    tensors = {f"parameter/{name}": tensor.numpy() for name, tensor in model.state_dict().items()}
    kept = optimizer.state_dict()
    for name, parameter in model.named_parameters():
        prefix = f"{parameter.name}_"
        for key, tensor in kept.items():
            if key.startswith(prefix):
                tensors[f"optimizer/{name}/{key[len(prefix) :]}"] = tensor.numpy()
    if average:
        tensors |= {f"average/{name}": values for name, values in average.tensors().items()}
    with atomic_folder(path) as folder:
        np.savez(folder / TENSORS_FILE, **tensors)
        text = json.dumps({"identity": identity, "progress": asdict(progress)}, ensure_ascii=False)
        (folder / PROGRESS_FILE).write_text(text + "\n", encoding="utf-8")
        write_all_checksums(folder)


def read_state(
    path: Path, identity: dict[str, Any], model: paddle.nn.Layer, optimizer: Any, average: WeightAverage | None
) -> Progress:
    """Put `model`, `optimizer` and `average` into the state that `path` holds.

    Raises:
        InputError: it is of another run than `identity`.
        BundleError: it is damaged.
    """
    try:
        sums = read_checksums(path)
        for name in (TENSORS_FILE, PROGRESS_FILE):
            verify_file(path, name, sums)
    except BundleError as error:
        raise BundleError(f"{error}; without one, begin anew with --overwrite") from error
    try:
        content = read_json(path / PROGRESS_FILE)
        theirs, progress = content["identity"], from_fields(Progress, content["progress"])
    except (ValueError, KeyError, TypeError) as error:
        raise BundleError(f"{path / PROGRESS_FILE} is damaged ({error}); begin anew with --overwrite") from error
    unchosen = {name for name, value in identity.items() if value is None or value is False or value == AUTO}
    newer = unchosen - {*theirs}  # of options that an earlier version had not
    changed = [name for name in {**theirs, **identity} if theirs.get(name) != identity.get(name) and name not in newer]
    if changed:
        raise InputError(
            f"{path} is of a run with {changed[0]} {theirs.get(changed[0])!r}, not {identity.get(changed[0])!r}; "
            f"{_advice(theirs, identity, changed)}, or begin anew with --overwrite"
        )
    with np.load(path / TENSORS_FILE, allow_pickle=False) as tensors:
        model.set_state_dict({name: tensors[f"parameter/{name}"] for name in model.state_dict()})
        kept = {"LR_Scheduler": optimizer.state_dict()["LR_Scheduler"]}  # the trainer sets it by the step
        for name, parameter in model.named_parameters():
            prefix = f"optimizer/{name}/"
            for key in tensors.files:
                if key.startswith(prefix):
                    kept[f"{parameter.name}_{key[len(prefix) :]}"] = paddle.to_tensor(tensors[key])
        optimizer.set_state_dict(kept)
        if average:
            average.restore(lambda name: tensors[f"average/{name}"], progress.step)
    return progress


def _advice(theirs: dict[str, Any], identity: dict[str, Any], changed: list[str]) -> str:
    """What to do to go on with a run that differs in `changed`."""
    if any(name not in identity for name in changed):
        return "another command or version began it; finish it with that"
    if not all(name.startswith("--") for name in changed):
        return "resume with the same options and files"
    # Named with their values: what a recipe chose, or an earlier version had for a default, nobody has typed.
    without = [name for name in changed if theirs.get(name) in (None, False)]
    given = [f"{name}{_words(theirs[name])}" for name in changed if name not in without]
    return "resume " + " and ".join(
        [*[f"with {' '.join(given)}"] * bool(given), *[f"without {' '.join(without)}"] * bool(without)]
    )


def _words(value: Any) -> str:
    if value is True:
        return ""
    return "".join(f" {each}" for each in (value if isinstance(value, list) else [value]))
