"""The settings beyond those of the stock loader."""

from __future__ import annotations

from typing import Any

from singer_sdk import typing as th

DEFAULT_ROWS = 10_000
DEFAULT_BYTES = 8 * 1024 * 1024
DEFAULT_SECONDS = 5
OWN_SETTINGS: dict[str, Any] = th.PropertiesList(
    th.Property(
        "version_columns",
        th.ArrayType(th.StringType),
        default=["last_updated_utc", "ingested_at_utc"],
        description="Columns that order the versions of a row, the last of them being the time "
        "of reading: an older version never overwrites a newer one. For tables that have all "
        "of them; an empty list is off.",
    ),
    th.Property(
        "content_columns",
        th.ArrayType(th.StringType),
        default=["payload", "last_updated_utc", "deleted_at_utc"],
        description="Columns that make the content of a row: one that has the same already is "
        "not written. For tables that have all of them; an empty list is off.",
    ),
    th.Property(
        "tombstone_column",
        th.StringType,
        default="deleted_at_utc",
        description="Column that says when a row was deleted: such a row comes back only by "
        "what was read later. For tables that have it and the version_columns.",
    ),
    th.Property(
        "batch_size_bytes",
        th.IntegerType(minimum=1),
        default=DEFAULT_BYTES,
        description="Bytes after which a batch is written, if it has not batch_size_rows before. "
        "Two batches are in memory: one is filled while the other is written.",
    ),
    th.Property(
        "batch_size_seconds",
        th.NumberType(minimum=0),
        default=DEFAULT_SECONDS,
        description="Seconds after which a batch is written, however small it is.",
    ),
).to_dict()
