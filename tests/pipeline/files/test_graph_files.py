"""Graphs of labels in files: graph.txt beside label.txt, and what a bundle says of it."""

import json
from dataclasses import replace

import pytest

from pipeline.errors import DatasetError, InputError
from pipeline.files.dataset import ReadReport, read_examples, read_labels, write_examples, write_labels
from pipeline.files.manifest import LabelGraph, Manifest
from pipeline.labels.decoding import DecodingPolicy
from pipeline.text.words import TokeniserSettings
from tests.pipeline.files.test_dataset import write

PETS = "animal\npet\nanimal##cat\npet##cat\npet##cat##persian\n"


def test_graph_txt_beside_the_labels_gives_further_parents(tmp_path):
    path = write(tmp_path / "label.txt", PETS)
    write(tmp_path / "graph.txt", "pet\tanimal##cat\n")
    graph = read_labels(path)
    assert graph.labels == ("animal", "pet", "animal##cat", "animal##cat##persian")
    rows = write(
        tmp_path / "train.txt", "one\tanimal##cat##persian\nother\tpet##cat##persian\nall\tpet##cat,animal##cat\n"
    )
    report = ReadReport()
    assert [example.labels for example in read_examples(rows, graph, report)] == [(0, 1, 2, 3), (0, 1, 2, 3), (0, 1, 2)]
    assert report.rows_completed == 3
    copy = tmp_path / "copy"
    copy.mkdir()
    write_labels(copy / "label.txt", graph)
    write_examples(copy / "train.txt", read_examples(rows, graph), graph)
    again = read_labels(copy / "label.txt")
    assert (again.labels, again.paths, again.edges) == (graph.labels, graph.paths, graph.edges)
    assert list(read_examples(copy / "train.txt", again)) == list(read_examples(rows, graph))


@pytest.mark.parametrize(
    ("content", "line", "reason"),
    [
        ("", None, "it has no edge; write one a line, or remove it"),
        ("pet\tanimal##cat\n\n", 2, "the line is no edge; write a parent, a tab, and a child"),
        ("pet animal##cat\n", 1, "the line is no edge"),
        ("pet\tanimal##cat\tanimal\n", 1, "the line is no edge"),
        ("pet\t\n", 1, "the line is no edge"),
        ("pet\tanimal##cat\npet\tanimal##cat\n", 2, "the edge stands already in line 1"),
        ("pet\tanimal##cat\npet\tdog\n", 2, "unknown label 'dog'; both ends are paths of the label file"),
        ("animal\tanimal##cat\n", 1, "'animal##cat' lies below 'animal' by its own path"),
        ("pet\tpet\n", 1, "a label cannot lie below itself"),
        ("pet\tanimal##cat\npet##cat##persian\tpet\n", 2, "it closes a circle, 'pet' > "),
        (b"pet\t\xff\n", 1, "UTF-8"),
    ],
)
def test_an_unusable_graph_is_refused_at_its_line(tmp_path, content, line, reason):
    write(tmp_path / "label.txt", PETS)
    path = write(tmp_path / "graph.txt", content)
    with pytest.raises(DatasetError) as raised:
        read_labels(tmp_path / "label.txt")
    assert (raised.value.path, raised.value.line) == (str(path), line)
    assert reason in str(raised.value)


TREE = Manifest(
    labels=("animal", "pet", "animal##cat"),
    thresholds=(0.5, 0.5, 0.5),
    decoding=DecodingPolicy(),
    vocabulary_size=7,
    max_seq_length=16,
    normalisation="half_width",
    tokeniser=TokeniserSettings(),
)
EDGE = ("pet", "animal##cat")


def test_a_graph_travels_in_a_bundle_of_the_newest_format():
    assert "graph" not in TREE.to_json() and TREE.to_json()["format_version"] == 1
    manifest = replace(TREE, graph=LabelGraph(("pet##cat",), (EDGE,)))
    fields = json.loads(json.dumps(manifest.to_json()))
    assert fields["format_version"] == 5
    again = Manifest.from_json(fields)
    assert again == manifest
    assert again.hierarchy.parents_of(2) == (0, 1)
    assert again.hierarchy.paths == ("animal", "pet", "animal##cat", "pet##cat")
    assert LabelGraph.of(again.hierarchy) == manifest.graph and LabelGraph.of(TREE.hierarchy) is None


@pytest.mark.parametrize(
    ("labels", "graph", "reason"),
    [
        (TREE.labels, {"paths": [], "edges": []}, "at least one"),
        (TREE.labels, {"paths": [], "edges": [["pet"]]}, "a list of pairs"),
        (TREE.labels, {"paths": [], "edges": [["pet", "dog"]]}, "unknown label 'dog'"),
        (TREE.labels, {"paths": ["pet"], "edges": [EDGE]}, "listed twice"),
        ((*TREE.labels, "pet##cat"), {"paths": [], "edges": [EDGE]}, "one label of 'animal##cat' and 'pet##cat'"),
    ],
)
def test_an_unusable_graph_of_a_bundle_is_refused(labels, graph, reason):
    fields = {**TREE.to_json(), "labels": list(labels), "thresholds": [0.5] * len(labels), "graph": graph}
    with pytest.raises(InputError, match=reason):
        _ = Manifest.from_json(json.loads(json.dumps(fields))).hierarchy
