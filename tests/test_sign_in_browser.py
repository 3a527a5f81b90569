"""A person signs in with a real browser: headless Chromium, driven through WebDriver.

The protocol is a few HTTP requests (https://www.w3.org/TR/webdriver2/), so that no library and
no driver is downloaded. Where the machine has no Chromium the test is skipped.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests
from quickbooks_simulator.server import CompanySpec, running_simulator
from urllib3.util import Retry

if TYPE_CHECKING:
    from collections.abc import Iterator

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
REALM, OTHER = "4620816365000001", "4620816365000002"
COMMAND = Path(sys.executable).with_name("tap-quickbooks-raw-auth")
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

pytestmark = pytest.mark.skipif(
    not (CHROMIUM and DRIVER), reason="no chromium and chromedriver on this machine"
)


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
        options = {"binary": CHROMIUM, "args": arguments}
        wanted = {"alwaysMatch": {"goog:chromeOptions": options}}
        self._session = f"{driver}/session"
        made = self._ask("POST", "", {"capabilities": wanted})
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

    def quit(self) -> None:
        """End the browser."""
        self._ask("DELETE", "")
        self._driver.close()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    port = free_port()
    with subprocess.Popen(
        [str(DRIVER), f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as driver:
        try:
            window = Browser(f"http://127.0.0.1:{port}", tmp_path_factory.mktemp("chromium"))
            yield window
            window.quit()
        finally:
            driver.terminate()


@contextmanager
def sign_in(folder: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Begin a sign-in in an empty folder; return the process and the page that it names."""
    companies = [CompanySpec(realm_id=realm, rows=0) for realm in (REALM, OTHER)]
    with running_simulator(companies) as simulator:
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("QB_", "TAP_QUICKBOOKS_RAW_"))
        }
        environment = kept | {
            "BROWSER": "true",  # The command that does nothing: the page is opened by the test.
            "QB_CLIENT_ID": simulator.client_id,
            "QB_CLIENT_SECRET": simulator.client_secret,
            "TAP_QUICKBOOKS_RAW_API_URL": simulator.url,
            "TAP_QUICKBOOKS_RAW_TOKEN_URL": simulator.token_url,
        }
        with subprocess.Popen(
            [COMMAND, "login", *options],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            assert process.stdout is not None
            page = ""
            while not page.startswith("http"):
                page = process.stdout.readline().strip()
            yield process, page


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def test_a_company_is_chosen_and_connected(browser: Browser, tmp_path: Path) -> None:
    port = free_port()
    with sign_in(tmp_path, "--port", str(port)) as (process, page):
        browser.open(page)
        browser.click(f"option[value='{OTHER}']")
        browser.click("#connect")

        browser.arrive(f"http://localhost:{port}/callback?")
        assert "You may close this window" in browser.text
        output, _ = process.communicate(timeout=60)

    assert process.returncode == 0, output
    assert f"Connected company (realm) {OTHER}" in output
    assert "Company: Simulated Company 1" in output
    assert (tmp_path / ".tokens" / "quickbooks.json").exists()


def test_cancel_connects_nothing(browser: Browser, tmp_path: Path) -> None:
    with sign_in(tmp_path, "--port", str(free_port())) as (process, page):
        browser.open(page)
        browser.click("#cancel")
        output, _ = process.communicate(timeout=60)

    assert process.returncode == 1
    assert "cancelled in the browser (access_denied)" in output
    # That it can be written has been tried; there is no company in it.
    assert json.loads((tmp_path / ".tokens" / "quickbooks.json").read_text()) == {}


def test_the_address_of_a_page_that_does_not_load_is_pasted(
    browser: Browser, tmp_path: Path
) -> None:
    """As with a redirect URI where nothing answers."""
    port = free_port()
    with sign_in(tmp_path, "--port", str(port), "--paste") as (process, page):
        browser.open(page)
        # Chromium's own page says that nothing answers; the address is there all the same.
        browser.click("#connect")
        address = browser.arrive(f"http://localhost:{port}/callback?")
        output, _ = process.communicate(f"{address}\n", timeout=60)

    assert process.returncode == 0, output
    assert f"Connected company (realm) {REALM}" in output
