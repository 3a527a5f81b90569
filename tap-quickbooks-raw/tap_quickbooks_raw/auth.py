"""The bearer header: refreshing under the store's lock.

The order is what keeps a connection alive: lock, read again, refresh only if still needed,
save, unlock, and only then use the new access token. The request to the token endpoint is
never sent twice, since its answer may have been the only copy of the next refresh token.
"""

from __future__ import annotations

import json
import logging
import math
import re
import threading
import time
from http.client import responses
from typing import TYPE_CHECKING, Any, NamedTuple

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from tap_quickbooks_raw.exceptions import (
    CompanyError,
    QuickBooksError,
    ReconnectError,
    SettingsError,
)
from tap_quickbooks_raw.tokens import Token, TokenKey, fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable

    from tap_quickbooks_raw.tokens import TokenStore

# An access token lives for 3600 s; a page takes at most 120 s.
LIFETIME_SECONDS = 3600.0
EARLY_SECONDS = 180
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
_VISIBLE = re.compile("[!-~]+")
# What can be written to the store; a lone surrogate has no UTF-8.
_TEXT = re.compile("[^\ud800-\udfff]+")
# RFC 6749, 5.2; anything else in its place may be a token and is not shown.
_ERROR_WORD = re.compile("[a-z_]{1,40}")

logger = logging.getLogger("tap-quickbooks-raw.auth")


class Credentials(NamedTuple):
    """What Intuit calls the keys of an app, and the token that a person's consent gave."""

    client_id: str
    client_secret: str
    realm_id: str
    refresh_token: str = ""

    def __repr__(self) -> str:
        return f"Credentials(realm_id={self.realm_id!r})"


class Authenticator:
    """Hands out bearer tokens that are valid for some minutes at least.

    Args:
        credentials: Keys of the app, the company, and the first refresh token.
        token_url: Full address of the token endpoint.
        store: Where the tokens live between runs.
        now: Clock, in seconds since 1970.
    """

    def __init__(
        self,
        credentials: Credentials,
        token_url: str,
        *,
        store: TokenStore,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._credentials = credentials
        self._key = TokenKey(credentials.client_id, credentials.realm_id)
        self._token_url = token_url
        self._store = store
        self._now = now
        self._mutex = threading.Lock()
        self._token: Token | None = None
        self._failure: QuickBooksError | None = None

    def bearer(self, rejected: str = "") -> str:
        """Return an access token, refreshed where needed.

        Args:
            rejected: An access token that QBO has just refused.

        Raises:
            ReconnectError: The refresh token is dead.
            CompanyError: The token endpoint cannot be used.
            SettingsError: There is no refresh token at all.
        """
        with self._mutex:
            if self._token is None or not self._usable(self._token, rejected):
                with self._store.lock(self._key):
                    token = self._current()
                    if not self._usable(token, rejected):
                        token = self._renew(token)
                self._token = token
            return self._token.access_token

    def close(self) -> None:
        """Wait for a refresh under way: its answer must not be lost."""
        with self._mutex:
            self._token = None

    def _usable(self, token: Token, rejected: str) -> bool:
        # Half of a short life, or each request would find the token to be at its end.
        early = min(EARLY_SECONDS, (token.expires_at - token.refreshed_at) / 2)
        return (
            token.access_token != rejected
            and _VISIBLE.fullmatch(token.access_token) is not None
            and token.expires_at - early > self._now()
        )

    def _current(self) -> Token:
        """The stored tokens, unless a person has signed in again since."""
        stored = self._store.load(self._key)
        configured = self._credentials.refresh_token
        if configured and (stored is None or self._is_new(configured, stored)):
            return Token(refresh_token=configured, seed=fingerprint(configured))
        if stored is None:
            raise SettingsError(
                f"refresh_token: company (realm) {self._key.realm_id} has no stored tokens yet; "
                "set QB_REFRESH_TOKEN to the refresh token of a fresh sign-in"
            )
        return stored

    @staticmethod
    def _is_new(configured: str, stored: Token) -> bool:
        return configured != stored.refresh_token and fingerprint(configured) != stored.seed

    def _renew(self, token: Token) -> Token:
        """Refresh and save, but never again after a failure: other threads wait for the same."""
        if self._failure is not None:
            raise self._failure
        try:
            renewed = self._refresh(token)
            self._store.save(self._key, renewed)
            if not renewed.access_token:
                raise self._no_token()
        except QuickBooksError as error:
            self._failure = error
            raise
        return renewed

    def _refresh(self, token: Token) -> Token:
        started = self._now()
        with requests.Session() as session:
            session.mount("https://", HTTPAdapter(max_retries=CONNECT_AGAIN))
            session.mount("http://", HTTPAdapter(max_retries=CONNECT_AGAIN))
            try:
                response = session.post(
                    self._token_url,
                    data={"grant_type": "refresh_token", "refresh_token": token.refresh_token},
                    auth=(self._credentials.client_id, self._credentials.client_secret),
                    headers={"Accept": "application/json"},
                    timeout=TIMEOUT_SECONDS,
                    allow_redirects=False,
                )
            except requests.RequestException as error:
                raise CompanyError(
                    f"The token endpoint {self._token_url} did not answer "
                    f"({type(error).__name__}); check token_url and the network, then run again"
                ) from None
        answer = _decode(response.content)
        if response.status_code // 100 != 2:  # noqa: PLR2004  Any success may carry the token.
            raise self._refused(response.status_code, _pick(answer, "error", _ERROR_WORD))
        access_token = _pick(answer, "access_token", _VISIBLE)
        refresh_token = _pick(answer, "refresh_token", _TEXT)
        if not (access_token or refresh_token):
            raise self._no_token()
        if access_token:
            logger.info("Refreshed the access token of company (realm) %s", self._key.realm_id)
        return Token(
            refresh_token=refresh_token or token.refresh_token,
            access_token=access_token,
            expires_at=started + _lifetime(answer),
            refreshed_at=started,
            seed=token.seed,
        )

    def _no_token(self) -> CompanyError:
        return CompanyError(
            f"The token endpoint {self._token_url} sent an answer with no usable access token; "
            "check token_url, then run again"
        )

    def _refused(self, status: int, reason: str) -> CompanyError:
        match reason:
            case "invalid_grant":
                return ReconnectError(
                    f"Intuit no longer accepts the refresh token of company (realm) "
                    f"{self._key.realm_id} (invalid_grant): sign in again and set "
                    "QB_REFRESH_TOKEN to the new refresh token"
                )
            case "invalid_client" | "unauthorized_client":
                return CompanyError(
                    f"Intuit does not accept the app's keys ({reason}): check QB_CLIENT_ID and "
                    "QB_CLIENT_SECRET (production keys for production, development keys for "
                    "sandbox)"
                )
            case _:
                return CompanyError(
                    f"The token endpoint answered {status} "
                    f"({reason or responses.get(status, 'no reason given')}) for company (realm) "
                    f"{self._key.realm_id}; no token was lost, run again later"
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


def _lifetime(answer: dict[str, Any]) -> float:
    """Seconds until the access token ends; the usual ones where the answer has no number."""
    value = answer.get("expires_in")
    if isinstance(value, bool):
        return LIFETIME_SECONDS
    try:
        seconds = float(value)  # type: ignore[arg-type]  # That is what is tried.
    except (TypeError, ValueError):
        return LIFETIME_SECONDS
    return seconds if math.isfinite(seconds) and seconds > 0 else LIFETIME_SECONDS
