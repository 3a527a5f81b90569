"""Change data capture: what changed since an instant, deleted objects included."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quickbooks_simulator.clock import pacific, read_instant
from quickbooks_simulator.entities import BY_QUERY_NAME, ENTITIES, Entity
from quickbooks_simulator.faults import Fault, invalid_query, missing, not_available, unsupported
from quickbooks_simulator.jsontext import encode
from quickbooks_simulator.tables import key_slot

if TYPE_CHECKING:
    from quickbooks_simulator.clock import Clock
    from quickbooks_simulator.company import Company
    from quickbooks_simulator.settings import Settings

DAY = 86400
_BY_KEY = {key.lower(): entity for key, entity in ENTITIES.items()}


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
    room = settings.cdc_objects
    groups = []
    rows = 0
    for name in entities.split(","):
        entity = _followed(name.strip(), company, settings)
        found, deleted = _changed(company, entity, start, room - rows)
        groups.append(_group(entity, found, deleted))
        rows += len(found) + len(deleted)
    return b'[{"QueryResponse":[' + b",".join(groups) + b"]}]", rows


def _instant(since: str, settings: Settings, clock: Clock) -> float:
    try:
        start = read_instant(since.replace(" ", "+"))
    except ValueError:
        raise Fault("2010", "Invalid query", f"Invalid date format: {since}") from None
    if start < clock.now() - settings.cdc_days * DAY:
        raise unsupported(f"cdc with changedSince date {since} which is older than fixed days")
    return start


def _followed(name: str, company: Company, settings: Settings) -> Entity:
    entity = BY_QUERY_NAME.get(name.lower()) or _BY_KEY.get(name.lower())
    if entity is None:
        raise invalid_query(f"Metadata not found for Entity: {name}")
    if not entity.cdc:
        raise unsupported(f"cdc for entity {name}")
    if not entity.available_in(company.country) or settings.lists(
        settings.entities_off, company.realm_id, entity.key
    ):
        raise not_available()
    return entity


def _changed(
    company: Company, entity: Entity, start: float, room: int
) -> tuple[list[bytes], list[bytes]]:
    table = company.table(entity)
    first = table.position(int(start) + (start > int(start)))
    living = table.texts(key_slot(key) for key in table.by_time[first : first + max(room, 0)])
    stubs = [
        encode(
            {
                "domain": "QBO",
                "status": "Deleted",
                "Id": gone.id,
                "MetaData": {"LastUpdatedTime": pacific(gone.stamp)},
            }
        )
        for gone in sorted(table.tombstones, key=lambda gone: gone.stamp)
        if gone.stamp >= start
    ]
    return living, stubs[: max(room - len(living), 0)]


def _group(entity: Entity, living: list[bytes], deleted: list[bytes]) -> bytes:
    rows = living + deleted
    if not rows:
        return b"{}"
    start = b',"startPosition":1' if living else b""
    total = b',"totalCount":%d' % len(rows) if entity.total_count else b""
    return (
        b'{"%s":[' % entity.key.encode()
        + b",".join(rows)
        + b"]"
        + start
        + b',"maxResults":%d' % len(rows)
        + total
        + b"}"
    )
