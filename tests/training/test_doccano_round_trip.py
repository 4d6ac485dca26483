"""A dataset folder as doccano's JSONL, and back."""

import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import DatasetError, InputError
from pipeline.files.dataset import read_examples, read_labels
from pipeline.text.normalisation import comparable, text_fault
from tests.conftest import REAL_DATA
from tests.doccano import LABELLED, convert, lines, records, write_records
from training.data.row_collector import closed, single_line
from training.doccano import main

LABELS = ["人生", "人生##死亡", "灾害/意外", "灾害/意外##车祸", "灾害/意外##车祸##追尾", "x y"]
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(
    lambda text: not text_fault(text) and single_line(text) == text
)


@st.composite
def datasets(draw):
    """Rows of train, dev and test, as (text, leaf labels), and texts of data.txt; no text occurs twice."""
    texts = draw(st.lists(TEXTS, min_size=4, max_size=20, unique_by=comparable))
    cuts = sorted(draw(st.lists(st.integers(1, len(texts)), min_size=3, max_size=3, unique=True)))
    labels = st.sets(st.sampled_from(LABELS), min_size=1)
    parts = [texts[start:end] for start, end in zip([0, *cuts], [*cuts, len(texts)])]
    return [[(text, draw(labels)) for text in part] for part in parts[:3]], parts[3]


def write_dataset_folder(folder: Path, labelled, texts):
    folder.mkdir()
    (folder / "label.txt").write_text("".join(f"{label}\n" for label in LABELS), encoding="utf-8")
    for name, rows in zip(LABELLED, labelled):
        content = [f"{text}\t{','.join(sorted(closed(labels), key=LABELS.index))}\n" for text, labels in rows]
        (folder / name).write_bytes("".join(content).encode())
    if texts:
        (folder / "data.txt").write_bytes("".join(f"{text}\n" for text in texts).encode())
    return folder


def contents(folder):
    return {entry.name: entry.read_bytes() for entry in folder.iterdir()}


@settings(max_examples=25)  # each one writes three dataset folders to the disk
@given(datasets())
def test_a_dataset_comes_back_from_doccano_as_it_was(tmp_path_factory, dataset):
    place = tmp_path_factory.mktemp("round")
    folder = write_dataset_folder(place / "data", *dataset)
    main(["--export", str(place / "doccano.jsonl"), "--dataset_dir", str(folder)])
    again = convert(place / "doccano.jsonl", place / "again", "--keep_splits", "--label_file", folder / "label.txt")
    assert contents(again) == contents(folder)
    resplit = convert(place / "doccano.jsonl", place / "resplit")
    labels = read_labels(resplit / "label.txt")
    rows = [row for name in LABELLED for row in read_examples(resplit / name, labels)]
    expected = Counter((text, frozenset(closed(leaves))) for part in dataset[0] for text, leaves in part)
    assert Counter((text, frozenset(labels.labels[place] for place in places)) for text, places in rows) == expected
    assert set(labels.labels) == {label for _, row_labels in expected for label in row_labels}


def test_an_export_has_the_deepest_labels_and_the_split_of_each_row(tmp_path):
    rows = [[("甲", {"灾害/意外##车祸", "人生"})], [("乙", {"x y"})], [("丙", {"人生##死亡"})]]
    folder = write_dataset_folder(tmp_path / "data", rows, ["丁"])
    target = tmp_path / "doccano.jsonl"
    main(["--export", str(target), "--dataset_dir", str(folder)])
    assert [json.loads(line) for line in target.read_text(encoding="utf-8").splitlines()] == [
        {"text": "甲", "label": ["人生", "灾害/意外##车祸"], "split": "train"},
        {"text": "乙", "label": ["x y"], "split": "dev"},
        {"text": "丙", "label": ["人生##死亡"], "split": "test"},
        {"text": "丁", "label": [], "split": "data"},
    ]
    with pytest.raises(InputError, match="exists already.*--overwrite"):
        main(["--export", str(target), "--dataset_dir", str(folder)])
    main(["--export", str(target), "--dataset_dir", str(folder), "--parts", "dev", "--overwrite"])
    assert [json.loads(line)["text"] for line in target.read_text(encoding="utf-8").splitlines()] == ["乙"]


def test_a_text_of_data_txt_that_was_labelled_meanwhile_joins_the_others(tmp_path, capsys):
    source = write_records(
        tmp_path / "doccano.jsonl",
        {"text": "甲", "label": ["a"], "split": "train"},
        {"text": "乙", "label": ["a"], "split": "dev"},
        {"text": "丙", "label": ["a"], "meta": {"split": "test"}},
        {"text": "丁", "label": ["a"], "split": "data"},
        {"text": "戊", "label": [], "split": "train"},
    )
    folder = convert(source, tmp_path / "data", "--keep_splits", "--splits", 1, 0)
    assert [lines(folder, name) for name in (*LABELLED, "data.txt")] == [
        ["甲\ta", "丁\ta"],
        ["乙\ta"],
        ["丙\ta"],
        ["戊"],
    ]
    assert not capsys.readouterr().err
    convert(source, folder, "--splits", 0.5, 0.5, "--overwrite")
    assert "5 rows name the split that they came from; --keep_splits" in capsys.readouterr().err


def test_a_failed_export_leaves_the_old_file(tmp_path):
    folder = write_dataset_folder(tmp_path / "data", [[("甲", {"人生"})], [("乙", {"人生"})], []], [])
    (folder / "dev.txt").write_text("乙\t不存在\n", encoding="utf-8")
    target = tmp_path / "doccano.jsonl"
    target.write_text("old")
    with pytest.raises(DatasetError, match=r"dev\.txt:1: unknown label"):
        main(["--export", str(target), "--dataset_dir", str(folder), "--overwrite"])
    assert target.read_text() == "old"
    with pytest.raises(InputError, match="go together"):
        main(["--export", str(target)])


@pytest.mark.parametrize("name", ["duee1", "clinc150", "reuters21578"])
def test_real_datasets_make_the_round_trip(tmp_path, name):
    folder = REAL_DATA / name
    if not (folder / "label.txt").exists():
        pytest.skip(f"{folder} is not on this machine")
    target = tmp_path / "doccano.jsonl"
    main(["--export", str(target), "--dataset_dir", str(folder), "--parts", "dev"])
    again = convert(target, tmp_path / "again", "--keep_splits", "--splits", 0, 1, "--label_file", folder / "label.txt")
    labels = read_labels(folder / "label.txt")
    assert read_labels(again / "label.txt").labels == labels.labels
    before = [(single_line(text), places) for text, places in read_examples(folder / "dev.txt", labels)]
    assert list(read_examples(again / "dev.txt", labels)) == list(dict.fromkeys(before))


def test_an_export_does_not_replace_a_file_of_its_dataset(tmp_path):
    write_dataset_folder(tmp_path / "data", [[("甲", {"x y"})]] * 3, [])
    before = (tmp_path / "data" / "train.txt").read_bytes()
    arguments = [
        "--dataset_dir",
        str(tmp_path / "data"),
        "--export",
        str(tmp_path / "data" / "train.txt"),
        "--overwrite",
    ]
    with pytest.raises(InputError, match="--export .* would overwrite .*train.txt"):
        main(arguments)
    assert (tmp_path / "data" / "train.txt").read_bytes() == before


def test_a_source_in_the_folder_that_would_be_replaced_is_refused(tmp_path):
    (tmp_path / "data").mkdir()
    source = write_records(tmp_path / "data" / "data.txt", *records(30))
    before = source.read_bytes()
    (tmp_path / "link").symlink_to("data")
    for folder, path in (("data", source), ("link", source), ("data", tmp_path / "link" / "data.txt")):
        with pytest.raises(InputError, match=r"data\.txt, which is read and would be lost; give another folder"):
            convert(path, tmp_path / folder, "--overwrite")
    assert source.read_bytes() == before
