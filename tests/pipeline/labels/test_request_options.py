"""Whether a request asks why, in whatever type a client can send."""

import pytest

from pipeline.errors import InputError
from pipeline.labels.request_options import explains


@pytest.mark.parametrize("value", [True, 1, "True", "true", "1"])
def test_yes(value):
    assert explains({"explain": value, "threshold": "0.5"})


@pytest.mark.parametrize("parameters", [{}, {"explain": False}, {"explain": 0}, {"explain": "False"}])
def test_no(parameters):
    assert not explains(parameters)


@pytest.mark.parametrize("value", ["", "yes", 2, 1.0, None, [True], "真"])
def test_neither(value):
    with pytest.raises(InputError, match="request parameter explain is .*; give true or false"):
        explains({"explain": value})
