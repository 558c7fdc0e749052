"""A real browser for tests, spoken to over the DevTools protocol on two pipes."""

import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or ""
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)
MAX_MESSAGES = 10_000
# The browser expects its pipes as descriptors 3 and 4; copies above 9 survive being overwritten.
_LAUNCHER = """
import fcntl, os, sys
pipes = [fcntl.fcntl(int(pipe), fcntl.F_DUPFD, 10) for pipe in sys.argv[1:3]]
os.dup2(pipes[0], 3)
os.dup2(pipes[1], 4)
os.execv(sys.argv[3], sys.argv[3:])
"""


class Page:
    """One open page.

    Attributes:
        events: What the browser told of its own accord: exceptions, log entries, requests.
    """

    def __init__(self, to_browser: IO[bytes], from_browser: IO[bytes]) -> None:
        self._to, self._from = to_browser, from_browser
        self._n_sent = 0
        self._session = ""
        self.events: list[Mapping[str, Any]] = []

    def attach(self) -> None:
        """Open a tab and listen to it."""
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        attached = self.send("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")

    def send(self, method: str, **params: object) -> dict[str, Any]:
        """Call a method of the protocol and return its result."""
        self._n_sent += 1
        message: dict[str, object] = {"id": self._n_sent, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        self._to.write(json.dumps(message).encode() + b"\0")
        self._to.flush()
        for _ in range(MAX_MESSAGES):
            reply = self._receive()
            if reply.get("id") == self._n_sent:
                assert "error" not in reply, reply["error"]
                return dict(reply["result"])
            self.events.append(reply)
        raise AssertionError(f"no answer to {method}")

    def open(self, path: Path, *, width: int = 1280, height: int = 900, dark: bool = False) -> None:
        """Load a file and wait until its script says that it is done."""
        self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.send("Emulation.setEmulatedMedia", features=[scheme])
        self.events.clear()
        self.send("Page.navigate", url=path.as_uri())
        self.run(
            """new Promise((done) => {
                 let tries = 0;
                 const look = () => document.documentElement?.dataset.ready || ++tries > 200
                   ? done() : setTimeout(look, 25);
                 look();
               })"""
        )
        self.settle()

    def run(self, expression: str) -> Any:
        """Evaluate an expression in the page, awaiting promises, and return its JSON value."""
        result = self.send(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def settle(self) -> None:
        """Wait for two frames, so that observers have run."""
        self.run("new Promise((r) => requestAnimationFrame(() => requestAnimationFrame(r)))")

    def mouse(self, kind: str, x: float, y: float) -> None:
        """Move, press or release the mouse, in pixels of the window."""
        pressed = {"button": "left", "buttons": 1, "clickCount": 1} if kind != "mouseMoved" else {}
        self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, **pressed)

    def click(self, x: float, y: float) -> None:
        """Click at a place of the window."""
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            self.mouse(kind, x, y)
        self.settle()

    def key(self, name: str) -> None:
        """Press a key."""
        for kind in ("keyDown", "keyUp"):
            self.send("Input.dispatchKeyEvent", type=kind, key=name)
        self.settle()

    def screenshot(self, path: Path, *, whole: bool = False) -> None:
        """Write a PNG of the window, or of the whole page."""
        image = self.send("Page.captureScreenshot", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(image["data"]))

    @property
    def errors(self) -> list[str]:
        """Exceptions, console errors and warnings, and blocked resources so far."""
        told = [event for event in self.events if _is_error(event)]
        return [json.dumps(event["params"])[:2000] for event in told]

    @property
    def requests(self) -> list[str]:
        """Addresses that the page asked for."""
        sent = [e["params"] for e in self.events if e["method"] == "Network.requestWillBeSent"]
        return [str(params["request"]["url"]) for params in sent]

    def _receive(self) -> dict[str, Any]:
        buffer = bytearray()
        while (byte := self._from.read(1)) != b"\0":
            assert byte, "the browser closed the connection"
            buffer += byte
        return dict(json.loads(buffer))


@contextmanager
def browser_page(flags: Sequence[str] = ()) -> Iterator[Page]:
    """Start a browser with an empty profile and yield one page of it."""
    commands, results = os.pipe(), os.pipe()
    launcher = [sys.executable, "-c", _LAUNCHER, str(commands[0]), str(results[1])]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = subprocess.Popen(
            [*launcher, CHROMIUM, *_FLAGS, *flags, f"--user-data-dir={profile}"],
            pass_fds=(commands[0], results[1]),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(commands[0])
        os.close(results[1])
        with open(commands[1], "wb") as to_browser, open(results[0], "rb") as from_browser:  # noqa: PTH123 (descriptors)
            page = Page(to_browser, from_browser)
            try:
                page.attach()
                yield page
            finally:
                page._session = ""
                with suppress(AssertionError, OSError):
                    page.send("Browser.close")
                process.wait(timeout=20)


def _is_error(event: Mapping[str, Any]) -> bool:
    if event["method"] == "Runtime.exceptionThrown":
        return True
    if event["method"] == "Runtime.consoleAPICalled":
        return bool(event["params"]["type"] in ("error", "warning", "assert"))
    return bool(
        event["method"] == "Log.entryAdded"
        and event["params"]["entry"]["level"] in ("error", "warning")
    )
