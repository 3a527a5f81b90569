"""Lines that are no messages, or not such as can be loaded, end the run in words."""

from __future__ import annotations

from typing import Any

import pytest
from singer_sdk.singerlib.exceptions import InvalidInputLine
from target_postgres_raw.failures import LoadError, MisfitError
from target_postgres_raw.target import FAILURES, TargetPostgresRaw

DEEP = "[" * 9999 + "]" * 9999


@pytest.mark.parametrize(
    ("messages", "words"),
    [
        ([b'{"type": "RECORD", "stream": "x", "record": {}}'], "Stream x: a record came before"),
        ([b'{"type": "RECORD", "stream": "x"}'], "missing required field `record`"),
        ([b'{"type": "RECORD", "stream": "x", "record": 1}'], "No RECORD message"),
        ([b'{"type": "RECORD", "stre'], "Not a line of JSON"),
        ([b'{"type": "ACTIVATE_VERSION", "stream": "x", "version": 1}'], "stream 'x'"),
    ],
)
def test_lines_that_are_no_messages(
    database: Any, singer: Any, messages: list[bytes], words: str
) -> None:
    before = (singer.schema(), singer.living("1", {}, 1, 1), singer.state(1))
    code, states, said = database.run(*before, *messages, batch_size_rows=1)
    assert code == 1
    assert words in said
    assert states == [{"at": 1}]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("[]", "No Singer message"),
        ('{"type": "NEWS"}', "Unknown message type"),
        ('{"type": []}', "Unknown message type"),
        ('{"type": "STATE"}', "No STATE message (Object missing required field `value`)"),
        ('{"type": "SCHEMA", "stream": "x", "schema": null}', "got `null` - at `$.schema`"),
        ('{"type": "SCHEMA", "stream": "x", "schema": {"properties": []}}', "$.schema.properties"),
        ('{"type": "SCHEMA", "stream": "x", "schema": {"properties": {}}}', "of length >= 1"),
        (
            '{"type": "SCHEMA", "stream": 1, "schema": {"properties": {"a": {}}}}',
            "Expected `str`, got `int` - at `$.stream`",
        ),
        ('{"type": "RECORD", "stream": "x", "record": {"a": NaN}}', "JSON is malformed"),
        (f'{{"type": "RECORD", "stream": "x", "record": {{"a": {DEEP}}}}}', "Nested too deeply"),
        (f'{{"type": "STATE", "value": {DEEP}}}', "maximum recursion depth"),
    ],
)
def test_lines_that_have_not_the_form_of_a_message(line: str, words: str) -> None:
    target = TargetPostgresRaw(config={"sqlalchemy_url": "unused"})
    with pytest.raises(InvalidInputLine) as raised:
        target.listen(iter([line]))
    assert words in str(raised.value)


@pytest.mark.parametrize(
    ("form", "manifest", "words"),
    [
        ("jsonl", "file:///nowhere.jsonl", "No such file"),
        ("parchment", "file:///nowhere", "Stream s: Unsupported batch encoding"),
    ],
)
def test_batches_that_cannot_be_read(
    database: Any, singer: Any, form: str, manifest: str, words: str
) -> None:
    batch = {
        "type": "BATCH",
        "stream": "s",
        "encoding": {"format": form, "compression": "none"},
        "manifest": [manifest],
    }
    with pytest.raises(FAILURES, match=words):
        database.load(singer.schema("id", stream="s", keys=["id"]), batch)


@pytest.mark.parametrize("number", ["1e9999999", "-1e99999999999", "1e30"])
def test_integers_of_all_sizes_are_refused_at_once(database: Any, singer: Any, number: str) -> None:
    """None of them is written out."""
    line = b'{"type":"RECORD","stream":"s","record":{"id":"1","v":%s}}' % number.encode()
    schema = singer.schema("id", stream="s", keys=["id"], v={"type": "integer"})
    with pytest.raises(MisfitError, match=f"column v does not fit: .*{number}"):
        database.load(schema, line)


def test_a_moment_that_the_stock_loader_cannot_read(database: Any, singer: Any) -> None:
    schema = singer.schema("id", "last_updated_utc", stream="log", keys=[])
    record = singer.record("log", id="1", last_updated_utc="soon")
    with pytest.raises(LoadError, match="Stream log: Could not parse value 'soon'"):
        database.load(schema, record)


def test_a_record_without_its_key_is_named(database: Any, singer: Any) -> None:
    code, _, said = database.run(singer.schema(), singer.record(id="5", payload={}))
    assert code == 1
    assert "a record (id=5) lacks the key column realm_id" in said


def test_batch_messages_do_not_pass_the_guards(database: Any, singer: Any) -> None:
    batch = {
        "type": "BATCH",
        "stream": "qb_invoices",
        "encoding": {"format": "jsonl", "compression": "none"},
        "manifest": ["file:///nothing"],
    }
    code, _, said = database.run(singer.schema(), batch)
    assert code == 1
    assert "version_columns" in said
