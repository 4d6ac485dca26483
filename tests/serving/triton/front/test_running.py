"""How a process that answers callers begins."""

import io
import json
import resource
import signal
from dataclasses import asdict

from serving.process.guard import MOST_FILES
from serving.triton.front.running import PORT_STATUS, FrontSettings, run_front


def test_it_opens_files_up_to_the_cap_even_where_its_user_has_no_limit(monkeypatch):
    """Without a limit, what goes through all possible files takes minutes."""
    limits = []
    settings = FrontSettings("127.0.0.1", 8001, "triton.sock", 1 << 20, (), "")
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(asdict(settings)) + "\n"))
    monkeypatch.setattr(signal, "pthread_sigmask", lambda *_: None)
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, resource.RLIM_INFINITY))
    monkeypatch.setattr(resource, "setrlimit", lambda _, wanted: limits.append(wanted))

    def start(_):
        raise OSError("in use")

    assert run_front("gRPC", start) == PORT_STATUS
    assert limits == [(MOST_FILES, resource.RLIM_INFINITY)]
