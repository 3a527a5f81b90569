"""Finding the record that PostgreSQL has refused; only after it has."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

from target_postgres_raw.failures import MisfitError, clip

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from target_postgres_raw.merge import Table
    from target_postgres_raw.rows import Run

# Classes of SQLSTATE that a value can be the reason of: wrong, forbidden by a constraint, too big.
CLASSES = ("22", "23", "54")


def find_misfit(
    connection: psycopg.Connection,
    table: Table,
    run: Run,
    error: psycopg.Error,
    write: Callable[[Sequence[bytes]], None],
) -> MisfitError | None:
    """Return which of the rows is to blame for an error, or None if none is.

    Args:
        connection: Outside of a transaction.
        table: Where the rows go.
        run: The rows.
        error: What has been raised.
        write: Writes rows, within a transaction.
    """
    if not (error.sqlstate or "").startswith(CLASSES):
        return None
    rows: Sequence[bytes] = run.rows
    while len(rows) > 1:
        half = rows[: len(rows) // 2]
        rows = half if _refusal(connection, write, half) else rows[len(half) :]
    refusal = _refusal(connection, write, rows)
    if refusal is None:
        return None  # Only together do they not fit; the error's own words have to do.
    values = dict(zip(run.layout.columns, run.layout.values(rows[0]), strict=True))
    column = refusal.diag.column_name or _column(connection, table, values)
    words = clip(refusal.diag.message_primary or str(refusal))
    return MisfitError(table.stream, run.layout.describe(rows[0]), column, words)


def _refusal(
    connection: psycopg.Connection,
    write: Callable[[Sequence[bytes]], None],
    rows: Sequence[bytes],
) -> psycopg.Error | None:
    try:
        with connection.transaction(force_rollback=True):
            write(rows)
    except (psycopg.DataError, psycopg.IntegrityError, psycopg.OperationalError) as error:
        if (error.sqlstate or "").startswith(CLASSES):
            return error
        raise
    return None


def _column(
    connection: psycopg.Connection, table: Table, values: dict[str, bytes | None]
) -> str | None:
    """The first column that does not take its value."""
    for name, value in values.items():
        query = sql.SQL("SELECT CAST(convert_from(%b, 'UTF8') AS {})").format(
            sql.SQL(table.types[name])
        )
        try:
            connection.execute(query, [value])
        except psycopg.DataError:
            return name
    return None
