"""Rotating OAuth tokens, and what a store of them can do.

Intuit replaces the refresh token about every 24 hours, and the old value may die at once
(https://developer.intuit.com/app/developer/qbo/docs/develop/authentication-and-authorization/oauth-2.0).
So the newest value is on disk before anything is done with it.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Protocol

import msgspec

if TYPE_CHECKING:
    from contextlib import AbstractContextManager


class TokenKey(msgspec.Struct, frozen=True):
    """Whose tokens: an Intuit app and a company (realm)."""

    client_id: str
    realm_id: str

    def __str__(self) -> str:
        return f"{self.client_id}/{self.realm_id}"

    @classmethod
    def parse(cls, text: str) -> TokenKey:
        """Read what `str` has written."""
        client_id, _, realm_id = text.rpartition("/")
        return cls(client_id, realm_id)


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """The tokens of one connection.

    Attributes:
        refresh_token: The value that the next refresh has to send.
        access_token: The bearer token; empty before the first refresh.
        expires_at: When the access token ends, in seconds since 1970.
        refreshed_at: When the tokens were received, in seconds since 1970.
        seed: Fingerprint of the `refresh_token` setting that this chain began with: when
            the setting changes, a person has signed in again.
        asked_at: When a refresh was begun whose answer is not known; 0 if all are.
        refused_at: When Intuit refused the refresh token for good; 0 if it has not.
        spent: Marks of all refresh tokens that are of the past; an old value that is sent may
            end the connection.
        padding: Makes the note of a refresh under way larger than its answer can be, so that a
            disk which takes the note takes the answer, too.
        connected_at: When this chain was first seen here; it ends five years after the consent.
        ends_at: When the refresh token ends unless it is used before; 0 if not told.
        environment: `production` or `sandbox`; empty if not known.
    """

    refresh_token: str
    access_token: str = ""
    expires_at: float = 0.0
    refreshed_at: float = 0.0
    seed: str = ""
    asked_at: float = 0.0
    refused_at: float = 0.0
    spent: tuple[str, ...] = ()
    padding: str = ""
    connected_at: float = 0.0
    ends_at: float = 0.0
    environment: str = ""

    def __repr__(self) -> str:
        return f"Token(expires_at={self.expires_at:.0f})"


def fingerprint(secret: str) -> str:
    """Return a digest by which a secret can be recognised but not recovered."""
    return hashlib.sha256(secret.encode()).hexdigest()


def mark(secret: str) -> str:
    """Return a short fingerprint."""
    return fingerprint(secret)[:16]


class TokenStore(Protocol):
    """Keeps the tokens of any number of companies."""

    is_lock_certain: bool
    """Whether only the end of its process can end a lock before its time."""

    def lock(self, key: TokenKey) -> AbstractContextManager[None]:
        """Hold the company's tokens alone, against every other process."""

    def load(self, key: TokenKey) -> Token | None:
        """Return the stored tokens, or None where there are none."""

    def save(self, key: TokenKey, token: Token) -> None:
        """Store tokens; when this returns they are durable."""

    def delete(self, key: TokenKey) -> None:
        """Forget the tokens of a company; nothing happens where there are none."""

    def keys(self) -> list[TokenKey]:
        """Return whose tokens are stored, sorted."""

    def prove(self) -> None:
        """Raise TokenStoreError if nothing can be stored."""

    def is_sealed(self, key: TokenKey) -> bool:
        """Whether the tokens of a company are stored encrypted."""
