"""The command `tap-quickbooks-raw-auth`: connect a company, look after the connection, end it."""

from __future__ import annotations

import functools
import logging
import os
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click
from typing_extensions import override

from tap_quickbooks_raw import asking, connections
from tap_quickbooks_raw.command_settings import (
    authenticator,
    choose_company,
    of_company,
    parse_settings,
    read_config,
)
from tap_quickbooks_raw.company_info import read_company
from tap_quickbooks_raw.doctor import Doctor
from tap_quickbooks_raw.exceptions import QuickBooksError, SettingsError, TokenStoreError
from tap_quickbooks_raw.findings import Finding, Level
from tap_quickbooks_raw.run import Run
from tap_quickbooks_raw.sealing import new_key
from tap_quickbooks_raw.sign_in import (
    AUTHORIZE_URL,
    REVOKE_URL,
    SignIn,
    beside,
    check_company,
    connect,
    is_local,
    revoke,
)
from tap_quickbooks_raw.token_stores import open_store
from tap_quickbooks_raw.tokens import TokenKey

if TYPE_CHECKING:
    from collections.abc import Callable

    from tap_quickbooks_raw.settings import Settings

PORT = 8400
PATH = "/callback"
TIMEOUT_SECONDS = 300


class Group(click.Group):
    """Shows our own errors in their one line."""

    @override
    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except QuickBooksError as error:
            raise click.ClickException(str(error)) from None


def takes_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options by which every command finds its settings."""

    @click.option(
        "--config",
        "sources",
        multiple=True,
        metavar="FILE",
        help="JSON file of the tap's settings, may be repeated; ENV, the default, for the "
        "environment and .env.",
    )
    @click.option("--realm", default="", help="The company; default: QB_REALM_ID.")
    @functools.wraps(command)
    def wrapped(sources: tuple[str, ...], realm: str, **options: object) -> None:
        # A sign-in notes the token of the settings, to know it as an older one; it is not used.
        keeps_token = command.__name__ == "login"
        config = of_company(read_config(sources, os.environ), realm, keeps_token=keeps_token)
        command(config, **options)

    return wrapped


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Connect QuickBooks Online companies, and look after the connections.

    Settings are those of the tap: QB_CLIENT_ID, QB_CLIENT_SECRET, QB_REALM_ID, QB_REFRESH_TOKEN
    and TAP_QUICKBOOKS_RAW_<SETTING>, from the environment or from .env in the working directory,
    or --config files. In a Meltano project: meltano invoke tap-quickbooks-raw:login, and so on.
    """
    logging.basicConfig(format="%(message)s", level=logging.WARNING)


@main.command()
@takes_settings
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    default=PORT,
    show_default=True,
    help="Port of this machine to which the browser comes back.",
)
@click.option("--redirect-uri", help=f"Default: http://localhost:<port>{PATH}")
@click.option(
    "--paste",
    is_flag=True,
    help="For a machine without a browser: sign in anywhere, then paste the address of the page "
    "where the browser ended. Always so if the redirect URI is not on this machine.",
)
@click.option(
    "--timeout",
    type=click.IntRange(min=1),
    default=TIMEOUT_SECONDS,
    show_default=True,
    help="Seconds to wait for the browser.",
)
@click.option("--authorize-url", help="Overrides Intuit's page.")
def login(  # noqa: PLR0913  One parameter for each option.
    config: dict[str, object],
    *,
    port: int,
    redirect_uri: str | None,
    paste: bool,
    timeout: int,
    authorize_url: str | None,
) -> None:
    """Sign in to a company in the browser, and store its tokens."""
    settings = parse_settings(config)
    store = open_store(settings)
    # A store that cannot be read or written is found before anyone signs in.
    store.keys()
    store.prove()
    if settings.realm_id and not store.seal.encrypts:
        store.load(TokenKey(settings.client_id, settings.realm_id))  # As `connect` will.
    option = "--redirect-uri" if redirect_uri else "--port"
    redirect_uri = redirect_uri or f"http://localhost:{port}{PATH}"
    local = is_local(redirect_uri)
    page = authorize_url or beside(settings.token_url, AUTHORIZE_URL)
    sign_in = SignIn.begin(settings.client_id, redirect_uri, page)
    asking.introduce(settings, redirect_uri, local=local)
    if paste or not local:
        address = asking.pasted(sign_in)
    else:
        address = asking.received(sign_in, timeout, option=option)
    consent = sign_in.read(address)
    configured = settings.realm_id
    settings = replace(settings, realm_id=check_company(settings, consent))
    connect(settings, consent, sign_in, store=store, now=time.time())
    click.echo(f"Connected company (realm) {settings.realm_id}; the tokens are in {store}")
    if not configured:
        click.echo(f"Put QB_REALM_ID={settings.realm_id} into .env for the runs")
    _greet(settings)


@main.command()
@takes_settings
def status(config: dict[str, object]) -> None:
    """Show the stored connections, and when they end; asks nobody."""
    settings = parse_settings(config, needs_keys=False)
    store = open_store(settings)
    stored = store.keys()
    keys = [key for key in stored if settings.realm_id in {"", key.realm_id}]
    loaded = []
    found = []
    for key in keys:
        try:
            token = store.load(key)
        except TokenStoreError as error:
            found.append(connections.unopened(key, str(error), encrypts=store.seal.encrypts))
        else:
            loaded += [] if token is None else [(key, token)]
    if not loaded and not found:
        which = f" for company (realm) {settings.realm_id}" if settings.realm_id else ""
        raise SettingsError(
            f"Nothing is stored{which} in {store}; sign in: `tap-quickbooks-raw-auth login`"
        )
    now = time.time()
    if loaded:
        click.echo(connections.table(loaded, now))
    for key, token in loaded:
        # The token of the settings is for one company: the one they name, or the only one.
        named = settings.realm_id or len(stored) == 1
        is_theirs = bool(named) and settings.client_id in {"", key.client_id}
        setting = settings.refresh_token if is_theirs else ""
        found += connections.examine(key, token, now, setting)
    _show(found)


@main.command()
@takes_settings
def refresh(config: dict[str, object]) -> None:
    """Refresh the tokens now, which also moves the end of an idle connection."""
    settings = parse_settings(config)
    store = open_store(settings)
    settings = choose_company(settings, store)
    key = TokenKey(settings.client_id, settings.realm_id)
    known = store.load(key)
    authenticator(settings, store).bearer(known.access_token if known else "")
    token = store.load(key)
    days = int((connections.idle_end(token) - time.time()) // connections.DAY) if token else 0
    click.echo(
        f"Refreshed the tokens of company (realm) {settings.realm_id}; the connection lasts for "
        f"{days} days, and longer if it is used"
    )


@main.command()
@takes_settings
@click.option("--local", is_flag=True, help="Only forget the tokens here; Intuit is not told.")
@click.option("--revoke-url", help="Overrides Intuit's address.")
def logout(config: dict[str, object], *, local: bool, revoke_url: str | None) -> None:
    """End the connection at Intuit, and forget its tokens."""
    settings = parse_settings(config)
    store = open_store(settings)
    settings = choose_company(settings, store)
    key = TokenKey(settings.client_id, settings.realm_id)
    company = f"company (realm) {settings.realm_id}"
    with store.lock(key):
        stored = store.keys()
        if key not in stored:
            raise SettingsError(f"Nothing is stored for {company} in {store}")
        # Here alone, tokens that cannot be opened are forgotten, too.
        token = None if local else store.load(key)
        url = revoke_url or beside(settings.token_url, REVOKE_URL)
        alive = token is not None and revoke(settings, url, token)
        store.delete(key)
    told = "Intuit was not told" if local else "revoked at Intuit"
    click.echo(
        f"Forgot the tokens of {company}; {told if local or alive else 'it had ended already'}"
    )
    if settings.refresh_token:
        click.echo("QB_REFRESH_TOKEN is still set: remove it, or the next run begins with it")


@main.command()
@takes_settings
def doctor(config: dict[str, object]) -> None:
    """Check all that a run needs: a line for each check; costs a few calls."""
    try:
        settings = parse_settings(config)
        store = open_store(settings)
    except SettingsError as error:
        _show([Finding(Level.FAIL, "settings", line) for line in str(error).splitlines()])
        return
    checks = Doctor(settings, store)
    found = []
    for finding in checks.findings():
        click.echo(str(finding))
        found.append(finding)
    worst = [sum(finding.level is level for finding in found) for level in Level]
    click.echo(f"{worst[0]} ok, {worst[1]} to look at, {worst[2]} failed; {checks.calls} calls")
    if worst[2]:
        sys.exit(1)


@main.command("new-key")
def print_key() -> None:
    """Print a new key for token_encryption_key."""
    click.echo(new_key())


def _greet(settings: Settings) -> None:
    """Show whose books these are; the tokens are stored whatever comes of it."""
    run = Run(replace(settings, max_api_calls=None, max_run_seconds=None))
    try:
        click.echo(f"Company: {read_company(run.client)}")
    except QuickBooksError as error:
        raise click.ClickException(f"The tokens are stored, but {error}") from None
    finally:
        run.close()


def _show(findings: list[Finding]) -> None:
    for finding in findings:
        click.echo(str(finding))
    if any(finding.level is Level.FAIL for finding in findings):
        sys.exit(1)
