"""How records are grouped: together as far as that does not change what is left in the end."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from singer_sdk.exceptions import MissingKeyPropertiesError
from target_postgres_raw.chunk import Chunk
from target_postgres_raw.failures import MisfitError
from target_postgres_raw.merge import Guards, Table
from target_postgres_raw.rows import Layouts

TYPES = {"a": "bigint", "id": "text", "b": "jsonb"}
TABLE = Table("s", None, "s", ("id",), TYPES, Guards())


def _record(**values: Any) -> dict[str, msgspec.Raw]:
    return {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in values.items()}


def _layouts() -> Layouts:
    return Layouts("s", TYPES, ["id"], sanitize=False)


def _written(chunk: Chunk) -> dict[bytes, dict[str, bytes | None]]:
    """What a table has after the chunk, each run's rows in order."""
    table: dict[bytes, dict[str, bytes | None]] = {}
    for run in chunk.runs.get(TABLE, []):
        for row in run.rows:
            values = dict(zip(run.layout.columns, run.layout.values(row), strict=True))
            table.setdefault(values["id"] or b"", {}).update(values)
    return table


KEYS = st.sampled_from("pqr")
SETS = st.sampled_from([(), ("a",), ("b",), ("a", "b"), ("b", "a")])


@given(st.lists(st.tuples(KEYS, SETS), max_size=30))
def test_grouping_changes_nothing(sent: list[tuple[str, tuple[str, ...]]]) -> None:
    chunk, layouts = Chunk(), _layouts()
    expected: dict[bytes, dict[str, bytes]] = {}
    for number, (key, names) in enumerate(sent):
        chunk.add(TABLE, layouts, _record(id=key) | _record(**dict.fromkeys(names, number)))
        row = expected.setdefault(key.encode(), {"id": key.encode()})
        row.update(dict.fromkeys(names, str(number).encode()))
    assert _written(chunk) == expected
    assert chunk.rows == len(sent)


def test_records_with_the_same_columns_make_one_run() -> None:
    chunk, layouts = Chunk(), _layouts()
    for number in range(100):
        chunk.add(TABLE, layouts, _record(id=str(number), a=1, b=[2]))
        chunk.add(TABLE, layouts, _record(id=str(number + 1000), a=1))
        chunk.add(TABLE, layouts, _record(b=[2], a=1, id=str(number + 2000)))
    assert [len(run.rows) for run in chunk.runs[TABLE]] == [200, 100]


def test_all_sets_of_columns_share_a_staging_table() -> None:
    """The end of a transaction empties each of a session's, which takes its time."""
    layouts = _layouts()
    records = (_record(id="1"), _record(id="1", a=1), _record(b=2, id="1"))
    assert {layouts.layout(record).staged for record in records} == {("id", "a", "b")}


def test_rows_can_be_taken_apart_again() -> None:
    layout = _layouts().layout(_record(id="k\n\t\\", a=None, b={"x": None}))
    row = layout.encode(_record(id="k\n\t\\", a=None, b={"x": None}))
    assert layout.columns == ("id", "a", "b")
    assert layout.values(row) == [b"k\n\t\\", None, b'{"x":null}']


def test_a_lone_surrogate_in_a_text_is_named() -> None:
    record = {"id": msgspec.Raw(b'"\\ud800"'), "a": msgspec.Raw(b"1")}
    with pytest.raises(MisfitError, match="column id does not fit"):
        _layouts().layout(record).encode(record)


def test_columns_that_the_schema_lacks_are_left_out() -> None:
    layouts = _layouts()
    assert layouts.layout(_record(id="1", z=1)).columns == ("id",)
    assert layouts.ignored == {"z"}


def test_a_record_needs_its_key() -> None:
    with pytest.raises(MissingKeyPropertiesError, match="lacks the key column id; it has a"):
        _layouts().layout(_record(a=1))
