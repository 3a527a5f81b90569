"""The table of verifications in PostgreSQL: made once, whoever comes, and never in the way."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import sql
from tap_quickbooks_raw.evidence.store import record
from tap_quickbooks_raw.exceptions import SettingsError

from tests.verifications import GAPS, REALM, START, company, result, verification

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local_postgres.server import Connection

SCHEMA = "proof"
COLUMNS = [
    "verification_id", "realm_id", "entity", "stream", "started_at_utc", "qbo_rows",
    "qbo_counted_at_utc", "raw_rows", "raw_counted_at_utc", "missing", "extra", "newer",
    "sampled", "differing", "repaired", "verdict", "agrees", "explanations", "calls",
    "window_start_utc", "window_end_utc", "version",
]  # fmt: skip


@pytest.fixture
def database(postgres: Connection) -> Iterator[psycopg.Connection]:
    """The database without the schema."""
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute("SET client_min_messages = warning")
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("DROP SCHEMA IF EXISTS proof CASCADE")
        yield connection
        connection.execute("DROP SCHEMA IF EXISTS proof CASCADE")


@pytest.fixture
def worker(postgres: Connection, database: psycopg.Connection) -> Iterator[psycopg.Connection]:
    """A user who may connect, and nothing else."""
    database.execute("CREATE ROLE prover LOGIN PASSWORD 'pass'")
    address = f"postgresql://prover:pass@{postgres.host}:{postgres.port}/{postgres.database}"
    with psycopg.connect(address, autocommit=True) as connection:
        yield connection
    database.execute("DROP SCHEMA IF EXISTS proof CASCADE")
    database.execute("DROP OWNED BY prover")
    database.execute("DROP ROLE prover")


def rows(connection: psycopg.Connection) -> list[tuple[Any, ...]]:
    return connection.execute(
        "SELECT verification_id, stream, qbo_rows, raw_rows, verdict, agrees"
        " FROM proof.qb_verifications ORDER BY verification_id, stream"
    ).fetchall()


def test_each_entity_becomes_a_row(database: psycopg.Connection) -> None:
    found = company(gaps=GAPS, months=24)

    record(database, found, schema=SCHEMA)

    assert rows(database) == [
        (UUID(found.id), each.stream, each.qbo_rows, each.raw_rows, each.verdict, each.agrees)
        for each in sorted(found.entities, key=lambda each: each.stream)
    ]


def test_every_column_holds_what_it_says(database: psycopg.Connection) -> None:
    found = result(
        qbo_rows=12_000_000_000,
        raw_rows=9,
        missing=5,
        extra=2,
        newer=1,
        sampled=40,
        differing_ids=("3", "4"),
        repaired=6,
        verdict="5 missing",
        explanations=("2 deleted", 'said "so"'),
        agrees=False,
    )
    end = datetime(2026, 11, 1, tzinfo=UTC)
    record(
        database,
        verification(entities=(found,), calls=17, window_start=START, window_end=end),
        schema=SCHEMA,
    )

    cursor = database.execute("SELECT * FROM proof.qb_verifications")
    assert cursor.description is not None
    assert [column.name for column in cursor.description] == COLUMNS
    assert dict(zip(COLUMNS, cursor.fetchone() or (), strict=True)) == {
        "verification_id": UUID("6a1f0c1e-5b0e-4a55-9d0f-2f1a8a3b7c11"),
        "realm_id": REALM,
        "entity": "Invoice",
        "stream": "qb_invoices",
        "started_at_utc": START,
        "qbo_rows": 12_000_000_000,
        "qbo_counted_at_utc": found.qbo_counted_at,
        "raw_rows": 9,
        "raw_counted_at_utc": found.raw_counted_at,
        "missing": 5,
        "extra": 2,
        "newer": 1,
        "sampled": 40,
        "differing": 2,
        "repaired": 6,
        "verdict": "5 missing",
        "agrees": False,
        "explanations": ["2 deleted", 'said "so"'],
        "calls": 17,
        "window_start_utc": START,
        "window_end_utc": end,
        "version": "0.1.0",
    }


def test_what_is_not_known_is_null(database: psycopg.Connection) -> None:
    record(database, verification(entities=(result(qbo_counted_at=None),)), schema=SCHEMA)

    found = database.execute(
        "SELECT num_nulls(qbo_rows, qbo_counted_at_utc, missing, extra, newer,"
        " window_start_utc, window_end_utc), num_nulls(raw_rows, verdict, explanations)"
        " FROM proof.qb_verifications"
    ).fetchone()
    assert found == (7, 0)


def test_the_table_and_each_column_say_what_they_are(database: psycopg.Connection) -> None:
    record(database, verification(), schema=SCHEMA)

    comments = database.execute(
        "SELECT count(*), count(DISTINCT description) FROM pg_description"
        " WHERE objoid = 'proof.qb_verifications'::regclass"
    ).fetchone()
    assert comments is not None
    assert comments[0] == len(COLUMNS) + 1
    assert comments[1] > 18


def test_many_verifications_stand_side_by_side(database: psycopg.Connection) -> None:
    for _ in range(3):
        record(database, verification(id=str(uuid4()), entities=(result(),)), schema=SCHEMA)

    assert len(rows(database)) == 3


def test_a_verification_is_written_once(database: psycopg.Connection) -> None:
    record(database, verification(entities=(result(raw_rows=1),)), schema=SCHEMA)
    record(database, verification(entities=(result(raw_rows=2), result("Bill"))), schema=SCHEMA)

    assert [(row[1], row[3]) for row in rows(database)] == [("qb_bills", 0), ("qb_invoices", 1)]


def test_the_first_ones_may_come_at_once(
    postgres: Connection, database: psycopg.Connection
) -> None:
    ready = threading.Barrier(8)

    def come(_: int) -> None:
        with psycopg.connect(postgres.url, autocommit=True) as connection:
            ready.wait()
            record(connection, verification(id=str(uuid4()), entities=(result(),)), schema=SCHEMA)

    for _ in range(5):
        database.execute("DROP SCHEMA IF EXISTS proof CASCADE")
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(come, range(8)))
        assert len(rows(database)) == 8


def test_a_transaction_of_the_caller_may_go_on(
    postgres: Connection, database: psycopg.Connection
) -> None:
    with psycopg.connect(postgres.url) as connection:
        record(connection, verification(entities=(result(),)), schema=SCHEMA)
        connection.execute("SELECT 1")
    assert len(rows(database)) == 1


def test_columns_of_a_later_version_are_left_alone(database: psycopg.Connection) -> None:
    record(database, verification(), schema=SCHEMA)
    database.execute("ALTER TABLE proof.qb_verifications ADD COLUMN mood text DEFAULT 'good'")

    record(database, verification(entities=(result(),)), schema=SCHEMA)

    assert database.execute("SELECT mood FROM proof.qb_verifications").fetchall() == [("good",)]


def test_an_odd_schema_name_is_no_statement(database: psycopg.Connection) -> None:
    odd = 'odd" schema; DROP'
    database.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(odd)))
    record(database, verification(entities=(result(),)), schema=odd)
    record(database, verification(id=str(uuid4()), entities=(result(),)), schema=odd)

    table = sql.Identifier(odd, "qb_verifications")
    found = database.execute(sql.SQL("SELECT count(*) FROM {}").format(table)).fetchone()
    database.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(odd)))
    assert found == (2,)


@pytest.mark.parametrize(
    "prepared",
    [
        "SELECT 1",
        "CREATE SCHEMA proof",
        "CREATE SCHEMA proof; GRANT USAGE ON SCHEMA proof TO prover",
    ],
    ids=["no schema", "a schema out of sight", "a schema to look at"],
)
def test_who_may_not_make_the_table_is_told_what_to_grant(
    database: psycopg.Connection, worker: psycopg.Connection, prepared: str
) -> None:
    database.execute(prepared.encode())
    with pytest.raises(
        SettingsError, match=r"prover may not write .* GRANT USAGE, CREATE ON SCHEMA proof"
    ) as raised:
        record(worker, verification(entities=(result(),)), schema=SCHEMA)
    assert "\n" not in str(raised.value)


def test_who_is_given_the_table_needs_no_right_to_make_it(
    database: psycopg.Connection, worker: psycopg.Connection
) -> None:
    record(database, verification(), schema=SCHEMA)
    database.execute("GRANT USAGE ON SCHEMA proof TO prover")
    with pytest.raises(SettingsError, match="permission denied for table"):
        record(worker, verification(entities=(result(),)), schema=SCHEMA)
    database.execute("GRANT INSERT ON proof.qb_verifications TO prover")

    # A conflict is looked for in the key, so SELECT is needed as well, as the message says.
    database.execute("GRANT SELECT ON proof.qb_verifications TO prover")
    record(worker, verification(entities=(result(),)), schema=SCHEMA)
    assert len(rows(database)) == 1


def test_a_database_that_only_can_be_read_is_named(database: psycopg.Connection) -> None:
    database.execute("SET default_transaction_read_only = on")
    with pytest.raises(SettingsError, match="read-only transaction"):
        record(database, verification(entities=(result(),)), schema=SCHEMA)
    database.execute("SET default_transaction_read_only = off")


def test_a_dead_connection_is_one_line(postgres: Connection, database: psycopg.Connection) -> None:
    connection = psycopg.connect(postgres.url, autocommit=True)
    database.execute("SELECT pg_terminate_backend(%s)", (connection.info.backend_pid,))
    with pytest.raises(
        SettingsError, match=r"cannot be written to proof\.qb_verifications"
    ) as raised:
        record(connection, verification(entities=(result(),)), schema=SCHEMA)
    connection.close()
    assert "\n" not in str(raised.value)


def test_odd_characters_and_secrets_do_not_come_in(database: psycopg.Connection) -> None:
    odd = result(
        explanations=("a\0b\ud800", "postgresql://me:hush/h@sh@host/db refused"),
        verdict="nul \0",
    )
    record(database, verification(entities=(odd,)), schema=SCHEMA)

    found = database.execute(
        "SELECT verdict, explanations::text FROM proof.qb_verifications"
    ).fetchone()
    assert found is not None
    assert found[0] == "nul \ufffd"
    assert json.loads(found[1]) == ["a\ufffdb\ufffd", "postgresql://***@host/db refused"]
