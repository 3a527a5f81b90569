"""A company is connected, looked after and left by commands that say what to do."""

from __future__ import annotations

import http.client
import json
import os
import re
import socket
import subprocess
import sys
import time
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock
from urllib.error import HTTPError
from urllib.parse import urlencode, urlsplit
from urllib.request import HTTPRedirectHandler, build_opener

import pytest
import yaml
from click.testing import CliRunner
from quickbooks_simulator.server import CompanySpec, running_simulator
from tap_quickbooks_raw import asking, command_settings
from tap_quickbooks_raw.auth_command import main
from tap_quickbooks_raw.exceptions import ReconnectError, SettingsError, TokenStoreError
from tap_quickbooks_raw.loopback import Receiver
from tap_quickbooks_raw.sealing import Seal, new_key
from tap_quickbooks_raw.sign_in import SignIn, is_local
from tap_quickbooks_raw.token_files import FileTokenStore
from tap_quickbooks_raw.token_stores import store_at
from tap_quickbooks_raw.tokens import Token, TokenKey, fingerprint
from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from click.testing import Result
    from quickbooks_simulator.server import RunningSimulator
    from tap_quickbooks_raw.tokens import TokenStore

REALM, OTHER = "4620816365000001", "4620816365000002"
DAY = 86_400
PROJECT = Path(__file__).resolve().parent.parent
COMMAND = Path(sys.executable).with_name("tap-quickbooks-raw-auth")


class NoRedirect(HTTPRedirectHandler):
    """Hands a redirect over instead of following it."""

    @override
    def redirect_request(self, *args: object) -> None:
        return None


def consent(address: str, *, realm: str = REALM, choice: str = "connect") -> str:
    """Do at Intuit's page what a person does; return where the browser is sent."""
    form = urlencode({"realm": realm, "choice": choice}).encode()
    try:
        build_opener(NoRedirect).open(address, data=form, timeout=10)
    except HTTPError as redirect:
        redirect.close()
        return str(redirect.headers["Location"])
    raise AssertionError("the page did not redirect")


def visit(address: str, method: str = "GET") -> http.client.HTTPResponse:
    """Ask for an address without leaving it in a log."""
    parts = urlsplit(address)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)
    try:
        connection.request(method, address.removeprefix(f"http://{parts.netloc}"))
        response = connection.getresponse()
        response.read()
    finally:
        connection.close()
    return response


class Desk:
    """A person with a browser, the command and the settings of a simulated company."""

    def __init__(
        self, simulator: RunningSimulator, folder: Path, patch: pytest.MonkeyPatch
    ) -> None:
        self.simulator, self.folder, self._patch = simulator, folder, patch
        self.address = (folder / "tokens.json").as_uri()
        for name in os.environ:
            if name.startswith(("QB_", "TAP_QUICKBOOKS_RAW_")):
                patch.delenv(name)
        self.set(
            QB_CLIENT_ID=simulator.client_id,
            QB_CLIENT_SECRET=simulator.client_secret,
            TAP_QUICKBOOKS_RAW_API_URL=simulator.url,
            TAP_QUICKBOOKS_RAW_TOKEN_URL=simulator.token_url,
            TAP_QUICKBOOKS_RAW_TOKEN_STORE=self.address,
        )
        patch.chdir(folder)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.browse()

    def set(self, **variables: str) -> None:
        """Set environment variables."""
        for name, value in variables.items():
            self._patch.setenv(name, value)

    def browse(
        self, alter: Callable[[str], str] = str, *, opens: bool = True, **choices: str
    ) -> None:
        """Let the browser make a choice, and come back to an altered address."""

        def open_page(address: str) -> bool:
            visit(alter(consent(address, **choices)))
            return opens

        self._patch.setattr(webbrowser, "open", open_page)

    def run(self, *arguments: str, **options: Any) -> Result:
        """Run the command; what it writes is looked through for secrets."""
        result = CliRunner().invoke(main, arguments, **options)
        sys.stdout.write(result.output)
        assert result.exception is None or isinstance(result.exception, SystemExit)
        return result

    def login(self, *arguments: str) -> Result:
        """Sign in."""
        return self.run("login", "--port", str(self.port), *arguments)

    @property
    def store(self) -> TokenStore:
        """The token store."""
        return store_at(self.address, Seal())

    def token(self, realm: str = REALM) -> Token | None:
        """What is stored for a company."""
        return self.store.load(TokenKey(self.simulator.client_id, realm))

    def keep(self, realm: str = REALM, **fields: Any) -> None:
        """Store tokens as they would be after some days."""
        token = Token(**{"refresh_token": "RT", **fields})
        self.store.save(TokenKey(self.simulator.client_id, realm), token)

    def grants(self) -> list[str]:
        """What the token endpoint has been asked for."""
        log = self.simulator.requests()
        return [entry.statement for entry in log if entry.operation == "token"]


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    companies = [CompanySpec(realm_id=realm, rows=0) for realm in (REALM, OTHER)]
    with running_simulator(companies, rotation="always") as simulator:
        yield Desk(simulator, tmp_path, monkeypatch)


def replaced(pattern: str, text: str) -> Callable[[str], str]:
    return lambda address: re.sub(pattern, text, address)


# ---- login


def test_a_sign_in_stores_the_tokens_and_greets_the_company(desk: Desk) -> None:
    before = time.time()
    result = desk.login()

    assert result.exit_code == 0
    assert f"redirect URI  http://localhost:{desk.port}/callback" in result.output
    assert "scope         com.intuit.quickbooks.accounting" in result.output
    assert f"Connected company (realm) {REALM}" in result.output
    assert f"Put QB_REALM_ID={REALM} into .env" in result.output
    assert "Company: Simulated Company 1, US" in result.output
    token = desk.token()
    assert token is not None
    assert (token.environment, token.seed) == ("production", "")
    assert before <= token.connected_at == token.refreshed_at <= time.time()
    assert token.ends_at - before > 100 * DAY
    assert desk.grants() == ["authorization_code"]


def test_a_sign_in_wins_over_an_older_token_in_the_settings(desk: Desk) -> None:
    desk.set(QB_REFRESH_TOKEN="an older one")
    desk.login()

    result = desk.run("refresh")

    assert result.exit_code == 0
    assert desk.grants() == ["authorization_code", "refresh_token"]


def test_two_companies_share_a_store(desk: Desk) -> None:
    desk.login()
    desk.browse(realm=OTHER)
    assert desk.login().exit_code == 0

    assert desk.token() is not None
    assert desk.token(OTHER) is not None
    shown = desk.run("status").output
    assert REALM in shown
    assert OTHER in shown
    assert OTHER not in desk.run("status", "--realm", REALM).output
    asked = desk.run("refresh")
    assert asked.exit_code == 1
    assert f"several companies are connected ({REALM}, {OTHER})" in asked.output
    assert desk.run("refresh", "--realm", OTHER).exit_code == 0


def test_tokens_may_live_in_postgresql(desk: Desk, token_tables: str) -> None:
    desk.set(TAP_QUICKBOOKS_RAW_TOKEN_STORE=token_tables)
    desk.address = token_tables

    assert desk.login().exit_code == 0
    assert desk.token() is not None
    assert desk.run("refresh").exit_code == 0
    assert desk.run("logout").exit_code == 0
    assert desk.token() is None


@pytest.mark.parametrize(
    ("alter", "words"),
    [
        (replaced("state=[^&]+", "state=guessed"), "Nobody came back"),
        (replaced("state=[^&]+", "state=%C3%BC"), "Nobody came back"),
        (replaced("state=[^&]+&?", ""), "Nobody came back"),
        (replaced("(state=[^&]+)", r"\1&\1"), "Nobody came back"),
        (replaced("code=[^&]+", "code="), "no code in it"),
        (replaced("code=[^&]+", "error=access_denied"), "cancelled in the browser"),
        (replaced("code=[^&]+", "error=invalid_scope"), "does not have the scope com.intuit"),
        (replaced("code=[^&]+", "error=server_error"), "Intuit refused it (server_error)"),
        (replaced("code=([^&]+)", r"error=\1"), "Intuit refused it (no known reason)"),
    ],
    ids=[
        "wrong-state",
        "state-outside-ascii",
        "no-state",
        "two-states",
        "no-code",
        "denied",
        "scope",
        "other-error",
        "a-code-for-an-error",
    ],
)
def test_what_is_no_consent_is_refused_and_nothing_is_exchanged(
    desk: Desk, alter: Callable[[str], str], words: str
) -> None:
    desk.browse(alter)

    result = desk.login("--timeout", "1")

    assert result.exit_code == 1
    assert words in result.output
    assert "tap-quickbooks-raw-auth login" in result.output
    assert desk.grants() == []
    assert desk.token() is None


def test_cancel_is_understood(desk: Desk) -> None:
    desk.browse(choice="cancel")

    assert "cancelled in the browser (access_denied)" in desk.login().output


def test_another_company_than_the_settings_name_is_not_stored(desk: Desk) -> None:
    desk.set(QB_REALM_ID=OTHER)

    result = desk.login()

    assert result.exit_code == 1
    assert f"chosen in the browser is {REALM}, but QB_REALM_ID (or --realm)" in result.output
    assert f"login --realm {REALM}" in result.output
    assert desk.grants() == []
    assert desk.login("--realm", REALM).exit_code == 0


@pytest.mark.parametrize("named", [True, False], ids=["settings-name-it", "nobody-names-it"])
def test_intuit_may_leave_the_company_out(desk: Desk, *, named: bool) -> None:
    desk.browse(replaced("&?realmId=[0-9]+", ""))
    if named:
        desk.set(QB_REALM_ID=REALM)

    result = desk.login()

    assert result.exit_code == (0 if named else 1)
    assert named or "set QB_REALM_ID" in result.output


def test_a_used_code_is_explained(desk: Desk) -> None:
    desk.browse(replaced("code=[^&]+", "code=used"))

    result = desk.login()

    assert result.exit_code == 1
    assert "does not accept the code of this sign-in (invalid_grant)" in result.output
    assert desk.token() is None


def test_wrong_keys_are_explained(desk: Desk) -> None:
    desk.set(QB_CLIENT_SECRET="wrong")

    result = desk.login()

    assert result.exit_code == 1
    assert "check QB_CLIENT_ID and QB_CLIENT_SECRET" in result.output


def test_tokens_stay_stored_if_the_company_cannot_be_read(desk: Desk) -> None:
    refuse(desk, "authorization_failed_3100")

    result = desk.login()

    assert result.exit_code == 1
    assert "The tokens are stored, but Company (realm)" in result.output
    assert "`tap-quickbooks-raw-auth doctor` tells which" in result.output
    assert desk.token() is not None


def test_without_a_browser_the_page_is_still_waited_for(desk: Desk) -> None:
    desk.browse(opens=False)

    result = desk.login()

    assert result.exit_code == 0
    assert "No browser could be opened here" in result.output


def test_a_busy_port_is_named(desk: Desk) -> None:
    with socket.create_server(("127.0.0.1", desk.port)):
        result = desk.login()

    assert result.exit_code == 1
    assert f"--port: port {desk.port} cannot be used (Address already in use)" in result.output


def test_production_keys_take_no_local_redirect_uri(desk: Desk) -> None:
    desk.set(TAP_QUICKBOOKS_RAW_TOKEN_URL="")

    result = desk.run("login", "--paste", input="")

    assert "Intuit takes no such redirect URI for production keys" in result.output
    assert "https://appcenter.intuit.com/connect/oauth2?client_id=" in result.output
    desk.set(TAP_QUICKBOOKS_RAW_ENVIRONMENT="sandbox")
    assert "takes no such" not in desk.run("login", "--paste", input="").output


@pytest.mark.parametrize(
    "options",
    [["--paste"], ["--redirect-uri", "https://example.com/qbo"]],
    ids=["paste", "not-this-machine"],
)
def test_on_a_server_the_address_is_pasted(desk: Desk, options: list[str]) -> None:
    with subprocess.Popen(
        [COMMAND, "login", *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        # Up to the question: what is read ahead would be lost to `communicate`.
        shown = [""]
        while "Paste the whole address" not in shown[-1]:
            shown.append(process.stdout.readline())
            assert shown[-1], shown
        page = next(line.strip() for line in shown if line.startswith("http"))
        rest, _ = process.communicate(f" {consent(page)}\n", timeout=30)

    assert process.returncode == 0
    assert "Company: Simulated Company 1, US" in rest
    assert desk.token() is not None


@pytest.mark.parametrize("text", ["\n", "no address", "http://[", "https://example.com/?code=1"])
def test_what_is_pasted_may_be_nonsense(desk: Desk, text: str) -> None:
    result = desk.run("login", "--paste", input=text)

    assert result.exit_code == 1
    assert "does not belong to this sign-in" in result.output


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "Nothing was pasted: the input has ended"),
        ("http://localhost/?state=\udcff", "cannot be read (UnicodeDecodeError)"),
    ],
    ids=["end-of-input", "undecodable"],
)
def test_what_cannot_be_pasted_is_told(desk: Desk, content: str, words: str) -> None:
    pasted = content.encode(errors="surrogateescape")

    result = desk.run("login", "--paste", input=pasted)

    assert result.exit_code == 1
    assert words in result.output


def test_without_standard_input_nothing_is_pasted(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking.sys, "stdin", None)
    sign_in = SignIn.begin("app", "http://localhost/", "page")

    with pytest.raises(ReconnectError, match="no standard input"):
        asking.pasted(sign_in)
    assert desk.grants() == []


def test_undecodable_parts_of_an_address_do_no_harm() -> None:
    sign_in = SignIn.begin("app", "http://localhost/", "page")
    address = f"http://localhost/?state={sign_in.state}&code=\udcff1"

    assert sign_in.read(address).code == "?1"
    with pytest.raises(ReconnectError, match="does not belong"):
        sign_in.read("http://localhost/?state=\udcff")


def test_a_store_that_cannot_be_written_is_found_before_anyone_signs_in(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def prove(_: FileTokenStore) -> None:
        raise TokenStoreError("cannot be written")

    monkeypatch.setattr(FileTokenStore, "prove", prove)

    result = desk.login()

    assert result.exit_code == 1
    assert result.output == "Error: cannot be written\n"


def test_a_port_is_blamed_on_the_option_that_named_it(desk: Desk) -> None:
    address = f"http://localhost:{desk.port}/callback"
    with socket.create_server(("127.0.0.1", desk.port)):
        result = desk.run("login", "--redirect-uri", address)

    assert result.exit_code == 1
    assert f"--redirect-uri: port {desk.port} cannot be used" in result.output


def test_nobody_comes_back() -> None:
    with (
        Receiver("http://localhost:0/", "ours") as receiver,
        pytest.raises(ReconnectError) as raised,
    ):
        receiver.wait(0.01)

    assert "within 0.01 s" in str(raised.value)
    assert "--paste" in str(raised.value)


def test_only_the_redirect_uri_is_answered(desk: Desk) -> None:
    address = f"http://127.0.0.1:{desk.port}"
    with (
        Receiver(f"{address}/callback", "ours") as receiver,
        # As browsers do that connect ahead.
        socket.create_connection(("127.0.0.1", desk.port)),
    ):
        assert visit(f"{address}/favicon.ico").status == 204
        assert visit(f"{address}/callback/more").status == 404
        assert visit(f"{address}/callback?code=1", "POST").status == 501
        # Any page in the browser can send it here.
        assert visit(f"{address}/callback?code=1&state=guessed").status == 400
        assert visit(f"{address}/callback").status == 400
        with pytest.raises(ReconnectError):
            receiver.wait(0.01)
        response = visit(f"{address}/callback?code=2&state=ours")
        assert receiver.wait(5) == "/callback?code=2&state=ours"

    assert response.status == 200
    assert response.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("address", "local"),
    [
        ("http://localhost:8400/callback", True),
        ("http://127.0.0.1/", True),
        ("https://localhost:8400/", False),
        ("http://localhost.example.com/", False),
    ],
)
def test_a_redirect_uri_is_on_this_machine_or_not(address: str, *, local: bool) -> None:
    assert is_local(address) is local


@pytest.mark.parametrize(
    "address", ["", "callback", "ftp://host/", "http://[", "http://h:port/", "http://h:0/"]
)
def test_a_redirect_uri_has_to_be_an_address(address: str) -> None:
    with pytest.raises(SettingsError, match="--redirect-uri"):
        is_local(address)


def test_each_sign_in_has_a_state_of_its_own() -> None:
    states = {SignIn.begin("app", "uri", "page").state for _ in range(9)}

    assert len(states) == 9
    assert min(map(len, states)) > 40


# ---- status


def test_nothing_stored_is_an_error_with_a_way_out(desk: Desk) -> None:
    result = desk.run("status")

    assert result.exit_code == 1
    assert "sign in: `tap-quickbooks-raw-auth login`" in result.output


def test_status_shows_ages_and_ends_and_needs_no_keys(desk: Desk) -> None:
    now = time.time()
    desk.keep(
        connected_at=now - 30 * DAY - 9, refreshed_at=now - 2 * DAY - 9, environment="sandbox"
    )
    desk.keep(OTHER)
    desk.set(QB_CLIENT_ID="", QB_CLIENT_SECRET="")

    result = desk.run("status")

    assert result.exit_code == 0
    _, one, two = result.output.splitlines()
    assert re.findall(r"\(([\d,]+) d\)", one) == ["30", "2", "97", "1,794"]
    assert "sandbox" in one
    assert two.split() == [OTHER, "-", "-", "-", "-", "-"]
    assert desk.simulator.requests() == []


@pytest.mark.parametrize(
    ("fields", "exit_code", "words"),
    [
        ({"ends_at": 15 * DAY}, 0, ""),
        ({"ends_at": 13.5 * DAY}, 0, "ends in 13 days, unless it is used"),
        ({"ends_at": 1.5 * DAY}, 0, "ends in 1 day, unless it is used"),
        ({"ends_at": -1}, 1, "has ended; sign in again"),
        ({"connected_at": -1824 * DAY}, 0, "five years after the sign-in"),
        ({"connected_at": -1825 * DAY - 9}, 1, "has ended; sign in again"),
        ({"refused_at": -10}, 1, "has ended: Intuit refused its refresh token"),
        ({"asked_at": -10}, 0, ""),
        ({"asked_at": -999}, 0, "was lost; see whether it still works"),
    ],
    ids=[
        "far",
        "near",
        "tomorrow",
        "idle",
        "five-years-near",
        "five-years",
        "refused",
        "asking",
        "lost",
    ],
)
def test_status_warns_in_time(
    desk: Desk, fields: dict[str, float], exit_code: int, words: str
) -> None:
    desk.keep(**{name: time.time() + seconds for name, seconds in fields.items()})

    result = desk.run("status")

    assert result.exit_code == exit_code
    assert words in result.output
    assert len(result.output.splitlines()) == (3 if words else 2)


def test_a_company_that_cannot_be_opened_hides_no_other(desk: Desk) -> None:
    desk.keep(OTHER)
    desk.set(TAP_QUICKBOOKS_RAW_TOKEN_ENCRYPTION_KEY=new_key())
    assert desk.login().exit_code == 0
    desk.set(TAP_QUICKBOOKS_RAW_TOKEN_ENCRYPTION_KEY=new_key())

    result = desk.run("status")

    assert result.exit_code == 1
    assert result.output.splitlines()[1].split()[0] == OTHER
    assert f"FAIL  connection   the tokens of company (realm) {REALM}" in result.output
    assert "opens none of the stored tokens" in result.output
    assert f"`tap-quickbooks-raw-auth login --realm {REALM}`" in result.output
    assert "logout --local" not in result.output
    desk.set(TAP_QUICKBOOKS_RAW_TOKEN_ENCRYPTION_KEY="")
    assert f"`tap-quickbooks-raw-auth logout --local --realm {REALM}`" in desk.run("status").output
    refused = desk.login("--realm", REALM)
    assert refused.exit_code == 1
    assert "Sign in on this page" not in refused.output
    assert desk.run("logout", "--realm", REALM).exit_code == 1
    assert desk.run("logout", "--realm", REALM, "--local").exit_code == 0
    assert desk.run("status").exit_code == 0


@pytest.mark.parametrize("end", ["refused_at", "ends_at"])
def test_a_new_token_in_the_settings_is_no_end(desk: Desk, end: str) -> None:
    setting = desk.simulator.refresh_token
    desk.set(QB_REFRESH_TOKEN=setting)
    desk.keep(seed=fingerprint(setting), **{end: time.time() - 9})
    assert desk.run("status").exit_code == 1

    desk.keep(**{end: time.time() - 9})
    result = desk.run("status")

    assert result.exit_code == 0
    assert "warn  connection" in result.output
    assert "QB_REFRESH_TOKEN is another one than it began with" in result.output
    assert desk.run("doctor").exit_code == 0
    assert desk.grants() == ["refresh_token"]


# ---- refresh


def test_the_token_of_the_settings_is_for_their_company_alone(desk: Desk) -> None:
    desk.set(QB_REALM_ID=REALM, QB_REFRESH_TOKEN=desk.simulator.refresh_token)

    result = desk.run("refresh", "--realm", OTHER)

    assert result.exit_code == 1
    assert f"company (realm) {OTHER} has no stored tokens" in result.output
    assert desk.grants() == []
    assert desk.run("refresh", "--realm", REALM).exit_code == 0


def test_a_sign_in_to_another_company_knows_the_token_of_the_settings(desk: Desk) -> None:
    desk.set(QB_REALM_ID=OTHER, QB_REFRESH_TOKEN="of the other company")

    assert desk.login("--realm", REALM).exit_code == 0

    token = desk.token()
    assert token is not None
    assert token.seed == fingerprint("of the other company")


def test_refresh_rotates(desk: Desk) -> None:
    desk.login()
    before = desk.token()

    result = desk.run("refresh")

    after = desk.token()
    assert before is not None
    assert after is not None
    assert before.refresh_token != after.refresh_token
    assert before.connected_at == after.connected_at
    assert "the connection lasts for 100 days" in result.output


def test_refresh_begins_with_the_token_of_the_settings(desk: Desk) -> None:
    desk.set(QB_REALM_ID=REALM, QB_REFRESH_TOKEN=desk.simulator.refresh_token)

    assert desk.run("refresh").exit_code == 0
    assert desk.token() is not None


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("invalid_grant", "(invalid_grant): sign in again with `tap-quickbooks-raw-auth login`"),
        ("invalid_client", "does not accept the app's keys (invalid_client)"),
    ],
)
def test_a_refused_refresh_says_what_to_do(desk: Desk, fault: str, words: str) -> None:
    desk.login()
    desk.simulator.add_rules([{"match": {"operation": "token"}, "do": {"fault": fault}}])

    result = desk.run("refresh")

    assert result.exit_code == 1
    assert words in result.output
    # What is dead is known from then on, until somebody signs in again.
    assert desk.run("status").exit_code == (fault == "invalid_grant")
    desk.login()
    assert desk.run("status").exit_code == 0


def test_nothing_connected_is_nothing_to_refresh(desk: Desk) -> None:
    assert "no company is connected yet" in desk.run("refresh").output


# ---- logout


def test_logout_revokes_and_forgets(desk: Desk) -> None:
    desk.login()
    token = desk.token()
    assert token is not None

    result = desk.run("logout")

    assert result.exit_code == 0
    assert "revoked at Intuit" in result.output
    assert desk.token() is None
    desk.keep(refresh_token=token.refresh_token)
    assert "invalid_grant" in desk.run("refresh").output


def test_logout_forgets_what_intuit_does_not_know(desk: Desk) -> None:
    desk.keep()
    desk.set(QB_REFRESH_TOKEN="left behind")

    result = desk.run("logout")

    assert result.exit_code == 0
    assert "it had ended already" in result.output
    assert "QB_REFRESH_TOKEN is still set" in result.output
    assert desk.token() is None


@pytest.mark.parametrize(
    ("secret", "options", "words"),
    [
        ("wrong", [], "status 401; check QB_CLIENT_ID"),
        ("right", ["--revoke-url", "http://127.0.0.1:9/revoke"], "no answer (ConnectionError)"),
        ("right", ["--revoke-url", "URL/nowhere"], "status 404"),
    ],
    ids=["wrong-keys", "no-answer", "wrong-address"],
)
def test_what_may_be_alive_stays_stored(
    desk: Desk, secret: str, options: list[str], words: str
) -> None:
    desk.login()
    if secret == "wrong":
        desk.set(QB_CLIENT_SECRET=secret)

    result = desk.run("logout", *[text.replace("URL", desk.simulator.url) for text in options])

    assert result.exit_code == 1
    assert words in result.output
    assert "logout --local" in result.output
    assert desk.token() is not None


def test_tokens_can_be_forgotten_here_alone(desk: Desk) -> None:
    desk.login()
    token = desk.token()
    assert token is not None

    assert "Intuit was not told" in desk.run("logout", "--local").output
    assert desk.token() is None
    desk.keep(refresh_token=token.refresh_token)
    assert desk.run("refresh").exit_code == 0


def test_there_may_be_nothing_to_forget(desk: Desk) -> None:
    desk.set(QB_REALM_ID=REALM)

    assert "Nothing is stored for company (realm)" in desk.run("logout").output


# ---- doctor


def test_the_doctor_has_a_line_for_each_check_and_counts_its_calls(desk: Desk) -> None:
    desk.login()
    desk.simulator.clear_requests()

    result = desk.run("doctor")

    assert result.exit_code == 0
    *lines, last = result.output.splitlines()
    assert [line.split()[0] for line in lines] == ["ok", "warn", *["ok"] * 10]
    assert desk.grants() == ["refresh_token"]
    calls = len(desk.simulator.requests()) - 1
    assert last == f"11 ok, 1 to look at, 0 failed; {calls} calls"


def test_the_doctor_fails_if_a_check_does(desk: Desk) -> None:
    result = desk.run("doctor")

    assert result.exit_code == 1
    assert "FAIL  connection   realm_id: no company is connected yet" in result.output
    assert result.output.splitlines()[-1] == "4 ok, 2 to look at, 1 failed; 0 calls"


def test_the_doctor_names_every_wrong_setting(desk: Desk) -> None:
    desk.set(QB_CLIENT_ID="", QB_CLIENT_SECRET="", TAP_QUICKBOOKS_RAW_PAGE_SIZE="0")

    result = desk.run("doctor")

    assert result.exit_code == 1
    assert [line.split()[:3] for line in result.output.splitlines()] == [
        ["FAIL", "settings", f"{name}:"] for name in ("client_id", "client_secret", "page_size")
    ]


# ---- Settings


def test_settings_may_come_from_files(desk: Desk) -> None:
    one, two = desk.folder / "one.json", desk.folder / "two.json"
    one.write_text(json.dumps({"client_id": "first", "token_store": desk.address}))
    two.write_text(json.dumps({"client_id": desk.simulator.client_id, "client_secret": "x"}))
    desk.keep()
    desk.keep(OTHER)

    result = desk.run("refresh", "--config", str(one), "--config", str(two))

    assert "several companies are connected" in result.output


def test_settings_may_come_from_the_dotenv_file_of_the_folder(desk: Desk) -> None:
    desk.set(QB_CLIENT_SECRET="", QB_CLIENT_ID="")
    (desk.folder / ".env").write_text(
        f"QB_CLIENT_ID={desk.simulator.client_id}\nQB_CLIENT_SECRET={desk.simulator.client_secret}\n"
    )

    assert desk.login().exit_code == 0


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be read (No such file or directory)"),
        ("[]", "is no JSON object of settings"),
        ("{", "is no JSON object of settings"),
        ('{"client_id": ' + "[" * 100_000, "is no JSON object of settings"),
        ('{"client": "app"}', "client: is no setting"),
        ('{"client_id": "app"}', "client_secret: is missing; set QB_CLIENT_SECRET in .env"),
    ],
    ids=["missing", "list", "cut", "deep", "unknown", "incomplete"],
)
def test_a_wrong_file_of_settings_is_named(desk: Desk, content: str | None, words: str) -> None:
    path = desk.folder / "config.json"
    if content is not None:
        path.write_text(content)

    result = desk.run("refresh", "--config", str(path))

    assert result.exit_code == 1
    assert words in result.output


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (None, ".env: is no text in UTF-8"),
        (PermissionError(13, "Permission denied"), ".env: cannot be read (Permission denied)"),
    ],
    ids=["bytes", "rights"],
)
def test_a_dotenv_file_that_cannot_be_read_is_named(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, error: OSError | None, words: str
) -> None:
    (desk.folder / ".env").write_bytes(b"QB_CLIENT_ID=\xff\n")
    if error is not None:
        # Nothing is forbidden to root, who may run this test.
        monkeypatch.setattr(command_settings, "dotenv_values", Mock(side_effect=error))

    result = desk.run("status")

    assert result.exit_code == 1
    assert result.output.startswith(f"Error: {words}")


def test_a_company_is_a_digit_string(desk: Desk) -> None:
    assert (
        "realm_id: 'acme' is not of the right form" in desk.run("refresh", "--realm", "acme").output
    )


def test_a_new_key_is_one(desk: Desk) -> None:
    key = CliRunner().invoke(main, ["new-key"]).output.strip()

    assert Seal(key).encrypts
    desk.set(TAP_QUICKBOOKS_RAW_TOKEN_ENCRYPTION_KEY=key)
    assert desk.login().exit_code == 0
    assert "sealed" in (desk.folder / "tokens.json").read_text()


@pytest.mark.parametrize("arguments", [[], *([name] for name in main.commands)], ids=str)
def test_help_tells_no_secret(desk: Desk, arguments: list[str]) -> None:
    assert desk.run(*arguments, "--help").exit_code == 0


def test_meltano_has_the_commands() -> None:
    plugins = yaml.safe_load((PROJECT / "meltano.yml").read_text())["plugins"]
    commands = plugins["extractors"][0]["commands"]

    assert set(commands) == main.commands.keys() - {"new-key"}
    for name, command in commands.items():
        assert (command["executable"], command["args"]) == ("tap-quickbooks-raw-auth", name)


def test_the_readme_describes_the_commands() -> None:
    section = (PROJECT / "README.md").read_text().partition("## Signing in")[2]

    assert set(re.findall(r"^\| `([\w-]+)` \|", section.partition("## ")[0], re.MULTILINE)) == (
        main.commands.keys()
    )


def refuse(desk: Desk, fault: str) -> None:
    """Let QBO refuse every query."""
    rule = {"match": {"operation": "query"}, "do": {"fault": fault}, "times": None}
    desk.simulator.add_rules([rule])
