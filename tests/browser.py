"""A headless Chromium that tests look at pages with, driven by the DevTools protocol over its own two pipes."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SWITCHES = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)
PATIENCE = 60  # seconds


def find_browser() -> str | None:
    """The browser's program, or None where there is none."""
    return next((found for found in map(shutil.which, NAMES) if found), None)


class Browser:
    """A context manager; `profile` is an empty folder of its own.

    Attributes:
        faults: what the page that is open has complained about: console errors and warnings, exceptions, refusals.
        requests: the addresses that it asked for, its own first.
    """

    def __init__(self, program: str, profile: Path) -> None:
        self.faults: list[str] = []
        self.requests: list[str] = []
        self._command = [program, *SWITCHES, f"--user-data-dir={profile}", "about:blank"]
        self._received = b""
        self._last = 0
        self._session: str | None = None
        self._loaded: set[str] = set()

    def __enter__(self) -> Browser:
        # Chromium takes commands from descriptor 3 and answers on 4.
        shell = ["sh", "-c", 'exec "$@" 3<&0 4>&1 </dev/null >/dev/null 2>&1', "sh", *self._command]
        self._process = subprocess.Popen(shell, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._call(f"{domain}.enable")
        self._call("Page.setLifecycleEventsEnabled", enabled=True)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdin.close()
        self._process.stdout.close()

    def open(
        self,
        page: Path | str,
        width: int = 1280,
        height: int = 900,
        dark: bool = False,
        language: str = "en",
        motion: bool = False,
    ) -> None:
        """Load a page and wait until it is there."""
        self.resize(width, height)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        moving = {"name": "prefers-reduced-motion", "value": "no-preference" if motion else "reduce"}
        self._call("Emulation.setEmulatedMedia", features=[scheme, moving])
        agent = self.evaluate("navigator.userAgent")
        self._call("Emulation.setUserAgentOverride", userAgent=agent, acceptLanguage=language)
        self.faults, self.requests = [], []
        address = page if isinstance(page, str) else page.resolve().as_uri()
        loader = self._call("Page.navigate", url=address)["loaderId"]
        while loader not in self._loaded:
            self._note(self._receive())
        self.settle()

    def resize(self, width: int, height: int) -> None:
        """Give the window another size, in CSS pixels."""
        self._call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )

    def settle(self) -> None:
        """Wait until the page has been drawn twice: what it observes of its own size has then arrived."""
        self.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression, once it is there; an exception in it is an AssertionError."""
        answer = self._call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, json.dumps(answer["exceptionDetails"])
        return answer["result"].get("value")

    def wait_for(self, expression: str) -> None:
        """Wait until a JavaScript expression is true."""
        deadline = time.monotonic() + PATIENCE
        while not self.evaluate(expression):
            assert time.monotonic() < deadline, f"waited {PATIENCE} seconds for {expression}"
            self.evaluate("new Promise((done) => setTimeout(done, 20))")

    def fits(self, width: int) -> bool:
        """Whether the window is `width` pixels wide and nothing in it is wider."""
        return self.evaluate("[innerWidth, document.documentElement.scrollWidth]") == [width, width]

    def texts(self, selector: str) -> list[str]:
        """The texts of all elements that a CSS selector finds, in their order."""
        found = f"[...document.querySelectorAll({json.dumps(selector)})]"
        return self.evaluate(f"{found}.map((element) => element.textContent)")

    def click(self, selector: str, number: int = 0) -> None:
        """Click one of the elements that a CSS selector finds."""
        chosen = f"document.querySelectorAll({json.dumps(selector)})[{number}]"
        self.evaluate(f"{chosen}.dispatchEvent(new MouseEvent('click', {{bubbles: true}}))")
        self.settle()

    def point(self, selector: str, number: int = 0) -> None:
        """Scroll to one of the elements that a CSS selector finds, and move the mouse to its middle."""
        chosen = f"document.querySelectorAll({json.dumps(selector)})[{number}]"
        self.evaluate(f"{chosen}.scrollIntoView({{block: 'center', behavior: 'instant'}})")
        self.settle()
        box = self.evaluate(f"{chosen}.getBoundingClientRect().toJSON()")
        place = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
        self._call("Input.dispatchMouseEvent", type="mouseMoved", **place)
        self.settle()

    def type(self, selector: str, text: str) -> None:
        """Replace what an input holds."""
        chosen = f"const box = document.querySelector({json.dumps(selector)}); box.value = {json.dumps(text)};"
        self.evaluate(f"(() => {{ {chosen} box.dispatchEvent(new Event('input', {{bubbles: true}})) }})()")

    def press(self, key: str, control: bool = False) -> None:
        """Press a key that has a name, such as ArrowRight, and let it go; `control`: while Control is held down."""
        code, modifiers = {"Tab": 9, "Enter": 13}.get(key, 0), 2 if control else 0
        for kind in ("keyDown", "keyUp"):
            text = "\r" if key == "Enter" else ""
            given = {"key": key, "text": text, "windowsVirtualKeyCode": code, "modifiers": modifiers}
            self._call("Input.dispatchKeyEvent", type=kind, **given)

    def screenshot(self, path: Path, whole: bool = True) -> None:
        """Save a PNG of the page, or of what its window shows."""
        answer = self._call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(answer["data"]))

    def pdf(self) -> bytes:
        """The page as it would be printed."""
        return base64.b64decode(self._call("Page.printToPDF", printBackground=True)["data"])

    def _call(self, method: str, **params: object) -> dict[str, Any]:
        self._last += 1
        message: dict[str, object] = {"id": self._last, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        self._process.stdin.write(json.dumps(message).encode() + b"\0")
        self._process.stdin.flush()
        while (answer := self._receive()).get("id") != self._last:
            self._note(answer)
        assert "error" not in answer, f"{method}: {answer['error']}"
        return answer["result"]

    def _receive(self) -> dict[str, Any]:
        deadline = time.monotonic() + PATIENCE
        while b"\0" not in self._received:
            ready, _, _ = select.select([self._process.stdout], [], [], max(0, deadline - time.monotonic()))
            assert ready, f"the browser said nothing for {PATIENCE} seconds"
            block = os.read(self._process.stdout.fileno(), 1 << 16)
            assert block, f"the browser went away: {self._process.wait()}"
            self._received += block
        message, _, self._received = self._received.partition(b"\0")
        return json.loads(message)

    def _note(self, event: dict[str, Any]) -> None:
        method, params = event.get("method", ""), event.get("params", {})
        if method == "Page.lifecycleEvent" and params["name"] == "load":
            self._loaded.add(params["loaderId"])
        elif method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            self.faults.append(json.dumps(params["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
            self.faults.append(json.dumps(params["args"]))
        elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            self.faults.append(params["entry"]["text"])
