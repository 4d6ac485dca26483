import json
import subprocess
import sys

import pytest

from clients.triton import TritonClient
from pipeline.errors import InputError, ServerError
from tests.conftest import PROJECT, run_command


def client(triton, *arguments, **options):
    return run_command("-m", "clients.triton", "--url", triton.grpc_address, *arguments, **options)


def test_texts_from_the_command_line_are_answered_as_trees(triton):
    shown = client(triton, "某公司宣布裁员", "两地相继发生地震").stdout
    assert "某公司宣布裁员\n  " in shown
    assert "─ " in shown


def test_a_file_is_answered_line_by_line(triton, sample_dataset):
    path = sample_dataset / "data.txt"
    shown = client(triton, "--file", path, "--format", "jsonl", "--batch_size", 7).stdout.splitlines()
    assert [json.loads(line)["text"] for line in shown] == path.read_text().splitlines()


def test_standard_input_is_answered_as_a_stream(triton):
    words = [sys.executable, "-m", "clients.triton", "--url", triton.grpc_address, "--format", "jsonl"]
    done = subprocess.run(
        words, cwd=PROJECT, input="裁员\n地震\n", capture_output=True, text=True, check=True, timeout=60
    )
    assert len(done.stdout.splitlines()) == 2


def test_rows_before_a_wrong_line_are_answered(triton, tmp_path):
    path = tmp_path / "data.txt"
    path.write_text("裁员\n地震\n\n上市\n")
    done = client(triton, "--file", path, "--format", "jsonl", check=False)
    assert done.returncode == 2
    assert len(done.stdout.splitlines()) == 2
    assert f"error: {path}:3: text is empty" in done.stderr


def test_a_text_that_the_server_refuses_is_placed(triton):
    with (
        TritonClient(triton.grpc_address) as each,
        pytest.raises(InputError, match="in texts 3 to 4: .*row 1: .*empty"),
    ):
        list(each.classify_stream(["一", "二", "三", ""], batch_size=2))


def test_texts_before_one_that_cannot_be_sent_are_answered(triton):
    with TritonClient(triton.grpc_address) as each:
        answers = each.classify_stream(["一", "二", "\udcff"], batch_size=1)
        assert [next(answers)[0], next(answers)[0]] == ["一", "二"]
        with pytest.raises(InputError, match="holds a lone surrogate"):
            next(answers)


def test_nobody_listening_is_said_with_what_to_do():
    done = run_command("-m", "clients.triton", "--url", "127.0.0.1:9", "text", check=False)
    assert done.returncode == 4
    assert "no Triton server answers at 127.0.0.1:9" in done.stderr
    assert "make serve" in done.stderr


def test_an_impatient_client_gets_a_time_out(triton):
    with (
        TritonClient(triton.grpc_address, timeout_seconds=1e-4) as each,
        pytest.raises(ServerError, match=r"0\.0001 s"),
    ):
        each.classify(["裁员"])


def test_no_texts_are_no_request():
    with TritonClient("127.0.0.1:9") as each:
        assert each.classify([]) == []
