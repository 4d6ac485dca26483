"""Bundles that hold rows of the training set, so that explanations show those that a text is like."""

import json
import shutil
from collections import Counter
from dataclasses import replace

import pytest

from pipeline.errors import BundleError, InputError
from pipeline.explanation.neighbours import Neighbours
from pipeline.files.bundle import Bundle, stage
from pipeline.files.checksums import write_all_checksums
from pipeline.files.dataset import Example, read_examples
from pipeline.output import FORMATS
from pipeline.predictor import Predictor
from training.checkpoint.files import read_checkpoint
from training.checkpoint.kept_rows import MOST_ROWS, chosen, kept_rows
from training.export_model import ExportOptions, main


@pytest.fixture(scope="module")
def exported(checkpoint, tmp_path_factory):
    folder = tmp_path_factory.mktemp("with_examples") / "export"
    main(["--params_path", str(checkpoint), "--output_path", str(folder), "--with_examples"])
    return Bundle(folder)


def test_a_bundle_with_training_rows_says_so_and_shows_them(exported, sample_dataset):
    rows = list(read_examples(sample_dataset / "train.txt", exported.hierarchy))
    labels = {label for row in rows for label in row.labels}
    kept = list(read_examples(exported.file("examples.txt"), exported.hierarchy))
    assert len(kept) == exported.manifest.examples == len({row for row in rows if row.labels})
    assert {label for row in kept for label in row.labels} == labels
    assert json.loads(exported.file("bundle.json").read_text("utf-8"))["format_version"] == 8
    assert f"`examples.txt` holds {len(kept):,} rows of the training set" in exported.file("README.md").read_text(
        "utf-8"
    )
    text = next(row.text for row in rows if row.labels)
    (answer,) = Predictor(exported).explain([text])
    assert all(near[0].text == text for near in answer.why.neighbours.values())
    assert {name: text[:20] in show("x", answer) for name, show in FORMATS.items()} == dict.fromkeys(FORMATS, True)


def test_a_bundle_without_them_is_as_before(bundle_path):
    bundle = Bundle(bundle_path)
    assert "examples" not in json.loads(bundle.file("bundle.json").read_text("utf-8"))
    (answer,) = Predictor(bundle).explain(["某公司宣布裁员两千人"])
    assert answer.why.neighbours is None and "like:" not in FORMATS["tree"]("x", answer)


def test_a_part_of_a_bundle_without_the_rows_has_no_neighbours(exported, tmp_path):
    stage(exported, exported.reading_files, tmp_path)
    assert Bundle(tmp_path).manifest.examples and Neighbours.of(Bundle(tmp_path)) is None


def test_of_too_many_rows_every_label_keeps_some():
    rows = [Example(f"text {number}", (0, 1 + (number % 7 == 0))) for number in range(3 * MOST_ROWS)]
    rows += [Example("rare", (3,)), Example("rarer", (0, 4))]
    kept = chosen(rows, 5)
    counts = Counter(label for row in kept for label in row.labels)
    assert len(kept) == MOST_ROWS and kept == chosen(rows, 5)
    assert counts[3] == counts[4] == 1 and counts[2] == sum(2 in row.labels for row in rows) < counts[1]
    assert len(chosen([Example("x", (label,)) for label in range(MOST_ROWS + 9)], MOST_ROWS + 9)) == MOST_ROWS + 9


def test_rows_are_kept_once_and_in_one_line(checkpoint, tmp_path):
    trained = read_checkpoint(checkpoint)
    label = trained.hierarchy.labels[0]
    (tmp_path / "train.txt").write_text(f"a\x0bb\t{label}\na b\t{label}\n{'字' * 999}\t{label}\nnowhere\n", "utf-8")
    moved = replace(
        trained, record=replace(trained.record, options={"dataset_dir": tmp_path, "train_file": "train.txt"})
    )
    assert [row.text for row in kept_rows(moved)] == ["a b", "字" * 199 + "…"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "is not there; bring it back"),
        ("a text\tno label of it\n", "do not fit the model"),
        ("a text\n", "none of them has a label"),
    ],
)
def test_rows_that_cannot_be_kept_are_refused(checkpoint, tmp_path, content, said):
    trained = read_checkpoint(checkpoint)
    if content is not None:
        (tmp_path / "train.txt").write_text(content, "utf-8")
    options = {"dataset_dir": tmp_path, "train_file": "train.txt"}
    with pytest.raises(InputError, match=said):
        kept_rows(replace(trained, record=replace(trained.record, options=options)))
    with pytest.raises(InputError, match="choose one"):
        ExportOptions(with_examples=True, no_texts=True)


def test_rows_that_are_none_of_the_model_are_refused(exported, tmp_path):
    folder = shutil.copytree(exported.path, tmp_path / "export")
    (folder / "examples.txt").write_text("a text\tunknown\n", "utf-8")
    write_all_checksums(folder)
    with pytest.raises(BundleError, match="export the bundle again"):
        Predictor(folder).explain(["x"])
