"""A person signs in with a real browser."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from quickbooks_simulator.server import CompanySpec, running_simulator

from tests.browser import CHROMIUM, DRIVER, Browser, free_port, running_browser

if TYPE_CHECKING:
    from collections.abc import Iterator

REALM, OTHER = "4620816365000001", "4620816365000002"
COMMAND = Path(sys.executable).with_name("tap-quickbooks-raw-auth")

pytestmark = pytest.mark.skipif(
    not (CHROMIUM and DRIVER), reason="no chromium and chromedriver on this machine"
)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with running_browser(tmp_path_factory.mktemp("chromium")) as window:
        yield window


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
