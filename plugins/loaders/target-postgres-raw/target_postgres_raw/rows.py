"""Records as rows of PostgreSQL's binary COPY, in which every value is a text.

The values of a record are the bytes that were sent. PostgreSQL turns them into the columns'
types; nothing is parsed here but the texts that carry an escape.
"""

from __future__ import annotations

import re
import struct
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from singer_sdk.exceptions import MissingKeyPropertiesError

from target_postgres_raw.failures import MisfitError, clip

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    Record = Mapping[str, msgspec.Raw]
    Encode = Callable[[msgspec.Raw], bytes]

# https://www.postgresql.org/docs/current/sql-copy.html#id-1.9.3.55.9.4
COPY_HEAD = b"PGCOPY\n\xff\r\n\0" + bytes(8)
COPY_TAIL = b"\xff\xff"
NULL = b"\xff\xff\xff\xff"

# What only its own type knows how to read from JSON; streams that have such go the stock way.
JSON_TYPES = {"json", "jsonb"}
INTEGER_TYPES = {"smallint", "integer", "bigint"}
INTEGER_DIGITS = 19  # Of a bigint; 1e999999999 is not worth writing out.

_length = struct.Struct(">i").pack
_decode_text = msgspec.json.Decoder(str).decode
_NUL = re.compile(rb"(?<!\\)((?:\\\\)*)\\u0000")


class Layout:
    """How the records with one set of columns become rows.

    Attributes:
        columns: The names, the key's first.
        staged: The names that the staging table has, which all layouts of the stream share.
    """

    def __init__(
        self,
        stream: str,
        columns: Sequence[tuple[str, Encode]],
        *,
        keys: int,
        staged: tuple[str, ...],
    ) -> None:
        self.columns = tuple(name for name, _ in columns)
        self.staged = staged
        self._stream = stream
        self._encoders = columns
        self._keys = self.columns[:keys]
        self._head = struct.pack(">h", len(columns))

    def encode(self, record: Record) -> bytes:
        """Return a record's row.

        Raises:
            MisfitError: A value cannot be one of its column.
        """
        fields = [self._head]
        try:
            for name, encode in self._encoders:
                fields.append(encode(record[name]))
        except ValueError as error:
            key = describe_key(self._keys, [bytes(record[key]) for key in self._keys])
            raise MisfitError(self._stream, key, name, clip(str(error))) from None
        return b"".join(fields)

    def key(self, record: Record) -> tuple[bytes, ...]:
        """Return what tells a record's row from others."""
        return tuple(bytes(record[name]) for name in self._keys)

    def values(self, row: bytes) -> list[bytes | None]:
        """Take a row apart again."""
        return list(_values(row))

    def describe(self, row: bytes) -> str:
        """Name a row by its key."""
        return describe_key(self._keys, self.values(row))


class Layouts:
    """The layouts of a stream, made as records ask for them.

    Args:
        stream: Name of the stream.
        types: PostgreSQL's type of each column of the stream's schema.
        keys: The key columns.
        sanitize: Whether NUL characters are replaced.
    """

    def __init__(
        self, stream: str, types: Mapping[str, str], keys: Sequence[str], *, sanitize: bool
    ) -> None:
        self.stream = stream
        self.ignored: set[str] = set()
        self._keys = tuple(keys)
        others = [name for name in types if name not in keys]
        self._encoders = {
            name: _encoder(types[name], sanitize=sanitize) for name in (*keys, *others)
        }
        self._by_names: dict[tuple[str, ...], Layout] = {}
        self._by_columns: dict[tuple[str, ...], Layout] = {}

    def layout(self, record: Record) -> Layout:
        """Return the layout for a record.

        Raises:
            MissingKeyPropertiesError: A key column is not there.
        """
        names = tuple(record)
        return self._by_names.get(names) or self._make(names, record)

    def _make(self, names: tuple[str, ...], record: Record) -> Layout:
        if missing := [key for key in self._keys if key not in record]:
            known = [key for key in self._keys if key in record]
            key = describe_key(known, [bytes(record[key]) for key in known]) or "no key at all"
            raise MissingKeyPropertiesError(
                f"Stream {self.stream}: a record ({key}) lacks the key column"
                f" {', '.join(missing)}; it has {clip(', '.join(names))}."
            )
        columns = tuple(name for name in self._encoders if name in record)
        self.ignored.update(set(names) - set(columns))
        layout = self._by_columns.get(columns) or Layout(
            self.stream,
            [(name, self._encoders[name]) for name in columns],
            keys=len(self._keys),
            staged=tuple(self._encoders),
        )
        self._by_names[names] = self._by_columns[columns] = layout
        return layout


class Run(NamedTuple):
    """Rows of one layout that may be written at once; the keys only where they are needed."""

    layout: Layout
    rows: list[bytes]
    keys: set[tuple[bytes, ...]]


def describe_key(names: Collection[str], values: Sequence[bytes | None]) -> str:
    """Name a record by its key."""
    texts = (
        "null" if value is None else value.decode(errors="replace").strip('"') for value in values
    )
    return clip(", ".join(f"{name}={text}" for name, text in zip(names, texts, strict=False)))


def _encoder(type_: str, *, sanitize: bool) -> Encode:
    if type_ in JSON_TYPES:
        return _sanitized_json if sanitize else _json
    if type_ in INTEGER_TYPES:
        return _integer
    return _sanitized_text if sanitize else _text


def _json(value: msgspec.Raw) -> bytes:
    sent = bytes(value)
    return _length(len(sent)) + sent


def _sanitized_json(value: msgspec.Raw) -> bytes:
    sent = bytes(value)
    if b"\\u0000" in sent:
        sent = _NUL.sub(rb"\1\\ufffd", sent)
    return _length(len(sent)) + sent


def _text(value: msgspec.Raw) -> bytes:
    sent = bytes(value)
    if sent[:1] == b'"':
        # An escape (also that of a lone surrogate, which fails here) needs the whole reading.
        sent = _decode_text(sent).encode() if b"\\" in sent else sent[1:-1]
    elif sent == b"null":
        return NULL
    elif sent[:1] in b"[{":
        raise ValueError(f"{clip(sent.decode(errors='replace'))} is no single value")
    return _length(len(sent)) + sent


def _sanitized_text(value: msgspec.Raw) -> bytes:
    row = _text(value)
    if b"\0" in row[4:]:
        text = row[4:].replace(b"\0", "\ufffd".encode())
        return _length(len(text)) + text
    return row


def _integer(value: msgspec.Raw) -> bytes:
    sent = bytes(value)
    if not sent.isdigit() and sent[:1] in b"-0123456789":
        try:
            number = Decimal(sent.decode())
            if number.adjusted() < INTEGER_DIGITS and number == number.to_integral_value():
                sent = b"%d" % int(number)
        except InvalidOperation:
            pass  # PostgreSQL refuses it too, and its words are those of the column's type.
    return _length(len(sent)) + sent if sent.isdigit() else _text(msgspec.Raw(sent))


def _values(row: bytes) -> Iterator[bytes | None]:
    place = 2
    while place < len(row):
        (size,) = struct.unpack_from(">i", row, place)
        place += 4
        yield row[place : place + size] if size >= 0 else None
        place += max(size, 0)
