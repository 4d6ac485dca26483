"""One folder for all that belongs to a run: `--run NAME` puts it below runs/NAME."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import InputError
from pipeline.option_values import spec_of
from pipeline.options import Options, option

RUNS = Path("runs")


def state_folder(save_dir: Path) -> Path:
    """Where the state of a run lies, until it ends, that keeps its best model in `save_dir`."""
    return save_dir.with_name(f"{save_dir.name}.resume")


def interrupted(model: Path) -> str:
    """What is to be said of a model in a folder whose run has not ended; nothing of another."""
    state = state_folder(Path(os.path.realpath(model)))
    if not state.is_dir():
        return ""
    return f"note: {state} is of a run that goes on or was interrupted: {model} is its best model until then"


@dataclass(frozen=True)
class RunFolderOptions(Options):
    """Which run it is about."""

    run: str | None = option(
        None,
        "name of a run: each path that is not given lies in runs/NAME, so that commands with the same name find what "
        "the others wrote",
        metavar="NAME",
    )

    def __post_init__(self) -> None:
        if isinstance(self.run, str):
            if self.run in ("", ".", "..") or "/" in self.run or not self.run.isprintable():
                raise InputError(f"--run is {self.run!r}; give a name without a slash, which becomes runs/NAME")
            for each in dataclasses.fields(self):
                if spec_of(each).in_run and getattr(self, each.name) is each.default:
                    path = RUNS / self.run / spec_of(each).in_run
                    object.__setattr__(self, each.name, (path,) if isinstance(each.default, tuple) else path)
        super().__post_init__()
