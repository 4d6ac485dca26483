"""What kustomize makes of serving/kubernetes."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import PROJECT

FOLDER = PROJECT / "serving" / "kubernetes"


@cache
def build(name: str, components: Sequence[str] = ()) -> list[dict[str, Any]]:
    """The objects of a folder, with those components; skips where there is no kustomize."""
    with tempfile.TemporaryDirectory() as folder:
        resources, parts = (
            [os.path.relpath(FOLDER / each, Path(folder).resolve()) for each in names] for names in ([name], components)
        )
        made = {"namespace": "made-up", "resources": resources, "components": parts}
        return kustomize(Path(folder), made)


def kustomize(folder: Path, kustomization: dict[str, Any]) -> list[dict[str, Any]]:
    """The objects of a kustomization that is written to a folder."""
    if not shutil.which("kubectl"):
        pytest.skip("there is no kubectl here, whose `kubectl kustomize` builds the folders")
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    done = subprocess.run(["kubectl", "kustomize", folder], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def one(objects: Sequence[dict[str, Any]], kind: str) -> dict[str, Any]:
    (found,) = [each for each in objects if each["kind"] == kind]
    return found


def pod(objects: Sequence[dict[str, Any]], kind: str = "Deployment") -> dict[str, Any]:
    return one(objects, kind)["spec"]["template"]["spec"]
