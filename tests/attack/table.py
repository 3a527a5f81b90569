"""The table that a loader makes of a tap's lines: the newest image of each object."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec

from attack.books import Image

NEVER = datetime.max.replace(tzinfo=UTC)


class Record(msgspec.Struct):
    """The columns of a record that matter here."""

    id: str
    ingested_at_utc: datetime
    payload: msgspec.Raw = msgspec.Raw()
    last_updated_utc: datetime = NEVER
    extract_window_end_utc: datetime = NEVER
    request_payload: dict[str, Any] = {}
    deleted_at_utc: datetime | None = None

    @property
    def image(self) -> Image:
        """What it says of the object."""
        return Image(self.last_updated_utc, bytes(self.payload))

    @property
    def is_in_order(self) -> bool:
        """Whether it was asked for by LastUpdatedTime, and not read whole."""
        query = self.request_payload.get("query", "")
        return "LastUpdatedTime" in query or "changedSince" in self.request_payload


class Line(msgspec.Struct):
    """A Singer message."""

    type: str
    stream: str = ""
    record: Record | None = None
    value: dict[str, Any] | None = None


class _Cell(NamedTuple):
    age: tuple[datetime, datetime]
    image: Image
    deleted_at: datetime | None = None


class Table:
    """The rows of all streams, by stream and id."""

    def __init__(self) -> None:
        self._cells: dict[tuple[str, str], _Cell] = {}

    def apply(self, lines: list[Line]) -> None:
        """Take over records; an older image never overwrites a newer one."""
        for line in lines:
            if line.record is None:
                continue
            key = line.stream, line.record.id
            if line.record.deleted_at_utc:
                known = self._cells.get(key, _Cell((NEVER, NEVER), line.record.image))
                self._cells[key] = known._replace(deleted_at=line.record.deleted_at_utc)
                continue
            age = line.record.last_updated_utc, line.record.ingested_at_utc
            if key not in self._cells or age >= self._cells[key].age or self._is_bare(key):
                self._cells[key] = _Cell(age, line.record.image)

    def _is_bare(self, key: tuple[str, str]) -> bool:
        return self._cells[key].age == (NEVER, NEVER)

    def images(self, stream: str) -> dict[str, Image]:
        """The rows of a stream that live."""
        return {
            key: cell.image
            for (name, key), cell in self._cells.items()
            if name == stream and cell.deleted_at is None
        }

    def deleted(self, stream: str) -> dict[str, datetime]:
        """The rows of a stream that are marked as deleted, and when they were."""
        return {
            key: cell.deleted_at
            for (name, key), cell in self._cells.items()
            if name == stream and cell.deleted_at
        }


_read = msgspec.json.Decoder(Line).decode


def read_lines(output: bytes) -> list[Line]:
    """Take complete lines apart."""
    return [_read(line) for line in output.splitlines()]
