"""The bearer header: refreshing under the store's lock.

The order is what keeps a connection alive: lock, read again, note that a refresh is begun
(which shows that the store can be written), refresh only if still needed, save, unlock, and
only then use the new access token. The request to the token endpoint is never sent twice,
since its answer may have been the only copy of the next refresh token. A run that finds such a
note knows that an answer was lost; it says so, and goes on with the last token that is known.
"""

from __future__ import annotations

import logging
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from tap_quickbooks_raw.exceptions import (
    CompanyError,
    QuickBooksError,
    ReconnectError,
    SettingsError,
    UnansweredError,
)
from tap_quickbooks_raw.token_endpoint import VISIBLE, TokenEndpoint
from tap_quickbooks_raw.tokens import Token, TokenKey, fingerprint, mark
from tap_quickbooks_raw.unbroken import unbroken

if TYPE_CHECKING:
    from collections.abc import Callable

    from tap_quickbooks_raw.token_endpoint import Credentials
    from tap_quickbooks_raw.tokens import TokenStore

# An access token lives for 3600 s; a page takes at most 120 s.
EARLY_SECONDS = 180
# A request to the token endpoint takes at most 70 s.
UNDER_WAY_SECONDS = 75.0
# No answer is as long: two tokens, encrypted.
PADDING = " " * 12_288
# A new refresh token comes every day, for five years.
MOST_SPENT = 2_000

logger = logging.getLogger("tap-quickbooks-raw.auth")


class Authenticator:
    """Hands out bearer tokens that are valid for some minutes at least.

    Args:
        credentials: Keys of the app, the company, and the first refresh token.
        token_url: Full address of the token endpoint.
        store: Where the tokens live between runs.
        environment: `production` or `sandbox`, to be stored with the tokens.
        now: Clock, in seconds since 1970.
        sleep: Waits for some seconds.

    Attributes:
        refreshes: Refreshes of the tokens so far, those by other processes left out.
    """

    def __init__(  # noqa: PLR0913  The seams that tests replace.
        self,
        credentials: Credentials,
        token_url: str,
        *,
        store: TokenStore,
        environment: str = "",
        now: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.refreshes = 0
        self._credentials = credentials
        self._key = TokenKey(credentials.client_id, credentials.realm_id)
        self._endpoint = TokenEndpoint(token_url, credentials)
        self._store = store
        self._environment = environment
        self._now = now
        self._sleep = sleep
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
                    stored = self._store.load(self._key)
                    token, *others = self._candidates(stored)
                    if not self._usable(token, rejected):
                        token = self._renew(stored, [token, *others])
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
            and VISIBLE.fullmatch(token.access_token) is not None
            and token.expires_at - early > self._now()
        )

    def _candidates(self, stored: Token | None) -> list[Token]:
        """The tokens to try, the best first.

        The stored one, unless the settings have another than this chain began with: then a
        person has signed in again. The other of the two is tried only if the first is refused.
        """
        text = self._credentials.refresh_token
        configured = Token(refresh_token=text, seed=fingerprint(text)) if text else None
        if stored is None:
            if configured is None:
                raise SettingsError(
                    f"refresh_token: company (realm) {self._key.realm_id} has no stored tokens "
                    "yet; sign in with `tap-quickbooks-raw-auth login`, or set QB_REFRESH_TOKEN "
                    "to the refresh token of a fresh sign-in"
                )
            return [configured]
        if configured is None:
            return [stored]
        if configured.refresh_token == stored.refresh_token:
            # Copied from the store: once it has been replaced there, it is not to be tried again.
            return [msgspec.structs.replace(stored, seed=configured.seed)]
        if mark(text) in stored.spent:
            return [stored]  # A value of the past, which may end the connection.
        if configured.seed != stored.seed:
            return [configured, stored]
        return [stored, configured] if stored.asked_at else [stored]

    def _renew(self, stored: Token | None, candidates: list[Token]) -> Token:
        """Refresh and save, but never again after a failure: other threads wait for the same."""
        if self._failure is not None:
            raise self._failure
        if stored is not None and (newer := self._wait_for_other(stored)) is not None:
            return newer
        try:
            with unbroken():
                return self._renew_once(stored or candidates[0], candidates)
        except QuickBooksError as error:
            self._failure = error
            raise

    def _wait_for_other(self, stored: Token) -> Token | None:
        """Where a lock may have been lost, wait for the refresh of a process that still lives."""
        if self._store.is_lock_certain or not self._is_under_way(stored):
            return None
        logger.warning(
            "A refresh for company (realm) %s was begun %.0f s ago, and its end is not known: "
            "waiting up to %.0f s for it",
            self._key.realm_id,
            self._now() - stored.asked_at,
            UNDER_WAY_SECONDS,
        )
        while self._is_under_way(stored):
            self._sleep(1.0)
            current = self._store.load(self._key)
            if current is not None and current.access_token != stored.access_token:
                return current
        return None

    def _is_under_way(self, stored: Token) -> bool:
        is_begun = bool(stored.asked_at and stored.padding)
        return is_begun and 0 <= self._now() - stored.asked_at < UNDER_WAY_SECONDS

    def _renew_once(self, known: Token, candidates: list[Token]) -> Token:
        lost = _moment(known.asked_at) if known.asked_at else ""
        if lost:
            logger.warning(
                "The answer to the refresh of %s for company (realm) %s was lost; going on with "
                "the last refresh token that is known",
                lost,
                self._key.realm_id,
            )
        # It also shows, before anything can be lost, that the store can be written.
        note = msgspec.structs.replace(known, asked_at=self._now(), padding=PADDING)
        self._store.save(self._key, note)
        try:
            renewed = self._first_accepted(candidates)
        except UnansweredError:
            if self._store.load(self._key) == note:  # Nobody has to wait for this one.
                self._store.save(self._key, msgspec.structs.replace(note, padding=""))
            raise
        except CompanyError as error:
            # This request was answered; an older one that was not stays known.
            is_dead = isinstance(error, ReconnectError)
            if self._store.load(self._key) != note:
                raise  # Another process has stored something meanwhile; that stays.
            refused_at = self._now() if is_dead else known.refused_at
            self._store.save(self._key, msgspec.structs.replace(known, refused_at=refused_at))
            if lost and is_dead:
                raise ReconnectError(
                    f"{error} (the answer to the refresh of {lost} was lost, and with it the "
                    "token that took its place)"
                ) from None
            raise
        spent = self._spent(candidates[0], renewed.refresh_token, known)
        renewed = msgspec.structs.replace(renewed, spent=spent)
        self._store.save(self._key, renewed)
        if not renewed.access_token:
            raise self._endpoint.no_token()
        return renewed

    def _first_accepted(self, candidates: list[Token]) -> Token:
        """Refresh with the first token that Intuit does not refuse."""
        *firsts, last = candidates
        for token in firsts:
            try:
                return self._refresh(token)
            except ReconnectError:
                logger.warning(
                    "Intuit does not accept the refresh token %s; trying the other one",
                    "in the store" if token.refreshed_at else "in the settings (QB_REFRESH_TOKEN)",
                )
        renewed = self._refresh(last)
        # What has been refused once is not tried again.
        return msgspec.structs.replace(renewed, seed=firsts[0].seed) if firsts else renewed

    def _spent(self, used: Token, refresh_token: str, known: Token) -> tuple[str, ...]:
        """Marks of what is of the past once a refresh token has taken its place."""
        past = (mark(token.refresh_token) for token in (known, used))
        marks = dict.fromkeys((*known.spent, *past))
        marks.pop(mark(refresh_token), None)
        return tuple(marks)[-MOST_SPENT:]

    def _refresh(self, token: Token) -> Token:
        started = self._now()
        grant = self._endpoint.refresh(token.refresh_token)
        self.refreshes += 1
        if grant.access_token:
            logger.info("Refreshed the access token of company (realm) %s", self._key.realm_id)
        return Token(
            refresh_token=grant.refresh_token or token.refresh_token,
            access_token=grant.access_token,
            expires_at=started + grant.expires_in,
            refreshed_at=started,
            seed=token.seed,
            connected_at=token.connected_at or started,
            ends_at=started + grant.ends_in,
            environment=self._environment or token.environment,
        )


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
