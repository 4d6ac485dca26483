"""Rows that name nodes of a graph, and the graph as an edge list, become a dataset folder."""

import pytest

from pipeline.errors import DatasetError, InputError
from pipeline.files.dataset import read_examples, read_labels
from tests.doccano import convert as convert_doccano
from tests.doccano import lines, write_records
from training.import_table import ImportOptions, convert, understand

EDGES = "animal\tmammal\nmammal\tcat\npet\tcat\ncat\tpersian\nanimal\tdog\npet\tdog\nplant\tfern\n"
WORDS = ("cat", "persian", "dog", "mammal")


def options(folder, edges=EDGES, words=WORDS, names=None, **more):
    (folder / "edges.tsv").write_text(edges)
    (folder / "rows.csv").write_text(
        "text,label\n" + "".join(f"text {n} of {w},{w}\n" for n in range(10) for w in words)
    )
    if names:
        (folder / "names.tsv").write_text(names)
        more["names_file"] = folder / "names.tsv"
    data, table = folder / "data", folder / "rows.csv"
    return ImportOptions(table_file=table, edges_file=folder / "edges.tsv", save_dir=data, **more)


def test_each_node_in_use_is_one_label_by_one_of_the_shortest_ways(tmp_path):
    convert(options(tmp_path))
    folder = tmp_path / "data"
    assert (folder / "label.txt").read_text().split() == [
        *("animal", "animal##dog", "animal##mammal", "pet", "pet##cat", "pet##cat##persian")
    ]
    assert (folder / "graph.txt").read_text() == "pet\tanimal##dog\nanimal##mammal\tpet##cat\n"
    graph = read_labels(folder / "label.txt")
    rows = {
        row.text.split()[-1]: {graph.labels[label] for label in row.labels}
        for row in read_examples(folder / "train.txt", graph)
    }
    assert rows["dog"] == {"animal", "pet", "animal##dog"}
    assert rows["persian"] == {"animal", "animal##mammal", "pet", "pet##cat", "pet##cat##persian"}


def test_each_node_may_be_listed_by_every_way(tmp_path):
    convert(options(tmp_path, all_paths=True))
    graph = read_labels(tmp_path / "data" / "label.txt")
    assert len(graph) == 6
    assert {path for path in graph.paths if path.endswith("persian")} == {
        "animal##mammal##cat##persian",
        "pet##cat##persian",
    }
    (tmp_path / "many").mkdir()
    stacked = "".join(f"{n}\tl{n}\n{n}\tr{n}\nl{n}\t{n + 1}\nr{n}\t{n + 1}\n" for n in range(20))
    with pytest.raises(InputError, match="more than 100,000 ways lead down to the labels; leave out --all_paths"):
        convert(options(tmp_path / "many", stacked, ["20", "l3"], all_paths=True))
    written = convert(options(tmp_path / "many", stacked, ["20", "l3"]))
    assert len(written.hierarchy) == 61


def test_ids_have_names_and_either_names_a_node(tmp_path):
    names = "1\tanimal\n2\tcat\n3\tpet\n4\tcat\n5\tbig cat\n"
    convert(options(tmp_path, "1\t2\n3\t2\n2\t5\n", ["2", "5", "big cat", "pet"], names))
    graph = read_labels(tmp_path / "data" / "label.txt")
    assert graph.labels == ("animal", "animal##cat", "animal##cat##big cat", "pet")
    assert graph.parents_of(1) == (0, 3)
    with pytest.raises(DatasetError, match=r"rows\.csv:2: 'cat' is the name or the id of nodes 2, 4; give an id"):
        convert(options(tmp_path, "1\t2\n3\t2\n2\t5\n", ["cat"], names, overwrite=True))


def test_a_row_that_names_an_ancestor_as_well_says_the_same(tmp_path):
    given = options(tmp_path, label_separator=";")
    given.table_file.write_text("text,label\n" + "".join(f"t{n},persian\nt{n},mammal;persian\n" for n in range(9)))
    understood = understand(given)
    assert (len(understood.collector.rows), understood.collector.report.repeated) == (9, 9)
    assert not understood.collector.report.contradictions


def test_edges_of_a_tree_make_a_tree(tmp_path):
    written = convert(options(tmp_path, "animal\tcat\nanimal\tdog\nanimal\tdog\n", ["cat", "dog"]))
    assert not (tmp_path / "data" / "graph.txt").exists() and not written.hierarchy.is_graph
    assert any("repeats 1 edge, which say nothing new" in note for note in written.notes)


def test_rows_of_all_descendants_are_counted(tmp_path):
    understood = understand(options(tmp_path))
    assert (understood.counts["animal"], understood.counts["pet"], understood.counts["pet##cat"]) == (40, 30, 20)
    assert "label: 'label', a node of" in str(understood)


@pytest.mark.parametrize(
    ("edges", "names", "more", "reason"),
    [
        ("", None, {}, r"edges\.tsv: it has no edge"),
        ("a b\n", None, {}, r"edges\.tsv:1: the line is not a parent, a tab, and a child"),
        ("a\tb\tc\n", None, {}, r"edges\.tsv:1: the line is not a parent"),
        ("a\ta\n", None, {}, r"edges\.tsv:1: the edge closes a circle, 'a' > 'a'"),
        ("a\tb\nb\tc\nc\ta\n", None, {}, r"edges\.tsv:3: the edge closes a circle, 'a' > 'b' > 'c' > 'a'"),
        ("a\tb##c\n", None, {}, r"edges\.tsv:1: 'b##c' contains '##'"),
        ("a\tb\n", None, {}, r"rows\.csv:2: 'cat' is no node of .*edges\.tsv"),
        ("a\tcats\n", None, {}, r"rows\.csv:2: 'cat' is no node of .*; did you mean 'cats'\?"),
        ("1\t2\n1\t3\n", "2\tcat\n3\tcat\n", {}, r"edges\.tsv:2: nodes '2' and '3' are both called 'cat' below '1'"),
        ("1\t2\n", "2\tcat\n2\tdog\n", {}, r"names\.tsv:2: node '2' has a name already"),
        ("1\tcat\n", None, {"label_columns": ("label", "text")}, "a label is one node; give one label column"),
    ],
)
def test_what_cannot_be_used_is_refused_at_its_line(tmp_path, edges, names, more, reason):
    with pytest.raises(InputError, match=reason):
        convert(options(tmp_path, edges, ["cat"], names, **more))
    assert not (tmp_path / "data").exists()


def test_annotators_name_a_label_by_whatever_path(tmp_path):
    """Rows from doccano that name one label by two paths repeat each other, and do not contradict."""
    (tmp_path / "label.txt").write_text("animal\npet\nanimal##cat\nanimal##cat##persian\n")
    (tmp_path / "graph.txt").write_text("pet\tanimal##cat\n")
    said = (["pet##cat##persian"], ["animal##cat##persian"], ["pet##cat##persian", "pet"])
    rows = [{"text": f"text {number}", "label": labels} for number in range(10) for labels in said]
    source = write_records(tmp_path / "doccano.jsonl", *rows)
    folder = convert_doccano(source, tmp_path / "data", "--label_file", tmp_path / "label.txt")
    (labels,) = {line.split("\t")[1] for line in lines(folder, "train.txt", "dev.txt", "test.txt")}
    assert len(lines(folder, "train.txt", "dev.txt", "test.txt")) == 10
    assert labels == "animal,pet,animal##cat,animal##cat##persian"


def test_names_and_ways_are_about_edges(tmp_path):
    with pytest.raises(InputError, match="--names_file and --all_paths are about the nodes of --edges_file"):
        ImportOptions(table_file=tmp_path / "rows.csv", all_paths=True)
