"""Text of QBO queries. Pure.

Grammar: https://developer.intuit.com/app/developer/qbo/docs/learn/explore-the-quickbooks-online-api/data-queries
Every value is quoted, dates too; instants are written in UTC with a ``Z``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

UPDATED = "MetaData.LastUpdatedTime"


def instant(moment: datetime) -> str:
    """Write an aware UTC datetime the way QBO reads it, in whole seconds."""
    # strftime would write the year 1 as "1".
    return moment.replace(tzinfo=None).isoformat(timespec="seconds") + "Z"


def quote(value: str) -> str:
    r"""Quote a text for a query; an apostrophe is escaped by a backslash."""
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


@dataclass(frozen=True, slots=True)
class Query:
    """A QBO query.

    Attributes:
        entity: Name of the entity.
        conditions: Conditions, joined by AND.
        order_by: Property to sort by, ascending; empty for QBO's own order.
    """

    entity: str
    conditions: tuple[str, ...] = ()
    order_by: str = ""

    def where(self, *conditions: str) -> Query:
        """Return this query with more conditions."""
        return replace(self, conditions=(*self.conditions, *conditions))

    def between(self, start: datetime, end: datetime | None) -> Query:
        """Return this query for LastUpdatedTime in ``[start, end)``."""
        query = self.where(f"{UPDATED} >= {quote(instant(start))}")
        return query if end is None else query.where(f"{UPDATED} < {quote(instant(end))}")

    def sorted_by(self, order_by: str) -> Query:
        """Return this query in the ascending order of a property."""
        return replace(self, order_by=order_by)

    def count(self) -> str:
        """Text that asks how many objects there are."""
        return f"SELECT COUNT(*) FROM {self.entity}{self._where}"

    def page(self, *, position: int, rows: int, columns: str = "*") -> str:
        """Text that asks for a page; the first position is 1."""
        order = f" ORDERBY {self.order_by} ASC" if self.order_by else ""
        return (
            f"SELECT {columns} FROM {self.entity}{self._where}{order}"
            f" STARTPOSITION {position} MAXRESULTS {rows}"
        )

    @property
    def _where(self) -> str:
        return f" WHERE {' AND '.join(self.conditions)}" if self.conditions else ""
