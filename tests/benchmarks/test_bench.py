"""`make bench`: its parts, its arithmetic, what README.md says of it, and load on a server of one's own."""

import json
import time

import numpy as np
import pytest

from benchmarks import bench
from benchmarks.compute.matrix_products import count_work, encoder_work
from benchmarks.plots import PLOTS
from benchmarks.records import PROJECT, RESULTS
from benchmarks.report import PICTURED, PICTURES, TABLES_FILE, all_tables, page_tables, with_tables
from benchmarks.serving import load
from benchmarks.serving.checked_load import RIGHT, CheckedLoad
from benchmarks.serving.growth import Point, fits, text_of, tree
from benchmarks.tables import TABLES
from pipeline.errors import ClassifierError, InputError
from pipeline.files.bundle import Bundle
from pipeline.labels.hierarchy import LabelHierarchy
from training.model.model_names import SCRATCH

RECORDED = [part for part in TABLES if (RESULTS / f"{part}.json").is_file()]


@pytest.mark.parametrize(("name", "tables"), page_tables(RESULTS).items())
def test_pages_state_what_the_records_hold(name, tables):
    text = (PROJECT / name).read_text(encoding="utf-8")
    assert with_tables(name, tables) == text, "run python -m benchmarks.report"


def test_the_tables_and_plots_beside_the_records_are_of_these_records():
    assert (RESULTS / TABLES_FILE).read_text(encoding="utf-8") == all_tables(RESULTS, RECORDED)
    for part in set(RECORDED) & set(PLOTS):
        assert (RESULTS / f"{part}.png").stat().st_size < 150_000
    for part in PICTURED:
        assert (PICTURES / f"{part}.png").read_bytes() == (RESULTS / f"{part}.png").read_bytes()


def test_a_page_without_the_place_for_tables_is_refused():
    with pytest.raises(InputError, match=r"faq\.md has no lines <!-- benchmarks\.report: begin -->"):
        with_tables("docs/en/faq.md", "| a |")


def test_the_headline_names_what_was_too_noisy_and_what_cannot_be():
    def figure(median, noisy=False):
        return {"median": median, "lowest": median, "highest": median, "noisy": noisy}

    summary = {
        "throughput_ratio_c32": figure(6.5),
        "p50_ratio_c1": figure(0.4, noisy=True),
        "share_of_in_process_c32": figure(1.08),
        "share_of_in_process_c1": figure(0.8, noisy=True),
        "share_of_in_process_by_32": figure(1.2),
    }
    assert bench.headline({"summary": summary, "rounds": [{}, {}, {}]}) == {
        "throughput_ratio_c32": 6.5,
        "p50_ratio_c1": 0.4,
        "share_of_in_process_c32": 1.08,
        "share_of_limit": None,  # of a precision whose limit nothing tells
        "pairs": 3,
        "noisy": ["p50_ratio_c1", "share_of_in_process_c1"],  # as in the table
        "impossible": ["share_of_in_process_c32"],
    }


def test_a_part_that_fails_is_named_and_the_others_are_measured(tmp_path, monkeypatch, capfd):
    parts = {
        "limit": lambda options: ["benchmarks.compute.limit", "--rounds", "0"],
        "peers": lambda options: ["benchmarks.peers.comparison", "--peers_python", "absent/python"],
        "frontier": lambda options: ["benchmarks.quality.frontier", "--shapes"],
    }
    monkeypatch.setattr(bench, "PARTS", parts)
    with pytest.raises(ClassifierError, match="limit failed.*--parts limit"):
        bench.main(["--output_dir", str(tmp_path), "--parts", *parts])
    said = capfd.readouterr()
    assert "--rounds is 0; give a whole number, at least 1" in said.err
    assert "the peers are skipped: absent/python does not have torch" in said.err
    assert "== peers: skipped" in said.out
    assert {path.name for path in tmp_path.iterdir()} == {"frontier.json", "frontier.png", TABLES_FILE}
    assert "| 3/4 | onnxruntime float32 |" in (tmp_path / TABLES_FILE).read_text(encoding="utf-8")


def test_exponents_are_those_of_the_curve():
    points = [Point(n, seconds=0.003 * n**2, megabytes=90.0) for n in (10, 100, 1000)]
    found = fits(points)
    assert (found["time_exponent"], found["memory_exponent"]) == (2.0, 0.0)
    overhead = fits([Point(n, seconds=1 + n, megabytes=90.0) for n in (1, 10, 1000, 10_000)])
    assert overhead["time_exponent"] < overhead["time_exponent_of_the_last_two"] == 1.0


def test_made_up_labels_and_texts_are_of_the_wanted_size(bundle_path):
    assert len(LabelHierarchy(tree(1234)).labels) == 1234
    assert [len(row) for row in Bundle(bundle_path).encoder().encode([text_of(16, 3), text_of(64, 4)])] == [16, 64]


def test_the_products_in_a_graph_are_those_of_its_encoder(bundle_path):
    bundle, shape = Bundle(bundle_path), SCRATCH["scratch-tiny"]
    found, encoder = count_work(bundle), encoder_work(shape.hidden_size, shape.layers, shape.feed_forward_size)
    head = shape.hidden_size * (shape.hidden_size + len(bundle.hierarchy))
    assert found.per_token == encoder.per_token
    assert found.per_text == encoder.per_text + 2 * head
    assert found.parameters == encoder.parameters + head


def test_open_loop_counts_latency_from_the_intended_start():
    """A client that sends 20 requests a second cannot send 100: the delay that this brings is latency."""

    class Answer:
        def as_numpy(self, name):
            return np.array([[b"a"]], object)

    client = CheckedLoad("127.0.0.1:1", {"text": ()})

    def send_slowly(model, inputs, callback, **options):
        time.sleep(0.05)
        callback(Answer(), None)

    client._clients[0].async_infer = send_slowly
    client.run_arrivals(per_second=100, seconds=0.2)
    client.close()
    assert client.tally.outcomes[RIGHT] == 20
    assert client.tally.percentile_ms(RIGHT, 100) > 500


def test_load_on_a_server_that_runs_already(triton, sample_dataset, tmp_path):
    output = tmp_path / "load.json"
    words = ["--url", triton.grpc_address, "--texts", str(sample_dataset / "test.txt"), "--texts_per_pass", "40"]
    words += ["--concurrency", "1", "4", "--batch", "8", "--rounds", "1", "--seconds", "0.1"]
    load.main([*words, "--arrivals", "0.5", "--arrival_seconds", "0.5", "--output_file", str(output)])
    record = json.loads(output.read_text(encoding="utf-8"))
    assert set(record["summary"]["server"]) == {"c1", "c4", "c4 b8"}
    assert record["rounds"][0]["server"]["c4 b8"]["requests"] >= 16
    (point,) = record["arrivals"]["server"]
    assert point["answered"] > 0
    assert point["refused"] == point["failed"] == 0
    assert "| c4 b8 |" in TABLES["load"](record)


@pytest.mark.parametrize(
    ("main", "words", "message"),
    [
        (bench.main, ["--dataset_dir", "absent"], "--dataset_dir absent has no test.txt"),
        (bench.main, ["--quick", "--url", "127.0.0.1:8001"], "give one of them"),
        (load.main, ["--url", "http://127.0.0.1:8001"], "host:port, such as"),
        (load.main, ["--url", "127.0.0.1:8001", "--bundle", "export"], "leave --bundle"),
        (load.main, ["--batch", "0"], "--batch is 0"),
        (load.main, ["--arrivals", "-1"], "--arrivals is -1.0; give a list, each a number, above 0"),
        (load.main, ["--seconds", "nan"], "--seconds is nan"),
    ],
)
def test_what_cannot_be_measured_is_refused(main, words, message):
    with pytest.raises(InputError, match=message):
        main(words)
