"""The folders of serving/kubernetes, as kustomize builds them. There is no cluster here."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from serving import health
from serving.process.guarded_server import KILL_MARGIN_SECONDS
from serving.triton import __main__ as launcher
from serving.triton.server.options import TritonOptions
from tests.conftest import PROJECT
from tests.serving.container.test_files import MODELS, STATE, compose, dockerfile
from tests.serving.kubernetes.builds import FOLDER, build, kustomize, one, pod

BUILDS = [
    ("cpu", ()),
    ("cpu", ("hpa",)),
    ("cpu", ("monitoring", "keda")),
    ("gpu", ("monitoring", "keda")),
    ("publish", ()),
    ("publish_first", ()),
    ("rollback", ()),
    ("console", ()),
    ("bulk", ()),
    ("bulk_finish", ()),
]
KSERVE = ("kserve", ())
DEPLOYMENTS = ("cpu", "gpu", "console")
SCHEMAS = PROJECT / ".venv-kubernetes" / "bin" / "python"


def faults(objects: list[dict]) -> list[str]:
    if not SCHEMAS.exists():
        pytest.skip("there is no .venv-kubernetes; make setup-kubernetes prepares it")
    script = Path(__file__).with_name("schemas.py")
    command = [SCHEMAS, script]
    return subprocess.run(
        command, input=yaml.safe_dump_all(objects), capture_output=True, text=True, check=True
    ).stdout.splitlines()


def test_schemas_know_all_that_is_built_and_nothing_else():
    built = {yaml.safe_dump(each): each for which in BUILDS for each in build(*which)}
    kserve = [each for each in build(*KSERVE) if each["kind"] != "InferenceService"]  # that one: test_policies.py
    objects = [*built.values(), *kserve]
    assert len({each["kind"] for each in objects}) == 9
    budget, scaled = (
        next(each for each in objects if each["kind"] == kind) for kind in ("PodDisruptionBudget", "ScaledObject")
    )
    odd = [{**each, "metadata": {"name": "odd"}, "spec": {**each["spec"], "minimum": 1}} for each in (budget, scaled)]
    told = faults([*objects, *odd])
    assert [line for line in told if " odd: " not in line] == []
    assert "ScaledObject odd: .spec.minimum is unknown" in told
    assert any(re.match(r"PodDisruptionBudget odd: 1\.\d+: spec: .*'minimum'", line) for line in told)


@pytest.mark.parametrize("which", BUILDS, ids=lambda which: " ".join([which[0], *which[1]]))
def test_pods_have_no_rights_and_write_only_to_volumes(which):
    kind = "Deployment" if which[0] in DEPLOYMENTS else "Job"
    built = pod(build(*which), kind)
    (container,), volumes = built["containers"], {volume["name"] for volume in built["volumes"]}
    assert {mount["name"] for mount in container["volumeMounts"]} == volumes
    assert built["securityContext"]["runAsNonRoot"] and built["securityContext"]["runAsUser"] == 1000
    assert ("USER", "1000:1000") in dockerfile()
    assert built["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not built["automountServiceAccountToken"]
    target = which[0].partition("_")[0]
    name, tag = compose()["services"]["triton"]["image"].split(":")
    target = f"-{target}" if target in ("console", "bulk") else ""
    assert container["image"] == f"{name}{target}:{tag}"
    assert container["resources"]["limits"]["memory"] == container["resources"]["requests"]["memory"]


@pytest.mark.parametrize("machine", ["cpu", "gpu"])
def test_the_image_gets_what_it_expects(machine):
    objects = build(machine)
    (container,) = pod(objects)["containers"]
    mounts = {mount["mountPath"]: mount for mount in container["volumeMounts"]}
    assert {MODELS, STATE, "/tmp", "/dev/shm"} <= set(mounts)
    assert mounts[MODELS]["readOnly"]
    key_file = Path(container["env"][0]["value"])
    assert str(key_file.parent) in mounts
    memory = next(volume for volume in pod(objects)["volumes"] if volume["name"] == mounts["/dev/shm"]["name"])
    assert memory["emptyDir"]["medium"] == "Memory"
    names = {port["name"] for port in container["ports"]}
    services = [each for each in objects if each["kind"] == "Service"]
    assert {port["targetPort"] for service in services for port in service["spec"]["ports"]} <= names
    assert all(service["spec"]["clusterIP"] == "None" for service in services)


def test_a_gpu_gives_tensorrt_its_time_and_a_place():
    (container,) = pod(build("gpu"))["containers"]
    seconds = launcher.parse_args(container["args"]).ready_timeout_seconds
    probe = container["startupProbe"]
    assert probe["failureThreshold"] * probe["periodSeconds"] >= seconds == 900
    engines = next(mount["mountPath"] for mount in container["volumeMounts"] if mount["name"] == "engines")
    assert engines in next(words for word, words in dockerfile() if word == "RUN" and "install -d" in words)


def test_probes_ask_golden_texts():
    """None with --ready: one that is overloaded goes on answering what it can, and counts when there are to be more."""
    (container,) = pod(build("cpu"))["containers"]
    for name in ("startup", "readiness", "liveness"):
        python, flag, module, *words = container[f"{name}Probe"]["exec"]["command"]
        assert (python, flag, module) == ("python3", "-m", "serving.health")
        options = health.HealthOptions(state_dir=Path(STATE))
        assert health.parse_args(words) == options
        assert container[f"{name}Probe"]["timeoutSeconds"] > options.seconds


def test_accepted_requests_end_before_the_pod_is_killed():
    built = pod(build("cpu"))
    (container,) = built["containers"]
    _, seconds = container["lifecycle"]["preStop"]["exec"]["command"]
    drained = int(seconds) + TritonOptions().exit_timeout_seconds + KILL_MARGIN_SECONDS
    assert drained < built["terminationGracePeriodSeconds"]


def test_selectors_find_the_pods_and_the_ports():
    objects = build("cpu", ("monitoring", "keda"))
    deployment = one(objects, "Deployment")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    names = {port["name"] for port in pod(objects)["containers"][0]["ports"]}
    policy, monitor = one(objects, "NetworkPolicy")["spec"], one(objects, "PodMonitor")["spec"]
    budget = one(objects, "PodDisruptionBudget")["spec"]["selector"]
    for selector in (deployment["spec"]["selector"], policy["podSelector"], monitor["selector"], budget):
        assert selector["matchLabels"].items() <= labels.items()
    assert {port["port"] for rule in policy["ingress"] for port in rule["ports"]} == names
    assert {each["port"] for each in monitor["podMetricsEndpoints"]} <= names
    assert labels[monitor["jobLabel"]] == "text-classifier"
    asking = policy["ingress"][0]["from"][0]["podSelector"]["matchLabels"].items()
    assert asking <= one(build("publish"), "Job")["spec"]["template"]["metadata"]["labels"].items()


def test_an_autoscaler_alone_says_how_many():
    assert one(build("cpu"), "Deployment")["spec"]["replicas"] == 2
    scaler = one(build("cpu", ("hpa",)), "HorizontalPodAutoscaler")["spec"]
    scaled = one(build("cpu", ("monitoring", "keda")), "ScaledObject")["spec"]
    for component in ("hpa", "keda"):
        assert "replicas" not in one(build("cpu", (component,)), "Deployment")["spec"]
    assert scaled["advanced"]["horizontalPodAutoscalerConfig"]["behavior"] == scaler["behavior"]
    assert (scaled["minReplicaCount"], scaled["maxReplicaCount"]) == (scaler["minReplicas"], scaler["maxReplicas"])


def test_keda_asks_a_rule_that_prometheus_has():
    (trigger,) = one(build("cpu", ("keda",)), "ScaledObject")["spec"]["triggers"]
    rules = yaml.safe_load((PROJECT / "serving" / "monitoring" / "alerts.yml").read_text())
    recorded = [rule["record"] for group in rules["groups"] for rule in group["rules"] if "record" in rule]
    name, _, labels = trigger["metadata"]["query"].partition("{")
    assert name in recorded and labels == 'job="text-classifier"}'
    written = yaml.safe_load((FOLDER / "monitoring" / "rules.yaml").read_text())
    assert written["spec"] == rules, f"run {FOLDER}/monitoring/write_rules.py"


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_kustomization_of_the_page_builds(language, tmp_path):
    page = (PROJECT / "docs" / language / "how-to" / "kubernetes.md").read_text()
    (text,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    kustomization = yaml.safe_load(text)
    (tmp_path / "text-classifier").symlink_to(PROJECT)
    (tmp_path / "production").mkdir()
    objects = kustomize(tmp_path / "production", kustomization)
    assert {"ScaledObject", "PrometheusRule", "Deployment"} <= {each["kind"] for each in objects}
    assert {each["metadata"]["namespace"] for each in objects} == {kustomization["namespace"]}
    (image,) = kustomization["images"]
    assert pod(objects)["containers"][0]["image"] == f"{image['newName']}:24.10"
