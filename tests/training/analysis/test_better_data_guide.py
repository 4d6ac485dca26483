"""The guide's three loops, find, fix, train again, run as they stand, on few rows and for one epoch."""

import json
import re
import shlex
import shutil

import pytest

from pipeline.files.dataset import read_examples, read_labels, write_examples, write_labels, write_texts
from tests.conftest import PROJECT
from training import doccano, train
from training.analysis import aug, dirty, sparse

GUIDES = ("README.md", "README.zh-CN.md")
SCRIPTS = {
    "training/analysis/dirty.py": dirty,
    "training/analysis/sparse.py": sparse,
    "training/analysis/aug.py": aug,
    "training/doccano.py": doccano,
    "training/train.py": train,
}
SHRUNK = ("--model_name", "scratch-tiny", "--epochs", "1", "--overwrite")
ANNOTATED = {"data/train_dirty.jsonl": "data/corrected.jsonl", "data/valid.txt": "data/annotated.jsonl"}
"""What the guide takes to doccano, and what it brings back from there."""


def commands(guide):
    """Each command line of the guide's shell blocks, as words."""
    text = (PROJECT / "training" / "analysis" / guide).read_text(encoding="utf-8")
    for block in re.findall(r"```shell\n(.*?)```", text, flags=re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words:
                yield words


@pytest.fixture
def place(sample_dataset, checkpoint, tmp_path, monkeypatch):
    """A folder with data/, a small dataset, and checkpoint/."""
    data = tmp_path / "data"
    data.mkdir()
    hierarchy = read_labels(sample_dataset / "label.txt")
    train_rows, dev_rows = (list(read_examples(sample_dataset / name, hierarchy)) for name in ("train.txt", "dev.txt"))
    write_labels(data / "label.txt", hierarchy)
    write_examples(data / "train.txt", train_rows[:250], hierarchy)
    write_examples(data / "dev.txt", dev_rows[:60], hierarchy)
    write_texts(data / "data.txt", [row.text for row in train_rows[250:400]])
    shutil.copytree(checkpoint, tmp_path / "checkpoint")
    monkeypatch.chdir(tmp_path)
    return {row.text: [hierarchy.labels[label] for label in row.labels] for row in train_rows}


def test_the_loops_run_as_documented(place):
    trained = []
    for words in commands("README.md"):
        if words[0] == "cat":
            *sources, _, target = words[1:]
            with open(target, "wb") as stream:
                for source in sources:
                    with open(source, "rb") as part:
                        stream.write(part.read())
            continue
        assert words[0] == ".venv/bin/python"
        script, options = words[1], words[2:]
        if script == "training/train.py":
            trained.append(options[options.index("--train_file") + 1])
            options = [*options, *SHRUNK]
        elif script == "training/doccano.py":
            given = options[options.index("--doccano_file") + 1]
            source = next(taken for taken, brought in ANNOTATED.items() if brought == given)
            correct(source, given, place)
        SCRIPTS[script].main(options)
    assert trained == ["train_corrected.txt", "train_annotated.txt", "train_supported.txt", "train_augmented.txt"]


def correct(source, target, gold):
    """Be the person in doccano: give every row of the file the labels that it should have."""
    with open(source, encoding="utf-8") as stream:
        texts = [json.loads(line)["text"] if source.endswith("jsonl") else line.rstrip("\n") for line in stream]
    assert texts
    with open(target, "w", encoding="utf-8") as stream:
        stream.writelines(json.dumps({"text": text, "label": gold[text]}) + "\n" for text in texts)


def test_both_guides_have_the_same_commands():
    first, second = map(list, map(commands, GUIDES))
    assert first == second
