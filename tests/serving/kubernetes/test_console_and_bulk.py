"""The console and the Indexed Job of serving/kubernetes: what they are told is what their commands take."""

from __future__ import annotations

from pathlib import Path

from pipeline.errors import InputError
from serving.bulk import __main__ as bulk
from serving.bulk.options import BulkOptions
from serving.console import __main__ as console
from serving.console.door import OPEN_PATHS
from tests.serving.kubernetes.builds import build, one, pod


def test_the_console_answers_its_probes_and_asks_the_service():
    objects = build("console")
    (container,) = pod(objects)["containers"]
    options = console.parse_args(container["args"])
    (port,) = container["ports"]
    assert port["containerPort"] == options.port
    for name in ("startup", "readiness", "liveness"):
        probe = container[f"{name}Probe"]["httpGet"]
        (header,) = probe["httpHeaders"]
        assert header["name"] == "Host" and header["value"] in options.names()
        assert probe["path"] in OPEN_PATHS and probe["port"] == port["name"]
    service = one(objects, "Service")
    assert f"{service['metadata']['name']}:{service['spec']['ports'][0]['port']}" in options.names()
    asked = [
        each for each in build("cpu") if each["kind"] == "Service" and each["metadata"]["name"] == "text-classifier"
    ]
    assert options.url in [f"text-classifier:{port['port']}" for port in asked[0]["spec"]["ports"]]
    labels = one(objects, "Deployment")["spec"]["template"]["metadata"]["labels"]
    assert one(build("cpu"), "NetworkPolicy")["spec"]["ingress"][0]["from"] == [
        {"podSelector": {"matchLabels": {"text-classifier-client": labels["text-classifier-client"]}}}
    ]


def test_the_console_writes_to_its_volumes_alone_and_is_the_only_one():
    objects = build("console")
    (container,) = pod(objects)["containers"]
    options = console.parse_args(container["args"])
    writable = [mount["mountPath"] for mount in container["volumeMounts"] if not mount.get("readOnly")]
    assert str(options.feedback_file.parent) in writable and str(options.state_dir) in writable
    assert str(options.token_file.parent) not in writable
    deployed = one(objects, "Deployment")["spec"]
    assert (deployed["replicas"], deployed["strategy"]) == (1, {"type": "Recreate"})


def test_each_pod_of_the_bulk_job_takes_its_share(monkeypatch):
    job = one(build("bulk"), "Job")["spec"]
    (container,) = job["template"]["spec"]["containers"]
    monkeypatch.setenv("JOB_COMPLETION_INDEX", str(job["completions"] - 1))
    options = bulk.parse_args(container["args"])
    assert (options.engine, options.completions, options.pod) == ("job", job["completions"], job["completions"] - 1)
    assert job["completionMode"] == "Indexed" and job["parallelism"] == job["completions"]
    assert options.workers == int(container["resources"]["limits"]["cpu"])
    mounts = {mount["mountPath"]: mount for mount in container["volumeMounts"]}
    assert mounts[str(options.bundle)]["readOnly"]
    assert all(str(Path(each).parent) in mounts for each in (*options.input, options.output_dir))
    _, never_again = job["podFailurePolicy"]["rules"]
    assert {1, InputError.exit_status} == set(never_again["onExitCodes"]["values"])
    assert never_again["onExitCodes"]["containerName"] == container["name"]


def test_one_pod_closes_what_the_others_wrote():
    job, finish = (one(build(name), "Job")["spec"] for name in ("bulk", "bulk_finish"))
    ((every,), (last,)) = (each["template"]["spec"]["containers"] for each in (job, finish))
    assert last["args"] == [*every["args"], "--finish"]
    options = bulk.parse_args(last["args"])
    assert isinstance(options, BulkOptions) and options.pod is None
    assert "completions" not in finish and finish["backoffLimit"] == 0
