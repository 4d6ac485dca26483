"""Exports of projects with several annotators, and of other tools."""

import pytest

from pipeline.errors import DatasetError
from tests.conftest import run_command
from tests.doccano import write_records
from training.data.doccano_lines import read_records


def annotators(tmp_path):
    """What doccano exports of a project with two annotators: a file of each, and what nobody has labelled."""
    write_records(tmp_path / "anna.jsonl", *[{"text": f"text {n}", "label": ["a##b"]} for n in range(8)])
    write_records(tmp_path / "bo.jsonl", *[{"text": f"text {n}", "label": ["a##c"]} for n in range(4, 12)])
    unknown = [{"text": f"text {n}", "label": []} for n in range(16)]
    write_records(tmp_path / "unknown.jsonl", *unknown)
    return [tmp_path / f"{name}.jsonl" for name in ("anna", "bo", "unknown")]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_files_of_several_annotators_are_read_as_one(tmp_path, seed):
    done = run_command(
        *("training/doccano.py", "--doccano_file", *annotators(tmp_path), "--save_dir", tmp_path / "data"),
        *("--splits", 0.5, 0.25, 0.25, "--seed", seed),
    )
    files = {
        name: [line.split("\t")[0] for line in (tmp_path / "data" / name).read_text().splitlines()]
        for name in ("train.txt", "dev.txt", "test.txt", "data.txt")
    }
    assert files["data.txt"] == [f"text {n}" for n in range(12, 16)], "what somebody has labelled is not unlabelled"
    labelled = [set(files[name]) for name in ("train.txt", "dev.txt", "test.txt")]
    assert sum(map(len, labelled)) == len(set().union(*labelled)) == 12, "a text stands in one file"
    assert "4 rows with a text that stands elsewhere with other labels; such rows are kept" in done.stderr
    for n in range(4, 8):
        assert f"bo.jsonl:{n - 3}: 'text {n}' is a,a##c, and a,a##b in {tmp_path}/anna.jsonl:{n + 1}" in done.stderr


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ('{"text": "a", "cats": {"x": 1.0}}', "labels are read from 'label' or 'labels', and the keys are cats, text"),
        ('{"text": "a", "accept": ["x"]}', "the keys are accept, text"),
        ('{"sentence": "a", "label": ["x"]}', "no 'text' or 'data' among the keys label, sentence"),
    ],
)
def test_a_row_whose_keys_are_not_understood_names_them(tmp_path, record, said):
    (tmp_path / "doccano.jsonl").write_text(record + "\n")
    with pytest.raises(DatasetError, match=said):
        list(read_records(tmp_path / "doccano.jsonl"))


def test_rows_of_the_newest_doccano_are_read_with_what_it_says_beside(tmp_path):
    """Since 1.8 rows have comments; keys of the row's metadata stand beside the text, the split among them."""
    rows = [
        {
            "id": 7,
            "text": "某公司裁员",
            "label": ["a##b", "a##c"],
            "Comments": ["sure?"],
            "split": "dev",
            "source": "wire",
        },
        {"id": 8, "text": "闲话", "label": [], "Comments": []},
    ]
    first, second = read_records(write_records(tmp_path / "all.jsonl", *rows))
    assert (first.text, first.labels, first.split) == ("某公司裁员", ["a##b", "a##c"], "dev")
    assert (second.text, second.labels, second.split) == ("闲话", [], None)
