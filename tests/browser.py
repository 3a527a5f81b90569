"""Headless Chromium, driven through WebDriver.

The protocol is a few HTTP requests (https://www.w3.org/TR/webdriver2/), so that no library and
no driver is downloaded. Where the machine has no Chromium, tests that need it are skipped.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import requests
from urllib3.util import Retry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
# Nothing of it may look for hosts of the internet.
ARGUMENTS = [
    "--headless",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--no-proxy-server",
]


class Browser:
    """A browser's window."""

    def __init__(self, driver: str, folder: Path) -> None:
        self._driver = requests.Session()
        # The driver takes a moment to listen.
        retry = Retry(total=8, connect=8, backoff_factor=0.05)
        self._driver.mount("http://", requests.adapters.HTTPAdapter(max_retries=retry))
        arguments = [*ARGUMENTS, f"--user-data-dir={folder}"]
        if os.getuid() == 0:
            arguments.append("--no-sandbox")  # Chromium's sandbox refuses to serve root.
        wanted = {
            "goog:chromeOptions": {"binary": CHROMIUM, "args": arguments},
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        }
        self._session = f"{driver}/session"
        made = self._ask("POST", "", {"capabilities": {"alwaysMatch": wanted}})
        self._session += f"/{made['sessionId']}"

    def _ask(self, method: str, path: str, content: object = None) -> Any:
        response = self._driver.request(method, f"{self._session}{path}", json=content, timeout=60)
        value = response.json()["value"]
        assert response.ok, value
        return value

    def open(self, address: str) -> None:
        """Open a page."""
        self._ask("POST", "/url", {"url": address})

    def click(self, selector: str) -> None:
        """Click on an element; what it leads to may take a moment."""
        found = self._ask("POST", "/element", {"using": "css selector", "value": selector})
        self._ask("POST", f"/element/{found[ELEMENT]}/click", {})

    @property
    def text(self) -> str:
        """What the page shows."""
        found = self._ask("POST", "/element", {"using": "css selector", "value": "body"})
        return str(self._ask("GET", f"/element/{found[ELEMENT]}/text"))

    def arrive(self, start: str) -> str:
        """Return the address of a page once the browser is there."""
        deadline = time.monotonic() + 30
        while not (address := str(self._ask("GET", "/url"))).startswith(start):
            assert time.monotonic() < deadline, "the browser did not get there"
        return address

    def run(self, script: str, *arguments: object) -> Any:
        """Run the body of a function in the page and return what it returns."""
        return self._ask("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def look(self, *, width: int, scheme: str = "light", medium: str = "screen") -> None:
        """Make the window so wide, in a light or a dark scheme, or as if printed."""
        self._command(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False},
        )
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self._command("Emulation.setEmulatedMedia", {"media": medium, "features": features})

    def console(self) -> list[str]:
        """What the console has said since it was asked for the last time."""
        return [entry["message"] for entry in self._ask("POST", "/se/log", {"type": "browser"})]

    def requested(self) -> list[str]:
        """The addresses that were asked for since then."""
        entries = self._ask("POST", "/se/log", {"type": "performance"})
        events = [json.loads(entry["message"])["message"] for entry in entries]
        return [
            event["params"]["request"]["url"]
            for event in events
            if event["method"] == "Network.requestWillBeSent"
        ]

    def _command(self, name: str, parameters: dict[str, Any]) -> None:
        self._ask("POST", "/goog/cdp/execute", {"cmd": name, "params": parameters})

    def quit(self) -> None:
        """End the browser."""
        self._ask("DELETE", "")
        self._driver.close()


@contextmanager
def running_browser(folder: Path) -> Iterator[Browser]:
    """Start a browser whose profile is in a folder."""
    port = free_port()
    with subprocess.Popen(
        [str(DRIVER), f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as driver:
        try:
            window = Browser(f"http://127.0.0.1:{port}", folder)
            yield window
            window.quit()
        finally:
            driver.terminate()


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
