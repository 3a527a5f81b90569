"""The rows of one company in a raw table, as the verification compares them.

Loaders create columns as `timestamptz` or `timestamp`; the session is in UTC, so that a cast
makes the same instant of both. A column that was not selected is missing: it is taken as null.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from psycopg import sql

from tap_quickbooks_raw.raw_tables import RawTable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import psycopg

UNSTAMPED = ""
# So many points of the progress are drawn.
POINTS = 200


class Tally(NamedTuple):
    """The living rows of a table.

    Attributes:
        counted_at: When they were counted.
        rows: Those last updated within the bounds, and those without a stamp.
        months: All of them by month; see `MonthCount`.
        loaded_to: The newest end of the windows that any row was asked for in.
    """

    counted_at: datetime
    rows: int = 0
    months: Mapping[str, int] = {}
    loaded_to: datetime | None = None


class Known(NamedTuple):
    """A row of raw.

    Attributes:
        stamp: Its LastUpdatedTime.
        is_living: Whether it is not marked as deleted.
    """

    stamp: datetime | None
    is_living: bool


class RawRows(RawTable):
    """The rows of one company in the table of a stream, compared."""

    @cached_property
    def columns(self) -> frozenset[str]:
        """The names of the columns; none where there is no table."""
        rows = self._connection.execute(
            "SELECT attname::text FROM pg_attribute"
            " WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped",
            (self._table.as_string(self._connection),),
        )
        return frozenset(name for (name,) in rows)

    def tally(self, start: datetime, end: datetime | None) -> Tally:
        """Count the living rows, in one pass through the table."""
        if not self.columns:
            return Tally(datetime.now(UTC))
        statement = self._sql(
            "SELECT to_char(date_trunc('month', {updated}), 'YYYY-MM-DD'), count(*)"
            " FILTER (WHERE {living}), count(*) FILTER (WHERE {living} AND {between}),"
            " max({asked_to}) FROM {table} WHERE realm_id = %(realm_id)s GROUP BY 1"
        )
        rows = self._connection.execute(statement, self._bounds(start, end)).fetchall()
        ends = [asked_to for *_, asked_to in rows if asked_to is not None]
        return Tally(
            datetime.now(UTC),
            sum(within for _, _, within, _ in rows),
            {month or UNSTAMPED: living for month, living, _, _ in rows if living},
            max(ends, default=None),
        )

    def windows(self, bounds: Iterable[tuple[datetime, datetime | None]]) -> list[int]:
        """Count the living rows of some windows; those without a stamp are in none."""
        windows = list(bounds)
        if not self.columns:
            return [0] * len(windows)
        statement = self._sql(
            "SELECT (SELECT count(*) FROM {table} WHERE realm_id = %(realm_id)s AND {living}"
            " AND {updated} >= low AND (high IS NULL OR {updated} < high))"
            " FROM unnest(%(lows)s::timestamptz[], %(highs)s::timestamptz[])"
            " WITH ORDINALITY AS bounds (low, high, number) ORDER BY number"
        )
        values = {
            "realm_id": self._realm_id,
            "lows": [low for low, _ in windows],
            "highs": [high for _, high in windows],
        }
        return [count for (count,) in self._connection.execute(statement, values)]

    def stamps(self, start: datetime, end: datetime | None) -> dict[str, datetime | None]:
        """Return the ids of the living rows within bounds, each with its stamp."""
        if not self.columns:
            return {}
        statement = self._sql(
            "SELECT id, {updated} FROM {table}"
            " WHERE realm_id = %(realm_id)s AND {living} AND {between}"
        )
        return dict(self._connection.execute(statement, self._bounds(start, end)))

    def known(self, ids: Iterable[str]) -> dict[str, Known]:
        """Return the rows that have some ids."""
        if not self.columns:
            return {}
        statement = self._sql(
            "SELECT id, {updated}, {living} FROM {table}"
            " WHERE realm_id = %(realm_id)s AND id = ANY(%(ids)s)"
        )
        rows = self._connection.execute(statement, {"realm_id": self._realm_id, "ids": list(ids)})
        return {key: Known(stamp, living) for key, stamp, living in rows}

    def sample(self, number: int, seed: str) -> list[str]:
        """Return the ids of so many living rows, spread over time; the same for the same seed."""
        if not self.columns or not number:
            return []
        statement = self._sql(
            "SELECT DISTINCT ON (part) id FROM (SELECT id, ntile(%(number)s::int)"
            " OVER (ORDER BY {updated}, id) AS part"
            " FROM {table} WHERE realm_id = %(realm_id)s AND {living}) AS parts"
            " ORDER BY part, md5(id || %(seed)s)"
        )
        values = {"number": number, "realm_id": self._realm_id, "seed": seed}
        return [key for (key,) in self._connection.execute(statement, values)]

    def differing(self, payloads: Mapping[str, bytes]) -> dict[str, list[str]]:
        """Compare payloads digit by digit with those of the living rows.

        Args:
            payloads: Objects as they are in QBO, by id.

        Returns:
            For each that differs, the names of the properties that do.
        """
        # As PostgreSQL prints it: every digit is there, only the order of the keys and the form
        # of exponents are its own, of both.
        statement = self._sql(
            "WITH sent AS (SELECT id, payload::jsonb AS payload FROM"
            " unnest(%(ids)s::text[], %(payloads)s::text[]) AS sent (id, payload))"
            " SELECT sent.id, ARRAY(SELECT coalesce(a.key, b.key) FROM jsonb_each(sent.payload)"
            " AS a FULL JOIN jsonb_each(CASE jsonb_typeof(kept.payload::jsonb) WHEN 'object'"
            " THEN kept.payload::jsonb ELSE '{{}}' END) AS b ON a.key = b.key"
            " WHERE a.value::text IS DISTINCT FROM b.value::text ORDER BY 1)"
            " FROM sent LEFT JOIN {table} AS kept ON kept.id = sent.id"
            " AND kept.realm_id = %(realm_id)s"
            " WHERE sent.payload::text IS DISTINCT FROM kept.payload::jsonb::text"
        )
        values = {
            "realm_id": self._realm_id,
            "ids": list(payloads),
            "payloads": [payload.decode() for payload in payloads.values()],
        }
        return dict(self._connection.execute(statement, values))

    @property
    def received(self) -> sql.Composed:
        """A query for how many rows were received when, to the second."""
        return sql.SQL(
            "SELECT date_trunc('second', {received}) AS at, count(*) AS rows FROM {table}"
            " WHERE realm_id = {realm_id} GROUP BY 1"
        ).format(
            received=self._instant("ingested_at_utc"),
            table=self._table,
            realm_id=sql.Literal(self._realm_id),
        )

    def _bounds(self, start: datetime, end: datetime | None) -> dict[str, object]:
        return {"realm_id": self._realm_id, "start": start, "end": end}

    def _sql(self, text: str) -> sql.Composed:
        return sql.SQL(text).format(
            table=self._table,
            updated=self._instant("last_updated_utc"),
            asked_to=self._instant("extract_window_end_utc"),
            living=sql.SQL("{} IS NULL").format(self._instant("deleted_at_utc")),
            between=sql.SQL(
                "({updated} IS NULL OR ({updated} >= %(start)s"
                " AND (%(end)s::timestamptz IS NULL OR {updated} < %(end)s)))"
            ).format(updated=self._instant("last_updated_utc")),
        )

    def _instant(self, name: str) -> sql.Composable:
        if name not in self.columns:
            return sql.SQL("NULL::timestamptz")
        return sql.SQL("{}::timestamptz").format(sql.Identifier(name))


def progress(
    connection: psycopg.Connection, tables: Iterable[RawRows], points: int = POINTS
) -> list[tuple[datetime, int]]:
    """Return how many rows all tables together had received up to some moments.

    Args:
        connection: The database, in UTC.
        tables: Tables of one company in it.
        points: How many moments at most.
    """
    received = [table.received for table in tables if "ingested_at_utc" in table.columns]
    if not received:
        return []
    statement = sql.SQL(
        "WITH received AS ({received}), span AS (SELECT extract(epoch FROM min(at)) AS first,"
        " extract(epoch FROM max(at)) AS last FROM received WHERE isfinite(at))"
        " SELECT max(at), sum(sum(rows)) OVER (ORDER BY max(at)) FROM received, span"
        " WHERE isfinite(at) GROUP BY width_bucket(extract(epoch FROM at), first,"
        " last + 1, {points}) ORDER BY 1"
    ).format(received=sql.SQL(" UNION ALL ").join(received), points=points)
    return [(at, int(rows)) for at, rows in connection.execute(statement)]
