"""JSON that keeps every digit and every character.

Rows are generated with `encode`; `revise` reads and writes rows that an edit changes. Numbers with
a fraction become `Decimal`, so `0.10` stays `0.10`, and lone surrogates survive as escapes.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import msgspec

Payload = dict[str, Any]

encode = msgspec.json.Encoder(decimal_format="number").encode


def loads(text: bytes | str) -> Any:  # noqa: ANN401 - a JSON value
    """Read JSON; numbers with a fraction keep their digits."""
    return json.loads(text, parse_float=Decimal)


def dumps(value: object) -> bytes:
    """Write what `loads` read, compactly and in the same key order."""
    try:
        return encode(value)
    except UnicodeEncodeError:  # A lone surrogate, which has to become an escape again.
        return _write(value).encode()


def _write(value: object) -> str:
    match value:
        case dict():
            return "{" + ",".join(f"{_string(k)}:{_write(v)}" for k, v in value.items()) + "}"
        case list() | tuple():
            return "[" + ",".join(map(_write, value)) + "]"
        case str():
            return _string(value)
        case Decimal():
            return str(value)
        case _:
            return json.dumps(value)


def _string(value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        return json.dumps(value)
    return json.dumps(value, ensure_ascii=False)
