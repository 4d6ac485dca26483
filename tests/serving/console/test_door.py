"""Who may ask the console."""

import select
import socket
import time
from http.client import HTTPConnection

import pytest

from pipeline.errors import InputError
from serving import stop
from serving.console.options import ConsoleOptions
from tests.conftest import run_in_process
from tests.serving.console.running import Console

BODY = {"texts": ["地震"]}
TOKEN = "0123456789abcdef"


@pytest.fixture(scope="module")
def closed(bundle_path, tmp_path_factory):
    """A console that needs a token."""
    file = tmp_path_factory.mktemp("token") / "token.txt"
    file.write_text(f"{TOKEN}\n")
    with Console("--bundle", bundle_path, "--token_file", file, "--allowed_host", "models.example.com") as running:
        yield running


def test_another_name_or_another_site_is_refused(console):
    own = f"127.0.0.1:{console.port}"
    assert console.ask("/classify", BODY, Origin=f"http://{own}")[0] == 200
    assert console.ask("/classify", BODY, Host=f"localhost:{console.port}")[0] == 200
    for host in ("evil.example", f"evil.example:{console.port}", "127.0.0.1", ""):
        assert console.ask("/model", Host=host)[0] == 421
    for origin in ("http://evil.example", "null", f"http://{own}.evil.example", "http://127.0.0.1:1"):
        assert console.ask("/classify", BODY, Origin=origin)[0] == 403


def test_a_body_that_a_foreign_page_could_send_is_refused(console):
    assert console.ask("/classify", BODY, Content_Type="Application/JSON; charset=utf-8")[0] == 200
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""):
        assert console.ask("/classify", BODY, Content_Type=kind)[0] == 415


def test_a_body_that_is_too_large_is_not_read(console):
    with socket.create_connection(("127.0.0.1", console.port)) as caller:
        caller.sendall(
            f"POST /classify HTTP/1.1\r\nHost: 127.0.0.1:{console.port}\r\nContent-Type: application/json\r\n"
            "Transfer-Encoding: chunked\r\n\r\n".encode()
        )
        chunk = b"100000\r\n" + b" " * (1 << 20) + b"\r\n"
        answered = b""
        for _ in range(32):
            try:
                caller.sendall(chunk)
            except OSError:
                break
        caller.settimeout(30)
        answered = caller.recv(1 << 16)
    assert b" 413 " in answered.splitlines()[0]
    assert console.ask("/health")[0] == 200


def test_who_sends_too_much_gets_the_refusal_and_no_reset(console):
    for size in (17 << 20, 40 << 20):
        status, refused, _ = console.ask("/classify", b" " * size)
        assert (status, refused["error"][:23]) == (413, "the request is larger t")
    assert console.ask("/classify", b" " * (2 << 20), Host="evil.example")[0] == 421


def test_stop_ends_the_console_and_lists_it(bundle_path):
    with Console("--bundle", bundle_path) as console:
        state = ("--state_dir", console.state_dir)
        name = f"console-{console.port}"
        listed = run_in_process(stop.main, "--dry_run", *state)
        assert (listed.returncode, listed.stdout) == (5, f"{name} is running (process {console.process.pid})\n")
        assert f"stopped {name} " in run_in_process(stop.main, "--only", "console", *state).stdout
        assert "no server is running" in run_in_process(stop.main, *state).stdout
    assert (console.status, console.output) == (0, "console stopped\n")


def test_callers_that_say_nothing_keep_nobody_out(console):
    silent = [socket.create_connection(("127.0.0.1", console.port)) for _ in range(300)]
    try:
        assert console.ask("/classify", BODY)[0] == 200
    finally:
        for each in silent:
            each.close()


class Hasty(Console):
    """A console that waits for headers a second only, and takes few connections."""

    START = (
        "-c",
        "from pipeline.command import run; from serving.console import __main__ as console, connections;"
        "connections.HEADER_SECONDS, connections.MOST_CONNECTIONS = 1.0, 20;"
        "connections.READING_SECONDS, connections.LEAST_READ_BYTES = 2.0, 1000; run(console.main)",
    )


def test_callers_whose_headers_do_not_arrive_are_sent_away(bundle_path):
    with Hasty("--bundle", bundle_path) as console:
        slow = [socket.create_connection(("127.0.0.1", console.port), timeout=30) for _ in range(20)]
        for each in slow[1:]:
            each.sendall(b"GET /")
        status, refused, _ = console.ask("/health")
        assert (status, refused) == (503, {"error": "there are too many connections; ask again later"})
        answered = [b"".join(iter(lambda each=each: each.recv(4096), b"")) for each in slow]
        assert answered[0] == b""
        assert {each.partition(b"\r\n")[0].split()[1] for each in answered[1:]} == {b"408"}
        assert answered[1].endswith(b'{"error": "the headers took more than 1 s to arrive"}')
        kept = HTTPConnection("127.0.0.1", console.port, timeout=30)
        for _ in range(2):  # the second on the same connection, after a while
            kept.request("GET", "/health")
            assert kept.getresponse().read() == b"ok\n"
            time.sleep(1.5)
        kept.close()
        for each in slow:
            each.close()


def test_callers_that_do_not_read_are_sent_away_and_those_that_read_slowly_are_not(bundle_path):
    with Hasty("--bundle", bundle_path) as console:
        page = len(console.ask("/")[1].encode())
        answers = 8_000_000 // page  # more than the system holds for a caller
        request = f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{console.port}\r\n\r\n".encode()
        with socket.socket() as deaf, socket.socket() as slow:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            for each in (deaf, slow):
                each.settimeout(60)
                each.connect(("127.0.0.1", console.port))
                each.sendall(request * answers)
            got, started = 0, time.monotonic()
            while got < answers * page and (block := slow.recv(1 << 16)):
                got += len(block)
                time.sleep(0.02)
            assert got >= answers * page
            assert time.monotonic() - started > 2
            gone = select.poll()
            gone.register(deaf, 0)  # what is told unasked: that the connection has ended
            assert gone.poll(60_000)
        assert console.ask("/health")[0] == 200


def test_without_the_token_there_is_only_the_page(closed):
    assert closed.ask("/")[0] == closed.ask("/health")[0] == 200
    for path, body in (
        ("/model", None),
        ("/classify", BODY),
        ("/scores", BODY),
        ("/metrics", None),
        ("/openapi.json", None),
    ):
        assert closed.ask(path, body)[0] == 401
        assert closed.ask(path, body, Authorization="Bearer 0123456789abcdeF")[0] == 401
        assert closed.ask(path, body, Cookie="console-token=\xff; ;=")[0] == 401
        assert closed.ask(path, body, Authorization=f"Bearer {TOKEN}")[0] == 200
    assert closed.ask("/model", Host="models.example.com", Authorization=f"Bearer {TOKEN}")[0] == 200


def test_signing_in_gives_a_cookie_that_scripts_and_other_sites_cannot_use(closed):
    assert closed.ask("/sign-in", {"token": "wrong"})[0] == 401
    status, _, headers = closed.ask("/sign-in", {"token": TOKEN})
    assert status == 200
    cookie = headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    own = cookie.split(";")[0]
    for others in ("", 'prefs={"a":1}; ', 'x="; ', "a b=1; "):  # of whatever else runs on this address
        assert closed.ask("/model", Cookie=f"{others}{own}")[0] == 200
    assert closed.ask("/sign-in", {"token": "a" * 5000})[0] == 413


def test_beyond_this_machine_a_token_is_needed(tmp_path):
    with pytest.raises(InputError, match=r"--host 0\.0\.0\.0 lets others ask; give --token_file"):
        ConsoleOptions(host="0.0.0.0")
    short = tmp_path / "short"
    short.write_text("secret")
    with pytest.raises(InputError, match="one word of 16 or more letters"):
        ConsoleOptions(host="0.0.0.0", token_file=short).token()
    with pytest.raises(InputError, match="cannot be read"):
        ConsoleOptions(host="0.0.0.0", token_file=tmp_path / "absent").token()
