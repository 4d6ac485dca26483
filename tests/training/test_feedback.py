"""feedback.py: what people said of answers becomes rows to train on."""

from dataclasses import replace

import pytest

from pipeline.errors import InputError
from pipeline.files.dataset import read_examples, read_labels
from pipeline.files.feedback import Correction, FeedbackFile
from training.feedback import FeedbackOptions, apply, main

LABELS = ("组织关系", "组织关系##裁员", "组织关系##加盟", "灾害")
SAID = Correction("2026-01-31T12:00:00Z", "Anna", "0123456789ab", "公司裁员", (), ("组织关系##裁员",))
BEFORE = {"公司裁员": {"组织关系", "组织关系##加盟"}, "地震": {"灾害"}}


@pytest.fixture
def dataset(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "label.txt").write_text("\n".join(LABELS) + "\n")
    (folder / "train.txt").write_text("公司裁员\t组织关系,组织关系##加盟\n地震\t灾害\n")
    (folder / "dev.txt").write_text("某厂裁员\t组织关系,组织关系##裁员\n")
    (folder / "data.txt").write_text("洪水\n")
    return folder


def applied(dataset, *corrections, **options):
    """The rows of the new train.txt, and what was noted."""
    kept = FeedbackFile(dataset.parent / "feedback.jsonl")
    for each in corrections:
        kept.add(each)
    places = {"dataset_dir": dataset, "feedback_file": (kept.path,), "save_dir": dataset.parent / "corrected"}
    written = apply(FeedbackOptions(**places, **options))
    hierarchy = read_labels(written.folder / "label.txt")
    rows = {
        text: {hierarchy.labels[position] for position in positions}
        for text, positions in read_examples(written.folder / "train.txt", hierarchy)
    }
    return rows, written.notes


def test_a_corrected_row_gets_its_labels_and_a_new_one_is_added(dataset):
    flood, gossip = replace(SAID, text="洪灾", labels=("灾害",)), replace(SAID, text="闲话", labels=())
    rows, notes = applied(dataset, SAID, flood, gossip)
    assert rows == {"公司裁员": set(LABELS[:2]), "地震": {"灾害"}, "洪灾": {"灾害"}, "闲话": set()}
    assert notes == ("train.txt: 2 rows added; 1 text got other labels",)
    assert (dataset.parent / "corrected" / "dev.txt").read_bytes() == (dataset / "dev.txt").read_bytes()
    assert (dataset.parent / "corrected" / "data.txt").read_text() == "洪水\n"


def test_of_a_person_the_last_word_counts(dataset):
    rows, _ = applied(dataset, replace(SAID, labels=("灾害",)), replace(SAID, labels=None), SAID)
    assert rows["公司裁员"] == set(LABELS[:2])


def test_of_several_files_the_time_decides_not_their_order(dataset):
    later = replace(SAID, time="2026-01-31T12:00:01Z", labels=("灾害",))
    files = [dataset.parent / name for name in ("later.jsonl", "earlier.jsonl")]
    for file, each in zip(files, (later, SAID)):
        FeedbackFile(file).add(each)
    with files[0].open("a") as stream:
        stream.write('{"time": "2026')
    for number, order in enumerate((files, files[::-1])):
        written = apply(FeedbackOptions(dataset, tuple(order), dataset.parent / f"corrected {number}"))
        assert "公司裁员\t灾害\n" in (written.folder / "train.txt").read_text()
        assert f"1 line in pieces passed over, the first of them {files[0]}:2" in written.notes


@pytest.mark.parametrize("other", [("组织关系##加盟",), ()])
def test_where_people_disagree_nothing_changes_and_the_text_is_listed(dataset, other):
    rows, notes = applied(dataset, SAID, replace(SAID, who="Bo", labels=other))
    assert rows == BEFORE
    assert notes[1] == "1 text judged in different ways: left out"
    assert notes[2].startswith("'公司裁员': Anna: 组织关系,组织关系##裁员; Bo: ")


def test_who_calls_the_agreed_labels_wrong_disagrees(dataset):
    right = replace(SAID, answered=("组织关系", "组织关系##裁员"))
    rows, notes = applied(dataset, right, replace(right, who="Bo", labels=None))
    assert rows == BEFORE
    assert notes[-1].endswith("; Bo: wrong")


def test_what_cannot_be_taken_is_counted(dataset):
    in_dev, no_more, unknown = (replace(SAID, text=text) for text in ("某厂裁员 ", "一", "二"))
    rows, notes = applied(dataset, in_dev, replace(no_more, labels=None), replace(unknown, labels=("不在其中",)))
    assert rows == BEFORE
    assert set(notes[1:]) == {
        "1 text of dev.txt or test.txt: left out",
        "1 text called wrong without saying what is right: left out",
        "1 text with labels that label.txt does not list: left out",
    }


def test_as_many_people_as_asked_must_agree(dataset):
    rows, notes = applied(dataset, SAID, replace(SAID, who="anna "), agreeing=2)
    assert rows == BEFORE
    assert notes[1:] == ("1 text judged by fewer people than --agreeing: left out",)
    rows, _ = applied(dataset, replace(SAID, who="Bo"), agreeing=2, overwrite=True)
    assert rows["公司裁员"] == set(LABELS[:2])


def test_the_command_says_what_it_did(dataset, capsys):
    FeedbackFile(dataset.parent / "said.jsonl").add(SAID)
    places = ["--feedback_file", dataset.parent / "said.jsonl", "--save_dir", dataset.parent / "new"]
    words = list(map(str, ["--dataset_dir", dataset, *places]))
    main(words)
    said = capsys.readouterr()
    assert "train.txt 2 rows" in said.out
    assert "note: train.txt: 0 rows added; 1 text got other labels" in said.err
    with pytest.raises(InputError, match="holds a dataset already"):
        main(words)
    with pytest.raises(InputError, match="cannot be read"):
        apply(FeedbackOptions(dataset, ("absent.jsonl",), dataset.parent / "third"))
