"""What is read out of Triton's log."""

from __future__ import annotations

import pytest

from serving.triton.server.log import LogFollower, is_noteworthy, reasons

FAILED = (
    "E1121 20:33:48.215502 6503 model_lifecycle.cc:642] \"failed to load 'bad' version 1: Internal: ValueError: "
    'the bundle 词表 is \\"absent\\"\\n\\nAt:\\n  /models/bad/1/model.py(3): initialize\\n"'
)
ALL_FAILED = "error: creating server: Internal - failed to load all models"


def test_model_error_with_its_place():
    expected = "model 'bad': ValueError: the bundle 词表 is \"absent\" (/models/bad/1/model.py(3): initialize)"
    assert reasons(f"{FAILED}\n{FAILED}\n| bad | 1 | UNAVAILABLE |\n{ALL_FAILED}\n") == [expected]


def test_a_backend_that_the_wheel_lacks_is_named_along_with_what_to_do():
    missing = "unable to find backend library for backend 'onnxruntime', try specifying runtime on the model"
    place = "E1130 00:27:08.963538 28010 model_lifecycle.cc:642]"
    log = f"{place} \"failed to load 'm' version 1: Invalid argument: {missing}\""
    (reason,) = reasons(log)
    assert reason.startswith(
        "model 'm': this tritonserver has no backend 'onnxruntime'; the one of nvidia-pytriton has"
    )
    assert "publish with --backend python, or serve in NVIDIA's container" in reason


@pytest.mark.parametrize(
    ("log", "reason"),
    [
        (ALL_FAILED, ALL_FAILED),
        ("/opt/tritonserver: unrecognized option '--nonsense'\nUsage:\n", "/opt/tritonserver: unrecognized option"),
        (
            "stub: error while loading shared libraries: libpython3.11.so.1.0: cannot open",
            "libraries: libpython3.11.so.1.0",
        ),
        ("tritonserver: /lib/libc.so.6: version `GLIBC_2.38' not found (required by x)", "`GLIBC_2.38' not found"),
    ],
)
def test_reasons_outside_the_logger(log, reason):
    (found,) = reasons(log)
    assert reason in found


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (FAILED, True),
        ('W1121 20:33:54.302561 6648 http_server.cc:1] "slow"', True),
        ('I1121 20:33:54.302561 6648 http_server.cc:1] "Started"', False),
        ('E1121 20:33:54.302715 6648 server.cc:241] "CudaDriverHelper has not been initialized."', False),
        ("+-----+", False),
    ],
)
def test_noteworthy(line, expected):
    assert is_noteworthy(line) is expected


def test_follower_waits_for_whole_lines(tmp_path):
    log = tmp_path / "log"
    log.write_text("one\ntw", encoding="utf-8")
    follower = LogFollower(log)
    assert follower.new_lines() == ["one"]
    with log.open("a", encoding="utf-8") as file:
        file.write("o 二\nthree")
    assert follower.new_lines() == ["two 二"]
    assert follower.new_lines() == []
