"""Stored tokens as bytes: plain, or encrypted with Fernet.

https://cryptography.io/en/latest/fernet/
"""

from __future__ import annotations

import re

import msgspec
from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from tap_quickbooks_raw.exceptions import SettingsError, TokenStoreError
from tap_quickbooks_raw.tokens import Token

# What reading raises for bytes that are no tokens.
DAMAGE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
# Fernet itself ignores what follows the padding, even a second key.
_KEY = re.compile("[A-Za-z0-9_-]{43}=")


class _Sealed(msgspec.Struct):
    sealed: str


class Seal:
    """Writes and reads tokens for a store.

    Args:
        keys: Fernet keys, separated by commas or blanks: the first one encrypts, all of them
            decrypt; none for tokens that are stored as they are.

    Raises:
        SettingsError: A key is none.
    """

    def __init__(self, keys: str = "") -> None:
        words = keys.replace(",", " ").split()
        if not all(map(_KEY.fullmatch, words)):
            raise SettingsError(
                "token_encryption_key: is no Fernet key (44 characters); "
                "`tap-quickbooks-raw-auth new-key` makes one"
            )
        self._fernet = MultiFernet(map(Fernet, words)) if words else None

    @property
    def encrypts(self) -> bool:
        """Whether what is stored is encrypted."""
        return self._fernet is not None

    def close(self, token: Token) -> bytes:
        """Write tokens as a JSON object."""
        content = msgspec.json.encode(token)
        if self._fernet is None:
            return content
        return msgspec.json.encode(_Sealed(self._fernet.encrypt(content).decode()))

    @staticmethod
    def read(content: bytes | msgspec.Raw) -> Token | str:
        """Read what `close` has written: plain tokens, or encrypted ones as a text.

        Raises:
            DAMAGE: It is damaged.
        """
        try:
            return msgspec.json.decode(content, type=_Sealed).sealed
        except msgspec.ValidationError:
            return msgspec.json.decode(content, type=Token)

    def open(self, content: bytes | msgspec.Raw) -> Token:
        """Read tokens; plain ones are read with keys, too.

        Raises:
            TokenStoreError: The key is missing or wrong.
            DAMAGE: They are damaged.
        """
        sealed = self.read(content)
        if isinstance(sealed, Token):
            return sealed
        if self._fernet is None:
            raise TokenStoreError(
                "token_encryption_key: is missing, and the stored tokens are encrypted; set it to "
                "the key that they were stored with"
            )
        try:
            content = self._fernet.decrypt(sealed.encode())
        except InvalidToken:
            raise TokenStoreError(
                "token_encryption_key: opens none of the stored tokens; set it to the key that "
                "they were stored with (several keys: new ones first, separated by commas)"
            ) from None
        return msgspec.json.decode(content, type=Token)


def new_key() -> str:
    """Make a key for `token_encryption_key`."""
    return Fernet.generate_key().decode()
