"""What is sent is what is stored: every text, every digit, every moment."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from target_postgres.target import TargetPostgres

SLOW = settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
# PostgreSQL's texts have no NUL, and UTF-8 has no surrogates.
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
NUMBERS = st.one_of(
    st.integers(-(10**30), 10**30),
    st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**20), max_value=10**20),
)
DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda children: st.lists(children, max_size=4) | st.dictionaries(TEXTS, children, max_size=4),
    max_leaves=12,
)
MOMENTS = st.timedeltas(timedelta(0), timedelta(days=3_652_000)).map(
    lambda since: datetime(1, 1, 2, tzinfo=UTC) + since
)


def _escaped(line: bytes) -> bytes:
    return json.dumps(json.loads(line), ensure_ascii=True).encode()


@SLOW
@given(st.lists(TEXTS, min_size=1, max_size=20, unique=True), st.booleans())
def test_texts(database: Any, singer: Any, texts: list[str], escaped: bool) -> None:  # noqa: FBT001
    schema = singer.schema("id", stream="texts", keys=["id"], t={"type": ["string", "null"]})
    lines = [msgspec.json.encode(singer.record("texts", id=text, t=text)) for text in texts]
    with database.connect() as connection:
        connection.execute("DROP TABLE IF EXISTS raw.texts")
    database.load(schema, *(map(_escaped, lines) if escaped else lines))
    found = database.rows("SELECT id, t FROM raw.texts")
    assert sorted(found) == sorted((text, text) for text in texts)


@SLOW
@given(st.lists(DOCUMENTS, min_size=1, max_size=20), st.booleans())
def test_documents(database: Any, singer: Any, documents: list[Any], escaped: bool) -> None:  # noqa: FBT001
    schema = singer.schema("id", stream="documents", keys=["id"], d={"type": ["object", "null"]})
    lines = [
        msgspec.json.encode(singer.record("documents", id=str(number), d=document))
        for number, document in enumerate(documents)
    ]
    with database.connect() as connection:
        connection.execute("DROP TABLE IF EXISTS raw.documents")
    database.load(schema, *(map(_escaped, lines) if escaped else lines))
    found = database.rows("SELECT d FROM raw.documents ORDER BY id::int")
    assert [row[0] for row in found] == documents


@SLOW
@given(st.lists(NUMBERS, min_size=1, max_size=20))
def test_numbers(database: Any, singer: Any, numbers: list[Any]) -> None:
    schema = singer.schema(
        "id", stream="numbers", keys=["id"], n={"type": "number"}, d={"type": "object"}
    )
    lines = [
        b'{"type":"RECORD","stream":"numbers","record":{"id":"%d","n":%s,"d":{"n":%s}}}'
        % (place, str(number).encode(), str(number).encode())
        for place, number in enumerate(numbers)
    ]
    with database.connect() as connection:
        connection.execute("DROP TABLE IF EXISTS raw.numbers")
    database.load(schema, *lines)
    found = database.rows("SELECT n, d ->> 'n' FROM raw.numbers ORDER BY id::int")
    assert found == [(number, format(number, "f")) for number in map(_exact, numbers)]


def _exact(number: Any) -> Decimal:
    """PostgreSQL knows neither -0 nor digits left of the point that are not there."""
    exact = Decimal(number)
    if exact == 0:
        exact = abs(exact)
    return exact.quantize(Decimal(1)) if exact.as_tuple().exponent > 0 else exact


@settings(SLOW, max_examples=6)
@given(st.lists(st.tuples(MOMENTS, st.integers(-14 * 60, 14 * 60)), min_size=10, max_size=50))
def test_moments(database: Any, singer: Any, moments: list[tuple[datetime, int]]) -> None:
    """Whatever the offset, also where the stock loader has made the column, without a zone."""
    schema = singer.schema()
    database.load(schema)
    database.load(schema, target=TargetPostgres, default_target_schema="stock")
    sent = [
        singer.living(str(number), {}, None, 0)
        | {
            "record": {
                "realm_id": "1",
                "id": str(number),
                "last_updated_utc": _written(moment, minutes),
            }
        }
        for number, (moment, minutes) in enumerate(moments)
    ]
    expected = [(moment,) for moment, _ in moments]
    query = "SELECT {} FROM {}.qb_invoices ORDER BY id::int"
    for name, column in (
        ("raw", "last_updated_utc"),
        ("stock", "last_updated_utc AT TIME ZONE 'UTC'"),
    ):
        database.load(schema, *sent, default_target_schema=name)
        assert database.rows(query.format(column, name)) == expected
    with database.connect() as connection:
        connection.execute("TRUNCATE raw.qb_invoices, stock.qb_invoices")


def _written(moment: datetime, minutes: int) -> str:
    try:
        return moment.astimezone(timezone(timedelta(minutes=minutes))).isoformat()
    except OverflowError:
        return moment.isoformat()


@pytest.mark.parametrize(
    ("schema", "sent", "stored"),
    [
        ({"type": "integer"}, b"12", 12),
        ({"type": "integer"}, b"-12", -12),
        ({"type": "integer"}, b"1.0", 1),
        ({"type": "integer"}, b"-1.2e2", -120),
        ({"type": "integer"}, b"null", None),
        ({"type": "integer"}, b'"7"', 7),
        ({"type": "integer", "minimum": 0, "maximum": 9}, b"7", 7),
        ({"type": "number"}, b"0.10", Decimal("0.10")),
        ({"type": "number"}, b"1e400", Decimal("1e400")),
        ({"type": "boolean"}, b"true", True),
        ({"type": "boolean"}, b"false", False),
        ({"type": "string"}, b"12", "12"),
        ({"type": "string", "maxLength": 5}, b'"12345"', "12345"),
        ({"type": "string", "format": "date"}, b'"2024-02-29"', "2024-02-29"),
        ({"type": "string", "format": "time"}, b'"12:34:56"', "12:34:56"),
        ({"type": "string", "format": "date-time"}, b'"2024-02-29"', "2024-02-29 00:00:00+00"),
        (
            {"type": "string", "format": "uuid"},
            b'"6F9619FF-8B86-D011-B42D-00CF4FC964FF"',
            "6f9619ff-8b86-d011-b42d-00cf4fc964ff",
        ),
        ({"type": "object"}, b'{ "b" : 1.10,\t"a" : "\\u00e9" }', '{"a": "\u00e9", "b": 1.10}'),
        ({"type": "object"}, b"null", "null"),
        ({"type": ["object", "array"]}, b'["x"]', '["x"]'),
    ],
    ids=str,
)
def test_every_type(
    database: Any, singer: Any, *, schema: dict[str, Any], sent: bytes, stored: Any
) -> None:
    line = b'{"type":"RECORD","stream":"s","record":{"id":"1","v":%s}}' % sent
    database.load(singer.schema("id", stream="s", keys=["id"], v=schema), line)
    ((found,),) = database.rows("SELECT v FROM raw.s")
    if isinstance(stored, str):
        ((found,),) = database.rows("SELECT v::text FROM raw.s")
    assert found == stored
    assert str(found) == str(stored) or math.isclose(found, stored)


def test_nul_characters_are_replaced_where_that_is_asked_for(database: Any, singer: Any) -> None:
    """As deep as they are; an escaped backslash before u0000 is none."""
    record = singer.living("1", {"a": ["\0\0", "\\u0000", "\\\0"]}, 1, 1)
    record["record"]["realm_id"] = "a\0b"
    database.load(singer.schema(), record, sanitize_null_text_characters=True)
    found = database.rows("SELECT realm_id, payload FROM raw.qb_invoices")
    assert found == [("a\ufffdb", {"a": ["\ufffd\ufffd", "\\u0000", "\\\ufffd"]})]


def test_names_of_all_kinds(database: Any, singer: Any) -> None:
    names = ["select", "A b", 'q"t', "%s", "{}", "ß"]
    schema = singer.schema(stream="Names", keys=names[:2])
    schema["schema"]["properties"] = {name: {"type": "string"} for name in names}
    database.load(schema, singer.record("Names", **{name: name for name in names}))
    assert database.rows('SELECT * FROM raw."Names"') == [tuple(names)]


def test_moments_keep_their_zone_and_documents_lz4(database: Any, singer: Any) -> None:
    database.load(singer.schema())
    types = dict(
        database.rows(
            "SELECT attname, format_type(atttypid, NULL) || ' ' || attcompression::text"
            " FROM pg_attribute WHERE attrelid = 'raw.qb_invoices'::regclass AND attnum > 0"
        )
    )
    (lz4,) = database.rows(
        "SELECT 'lz4' = ANY(enumvals) FROM pg_settings WHERE name = 'default_toast_compression'"
    )
    assert types["last_updated_utc"] == "timestamp with time zone "
    assert types["payload"] == ("jsonb l" if lz4[0] else "jsonb ")
