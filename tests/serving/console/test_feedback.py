"""What people say of answers is kept: by whose name, at once, and where it cannot be."""

import resource
import threading
from http.client import HTTPConnection

import pytest

from pipeline.errors import InputError
from pipeline.files.feedback import read_feedback
from serving.console.options import ConsoleOptions
from tests.serving.console.running import Console

TEXT = "某公司宣布裁员两千人"
SAID = {"text": TEXT, "answered": ["组织关系"], "labels": ["组织关系##裁员"], "bundle": "0123456789ab"}
PROXY = ("--user_header", "X-Remote-User", "--trusted_proxy", "127.0.0.1")


@pytest.fixture(scope="module")
def behind_proxy(bundle_path, tmp_path_factory):
    """A console that takes this test for its proxy, and its file of corrections."""
    file = tmp_path_factory.mktemp("said") / "feedback.jsonl"
    with Console("--bundle", bundle_path, "--feedback_file", file, *PROXY) as running:
        yield running, file


def test_corrections_are_kept_by_the_name_that_the_proxy_says(behind_proxy):
    console, file = behind_proxy
    assert console.ask("/caller", X_Remote_User="安娜".encode().decode("latin-1"))[1] == {
        "name": "安娜",
        "by_proxy": True,
        "kept": None,
    }
    assert console.ask("/caller")[1] == {"name": None, "by_proxy": True, "kept": None}
    assert console.ask("/feedback", SAID, X_Remote_User="anna")[1]["kept"] is True
    assert console.ask("/feedback", SAID, X_Remote_User="anna")[1]["kept"] is False
    assert console.ask("/feedback", {**SAID, "who": "anna"}, X_Remote_User="anna")[1]["kept"] is False
    status, refused, _ = console.ask("/feedback", {**SAID, "who": "bo"}, X_Remote_User="anna")
    assert (status, "the proxy says 'anna'" in refused["error"]) == (400, True)
    for who in ({}, {"who": "bo"}):
        status, refused, _ = console.ask("/feedback", {**SAID, **who})
        assert (status, refused["error"][:13]) == (401, "sign in first")
    assert [each.who for each in read_feedback(file)] == ["anna"]


def test_a_name_that_could_be_anybodys_is_refused(behind_proxy, bundle_path):
    console, _ = behind_proxy
    assert console.ask("/caller", X_Remote_User="\xff")[0] == 400
    connection = HTTPConnection("127.0.0.1", console.port)
    connection.putrequest("GET", "/caller")
    for name in ("mallory", "anna"):
        connection.putheader("X-Remote-User", name)
    connection.endheaders()
    answer = connection.getresponse()
    assert (answer.status, b"stands 2 times" in answer.read()) == (400, True)
    connection.close()
    with Console("--bundle", bundle_path, "--user_header", "X-Remote-User", "--trusted_proxy", "10.0.0.1") as elsewhere:
        for claimed in ({}, {"X_Forwarded_For": "10.0.0.1"}):
            status, refused, _ = elsewhere.ask("/caller", X_Remote_User="anna", **claimed)
            assert (status, refused["error"][:19]) == (403, "only the proxy says")
    with pytest.raises(InputError, match="give both"):
        ConsoleOptions(user_header="X-Remote-User")
    with pytest.raises(InputError, match="give an IP address"):
        ConsoleOptions(user_header="X-Remote-User", trusted_proxy=("proxy",))


def test_the_page_says_by_whose_name_corrections_are_kept(behind_proxy, browser):
    console, _ = behind_proxy
    browser._call("Network.enable")
    browser._call("Network.setExtraHTTPHeaders", headers={"X-Remote-User": "anna"})
    try:
        browser.open(console.url)
        browser.wait_for("!!document.getElementById('input')")
        browser.type("#input", TEXT)
        browser.click("#classify")
        browser.wait_for("!!document.querySelector('.corrections .link')")
        assert browser.texts("#signed-in") == ["Corrections are kept by your name: anna"]
        browser.click(".corrections .link", 0)
        browser.wait_for("document.querySelector('.corrections .hint').textContent === 'kept: right'")
    finally:
        browser._call("Network.setExtraHTTPHeaders", headers={})


def test_two_consoles_and_many_people_at_once_lose_nothing(bundle_path, tmp_path):
    words = ("--bundle", bundle_path, "--feedback_file", tmp_path / "feedback.jsonl")
    refused = []

    def say(console, who):
        for number in range(25):
            status, answer, _ = console.ask("/feedback", {**SAID, "who": who, "text": f"第{number}条"})
            refused.extend([] if status == 200 and answer["kept"] else [answer])

    with Console(*words) as one, Console(*words) as other:
        people = [
            threading.Thread(target=say, args=(each, f"{name} {each.port}")) for each in (one, other) for name in "ab"
        ]
        for each in people:
            each.start()
        for each in people:
            each.join()
    assert refused == []
    assert len({(each.who, each.text) for each in read_feedback(tmp_path / "feedback.jsonl")}) == 100


def test_where_no_room_is_left_it_says_so_and_nothing_is_lost(bundle_path, tmp_path):
    file = tmp_path / "feedback.jsonl"
    with Console("--bundle", bundle_path, "--feedback_file", file) as console:
        assert console.ask("/feedback", {**SAID, "who": "anna"})[0] == 200
        before = file.read_bytes()
        limits = resource.prlimit(
            console.process.pid, resource.RLIMIT_FSIZE, (len(before) + 50, resource.RLIM_INFINITY)
        )
        status, refused, _ = console.ask("/feedback", {**SAID, "who": "bo"})
        assert (status, refused["error"]) == (503, f"not kept: {file} cannot be written (no space is left)")
        assert file.read_bytes() == before
        assert console.ask("/classify", {"texts": [TEXT]})[0] == 200
        resource.prlimit(console.process.pid, resource.RLIMIT_FSIZE, limits)
        assert console.ask("/feedback", {**SAID, "who": "bo"})[1]["kept"] is True
    assert [each.who for each in read_feedback(file)] == ["anna", "bo"]
