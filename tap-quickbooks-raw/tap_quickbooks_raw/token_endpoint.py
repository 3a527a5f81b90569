"""Intuit's OAuth 2.0 addresses: what is sent there, and what the answers mean.

https://developer.intuit.com/app/developer/qbo/docs/develop/authentication-and-authorization/oauth-2.0
"""

from __future__ import annotations

import json
import math
import re
from http.client import responses
from typing import Any, NamedTuple

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from tap_quickbooks_raw.exceptions import CompanyError, ReconnectError, UnansweredError
from tap_quickbooks_raw.transport import is_unsent

# An access token lives for 3600 s, a refresh token for 100 days after its last use.
LIFETIME_SECONDS = 3600.0
IDLE_SECONDS = 100 * 86_400.0
# Ten years; nothing here lasts longer.
MOST_SECONDS = 3_650 * 86_400.0
TIMEOUT_SECONDS = (10, 60)

# Only what failed before anything was sent is sent again.
CONNECT_AGAIN = Retry(
    total=3,
    connect=3,
    read=0,
    redirect=0,
    status=0,
    other=0,
    backoff_factor=1,
    allowed_methods=None,
)

# What may stand in a header.
VISIBLE = re.compile("[!-~]+")
# What can be written to the store; a lone surrogate has no UTF-8.
_TEXT = re.compile("[^\ud800-\udfff]+")
# RFC 6749, 5.2; anything else in its place may be a token and is not shown.
_ERROR_WORD = re.compile("[a-z_]{1,40}")


class Credentials(NamedTuple):
    """What Intuit calls the keys of an app, and the token that a person's consent gave."""

    client_id: str
    client_secret: str
    realm_id: str
    refresh_token: str = ""

    def __repr__(self) -> str:
        return f"Credentials(realm_id={self.realm_id!r})"


class Grant(NamedTuple):
    """A token answer.

    Attributes:
        access_token: The bearer token; empty if the answer has no usable one.
        refresh_token: The value that the next refresh has to send; empty if it is unchanged.
        expires_in: Seconds until the access token ends.
        ends_in: Seconds until the refresh token ends unless it is used before.
    """

    access_token: str
    refresh_token: str
    expires_in: float
    ends_in: float

    def __repr__(self) -> str:
        return f"Grant(expires_in={self.expires_in:.0f})"


class TokenEndpoint:
    """The token endpoint, for the keys of one app.

    Args:
        url: Its full address.
        credentials: The keys, and the company, for messages.
    """

    def __init__(self, url: str, credentials: Credentials) -> None:
        self._url = url
        self._credentials = credentials

    def refresh(self, refresh_token: str) -> Grant:
        """Use a refresh token; see `_ask` for the errors."""
        return self._ask({"grant_type": "refresh_token", "refresh_token": refresh_token})

    def exchange(self, code: str, redirect_uri: str) -> Grant:
        """Exchange the code of a fresh sign-in; see `_ask` for the errors."""
        return self._ask(
            {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri}
        )

    def no_token(self) -> UnansweredError:
        """The error for an answer without the token that was asked for."""
        return UnansweredError(
            f"The token endpoint {self._url} sent an answer with no usable access token; "
            "check token_url, then run again"
        )

    def _ask(self, form: dict[str, str]) -> Grant:
        """Send a form, once.

        Raises:
            ReconnectError: A person has to sign in again.
            UnansweredError: What the endpoint has done is not known.
            CompanyError: The endpoint cannot be used, and has done nothing.
        """
        with requests.Session() as session:
            session.mount("https://", HTTPAdapter(max_retries=CONNECT_AGAIN))
            session.mount("http://", HTTPAdapter(max_retries=CONNECT_AGAIN))
            try:
                response = session.post(
                    self._url,
                    data=form,
                    auth=(self._credentials.client_id, self._credentials.client_secret),
                    headers={"Accept": "application/json"},
                    timeout=TIMEOUT_SECONDS,
                    allow_redirects=False,
                )
            except requests.RequestException as error:
                # Where no connection was made, nothing was sent, so that nothing can be lost.
                kind = CompanyError if is_unsent(error) else UnansweredError
                raise kind(
                    f"The token endpoint {self._url} did not answer ({type(error).__name__}); "
                    "check token_url and the network, then run again. "
                    "`tap-quickbooks-raw-auth doctor` looks into it"
                ) from None
        answer = _decode(response.content)
        if response.status_code // 100 != 2:  # noqa: PLR2004  Any success may carry the token.
            raise self._refused(response.status_code, _pick(answer, "error", _ERROR_WORD))
        grant = Grant(
            access_token=_pick(answer, "access_token", VISIBLE),
            refresh_token=_pick(answer, "refresh_token", _TEXT),
            expires_in=_seconds(answer, "expires_in", LIFETIME_SECONDS),
            ends_in=_seconds(answer, "x_refresh_token_expires_in", IDLE_SECONDS),
        )
        if not (grant.access_token or grant.refresh_token):
            raise self.no_token()
        return grant

    def _refused(self, status: int, reason: str) -> CompanyError:
        realm_id = self._credentials.realm_id
        match reason:
            case "invalid_grant":
                return ReconnectError(
                    f"Intuit no longer accepts the refresh token of company (realm) {realm_id} "
                    "(invalid_grant): sign in again with `tap-quickbooks-raw-auth login`, or set "
                    "QB_REFRESH_TOKEN to a new one"
                )
            case "invalid_client" | "unauthorized_client":
                return CompanyError(
                    f"Intuit does not accept the app's keys ({reason}): check QB_CLIENT_ID and "
                    "QB_CLIENT_SECRET (production keys for production, development keys for "
                    "sandbox); `tap-quickbooks-raw-auth doctor` looks into it"
                )
            case "invalid_scope":
                return ReconnectError(
                    "Intuit does not grant the accounting scope (invalid_scope): give the app "
                    "com.intuit.quickbooks.accounting at developer.intuit.com, then sign in again "
                    "with `tap-quickbooks-raw-auth login`"
                )
            case _:
                kind = CompanyError if status < 500 else UnansweredError  # noqa: PLR2004  Its fault.
                return kind(
                    f"The token endpoint answered {status} "
                    f"({reason or responses.get(status, 'no reason given')}) for company (realm) "
                    f"{realm_id}; run again later"
                )


def _decode(content: bytes) -> dict[str, Any]:
    """Read an answer whatever else is odd in it: a new refresh token must not be lost."""
    try:
        answer = json.loads(
            content.decode("utf-8-sig", errors="replace"), strict=False, parse_int=float
        )
    except (ValueError, RecursionError):
        return {}
    return answer if isinstance(answer, dict) else {}


def _pick(answer: dict[str, Any], name: str, form: re.Pattern[str]) -> str:
    """Return a text of the answer; empty where there is none of that form."""
    value = answer.get(name)
    return value if isinstance(value, str) and form.fullmatch(value) else ""


def _seconds(answer: dict[str, Any], name: str, usual: float) -> float:
    """Seconds until something ends; the usual ones where the answer has no number."""
    value = answer.get(name)
    if isinstance(value, bool):
        return usual
    try:
        seconds = float(value)  # type: ignore[arg-type]  # That is what is tried.
    except (TypeError, ValueError):
        return usual
    return min(seconds, MOST_SECONDS) if math.isfinite(seconds) and seconds > 0 else usual
