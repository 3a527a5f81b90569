"""The raw record: one schema for every stream, and its lines.

A line is put together from bytes: the object stays as it was sent, and what is the same for
all rows of a page is written once per page.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from tap_quickbooks_raw.changes import Deletions
    from tap_quickbooks_raw.pages import Page, Row
    from tap_quickbooks_raw.windows import Window

PRIMARY_KEYS = ("realm_id", "id")
REPLICATION_KEY = "last_updated_utc"


def _date_time(description: str) -> dict[str, Any]:
    return {"type": ["string", "null"], "format": "date-time", "description": description}


RAW_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "realm_id": {"type": "string", "description": "The company (realm)."},
        "id": {"type": "string", "description": "QBO Id as sent."},
        "payload": {
            "type": ["object", "null"],
            "description": "The whole object as sent: every key, every digit.",
        },
        "last_updated_utc": _date_time("MetaData.LastUpdatedTime as an instant."),
        "ingested_at_utc": _date_time("When the page was received."),
        "extract_window_start_utc": _date_time("Start of the window asked for, inclusive."),
        "extract_window_end_utc": _date_time("End of the window asked for, exclusive."),
        "page_number": {
            "type": ["integer", "null"],
            "description": "Page within the window, from 1.",
        },
        "page_size": {"type": ["integer", "null"], "description": "Rows asked for."},
        "request_payload": {
            "type": ["object", "null"],
            "description": "Method, path, query text, minor version, changedSince and entities "
            "of the request.",
        },
        "deleted_at_utc": _date_time("When QBO reported the object deleted."),
    },
}


def timestamp(moment: datetime) -> str:
    """Write an instant as every column and bookmark has it: ISO 8601 in UTC."""
    return moment.isoformat()


class RecordLines:
    """Writes the RECORD lines of a stream.

    Args:
        stream: Name of the stream.
        realm_id: The company.
        columns: The selected columns; the primary key is always among them.
        minor_version: QBO minor version, for `request_payload`.
    """

    def __init__(
        self, stream: str, realm_id: str, *, columns: Collection[str], minor_version: int
    ) -> None:
        self._stream = stream
        self._realm_id = realm_id
        self._columns = columns
        self._minor_version = minor_version
        self._head = b'{"type":"RECORD","stream":%b,"record":{"realm_id":%b,"id":' % (
            _json(stream),
            _json(realm_id),
        )

    def encode(self, page: Page, window: Window | None) -> bytes:
        """Return the lines of a page; window is None where none was asked for."""
        payload = b',"payload":' if "payload" in self._columns else b""
        tail = self._tail(page, window)
        chunks: list[bytes | msgspec.Raw] = []
        for row in page.rows:
            chunks += (self._head, _json(row.id), payload, row.payload if payload else b"")
            chunks += (self._stamp(row), tail)
        return b"".join(chunks)

    def deletions(self, deleted: Deletions) -> bytes:
        """Return the lines of deleted objects, with the narrower schema that they need.

        A loader that writes every column of the schema leaves the others alone. Before another
        living row the stream's own schema has to be sent again. Nothing, if the column is not
        selected.
        """
        if "deleted_at_utc" not in self._columns:
            return b""
        received = timestamp(deleted.received_at)
        properties = RAW_SCHEMA["properties"]
        names = [*PRIMARY_KEYS, "deleted_at_utc"]
        tail = b""
        if "ingested_at_utc" in self._columns:
            names.append("ingested_at_utc")
            tail = b',"ingested_at_utc":"%b"' % received.encode()
        message = {
            "type": "SCHEMA",
            "stream": self._stream,
            "schema": {"type": "object", "properties": {name: properties[name] for name in names}},
            "key_properties": PRIMARY_KEYS,
        }
        lines = [_json(message) + b"\n"]
        for each in deleted.objects:
            moment = each.stamp.moment if each.stamp else deleted.received_at
            lines.append(
                b'%b%b,"deleted_at_utc":"%b"%b},"time_extracted":"%b"}\n'
                % (
                    self._head,
                    _json(each.id),
                    timestamp(moment).encode(),
                    tail,
                    received.encode(),
                )
            )
        return b"".join(lines)

    def _stamp(self, row: Row) -> bytes:
        if REPLICATION_KEY not in self._columns:
            return b""
        if row.stamp is None:
            return b',"last_updated_utc":null'
        return b',"last_updated_utc":"%b"' % timestamp(row.stamp.moment).encode()

    def _tail(self, page: Page, window: Window | None) -> bytes:
        """What is the same for all rows of a page, up to the end of the line."""
        request = {
            "method": "GET",
            "path": f"/v3/company/{self._realm_id}/{page.path}",
            "query": page.query,
            **page.params,
            "minorversion": self._minor_version,
        }
        received = timestamp(page.received_at)
        values = {
            "ingested_at_utc": received,
            "extract_window_start_utc": timestamp(window.start) if window else None,
            "extract_window_end_utc": timestamp(window.end) if window else None,
            "page_number": page.number,
            "page_size": page.size,
            "request_payload": {key: value for key, value in request.items() if value is not None},
            "deleted_at_utc": None,
        }
        columns = [
            b',"%b":%b' % (name.encode(), _json(value))
            for name, value in values.items()
            if name in self._columns
        ]
        return b'%b},"time_extracted":"%b"}\n' % (b"".join(columns), received.encode())


_json = msgspec.json.encode
