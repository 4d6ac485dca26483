"""Every example runs as its first lines say, against real servers, and fits on a page."""

import ast
import json
import re
import runpy
import subprocess

import pytest

from tests.conftest import PROJECT, run_command

EXAMPLES = sorted((PROJECT / "examples").glob("*.*"))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_an_example_fits_on_a_page_and_says_how_it_is_run(example):
    text = example.read_text(encoding="utf-8")
    assert text.count("\n") <= 40
    about = ast.get_docstring(ast.parse(text)) if example.suffix == ".py" else text.partition("set -eu")[0]
    assert f"examples/{example.name}" in about
    assert example.name.partition(".")[0] in (PROJECT / "tests" / "examples" / "test_examples.py").read_text()


def test_train_and_export(tmp_path, monkeypatch, capsys):
    for name, value in (("FOLDER", tmp_path), ("ROWS", 300), ("EPOCHS", 1)):
        monkeypatch.setenv(name, str(value))
    found = runpy.run_path(str(PROJECT / "examples" / "train_and_export.py"))
    printed = capsys.readouterr().out
    assert "['level 1: micro F1 0." in printed
    assert f"{found['text']} [" in printed
    assert printed.splitlines()[-1].startswith(f"{found['bundle'].identity} [[")
    assert {path.name for path in tmp_path.iterdir()} >= {"data", "checkpoint", "bad_case.txt", "export"}


def test_ask_triton(triton):
    printed = run_command("examples/ask_triton.py", triton.grpc_address).stdout
    assert re.search(r"某公司宣布裁员两千人\n    \S+  [01]\.\d\d\n", printed)
    assert "most likely: [['" in printed
    assert "answered in a stream: 100" in printed
    assert re.search(r"refused: .*row 1: text is empty", printed)


def test_ask_triton_async(triton):
    printed = run_command("examples/ask_triton_async.py", triton.grpc_address).stdout
    assert re.search(r"^某地发生地震: \S+ [01]\.\d\d", printed, re.MULTILINE)
    assert "150 requests at once took" in printed


def test_own_decoding(bundle_path):
    printed = run_command("examples/own_decoding.py", bundle_path).stdout
    assert "own thresholds: [['" in printed
    (paths,) = re.findall(r"own policy: (.*)", printed)
    for path in ast.literal_eval(paths):
        assert path
        assert all(child.rpartition("##")[0] == parent for parent, child in zip(path, path[1:]))


def test_ask_with_curl(triton, service):
    words = [PROJECT / "examples" / "ask_with_curl.sh", triton.http_address, service.http_address]
    printed = subprocess.run(words, capture_output=True, text=True, check=True).stdout.split("\n")
    answers = [json.loads(line) for line in printed if line.startswith("{")]
    assert {output["name"] for output in answers[0]["outputs"]} == {"label", "confidence", "truncated"}
    assert "row 1: text is empty" in answers[1]["error"]
    assert [answer["key"] for answer in answers[2:]] == [["label", "truncated"]] * 2
    assert len(json.loads(answers[3]["value"][0])) == 2
