"""Connections: chains of refresh tokens and the access tokens they gave.

The rotation of refresh tokens follows one of four rules, because sources disagree on what the
service does:

* `same-within-24h`: a refresh within 24 hours returns the same value; later a new one, and the old
  one is dead at once.
* `always`: every refresh returns a new value and the old one is dead at once.
* `grace`: every refresh returns a new value; the old one lives for 24 hours.
* `strict`: as `always`, and using an old value ends the whole connection.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Literal

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from quickbooks_simulator.settings import Rotation

DAY = 86400
REFRESH_SECONDS = 8726400
CODE_SECONDS = 600
TokenState = Literal["valid", "expired", "revoked", "unknown"]


class Chain(msgspec.Struct):
    """One connection: the user's consent for some companies."""

    realms: list[str]
    refresh_token: str
    issued_at: float
    refreshed_at: float
    old: dict[str, float] = {}
    access: dict[str, float] = {}
    revoked: bool = False

    def knows(self, refresh_token: str) -> bool:
        """Tell whether the value is or was one of the connection's."""
        return refresh_token == self.refresh_token or refresh_token in self.old


class Code(msgspec.Struct):
    """An authorization code on its way to be exchanged."""

    realms: list[str]
    redirect_uri: str
    expires_at: float


class GrantError(Exception):
    """The token endpoint refuses; the message is the `error` of its answer."""


class Tokens(msgspec.Struct):
    """All connections of the server."""

    chains: list[Chain] = []
    codes: dict[str, Code] = {}

    def connect(self, realms: Sequence[str], now: float, refresh_token: str = "") -> Chain:
        """Start a connection."""
        chain = Chain(list(realms), refresh_token or _refresh_value(), now, now)
        self.chains.append(chain)
        return chain

    def code(self, realms: Sequence[str], redirect_uri: str, now: float) -> str:
        """Return a new authorization code."""
        value = "AB11" + secrets.token_urlsafe(32)
        self.codes[value] = Code(list(realms), redirect_uri, now + CODE_SECONDS)
        return value

    def exchange(self, code: str, redirect_uri: str, now: float) -> Chain:
        """Turn a code into a connection.

        Raises:
            GrantError: The code is unknown, used, expired or of another address.
        """
        found = self.codes.pop(code, None)
        if found is None or found.expires_at <= now or found.redirect_uri != redirect_uri:
            raise GrantError("invalid_grant")
        return self.connect(found.realms, now)

    def refresh(self, refresh_token: str, now: float, rotation: Rotation) -> Chain:
        """Use a refresh token and rotate it.

        Raises:
            GrantError: The value is unknown, dead or revoked.
        """
        chain = next((chain for chain in self.chains if chain.knows(refresh_token)), None)
        if chain is None or chain.revoked or now >= chain.refreshed_at + REFRESH_SECONDS:
            raise GrantError("invalid_grant")
        if refresh_token != chain.refresh_token:
            if rotation == "strict":
                self.revoke(chain)
            if now >= chain.old[refresh_token]:
                raise GrantError("invalid_grant")
        elif rotation != "same-within-24h" or now >= chain.issued_at + DAY:
            chain.old[refresh_token] = now + DAY if rotation == "grace" else 0.0
            chain.refresh_token, chain.issued_at = _refresh_value(), now
        chain.refreshed_at = now
        return chain

    def access_token(self, chain: Chain, now: float, seconds: float) -> str:
        """Return a new access token of a connection."""
        chain.access = {value: end for value, end in chain.access.items() if end > now - DAY}
        value = "eyJhbGciOiJkaXIiLCJlbmMiOiJBMTI4Q0JDLUhTMjU2In0.." + secrets.token_urlsafe(480)
        chain.access[value] = now + seconds
        return value

    def check(self, access_token: str, now: float) -> tuple[TokenState, Chain | None]:
        """Return the state of an access token and its connection."""
        for chain in self.chains:
            if access_token in chain.access:
                if chain.revoked:
                    return "revoked", chain
                return ("valid" if now < chain.access[access_token] else "expired"), chain
        return "unknown", None

    def revoke_token(self, token: str) -> bool:
        """End the connection that a token belongs to; tell whether there was one."""
        for chain in self.chains:
            if token in chain.access or chain.knows(token):
                self.revoke(chain)
                return True
        return False

    def revoke(self, chain: Chain) -> None:
        """End a connection: no token of it works any more."""
        chain.revoked = True
        chain.old = dict.fromkeys(chain.old, 0.0)

    def expire_access(self) -> None:
        """Let every access token expire now."""
        for chain in self.chains:
            chain.access = dict.fromkeys(chain.access, 0.0)


def _refresh_value() -> str:
    return "RT1-" + secrets.token_hex(20)
