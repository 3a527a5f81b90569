"""Rows per month and entity, laid out in columns of the same months for all entities."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tap_quickbooks_raw.evidence.document import EntityResult, Verification

MOST_MONTHS = 180
FEWEST_MONTHS = 12
EARLIER, LATER, UNSTAMPED = "earlier", "later", "no stamp"
SPECIAL = {
    EARLIER: "The first column is all that was changed before.",
    LATER: "A last column is all that has a stamp in the future.",
    UNSTAMPED: "The last column is all that has no stamp.",
}
# From so many rows on a cell has the next shade: the first ones that reach far enough are taken.
LEVELS = (
    (1, 2, 4, 8, 16),
    (1, 3, 10, 30, 100),
    (1, 10, 100, 1_000, 10_000),
    (1, 30, 1_000, 30_000, 1_000_000),
)
_MONTH = re.compile(r"(\d{4})-(\d\d)(?:-\d\d)?")
_NAMES = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class Match(Enum):
    """How the two sides of a month compare."""

    EQUAL = "as many rows on both sides"
    UNCOUNTED = "rows in raw; not counted by month in QBO"
    MISSING = "fewer rows in raw than in QBO"
    EXTRA = "more rows in raw than in QBO"
    EXPLAINED = "a difference that is explained"


@dataclass(slots=True)
class Cell:
    """An entity in a column.

    Attributes:
        raw: Living rows in `raw`.
        qbo: Objects in QBO, of what was counted there.
        uncounted: Rows in `raw` of months that were not counted in QBO.
        short: Objects in QBO beyond the rows in `raw`, month by month.
        over: The reverse.
    """

    raw: int = 0
    qbo: int = 0
    uncounted: int = 0
    short: int = 0
    over: int = 0

    def add(self, qbo: int | None, raw: int) -> None:
        """Add a month; one that was not counted in QBO counts for nothing there."""
        self.raw += raw
        if qbo is None:
            self.uncounted += raw
        else:
            self.qbo += qbo
            self.short += max(qbo - raw, 0)
            self.over += max(raw - qbo, 0)

    def match(self, *, agrees: bool) -> Match:
        """How its sides compare, in an entity that agrees or does not."""
        if self.short or self.over:
            gap = Match.MISSING if self.short else Match.EXTRA
            return Match.EXPLAINED if agrees else gap
        return Match.UNCOUNTED if self.uncounted else Match.EQUAL


@dataclass(slots=True)
class Row:
    """The months of an entity.

    Attributes:
        result: What was found of it.
        cells: Its cells by their column; there is none where there are no rows.
    """

    result: EntityResult
    cells: dict[int, Cell] = field(default_factory=dict)

    def matches(self) -> dict[int, Match]:
        """How its columns compare."""
        return {
            column: cell.match(agrees=self.result.agrees) for column, cell in self.cells.items()
        }

    @property
    def gaps(self) -> dict[int, Cell]:
        """Its cells with a difference."""
        return {column: cell for column, cell in self.cells.items() if cell.short or cell.over}


@dataclass(frozen=True, slots=True)
class Grid:
    """All entities that have rows, those that do not agree first.

    Attributes:
        columns: The name of each column, such as `Mar 2026`.
        rows: The entities.
        empty: Names of the entities of which there is nothing to draw.
    """

    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    empty: tuple[str, ...]

    @property
    def totals(self) -> list[Cell]:
        """All entities together, by column."""
        sums = [Cell() for _ in self.columns]
        for row in self.rows:
            for column, cell in row.cells.items():
                total = sums[column]
                total.raw += cell.raw
                if not row.result.agrees:
                    total.short += cell.short
                    total.over += cell.over
        return sums

    @property
    def levels(self) -> tuple[int, ...]:
        """The numbers of rows from which on a cell has the next shade."""
        most = max((cell.raw for row in self.rows for cell in row.cells.values()), default=0)
        return next((levels for levels in LEVELS if most <= levels[-1] * levels[1]), LEVELS[-1])

    @property
    def years(self) -> list[tuple[int, str]]:
        """The columns in which a year begins."""
        return [
            (column, name[4:])
            for column, name in enumerate(self.columns)
            if name.startswith(_NAMES[0])
        ]


def grid(verification: Verification) -> Grid:
    """Lay out the months of a verification.

    Columns end with the month of the verification; what lies before 15 years or after the end
    has a column of its own, as have rows without a stamp.
    """
    rows = {result.stream: Row(result) for result in verification.entities}
    known = [count for count in verification.months if count.stream in rows]
    counts = [count for count in known if count.raw_rows or count.qbo_rows]
    last = 12 * verification.finished_at.year + verification.finished_at.month - 1
    numbers = [_number(count.month) for count in counts]
    inside = [number for number in numbers if number is not None and number <= last]
    first = min([last - FEWEST_MONTHS + 1, *inside])
    start = max(first, last - MOST_MONTHS + 1)
    names = [_name(number) for number in range(start, last + 1)]
    if first < start:
        names.insert(0, EARLIER)
    if any(number is not None and number > last for number in numbers):
        names.append(LATER)
    if None in numbers:
        names.append(UNSTAMPED)
    place = {name: column for column, name in enumerate(names)}
    for count, number in zip(counts, numbers, strict=True):
        column = place[_column(number, start, last)]
        cell = rows[count.stream].cells.setdefault(column, Cell())
        cell.add(count.qbo_rows, count.raw_rows)
    drawn = [row for row in rows.values() if row.cells]
    return Grid(
        columns=tuple(names),
        rows=tuple(sorted(drawn, key=lambda row: row.result.agrees)),
        empty=tuple(row.result.entity for row in rows.values() if not row.cells),
    )


def _column(number: int | None, start: int, last: int) -> str:
    if number is None:
        return UNSTAMPED
    if number < start:
        return EARLIER
    return LATER if number > last else _name(number)


def _number(month: str) -> int | None:
    """Months since the year 0, or None where it is no month."""
    match = _MONTH.fullmatch(month)
    if match is None or not 1 <= int(match[2]) <= len(_NAMES):
        return None
    return 12 * int(match[1]) + int(match[2]) - 1


def _name(number: int) -> str:
    year, month = divmod(number, 12)
    return f"{_NAMES[month]} {year:04}"
