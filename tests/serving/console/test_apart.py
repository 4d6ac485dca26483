"""Files are worked on in processes of their own, which take nothing from other callers."""

import json
import os
import signal
import threading
import time
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests.conftest import ENVIRONMENT
from tests.serving.console.running import PATIENCE, Console
from tests.serving.tiny_model import eventually

SMALL = {"header": ["text"], "rows": [["地震"]]}
TEXT = {"texts": ["地震"]}
CELLS_OF_ROW = 100


def sized(cells):
    return {"header": [], "rows": [["x"] * CELLS_OF_ROW] * (cells // CELLS_OF_ROW)}


def workers(console):
    """The processes that the console has started and that still are."""
    pid = console.process.pid
    return [int(each) for path in Path(f"/proc/{pid}/task").glob("*/children") for each in path.read_text().split()]


def gone(pid):
    deadline = time.monotonic() + PATIENCE
    while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    return not Path(f"/proc/{pid}").exists()


@contextmanager
def meanwhile(console, bodies):
    """Ask for a workbook of each, at once; gives the list that the answers' statuses and errors go to."""
    answers = []

    def ask(body):
        status, given, _ = console.ask("/workbook", body)
        answers.append((status, given["error"] if status != 200 else ""))

    callers = [threading.Thread(target=ask, args=(body,)) for body in bodies]
    for each in callers:
        each.start()
    try:
        yield answers
    finally:
        for each in callers:
            each.join(PATIENCE)


class Hasty(Console):
    """A console in which a job may take eight seconds."""

    START = (
        "-c",
        "from pipeline.command import run; from serving.console import __main__ as console;"
        "from serving.console.files import apart; apart.MOST_SECONDS = 8.0; run(console.main)",
    )


@pytest.fixture
def patient(bundle_path):
    with Console("--bundle", bundle_path) as running:
        yield running


def test_a_process_is_kept_for_the_next_file_and_ends_with_the_console(bundle_path):
    with Console("--bundle", bundle_path) as console:
        assert workers(console) == []
        for _ in range(3):
            assert console.ask("/workbook", SMALL)[0] == 200
            assert console.ask("/texts?name=a.txt", b"a", Content_Type="application/octet-stream")[0] == 200
        (worker,) = workers(console)
        os.kill(worker, signal.SIGKILL)
        assert gone(worker)
        assert console.ask("/workbook", SMALL)[0] == 200
        (worker,) = workers(console)
        console.process.kill()
        assert gone(worker)
        console.said = "error:"  # it is gone already


def test_of_a_file_that_outlives_the_console_nothing_is_left(bundle_path, monkeypatch, tmp_path):
    monkeypatch.setitem(ENVIRONMENT, "TMPDIR", str(tmp_path))
    with Console("--bundle", bundle_path) as console:
        connection = HTTPConnection("127.0.0.1", console.port)
        connection.request("POST", "/workbook", json.dumps(sized(400_000)), {"Content-Type": "application/json"})
        eventually(lambda: any(tmp_path.glob("console*/*")) and workers(console))
        (worker,) = workers(console)
        console.process.kill()
        connection.close()
        assert gone(worker)
        console.said = "error:"  # it is gone already
    assert list(tmp_path.glob("console*")) == []


def test_a_table_of_too_many_cells_is_refused(console):
    status, refused, _ = console.ask("/workbook", sized(500_000 + CELLS_OF_ROW))
    assert (status, refused["error"]) == (
        400,
        "the table has more than 500,000 cells; take .csv or .jsonl, or split it",
    )
    status, refused, _ = console.ask("/workbook", b'{"header": [], "rows": [' + b"[]," * 1_000_000 + b"[]]}")
    assert (status, refused["error"][:5]) == (422, "rows:")


def test_a_process_that_is_killed_is_told_of(patient):
    with meanwhile(patient, [sized(400_000)]) as answers:
        deadline = time.monotonic() + PATIENCE
        while not (started := workers(patient)) and time.monotonic() < deadline:
            time.sleep(0.05)
        (worker,) = started
        os.kill(worker, signal.SIGKILL)
    ((status, said),) = answers
    assert (status, said.startswith("the table cannot be used: the process that worked on it ended with")) == (
        400,
        True,
    )
    assert gone(worker)
    assert patient.ask("/workbook", SMALL)[0] == 200


def test_callers_that_wait_for_files_keep_nobody_from_answers(bundle_path):
    with Hasty("--bundle", bundle_path) as console:
        while not (stopped := workers(console)):
            with meanwhile(console, [SMALL] * 2):
                pass
        for each in stopped:
            os.kill(each, signal.SIGSTOP)
        with meanwhile(console, [SMALL] * 60) as answers:
            time.sleep(0.5)
            started = time.monotonic()
            assert console.ask("/classify", TEXT)[0] == 200
            assert time.monotonic() - started < 20
        assert {status for status, _ in answers} <= {200, 400, 503}
        assert (400, "the table takes longer than 8 s; split it") in answers
        assert all(gone(each) for each in stopped)


def test_a_workbook_of_another_form_is_refused_as_other_requests_are(console):
    for body, status, said in (
        (b"{", 422, "the body is no JSON: Expecting property name"),
        (b'{"header": [], "header": [], "rows": []}', 400, "an object has the key 'header' twice"),
        (json.dumps({"header": [], "rows": [["a", True]]}).encode(), 422, "rows.0.1.str: "),
        (b'{"header": [1], "rows": []}', 422, "header.0: "),
        (b'{"header": [], "rows": [], "sheet": 1}', 422, "sheet: "),
        (b"[" * 100_000, 400, "the body is no JSON that can be used"),
    ):
        given, refused, _ = console.ask("/workbook", body)
        assert (given, said in refused["error"]) == (status, True), refused
