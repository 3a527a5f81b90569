"""A session with PostgreSQL that writes chunks, each in one transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

from target_postgres_raw.merge import merge
from target_postgres_raw.misfits import find_misfit
from target_postgres_raw.rows import COPY_HEAD, COPY_TAIL

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Engine
    from sqlalchemy.pool import PoolProxiedConnection

    from target_postgres_raw.chunk import Chunk
    from target_postgres_raw.merge import Table
    from target_postgres_raw.rows import Layout

# Times without an offset are UTC. What is staged and sorted stays in memory. Rows are looked up
# by the index, one by one, as nothing is known about a table that has just been filled.
SETTINGS = b"""
SET client_encoding = 'UTF8';
SET TimeZone = 'UTC';
SET DateStyle = 'ISO';
SET temp_buffers = '32MB';
SET work_mem = '64MB';
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SET enable_seqscan = off;
SET jit = off
"""
PIECE_BYTES = 1 << 20


class Session:
    """Writes chunks. The connection is made when it is needed, and made anew after a loss.

    Args:
        engine: Makes connections as the stock loader does.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._proxy: PoolProxiedConnection | None = None
        self._stages: dict[tuple[str, ...], sql.Identifier] = {}
        self._merges: dict[tuple[Table, tuple[str, ...]], bytes] = {}

    def write(self, chunk: Chunk) -> None:
        """Write a chunk: all of it, or nothing.

        Raises:
            MisfitError: A record does not fit its table.
            psycopg.Error: Anything else.
        """
        connection = self._connect()
        # The order that every loader keeps, so that none waits for another in a circle.
        tables = sorted(chunk.runs, key=lambda table: (table.schema or "", table.name))
        runs = [(table, run) for table in tables for run in chunk.runs[table]]
        for _, run in runs:
            self._stage(connection, run.layout)
        table, run = runs[0]
        try:
            with connection.transaction():
                used = set()
                for table, run in runs:
                    if run.layout.staged in used:
                        stage = self._stage(connection, run.layout)
                        connection.execute(sql.SQL("TRUNCATE {}").format(stage))
                    used.add(run.layout.staged)
                    self._merge(connection, table, run.layout, run.rows)
        except psycopg.Error as error:
            if misfit := find_misfit(
                connection,
                table,
                run,
                error,
                lambda rows: self._merge(connection, table, run.layout, rows),
            ):
                raise misfit from error
            raise

    def close(self) -> None:
        """Give the connection up."""
        self._stages.clear()
        if self._proxy is not None:
            self._proxy.invalidate()
            self._proxy = None

    def _connect(self) -> psycopg.Connection:
        if self._proxy is None:
            self._proxy = self._engine.raw_connection()
            connection = self._driver(self._proxy)
            connection.autocommit = True  # The transactions are those of the blocks here.
            connection.execute(SETTINGS)
        return self._driver(self._proxy)

    @staticmethod
    def _driver(proxy: PoolProxiedConnection) -> psycopg.Connection:
        connection = proxy.driver_connection
        if not isinstance(connection, psycopg.Connection):
            raise TypeError(f"not a connection of psycopg: {connection!r}")
        return connection

    def _stage(self, connection: psycopg.Connection, layout: Layout) -> sql.Identifier:
        """Return the staging table for a layout, which all tables share that have its columns.

        There are few, for the end of a transaction empties each of them, used or not.
        Rows of up to a page stay in one piece, and nothing is compressed that is dropped at the
        end of the transaction.
        """
        if stage := self._stages.get(layout.staged):
            return stage
        name = f"target_postgres_raw_{len(self._stages)}"
        names = [sql.Identifier(column) for column in layout.staged]
        with connection.transaction():
            connection.execute(
                sql.SQL(
                    "CREATE TEMPORARY TABLE {} ({}) "
                    "WITH (toast_tuple_target = 8160) ON COMMIT DELETE ROWS"
                ).format(
                    sql.Identifier(name),
                    sql.SQL(", ").join(sql.SQL("{} text").format(each) for each in names),
                )
            )
            connection.execute(
                sql.SQL("ALTER TABLE pg_temp.{} {}").format(
                    sql.Identifier(name),
                    sql.SQL(", ").join(
                        sql.SQL("ALTER {} SET STORAGE EXTERNAL").format(each) for each in names
                    ),
                )
            )
        stage = sql.Identifier("pg_temp", name)
        self._stages[layout.staged] = stage
        return stage

    def _merge(
        self, connection: psycopg.Connection, table: Table, layout: Layout, rows: Sequence[bytes]
    ) -> None:
        stage = self._stage(connection, layout)
        place = (table, layout.columns)
        if place not in self._merges:
            statement = merge(table, stage, layout.columns)
            self._merges[place] = statement.as_bytes(connection)
        columns = sql.SQL(", ").join(map(sql.Identifier, layout.columns))
        with connection.cursor() as cursor:
            with cursor.copy(
                sql.SQL("COPY {} ({}) FROM STDIN (FORMAT binary)").format(stage, columns)
            ) as copy:
                for piece in _pieces(rows):
                    copy.write(piece)
            # A prepared plan would be that of a table as small as it was at first.
            cursor.execute(self._merges[place], prepare=False)


def _pieces(rows: Sequence[bytes]) -> Iterator[bytes]:
    """The stream of a binary COPY, in pieces that are worth a call."""
    piece, size = [COPY_HEAD], 0
    for row in rows:
        piece.append(row)
        size += len(row)
        if size >= PIECE_BYTES:
            yield b"".join(piece)
            piece, size = [], 0
    yield b"".join((*piece, COPY_TAIL))
