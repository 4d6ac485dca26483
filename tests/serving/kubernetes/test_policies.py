"""What checkov and KServe's models say of serving/kubernetes."""

from __future__ import annotations

import copy
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import PROJECT
from tests.serving.kubernetes.builds import build, one, pod
from tests.serving.kubernetes.test_files import BUILDS, KSERVE

POLICIES = PROJECT / ".venv-policies" / "bin" / "python"
DIGEST = f"sha256:{'0123456789abcdef' * 4}"


def told(objects: Sequence[dict[str, Any]]) -> list[str]:
    if not POLICIES.exists():
        pytest.skip("there is no .venv-policies; make setup-policies prepares it")
    script = Path(__file__).with_name("policies.py")
    return subprocess.run(
        [POLICIES, script], input=yaml.safe_dump_all(objects), capture_output=True, text=True, check=True
    ).stdout.splitlines()


def containers(thing: dict[str, Any]) -> list[dict[str, Any]]:
    spec = thing.get("spec", {})
    return (spec.get("predictor") or spec.get("template", {}).get("spec") or {}).get("containers", [])


@pytest.mark.slow
def test_checkov_and_kserve_object_to_nothing():
    """With the images by their digests, which only who has built them knows."""
    built = {yaml.safe_dump(each): copy.deepcopy(each) for which in (*BUILDS, KSERVE) for each in build(*which)}
    for each in built.values():
        for container in containers(each):
            container["image"] = f"registry.example.com/{container['image'].partition(':')[0]}@{DIGEST}"
    passed, *faults = told(list(built.values()))
    assert faults == []
    assert int(passed.removeprefix("passed: ")) > 600


@pytest.mark.slow
def test_faults_are_seen():
    service = copy.deepcopy(one(build(*KSERVE), "InferenceService"))
    predictor = service["spec"]["predictor"]
    predictor["minimum"], predictor["maxReplicas"] = 1, "8"
    predictor["containers"][0]["securityContext"]["privileged"] = True
    del predictor["containers"][0]["ports"][0]["containerPort"]
    lines = told([service])
    assert "text-classifier.spec.predictor.minimum is unknown" in lines
    assert "text-classifier.spec.predictor.maxReplicas is '8', and not of type int" in lines
    assert any("ports[0]: Invalid value for `container_port`" in line for line in lines)
    assert any("CKV_K8S_16 Container should not be privileged" in line for line in lines)


def test_kserve_gets_the_pod_of_the_deployment():
    own = {"topologySpreadConstraints", "containers", "restartPolicy"}
    predictor, deployed = one(build(*KSERVE), "InferenceService")["spec"]["predictor"], pod(build("cpu"))
    assert {**predictor["containers"][0], "name": "triton"} == deployed["containers"][0]
    assert predictor["containers"][0]["name"] == "kserve-container"
    assert {name: value for name, value in deployed.items() if name not in own}.items() <= predictor.items()


def test_policies_and_services_find_the_pods_that_kserve_makes():
    objects = build(*KSERVE)
    made = {"serving.kserve.io/inferenceservice": one(objects, "InferenceService")["metadata"]["name"]}
    assert one(objects, "Service")["spec"]["selector"] == made
    assert one(objects, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"] == made
    assert one(objects, "NetworkPolicy")["spec"]["ingress"] == one(build("cpu"), "NetworkPolicy")["spec"]["ingress"]
    (towards,) = [rule["to"] for rule in one(build("publish"), "NetworkPolicy")["spec"]["egress"] if "to" in rule]
    assert made in [each["podSelector"]["matchLabels"] for each in towards]
