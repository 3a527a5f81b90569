"""The table that a loader makes of a tap's lines: the newest image of each object."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003  msgspec needs it.
from typing import Any, NamedTuple

import msgspec

from attack.books import Image


class Record(msgspec.Struct):
    """The columns of a record that matter here."""

    id: str
    payload: msgspec.Raw
    last_updated_utc: datetime
    ingested_at_utc: datetime
    extract_window_end_utc: datetime
    request_payload: dict[str, Any]
    deleted_at_utc: datetime | None = None

    @property
    def image(self) -> Image:
        """What it says of the object."""
        return Image(self.last_updated_utc, bytes(self.payload))

    @property
    def is_in_order(self) -> bool:
        """Whether it was asked for by LastUpdatedTime, and not read whole."""
        return "LastUpdatedTime" in self.request_payload["query"]


class Line(msgspec.Struct):
    """A Singer message."""

    type: str
    stream: str = ""
    record: Record | None = None
    value: dict[str, Any] | None = None


class _Cell(NamedTuple):
    age: tuple[datetime, datetime]
    image: Image


class Table:
    """The rows of all streams, by stream and id."""

    def __init__(self) -> None:
        self._cells: dict[tuple[str, str], _Cell] = {}

    def apply(self, lines: list[Line]) -> None:
        """Take over records; an older image never overwrites a newer one."""
        for line in lines:
            if line.record is None or line.record.deleted_at_utc:
                continue
            key = line.stream, line.record.id
            age = line.record.last_updated_utc, line.record.ingested_at_utc
            if key not in self._cells or age >= self._cells[key].age:
                self._cells[key] = _Cell(age, line.record.image)

    def images(self, stream: str) -> dict[str, Image]:
        """The rows of a stream."""
        return {key: cell.image for (name, key), cell in self._cells.items() if name == stream}


_read = msgspec.json.Decoder(Line).decode


def read_lines(output: bytes) -> list[Line]:
    """Take complete lines apart."""
    return [_read(line) for line in output.splitlines()]
