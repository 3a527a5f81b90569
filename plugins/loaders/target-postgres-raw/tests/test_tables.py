"""Tables that were there before: what fits is loaded, what does not is said."""

from __future__ import annotations

from typing import Any

import pytest
from target_postgres.target import TargetPostgres
from target_postgres_raw.failures import LoadError
from target_postgres_raw.target import TargetPostgresRaw

COLUMNS = {
    "realm_id": "text",
    "id": "text",
    "payload": "jsonb",
    "last_updated_utc": "timestamptz",
    "ingested_at_utc": "timestamptz",
    "page_number": "integer",
    "deleted_at_utc": "timestamptz",
}
KEY = "PRIMARY KEY (realm_id, id)"
ROWS = "SELECT id, payload, page_number FROM raw.qb_invoices ORDER BY id"


def _make(database: Any, *, key: str = KEY, after: str = "", **types: str) -> None:
    columns = (f"{name} {type_}" for name, type_ in (COLUMNS | types).items())
    with database.connect() as connection:
        connection.execute("CREATE SCHEMA raw")
        connection.execute(
            f"CREATE TABLE raw.qb_invoices ({', '.join((*columns, key)).rstrip(', ')}) {after}"
        )


@pytest.mark.parametrize(
    "types",
    [
        {"realm_id": "character(6)", "id": "character(6)"},
        {"realm_id": "varchar(6)", "id": "varchar(6)"},
        {"last_updated_utc": "timestamp", "deleted_at_utc": "timestamp"},
        {"page_number": "numeric(5, 0)"},
        {"page_number": "smallint"},
        {"payload": "json"},
        {"loaded_at": "timestamptz NOT NULL DEFAULT now()", "n": "serial"},
    ],
    ids=["char", "varchar", "timestamp", "numeric", "smallint", "json", "defaults"],
)
def test_both_loaders_fill_a_table_of_other_types(
    database: Any, singer: Any, types: dict[str, str]
) -> None:
    found = []
    for target in (TargetPostgres, TargetPostgresRaw):
        with database.connect() as connection:
            connection.execute("DROP SCHEMA IF EXISTS raw CASCADE")
        _make(database, **types)
        database.load(singer.schema(), singer.living("abcdef", {"v": 1}, 1, 1), target=target)
        database.load(singer.schema(), singer.living("abcdef", {"v": 2}, 2, 2), target=target)
        found.append(database.rows(ROWS))
    assert found[1] == found[0] == [("abcdef", {"v": 2}, 1)]


def test_columns_that_the_database_computes(database: Any, singer: Any) -> None:
    _make(database, n="text GENERATED ALWAYS AS (payload ->> 'v') STORED")
    for version in (1, 2):
        database.load(singer.schema(), singer.living("1", {"v": version}, version, version))
    assert database.rows("SELECT n FROM raw.qb_invoices") == [("2",)]


@pytest.mark.parametrize("payload", [{"v": "\u00e9"}, [], "text", None], ids=repr)
def test_a_document_in_a_text_is_the_one_that_was_sent(
    database: Any, singer: Any, payload: Any
) -> None:
    found = []
    for target in (TargetPostgres, TargetPostgresRaw):
        with database.connect() as connection:
            connection.execute("DROP SCHEMA IF EXISTS raw CASCADE")
        _make(database, payload="text")
        database.load(singer.schema(), singer.living("1", payload, 1, 1), target=target)
        found.append(database.rows("SELECT payload::jsonb FROM raw.qb_invoices"))
    assert found[1] == found[0] == [(payload,)]


@pytest.mark.parametrize(
    "key",
    [
        "",
        "PRIMARY KEY (id)",
        "PRIMARY KEY (realm_id, id, page_number)",
        "PRIMARY KEY (realm_id, id) DEFERRABLE",
        "UNIQUE (realm_id, id) DEFERRABLE INITIALLY DEFERRED",
    ],
    ids=["none", "narrower", "wider", "deferrable", "deferred"],
)
def test_a_table_without_that_key_goes_the_stock_way_and_says_so(
    database: Any, singer: Any, caplog: pytest.LogCaptureFixture, key: str
) -> None:
    _make(database, key=key)
    for version in (1, 2):
        database.load(singer.schema(), singer.living("1", {"v": version}, 1, 1))
    assert database.rows(ROWS) == [("1", {"v": 2}, 1)]
    assert "without guards: its table has no unique constraint on the key" in caplog.text


@pytest.mark.parametrize(
    ("key", "after"),
    [("UNIQUE (id, realm_id)", ""), (KEY, "PARTITION BY HASH (realm_id)")],
    ids=["unique", "partitioned"],
)
def test_a_table_with_that_key_is_guarded(database: Any, singer: Any, key: str, after: str) -> None:
    _make(database, key=key, after=after)
    if after:
        with database.connect() as connection:
            connection.execute(
                "CREATE TABLE raw.part PARTITION OF raw.qb_invoices"
                " FOR VALUES WITH (MODULUS 1, REMAINDER 0)"
            )
    for version in (2, 1):
        database.load(singer.schema(), singer.living("1", {"v": version}, version, version))
    assert database.rows(ROWS) == [("1", {"v": 2}, 1)]


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("CREATE VIEW raw.qb_invoices AS SELECT 1 AS id", "it is no table, but a view"),
        ("CREATE TABLE raw.qb_invoices (realm_id bigint, id text)", "'BIGINT' to 'TEXT'"),
        ("CREATE TABLE raw.qb_invoices (realm_id raw.name, id text)", "a type that the stock"),
    ],
    ids=["view", "other type", "domain"],
)
def test_what_cannot_be_loaded_into_is_said(
    database: Any, singer: Any, statement: str, words: str
) -> None:
    with database.connect() as connection:
        connection.execute("CREATE SCHEMA raw; CREATE DOMAIN raw.name AS text")
        connection.execute(statement)
    with pytest.raises(LoadError, match="Stream qb_invoices: its table cannot be") as raised:
        database.load(singer.schema())
    assert words in str(raised.value)


def test_a_name_that_postgresql_would_cut(database: Any, singer: Any) -> None:
    column = "c" * 64
    with pytest.raises(LoadError, match=f"cannot have the column {column}: "):
        database.load(singer.schema("id", stream="s", keys=["id"], **{column: {"type": "string"}}))


def test_a_refused_schema_does_not_spoil_what_came_before(database: Any, singer: Any) -> None:
    """Its rows are loaded, and their state goes out."""
    number = singer.schema("id", stream="s", keys=["id"], v={"type": "integer"})
    text = singer.schema("id", stream="s", keys=["id"], v={"type": "string"})
    code, states, said = database.run(
        number, singer.record("s", id="1", v=1), singer.state(1), text
    )
    assert (code, states) == (1, [{"at": 1}])
    assert "Could not convert column 'raw.s.v' from 'BIGINT' to 'TEXT'" in said
    assert "Traceback" not in said
    assert database.rows("SELECT id, v FROM raw.s") == [("1", 1)]


def test_columns_come_and_go_while_rows_do(database: Any, singer: Any) -> None:
    """A later schema adds a column; one with fewer leaves the others as they are."""
    narrow = singer.schema("id", stream="s", keys=["id"], a={"type": "integer"})
    wide = singer.schema("id", stream="s", keys=["id"], a={"type": "integer"}, b={"type": "string"})
    database.load(
        narrow,
        singer.record("s", id="1", a=1),
        singer.record("s", id="2", a=1),
        wide,
        singer.record("s", id="1", b="x"),
        narrow,
        singer.record("s", id="1", a=2),
        singer.record("s", id="3", a=3),
    )
    rows = database.rows("SELECT id, a, b FROM raw.s ORDER BY id")
    assert rows == [("1", 2, "x"), ("2", 1, None), ("3", 3, None)]


def test_every_record_may_have_columns_of_its_own(database: Any, singer: Any) -> None:
    names = [f"c{number}" for number in range(6)]
    numbers: dict[str, Any] = {name: {"type": ["integer", "null"]} for name in names}
    records = [
        singer.record(
            "s", id=str(row), **{name: row for bit, name in enumerate(names) if row >> bit & 1}
        )
        for row in range(64)
    ]
    database.load(singer.schema("id", stream="s", keys=["id"], **numbers), *records)
    filled = " + ".join(f"((c{bit} IS NOT NULL)::int << {bit})" for bit in range(6))
    assert database.rows(f"SELECT count(*) FROM raw.s WHERE {filled} = id::int") == [(64,)]
