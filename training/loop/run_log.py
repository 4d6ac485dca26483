"""What a run says on its way: a line per epoch, a bar on a terminal, lines of steps where asked for, and its curves.

The curves are a PNG picture, and logs for VisualDL (`visualdl --logdir checkpoint.logs`).
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from pipeline.files.atomic import atomic_writer
from pipeline.labels.hierarchy import LabelHierarchy
from pipeline.metrics.sets import Metrics
from training.loop.options import LoopOptions
from training.loop.state import Progress, RunFiles

PICTURE_FILE = "curves.png"
CURVE_STEPS = 5
"""Steps between points of the loss curve, where --logging_steps does not say otherwise."""


class RunLog:
    """The words and the curves of one run; to be closed.

    Args:
        options: how often to speak.
        progress: how far the run is; what was logged is added to its `history`.
        files: where the curves are written.
        goes_on: whether the run adds to curves that it began before it was interrupted.
        speaks: whether this process is the one that speaks for all.
    """

    def __init__(
        self,
        options: LoopOptions,
        hierarchy: LabelHierarchy,
        progress: Progress,
        files: RunFiles,
        goes_on: bool,
        speaks: bool,
    ) -> None:
        self._options, self._hierarchy, self._progress = options, hierarchy, progress
        self._speaks, self._curves = speaks, Curves(files.logs, goes_on) if speaks else None
        self._bar: tqdm | None = None
        self._seen: Metrics | None = None

    def begin_epoch(self, epoch: int, done: int, steps: int) -> None:
        """A bar for the steps of an epoch, of which some may be done already."""
        shown = self._speaks and sys.stderr.isatty()
        self._bar = tqdm(
            initial=done,
            total=steps,
            desc=f"epoch {epoch}/{self._options.epochs}",
            unit="step",
            leave=False,
            disable=not shown,
        )
        self._epoch, self._since, self._started = epoch, done, time.monotonic()
        self._seen = Metrics(self._hierarchy) if self._speaks and self._options.logging_steps else None

    def step(self, index: int, loss: float, learning_rate: float, logits: np.ndarray, labels: np.ndarray) -> None:
        """After a step.

        Args:
            index: its number within the epoch, from 1.
            logits: float32 [batch, labels], before the step.
            labels: bool, or float32 in [0, 1], likewise.
        """
        if not self._speaks:
            return
        assert self._bar is not None
        self._bar.set_postfix_str(f"loss {loss:.4f}", refresh=False)
        self._bar.update()
        if self._seen:
            self._seen.update(labels > 0.5, logits > 0)
        if self._progress.step % (self._options.logging_steps or CURVE_STEPS):
            return
        if self._seen:
            scores, now = self._seen.result(), time.monotonic()
            tqdm.write(
                f"global step {self._progress.step}, epoch: {self._epoch}, batch: {index}, loss: {loss:.5f}, "
                f"micro f1 score: {scores['micro_f1']:.5f}, macro f1 score: {scores['macro_f1']:.5f}, "
                f"speed: {(index - self._since) / (now - self._started):.2f} step/s"
            )
            self._since, self._started = index, now
        self._log(loss=loss, learning_rate=learning_rate)

    def end_steps(self) -> None:
        """Before the epoch is measured: the bar goes."""
        if self._bar is not None:
            self._bar.close()

    def end_epoch(self, epoch: int, loss: float, scores: dict[str, Any], seconds: float, kept: bool) -> None:
        """The line of an epoch; 0 is what training starts from."""
        if not self._speaks:
            return
        print(
            (f"epoch {epoch}/{self._options.epochs}: loss {loss:.4f}, " if epoch else "before the first epoch: ")
            + f"dev micro F1 {scores['micro_f1']:.4f}, macro F1 {scores['macro_f1']:.4f}, {seconds:.0f} s"
            + (", kept" if kept else ""),
            flush=True,
        )
        self._log(micro_f1=scores["micro_f1"], macro_f1=scores["macro_f1"])

    def draw(self) -> None:
        """Draw the curves anew."""
        if self._curves:
            self._curves.draw(self._progress.history)

    def close(self) -> None:
        """Write out what is buffered."""
        self.end_steps()
        if self._curves:
            self._curves.close()

    def _log(self, **values: float) -> None:
        entry = {"step": self._progress.step, **values}
        self._progress.history.append(entry)
        assert self._curves is not None
        self._curves.log(entry)


class Curves:
    """Writes the curves of one run.

    Args:
        folder: made if it is not there.
        goes_on: whether the run adds to curves that it began before it was interrupted; others are removed.
    """

    def __init__(self, folder: Path, goes_on: bool) -> None:
        from visualdl import LogWriter

        folder.mkdir(parents=True, exist_ok=True)
        for old in () if goes_on else (*folder.glob("vdlrecords.*.log"), *folder.glob(PICTURE_FILE)):
            old.unlink()
        self.folder = folder
        self._writer = LogWriter(str(folder))

    def log(self, entry: dict[str, Any]) -> None:
        """Add an entry: `step`, and any of `loss`, `learning_rate`, `micro_f1`, `macro_f1`."""
        for name, value in entry.items():
            if name != "step":
                self._writer.add_scalar(tag=name, step=entry["step"], value=value)

    def draw(self, history: list[dict[str, Any]]) -> None:
        """Draw all entries so far."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(9, 3.6), layout="constrained")
        for axes, title, names in zip(
            figure.subplots(1, 2), ("training loss", "dev F1"), (("loss",), ("micro_f1", "macro_f1"))
        ):
            for name in names:
                points = [(entry["step"], entry[name]) for entry in history if name in entry]
                axes.plot(*zip(*points), label=name.replace("_f1", ""), marker="o" if len(points) < 40 else None)
            axes.set(title=title, xlabel="step")
            axes.grid(alpha=0.3)
            if len(names) > 1:
                axes.legend()
        with atomic_writer(self.folder / PICTURE_FILE) as stream:
            figure.savefig(stream, format="png", dpi=120)

    def close(self) -> None:
        """Write out what is buffered."""
        self._writer.close()
