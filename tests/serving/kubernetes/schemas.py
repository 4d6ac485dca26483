"""What is wrong with Kubernetes objects by the schemas of several releases, of KEDA and of the Prometheus operator.

Run by the Python of .venv-kubernetes: objects come as YAML on standard input, each fault is a line of standard output.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import kubernetes_validate
import yaml
from cloudcoil.models.keda import v1alpha1 as keda
from cloudcoil.models.prometheus_operator import v1 as monitoring
from pydantic import ValidationError

RELEASES = ("1.27", "1.30", "1.33")
NEWER = {"backoffLimitPerIndex": "1.29"}
"""Fields of a spec that earlier releases do not know."""
MODELS = {
    ("keda.sh/v1alpha1", "ScaledObject"): keda.ScaledObject,
    ("monitoring.coreos.com/v1", "PodMonitor"): monitoring.PodMonitor,
    ("monitoring.coreos.com/v1", "PrometheusRule"): monitoring.PrometheusRule,
}


def faults(thing: dict[str, Any]) -> Iterator[str]:
    if model := MODELS.get((thing["apiVersion"], thing["kind"])):
        try:
            known = model.model_validate(thing).model_dump(mode="json", by_alias=True, exclude_unset=True)
        except ValidationError as error:
            yield str(error)
        else:
            yield from _lost(thing, known, "")
        return
    since = [release for name, release in NEWER.items() if name in thing.get("spec", {})]
    for release in (release for release in RELEASES if all(release >= each for each in since)):
        try:
            kubernetes_validate.validate(thing, release, strict=True)
        except kubernetes_validate.ValidationError as error:
            yield f"{release}: {'.'.join(map(str, error.path))}: {error.message}"


def _lost(given: Any, known: Any, path: str) -> Iterator[str]:
    """The fields that the schema does not know: they are not there any more."""
    if isinstance(given, dict):
        for name, value in given.items():
            if name in known:
                yield from _lost(value, known[name], f"{path}.{name}")
            else:
                yield f"{path}.{name} is unknown"
    elif isinstance(given, list):
        for number, pair in enumerate(zip(given, known)):
            yield from _lost(*pair, f"{path}[{number}]")


if __name__ == "__main__":
    for each in yaml.safe_load_all(sys.stdin):
        for fault in faults(each):
            print(f"{each['kind']} {each['metadata']['name']}: {fault}")
