"""Training curves: a PNG picture, and logs for VisualDL (`visualdl --logdir checkpoint.logs`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline.files.atomic import atomic_writer

PICTURE_FILE = "curves.png"
CURVE_STEPS = 5
"""Steps between points of the loss curve, where --logging_steps does not say otherwise."""


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
