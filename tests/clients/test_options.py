"""The clients' commands as functions, and what all of them refuse."""

import pytest

from clients import http_client, rpc_client, triton
from clients.http_client import HttpClientOptions
from clients.triton import TritonClientOptions
from pipeline.errors import EnvironmentFault, InputError


def test_a_program_gets_answers_as_they_come(stand_in, tmp_path):
    path = tmp_path / "texts.txt"
    path.write_text("one\ntwo\n", encoding="utf-8")
    options = TritonClientOptions(file=path, url=(stand_in.grpc_address,), batch_size=1)
    answers = triton.classify(options)
    text, predictions = next(answers)
    assert (text, predictions[0].label) == ("one", "one")
    assert next(answers)[0] == "two"


@pytest.mark.parametrize("client", [triton, http_client, rpc_client])
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["text", "--file", "texts.txt"], "give texts or --file, not both"),
        (["--file", "tickets.csv"], "serving.bulk --input tickets.csv --text_column COLUMN reads it"),
        (["--batch_size", "0"], "--batch_size is 0; give a whole number, at least 1"),
        (["--timeout_seconds", "nan"], "--timeout_seconds is nan; give a number, above 0"),
        (["--threshold", "1.5"], "--threshold is 1.5; give a number, above 0 and below 1"),
        (["--policy", "topdown"], "--policy is 'topdown'; .*did you mean top_down"),
    ],
)
def test_what_cannot_be_asked_is_refused_before_anything_is_sent(client, words, message):
    with pytest.raises(InputError, match=message):
        client.main(words)


def test_python_and_the_shell_are_told_the_same():
    with pytest.raises(InputError, match="--retries is -1; give a whole number, at least 0"):
        HttpClientOptions(retries=-1)


def test_rpc_says_what_it_needs():
    with pytest.raises(EnvironmentFault, match=r"make setup-paddle.*clients\.http_client needs none"):
        rpc_client.main(["text"])
