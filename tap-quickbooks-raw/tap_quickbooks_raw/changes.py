"""Answers to change data capture (CDC), taken apart: what lives and what is deleted.

https://developer.intuit.com/app/developer/qbo/docs/learn/explore-the-quickbooks-online-api/change-data-capture
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from tap_quickbooks_raw.entities import ENTITIES, Reading
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
# What may stand beside the objects.
ASIDES = {"warnings", "fault"}


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
_NOTHING = msgspec.Raw(b"null")
_stub = msgspec.json.Decoder(_Stub).decode
_nested_stub = msgspec.json.Decoder(dict[str, _Stub]).decode


class Content(NamedTuple):
    """What an answer holds.

    Attributes:
        changes: The changes by stream.
        is_full: Whether it is so full that some may have been cut.
        named: The streams of which it says something.
        groups: How many entities it speaks of, if only by an empty group.
    """

    changes: dict[str, Changes]
    is_full: bool
    named: set[str]
    groups: int


def take_apart(answer: Answer, entities: Sequence[Entity]) -> Content:
    """Take an answer apart.

    Args:
        answer: The answer.
        entities: What was asked for. They may be answered in any order.

    Raises:
        EntityError: It carries a fault, or cannot be understood.
    """
    changes = {entity.stream: Changes([], []) for entity in entities}
    objects, is_full, named = 0, False, set()
    try:
        groups = list(_groups(answer))
        for group in groups:
            before = objects
            for key, content in group.items():
                found = _objects(key, content)
                entity = _entity_of(key, entities, groups) if found else None
                if entity is not None:
                    _sort(found, entity, answer.tid, changes[entity.stream])
                    named.add(entity.stream)
                objects += len(found)
            is_full |= _total(group) > objects - before
    except msgspec.DecodeError as error:
        raise EntityError(f"cdc answers in another shape than documented ({error})") from None
    return Content(changes, is_full or objects >= MOST_OBJECTS, named, len(groups))


def _groups(answer: Answer) -> Iterator[_Group]:
    """The part of an answer that belongs to one entity each."""
    for part in _many(answer.changes):
        _refuse_fault(part, answer.tid)
        for group in _many(part.get("QueryResponse", _NOTHING)):
            _refuse_fault(group, answer.tid)
            yield group


def _many(content: msgspec.Raw) -> list[_Group]:
    """A list of groups; a single one may stand alone."""
    found = msgspec.json.decode(content, type=list[_Group] | _Group | None)
    return found if isinstance(found, list) else [found] if found is not None else []


def _refuse_fault(part: _Group, tid: str) -> None:
    for key in ("Fault", "fault"):
        content = msgspec.json.decode(part.get(key, b"null"), type=dict[str, Any] | None)
        if content:
            raise EntityError(str(from_object(200, content, tid)))


def _objects(key: str, content: msgspec.Raw) -> list[msgspec.Raw]:
    """The objects under a key. A single one may stand alone."""
    if key.lower() in ASIDES:
        return []
    match bytes(content).lstrip()[:1]:
        case b"[":
            return msgspec.json.decode(content, type=list[msgspec.Raw])
        case b"{":
            return [content]
        case _:
            return []


def _total(group: _Group) -> int:
    try:
        return msgspec.json.decode(group.get("totalCount", b"0"), type=int)
    except msgspec.DecodeError:
        return 0


def _entity_of(key: str, entities: Sequence[Entity], groups: Sequence[_Group]) -> Entity | None:
    """Whose objects stand under a key; None if nobody's that was asked for."""
    for entity in entities:
        if _is_key_of(key, entity):
            return entity
    if any(_is_key_of(key, entity) for entity in ENTITIES):
        return None
    # The key of a list is documented wrongly for one entity at least.
    if len(entities) == 1 and not any(
        _is_key_of(other, entities[0]) for group in groups for other in group
    ):
        return entities[0]
    raise EntityError(f"the answer to cdc holds {key!r}, which was not asked for")


def _is_key_of(key: str, entity: Entity) -> bool:
    return key.lower() in {entity.response_key.lower(), entity.name.lower()}


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
