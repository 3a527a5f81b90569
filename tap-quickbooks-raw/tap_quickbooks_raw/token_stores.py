"""The token stores by their addresses."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from tap_quickbooks_raw.exceptions import SettingsError
from tap_quickbooks_raw.sealing import Seal
from tap_quickbooks_raw.token_files import FileTokenStore
from tap_quickbooks_raw.token_tables import PostgresTokenStore

if TYPE_CHECKING:
    from tap_quickbooks_raw.settings import Settings

FORMS = "give file:///absolute/path/of/a/file.json or postgresql://user:password@host:5432/database"


def open_store(settings: Settings) -> FileTokenStore | PostgresTokenStore:
    """Return the token store of valid settings; nothing is opened before it is used.

    Raises:
        SettingsError: The address is of no known kind, or the key is none.
    """
    return store_at(settings.token_store, Seal(settings.token_encryption_key))


def store_at(address: str, seal: Seal) -> FileTokenStore | PostgresTokenStore:
    """Return the token store at an address.

    Raises:
        SettingsError: The address is of no known kind.
    """
    try:
        parts = urlsplit(address)
        if parts.scheme in {"postgresql", "postgres"}:
            return PostgresTokenStore(address, seal=seal)
        if parts.scheme == "file" and parts.path and parts.netloc in {"", "localhost"}:
            # A link is written through: replaced, it would leave dead tokens where it led.
            return FileTokenStore(Path(unquote(parts.path)).resolve(), seal=seal)
    except (OSError, RuntimeError) as error:
        raise SettingsError(f"token_store: {error}; {FORMS}") from None
    except ValueError:
        # Its message may quote the address, which may have a password in it.
        raise SettingsError(f"token_store: is no address; {FORMS}") from None
    kind = f"{parts.scheme!r} is not supported; " if parts.scheme not in {"", "file"} else ""
    raise SettingsError(f"token_store: {kind}{FORMS}")
