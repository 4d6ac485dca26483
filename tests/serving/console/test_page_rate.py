"""How the page asks for many texts: requests of a fitting size, and a list that stays while further answers come."""

import json

import pytest

from tests.serving.console.running import classify
from tests.serving.console.test_files import give

MOST_BYTES = 16 << 20
"""Of a request."""
ANSWERED_BY_THE_TEST = """
window.asked = [];
const real = window.fetch;
const empty = {labels: [], truncated: false, columns: [], scores: [], bins: {}};
window.fetch = async (path, options) => {
  if (path !== "/scores") return real(path, options);
  const { texts } = JSON.parse(options.body);
  asked.push([texts.length, new TextEncoder().encode(options.body).length]);
  if (options.body.length > LIMIT) return new Response("{}", {status: 413});
  await new Promise((done) => setTimeout(done, SECONDS * 1000));
  if (asked.length > 2) await window.held;
  return new Response(JSON.stringify({answers: texts.map(() => empty), bundle: BUNDLE}));
};
"""


@pytest.fixture
def answered_by_test(opened, console):
    """Takes the place of the server; what is called with seconds lets each request take so long."""
    bundle = json.dumps(console.ask("/model")[1]["bundle"])

    def answer(seconds, most_bytes=MOST_BYTES):
        script = ANSWERED_BY_THE_TEST.replace("SECONDS", str(seconds)).replace("BUNDLE", bundle)
        script = script.replace("LIMIT", str(most_bytes))
        opened.evaluate(f"(() => {{ {script} }})()")

    return answer


def test_requests_are_as_large_as_are_answered_in_good_time(opened, answered_by_test):
    answered_by_test(0)
    classify(opened, [f"地震 {number}" for number in range(2000)])
    sizes = [texts for texts, _ in opened.evaluate("asked")]
    assert (sizes[:2], 64 < max(sizes) <= 512, sum(sizes)) == ([64, 64], True, 2000)
    answered_by_test(2)
    classify(opened, [f"地震 {number}" for number in range(170)])
    sizes = [texts for texts, _ in opened.evaluate("asked")]
    assert (sizes[:2], max(sizes[2:]), sum(sizes)) == ([64, 64], 16, 170)


def test_many_long_texts_travel_in_requests_that_the_server_takes(opened, answered_by_test):
    answered_by_test(0)
    classify(opened, ["裁" * 150_000] * 60)
    assert max(size for _, size in opened.evaluate("asked")) < MOST_BYTES
    assert opened.texts("#summary")[0].startswith("60 texts")


def test_a_text_that_no_request_can_hold_is_refused_and_the_others_are_answered(opened, answered_by_test):
    answered_by_test(0, most_bytes=2_000_000)  # as many as the page puts together
    give(opened, [("a.txt", b"first\n" + b"a" * 2_000_001 + b"\nlast")])
    opened.click("#classify")
    opened.wait_for("!document.getElementById('classify').disabled")
    assert opened.texts("#summary")[0].startswith("3 texts")
    assert "the text is larger than a request may be" in opened.texts("ol.answers > li")[1]


def test_what_was_opened_stays_open_while_further_answers_come(opened, answered_by_test):
    answered_by_test(0)
    opened.evaluate("(() => { window.held = new Promise((done) => { window.release = done; }); })()")
    opened.type("#input", "\n".join(f"地震 {number}" for number in range(2000)))
    opened.click("#classify")
    opened.wait_for("document.querySelectorAll('ol.answers > li').length === 50")
    opened.evaluate("document.querySelectorAll('.corrections .link')[2].click()")
    opened.evaluate("document.querySelector('.picker input').value = '裁'")
    opened.evaluate("release()")
    opened.wait_for("!document.getElementById('classify').disabled")
    assert opened.texts("#summary")[0].startswith("2,000 texts")
    assert opened.texts(".growing .hint") == ["50 of 2,000"]
    assert opened.evaluate("document.querySelector('.picker input')?.value") == "裁"


def test_beside_its_data_the_page_is_one_request(opened, console):
    opened.settle()
    assert sorted(opened.requests) == [console.url, f"{console.url}caller", f"{console.url}model"]
