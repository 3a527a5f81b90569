"""Reading a window exactly while people work, and reading ahead.

A window ``[start, end)`` ends in the past (``settle_seconds`` behind the server's clock), so
nothing can enter it any more: an edit gives an object a stamp after its end. The objects of a
window only ever become fewer. From this everything follows:

* Progress is by key, never by offset: the next page asks again for ``>= the last stamp`` from
  position 1. An object that leaves (edited, deleted) shifts positions, but no page depends on
  the positions of another. An object that leaves unread was edited, and is read in a later
  window in its newer version, or was deleted.
* Tied objects may come in any order, and in another one at the next request. Asking for
  ``>=`` returns every tie again; those already emitted are left out by id.
* A page filled by one second alone is read by offsets inside that second, sorted by Id, until
  a pass is proven: COUNT before = COUNT after = ids found means that none left meanwhile, and
  so none was shifted out of sight. Where QBO does not count, two passes have to find the same.
* The end is not the first short page, since QBO has sent short pages that were not the last.
  It is one of: as many distinct objects as COUNT promised before the first page (they are a
  subset of what was counted, so equal numbers mean equal sets); an empty page for ``>= the last
  stamp``; or an empty page behind the known ties followed by a page that shows all of these
  still there (so at the moment of the empty page there were no others).
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from tap_quickbooks_raw.entities import Reading
from tap_quickbooks_raw.exceptions import EntityError, RefusedError
from tap_quickbooks_raw.query import UPDATED

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from datetime import datetime

    from tap_quickbooks_raw.pages import Page, Row, Source
    from tap_quickbooks_raw.query import Query
    from tap_quickbooks_raw.windows import Window

SECOND = timedelta(seconds=1)
# What is still not proven after so many passes changes faster than it can be read.
PASSES = 20


class UnsortedError(RefusedError):
    """The pages do not follow LastUpdatedTime; the entity has to be read whole."""


class Fetched(NamedTuple):
    """An answer and what was new in it.

    Attributes:
        asked: The page as received.
        fresh: The page with only those rows that were not emitted before.
    """

    asked: Page
    fresh: Page


class WindowReader:
    """Reads the objects of one window, each once, in ascending LastUpdatedTime.

    Args:
        source: Fetches the pages.
        query: What is asked for, without the window.
        window: The range of LastUpdatedTime; it must have settled.
        size: Rows per page.
        expected: COUNT of the window, taken before the first page; None if not known.
    """

    def __init__(
        self, source: Source, query: Query, *, window: Window, size: int, expected: int | None
    ) -> None:
        self._source = source
        self._query = query
        self._window = window
        self._size = size
        self._expected = expected
        self._low = window.start
        self._seen: set[str] = set()  # Ids emitted with a stamp in the second of `_low`.
        self._found = 0
        self._number = 0

    def pages(self) -> Iterator[Page]:
        """Yield the pages, without rows that were yielded before.

        Raises:
            UnsortedError: The stamps are not exact or the answers not in their order.
            EntityError: QBO failed for good, or the window does not come to rest.
        """
        if self._expected == 0:
            return
        ended = False
        while not ended and not self._complete() and self._low < self._window.end:
            asked, fresh = self._fetch()
            if fresh.rows:
                yield fresh
            if not asked.rows:
                ended = True
            elif len(asked.rows) < self._size:
                ended = self._complete() or (yield from self._confirm_end())
            elif self._is_crowded(asked):
                yield from self._read_second()
            elif not fresh.rows:
                raise UnsortedError("the answer does not keep to the window asked for")
        self._check_count()

    def _complete(self) -> bool:
        if self._source.entity.reading is Reading.SINGLE and self._found:
            return True
        return self._found == self._expected

    def _check_count(self) -> None:
        """Refuse to believe in an end that comes before what COUNT had promised."""
        if self._expected is None or self._found >= self._expected:
            return
        left = self._source.count(self._query.between(*self._window))
        if left is not None and left > self._found:
            raise EntityError(f"QBO counts {left} objects but sends {self._found}; run again")

    def _fetch(self, *, position: int = 1) -> Fetched:
        query = self._query.between(self._low, self._window.end).sorted_by(UPDATED)
        page = self._source.fetch(query, position=position, size=self._size)
        return Fetched(page, self._page_of(page, self._take(page.rows)))

    def _page_of(self, page: Page, rows: list[Row]) -> Page:
        self._number += 1
        return page._replace(rows=rows, number=self._number)

    def _take(self, rows: list[Row]) -> list[Row]:
        """Pick the rows not seen before and move on to the last stamp."""
        fresh: list[Row] = []
        asked = self._low
        for row in rows:
            if row.stamp is None or not row.stamp.exact:
                raise UnsortedError("LastUpdatedTime is no exact time")
            second = row.stamp.moment.replace(microsecond=0)
            if second < self._low:
                # A row sent twice does no harm; one out of order would be lost.
                if second < asked or row in fresh:
                    continue
                raise UnsortedError("the answer is not in the order of LastUpdatedTime")
            if second >= self._window.end:
                break
            if second > self._low:
                self._low = second
                self._seen = set()
            if row.id not in self._seen:
                self._seen.add(row.id)
                fresh.append(row)
        self._found += len(fresh)
        return fresh

    def _is_crowded(self, page: Page) -> bool:
        """Whether one second fills the page, so that asking by key would not get on."""
        stamp = page.rows[0].stamp
        return stamp is not None and stamp.moment.replace(microsecond=0) == self._low

    def _confirm_end(self) -> Generator[Page, None, bool]:
        """Prove that nothing follows; return whether it was proven."""
        known = set(self._seen)
        for _ in range(PASSES):
            behind, fresh = self._fetch(position=len(known) + 1)
            if fresh.rows:
                yield fresh
                if self._is_crowded(behind):
                    yield from self._read_second()
                return False
            if behind.rows:
                known |= {row.id for row in behind.rows}
                continue
            again, fresh = self._fetch()
            if fresh.rows:
                yield fresh
                return False
            present = {row.id for row in again.rows}
            if known <= present:
                return True
            known = present
        raise _restless()

    def _read_second(self) -> Iterator[Page]:
        """Read all objects of one second by offsets, until a pass is proven."""
        second = self._query.between(self._low, self._low + SECOND)
        passes = Passes(self._source, second, size=self._size, take=self._take, closed=True)
        for page in passes.pages():
            yield self._page_of(page, page.rows)
        self._low += SECOND
        self._seen = set()


class Passes:
    """Reads a set of objects by offsets, again and again until a pass is proven complete.

    A pass is sorted by Id, which no two objects share, so that only an object that leaves can
    shift others out of sight, and one that left is missing in the next pass: two passes that
    find the same ids have missed none. A pass of one answer that holds as many as were counted
    before is enough. So is, in a set that nothing can enter, that COUNT before, COUNT after and
    the ids found agree.

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
        self._ids: set[str] = set()
        self._answers = 0

    def pages(self) -> Iterator[Page]:
        """Yield pages with what `take` picked."""
        count = self._source.count(self._query)
        previous: set[str] | None = None
        for _ in range(PASSES):
            yield from self._one_pass(count)
            if self._answers == 1 and count == len(self._ids):
                return
            before, count = count, self._source.count(self._query) if self._closed else None
            if count is not None and before == count:
                if count == len(self._ids):
                    return
                continue  # None has left, but ties came in another order: find the others.
            if previous == self._ids:
                return
            previous, self._ids = self._ids, set()
        raise _restless()

    def _one_pass(self, count: int | None) -> Iterator[Page]:
        self._answers = 0
        position = 1
        while True:
            page = self._fetch(position)
            if not page.rows:
                return
            self._answers += 1
            position += len(page.rows)
            self._ids |= {row.id for row in page.rows}
            rows = self._take(page.rows)
            if rows:
                yield page._replace(rows=rows)
            if len(self._ids) == count:
                return

    def _fetch(self, position: int) -> Page:
        query = self._query.sorted_by(self._order) if self._order else self._query
        try:
            return self._source.fetch(query, position=position, size=self._size)
        except RefusedError:
            if not self._order or position > 1:
                raise
            self._order = ""
            return self._fetch(position)


def read_whole(source: Source, query: Query, *, size: int, keep: Window) -> Iterator[Page]:
    """Read an entity that cannot be read by LastUpdatedTime: all of it, proven complete.

    Args:
        source: Fetches the pages.
        query: What is asked for.
        size: Rows per page.
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
        page = source.fetch(query, position=1, size=size)
        yield page._replace(rows=take(page.rows))
        return
    passes = Passes(source, query, size=size, take=take, closed=False)
    for number, page in enumerate(passes.pages(), start=1):
        yield page._replace(number=number)


def _restless() -> EntityError:
    return EntityError(
        f"the objects change faster than they can be read ({PASSES} passes); "
        "run again at a quieter time"
    )
