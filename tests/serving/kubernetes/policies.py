"""What is wrong with Kubernetes objects by checkov's rules, and with KServe's by its published models.

Run by the Python of .venv-policies: objects come as YAML on standard input, each fault is a line of standard output.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kserve.models
import yaml
from kubernetes import client

CONFIGURATION = Path(__file__).resolve().parents[3] / "serving" / "kubernetes" / "checkov.yaml"
INFERENCE_SERVICE = "InferenceService"


def checkov(objects: list[dict[str, Any]]) -> Iterator[str]:
    """How many checks passed, and each that failed."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "built.yaml").write_text(yaml.safe_dump_all(objects))
        words = ["--framework", "kubernetes", "--output", "json", "--compact", "--quiet", "--skip-download"]
        words += ["--config-file", str(CONFIGURATION), "--file", "built.yaml"]
        program = Path(sys.executable).with_name("checkov")
        done = subprocess.run(
            [sys.executable, program, *words],
            check=False,
            cwd=folder,
            env={"HOME": folder},
            capture_output=True,
            text=True,
        )
    found = json.loads(done.stdout)
    yield f"passed: {found['summary']['passed']}"
    for check in found["results"]["failed_checks"]:
        yield f"{check['resource']}: {check['check_id']} {check['check_name']}"


def unknown(value: Any, kind: str, path: str) -> Iterator[str]:
    """Fields that the models do not know, values of another kind, and fields that are missing."""
    if inner := re.fullmatch(r"list\[(.*)\]", kind):
        for number, each in enumerate(value):
            yield from unknown(each, inner[1], f"{path}[{number}]")
        return
    if inner := re.fullmatch(r"dict\(str, (.*)\)", kind):
        for name, each in value.items():
            yield from unknown(each, inner[1], f"{path}.{name}")
        return
    kind = {"K8sIoApiAppsV1DeploymentStrategy": "V1DeploymentStrategy"}.get(kind, kind)
    model = getattr(kserve.models, kind, None) or getattr(client, kind, None)
    if model is None:
        types = {"int": int, "str": str, "bool": bool}
        if kind in types and type(value) is not types[kind]:
            yield f"{path} is {value!r}, and not of type {kind}"
        return
    kinds = {model.attribute_map[name]: (name, each) for name, each in model.openapi_types.items()}
    for name, each in value.items():
        if name in kinds:
            yield from unknown(each, kinds[name][1], f"{path}.{name}")
        else:
            yield f"{path}.{name} is unknown"
    try:
        model(**{kinds[name][0]: each for name, each in value.items() if name in kinds})
    except ValueError as error:
        yield f"{path}: {error}"


def without_kserve(thing: dict[str, Any]) -> dict[str, Any]:
    """The pod that KServe makes of its object, as far as checkov can look it over."""
    if thing["kind"] != INFERENCE_SERVICE:
        return thing
    own = kserve.models.V1beta1ComponentExtensionSpec.attribute_map.values()
    spec = {name: value for name, value in thing["spec"]["predictor"].items() if name not in own}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": thing["metadata"], "spec": spec}


if __name__ == "__main__":
    given = list(yaml.safe_load_all(sys.stdin))
    for service in given:
        if service["kind"] == INFERENCE_SERVICE:
            for fault in unknown(service, "V1beta1InferenceService", service["metadata"]["name"]):
                print(fault)
    for line in checkov([without_kserve(each) for each in given]):
        print(line)
