import subprocess

import pytest

from tests.conftest import PROJECT


@pytest.mark.parametrize("port", ["99999", "65534", "0", "http"])
def test_a_port_without_two_more_behind_it_is_refused_by_the_name_that_was_given(port):
    words = ["make", "serve", "READY=", f"PORT={port}"]
    done = subprocess.run(words, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert f"error: PORT is {port}; give a whole number, 1 to 65533" in done.stderr
    assert "grpc_port" not in done.stderr
