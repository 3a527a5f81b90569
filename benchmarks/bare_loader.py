"""The loader's work by a bare script, to compare with: COPY, then INSERT ... ON CONFLICT.

It takes `--config FILE` and Singer's lines as a loader does. The table must be there. Nothing is
guarded, nothing is told, and a line of another shape ends it.
"""

from __future__ import annotations

import json
import sys
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import psycopg

if TYPE_CHECKING:
    from collections.abc import Iterable

BATCH_ROWS = 10_000
RECORD = b'{"type":"RECORD"'


class Record(msgspec.Struct):
    """A record of the tap; documents stay as they were sent."""

    realm_id: str
    id: str
    payload: msgspec.Raw
    last_updated_utc: str | None
    ingested_at_utc: str
    extract_window_start_utc: str
    extract_window_end_utc: str
    page_number: int
    page_size: int
    request_payload: msgspec.Raw
    deleted_at_utc: str | None


class Line(msgspec.Struct):
    """A line with a record."""

    record: Record


NAMES = Record.__struct_fields__
COLUMNS = ", ".join(NAMES)
VALUES = ", ".join(f"{name} = excluded.{name}" for name in NAMES[2:])
COPY = f"COPY stage ({COLUMNS}) FROM STDIN"
UPSERT = (
    f"INSERT INTO raw.qb_invoices ({COLUMNS}) SELECT {COLUMNS} FROM stage "
    f"ON CONFLICT (realm_id, id) DO UPDATE SET {VALUES}"
)


def main() -> None:
    """Load what comes on the standard input into raw.qb_invoices."""
    config = json.loads(Path(sys.argv[sys.argv.index("--config") + 1]).read_text())
    place = {name: config[name] for name in ("host", "port", "user", "password")}
    decode = msgspec.json.Decoder(Line).decode
    records = (decode(line).record for line in sys.stdin.buffer if line.startswith(RECORD))
    with psycopg.connect(dbname=config["database"], autocommit=True, **place) as connection:
        connection.execute(
            "CREATE TEMPORARY TABLE stage (LIKE raw.qb_invoices) ON COMMIT DELETE ROWS"
        )
        while batch := list(islice(records, BATCH_ROWS)):
            with connection.transaction():
                _write(connection, batch)


def _write(connection: psycopg.Connection, batch: Iterable[Record]) -> None:
    with connection.cursor().copy(COPY) as copy:
        for record in batch:
            copy.write_row(
                [
                    str(value, "utf-8") if isinstance(value, msgspec.Raw) else value
                    for value in msgspec.structs.astuple(record)
                ]
            )
    connection.execute(UPSERT)


if __name__ == "__main__":
    main()
