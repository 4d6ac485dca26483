"""Options that several benchmarks share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.compute.random_model import SHAPES, made_bundle
from benchmarks.records import write_record
from benchmarks.texts import SAMPLE, shuffled_texts
from pipeline.compute.runtimes import AUTO, PRECISIONS, RUNTIMES
from pipeline.files.bundle import Bundle
from pipeline.options import Options, option


@dataclass(frozen=True)
class RecordOptions(Options):
    """Where what was measured is written."""

    output_file: Path | None = option(None, "JSON file that the results are written to")

    def write(self, record: Mapping[str, Any]) -> None:
        """Write the record, if a file was asked for."""
        if self.output_file:
            write_record(self.output_file, record)


@dataclass(frozen=True)
class TextsOptions(Options):
    """Which texts are sent."""

    texts: Path | None = option(None, f"file with a text per line, or with labelled rows ({SAMPLE})")

    def shuffled(self) -> list[str]:
        """All texts, in an order that is the same each time; raises as `read_texts` does."""
        return shuffled_texts(self.texts)

    @property
    def source(self) -> str:
        """What a record calls the texts."""
        return "/".join(self.texts.resolve().parts[-2:]) if self.texts else SAMPLE


@dataclass(frozen=True)
class RoundsOptions(Options):
    """How often all contestants take a turn."""

    rounds: int = option(5, "rounds in which all take a turn", at_least=1)


@dataclass(frozen=True)
class BundleOptions(Options):
    """Which model is measured."""

    bundle: Path | None = option(None, "bundle that is measured (a model of --shape with random weights)")
    shape: str = option("scratch-medium", "shape of the model where there is no --bundle", choices=tuple(SHAPES))

    def open(self, place: Path, texts: Sequence[str]) -> Bundle:
        """The bundle; a made one lies in `place` and knows the texts' characters."""
        return Bundle(self.bundle) if self.bundle else made_bundle(self.shape, place / "bundle", texts)


@dataclass(frozen=True)
class EngineOptions(Options):
    """How our server computes."""

    runtime: str = option(
        AUTO, "library that our server computes with; auto: as the release gate chose", choices=(AUTO, *RUNTIMES)
    )
    precision: str = option(
        AUTO, "number format that our server computes in; auto: as the release gate chose", choices=(AUTO, *PRECISIONS)
    )
