"""The token store in a file."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec

from tap_quickbooks_raw.exceptions import TokenStoreError
from tap_quickbooks_raw.sealing import DAMAGE, Seal
from tap_quickbooks_raw.tokens import Token, TokenKey, fingerprint

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


class FileTokenStore:
    """A JSON file of mode 600, replaced as a whole at each change.

    Args:
        path: The file; its folder is made (mode 700) when first needed.
        seal: Encrypts the tokens, if it has keys.
    """

    def __init__(self, path: Path, *, seal: Seal | None = None) -> None:
        self._path = path
        self.seal = seal or Seal()

    def __str__(self) -> str:
        return str(self._path)

    @contextmanager
    def lock(self, key: TokenKey) -> Iterator[None]:
        """Hold the company's tokens alone, by a lock file beside the store."""
        with self._locked(f".{fingerprint(str(key))[:16]}.lock"):
            yield

    def load(self, key: TokenKey) -> Token | None:
        """Return the stored tokens, or None where there are none."""
        content = self._read().get(str(key))
        try:
            return None if content is None else self.seal.open(content)
        except DAMAGE:
            raise self._damaged() from None

    def save(self, key: TokenKey, token: Token) -> None:
        """Write a new file, bring it to disk, put it in the old one's place."""
        with self._locked(".lock"):
            self._write({**self._read(), str(key): msgspec.Raw(self.seal.close(token))})

    def delete(self, key: TokenKey) -> None:
        """Forget the tokens of a company."""
        with self._locked(".lock"):
            entries = self._read()
            if entries.pop(str(key), None) is not None:
                self._write(entries)

    def keys(self) -> list[TokenKey]:
        """Return whose tokens are stored, sorted."""
        return sorted(map(TokenKey.parse, self._read()), key=str)

    def _write(self, entries: Mapping[str, msgspec.Raw]) -> None:
        try:
            self._replace(msgspec.json.format(msgspec.json.encode(entries)))
        except OSError as error:
            raise self._unusable(error) from error

    def _replace(self, content: bytes) -> None:
        """Put a new file in the old one's place; the store is locked, so one name will do."""
        new = self._path.with_name(self._path.name + ".new")
        new.unlink(missing_ok=True)  # Of a process that was killed; there are tokens in it.
        try:
            with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            new.replace(self._path)
        except OSError:
            new.unlink(missing_ok=True)
            raise
        self._sync_folder()

    def _read(self) -> dict[str, msgspec.Raw]:
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise self._unusable(error) from error
        try:
            entries = msgspec.json.decode(content, type=dict[str, msgspec.Raw])
            for entry in entries.values():
                self.seal.read(entry)
        except DAMAGE:
            raise self._damaged() from None
        return entries

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

    def _damaged(self) -> TokenStoreError:
        return TokenStoreError(
            f"token_store: {self._path} is damaged (no JSON of tokens). Restore it from a "
            "backup, or move it away and connect the company again: `tap-quickbooks-raw-auth login`"
        )

    def _unusable(self, error: OSError) -> TokenStoreError:
        return TokenStoreError(
            f"token_store: {self._path} cannot be used ({error.strerror}). It must be a file that "
            "this user may read and replace"
        )
