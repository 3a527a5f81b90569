"""A Meltano project, a PostgreSQL and a simulated company for the pipeline tests."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
from local_postgres.server import LocalPostgres
from psycopg import sql
from quickbooks_simulator.server import CompanySpec, running_simulator

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from local_postgres.server import Connection
    from quickbooks_simulator.server import RunningSimulator

PROJECT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
REALM = "4620816365000001"
RAW = "target-postgres-raw"
STOCK = "target-postgres"
both_loaders = pytest.mark.parametrize("loader", [RAW, STOCK])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here is a pipeline test."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.pipeline)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    """A PostgreSQL for the whole session."""
    with LocalPostgres(tmp_path_factory.mktemp("postgres") / "data") as connection:
        yield connection


@pytest.fixture
def database(server: Connection) -> Iterator[dict[str, str]]:
    """An empty database; its POSTGRES_* variables."""
    name = f"test_{uuid.uuid4().hex}"
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    yield {
        "POSTGRES_HOST": server.host,
        "POSTGRES_PORT": str(server.port),
        "POSTGRES_USER": server.user,
        "POSTGRES_PASSWORD": server.password,
        "POSTGRES_DB": name,
    }
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def company() -> Iterator[RunningSimulator]:
    """A company in which every entity exists."""
    spec = CompanySpec(realm_id=REALM, rows=2500, seed=11, country="ALL")
    with running_simulator([spec], rotation="always") as simulator:
        yield simulator


@pytest.fixture
def loader() -> str:
    """The loader of the tests that do not ask for `both_loaders`."""
    return RAW


@dataclass
class Project:
    """A copy of the Meltano project with state and tokens of its own, and no `.env`."""

    folder: Path
    environment: dict[str, str]
    postgres: Mapping[str, str]
    loader: str = RAW
    extra: dict[str, str] = field(default_factory=dict)

    def start(self, *command: str, **environment: str) -> subprocess.Popen[str]:
        """Start a command of the project in a process group of its own."""
        return subprocess.Popen(
            [str(BIN / command[0]), *command[1:]],
            cwd=self.folder,
            env=self.environment | self.extra | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def meltano(self, *arguments: str, **environment: str) -> tuple[int, str]:
        """Run Meltano; return the exit code and everything that it printed."""
        process = self.start("meltano", *arguments, **environment)
        output, _ = process.communicate(timeout=240)
        return process.returncode, output

    @property
    def pipeline(self) -> tuple[str, str]:
        """What `meltano run` is to run."""
        return "tap-quickbooks-raw", self.loader

    @property
    def state_id(self) -> str:
        """The name of the pipeline's state."""
        return f"dev:tap-quickbooks-raw-to-{self.loader}"

    def load(self, *options: str, **environment: str) -> str:
        """Run the whole pipeline, which has to succeed; return its output."""
        code, output = self.meltano("run", *options, *self.pipeline, **environment)
        assert code == 0, output
        return output

    def state(self, state_id: str | None = None) -> dict[str, dict]:
        """The bookmarks that Meltano has."""
        process = subprocess.run(
            [
                str(BIN / "meltano"),
                "--log-level",
                "error",
                "state",
                "get",
                state_id or self.state_id,
            ],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=True,
        )
        return json.loads(process.stdout).get("singer_state", {}).get("bookmarks", {})

    def connect(self) -> psycopg.Connection:
        """Open the database, in UTC."""
        return psycopg.connect(
            host=self.postgres["POSTGRES_HOST"],
            port=self.postgres["POSTGRES_PORT"],
            user=self.postgres["POSTGRES_USER"],
            password=self.postgres["POSTGRES_PASSWORD"],
            dbname=self.postgres["POSTGRES_DB"],
            options="-c TimeZone=UTC",
            autocommit=True,
        )

    def count(self, table: str) -> int:
        """Rows of a raw table."""
        with self.connect() as connection:
            query = sql.SQL("SELECT count(*) FROM raw.{}").format(sql.Identifier(table))
            row = connection.execute(query).fetchone()
        assert row is not None
        return int(row[0])


@pytest.fixture
def project(
    tmp_path: Path, database: dict[str, str], company: RunningSimulator, loader: str
) -> Project:
    """The project, set up for the simulated company and the empty database."""
    return make_project(tmp_path, database, company, loader=loader)


def make_project(
    folder: Path,
    database: Mapping[str, str],
    simulator: RunningSimulator,
    realm: str = REALM,
    *,
    loader: str = RAW,
) -> Project:
    """Copy the project; its plugins are those that `make install` has installed."""
    shutil.copy(PROJECT / "meltano.yml", folder)
    for name in ("orchestrate", "plugins", "tap-quickbooks-raw"):
        (folder / name).symlink_to(PROJECT / name)
    (folder / ".meltano").mkdir()
    for kind in ("extractors", "loaders", "utilities"):
        installed = PROJECT / ".meltano" / kind
        assert installed.is_dir(), "Meltano's plugins are missing; run `make install`"
        (folder / ".meltano" / kind).symlink_to(installed)
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("QB_", "POSTGRES_", "TAP_", "TARGET_", "MELTANO_", "PG"))
        and name != "PYTHONDONTWRITEBYTECODE"
    }
    environment = kept | {
        "MELTANO_AUTO_INSTALL": "false",
        "MELTANO_CLI_LOG_LEVEL": "info",
        "QB_CLIENT_ID": simulator.client_id,
        "QB_CLIENT_SECRET": simulator.client_secret,
        "QB_REALM_ID": realm,
        "QB_REFRESH_TOKEN": simulator.refresh_token,
        "TAP_QUICKBOOKS_RAW_API_URL": simulator.url,
        "TAP_QUICKBOOKS_RAW_TOKEN_URL": simulator.token_url,
        **database,
    }
    return Project(folder, environment, database, loader)
