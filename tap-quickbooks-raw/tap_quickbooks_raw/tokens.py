"""Where rotating OAuth tokens live.

Intuit replaces the refresh token about every 24 hours, and the old value may die at once
(https://developer.intuit.com/app/developer/qbo/docs/develop/authentication-and-authorization/oauth-2.0).
So the newest value is on disk before anything is done with it.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import unquote, urlsplit

import msgspec

from tap_quickbooks_raw.exceptions import SettingsError, TokenStoreError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager


class TokenKey(msgspec.Struct, frozen=True):
    """Whose tokens: an Intuit app and a company (realm)."""

    client_id: str
    realm_id: str

    def __str__(self) -> str:
        return f"{self.client_id}/{self.realm_id}"


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """The tokens of one connection.

    Attributes:
        refresh_token: The value that the next refresh has to send.
        access_token: The bearer token; empty before the first refresh.
        expires_at: When the access token ends, in seconds since 1970.
        refreshed_at: When the tokens were received, in seconds since 1970.
        seed: Fingerprint of the `refresh_token` setting that this chain began with: when
            the setting changes, a person has signed in again.
    """

    refresh_token: str
    access_token: str = ""
    expires_at: float = 0.0
    refreshed_at: float = 0.0
    seed: str = ""

    def __repr__(self) -> str:
        return f"Token(expires_at={self.expires_at:.0f})"


def fingerprint(secret: str) -> str:
    """Return a digest by which a secret can be recognised but not recovered."""
    return hashlib.sha256(secret.encode()).hexdigest()


class TokenStore(Protocol):
    """Keeps the tokens of any number of companies."""

    def lock(self, key: TokenKey) -> AbstractContextManager[None]:
        """Hold the company's tokens alone, against every other process."""

    def load(self, key: TokenKey) -> Token | None:
        """Return the stored tokens, or None where there are none."""

    def save(self, key: TokenKey, token: Token) -> None:
        """Store tokens; when this returns they are durable."""


def open_store(address: str) -> TokenStore:
    """Return the token store at an address.

    Raises:
        SettingsError: The address is of no known kind.
    """
    form = "give file:///absolute/path/of/a/file.json"
    try:
        parts = urlsplit(address)
        if parts.scheme == "file" and parts.path and parts.netloc in {"", "localhost"}:
            # A link is written through: replaced, it would leave dead tokens where it led.
            return FileTokenStore(Path(unquote(parts.path)).resolve())
    except (OSError, RuntimeError, ValueError) as error:
        raise SettingsError(f"token_store: {error}; {form}") from None
    kind = f"{parts.scheme!r} is not supported; " if parts.scheme not in {"", "file"} else ""
    raise SettingsError(f"token_store: {kind}{form}")


class FileTokenStore:
    """A JSON file of mode 600, replaced as a whole at each change.

    Args:
        path: The file; its folder is made (mode 700) when first needed.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextmanager
    def lock(self, key: TokenKey) -> Iterator[None]:
        """Hold the company's tokens alone, by a lock file beside the store."""
        with self._locked(f".{fingerprint(str(key))[:16]}.lock"):
            yield

    def load(self, key: TokenKey) -> Token | None:
        """Return the stored tokens, or None where there are none."""
        return self._read().get(str(key))

    def save(self, key: TokenKey, token: Token) -> None:
        """Write a new file, bring it to disk, put it in the old one's place."""
        with self._locked(".lock"):
            tokens = {**self._read(), str(key): token}
            try:
                self._replace(msgspec.json.format(msgspec.json.encode(tokens)))
            except OSError as error:
                raise self._unusable(error) from error

    def _replace(self, content: bytes) -> None:
        handle, name = tempfile.mkstemp(dir=self._path.parent, prefix=self._path.name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(self._path)
        except OSError:
            Path(name).unlink(missing_ok=True)
            raise
        self._sync_folder()

    def _read(self) -> dict[str, Token]:
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise self._unusable(error) from error
        try:
            return msgspec.json.decode(content, type=dict[str, Token])
        except msgspec.DecodeError:
            raise TokenStoreError(
                f"token_store: {self._path} is damaged (no JSON of tokens). Restore it from a "
                "backup, or move it away, connect the company again and set refresh_token"
            ) from None

    @contextmanager
    def _locked(self, suffix: str) -> Iterator[None]:
        path = self._path.with_name(self._path.name + suffix)
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise self._unusable(error) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def _sync_folder(self) -> None:
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _unusable(self, error: OSError) -> TokenStoreError:
        return TokenStoreError(
            f"token_store: {self._path} cannot be used ({error.strerror}). It must be a file that "
            "this user may read and replace"
        )
