"""Row by row: what the simulator holds against what `raw` holds, digit by digit."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from psycopg import sql
from tap_quickbooks_raw.entities import ENTITIES, Reading

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import psycopg
    from quickbooks_simulator.server import RunningSimulator

UNUSABLE = re.compile("[\x00\ud800-\udfff]")


def parse(text: str | bytes) -> Any:
    """Parse JSON so that equal means equal to the last digit."""
    return json.loads(text, parse_float=_number, parse_int=_number, object_pairs_hook=_object)


def mended(value: Any) -> Any:
    """Replace in all texts what PostgreSQL cannot hold, as the contract says."""
    if isinstance(value, str):
        return UNUSABLE.sub("\ufffd", value)
    if isinstance(value, list):
        return [mended(item) for item in value]
    if isinstance(value, dict):
        return {mended(key): mended(item) for key, item in value.items()}
    return value


def source_rows(simulator: RunningSimulator, realm: str, key: str) -> dict[str, Any]:
    """The objects of an entity by the key that `raw` has to have for them."""
    return {_key(value): value for value in map(parse, simulator.rows(realm, key))}


def raw_rows(connection: psycopg.Connection, table: str, realm: str) -> dict[str, dict[str, Any]]:
    """The rows of a raw table by id."""
    query = sql.SQL("SELECT *, payload::text AS text FROM raw.{} WHERE realm_id = %s").format(
        sql.Identifier(table)
    )
    cursor = connection.execute(query, (realm,))
    names = [column.name for column in cursor.description or ()]
    return {row["id"]: row for row in (dict(zip(names, values, strict=True)) for values in cursor)}


def assert_equal(
    simulator: RunningSimulator,
    connection: psycopg.Connection,
    realm: str,
    *,
    deleted: Mapping[str, Iterable[str]] = MappingProxyType({}),
    unavailable: Iterable[str] = (),
) -> int:
    """Compare all entities; return the number of rows compared.

    Args:
        simulator: The source.
        connection: The destination.
        realm: The company.
        deleted: Ids by stream that are gone in QBO: marked, with their last payload.
        unavailable: Streams that the company does not have.
    """
    compared = 0
    for entity in ENTITIES:
        expected = (
            {}
            if entity.stream in unavailable
            else source_rows(simulator, realm, entity.response_key)
        )
        found = raw_rows(connection, entity.stream, realm)
        gone = set(deleted.get(entity.stream, ()))
        assert expected.keys() == found.keys() - gone, entity.stream
        for id_ in found.keys() & gone:
            assert found[id_]["deleted_at_utc"] is not None, (entity.stream, id_)
            assert _key(found[id_]["payload"]) == id_
        for id_, value in expected.items():
            row = found[id_]
            assert mended(value) == parse(row["text"]), (entity.stream, id_)
            _assert_metadata(row, value, entity)
            compared += 1
    return compared


def _assert_metadata(row: dict[str, Any], value: Any, entity: Any) -> None:
    assert _in_utc(row["last_updated_utc"]) == _updated(value)
    assert row["deleted_at_utc"] is None
    assert datetime.now(UTC) >= _in_utc(row["ingested_at_utc"])
    assert row["page_number"] >= 1
    assert row["page_size"] >= 1
    request = row["request_payload"]
    assert request["method"] == "GET"
    assert request["minorversion"] == 75
    if entity.reading is Reading.GET:
        assert row["extract_window_start_utc"] is None
    else:
        if "changedSince" in request:
            assert request["entities"] == entity.name
        else:
            assert f"FROM {entity.name} " in request["query"]
        assert row["extract_window_start_utc"] < row["extract_window_end_utc"]
        assert row["extract_window_start_utc"] <= row["last_updated_utc"]
        assert row["last_updated_utc"] < row["extract_window_end_utc"]


def _in_utc(moment: Any) -> Any:
    """The stock loader's columns are timestamps in UTC, ours have a time zone."""
    return moment.replace(tzinfo=UTC) if moment and moment.tzinfo is None else moment


def _updated(value: Any) -> datetime | None:
    metas = [value.get("MetaData"), *(_inner(value).get("MetaData"),)]
    text = next((meta["LastUpdatedTime"] for meta in metas if meta), None)
    if text is None:
        return None
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _inner(value: Any) -> Any:
    """The object itself: RecurringTransaction wraps it."""
    if len(value) == 1 and isinstance(next(iter(value.values())), dict):
        return next(iter(value.values()))
    return value


def _key(value: Any) -> str:
    inner = _inner(value)
    if "SourceCurrencyCode" in inner:
        names = ("SourceCurrencyCode", "TargetCurrencyCode", "AsOfDate")
        return "-".join(inner[name] for name in names)
    return str(inner.get("Id") or inner["id"])


def _number(text: str) -> tuple[str, str]:
    return "number", format(Decimal(text), "f")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    return dict(pairs)
