"""What a server that answers by a new version first is stopped for."""

from unittest.mock import Mock

import pytest

from pipeline.errors import ServerError
from serving.triton.metrics import Served
from serving.triton.watch import SILENT_LOOKS, Watch, worse


def served(requests=1000, failed=0, empty=0, milliseconds=10):
    answered = requests - failed
    return Served(answered, failed, failed, requests, empty, answered * milliseconds / 1000)


@pytest.mark.parametrize(
    ("first", "others", "usual", "reason"),
    [
        (served(), served(), 1, ""),
        (served(failed=15), served(), None, ""),  # fewer than two of a hundred more
        (served(200, failed=10), served(200, failed=4), None, ""),  # by chance
        (served(failed=50), served(failed=10), None, "50 of 1000 requests fail (50 as surplus)"),
        (served(19, failed=19), served(), None, ""),  # too few
        (served(30, failed=9), served(), None, "9 of 30 requests fail (9 as surplus)"),
        (served(empty=150), served(empty=100), None, ""),
        (served(empty=300), served(empty=100), None, "300 of 1000 texts get no label"),
        (served(milliseconds=29), served(), 1, ""),
        (served(milliseconds=50), served(), None, ""),  # time is judged in the end
        (served(milliseconds=50), served(), 1, "a request takes 50 ms, at the others 10 ms"),
        (served(10), served(), 0, ""),  # nobody knows how much it is asked
        (served(10), served(), 0.5, "its callers avoid it: 10 requests, and 500 were to be expected"),
    ],
)
def test_what_counts_as_worse(first, others, usual, reason):
    assert worse(first, others, usual).startswith(reason) and bool(worse(first, others, usual)) == bool(reason)


@pytest.mark.parametrize("silent", [SILENT_LOOKS - 1, SILENT_LOOKS], ids=["started anew", "gone"])
def test_a_canary_that_dies_while_it_is_watched_is_no_success(silent, monkeypatch):
    looks = []
    canary, other = (Mock(address=name) for name in ("canary", "other"))
    canary.pinned_version.side_effect = lambda: 2 if len(looks) < 3 else 1

    def read(server, version):
        if server is canary:
            looks.append(version)
            if 3 <= len(looks) < 3 + silent:
                raise ServerError("canary is not reachable")
        return served()

    monkeypatch.setattr(Watch, "_read", staticmethod(read))
    reason = "not reachable" if silent == SILENT_LOOKS else "canary was started anew .*, and answers by version 1"
    with pytest.raises(ServerError, match=reason):
        Watch(canary, [other], 2, 1, sleep=lambda seconds: None).run(600)
    assert len(looks) == 2 + silent + (silent < SILENT_LOOKS)
