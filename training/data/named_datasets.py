"""Datasets by name: fetched once, kept as dataset folders in the user's cache."""

from __future__ import annotations

import fcntl
import os
import urllib.request
from collections.abc import Iterable
from itertools import product
from pathlib import Path
from typing import Any

from pipeline.errors import ClassifierError, EnvironmentFault, InputError
from pipeline.files.atomic import atomic_writer
from pipeline.files.dataset import LABEL_FILE
from pipeline.labels.hierarchy import SEPARATOR, LabelHierarchy
from training.data.dataset_folder import LABELLED_FILES, write_dataset
from training.data.row_collector import Row, single_line

NAMES = ("wos",)
CACHE_FOLDER = "hierarchical-text-classifier"
# As paddlenlp's loader has them, for which it takes seconds to import; a test compares.
WOS_URL = "https://bj.bcebos.com/paddlenlp/datasets/wos.tar.gz"
WOS_ARCHIVE = Path("datasets", "WOS", "wos.tar.gz")
TIMEOUT_SECONDS = 15.0
"""Without an answer for so long, the internet counts as out of reach."""

_BY_HAND = (
    "fetch the 'Web of Science Dataset' by Kowsari et al. from Mendeley Data, doi 10.17632/9rw3vkcfy4.6 "
    "(https://data.mendeley.com/datasets/9rw3vkcfy4/6), unpack it, and run: "
    "python training/wos.py --release_dir WebOfScience/WOS46985 --save_dir data/wos; "
    "then train with --dataset_dir data/wos instead of --dataset wos"
)


def dataset_folder(name: str) -> Path:
    """The dataset folder of that name, fetched on first use.

    Of several processes that need it at once, one fetches it.

    Raises:
        InputError: there is no dataset of that name.
        EnvironmentFault: it cannot be fetched; the message says how to make it by hand.
    """
    if name not in NAMES:
        raise InputError(f"unknown --dataset {name!r}; known are {', '.join(NAMES)}; for others give --dataset_dir")
    folder = cache_home() / CACHE_FOLDER / "datasets" / name
    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(folder.with_name(f".{name}.lock"), "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / LABEL_FILE).exists():  # it is written atomically
            try:
                _fetch_wos(folder)
            except ClassifierError:
                raise
            except Exception as error:  # whatever the network and paddlenlp's loader may raise
                raise EnvironmentFault(
                    f"--dataset {name} cannot be fetched from {WOS_URL} ({error}); {_BY_HAND}"
                ) from error
    return folder


def cache_home() -> Path:
    """Where the user's programs keep what they can fetch again (XDG Base Directory Specification)."""
    named = os.environ.get("XDG_CACHE_HOME", "")
    return Path(named) if os.path.isabs(named) else Path.home() / ".cache"


def paddlenlp_home() -> Path:
    """Where paddlenlp keeps what it fetched."""
    return Path(os.environ.get("PPNLP_HOME") or Path.home() / ".paddlenlp")


def _fetch_wos(folder: Path) -> None:
    """Write what paddlenlp's loader gives as a dataset folder, with its own split into train, dev and test."""
    archive = paddlenlp_home() / WOS_ARCHIVE
    if not archive.exists():
        # The loader waits for ever where nothing answers. It takes a file that is there, once its checksum is right.
        download(WOS_URL, archive)
    from paddlenlp.datasets import load_dataset

    splits = load_dataset("wos", splits=("train", "dev", "test"))
    hierarchy = LabelHierarchy(splits[0].label_list)
    files = {name: wos_rows(split, hierarchy) for name, split in zip(LABELLED_FILES, splits)}
    print(write_dataset(folder, hierarchy, files))


def download(url: str, target: Path, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
    """Fetch a file atomically; raises OSError where there is no answer within the time."""
    with urllib.request.urlopen(url, timeout=timeout_seconds) as answer, atomic_writer(target) as stream:
        while block := answer.read(1 << 20):
            stream.write(block)
        if answer.length:
            raise OSError(f"the connection ended {answer.length} bytes early")


def wos_rows(examples: Iterable[dict[str, Any]], hierarchy: LabelHierarchy) -> list[Row]:
    """Rows of paddlenlp's examples: `sentence`, and the names of each level under `level 1`, `level 2`.

    Raises:
        InputError: an example has a name that the labels do not.
    """
    rows = []
    for line, example in enumerate(examples, start=1):
        parents, children = example["level 1"], example["level 2"]
        paths = {*parents, *(SEPARATOR.join(pair) for pair in product(parents, children)), *children}
        labels = frozenset(path for path in paths if path in hierarchy.index)
        named = {segment for label in labels for segment in (label, label.rpartition(SEPARATOR)[2])}
        unknown = sorted({*parents, *children} - named)
        if unknown:
            raise InputError(f"row {line} of the wos dataset has the unknown label {unknown[0]!r}")
        rows.append(Row(single_line(example["sentence"]), labels, line, None))
    return rows
