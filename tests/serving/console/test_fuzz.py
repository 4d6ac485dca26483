"""Requests made from the console's own description: none is answered by a fault, each answer is as described."""

import subprocess

import pytest

from tests.conftest import PROJECT
from tests.serving.console.running import Console

FUZZER = PROJECT / ".venv-fuzz" / "bin" / "schemathesis"
SEED, EXAMPLES = 1, 5
LEFT_OUT = (
    "positive_data_acceptance",  # an empty text, or a label that the model has not, is refused in words
    "unsupported_method",  # what is no JSON is refused before the path is looked at
)


def test_no_request_is_answered_by_a_fault_or_otherwise_than_described(bundle_path, tmp_path):
    if not FUZZER.exists():
        pytest.skip("there is no .venv-fuzz; make test prepares it")
    with Console("--bundle", bundle_path, "--feedback_file", tmp_path / "feedback.jsonl") as console:
        words = ["run", f"{console.url}openapi.json", "--seed", SEED, "--max-examples", EXAMPLES, "--no-color"]
        words += ["--continue-on-failure", "--exclude-checks", ",".join(LEFT_OUT), "--generation-database", "none"]
        done = subprocess.run(
            list(map(str, [FUZZER, *words, "--phases", "coverage,fuzzing"])),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert console.ask("/health")[0] == 200
    assert "Traceback" not in console.output


def test_values_of_other_types_are_not_taken_for_what_they_could_mean(console):
    for field, value in (("top_k", True), ("threshold", "0.5"), ("explain", "yes"), ("explain", 1)):
        status, refused, _ = console.ask("/classify", {"texts": ["地震"], field: value})
        assert (status, refused["error"].split(":")[0]) == (422, field)
    assert console.ask("/workbook", {"header": [], "rows": [[False]]})[0] == 422
    assert console.ask("/classify", {"texts": ["地震"], "threshold": 0.5, "top_k": 1})[0] == 200


def test_a_method_that_a_path_does_not_know_is_told_which_it_does(console):
    status, _, headers = console.ask("/model", {})
    assert (status, headers["allow"]) == (405, "GET")
