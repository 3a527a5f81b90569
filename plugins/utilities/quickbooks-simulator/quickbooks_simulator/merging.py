"""Merges of names: some go, and what refers to them refers to another from then on."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, Final

from quickbooks_simulator.effects import decimal, number
from quickbooks_simulator.objects import load, restamp

if TYPE_CHECKING:
    from collections.abc import Collection

    from quickbooks_simulator.jsontext import Payload
    from quickbooks_simulator.objects import Stored, Write
    from quickbooks_simulator.tables import Table, Version

MERGEABLE: Final = ("Customer", "Vendor")
_SUMMED: Final = ("Balance", "BalanceWithJobs")


def merge(at: Write, losers: list[str], into: str) -> list[str]:
    """Merge names into another one, a random one if it is not told, and return the ids of all.

    The losers are deleted. Everything that refers to them, and the winner, is stamped like them,
    and keeps its SyncToken as after other linked effects. The winner comes last; it is one of the
    losers when nobody else is left.

    Raises:
        ValueError: The entity does not merge, or a name does not exist.
    """
    key = at.entity.key
    if key not in MERGEABLE:
        raise ValueError(f"Edits: {key} does not merge; {' and '.join(MERGEABLE)} do.")
    if into in losers:
        raise ValueError(f"Edits: {key} {into} cannot be merged into itself.")
    if not losers:
        return []
    into = into or _winner(at, losers)
    losers = [each for each in dict.fromkeys(losers) if each != into]
    winner, gone = _existing(at, into), [_existing(at, each) for each in losers]
    for each in gone:
        _take_over(winner.row, each.row)
    version = restamp(at.company, winner, at.stamp, token=False)
    at.company.put(winner.table, [(winner.slot, version)], at.visible_at)
    for each in gone:
        at.company.delete(each.table, each.slot, at.stamp, at.visible_at)
    for table in at.company.tables.values():
        moved = _repointed(at, table, losers, winner.row)
        if moved:
            at.company.put(table, moved, at.visible_at)
    return [*losers, into]


def _winner(at: Write, losers: list[str]) -> str:
    table = at.company.table(at.entity)
    spared = {table.slot(each) for each in losers}
    slots = [slot for slot in table.changeable() if slot not in spared]
    dice = random.Random(f"{at.company.spec.seed}/{at.entity.key}/{table.changes}")  # noqa: S311
    return table.id(dice.choice(slots)) if slots else losers[-1]


def _existing(at: Write, id: str) -> Stored:
    stored = load(at.company, at.entity.key, id)
    if stored is None:
        raise ValueError(f"Edits: there is no {at.entity.key} {id}.")
    return stored


def _take_over(winner: Payload, loser: Payload) -> None:
    """Add the balances of a loser; a winner that was its job stands for itself."""
    for name in _SUMMED:
        if name in winner:
            winner[name] = number(decimal(winner[name]) + decimal(loser.get(name)))
    if (winner.get("ParentRef") or {}).get("value") == loser["Id"]:
        del winner["ParentRef"]
        winner.pop("Level", None)
        winner |= {"Job": False, "FullyQualifiedName": winner["DisplayName"]}


def _repointed(
    at: Write, table: Table, losers: Collection[str], winner: Payload
) -> list[tuple[int, Version | None]]:
    """Return the rows of a table that referred to the losers, as they are now."""
    quoted = [b'"%s"' % each.encode() for each in losers]
    moved: list[tuple[int, Version | None]] = []
    for slot in range(table.size):
        version = table.latest(slot)
        if version is None or not any(each in version.text for each in quoted):
            continue
        stored = load(at.company, table.entity.key, table.id(slot))
        jobs = table.entity is at.entity
        references = _references(stored.row, at.entity.key, jobs=jobs) if stored else []
        found = [each for each in references if each.get("value") in losers]
        for reference in found:
            reference["value"] = winner["Id"]
            if "name" in reference:
                reference["name"] = winner["DisplayName"]
        if stored and found:
            moved.append((slot, restamp(at.company, stored, at.stamp, token=False)))
    return moved


def _references(value: Any, key: str, *, jobs: bool) -> list[Payload]:  # noqa: ANN401 - any part
    """Return all references to an entity inside a row; to a parent only among `jobs`."""
    if isinstance(value, list):
        return [found for each in value for found in _references(each, key, jobs=jobs)]
    if not isinstance(value, dict):
        return []
    found: list[Payload] = []
    for name, inner in value.items():
        if not isinstance(inner, dict):
            named = False
        elif name == "EntityRef":
            named = key in (inner.get("type"), value.get("Type"))
        else:
            named = name.endswith(f"{key}Ref") or (jobs and name == "ParentRef")
        found += [inner] if named else _references(inner, key, jobs=jobs)
    return found
