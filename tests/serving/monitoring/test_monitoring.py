"""The files of serving/monitoring, with a real Prometheus that scrapes a real server."""

from __future__ import annotations

import contextlib
import itertools
import json
import re
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import yaml
from tritonclient import grpc
from tritonclient.utils import InferenceServerException

from clients.triton import TritonClient
from pipeline.metrics.traffic import TRAFFIC
from pipeline.tensors import ENSEMBLE, TEXT
from tests.conftest import PROJECT
from tests.serving.tiny_model import PATIENCE_SECONDS, eventually

FOLDER = PROJECT / "serving" / "monitoring"
JOB = "text-classifier"
RULES = list(
    itertools.chain(*(group["rules"] for group in yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"]))
)
ALERTS = [rule for rule in RULES if "alert" in rule]
DASHBOARD = json.loads((FOLDER / "grafana_dashboard.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
QUERIES = [(panel["title"], target["expr"]) for panel in PANELS for target in panel["targets"]]
METRIC = re.compile(r"(?<![\w:])(?:nv|text_classifier)_\w+(?![\w:])")  # recorded ones have colons in their names

pytestmark = pytest.mark.skipif(
    not (shutil.which("prometheus") and shutil.which("promtool")),
    reason="there is no Prometheus here (Debian: apt-get install prometheus)",
)


class Prometheus:
    """A running Prometheus, asked over its HTTP interface."""

    def __init__(self, address: str) -> None:
        self.address = address

    def get(self, path: str, **parameters: str):
        url = f"http://{self.address}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(url, timeout=PATIENCE_SECONDS) as answer:
            return json.load(answer)["data"]

    def series(self, expression: str) -> list:
        """What an expression gives now; AssertionError with Prometheus's reason where it is none."""
        try:
            return self.get("query", query=expression)["result"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{expression}: {error.read().decode()}") from None

    def number(self, expression: str) -> float:
        [series] = self.series(expression)
        return float(series["value"][1])

    def is_ready(self) -> bool:
        with contextlib.suppress(OSError):
            return bool(self.get("query", query=f'up{{job="{JOB}"}} == 1')["result"])
        return False


@pytest.fixture(scope="module")
def client(triton) -> Iterator[TritonClient]:
    with TritonClient(triton.grpc_address) as each:
        yield each


@pytest.fixture(scope="module")
def prometheus(triton, tmp_path_factory) -> Iterator[Prometheus]:
    """Prometheus with the project's own configuration, made to scrape `triton` twice a second."""
    folder = tmp_path_factory.mktemp("prometheus")
    shutil.copy(FOLDER / "alerts.yml", folder)
    configuration = yaml.safe_load((FOLDER / "prometheus.yml").read_text())
    configuration["global"] = {"scrape_interval": "500ms", "evaluation_interval": "500ms"}
    configuration["scrape_configs"][0]["static_configs"][0]["targets"] = [triton.metrics_address]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(configuration))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    options = (f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data")
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(["prometheus", *options, f"--web.listen-address={address}"], stdout=log, stderr=log)
    try:
        started = Prometheus(address)
        assert eventually(started.is_ready), (folder / "log").read_text()
        yield started
    finally:
        process.terminate()
        process.wait()


def promtool(*words: object) -> str:
    done = subprocess.run(["promtool", *map(str, words)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def drawn(expression: str) -> str:
    """A panel's expression as Grafana sends it."""
    values = {"$__rate_interval": "10s", "$job": JOB, "$instance": ".*"}
    for variable, value in values.items():
        expression = expression.replace(variable, value)
    return expression


def test_prometheus_reads_the_files():
    assert f"{len(RULES)} rules found" in promtool("check", "config", FOLDER / "prometheus.yml")


def test_alerts_fire_when_they_should_and_only_then():
    promtool("test", "rules", FOLDER / "alerts_test.yml")


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_an_alert_is_tried_and_says_what_to_do(alert):
    assert alert["labels"]["severity"] in ("critical", "warning", "info")
    assert alert["for"] and alert["annotations"].keys() == {"summary", "description"}
    assert f'alertname="{alert["alert"]}"' in (FOLDER / "alerts_test.yml").read_text()


def test_rules_run_in_prometheus(prometheus):
    def rules():
        return list(itertools.chain(*(group["rules"] for group in prometheus.get("rules")["groups"])))

    assert eventually(lambda: all(rule["health"] != "unknown" for rule in rules()))
    assert {rule["name"]: rule.get("lastError", "") for rule in rules()} == {
        rule.get("alert") or rule["record"]: "" for rule in RULES
    }


def test_every_panel_draws_what_the_server_counts(prometheus, client):
    def empty():
        client.classify(["某公司宣布裁员", "两地相继发生地震", "🙂" * 2000])
        return [name for name, expression in QUERIES if not prometheus.series(drawn(expression))]

    eventually(lambda: not empty())
    assert empty() == []


def test_metrics_of_rules_and_panels_are_served(prometheus, client):
    client.classify(["某公司宣布裁员"])
    expressions = [expression for _, expression in QUERIES] + [rule["expr"] for rule in RULES]
    named = {name for expression in expressions for name in METRIC.findall(expression)}
    assert len(named) > 20

    def absent():
        return named - set(prometheus.get("label/__name__/values"))

    eventually(lambda: not absent())
    assert absent() == set()


def test_texts_arrive_in_prometheus(prometheus, client):
    def numbers():
        names = ("texts_total", "top_score_count", "empty_predictions_total", "truncated_texts_total")
        return np.array([prometheus.number(f"sum(text_classifier_{name})") for name in names])

    def settled():
        before = numbers()
        time.sleep(1.5)  # counters reach the metrics port, and that port Prometheus, each within half a second
        return (numbers() == before).all()

    assert eventually(settled)
    before = numbers()
    answers = client.classify(["某公司宣布裁员", "🙂" * 2000])
    wanted = [2, 2, sum(not answer for answer in answers), 1]
    eventually(lambda: list(numbers() - before) == wanted)
    assert list(numbers() - before) == wanted


def test_texts_are_counted_in_the_bins_that_the_bundle_tells_of(prometheus, client, bundle):
    """By the step that reads them and by the one that answers; a request with a threshold is in no bin of answers."""
    expected = bundle.manifest.training["data"][TRAFFIC]

    def numbers():
        return {
            feature: prometheus.number(f'sum(text_classifier_seen_texts_total{{feature="{feature}"}})')
            for feature in expected
        }

    def settled():
        before = numbers()
        time.sleep(1.5)
        return numbers() == before

    assert expected.keys() == {"top_score", "text_length", "unknown_share"}
    for feature, bins in expected.items():
        shown = prometheus.series(f'text_classifier_expected_texts{{feature="{feature}"}}')
        assert len(shown) == len(bins)
    assert eventually(settled)
    before = numbers()
    client.classify(["某公司宣布裁员", "🙂" * 2000])
    client.classify(["某公司宣布裁员"], threshold=0.3)
    wanted = {feature: before[feature] + (2 if feature == "top_score" else 3) for feature in expected}
    eventually(lambda: numbers() == wanted)
    assert numbers() == wanted


def test_the_load_is_low_with_one_caller_and_high_with_many(prometheus, triton):
    """What autoscalers go by, of three seconds instead of a minute."""
    load = "job:text_classifier_load:share1m"
    recorded = {rule["record"]: f"({rule['expr']})" for rule in RULES if "record" in rule}
    while names := [name for name in recorded if name in load]:
        load = load.replace(max(names, key=len), recorded[max(names, key=len)])
    load = load.replace("[1m]", "[3s]")

    def loaded(callers: int, texts: int) -> float:
        until = time.monotonic() + 5

        def call() -> None:
            with TritonClient(triton.grpc_address) as caller:
                while time.monotonic() < until:
                    caller.classify(["某公司宣布裁员"] * texts)

        with ThreadPoolExecutor(callers) as pool:
            for done in [pool.submit(call) for _ in range(callers)]:
                done.result()
        return prometheus.number(load)

    low, high = loaded(1, 1), loaded(8, 32)
    assert low < 0.5
    assert high > 1.5 * low


def test_a_failed_request_of_the_ensemble_counts_twice(prometheus, triton):
    """What alerts.yml and the dashboard halve; another version of Triton may count otherwise."""
    failures = f'sum(nv_inference_request_failure{{model="{ENSEMBLE}"}})'
    before = prometheus.number(failures)
    tensor = grpc.InferInput(TEXT, [1, 1], "BYTES")
    tensor.set_data_from_numpy(np.array([[b"\xff"]], object))
    with grpc.InferenceServerClient(triton.grpc_address) as caller:
        for _ in range(3):
            with pytest.raises(InferenceServerException, match="UTF-8"):
                caller.infer(ENSEMBLE, [tensor])
    eventually(lambda: prometheus.number(failures) == before + 6)
    assert prometheus.number(failures) == before + 6


def test_dashboard_asks_whatever_prometheus_it_is_given():
    variables = {variable["name"]: variable for variable in DASHBOARD["templating"]["list"]}
    assert variables["datasource"]["type"] == "datasource"
    asked = [*PANELS, *(target for panel in PANELS for target in panel["targets"]), *variables.values()]
    sources = [each["datasource"] for each in asked if "datasource" in each]
    assert len(sources) == len(asked) - 1
    assert all(source == {"type": "prometheus", "uid": "${datasource}"} for source in sources)
    for _, expression in QUERIES:
        assert set(re.findall(r"\$(\w+)", expression)) <= {*variables, "__rate_interval"}


def test_dashboard_panels_are_described_and_do_not_overlap():
    assert all(panel["title"] and panel["description"] for panel in PANELS)
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        columns, rows = range(place["x"], place["x"] + place["w"]), range(place["y"], place["y"] + place["h"])
        cells = set(itertools.product(columns, rows))
        assert place["x"] + place["w"] <= 24 and not cells & taken, panel["title"]
        taken |= cells
