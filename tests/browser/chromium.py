"""Chromium without a head, spoken to through a pair of pipes: the DevTools protocol, as JSON.

Nothing but the standard library and Debian's package ``chromium``. A profile of its own, which goes
with it; no sandbox, for a container has none to give.
"""

import base64
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PATH = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), "")
_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--remote-debugging-pipe",
)  # fmt: skip
_SECONDS = 60


class Browser:
    """One tab. ``events`` has everything that the tab has said, in order."""

    def __init__(self, send: int, receive: int) -> None:
        self.send, self.receive = send, receive
        self.buffer, self.number, self.session = b"", 0, ""
        self.events: list[dict[str, Any]] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self.session = attached["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Return what ``method`` answers."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.send, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self.number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return dict(answer["result"])
            self.events.append(answer)

    def open(self, url: str, *, width: int, scheme: str = "light") -> None:
        """Load ``url`` in a window so wide; return when it is there."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=900,
                  deviceScaleFactor=1, mobile=width < 600)  # fmt: skip
        self.call("Emulation.setEmulatedMedia",
                  features=[{"name": "prefers-color-scheme", "value": scheme}])  # fmt: skip
        self.events.clear()
        self.call("Page.navigate", url=url)
        while not self.seen("Page.loadEventFired"):
            self.events.append(self._next())
        time.sleep(0.2)  # what a page asks for afterwards
        self.call("Runtime.evaluate", expression="0")

    def seen(self, method: str) -> list[dict[str, Any]]:
        """Return the parameters of the events called ``method``."""
        return [event["params"] for event in self.events if event.get("method") == method]

    def requests(self) -> list[str]:
        """Return every address that was asked for."""
        return [event["request"]["url"] for event in self.seen("Network.requestWillBeSent")]

    def complaints(self) -> list[str]:
        """Return what stands in the console, and every dialog."""
        kinds = ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded")
        return [
            str(e) for kind in (*kinds, "Page.javascriptDialogOpening") for e in self.seen(kind)
        ]

    def value(self, expression: str) -> Any:
        """Return what the JavaScript ``expression`` is in the page; its policy does not matter."""
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in found, f"{expression}: {found}"
        return found["result"].get("value")

    def screenshot(self, path: Path) -> None:
        """Write all of the page as PNG."""
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self.buffer:
            part = os.read(self.receive, 1 << 20)
            assert part, "Chromium has gone"
            self.buffer += part
        message, self.buffer = self.buffer.split(b"\0", 1)
        return dict(json.loads(message))


@contextmanager
def chromium() -> Iterator[Browser]:
    """Yield a browser; it ends with the block, whatever happens."""
    to_it, from_us = os.pipe()
    to_us, from_it = os.pipe()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = subprocess.Popen(
            ["bash", "-c", f'exec "$@" 3<&{to_it} 4>&{from_it}', "-", PATH, *_FLAGS,
             f"--user-data-dir={profile}", "about:blank"],
            pass_fds=(to_it, from_it), stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(to_it)
        os.close(from_it)
        try:
            yield Browser(from_us, to_us)
        finally:
            os.close(from_us)  # it ends when nobody listens
            os.close(to_us)
            try:
                process.wait(_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
