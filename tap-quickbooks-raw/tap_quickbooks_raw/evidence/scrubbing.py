"""What may be written down: no secrets, and only characters that every reader can take."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

import msgspec

from tap_quickbooks_raw.config_schema import CONFIG_SCHEMA
from tap_quickbooks_raw.evidence.document import Verification

SECRETS = frozenset(
    name for name, entry in CONFIG_SCHEMA["properties"].items() if entry.get("secret")
)
HIDDEN = "***"
# Up to the last @ of the word: a password may have one in it, and slashes, too.
_USER = re.compile(r"://\S*@")
_PASSWORD = re.compile(r"(?i)\b(password\s*=\s*)('(?:\\.|[^'])*'|[^\s&]+)")
# PostgreSQL holds no NUL, UTF-8 no lone surrogates, and XML hardly any control character.
_UNFIT = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")


def scrub(verification: Verification) -> Verification:
    """Return the document without secrets and without characters that cannot be written."""
    content = msgspec.to_builtins(verification, builtin_types=(datetime,), enc_hook=str)
    return msgspec.convert(_clean(content), Verification)


def _clean(value: Any) -> Any:  # noqa: ANN401  Settings hold any JSON.
    match value:
        case str():
            hidden = _PASSWORD.sub(rf"\g<1>{HIDDEN}", _USER.sub(f"://{HIDDEN}@", value))
            return _UNFIT.sub("\ufffd", hidden)
        case dict():
            return {
                _clean(name): _clean(part)
                for name, part in value.items()
                if str(name).lower() not in SECRETS
            }
        case list() | tuple():
            return [_clean(part) for part in value]
        case _:
            return value
