"""A graph of labels from the dataset folder to a bundle, with the linear model."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import InputError
from pipeline.files.bundle import Bundle
from pipeline.files.dataset import read_examples
from pipeline.labels.decoding import POLICIES
from pipeline.predictor import Predictor
from tests.made_up_graphs import MadeUpGraph, made_up_graph
from training.analysis.evaluate import EvaluateOptions, evaluate
from training.checkpoint.files import read_checkpoint
from training.export_model import ExportOptions, export
from training.label_changes.starting import starting_columns
from training.labels import LabelOptions, change_labels
from training.train import TrainingRun, train

NODES, ROWS, DEV_ROWS = 24, 500, 200


def write_dataset(folder: Path, graph: MadeUpGraph, names_all: bool, has_graph: bool = True) -> Path:
    """Rows of a graph that name one path of one node each, or all paths of all its ancestors; dev always the latter."""
    chance, which = random.Random(5), random.Random(6)
    folder.mkdir()
    (folder / "label.txt").write_text("".join(f"{path}\n" for paths in graph.paths for path in paths))
    if has_graph:
        (folder / "graph.txt").write_text("".join(f"{above}\t{below}\n" for above, below in graph.edges))
    for name, rows in (("train.txt", ROWS), ("dev.txt", DEV_ROWS)):
        lines = []
        for _ in range(rows):
            node = chance.randrange(NODES)
            above = sorted(graph.ancestors(node))
            words = [f"word{each}{chance.choice('xyz')}" for each in above if chance.random() < 0.8]
            words += [f"noise{chance.randrange(200)}" for _ in range(6)]
            every = [path for each in above for path in graph.paths[each]]
            labels = every if names_all or name == "dev.txt" else [which.choice(graph.paths[node])]
            lines.append(f"{' '.join(words)}\t{','.join(labels)}\n")
        (folder / name).write_text("".join(lines))
    return folder


@pytest.fixture(scope="module")
def graph() -> MadeUpGraph:
    return made_up_graph(NODES, 3, all_paths=0.8)


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("graphs")


def trained(place: Path, name: str, dataset: Path) -> float:
    checkpoint = train(TrainingRun(dataset_dir=dataset, model_name="linear", save_dir=place / f"{name}_model"))
    return checkpoint.record.metrics["dev"]["micro_f1"]


@pytest.fixture(scope="module")
def f1(place, graph) -> dict[str, float]:
    """Micro F1 by what the rows name."""
    return {
        "one": trained(place, "one", write_dataset(place / "one", graph, names_all=False)),
        "all": trained(place, "all", write_dataset(place / "all", graph, names_all=True)),
        "tree": trained(place, "tree", write_dataset(place / "tree", graph, names_all=False, has_graph=False)),
    }


def test_rows_that_name_one_path_train_as_well_as_rows_that_name_all(f1):
    assert abs(f1["one"] - f1["all"]) <= 0.01
    assert f1["tree"] < f1["one"] - 0.1


@pytest.mark.usefixtures("f1")
def test_no_answer_of_a_bundle_is_split(place, graph):
    bundle = export(ExportOptions(params_path=place / "one_model", output_path=place / "export"))
    assert bundle.manifest.to_json()["format_version"] == 5
    assert bundle.hierarchy.paths == read_checkpoint(place / "one_model").hierarchy.paths
    texts = [example.text for example in read_examples(place / "one" / "dev.txt", bundle.hierarchy)]
    logits = Predictor(Bundle(place / "export")).logits(texts)
    for policy in POLICIES:
        for top_k in (None, 2):
            decoded = bundle.decoder().changed(policy=policy, top_k=top_k).decode(logits + 1.0)
            for predictions in decoded.predictions():
                shown = {prediction.label for prediction in predictions}
                nodes = {node for node, paths in enumerate(graph.paths) if shown & set(paths)}
                assert all(shown.issuperset(graph.paths[node]) for node in nodes)
                assert policy == "threshold" or all(nodes >= graph.ancestors(node) for node in nodes)


@pytest.mark.usefixtures("f1")
def test_a_model_is_measured_by_its_own_graph_alone(place, tmp_path):
    options = {"dataset_dir": place / "all", "bad_case_path": tmp_path / "bad.txt"}
    figures = evaluate(EvaluateOptions(params_path=place / "one_model", **options))
    assert (len(figures["labels"]), figures["summary"]["consistent_share"]) == (NODES, 1)
    for model, dataset in (("one_model", "tree"), ("tree_model", "one")):
        with pytest.raises(InputError, match=r"label\.txt does not fit the model: it has other parents .*graph\.txt"):
            evaluate(
                EvaluateOptions(params_path=place / model, dataset_dir=place / dataset, bad_case_path=tmp_path / "bad")
            )


@pytest.mark.usefixtures("f1")
def test_labels_of_a_graph_are_changed_in_the_dataset_and_begin_with_what_is_known(place, tmp_path):
    with pytest.raises(InputError, match=r"the labels form a graph, .* edit label\.txt and graph\.txt"):
        options = {"params_path": place / "one_model", "output_path": tmp_path / "changed"}
        change_labels(LabelOptions(change=("drop", "a"), **options))
    tree, graph = (read_checkpoint(place / f"{name}_model").hierarchy for name in ("tree", "one"))
    columns = starting_columns(tree, graph, ())
    for column, label in zip(columns, graph.labels):
        assert graph.find(tree.labels[column]) == graph.index[label]
    np.testing.assert_array_equal(starting_columns(graph, graph, ()), range(NODES))
