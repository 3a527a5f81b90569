"""The stock loader's own test files give the same tables with either loader."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.resources import files
from typing import Any

import pytest
from psycopg import sql
from target_postgres.target import TargetPostgres
from target_postgres_raw.target import TargetPostgresRaw

FILES = {
    file.name.removesuffix(".singer"): file
    for file in sorted(files("target_postgres.tests").joinpath("data_files").iterdir(), key=str)
    if file.name.endswith(".singer")
}
REFUSED = {"invalid_schema", "record_before_schema", "record_missing_key_property"}
# They hold what PostgreSQL does not take: a null in a key, NUL characters, an integer too long.
UNFIT = {"record_missing_required_property", "encoded_strings"}
LINES = 300
METADATA = {"add_record_metadata": True, "activate_version": True}
TABLES = (
    "SELECT table_name, column_name, data_type FROM information_schema.columns"
    " WHERE table_schema = %s ORDER BY 1, 2"
)


def _tables(database: Any, schema: str) -> dict[str, Any]:
    """Every table: its columns, and its rows without what differs by time."""
    columns: dict[str, dict[str, str]] = {}
    for table, column, type_ in database.rows(TABLES, schema):
        moment = "timestamp" if type_.startswith("timestamp") else type_
        columns.setdefault(table, {})[column] = moment
    rows = {}
    with database.connect() as connection:
        for table, types in columns.items():
            names = [name for name in types if not name.startswith("_sdc")]
            query = sql.SQL("SELECT {} FROM {}").format(
                sql.SQL(", ").join(map(sql.Identifier, names)), sql.Identifier(schema, table)
            )
            found = connection.execute(query).fetchall()
            rows[table] = sorted([tuple(map(_plain, row)) for row in found], key=repr)
    return {"columns": columns, "rows": rows}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime) and value.tzinfo:
        return value.astimezone(UTC).replace(tzinfo=None)
    return value


@pytest.mark.parametrize(
    ("name", "settings"),
    [(name, {}) for name in FILES if name not in REFUSED | UNFIT]
    + [(name, METADATA) for name in FILES if "activate" in name or "no_pk" in name],
)
def test_both_loaders_give_the_same_tables(
    lasting: Any, name: str, settings: dict[str, Any]
) -> None:
    lines = FILES[name].read_bytes().splitlines()[:LINES]
    tables = []
    for target in (TargetPostgres, TargetPostgresRaw):
        schema = f"{target.name}_{len(settings)}_{name}"[:60]
        lasting.load(*lines, target=target, default_target_schema=schema, **settings)
        tables.append(_tables(lasting, schema))
    assert tables[1] == tables[0]
    assert tables[0]["columns"]


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_both_loaders_refuse(database: Any, name: str) -> None:
    lines = FILES[name].read_bytes().splitlines()
    for target in (TargetPostgres, TargetPostgresRaw):
        with pytest.raises(Exception) as raised:  # noqa: PT011  The kinds are compared below.
            database.load(*lines, target=target)
        kind = type(raised.value)
    assert kind.__module__.startswith("singer_sdk")
