"""Reading by offsets, again and again until a pass is proven complete.

A pass is sorted by Id, which no two objects share and which never changes, so that only an
object that leaves can shift others out of sight. If those that a pass has found are all still
there in the next one, then none left meanwhile, and the pass has missed none.
Where QBO refuses that order, two passes have to find the same ids.

Of a set that nothing can enter, as many ids as were counted before are the ones counted, in
whatever order they came; then one pass is enough.

A position whose object cannot be read is stepped over. Its object has no id to be known by,
so that a pass with such positions is proven by nothing less than another one with the same
ids and as many of these positions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tap_quickbooks_raw.entities import Reading
from tap_quickbooks_raw.exceptions import EntityError, RefusedError, UnreadableError
from tap_quickbooks_raw.fitting import Fitting

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from datetime import datetime

    from tap_quickbooks_raw.pages import Page, Row, Source
    from tap_quickbooks_raw.query import Query
    from tap_quickbooks_raw.windows import Window

# What is still not proven after so many passes changes faster than it can be read.
PASSES = 20
# So many objects that cannot be read are no accident.
MOST_LOST = 100


class Passes:
    """Reads a set of objects by offsets until a pass is proven complete.

    Args:
        source: Fetches the pages.
        query: What is asked for.
        take: Picks those rows of a page that are to be emitted.
        closed: Whether nothing can enter the set.
        doubtful: Whether an object that cannot be read is known to be in it.

    Attributes:
        lost: For each object of the last pass that cannot be read, why.
    """

    def __init__(
        self,
        source: Source,
        query: Query,
        *,
        take: Callable[[list[Row]], list[Row]],
        closed: bool,
        doubtful: bool = False,
    ) -> None:
        self._source = source
        self._query = query
        self._take = take
        self._closed = closed
        self._pages = Fitting(source, doubtful=doubtful)
        self._order = "Id"
        self._found: set[str] = set()  # Since the COUNT that holds.
        self._ids: set[str] = set()  # In this pass.
        self.lost: list[UnreadableError] = []

    def pages(self) -> Iterator[Page]:
        """Yield pages with what `take` picked.

        Raises:
            EntityError: QBO failed for good, or the set does not come to rest.
        """
        count = self._count()
        # What is counted fits into a page that is not full.
        self._pages.most = None if count is None else count + 1
        previous: set[str] | None = None
        lost = 0
        for _ in range(PASSES):
            self._ids, self.lost = set(), []
            proven = yield from self._one_pass(count, None if lost else previous)
            if not proven and self._ids == previous and len(self.lost) == lost:
                # Without an order rows may hide twice, so a COUNT that says so is believed.
                proven = bool(self._order or count is None or lost)
            if proven:
                self._report()
                return
            previous, lost = self._ids, len(self.lost)
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
        while (page := self._fetch(position)) is None or page.rows:
            if page is None:
                position += 1
                continue
            ids = {row.id for row in page.rows}
            known = len(self._ids)
            self._ids |= ids
            self._found |= ids
            rows = self._take(page.rows)
            if rows:
                yield page._replace(rows=rows)
            if not self.lost:
                if len(self._found) == count and len(page.rows) < page.size:
                    return True
                if self._order and previous is not None and previous <= self._ids:
                    return True
            # A row sent twice is one; a page of known rows is stepped over.
            read = len(self._ids) + len(self.lost)
            position = read + 1 if len(self._ids) > known else position + len(ids)
            if position > 3 * read + 10:
                raise EntityError("QBO sends the same objects again and again for every position")
        return len(self._found) == count and not self.lost

    def _fetch(self, position: int) -> Page | None:
        """Fetch a page; None if the object at this position cannot be read."""
        query = self._query.sorted_by(self._order) if self._order else self._query
        try:
            return self._pages.fetch(query, position=position)
        except UnreadableError as error:
            self.lost.append(error)
            if len(self.lost) + len(self._source.lost) > MOST_LOST:
                raise EntityError(
                    f"more than {MOST_LOST} objects cannot be read, last: {error}"
                ) from None
            return None
        except RefusedError:
            if not self._order or position > 1:
                raise
            self._order = ""
            return self._fetch(position)

    def _report(self) -> None:
        if self.lost:
            self._source.report(self._query, self.lost, known=self._ids)


def read_whole(source: Source, query: Query, *, keep: Window) -> Iterator[Page]:
    """Read an entity that cannot be read by LastUpdatedTime: all of it, proven complete.

    Args:
        source: Fetches the pages.
        query: What is asked for.
        keep: Rows with an exact stamp outside are left out.
    """
    emitted: dict[str, datetime | None] = {}

    def take(rows: list[Row]) -> list[Row]:
        fresh = []
        for row in rows:
            moment = row.stamp.moment if row.stamp else None
            if row.stamp and row.stamp.exact and not keep.start <= row.stamp.moment < keep.end:
                continue
            if row.id not in emitted or emitted[row.id] != moment:
                emitted[row.id] = moment
                fresh.append(row)
        return fresh

    if source.entity.reading is Reading.SINGLE:
        page = source.fetch(query, position=1, size=source.sizes.limit)
        yield page._replace(rows=take(page.rows))
        return
    passes = Passes(source, query, take=take, closed=False)
    for number, page in enumerate(passes.pages(), start=1):
        yield page._replace(number=number)


def restless() -> EntityError:
    """The error for objects that change faster than they can be read."""
    return EntityError(
        f"the objects change faster than they can be read ({PASSES} passes); "
        "run again at a quieter time"
    )
