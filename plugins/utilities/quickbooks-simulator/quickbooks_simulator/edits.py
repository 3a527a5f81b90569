"""Edits that another user of the company makes, between any two requests of a client."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from quickbooks_simulator.clock import pacific, read_instant
from quickbooks_simulator.entities import BY_QUERY_NAME, ENTITIES
from quickbooks_simulator.jsontext import loads
from quickbooks_simulator.merging import merge
from quickbooks_simulator.objects import (
    Write,
    deactivate,
    load,
    restamp,
    unwrap,
    version_of,
    void,
)

if TYPE_CHECKING:
    from quickbooks_simulator.clock import Clock
    from quickbooks_simulator.company import Company
    from quickbooks_simulator.jsontext import Payload
    from quickbooks_simulator.rules import Edit
    from quickbooks_simulator.tables import Table, Version

_NAMES = ("DisplayName", "FullyQualifiedName", "Name", "PrintOnCheckName")


def apply_edit(company: Company, edit: Edit, clock: Clock, visible_at: float) -> list[str]:
    """Apply an edit and return the ids that it touched.

    Raises:
        ValueError: An entity, an id or an instant makes no sense.
    """
    entity = ENTITIES.get(edit.entity) or BY_QUERY_NAME.get(edit.entity.lower())
    if entity is None:
        raise ValueError(f"Edits: unknown entity {edit.entity!r}.")
    if edit.into and edit.op != "merge":
        raise ValueError("Edits: only merge has `into`.")
    stamp = int(read_instant(edit.at)) if edit.at else clock.stamp()
    table = company.tables[entity.key]
    if edit.op == "create":
        return _create(company, table, edit, stamp, visible_at)
    ids = _chosen(company, table, edit)
    if edit.op == "merge":
        return merge(Write(company, entity, stamp, visible_at), ids, edit.into)
    if edit.op == "delete":
        for each in ids:
            company.delete(table, _slot(table, each), stamp, visible_at)
    else:
        versions = [_changed(company, entity.key, each, edit, stamp) for each in ids]
        company.put(table, versions, visible_at)
    return ids


def _chosen(company: Company, table: Table, edit: Edit) -> list[str]:
    ids = [edit.id] if edit.id else list(edit.ids)
    if edit.random:
        slots = table.changeable()
        if edit.into:
            slots = [slot for slot in slots if slot != table.slot(edit.into)]
        dice = random.Random(f"{company.spec.seed}/{table.entity.key}/{table.changes}")  # noqa: S311
        ids += [table.id(slot) for slot in sorted(dice.sample(slots, min(edit.random, len(slots))))]
    return ids


def _slot(table: Table, id: str) -> int:
    slot = table.slot(id)
    if slot is None or table.latest(slot) is None:
        raise ValueError(f"Edits: there is no {table.entity.key} {id}.")
    return slot


def _changed(
    company: Company, key: str, id: str, edit: Edit, stamp: int
) -> tuple[int, Version | None]:
    if edit.op == "touch" and not edit.fields and key != "InventoryAdjustment":
        return _touched(company.tables[key], id, stamp)
    stored = load(company, key, id)
    if stored is None:
        raise ValueError(f"Edits: there is no {key} {id}.")
    inner = stored.inner
    match edit.op:
        case "void":
            void(inner)
        case "deactivate":
            deactivate(inner)
        case _:
            pass
    inner |= edit.fields
    return stored.slot, restamp(company, stored, stamp, token=edit.op != "touch")


def _touched(table: Table, id: str, stamp: int) -> tuple[int, Version | None]:
    """Replace only the stamp in the text, since bulk changes touch many rows."""
    slot = _slot(table, id)
    version = table.latest(slot)
    if version is None:
        return slot, None
    old, new = (b'"LastUpdatedTime":"%s"' % pacific(at).encode() for at in (version.updated, stamp))
    return slot, version._replace(text=version.text.replace(old, new, 1), updated=stamp)


def _create(company: Company, table: Table, edit: Edit, stamp: int, visible_at: float) -> list[str]:
    ids = [edit.id] if edit.id else list(edit.ids)
    key = table.entity.key
    ids += [company.next_id(key) for _ in range(edit.random or (0 if ids else 1))]
    pattern = table.latest(0)
    versions: list[tuple[int, Version | None]] = []
    for new in ids:
        if table.slot(new) is not None:
            raise ValueError(f"Edits: {key} {new} exists, or existed.")
        row = loads(pattern.text) if pattern else _blank(key)
        inner = unwrap(key, row)
        _renew(inner, new)
        inner |= edit.fields
        version = version_of(company, table, row, created=stamp, updated=stamp)
        versions.append((table.add(new), version))
    company.put(table, versions, visible_at)
    return ids


def _blank(key: str) -> Payload:
    """Return an object without anything of its own."""
    inner: Payload = {"domain": "QBO", "sparse": False}
    return {"Invoice": inner} if key == "RecurringTransaction" else inner


def _renew(inner: dict[str, object], id: str) -> None:
    """Make a copy of another object a new one."""
    inner |= {"Id": id, "SyncToken": "0"}
    for name in _NAMES:
        if name in inner:
            inner[name] = f"New {id}"
    if "DocNumber" in inner:
        inner["DocNumber"] = f"N{id}"
    if "LinkedTxn" in inner:
        inner["LinkedTxn"] = []
