"""Change data capture: what changed since an instant, deleted objects included."""

from __future__ import annotations

from math import ceil, floor
from typing import TYPE_CHECKING, NamedTuple

from quickbooks_simulator.clock import pacific, read_instant
from quickbooks_simulator.disorder import disordered
from quickbooks_simulator.entities import BY_QUERY_NAME, ENTITIES, Entity
from quickbooks_simulator.faults import (
    INACTIVE,
    Fault,
    invalid_query,
    missing,
    not_available,
    system_failure,
    unsupported,
)
from quickbooks_simulator.jsontext import encode
from quickbooks_simulator.tables import key_slot

if TYPE_CHECKING:
    from collections.abc import Sequence

    from quickbooks_simulator.clock import Clock
    from quickbooks_simulator.company import Company
    from quickbooks_simulator.settings import Settings
    from quickbooks_simulator.tables import Table, Tombstone

DAY = 86400
EMPTY = b"{}"
_BY_KEY = {key.lower(): entity for key, entity in ENTITIES.items()}


class Changes(NamedTuple):
    """What changed in an entity: keys of the time index, and tombstones; or a fault instead."""

    entity: Entity
    living: Sequence[int] = ()
    deleted: Sequence[Tombstone] = ()
    fault: Fault | None = None


def change_data(
    company: Company, entities: str, since: str, *, settings: Settings, clock: Clock
) -> tuple[bytes, int]:
    """Return the value of `CDCResponse` and the number of objects in it.

    Raises:
        Fault: A name is unknown or not followed, or the instant is too old.
    """
    if not entities:
        raise missing("entities")
    if not since:
        raise missing("changedSince")
    start = _instant(since, settings, clock)
    first = floor(start) + 1 if settings.cdc_exclusive else ceil(start)
    every = [_changes(name.strip(), company, first, settings) for name in entities.split(",")]
    if settings.cdc_per_entity:
        every = [each for one in every for each in _cut([one], settings.cdc_objects)]
    else:
        every = _cut(every, settings.cdc_objects)
    single = settings.cdc_single_object
    groups = [_group(company.table(each.entity), each, single=single) for each in every]
    if settings.cdc_omits_empty:
        groups = [group for group in groups if group != EMPTY]
    if settings.cdc_shuffled:
        groups = disordered(groups, f"{company.spec.seed}/{entities}")
    rows = sum(len(each.living) + len(each.deleted) for each in every)
    return b'[{"QueryResponse":[' + b",".join(groups) + b"]}]", rows


def _instant(since: str, settings: Settings, clock: Clock) -> float:
    try:
        start = read_instant(since.replace(" ", "+"))
    except ValueError:
        raise Fault("2010", "Invalid query", f"Invalid date format: {since}") from None
    oldest = clock.now() - settings.cdc_days * DAY
    if start < oldest and settings.cdc_too_old == "fault":
        raise unsupported(f"cdc with changedSince date {since} which is older than fixed days")
    return max(start, oldest)


def _changes(name: str, company: Company, first: int, settings: Settings) -> Changes:
    """Return all that changed in an entity from a second on."""
    entity, realm = BY_QUERY_NAME.get(name.lower()) or _BY_KEY.get(name.lower()), company.realm_id
    if entity is None:
        raise invalid_query(f"Metadata not found for Entity: {name}")
    if not entity.cdc or settings.lists(settings.cdc_off, realm, entity.key):
        if settings.cdc_unsupported == "ignore":
            return Changes(entity)
        raise unsupported(f"cdc for entity {name}")
    if not entity.available_in(company.country) or settings.lists(
        settings.entities_off, realm, entity.key
    ):
        raise not_available()
    if settings.lists(settings.cdc_faults, realm, entity.key):
        return Changes(entity, fault=system_failure(INACTIVE))
    table = company.table(entity)
    deleted = [gone for gone in table.tombstones if gone.stamp >= first]
    deleted.sort(key=lambda gone: gone.stamp)
    return Changes(entity, table.by_time[table.position(first) :], deleted)


def _cut(every: Sequence[Changes], room: int) -> list[Changes]:
    """Leave what there is room for: the living of all entities come before the deleted ones."""
    kept = []
    for each in every:
        kept.append(each._replace(living=each.living[:room]))
        room -= len(kept[-1].living)
    for place, each in enumerate(kept):
        kept[place] = each._replace(deleted=each.deleted[:room])
        room -= len(kept[place].deleted)
    return kept


def _group(table: Table, changes: Changes, *, single: bool) -> bytes:
    if changes.fault:
        return encode({"Fault": changes.fault.body()})
    rows = table.texts(map(key_slot, changes.living)) + [_stub(gone) for gone in changes.deleted]
    if not rows:
        return EMPTY
    texts = b",".join(rows)
    if not single or len(rows) > 1:
        texts = b"[" + texts + b"]"
    start = b',"startPosition":1' if changes.living else b""
    total = b',"totalCount":%d' % len(rows) if changes.entity.total_count else b""
    return (
        b'{"%s":' % changes.entity.key.encode()
        + texts
        + start
        + b',"maxResults":%d' % len(rows)
        + total
        + b"}"
    )


def _stub(gone: Tombstone) -> bytes:
    stamp = pacific(gone.stamp)
    return encode(
        {
            "domain": "QBO",
            "status": "Deleted",
            "Id": gone.id,
            "MetaData": {"LastUpdatedTime": stamp},
        }
    )
