r"""From the bytes of an answer to its envelope; the objects inside stay bytes.

What PostgreSQL or a Singer line cannot carry is mended here, on the bytes, and nothing else
is altered: `\u0000` and lone surrogates become U+FFFD, line breaks between tokens become
blanks, bytes that are not UTF-8 are decoded by the declared charset.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

import msgspec

REPLACEMENT = b"\\ufffd"

_SUSPECT = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")
# One escape sequence: a pair of surrogates, any \uXXXX, or a backslash and one character.
_ESCAPE = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\.", re.DOTALL
)
_UNUSABLE = re.compile(rb"\\u(?:0000|[dD][89a-fA-F][0-9a-fA-F]{2})")
# A byte that is not UTF-8, as Python's surrogateescape marks it.
_ESCAPED_BYTE = re.compile("[\udc80-\udcff]")
_BLANK_BREAKS = bytes.maketrans(b"\r\n", b"  ")


class Envelope(msgspec.Struct):
    """The outermost object of an answer.

    Attributes:
        query: Lists of objects by response key, still as bytes.
        items: Items of a batch, still as bytes.
        changes: Changes per entity, still as bytes.
        fault: The error that the answer carries, if any.
        time: The server's clock, as sent: a date-time or epoch milliseconds.
    """

    query: dict[str, msgspec.Raw] | None = msgspec.field(default=None, name="QueryResponse")
    items: list[dict[str, msgspec.Raw]] | None = msgspec.field(
        default=None, name="BatchItemResponse"
    )
    changes: msgspec.Raw = msgspec.field(default=msgspec.Raw(), name="CDCResponse")
    fault: dict[str, Any] | None = msgspec.field(default=None, name="Fault")
    gateway_fault: dict[str, Any] | None = msgspec.field(default=None, name="fault")
    time: str | int | None = None

    @property
    def carries_data(self) -> bool:
        """Whether this is what was asked for and no fault stands in it."""
        if self.fault or self.gateway_fault or {"Fault", "fault"} & (self.query or {}).keys():
            return False
        changes = bytes(self.changes)
        return self.query is not None or self.items is not None or changes not in {b"", b"null"}

    @property
    def clock(self) -> datetime | None:
        """The server's clock; None where it is not told."""
        try:
            match self.time:
                case int():
                    return datetime.fromtimestamp(self.time / 1000, UTC)
                case str():
                    moment = datetime.fromisoformat(self.time)
                    return moment.astimezone(UTC) if moment.tzinfo else None
        except (ValueError, OverflowError, OSError):
            pass
        return None


class Answer(NamedTuple):
    """A successful answer.

    Attributes:
        query: Lists of objects by response key, still as bytes.
        items: Items of a batch, still as bytes.
        received_at: When the last byte had arrived, by our clock, in UTC.
        tid: `intuit_tid`, the trace id that Intuit's support asks for.
        changes: Changes per entity, still as bytes.
    """

    query: dict[str, msgspec.Raw]
    items: list[dict[str, msgspec.Raw]]
    received_at: datetime
    tid: str
    changes: msgspec.Raw = msgspec.Raw()


_decoder = msgspec.json.Decoder(Envelope)


def decode(body: bytes, content_type: str = "") -> Envelope:
    """Decode the envelope of an answer.

    Raises:
        msgspec.DecodeError: The body is cut short, no JSON, or of another shape.
    """
    try:
        return _decoder.decode(mend(body, content_type))
    except RecursionError:
        raise msgspec.DecodeError("nested too deeply") from None


def mend(body: bytes, content_type: str = "") -> bytes:
    """Replace what PostgreSQL or a Singer line cannot carry."""
    if not body.isascii():
        body = _utf8(body, content_type)
    if b"\n" in body or b"\r" in body:
        body = body.translate(_BLANK_BREAKS)
    if _SUSPECT.search(body):
        body = _ESCAPE.sub(_mend_escape, body)
    return body


def http_date(header: str | None) -> datetime | None:
    """Read a date in a header; None where it is none."""
    if not header:
        return None
    try:
        moment = parsedate_to_datetime(header)
    except ValueError:
        return None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _mend_escape(match: re.Match[bytes]) -> bytes:
    escape = match.group()
    return REPLACEMENT if _UNUSABLE.fullmatch(escape) else escape


def _utf8(body: bytes, content_type: str) -> bytes:
    body = body.removeprefix(b"\xef\xbb\xbf")
    try:
        body.decode()
    except UnicodeDecodeError:
        declared = re.search(r"charset=[\"']?([\w.:-]+)", content_type, re.IGNORECASE)
        if declared is None:
            return _mend_bytes(body)
        try:
            return body.decode(declared.group(1), errors="replace").encode()
        except (LookupError, UnicodeError):
            return body.decode(errors="replace").encode()
    return body


def _mend_bytes(body: bytes) -> bytes:
    """Take single bytes that are not UTF-8 for ISO-8859-1; the rest of the page is UTF-8.

    Intuit's page "rest-api-features" names ISO-8859-1 for US companies.
    """
    text = body.decode(errors="surrogateescape")
    return _ESCAPED_BYTE.sub(lambda match: chr(ord(match.group()) - 0xDC00), text).encode()
