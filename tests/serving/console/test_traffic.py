"""What the page draws of the traffic."""

from tests.serving.console.running import Console
from tests.serving.tiny_model import eventually

TEXT = "某公司宣布裁员两千人"


def test_a_bundle_in_the_console_has_the_consoles_figures(bundle_path):
    with Console("--bundle", bundle_path) as console:
        before = console.ask("/traffic")[1]
        console.ask("/classify", {"texts": [TEXT] * 3})
        console.ask("/classify", {"texts": [TEXT], "promise": None, "threshold": 0.999, "policy": "threshold"})
        console.ask("/classify", {"texts": [""]})
        after = console.ask("/traffic")[1]
    assert {name: after[name] - before[name] for name in ("texts", "refused")} == {"texts": 4, "refused": 1}
    assert after["requests"] - before["requests"] >= 2
    assert after["seconds"] > before["seconds"]
    assert after["shifts"] == {}


def test_a_server_is_asked_for_its_own_figures(triton):
    address = ("--metrics_address", f"127.0.0.1:{triton.ports.metrics}")
    with Console("--url", f"127.0.0.1:{triton.ports.grpc}", *address) as console:
        before = console.ask("/traffic")[1]
        console.ask("/classify", {"texts": [TEXT] * 40})
        eventually(lambda: console.ask("/traffic")[1]["requests"] > before["requests"])
        eventually(lambda: console.ask("/traffic")[1]["texts"] == before["texts"] + 40)
        after = console.ask("/traffic")[1]
        assert after["texts"] == before["texts"] + 40
        assert after["requests"] > before["requests"]
        assert after["seconds"] > before["seconds"]
    with Console("--url", f"127.0.0.1:{triton.ports.grpc}", "--metrics_address", "127.0.0.1:9") as console:
        status, refused, _ = console.ask("/traffic")
        assert (status, "127.0.0.1:9 does not tell its metrics" in refused["error"]) == (503, True)


def test_a_thousand_copies_of_a_text_are_told_to_be_unlike_the_development_set(triton):
    address = ("--metrics_address", f"127.0.0.1:{triton.ports.metrics}")
    with Console("--url", f"127.0.0.1:{triton.ports.grpc}", *address) as console:
        for _ in range(12):
            assert console.ask("/classify", {"texts": [TEXT] * 128})[0] == 200
        # From 0.05 on the page says: unlike.
        eventually(lambda: console.ask("/traffic")[1]["shifts"].get("top_score", 0) > 0.05)
        shifts = console.ask("/traffic")[1]["shifts"]
    assert shifts["top_score"] > 0.05
    assert "top_label" not in shifts  # the export decodes otherwise than training did


def test_the_page_draws_it(opened, console):
    opened.evaluate("document.getElementById('traffic-fold').open = true")
    opened.wait_for("!!document.querySelector('#traffic .score')")
    console.ask("/classify", {"texts": [TEXT] * 64})
    opened.wait_for("/^\\d+\\.\\d ms$/.test(document.querySelectorAll('#traffic .score')[2].textContent)")
    assert "since the start" in opened.texts("#traffic .hint")[0]
    opened.resize(390, 900)
    assert opened.fits(390)
