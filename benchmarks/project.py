"""Meltano in this project, with state, tokens and database of the benchmark's own."""

from __future__ import annotations

import json
import os
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import psycopg
from company import BIN, CUSTOMERS, INVOICES, companies
from local_postgres.server import LocalPostgres
from processes import PROJECT
from psycopg import sql

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from company import Company
    from local_postgres.server import Connection

TARGET = PROJECT / ".meltano" / "loaders" / "target-postgres" / "venv" / "bin" / "target-postgres"
STATE_SUFFIX = "benchmark"
JOBS = {CUSTOMERS: "qb_customers_backfill", INVOICES: "qb_invoices_backfill"}
# A company of its own for each stream, so that none is empty and all are as large as asked for.
REALMS = {CUSTOMERS: "9341453000000002", INVOICES: "9341453000000003"}
ENTITIES = {CUSTOMERS: "Customer", INVOICES: "Invoice"}


class Bench(NamedTuple):
    """Where the project's loads of the benchmark go.

    Attributes:
        companies: By stream, the company that it is read from.
        postgres: Where the rows go.
        data: The data folder of that server.
        folder: A temporary folder.
    """

    companies: dict[str, Company]
    postgres: Connection
    data: Path
    folder: Path

    def environment(self, stream: str) -> dict[str, str]:
        """The variables for a run of Meltano, as `make run` sets them."""
        company = self.companies[stream]
        return {
            **os.environ,
            "MELTANO_PROJECT_ROOT": str(PROJECT),
            "MELTANO_DATABASE_URI": f"sqlite:///{self.folder / 'meltano.db'}",
            "POSTGRES_HOST": self.postgres.host,
            "POSTGRES_PORT": str(self.postgres.port),
            "POSTGRES_USER": self.postgres.user,
            "POSTGRES_PASSWORD": self.postgres.password,
            "POSTGRES_DB": self.postgres.database,
            "POSTGRES_SSLMODE": "disable",
            "QB_CLIENT_ID": company.connection["client_id"],
            "QB_CLIENT_SECRET": company.connection["client_secret"],
            "QB_REALM_ID": company.realm_id,
            "QB_REFRESH_TOKEN": company.connection["refresh_token"],
            "TAP_QUICKBOOKS_RAW_API_URL": company.connection["url"],
            "TAP_QUICKBOOKS_RAW_TOKEN_URL": company.connection["token_url"],
            "TAP_QUICKBOOKS_RAW_TOKEN_STORE": company.token_store,
        }

    def loader_settings(self) -> dict[str, Any]:
        """The settings of `target-postgres` as `meltano.yml` has them."""
        done = subprocess.run(
            [str(BIN / "meltano"), "config", "print", "target-postgres"],
            cwd=PROJECT,
            env=self.environment(INVOICES),
            check=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        settings: dict[str, Any] = json.loads(done.stdout)
        # Meltano prints stars for it.
        return {**settings, "password": self.postgres.password}

    def count(self, stream: str) -> int:
        """Rows in the stream's table."""
        with psycopg.connect(self.postgres.url) as connection:
            table = sql.SQL("SELECT count(*) FROM raw.{}").format(sql.Identifier(stream))
            row = connection.execute(table).fetchone()
        return int(row[0]) if row else 0


@contextmanager
def bench(folder: Path, rows: int) -> Iterator[Bench]:
    """Start a simulator and a PostgreSQL server for the block.

    Args:
        folder: A temporary folder.
        rows: Number of objects of each stream.
    """
    if not TARGET.exists():
        raise RuntimeError(f"{TARGET} is missing: run `make install` first")
    counts = {REALMS[stream]: {ENTITIES[stream]: rows} for stream in JOBS}
    server = LocalPostgres(folder / "postgres")
    with companies(folder, counts, warm=True) as served, server as postgres:
        yield Bench(dict(zip(JOBS, served, strict=True)), postgres, server.folder.data, folder)
