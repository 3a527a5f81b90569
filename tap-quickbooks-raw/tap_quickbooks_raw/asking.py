"""Asks a person to sign in, and waits for where the browser ends."""

from __future__ import annotations

import sys
import webbrowser
from typing import TYPE_CHECKING

import click

from tap_quickbooks_raw.exceptions import ReconnectError
from tap_quickbooks_raw.loopback import Receiver
from tap_quickbooks_raw.settings import TOKEN_URL
from tap_quickbooks_raw.sign_in import AGAIN, SCOPE

if TYPE_CHECKING:
    from tap_quickbooks_raw.settings import Settings
    from tap_quickbooks_raw.sign_in import SignIn


def introduce(settings: Settings, redirect_uri: str, *, local: bool) -> None:
    """Say what has to be entered at Intuit."""
    click.echo(
        "At developer.intuit.com, in the app's settings, there must be\n"
        f"  redirect URI  {redirect_uri}\n"
        f"  scope         {SCOPE}"
    )
    if local and settings.environment == "production" and settings.token_url == TOKEN_URL:
        click.echo(
            "Intuit takes no such redirect URI for production keys: use --redirect-uri with an "
            "https address of yours (nothing needs to answer there) and paste where it leads"
        )


def received(sign_in: SignIn, timeout: int, *, option: str) -> str:
    """Open the page, and return the address by which the browser comes back.

    Args:
        sign_in: The sign-in.
        timeout: Seconds to wait.
        option: The option that the port was given by.

    Raises:
        SettingsError: The port cannot be used.
        ReconnectError: Nobody came back in time.
    """
    with Receiver(sign_in.redirect_uri, sign_in.state, option=option) as receiver:
        click.echo(f"Sign in on this page:\n{sign_in.address}")
        if not webbrowser.open(sign_in.address):
            click.echo("No browser could be opened here: open the page yourself, on this machine")
        return receiver.wait(timeout)


def pasted(sign_in: SignIn) -> str:
    """Show the page, and return the address that a person pastes.

    Raises:
        ReconnectError: None can be read.
    """
    # It is None where the process was started without one.
    if sys.stdin is None or sys.stdin.closed:
        raise ReconnectError(
            "Nothing can be pasted: this command has no standard input; run it in a terminal, or "
            "pipe the address into it"
        )
    click.echo(f"Sign in on this page, in any browser:\n{sign_in.address}")
    question = "Paste the whole address of the page where the browser ended (it is not shown)"
    if sys.stdin.isatty():
        return str(click.prompt(question, hide_input=True))
    click.echo(question)
    try:
        address = sys.stdin.readline()
    except (OSError, UnicodeDecodeError) as error:
        raise ReconnectError(
            f"What was pasted cannot be read ({type(error).__name__}); {AGAIN}"
        ) from None
    if not address:
        raise ReconnectError(f"Nothing was pasted: the input has ended; {AGAIN}")
    return address
