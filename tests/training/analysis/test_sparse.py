"""Development texts without evidence are found, and what would give them some."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from pipeline.errors import ClassifierError
from pipeline.files.dataset import Example, read_examples, read_labels, write_examples, write_labels, write_texts
from pipeline.labels.hierarchy import LabelHierarchy
from training.analysis import sparse
from training.analysis.evidence.neighbours import (
    NO_EVIDENCE,
    Described,
    Supporter,
    evidence,
    in_turns,
    sparsest,
    supporters,
)
from training.analysis.sparse import SparseOptions

HIERARCHY = LabelHierarchy(["a", "a##x", "a##y", "b"])
EAST, NORTH = [1.0, 0.0], [0.0, 1.0]


def test_evidence_is_the_mean_of_the_nearest_rows_that_share_a_deepest_label():
    train = [Example("1", (0, 1)), Example("2", (0, 1)), Example("3", (0, 2)), Example("4", (0, 1))]
    features = np.array([EAST, NORTH, EAST, EAST], np.float32)
    dev = [Example("5", (0, 1)), Example("6", (0, 2)), Example("7", (3,))]
    dev_features = np.array([EAST, NORTH, EAST], np.float32)
    found = evidence(HIERARCHY, train, features, dev, dev_features, 3)
    assert found == pytest.approx([2 / 3, 0, NO_EVIDENCE])  # the second's only support points elsewhere
    assert evidence(HIERARCHY, train, features, dev, dev_features, 2)[0] == 1


def test_each_label_has_its_sparsest_text_first():
    dev = [Example(str(row), labels) for row, labels in enumerate([(0, 1), (0, 1), (0, 1), (3,)])]
    assert sparsest(HIERARCHY, np.array([0.3, 0.1, 0.2, 0.9]), dev, 3) == [1, 3, 2]


def described(*vectors):
    return Described(np.array(vectors, np.float32), csr_matrix(np.eye(len(vectors), 4)))


def test_supporters_are_found_in_all_chunks_from_the_threshold_on():
    chunks = [described(NORTH, EAST), described([1, 1], EAST)]
    found = supporters(described(EAST), chunks, 3, 0.7)
    assert [[one.row for one in ones] for ones in found] == [[2, 1, 3]]  # 2 shares the query's only word
    assert supporters(described(EAST), chunks, 3, 0.8)[0][0].row in (1, 3)
    assert [len(ones) for ones in supporters(described(EAST), chunks, 1, 0.7)] == [1]


def test_places_are_given_in_turns_and_no_row_twice():
    ranked = [[Supporter(5, 0.9), Supporter(6, 0.8)], [Supporter(5, 0.9)], [], [Supporter(7, 0.1), Supporter(8, 0.1)]]
    assert in_turns(ranked, 3) == [5, 7, 6]
    assert in_turns([], 3) == []


@pytest.fixture(scope="module")
def folder(sample_dataset, tmp_path_factory):
    """A small part of the sample, the rest of its texts without labels."""
    folder = tmp_path_factory.mktemp("sparse")
    hierarchy = read_labels(sample_dataset / "label.txt")
    train, dev = (list(read_examples(sample_dataset / name, hierarchy)) for name in ("train.txt", "dev.txt"))
    write_labels(folder / "label.txt", hierarchy)
    write_examples(folder / "train.txt", train[:200], hierarchy)
    write_examples(folder / "dev.txt", dev[:60], hierarchy)
    write_texts(folder / "data.txt", [example.text for example in train[150:400]])
    return folder


def find(folder, checkpoint, *options):
    words = ("--device", "cpu", "--dataset_dir", folder, "--params_path", checkpoint, *options)
    sparse.main(list(map(str, words)))


def read(folder, name):
    return list(read_examples(folder / name, read_labels(folder / "label.txt")))


def test_training_rows_that_support_sparse_texts(folder, checkpoint):
    find(folder, checkpoint, "--aug_strategy", "duplicate", "--sparse_num", 20, "--valid_num", 15)
    found, valid, train = read(folder, "sparse.txt"), read(folder, "valid.txt"), read(folder, "train.txt")
    assert len(found) == 20
    assert set(found) <= set(read(folder, "dev.txt"))
    assert 0 < len(valid) <= 15
    assert set(valid) <= set(train)
    find(folder, checkpoint, "--aug_strategy", "swap", "--sparse_num", 20, "--valid_num", 15)
    swapped = read(folder, "valid.txt")
    assert {row.labels for row in swapped} <= {row.labels for row in valid}
    assert not {row.text for row in swapped} & {row.text for row in train}


def test_a_program_gets_what_was_found(folder, checkpoint):
    options = {"dataset_dir": folder, "params_path": checkpoint, "device": "cpu", "aug_strategy": "duplicate"}
    found = sparse.find_sparse(SparseOptions(**options, sparse_num=20, valid_num=15))
    assert (len(found.rows), found.total, len(found.written)) == (20, 60, found.chosen)
    assert found.evidence < found.total_evidence


def test_texts_worth_annotating_have_no_labels_yet(folder, checkpoint, capsys):
    find(folder, checkpoint, "--annotate", "--valid_num", 30, "--valid_threshold", 0.3)
    texts = (folder / "valid.txt").read_text().splitlines()
    assert len(texts) == len(set(texts)) == 30
    assert not set(texts) & {row.text for row in read(folder, "train.txt")}
    assert "worth annotating" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--rationale_num", 0), "--rationale_num is 0"),
        (("--valid_file", "test.txt"), "would overwrite .*test.txt"),
        (("--valid_file", "dev.txt"), "would overwrite .*dev.txt"),
        (("--annotate", "--unlabeled_file", "none.txt"), "cannot read .*none.txt"),
        (("--annotate", "--unlabeled_file", "known.txt"), "no text that is not labelled yet"),
    ],
)
def test_what_cannot_be_done_is_named(folder, checkpoint, options, message):
    write_texts(folder / "known.txt", [row.text for row in read(folder, "train.txt")])
    with pytest.raises(ClassifierError, match=message):
        find(folder, checkpoint, *options)


def test_a_bundle_has_no_features(folder, bundle_path):
    with pytest.raises(ClassifierError, match="checkpoint"):
        find(folder, bundle_path)
