"""What is known of the model that answers: how it was measured, by what rows, and which versions there are."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pipeline.errors import ClassifierError
from pipeline.files.manifest import Manifest
from pipeline.metrics.sets import LABEL_COUNTS, known_counts
from pipeline.metrics.traffic import TRAFFIC
from serving.console.answering import Described
from serving.triton.repository import ModelRepository, TritonVersion


def card(described: Described, repository: ModelRepository) -> dict[str, Any]:
    """For the page: figures of the development file, training rows and counts of that file by label, and versions.

    Of a server only what its `repository` knows can be told; where that holds another model, nothing is.
    """
    versions = {version.number: version for version in repository.versions()}
    own = _own(described, versions.values())
    manifest = described.manifest or (_manifest(repository, own[-1]) if own else None)
    live = repository.live() if own else None
    told = {
        "tokens": None if manifest and manifest.encoder_weight == 0 else described.model.max_seq_length,
        "versions": [
            {
                "number": version.number,
                "bundle": version.bundle,
                "published": version.published,
                "micro_f1": version.micro_f1,
                "note": version.note,
                "live": live is not None and live.number == version.number,
            }
            for version in (versions.values() if own else ())
        ],
    }
    return {**told, **(_of_manifest(manifest) if manifest else {})}


def expected(described: Described, repository: ModelRepository) -> dict[str, dict[str, int]]:
    """How the development set is spread over the bins of each feature of `pipeline.metrics.traffic`; if known."""
    own = [] if described.manifest else _own(described, repository.versions())
    manifest = described.manifest or (_manifest(repository, own[-1]) if own else None)
    return manifest.training.get("data", {}).get(TRAFFIC, {}) if manifest else {}


def _own(described: Described, versions: Iterable[TritonVersion]) -> list[int]:
    """The numbers of the versions that have the model's bundle."""
    return [version.number for version in versions if version.bundle == described.model.bundle]


def _manifest(repository: ModelRepository, number: int) -> Manifest | None:
    try:
        return repository.manifest(number)
    except (ClassifierError, OSError, ValueError):  # damaged, or being removed
        return None


def _of_manifest(manifest: Manifest) -> dict[str, Any]:
    data = manifest.training.get("data", {})
    rows = data.get("label_rows")
    return {
        "metrics": manifest.metrics.get("dev", {}),
        "measured_with": manifest.training.get("measured_with", ""),
        "license": manifest.training.get("license", ""),
        "data": {name: data[name] for name in ("folder", "train", "dev") if name in data},
        "label_rows": rows if isinstance(rows, list) and len(rows) == len(manifest.labels) else None,
        LABEL_COUNTS: known_counts(data, len(manifest.labels)),
    }
