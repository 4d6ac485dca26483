"""The sample dataset's generator: what it promises about its rows, and what it refuses to overwrite."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from fractions import Fraction

import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import f1_score
from sklearn.svm import LinearSVC

from pipeline.errors import InputError
from pipeline.files.dataset import (
    DATA_FILE,
    DEV_FILE,
    LABEL_FILE,
    TEST_FILE,
    TRAIN_FILE,
    read_examples,
    read_labels,
    read_texts,
)
from tests.conftest import PROJECT, REAL_DATA
from training import make_sample_dataset
from training.data.apportionment import largest_remainders
from training.data.sample_wordings import slots
from training.data.sample_wordings.author import Author
from training.make_sample_dataset import (
    FILES,
    JOINT_KINDS,
    LABELS,
    SINGLE_KINDS,
    SOURCE_FILE,
    SampleOptions,
    main,
)

DUEE_LABELS = REAL_DATA / "duee1" / LABEL_FILE
LABELLED = (TRAIN_FILE, DEV_FILE, TEST_FILE)
SMALL = ["--train_rows", "300", "--dev_rows", "200", "--test_rows", "200", "--data_rows", "10"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "sample"
    main(["--output_dir", str(folder)])
    return folder


@pytest.fixture(scope="module")
def hierarchy(folder):
    return read_labels(folder / LABEL_FILE)


@pytest.fixture(scope="module")
def rows(folder, hierarchy):
    return {name: list(read_examples(folder / name, hierarchy)) for name in LABELLED}


def leaves_of(example, hierarchy):
    return [position for position in example.labels if "##" in hierarchy.labels[position]]


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_default_counts(folder, rows):
    assert [len(rows[name]) for name in LABELLED] == [4000, 500, 500]
    assert len(list(read_texts(folder / DATA_FILE))) == 200
    assert sorted(contents(folder)) == sorted(FILES)


def test_taxonomy_has_nine_parents_and_65_leaves(hierarchy):
    assert [int((hierarchy.levels == level).sum()) for level in (1, 2)] == [9, 65]


def test_taxonomy_is_that_of_the_real_news_sentences():
    if not DUEE_LABELS.exists():
        pytest.skip(f"{DUEE_LABELS} is absent")
    assert read_labels(DUEE_LABELS).labels == LABELS


def test_no_sentence_is_copied_from_the_real_news(rows):
    if not DUEE_LABELS.exists():
        pytest.skip(f"{DUEE_LABELS} is absent")
    real = set(read_texts(DUEE_LABELS.parent / DATA_FILE))
    assert not real.intersection(example.text for name in LABELLED for example in rows[name])


def test_a_tenth_of_the_rows_have_several_leaf_paths(rows, hierarchy):
    for name in LABELLED:
        share = sum(len(leaves_of(example, hierarchy)) > 1 for example in rows[name]) / len(rows[name])
        assert 0.1 <= share <= 0.12


def test_every_leaf_occurs_often_enough_and_some_far_more_often(rows, hierarchy):
    for name, least in ((TRAIN_FILE, 20), (DEV_FILE, 2), (TEST_FILE, 2)):
        counts = [0] * len(hierarchy)
        for example in rows[name]:
            for leaf in leaves_of(example, hierarchy):
                counts[leaf] += 1
        counts = [count for count, level in zip(counts, hierarchy.levels) if level == 2]
        assert min(counts) >= least
        assert max(counts) > 4 * min(counts)


def test_rows_write_out_every_ancestor_in_the_order_of_label_txt(folder, hierarchy):
    for name in LABELLED:
        for line in (folder / name).read_text(encoding="utf-8").splitlines():
            paths = line.split("\t")[1].split(",")
            assert [hierarchy.index[path] for path in paths] == sorted(hierarchy.with_ancestors(paths))


def test_no_text_occurs_twice(folder, rows):
    texts = [example.text for name in LABELLED for example in rows[name]] + list(read_texts(folder / DATA_FILE))
    assert len(set(texts)) == len(texts)


def test_texts_are_of_news_length_and_leave_no_choice_open(rows):
    texts = [example.text for name in LABELLED for example in rows[name]]
    assert all(15 <= len(text) <= 70 for text in texts)
    assert not [text for text in texts if re.search(r"[\[\]{}|~@\s]|，，|，[。！]", text)]


def test_templates_and_slots_are_complete():
    for kind in SINGLE_KINDS:
        assert len(kind.leaves) == 1
        assert len(set(kind.templates)) >= 6
    leaves = {kind.leaves[0] for kind in SINGLE_KINDS}
    assert all(len(kind.leaves) > 1 and leaves.issuperset(kind.leaves) for kind in JOINT_KINDS)
    mentioned = {pair.rpartition("##")[0] for pairs in slots.MENTIONS.values() for pair in pairs.split()}
    assert mentioned <= {leaf.split("##")[1] for leaf in leaves}


def test_every_template_can_be_filled():
    author = Author("all", novel=True)
    for kind in SINGLE_KINDS + JOINT_KINDS:
        for template in kind.templates:
            for _ in range(20):
                assert not re.search(r"[\[\]{}|~@]", author.fill(template)), template


def test_equal_slots_get_equal_fillers_and_numbered_ones_differ():
    author = Author("slots", novel=True)
    for _ in range(200):
        first, again, other = author.fill("{城市}/{城市}/{城市2}").split("/")
        assert first == again != other


def test_dev_and_test_use_names_that_no_training_row_has(rows):
    held_out = slots.SLOTS["字号"][-len(slots.SLOTS["字号"]) // 10 :]
    assert not any(name in example.text for name in held_out for example in rows[TRAIN_FILE])
    assert any(name in example.text for name in held_out for example in rows[TEST_FILE])


def test_same_seed_same_bytes_whatever_the_hash_seed(folder, tmp_path):
    command = [sys.executable, make_sample_dataset.__file__, "--output_dir", str(tmp_path / "again")]
    environment = {**os.environ, "PYTHONHASHSEED": "77", "PYTHONPATH": str(PROJECT)}
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True, encoding="utf-8")
    assert contents(tmp_path / "again") == contents(folder)
    assert "synthetic" in done.stdout
    assert "train.txt 4000" in done.stdout


def test_another_seed_gives_other_sentences(tmp_path):
    for seed in ("3", "4"):
        main(["--output_dir", str(tmp_path / seed), "--seed", seed, *SMALL])
    texts = [set(read_texts(tmp_path / seed / DATA_FILE)) for seed in ("3", "4")]
    assert not texts[0] & texts[1]


@pytest.mark.parametrize("ngrams", [(1, 1), (1, 2)])
def test_a_bag_of_characters_learns_much_but_stays_clearly_below_all(rows, hierarchy, ngrams):
    vectoriser = TfidfVectorizer(analyzer="char", ngram_range=ngrams, sublinear_tf=True)
    train = vectoriser.fit_transform(example.text for example in rows[TRAIN_FILE])
    test = vectoriser.transform(example.text for example in rows[TEST_FILE])
    expected = hierarchy.matrix([example.labels for example in rows[TEST_FILE]])
    targets = hierarchy.matrix([example.labels for example in rows[TRAIN_FILE]])
    columns = [LinearSVC(random_state=0).fit(train, column).predict(test) for column in targets.T]
    micro_f1 = f1_score(expected.T, columns, average="micro")
    assert 0.93 < micro_f1 < 0.985


def test_replaces_its_own_folder(tmp_path):
    main(["--output_dir", str(tmp_path / "sample"), *SMALL])
    main(["--output_dir", str(tmp_path / "sample"), "--seed", "9", *SMALL])
    assert "seed: 9" in (tmp_path / "sample" / SOURCE_FILE).read_text(encoding="utf-8")
    assert [path.name for path in tmp_path.iterdir()] == ["sample"]


def test_says_that_it_is_synthetic(folder):
    assert "synthetic" in (folder / SOURCE_FILE).read_text(encoding="utf-8").splitlines()[0].lower()


def test_refuses_a_folder_that_it_did_not_write(tmp_path):
    (tmp_path / "train.txt").write_text("真实数据\t人生\n", encoding="utf-8")
    with pytest.raises(InputError, match="did not write"):
        main(["--output_dir", str(tmp_path), *SMALL])
    assert [path.name for path in tmp_path.iterdir()] == ["train.txt"]


def test_refuses_its_own_folder_once_other_files_lie_in_it(tmp_path):
    main(["--output_dir", str(tmp_path / "sample"), *SMALL])
    (tmp_path / "sample" / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(InputError, match=r"notes\.txt"):
        main(["--output_dir", str(tmp_path / "sample"), *SMALL])
    assert (tmp_path / "sample" / "notes.txt").read_text(encoding="utf-8") == "mine"


def test_refuses_a_file_and_a_link_as_folder(tmp_path):
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    (tmp_path / "link").symlink_to(tmp_path)
    for name in ("file", "link"):
        with pytest.raises(InputError, match="not a folder"):
            main(["--output_dir", str(tmp_path / name), *SMALL])


def test_refuses_too_few_rows_for_its_leaves():
    with pytest.raises(InputError, match="--test_rows is 60"):
        SampleOptions(test_rows=60)


def test_largest_remainders_share_out_everything_in_proportion():
    assert largest_remainders([1, 1, 2], 8) == [2, 2, 4]
    assert largest_remainders([1, 1, 1], 8) == [3, 3, 2]
    assert largest_remainders([Fraction("0.1"), Fraction("0.9")], 4) == [0, 4]
