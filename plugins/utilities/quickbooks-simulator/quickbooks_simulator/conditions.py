"""Properties of entities in statements: which may be used, and what a row has for them."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Literal

from quickbooks_simulator.clock import pacific, read_instant
from quickbooks_simulator.entities import TIME_PROPERTIES
from quickbooks_simulator.faults import invalid_query
from quickbooks_simulator.jsontext import encode, loads
from quickbooks_simulator.properties import UNQUERYABLE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from quickbooks_simulator.entities import Entity
    from quickbooks_simulator.statement import Condition
    from quickbooks_simulator.tables import Table

_ORDER_TESTS: dict[str, Callable[[Any, Any], bool]] = {
    "<": lambda have, want: bool(have < want),
    ">": lambda have, want: bool(have > want),
    "<=": lambda have, want: bool(have <= want),
    ">=": lambda have, want: bool(have >= want),
    "=": lambda have, want: bool(have == want),
    "IN": lambda have, want: bool(have == want),
}


class Columns:
    """The properties of one entity, whatever case a statement spells them in."""

    def __init__(self, entity: Entity) -> None:
        self.entity = entity
        flagged = {flag.partition("/")[0] for flag in entity.flags.split()}
        self._known = {name.lower(): name for name in UNQUERYABLE}
        self._known |= {name.lower(): name for name in flagged | {"Id", *TIME_PROPERTIES}}

    def canonical(self, name: str) -> str:
        """Return the documented spelling of a property, or the name itself."""
        return self._known.get(name.lower(), name)

    def usable(self, name: str, use: Literal["f", "s"]) -> None:
        """Refuse a property that may not be filtered (`f`) or sorted (`s`).

        Raises:
            Fault: 4001.
        """
        canonical = self.canonical(name)
        if self.entity.permits(canonical, use):
            return
        top = canonical.partition(".")[0]
        if top.lower() in self._known:
            raise invalid_query(f"property '{name}' is not queryable")
        raise invalid_query(f"Property {name} not found for Entity {self.entity.query_name}")

    def selectable(self, name: str) -> None:
        """Refuse a column that is unknown or nested.

        Raises:
            Fault: 4001.
        """
        canonical = self.canonical(name)
        if canonical.lower() not in self._known:
            if canonical.partition(".")[0].lower() in self._known:
                raise invalid_query(f"property '{name}' is not queryable")
            raise invalid_query(f"Property {name} not found for Entity {self.entity.query_name}")

    def keeps_all(self, conditions: Sequence[Condition]) -> bool:
        """Tell whether the conditions say no more than `Active IN (true, false)`."""
        return all(
            self.canonical(c.name) == "Active"
            and {str(v).lower() for v in c.values} == {"true", "false"}
            for c in conditions
        )

    def project(self, table: Table, slot: int, names: Sequence[str]) -> bytes:
        """Return a row that has only the named columns."""
        wanted = [self.canonical(name) for name in names]
        part: dict[str, Any] = {"sparse": True, "Id": table.id(slot)}
        created, updated = table.times(slot)
        times = {"MetaData.CreateTime": created, "MetaData.LastUpdatedTime": updated}
        if stamps := {n.partition(".")[2]: pacific(times[n]) for n in wanted if n in times}:
            part["MetaData"] = stamps
        others = [name for name in wanted if name != "Id" and name not in times]
        if others:
            row = row_of(table, slot)
            part |= {name: row[name] for name in others if name in row}
        return encode(part)


def row_of(table: Table, slot: int) -> dict[str, Any]:
    """Return a shown row, decoded; a template's row is what it wraps."""
    version = table.shown(slot)
    row: dict[str, Any] = loads(version.text) if version else {}
    if table.entity.key == "RecurringTransaction":
        kind, inner = next(iter(row.items()))
        return {**inner, "Type": kind}
    return row


def value_of(row: dict[str, Any], name: str) -> list[Any]:
    """Return what a row has for a property: references by value, lists by element."""
    found: list[Any] = [row]
    for part in name.split("."):
        following = []
        for each in found:
            inner = each.get(part, each.get(part.lower())) if isinstance(each, dict) else None
            following += inner if isinstance(inner, list) else [] if inner is None else [inner]
        found = following
    return [_plain(each) for each in found]


def _plain(value: object) -> object:
    match value:
        case {"value": inner}:
            return inner
        case {"Address": inner}:
            return inner
        case _:
            return value


def sort_value(table: Table, slot: int, name: str) -> tuple[int, Any]:
    """Return a sort key; rows without the property come first."""
    values = value_of(row_of(table, slot), name)
    if not values or isinstance(values[0], dict):
        return 0, 0
    value = values[0]
    return (1, value.casefold()) if isinstance(value, str) else (1, value)


def matcher(columns: Columns, table: Table, condition: Condition) -> Callable[[int], bool]:
    """Return a test of slots for a condition."""
    name = columns.canonical(condition.name)
    if name in TIME_PROPERTIES:
        return _time_test(table, condition, TIME_PROPERTIES.index(name))
    if name == "Id":
        if condition.operator not in ("=", "IN"):
            raise invalid_query(f"operator {condition.operator} is not supported for property Id")
        wanted = {str(value) for value in condition.values}
        return lambda slot: table.id(slot) in wanted
    if name == "Active":
        active = {str(value).lower() == "true" for value in condition.values}
        return lambda slot: (slot not in table.inactive) in active
    if condition.operator == "LIKE":
        parts = (re.escape(part) for part in str(condition.values[0]).split("%"))
        pattern = re.compile(".*".join(parts), re.IGNORECASE | re.DOTALL)
        return lambda slot: any(
            pattern.fullmatch(str(have)) is not None for have in value_of(row_of(table, slot), name)
        )
    test = _ORDER_TESTS[condition.operator]
    values = condition.values
    return lambda slot: _compare(value_of(row_of(table, slot), name), values, test)


def _time_test(table: Table, condition: Condition, which: int) -> Callable[[int], bool]:
    test = _ORDER_TESTS.get(condition.operator)
    if test is None:
        raise invalid_query(f"operator {condition.operator} is not supported for dates")
    try:
        instants = [read_instant(str(value)) for value in condition.values]
    except ValueError:
        raise invalid_query(f"Invalid date format: {condition.values[0]}") from None
    return lambda slot: any(test(table.times(slot)[which], instant) for instant in instants)


def _compare(
    have: list[Any], wanted: Sequence[str | bool], test: Callable[[Any, Any], bool]
) -> bool:
    if not have:
        return " " in wanted
    for want in wanted:
        for each in have:
            try:
                match each:
                    case bool():
                        met = test(each, str(want).lower() == "true")
                    case int() | Decimal():
                        met = test(Decimal(each), Decimal(str(want)))
                    case _:
                        met = test(str(each).casefold(), str(want).casefold())
            except InvalidOperation:
                met = False
            if met:
                return True
    return False
