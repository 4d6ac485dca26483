"""Whether traffic that has changed is noticed, and other traffic is not: texts replayed in windows.

    python -m benchmarks.quality.shift_replay --dataset_dir data --other_file other/dev.txt --params_path checkpoint

Windows of 1,000 texts are drawn from a file of the dataset and held against dev.txt, as a server's hour is; then
windows in which a share is from another file. Counted is in how many the alert of serving/monitoring/alerts.yml would
begin.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.options import RecordOptions
from benchmarks.records import environment
from pipeline.command import run
from pipeline.files.dataset import DEV_FILE, TEST_FILE
from pipeline.files.lines import read_lines
from pipeline.labels.decoding import Decoded
from pipeline.metrics.traffic import expected_texts, expected_traffic, seen_texts, seen_traffic, shift, text_bins
from pipeline.options import option, parse
from training.checkpoint.classifier import load_classifier

ALERT = 0.05
BATCH = 32


@dataclass(frozen=True)
class ReplayOptions(RecordOptions):
    """What is replayed."""

    dataset_dir: Path = option(help="the model's dataset folder, with dev.txt")
    other_file: Path = option(help="rows or texts of another kind, a line each, of which the first column is read")
    params_path: Path = option("./checkpoint/", "the checkpoint or bundle that reads the texts")
    same_file: str = option(TEST_FILE, "file of the dataset folder whose texts are like dev.txt's")
    windows: int = option(100, "windows of each kind", at_least=1)
    texts: int = option(1000, "texts of a window", at_least=1)
    share: float = option(0.2, "of a window's texts that are of the other kind", above=0, at_most=1)


@dataclass(frozen=True)
class _Read:
    """Texts of a file: what the model makes of them, and their `text_bins`."""

    decoded: Decoded
    bins: dict[str, np.ndarray]

    def seen(self, rows: np.ndarray, expected: Mapping[str, Mapping[str, int]]) -> Iterator[tuple[str, str, int]]:
        yield from seen_traffic(self.decoded.part(rows), expected)
        yield from seen_texts({feature: bins[rows] for feature, bins in self.bins.items()}, expected)


def replay(options: ReplayOptions) -> dict[str, Any]:
    """The record: of each kind of window in how many each feature shifted, and in how many any did."""
    model, random = load_classifier(options.params_path, "auto", None, BATCH), np.random.default_rng(0)

    def read(path: Path) -> _Read:
        texts = [line.split("\t")[0] for _, line in read_lines(path)]
        encoder = model.checked_encoder(texts)
        unknown = encoder.tokeniser.unknown_id if encoder.reads_tokens else None
        bins = text_bins(texts, encoder.encode_checked(texts).ids, unknown)
        return _Read(model.decoder.decode(model.logits(texts)), bins)

    folder = options.dataset_dir
    dev = read(folder / DEV_FILE)
    expected = {**expected_traffic(dev.decoded), **expected_texts(dev.bins)}
    same, other = read(folder / options.same_file), read(options.other_file)
    foreign = round(options.share * options.texts)
    kinds = {"same": ((same, options.texts),), "mixed": ((same, options.texts - foreign), (other, foreign))}
    found: dict[str, Any] = {}
    for kind, parts in kinds.items():
        shifts: dict[str, list[float]] = {feature: [] for feature in expected}
        for _ in range(options.windows):
            seen: dict[str, Counter[str]] = {feature: Counter() for feature in expected}
            for texts, count in parts:
                for feature, part, number in texts.seen(
                    random.integers(len(texts.decoded.scores), size=count), expected
                ):
                    seen[feature][part] += number
            for feature, counts in expected.items():
                shifts[feature].append(shift(counts, seen[feature]))
        told = np.array(list(shifts.values())) > ALERT
        found[kind] = {
            **{feature: [round(min(values), 4), round(max(values), 4)] for feature, values in shifts.items()},
            "alarms": int(told.any(axis=0).sum()),
        }
    return {
        "environment": environment(),
        "dataset": folder.resolve().name,
        "other": options.other_file.resolve().parent.name,
        "options": {name: value for name, value in asdict(options).items() if not isinstance(value, Path)},
        **found,
    }


def parse_args(argv: Sequence[str] | None) -> ReplayOptions:
    return parse(ReplayOptions, argv, __doc__)


def main(argv: Sequence[str] | None = None) -> None:
    options = parse_args(argv)
    record = replay(options)
    options.write(record)
    print(json.dumps({kind: record[kind] for kind in ("same", "mixed")}))


if __name__ == "__main__":
    run(main)
