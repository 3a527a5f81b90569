"""The token store in a file."""

from __future__ import annotations

import fcntl
import logging
import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec

from tap_quickbooks_raw.exceptions import TokenStoreError
from tap_quickbooks_raw.sealing import DAMAGE, Seal
from tap_quickbooks_raw.tokens import Token, TokenKey, fingerprint

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

LOCK_POLL_SECONDS = 0.02
QUIET_LOCK_SECONDS = 5.0
# A refresh takes at most 70 s.
MOST_LOCK_SECONDS = 180.0

logger = logging.getLogger("tap-quickbooks-raw.tokens")


class FileTokenStore:
    """A JSON file of mode 600, replaced as a whole at each change.

    Args:
        path: The file; its folder is made (mode 700) when first needed.
        seal: Encrypts the tokens, if it has keys.
    """

    is_lock_certain = True

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

    def prove(self) -> None:
        """Raise TokenStoreError if nothing can be stored."""
        with self._locked(".lock"):
            self._write(self._read())

    def is_sealed(self, key: TokenKey) -> bool:
        """Whether the tokens of a company are stored encrypted."""
        content = self._read().get(str(key))
        return content is not None and isinstance(self.seal.read(content), str)

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
                self._give_to_owner(file.fileno())
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
            self._give_to_owner(handle)
        except OSError as error:
            raise self._unusable(error, path) from error
        try:
            self._acquire(handle, path)
            yield
        finally:
            os.close(handle)

    def _acquire(self, handle: int, path: Path) -> None:
        started = time.monotonic()
        is_told = False
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                waited = time.monotonic() - started
                if waited > MOST_LOCK_SECONDS:
                    raise TokenStoreError(
                        f"token_store: another process has held {path} for {waited:.0f} s; end "
                        "it, then run again"
                    ) from None
                if waited > QUIET_LOCK_SECONDS and not is_told:
                    is_told = True
                    logger.warning("Waiting for another process, which holds %s", path)
                time.sleep(LOCK_POLL_SECONDS)
            else:
                return

    def _give_to_owner(self, handle: int) -> None:
        """Let what root makes belong to the folder's owner, whose runs need it."""
        if os.geteuid() == 0:
            owner = self._path.parent.stat()
            os.fchown(handle, owner.st_uid, owner.st_gid)

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

    def _unusable(self, error: OSError, path: Path | None = None) -> TokenStoreError:
        return TokenStoreError(
            f"token_store: {path or self._path} cannot be used ({error.strerror}). It must be a "
            "file that this user may read and replace"
        )
