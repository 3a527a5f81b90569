"""The tables of the raw schema in PostgreSQL, as the commands beside the tap use them.

The database is named by the POSTGRES_* variables, as for the loaders.
"""

from __future__ import annotations

from sys import intern
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

from tap_quickbooks_raw.exceptions import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime


def connect(environment: Mapping[str, str]) -> psycopg.Connection:
    """Open the database that the POSTGRES_* variables name, in UTC.

    Raises:
        SettingsError: It cannot be reached.
    """
    host = environment.get("POSTGRES_HOST") or "localhost"
    port = environment.get("POSTGRES_PORT") or "5432"
    try:
        return psycopg.connect(
            host=host,
            port=port,
            user=environment.get("POSTGRES_USER") or "postgres",
            password=environment.get("POSTGRES_PASSWORD") or None,
            dbname=environment.get("POSTGRES_DB") or "postgres",
            sslmode=environment.get("POSTGRES_SSLMODE") or "prefer",
            options="-c TimeZone=UTC",
            autocommit=True,
            connect_timeout=10,
        )
    except psycopg.OperationalError as error:
        raise SettingsError(
            f"POSTGRES_HOST: the database at {host}:{port} cannot be used ({reason(error)}); "
            "check the POSTGRES_* settings"
        ) from None


def schema_of(environment: Mapping[str, str]) -> str:
    """The name of the raw schema."""
    return environment.get("TARGET_POSTGRES_DEFAULT_TARGET_SCHEMA") or "raw"


def reason(error: psycopg.Error) -> str:
    """What PostgreSQL says of an error, in one line."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


class RawTable:
    """The rows of one company in the table of a stream.

    Args:
        connection: The database, with autocommit and in UTC.
        stream: The stream.
        schema: The raw schema.
        realm_id: The company.

    Attributes:
        stream: The stream.
    """

    def __init__(
        self, connection: psycopg.Connection, stream: str, *, schema: str, realm_id: str
    ) -> None:
        self._connection = connection
        self._realm_id = realm_id
        self.stream = stream
        self._table = sql.Identifier(schema, stream)

    def exists(self) -> bool:
        """Whether there is such a table; none before something was loaded into it."""
        row = self._connection.execute(
            "SELECT to_regclass(%s) IS NOT NULL", (self._table.as_string(self._connection),)
        ).fetchone()
        return row == (True,)

    def count(self, start: datetime, end: datetime | None) -> int:
        """Count the living rows last updated in ``[start, end)``, and those without a stamp."""
        if not self.exists():
            return 0
        statement = sql.SQL(
            "SELECT count(*) FROM {} WHERE realm_id = %s AND deleted_at_utc IS NULL"
            " AND (last_updated_utc IS NULL OR last_updated_utc >= %s)"
            " AND (last_updated_utc IS NULL OR %s::timestamptz IS NULL OR last_updated_utc < %s)"
        ).format(self._table)
        row = self._connection.execute(statement, (self._realm_id, start, end, end)).fetchone()
        return int(row[0]) if row else 0

    def living(self) -> dict[str, str | None]:
        """Return the ids of the living rows, each with when it was ingested, as text."""
        if not self.exists():
            return {}
        statement = sql.SQL(
            "SELECT id, ingested_at_utc::text FROM {}"
            " WHERE realm_id = %s AND deleted_at_utc IS NULL"
        ).format(self._table)
        rows = self._connection.execute(statement, (self._realm_id,))
        # All rows of a page were ingested at the same time: one text for them all.
        return {key: ingested and intern(ingested) for key, ingested in rows}

    def mark_deleted(self, rows: Mapping[str, str | None], moment: datetime) -> int:
        """Mark living rows as deleted, all or none, and return how many were.

        A row that has been ingested again meanwhile, or that somebody is writing, is left.

        Args:
            rows: Their ids, each with when it was ingested, as `living` has it.
            moment: What is put down as the time of their deletion.
        """
        # A loader may write the same rows in another order: who waits for none blocks nobody.
        # `deleted_at_utc` is a timestamptz or a timestamp; in a session in UTC both get the same.
        statement = sql.SQL(
            "UPDATE {table} AS written SET deleted_at_utc = %(moment)s"
            " FROM (SELECT found.id FROM {table} AS found"
            " JOIN unnest(%(ids)s::text[], %(ingested)s::text[]) AS known (id, ingested)"
            " ON found.id = known.id"
            " WHERE found.realm_id = %(realm_id)s AND found.deleted_at_utc IS NULL"
            " AND found.ingested_at_utc::text IS NOT DISTINCT FROM known.ingested"
            " FOR UPDATE OF found SKIP LOCKED) AS held"
            " WHERE written.realm_id = %(realm_id)s AND written.id = held.id"
        ).format(table=self._table)
        values = {
            "moment": moment,
            "ids": list(rows),
            "ingested": list(rows.values()),
            "realm_id": self._realm_id,
        }
        return self._connection.execute(statement, values).rowcount
