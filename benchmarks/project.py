"""This project under measurement: its loaders' settings, and a PostgreSQL to load into."""

from __future__ import annotations

import json
import os
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import psycopg
from company import BIN, INVOICES
from local_postgres.server import LocalPostgres
from processes import PROJECT
from psycopg import sql

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from company import Company
    from local_postgres.server import Connection

STATE_SUFFIX = "benchmark"
TABLE = sql.Identifier("raw", INVOICES)


class Tuples(NamedTuple):
    """What has happened to the table since it was made, as PostgreSQL counts it.

    Attributes:
        changed: Rows that were updated or deleted; each has left a dead one.
        dead: Dead rows that are still there.
    """

    changed: int
    dead: int


class Place(NamedTuple):
    """Where rows go in a benchmark.

    Attributes:
        connection: How to get into the server.
        data: The data folder of the server.
        folder: A temporary folder.
    """

    connection: Connection
    data: Path
    folder: Path

    def environment(self) -> dict[str, str]:
        """The variables for a run of Meltano in the project, as `make run` sets them."""
        return {
            **os.environ,
            "MELTANO_PROJECT_ROOT": str(PROJECT),
            "MELTANO_DATABASE_URI": f"sqlite:///{self.folder / 'meltano.db'}",
            "POSTGRES_HOST": self.connection.host,
            "POSTGRES_PORT": str(self.connection.port),
            "POSTGRES_USER": self.connection.user,
            "POSTGRES_PASSWORD": self.connection.password,
            "POSTGRES_DB": self.connection.database,
            "POSTGRES_SSLMODE": "disable",
        }

    def loader_settings(self, loader: str) -> dict[str, Any]:
        """The settings of a loader as `meltano.yml` has them."""
        done = subprocess.run(
            [str(BIN / "meltano"), "config", "print", loader],
            cwd=PROJECT,
            env=self.environment(),
            check=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        settings: dict[str, Any] = json.loads(done.stdout)
        # Meltano prints stars for it.
        return {**settings, "password": self.connection.password}

    def clear(self) -> None:
        """Drop what was loaded, and have it written, so that what comes next starts from rest."""
        with self._connect() as connection:
            connection.execute("SET client_min_messages = warning")
            for schema in ("raw", "raw_staging"):
                connection.execute(
                    sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(schema))
                )
            connection.execute("CHECKPOINT")

    def loaded(self) -> int:
        """Rows in the table of invoices."""
        with self._connect() as connection:
            row = connection.execute(sql.SQL("SELECT count(*) FROM {}").format(TABLE)).fetchone()
        return int(row[0]) if row else 0

    def tuples(self) -> Tuples:
        """Look at the table of invoices."""
        others = "SELECT count(*) > 1 FROM pg_stat_activity WHERE datname = current_database()"
        counters = (
            "SELECT n_tup_upd + n_tup_del, n_dead_tup FROM pg_stat_user_tables "
            "WHERE schemaname = 'raw' AND relname = %s"
        )
        with self._connect() as connection:
            # A session tells what it has done when it ends.
            while connection.execute(others).fetchone() == (True,):
                pass
            row = connection.execute(counters, [INVOICES]).fetchone()
        return Tuples(*row) if row else Tuples(0, 0)

    def _connect(self) -> psycopg.Connection:
        return psycopg.connect(self.connection.url, autocommit=True)


@contextmanager
def place(folder: Path) -> Iterator[Place]:
    """Start a PostgreSQL server for the block.

    Args:
        folder: A temporary folder.
    """
    server = LocalPostgres(folder / "postgres")
    with server as connection:
        yield Place(connection, server.folder.data, folder)


def tap_environment(company: Company) -> dict[str, str]:
    """The variables that tell the tap where it reads from."""
    return {
        "QB_CLIENT_ID": company.connection["client_id"],
        "QB_CLIENT_SECRET": company.connection["client_secret"],
        "QB_REALM_ID": company.realm_id,
        "QB_REFRESH_TOKEN": company.connection["refresh_token"],
        "TAP_QUICKBOOKS_RAW_API_URL": company.connection["url"],
        "TAP_QUICKBOOKS_RAW_TOKEN_URL": company.connection["token_url"],
        "TAP_QUICKBOOKS_RAW_TOKEN_STORE": company.token_store,
    }
