"""Runs that may be interrupted at any moment: their places, who may write there, and how they go on."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable, Protocol, TypeVar

from pipeline.errors import ClassifierError, EnvironmentFault, InputError
from pipeline.files.atomic import atomic_folder, remove_folder, remove_leftovers
from pipeline.files.checksums import check_replaceable, sha256_file
from pipeline.run_folder import state_folder
from training.checkpoint.files import RECORD_FILE
from training.loop.distributed import ProcessGroup
from training.loop.state import PROGRESS_FILE, Progress, RunFiles
from training.options import RunOptions

NOT_OF_THE_RUN = (
    *("device", "logging_steps", "save_steps", "resume", "overwrite", "run", "recipe", "save_dir", "output_dir"),
    *("dataset", "dataset_dir", "params_dir", "width_mult", "prune_config", "model_repository", "goldens"),
    "frozen_gigabytes",
)
"""Options that may differ when a run goes on; folders may, for their files' contents are compared."""


class Resumable(Protocol):
    """A training run before it begins; see `training.loop.trainer.Trainer`."""

    files: RunFiles
    group: ProcessGroup
    progress: Progress

    def resume(self) -> None: ...

    def run(self) -> dict[str, Any]: ...


AnyTrainer = TypeVar("AnyTrainer", bound=Resumable)


def run_interruptibly(
    save_dir: Path,
    group: ProcessGroup,
    identity: dict[str, Any],
    create_trainer: Callable[[RunFiles], AnyTrainer],
    complete: Callable[[AnyTrainer], None],
    *,
    resume: bool,
    overwrite: bool,
) -> dict[str, Any]:
    """Train to the end, or go on with a run that was interrupted; returns the best dev scores.

    Args:
        save_dir: where the trainer keeps the best model; the state and the curves lie beside it.
        group: the processes that train together.
        identity: what makes the run this run, see `run_identity`.
        complete: what is done with the best model at the end, in the leading process, as often as it is interrupted.
        resume: go on with the run that was interrupted.
        overwrite: give it up.

    Raises:
        InputError: a run that was interrupted is there and not asked for, or asked for and not there; another run
            writes to the same places; or the processes have other options or files, or share no folder.
        EnvironmentFault: the disk is full.
        ClassifierError: the loss is no longer finite.
    """
    state, logs = state_folder(save_dir), save_dir.with_name(f"{save_dir.name}.logs")
    group.check_same(identity)
    with contextlib.ExitStack() as stack:
        if group.leads:
            stack.enter_context(alone(logs))
            for path in (save_dir, state):
                remove_leftovers(path)
            if overwrite and state.exists():
                remove_folder(state)
        group.check_shared(logs)
        resumes = _check_state(save_dir, state, resume)
        if group.leads and not (resumes or overwrite):
            keep_previous(save_dir)
        trainer = create_trainer(RunFiles(state, logs, identity))
        if resumes:
            trainer.resume()
        if group.leads and resume:
            print(f"resumed at step {trainer.progress.step}" if resumes else "nothing was written yet: a new run")
        group.wait()
        best = _finish(trainer)
        if group.leads:
            complete(trainer)
        group.wait()
        if group.leads and state.exists():
            remove_folder(state)
    return best


def check_places(save_dir: Path, option: str, *inputs: Path) -> None:
    """Raise InputError where a run must not write, as `pipeline.files.checksums.check_replaceable` does."""
    check_replaceable(save_dir, option, RECORD_FILE, inputs=inputs)
    check_replaceable(state_folder(save_dir), option, PROGRESS_FILE)


def keep_previous(save_dir: Path) -> None:
    """Keep the finished model that a new run is about to replace beside it, as links where they are possible."""
    previous = save_dir.with_name(f"{save_dir.name}.previous")
    if (save_dir / RECORD_FILE).is_file():
        if previous.is_symlink():
            raise InputError(
                f"{previous} is a link, and the model that {save_dir} holds is to be kept there; remove the link, or "
                "give --overwrite to keep no model"
            )
        check_replaceable(previous, "--save_dir", RECORD_FILE)
        with atomic_folder(previous) as draft:
            for file in save_dir.iterdir():
                try:
                    os.link(file, draft / file.name)
                except OSError:  # a file system without hard links
                    shutil.copy2(file, draft / file.name)
        print(f"the model that {save_dir} holds is kept in {previous}")


def check_interrupted(save_dir: Path, wanted: bool) -> None:
    """Raise InputError where a run was interrupted, unless what to do with it has been said."""
    if state_folder(save_dir).exists() and not wanted:
        raise InputError(
            f"{state_folder(save_dir)} is of a run that was interrupted: go on with --resume, or begin anew with "
            "--overwrite"
        )


def run_identity(options: RunOptions, group: ProcessGroup, inputs: list[Path]) -> dict[str, Any]:
    """What makes a run this run: its options, the contents of the files that it reads, the number of processes.

    Raises:
        InputError: a file cannot be read.
    """
    return {
        **{f"--{name}": value for name, value in options.record().items() if name not in NOT_OF_THE_RUN},
        **{f"checksum of input {number}": _checksum(path) for number, path in enumerate(inputs, start=1)},
        "number of processes": group.size,
    }


def _checksum(path: Path) -> str:
    try:
        return sha256_file(path)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error


@contextlib.contextmanager
def alone(logs: Path) -> Iterator[None]:
    """Keep other runs from writing to the same places; raises InputError where one is at it."""
    logs.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(logs, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise InputError(f"another run is writing to {logs} and beside it; give another folder") from error
    finally:
        os.close(descriptor)


def _check_state(save_dir: Path, state: Path, resume: bool) -> bool:
    """Whether there is a run to go on with; raises InputError as `run_interruptibly` does."""
    check_interrupted(save_dir, resume)
    if resume and not state.exists() and (save_dir / RECORD_FILE).exists():
        raise InputError(
            f"there is nothing to resume: {save_dir} is the checkpoint of a run that has ended; run without --resume "
            "to train anew"
        )
    return state.exists()


def _finish(trainer: Resumable) -> dict[str, Any]:
    """Run to the end. A run whose loss was not finite leaves nothing to resume."""
    try:
        return trainer.run()
    except (BrokenPipeError, EnvironmentFault):
        raise
    except OSError as error:
        again = " with --resume" if trainer.files.state.exists() else ""
        raise EnvironmentFault(
            f"writing beside {trainer.files.state} failed ({error}); the checkpoint and the training state that were "
            f"there before are whole: mend the cause and run again{again}"
        ) from error
    except ClassifierError:
        if trainer.group.leads and trainer.files.state.exists():
            remove_folder(trainer.files.state)
        raise
