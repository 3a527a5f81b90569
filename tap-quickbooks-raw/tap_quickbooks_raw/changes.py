"""Answers to change data capture (CDC), taken apart: what lives and what is deleted.

https://developer.intuit.com/app/developer/qbo/docs/learn/explore-the-quickbooks-online-api/change-data-capture
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from tap_quickbooks_raw.entities import Reading
from tap_quickbooks_raw.exceptions import EntityError
from tap_quickbooks_raw.faults import from_object
from tap_quickbooks_raw.pages import parse_stamp, rows_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from tap_quickbooks_raw.answers import Answer
    from tap_quickbooks_raw.entities import Entity
    from tap_quickbooks_raw.pages import Row, Stamp

# More are never sent, whatever has changed; nothing in the answer tells.
MOST_OBJECTS = 1000


class Deletion(NamedTuple):
    """An object that QBO reports as deleted.

    Attributes:
        id: Its Id.
        stamp: When it was deleted; None if QBO does not say.
    """

    id: str
    stamp: Stamp | None


class Deletions(NamedTuple):
    """Deleted objects of one entity, in the order of their deletion.

    Attributes:
        objects: The objects.
        received_at: When QBO's answer was received, in UTC.
    """

    objects: list[Deletion]
    received_at: datetime


class Changes(NamedTuple):
    """What an answer holds of one entity."""

    living: list[Row]
    deleted: list[Deletion]

    @property
    def size(self) -> int:
        """How many objects there are."""
        return len(self.living) + len(self.deleted)


class _MetaData(msgspec.Struct):
    updated: str | None = msgspec.field(default=None, name="LastUpdatedTime")


class _Stub(msgspec.Struct):
    status: Any = None
    id: str | int | None = msgspec.field(default=None, name="Id")
    meta: _MetaData | None = msgspec.field(default=None, name="MetaData")

    @property
    def is_deleted(self) -> bool:
        return str(self.status).lower() == "deleted" and self.id not in {None, ""}


_Group = dict[str, msgspec.Raw]
_stub = msgspec.json.Decoder(_Stub).decode
_nested_stub = msgspec.json.Decoder(dict[str, _Stub]).decode


def take_apart(answer: Answer, entities: Sequence[Entity]) -> tuple[dict[str, Changes], bool]:
    """Take an answer apart.

    Args:
        answer: The answer.
        entities: What was asked for. They may be answered in any order; one that is not there
            has not changed.

    Returns:
        The changes by stream, and whether the answer is so full that some may have been cut.

    Raises:
        EntityError: It carries a fault, or cannot be understood.
    """
    changes = {entity.stream: Changes([], []) for entity in entities}
    objects, is_full = 0, False
    try:
        for group in _groups(answer):
            for key, content in group.items():
                found = _objects(content)
                if found is None:
                    continue
                entity = _entity_of(key, entities)
                _sort(found, entity, answer.tid, changes[entity.stream])
                objects += len(found)
                is_full |= _total(group) > len(found)
    except msgspec.DecodeError as error:
        raise EntityError(f"cdc answers in another shape than documented ({error})") from None
    return changes, is_full or objects >= MOST_OBJECTS


def _groups(answer: Answer) -> Iterator[_Group]:
    """The part of an answer that belongs to one entity each."""
    for part in msgspec.json.decode(answer.changes, type=list[_Group]):
        _refuse_fault(part, answer.tid)
        for group in msgspec.json.decode(part.get("QueryResponse", b"[]"), type=list[_Group]):
            _refuse_fault(group, answer.tid)
            yield group


def _refuse_fault(part: _Group, tid: str) -> None:
    for key in ("Fault", "fault"):
        if key in part:
            fault = from_object(200, msgspec.json.decode(part[key], type=dict[str, Any]), tid)
            raise EntityError(str(fault))


def _objects(content: msgspec.Raw) -> list[msgspec.Raw] | None:
    """The objects under a key; None where it holds none. A single one may stand alone."""
    match bytes(content).lstrip()[:1]:
        case b"[":
            return msgspec.json.decode(content, type=list[msgspec.Raw])
        case b"{":
            return [content]
        case _:
            return None


def _total(group: _Group) -> int:
    try:
        return msgspec.json.decode(group.get("totalCount", b"0"), type=int)
    except msgspec.DecodeError:
        return 0


def _entity_of(key: str, entities: Sequence[Entity]) -> Entity:
    for entity in entities:
        if key.lower() in {entity.response_key.lower(), entity.name.lower()}:
            return entity
    if len(entities) == 1:
        return entities[0]
    raise EntityError(f"the answer to cdc holds {key!r}, which was not asked for")


def _sort(objects: list[msgspec.Raw], entity: Entity, tid: str, changes: Changes) -> None:
    living = []
    for raw in objects:
        stub = _read_stub(raw, entity)
        if stub.is_deleted:
            updated = stub.meta.updated if stub.meta else None
            stamp = parse_stamp(updated) if updated else None
            changes.deleted.append(Deletion(str(stub.id), stamp))
        else:
            living.append(raw)
    changes.living.extend(rows_of(entity, living, tid))


def _read_stub(raw: msgspec.Raw, entity: Entity) -> _Stub:
    stub = _stub(raw)
    if stub.id is None and entity.reading is Reading.NESTED:
        return next((each for each in _nested_stub(raw).values() if each.id), stub)
    return stub
