"""What may overwrite what: the sentences of the contract, one by one."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

ROWS = (
    "SELECT id, payload ->> 'v', extract(hour FROM last_updated_utc) * 60"
    " + extract(minute FROM last_updated_utc),"
    " extract(hour FROM ingested_at_utc) * 60 + extract(minute FROM ingested_at_utc),"
    " deleted_at_utc IS NOT NULL FROM raw.qb_invoices ORDER BY id"
)


def test_a_newer_version_overwrites_an_older_one(database: Any, singer: Any) -> None:
    database.load(singer.schema(), singer.living("1", {"v": 1}, 10, 20))
    database.load(singer.schema(), singer.living("1", {"v": 2}, 11, 21))
    assert database.rows(ROWS) == [("1", "2", 11, 21, False)]


def test_an_older_version_does_not_overwrite_a_newer_one(database: Any, singer: Any) -> None:
    database.load(singer.schema(), singer.living("1", {"v": 2}, 11, 21))
    database.load(singer.schema(), singer.living("1", {"v": 1}, 10, 22))
    assert database.rows(ROWS) == [("1", "2", 11, 21, False)]


def test_of_the_same_stamp_the_one_read_later_wins(database: Any, singer: Any) -> None:
    """QBO moves balances without a stamp."""
    database.load(singer.schema(), singer.living("1", {"v": 1}, 10, 20))
    database.load(singer.schema(), singer.living("1", {"v": 3}, 10, 22))
    database.load(singer.schema(), singer.living("1", {"v": 2}, 10, 21))
    assert database.rows(ROWS) == [("1", "3", 10, 22, False)]


def test_a_version_without_a_stamp_is_the_oldest(database: Any, singer: Any) -> None:
    database.load(singer.schema(), singer.living("1", {"v": 0}, None, 20))
    database.load(singer.schema(), singer.living("1", {"v": 1}, None, 21))
    assert database.rows(ROWS) == [("1", "1", None, 21, False)]
    database.load(singer.schema(), singer.living("1", {"v": 2}, 10, 20))
    database.load(singer.schema(), singer.living("1", {"v": 3}, None, 30))
    assert database.rows(ROWS) == [("1", "2", 10, 20, False)]


def test_an_unchanged_row_is_not_written(database: Any, singer: Any) -> None:
    first = [singer.living(str(n), {"v": n, "d": [1.10, None]}, 10, 20) for n in range(50)]
    again = [singer.living(str(n), {"d": [1.10, None], "v": n}, 10, 30) for n in range(50)]
    database.load(singer.schema(), *first)
    before = database.rows("SELECT xmin, xmax, ctid, * FROM raw.qb_invoices ORDER BY id")
    database.load(singer.schema(), *again)
    assert database.written() == (50, 0)
    after = database.rows("SELECT xmin, xmax, ctid, * FROM raw.qb_invoices ORDER BY id")
    assert after == before, "not even a lock is written, and the metadata are the older ones"


@pytest.mark.parametrize(
    ("old", "new"), [("0.1", "0.10"), ("1", "1.0"), ("null", "{}"), ("[1,2]", "[2,1]")]
)
def test_every_digit_is_a_change(database: Any, singer: Any, old: str, new: str) -> None:
    for number in (old, new):
        line = singer.lines([singer.living("1", {"v": "?"}, 10, 20)]).strip()
        database.load(singer.schema(), line.replace(b'"?"', number.encode()))
    assert database.written() == (1, 1)


def test_a_tombstone_leaves_payload_and_stamp(database: Any, singer: Any) -> None:
    database.load(
        singer.schema(),
        singer.living("1", {"v": 1}, 10, 20),
        singer.living("2", {"v": 1}, 10, 20),
        singer.tombstone_schema(),
        singer.tombstone("1", 15, 21),
        singer.tombstone("3", 15, 21),
    )
    assert database.rows(ROWS) == [
        ("1", "1", 10, 21, True),
        ("2", "1", 10, 20, False),
        ("3", None, None, 21, True),
    ]
    database.load(singer.tombstone_schema(), singer.tombstone("1", 15, 21))
    assert database.written() == (3, 1)


def test_what_was_read_after_a_tombstone_revives_the_row(database: Any, singer: Any) -> None:
    deletion = (singer.tombstone_schema(), singer.tombstone("1", 15, 21))
    database.load(singer.schema(), singer.living("1", {"v": 1}, 10, 20), *deletion)
    database.load(singer.schema(), singer.living("1", {"v": 1}, 10, 22))
    assert database.rows(ROWS) == [("1", "1", 10, 22, False)]


@pytest.mark.parametrize("updated", [10, 14], ids=["same version", "later version"])
def test_what_was_read_before_a_tombstone_does_not(
    database: Any, singer: Any, updated: int
) -> None:
    deletion = (singer.tombstone_schema(), singer.tombstone("1", 15, 21))
    database.load(singer.schema(), singer.living("1", {"v": 1}, 10, 19), *deletion)
    database.load(singer.schema(), singer.living("1", {"v": 2}, updated, 20))
    assert database.rows(ROWS) == [("1", "1", 10, 21, True)]


def test_a_tombstone_of_something_read_later_is_void(database: Any, singer: Any) -> None:
    database.load(singer.schema(), singer.living("1", {"v": 1}, 10, 22))
    database.load(singer.tombstone_schema(), singer.tombstone("1", 9, 21))
    assert database.rows(ROWS) == [("1", "1", 10, 22, False)]


def test_loading_a_batch_with_a_deletion_again_changes_nothing(database: Any, singer: Any) -> None:
    messages = (
        singer.schema(),
        singer.living("1", {"v": 1}, 10, 20),
        singer.tombstone_schema(),
        singer.tombstone("1", 15, 20),
    )
    database.load(*messages)
    before = database.written()
    database.load(*messages)
    assert database.written() == before
    assert database.rows(ROWS) == [("1", "1", 10, 20, True)]


def test_absent_columns_keep_their_value(database: Any, singer: Any) -> None:
    database.load(singer.schema(), singer.living("1", {"v": 1}, 10, 20))
    partial = singer.living("1", {"v": 2}, 11, 21)
    del partial["record"]["page_number"]
    database.load(singer.schema(), partial)
    assert database.rows("SELECT page_number, payload FROM raw.qb_invoices") == [(1, {"v": 2})]


@pytest.mark.parametrize("order", list(permutations([(10, 20), (11, 19), (11, 21), (9, 30)])))
def test_of_several_versions_in_a_batch_the_newest_wins(
    lasting: Any, singer: Any, order: tuple[tuple[int, int], ...]
) -> None:
    stream = f"s{abs(hash(order))}"
    records = [singer.living("1", {"v": version}, *version) for version in order]
    for record in records:
        record["stream"] = stream
    lasting.load(singer.schema(stream=stream), *records)
    assert lasting.rows(f'SELECT payload FROM raw."{stream}"') == [({"v": [11, 21]},)]


def test_of_equals_in_a_batch_the_last_one_wins(database: Any, singer: Any) -> None:
    records = [singer.living("1", {"v": n}, 10, 20) for n in range(20)]
    database.load(singer.schema(), *records)
    assert database.rows(ROWS) == [("1", "19", 10, 20, False)]
    assert database.written() == (1, 0)


def test_empty_settings_switch_the_guards_off(database: Any, singer: Any) -> None:
    off = {"version_columns": [], "content_columns": [], "tombstone_column": ""}
    database.load(singer.schema(), singer.living("1", {"v": 2}, 11, 21), **off)
    database.load(singer.schema(), singer.living("1", {"v": 1}, 10, 20), **off)
    database.load(singer.schema(), singer.living("1", {"v": 1}, 10, 20), **off)
    assert database.rows(ROWS) == [("1", "1", 10, 20, False)]
    assert database.written() == (1, 2)


def test_streams_without_the_columns_are_upserted(database: Any, singer: Any) -> None:
    """Another tap's: the last one wins, whatever columns came between."""
    schema = singer.schema("id", stream="other", keys=["id"], a={"type": "integer"}, b={})
    schema["schema"]["properties"]["b"] = {"type": "string"}
    database.load(
        schema,
        singer.record("other", id="1", a=1, b="x"),
        singer.record("other", id="1", a=2),
        singer.record("other", id="2", b="y"),
        singer.record("other", id="1", b="z", a=3),
        singer.record("other", id="1", a=4),
        singer.record("other", id="3"),
    )
    rows = database.rows("SELECT id, a, b FROM raw.other ORDER BY id")
    assert rows == [("1", 4, "z"), ("2", None, "y"), ("3", None, None)]


def test_columns_can_be_named(database: Any, singer: Any) -> None:
    names = {"version_columns": ["rev"], "content_columns": ["a"]}
    number = {"type": ["integer", "null"]}
    schema = singer.schema("id", stream="other", keys=["id"], rev=number, a=number)
    for rev, a in ((5, 1), (4, 2), (None, 3), (6, 1), (7, 4)):
        database.load(schema, singer.record("other", id="1", rev=rev, a=a), **names)
    assert database.rows("SELECT rev, a FROM raw.other") == [(7, 4)]
    assert database.written("other") == (1, 1)
