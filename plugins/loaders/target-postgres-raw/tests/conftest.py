"""A PostgreSQL, and the loader on a database of its own."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import uuid
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import psycopg
import pytest
from local_postgres.server import LocalPostgres
from target_postgres_raw.target import TargetPostgresRaw

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from local_postgres.server import Connection
    from target_postgres.target import TargetPostgres

BIN = Path(sys.executable).parent
STREAM = "qb_invoices"
KEYS = ["realm_id", "id"]
DATE_TIME = {"type": ["string", "null"], "format": "date-time"}
PROPERTIES = {
    "realm_id": {"type": "string"},
    "id": {"type": "string"},
    "payload": {"type": ["object", "null"]},
    "last_updated_utc": DATE_TIME,
    "ingested_at_utc": DATE_TIME,
    "page_number": {"type": ["integer", "null"]},
    "deleted_at_utc": DATE_TIME,
}
# What the commands of the project set; the rest is as it comes.
SETTINGS = {
    "default_target_schema": "raw",
    "validate_records": False,
    "add_record_metadata": False,
    "activate_version": False,
    "use_copy": True,
}

Message = dict[str, Any]


class Singer:
    """Singer's messages as the tap sends them; moments are minutes of one day."""

    def schema(
        self, *columns: str, stream: str = STREAM, keys: Iterable[str] = KEYS, **more: Any
    ) -> Message:
        names = columns or tuple(PROPERTIES)
        properties = {name: PROPERTIES[name] for name in names} | more
        return {
            "type": "SCHEMA",
            "stream": stream,
            "schema": {"type": "object", "properties": properties},
            "key_properties": list(keys),
        }

    def record(self, stream: str = STREAM, **record: Any) -> Message:
        return {"type": "RECORD", "stream": stream, "record": record}

    def living(
        self, key: str, payload: Any, updated: int | None, read: int, **more: Any
    ) -> Message:
        return self.record(
            realm_id="1",
            id=key,
            payload=payload,
            last_updated_utc=None if updated is None else self.moment(updated),
            ingested_at_utc=self.moment(read),
            page_number=1,
            deleted_at_utc=None,
            **more,
        )

    def tombstone_schema(self) -> Message:
        return self.schema(*KEYS, "deleted_at_utc", "ingested_at_utc")

    def tombstone(self, key: str, deleted: int, read: int) -> Message:
        return self.record(
            realm_id="1",
            id=key,
            deleted_at_utc=self.moment(deleted),
            ingested_at_utc=self.moment(read),
        )

    def state(self, value: Any) -> Message:
        return {"type": "STATE", "value": {"at": value}}

    def moment(self, minute: int) -> str:
        return f"2024-05-01T{minute // 60:02}:{minute % 60:02}:00+00:00"

    def lines(self, messages: Iterable[Message | bytes]) -> bytes:
        return b"".join(
            (each if isinstance(each, bytes) else msgspec.json.encode(each)) + b"\n"
            for each in messages
        )


@dataclass
class Database:
    """A database and the loader on it."""

    url: str
    config: dict[str, Any]
    folder: Path

    def load(
        self,
        *messages: Message | bytes,
        target: type[TargetPostgres] = TargetPostgresRaw,
        **settings: Any,
    ) -> list[Any]:
        """Load messages in this process; return the states that came out."""
        out = io.StringIO()
        text = Singer().lines(messages).decode()
        loader = target(config=self.config | settings)
        try:
            with redirect_stdout(out):
                loader.listen(io.StringIO(text))
        finally:
            loader.target_connector._engine.dispose()  # The stock loader leaves it to the end.
        return [json.loads(line) for line in out.getvalue().splitlines()]

    def start(self, *arguments: str, **settings: Any) -> subprocess.Popen[bytes]:
        """Start the loader as a command with pipes."""
        file = self.folder / f"{uuid.uuid4().hex}.json"
        file.write_text(json.dumps(self.config | settings))
        return subprocess.Popen(
            [BIN / "target-postgres-raw", "--config", file, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={key: value for key, value in os.environ.items() if not key.startswith("PG")},
        )

    def run(self, *messages: Message | bytes, **settings: Any) -> tuple[int, list[Any], str]:
        """Run the command; return its exit code, the states and what it says."""
        process = self.start(**settings)
        out, said = process.communicate(Singer().lines(messages), timeout=60)
        return process.returncode, [json.loads(line) for line in out.splitlines()], said.decode()

    def connect(self) -> psycopg.Connection:
        return psycopg.connect(self.url, autocommit=True, options="-c TimeZone=UTC")

    def rows(self, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        with self.connect() as connection:
            return connection.execute(query, parameters or None).fetchall()

    def written(self, table: str = STREAM) -> tuple[int, int]:
        """How many rows of a table were inserted and updated since it was made."""
        query = "SELECT n_tup_ins, n_tup_upd FROM pg_stat_user_tables WHERE relname = %s"
        with self.connect() as connection:
            # Sessions that end report first; this one sees what they reported.
            done = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            while connection.execute(done).fetchone() != (1,):
                pass
            row = connection.execute(query, [table]).fetchone()
        assert row is not None
        return row[0], row[1]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What needs a PostgreSQL takes its time."""
    for item in items:
        if Path(__file__).parent in item.path.parents and (
            {"server", "own_server"} & set(getattr(item, "fixturenames", ()))
        ):
            item.add_marker(pytest.mark.pipeline)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    with LocalPostgres(tmp_path_factory.mktemp("postgres") / "data") as connection:
        yield connection


@pytest.fixture(scope="session")
def lasting(server: Connection, tmp_path_factory: pytest.TempPathFactory) -> Database:
    """A database for the whole session, for tests that need but a table or a schema."""
    return on(server, tmp_path_factory.mktemp("configs"))


@pytest.fixture
def database(lasting: Database) -> Database:
    """An empty one."""
    with lasting.connect() as connection:
        connection.execute("DROP SCHEMA IF EXISTS raw CASCADE")
    return lasting


def on(place: Connection, folder: Path) -> Database:
    config = SETTINGS | {
        "host": place.host,
        "port": place.port,
        "user": place.user,
        "password": place.password,
        "database": place.database,
    }
    return Database(place.url, config, folder)


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[tuple[LocalPostgres, Database]]:
    """A server that a test may stop, and a database on it."""
    local = LocalPostgres(tmp_path / "data")
    with local as connection:
        yield local, on(connection, tmp_path)


@pytest.fixture(scope="session")
def singer() -> Singer:
    return Singer()
