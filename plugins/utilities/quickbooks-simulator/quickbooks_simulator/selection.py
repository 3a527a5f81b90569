"""Answering a statement from the tables of a company."""

from __future__ import annotations

import random
from itertools import groupby
from math import ceil, floor
from typing import TYPE_CHECKING, Any

from quickbooks_simulator.checks import check_statement, queried_entity
from quickbooks_simulator.clock import pacific, read_instant
from quickbooks_simulator.conditions import Columns, matcher, sort_value
from quickbooks_simulator.entities import TIME_PROPERTIES
from quickbooks_simulator.faults import (
    INACTIVE,
    AnswerError,
    gateway_timeout,
    invalid_query,
    parse_fault,
    system_failure,
)
from quickbooks_simulator.jsontext import encode, loads
from quickbooks_simulator.pages import Page, PageTrick, Selected
from quickbooks_simulator.statement import StatementError, parse
from quickbooks_simulator.tables import key_slot, key_stamp

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from quickbooks_simulator.clock import Clock
    from quickbooks_simulator.company import Company
    from quickbooks_simulator.pages import Tricks
    from quickbooks_simulator.settings import Settings
    from quickbooks_simulator.statement import Condition, Statement, Value

UPDATED = TIME_PROPERTIES[1]
_FOREVER = 1 << 33


class Selection:
    """One statement against one company."""

    def __init__(
        self,
        company: Company,
        statement: Statement,
        *,
        settings: Settings,
        clock: Clock,
    ) -> None:
        self.company, self.statement = company, statement
        self.settings, self.clock = settings, clock
        self.trick = PageTrick()
        self.entity = queried_entity(statement)
        self.table = company.table(self.entity)
        self.columns = Columns(self.entity)

    def answer(self) -> Selected:
        """Check the statement and answer it."""
        check_statement(self.company, self.entity, self.statement, self.settings)
        slots = self._matching()
        if self.statement.counts:
            total = len(slots) if isinstance(slots, list) else slots[1] - slots[0]
            return Selected(encode({"totalCount": total}), 0)
        page = self._page(slots)
        if not page.slots:
            return Selected(b"{}", 0)
        self._check_page(page)
        return self._respond(page)

    def _matching(self) -> list[int] | tuple[int, int]:
        """Return the matching slots in order, or a range of positions in the time index."""
        low, high, rest = self._window()
        table, sorts = self.table, self.statement.sorts
        first, last = table.position(low), table.position(high)
        named_active = any(
            self.columns.canonical(c.name) == "Active" for c in self.statement.conditions
        )
        hidden = table.inactive if self.entity.active and not named_active else set()
        every = self.columns.keeps_all(rest)
        by_time = self._sorts_by(UPDATED)
        if (
            every
            and not hidden
            and ((by_time and not sorts[0].descending) or self.statement.counts)
        ):
            return first, last
        tests = [] if every else [matcher(self.columns, table, c) for c in rest]
        whole = first == 0 and last == len(table.by_time) and not self.statement.counts
        if whole and not sorts:
            slots = self._default_order()
        elif whole and self._sorts_by("Id"):
            slots = table.in_order("oldest")[:: -1 if sorts[0].descending else 1]
        else:
            slots = self._candidates(rest) or [key_slot(key) for key in table.by_time[first:last]]
            slots = [s for s in slots if low <= table.times(s)[1] < high] if tests else slots
        presorted = whole and (not sorts or self._sorts_by("Id"))
        if presorted and not hidden and not tests:
            return slots
        slots = [slot for slot in slots if slot not in hidden and all(test(slot) for test in tests)]
        return self._sorted(slots, presorted=presorted)

    def _sorts_by(self, name: str) -> bool:
        """Tell whether the statement sorts by one property and nothing else."""
        sorts = self.statement.sorts
        return len(sorts) == 1 and self.columns.canonical(sorts[0].name) == name

    def _candidates(self, conditions: Sequence[Condition]) -> list[int] | None:
        """Return the slots that a condition on Id leaves, in the order of the time index."""
        for condition in conditions:
            if self.columns.canonical(condition.name) == "Id":
                found = {self.table.slot(str(value)) for value in condition.values}
                slots = [s for s in found if s is not None and self.table.is_living(s)]
                return sorted(slots, key=lambda slot: (self.table.times(slot)[1], -slot))
        return None

    def _window(self) -> tuple[int, int, list[Condition]]:
        """Split the conditions into a range of LastUpdatedTime and the rest."""
        low, high, rest = 0, _FOREVER, []
        for condition in self.statement.conditions:
            if self.columns.canonical(condition.name) != UPDATED or condition.operator in (
                "IN",
                "LIKE",
            ):
                rest.append(condition)
                continue
            instant = self.instant(condition.values[0])
            match condition.operator:
                case ">=":
                    low = max(low, ceil(instant))
                case ">":
                    low = max(low, floor(instant) + 1)
                case "<":
                    high = min(high, ceil(instant))
                case "<=":
                    high = min(high, floor(instant) + 1)
                case _:
                    low, high = max(low, ceil(instant)), min(high, floor(instant) + 1)
        return low, max(low, high), rest

    def instant(self, value: Value) -> float:
        """Read a date or date-time of the statement."""
        try:
            if value == "CURRENT_DATE":
                return read_instant(pacific(self.clock.stamp())[:10])
            return read_instant(str(value))
        except ValueError:
            raise invalid_query(f"Invalid date format: {value}") from None

    def _default_order(self) -> list[int]:
        table = self.table
        match self.entity.order:
            case "name":
                return table.in_order("name", self._name_key)
            case "oldest":
                return table.in_order("oldest")
            case _:
                return table.in_order("newest")[::-1]

    def _name_key(self, slot: int) -> tuple[int, str, int]:
        version = self.table.shown(slot)
        row = loads(version.text) if version else {}
        fixed = {"TAX": -2, "NON": -1}.get(str(row.get("Id")), 0)
        for name in ("FullyQualifiedName", "DisplayName", "Name"):
            if name in row:
                return fixed, str(row[name]).casefold(), -slot
        return fixed, "", -slot

    def _sorted(self, slots: list[int], *, presorted: bool) -> list[int]:
        if presorted or self.statement.counts:
            return slots
        if not self.statement.sorts and self.entity.order != "name":
            return sorted(slots, reverse=self.entity.order == "newest")
        if not self.statement.sorts:
            rank = {slot: place for place, slot in enumerate(self._default_order())}
            return sorted(slots, key=rank.__getitem__)
        for sort in reversed(self.statement.sorts):
            slots.sort(key=self._sort_key(sort.name), reverse=sort.descending)
        return slots

    def _sort_key(self, name: str) -> Callable[[int], Any]:
        table = self.table
        match self.columns.canonical(name):
            case "MetaData.LastUpdatedTime":
                return lambda slot: table.times(slot)[1]
            case "MetaData.CreateTime":
                return lambda slot: table.times(slot)[0]
            case "Id":
                return lambda slot: slot
            case canonical:
                return lambda slot: sort_value(table, slot, canonical)

    def _page(self, matching: list[int] | tuple[int, int]) -> Page:
        skip, take = self.statement.start - 1, self.statement.limit + self.trick.extra
        if isinstance(matching, list):
            slots, total = matching[skip : skip + take], len(matching)
            if self.settings.shuffle_ties and self._sorts_by(UPDATED):
                slots = self._shuffled(matching)[skip : skip + take]
        else:
            first, last = matching
            total = last - first
            keys = self.table.by_time[first + skip : min(last, first + skip + take)]
            slots = [key_slot(key) for key in keys]
            if self.settings.shuffle_ties and slots:
                slots = self._shuffled_range(first, last, first + skip, len(slots))
        if self.trick.keep is not None:
            slots = slots[: self.trick.keep]
        if self.trick.duplicate and slots:
            slots = [*slots, slots[-1]]
        return Page(slots, total)

    def _shuffled(self, slots: list[int]) -> list[int]:
        shuffled = []
        for _, tied in groupby(slots, key=lambda slot: self.table.times(slot)[1]):
            group = list(tied)
            random.shuffle(group)
            shuffled += group
        return shuffled

    def _shuffled_range(self, first: int, last: int, start: int, length: int) -> list[int]:
        """Shuffle the seconds that a page touches and cut the page out of them."""
        keys = self.table.by_time
        begin = max(first, self.table.position(key_stamp(keys[start])))
        end = min(last, self.table.position(key_stamp(keys[start + length - 1]) + 1))
        slots = self._shuffled([key_slot(key) for key in keys[begin:end]])
        return slots[start - begin : start - begin + length]

    def _check_page(self, page: Page) -> None:
        oversize = self.settings.oversize_rows
        if oversize is not None and len(page.slots) > oversize:
            raise AnswerError(gateway_timeout(self.clock))
        poison = {
            bad.id
            for bad in self.settings.poison
            if bad.entity == self.entity.key and bad.realm in ("", self.company.realm_id)
        }
        if poison and any(self.table.id(slot) in poison for slot in page.slots):
            raise system_failure(INACTIVE, status=400)

    def _respond(self, page: Page) -> Selected:
        key, rows = self.entity.key, len(page.slots)
        if self.statement.columns:
            texts = [
                self.columns.project(self.table, s, self.statement.columns) for s in page.slots
            ]
        else:
            texts = self.table.texts(page.slots)
        if key == "CompanyInfo":
            tail = b'],"maxResults":%d}' % rows
        else:
            tail = b'],"startPosition":%d,"maxResults":%d' % (self.statement.start, rows)
            if self.entity.total_count:
                tail += b',"totalCount":%d' % page.total
            tail += b"}"
        body = b'{"%s":[' % key.encode() + b",".join(texts) + tail
        return Selected(body, rows)


def select(
    company: Company,
    text: str,
    *,
    settings: Settings,
    clock: Clock,
    tricks: Tricks,
) -> Selected:
    """Answer a statement; `tricks` bends the pages of an entity, or of all under "".

    Raises:
        Fault: The statement cannot be answered.
    """
    try:
        statement = parse(text)
    except StatementError as error:
        raise parse_fault(str(error)) from None
    selection = Selection(company, statement, settings=settings, clock=clock)
    selection.trick = tricks.get(selection.entity.key) or tricks.get("") or PageTrick()
    return selection.answer()
