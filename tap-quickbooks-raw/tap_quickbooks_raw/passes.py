"""Reading by offsets, again and again until a pass is proven complete.

A pass is sorted by Id, which no two objects share and which never changes, so that only an
object that leaves can shift others out of sight. If those that a pass has found are all still
there in the next one, then none left meanwhile, and the pass has missed none.
Where QBO refuses that order, two passes have to find the same ids.

Of a set that nothing can enter, as many ids as were counted before are the ones counted, in
whatever order they came; then one pass is enough.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tap_quickbooks_raw.exceptions import EntityError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from tap_quickbooks_raw.pages import Page, Row, Source
    from tap_quickbooks_raw.query import Query

# What is still not proven after so many passes changes faster than it can be read.
PASSES = 20


class Passes:
    """Reads a set of objects by offsets until a pass is proven complete.

    Args:
        source: Fetches the pages.
        query: What is asked for.
        size: Rows per page.
        take: Picks those rows of a page that are to be emitted.
        closed: Whether nothing can enter the set.
    """

    def __init__(
        self,
        source: Source,
        query: Query,
        *,
        size: int,
        take: Callable[[list[Row]], list[Row]],
        closed: bool,
    ) -> None:
        self._source = source
        self._query = query
        self._size = size
        self._take = take
        self._closed = closed
        self._order = "Id"
        self._found: set[str] = set()  # Since the COUNT that holds.
        self._ids: set[str] = set()  # In this pass.

    def pages(self) -> Iterator[Page]:
        """Yield pages with what `take` picked.

        Raises:
            EntityError: QBO failed for good, or the set does not come to rest.
        """
        count = self._count()
        previous: set[str] | None = None
        for _ in range(PASSES):
            self._ids = set()
            if (yield from self._one_pass(count, previous)):
                return
            # Without an order rows may hide twice, so a COUNT that says so is believed.
            if self._ids == previous and (self._order or count is None):
                return
            previous = self._ids
            before, count = count, self._count()
            if count != before:
                self._found = set()
        raise restless()

    def _count(self) -> int | None:
        return self._source.count(self._query) if self._closed else None

    def _one_pass(
        self, count: int | None, previous: set[str] | None
    ) -> Generator[Page, None, bool]:
        """Read from the first to the last; return whether all is proven to be found."""
        position = 1
        while (page := self._fetch(position)).rows:
            ids = {row.id for row in page.rows}
            known = len(self._ids)
            self._ids |= ids
            self._found |= ids
            rows = self._take(page.rows)
            if rows:
                yield page._replace(rows=rows)
            if len(self._found) == count and len(page.rows) < self._size:
                return True
            if self._order and previous is not None and previous <= self._ids:
                return True
            # A row sent twice is one; a page of known rows is stepped over.
            position = len(self._ids) + 1 if len(self._ids) > known else position + len(ids)
            if position > 3 * len(self._ids) + 10:
                raise EntityError("QBO sends the same objects again and again for every position")
        return len(self._found) == count

    def _fetch(self, position: int) -> Page:
        query = self._query.sorted_by(self._order) if self._order else self._query
        try:
            return self._source.fetch(query, position=position, size=self._size)
        except RefusedError:
            if not self._order or position > 1:
                raise
            self._order = ""
            return self._fetch(position)


def restless() -> EntityError:
    """The error for objects that change faster than they can be read."""
    return EntityError(
        f"the objects change faster than they can be read ({PASSES} passes); "
        "run again at a quieter time"
    )
