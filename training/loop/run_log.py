"""What a run says on its way: a line per epoch, a bar on a terminal, lines of steps where asked for, and its curves."""

from __future__ import annotations

import sys
import time
from typing import Any

import numpy as np
from tqdm import tqdm

from pipeline.labels.hierarchy import LabelHierarchy
from pipeline.metrics.sets import Metrics
from training.loop.curves import CURVE_STEPS, Curves
from training.loop.options import LoopOptions
from training.loop.state import Progress, RunFiles


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
