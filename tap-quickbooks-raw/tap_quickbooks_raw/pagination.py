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
* A page filled by one second alone: that second is read by offsets, until a pass is proven
  complete (see `passes`).
* The end is not the first short page, since QBO has sent short pages that were not the last.
  It is one of: as many distinct objects as COUNT promised before the first page (they are a
  subset of what was counted, so equal numbers mean equal sets) and no full page at the end,
  behind which a COUNT that is too low might hide more; an empty page for ``>= the last
  stamp``; or an empty page behind the known ties followed by a page that shows all of these
  still there (so at the moment of the empty page there were no others). Nor is what stands
  behind them taken before that page has shown that the offset was right.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from tap_quickbooks_raw.entities import Reading
from tap_quickbooks_raw.exceptions import RefusedError
from tap_quickbooks_raw.passes import PASSES, Passes, restless
from tap_quickbooks_raw.query import UPDATED

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from datetime import datetime

    from tap_quickbooks_raw.pages import Page, Row, Source
    from tap_quickbooks_raw.query import Query
    from tap_quickbooks_raw.windows import Window

SECOND = timedelta(seconds=1)


class UnsortedError(RefusedError):
    """The pages do not follow LastUpdatedTime or are not all; the entity has to be read whole."""


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
            UnsortedError: The stamps are not exact, the answers not in their order or not all.
            EntityError: QBO failed for good, or the window does not come to rest.
        """
        ended = False
        while not ended and self._low < self._window.end:
            asked, fresh = self._fetch()
            if fresh.rows:
                yield fresh
            if not asked.rows:
                ended = True
            elif self._complete():
                # A full page may be where COUNT is capped as well.
                is_last = self._is_single or len(asked.rows) < self._size
                ended = is_last or not self._ask(position=len(self._seen) + 1).rows
            elif len(asked.rows) < self._size:
                ended = yield from self._confirm_end()
            elif self._is_crowded(asked):
                yield from self._read_second()
                ended = self._complete()
            elif not fresh.rows:
                raise UnsortedError("the answer does not keep to the window asked for")
        self._check_count()

    @property
    def _is_single(self) -> bool:
        return self._source.entity.reading is Reading.SINGLE

    def _complete(self) -> bool:
        return self._found == self._expected or (self._is_single and self._found > 0)

    def _check_count(self) -> None:
        """Refuse to believe in an end that comes before what COUNT had promised."""
        if self._expected is None or self._found >= self._expected:
            return
        left = self._source.count(self._query.between(*self._window))
        if left is not None and left > self._found:
            raise UnsortedError(f"QBO counts {left} objects but sends {self._found}")

    def _ask(self, *, position: int = 1) -> Page:
        query = self._query.between(self._low, self._window.end).sorted_by(UPDATED)
        return self._source.fetch(query, position=position, size=self._size)

    def _fetch(self) -> Fetched:
        page = self._ask()
        return Fetched(page, self._page_of(page, self._take(page.rows)))

    def _page_of(self, page: Page, rows: list[Row]) -> Page:
        self._number += 1
        return page._replace(rows=rows, number=self._number)

    def _take(self, rows: list[Row]) -> list[Row]:
        """Pick the rows not seen before and move on to the last stamp."""
        fresh: list[Row] = []
        told: set[str] = set()
        asked = self._low
        for row in rows:
            if row.stamp is None or not row.stamp.exact:
                raise UnsortedError("LastUpdatedTime is no exact time")
            second = row.stamp.moment.replace(microsecond=0)
            if second < self._low:
                # A row sent twice does no harm; one out of order would be lost.
                if second < asked or row.id in told:
                    continue
                raise UnsortedError("the answer is not in the order of LastUpdatedTime")
            told.add(row.id)
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
            behind = self._ask(position=len(known) + 1)
            again, fresh = self._fetch()
            if fresh.rows:
                yield fresh
                return False
            present = {row.id for row in again.rows}
            if not present:
                return True
            if not known <= present:
                known = present
                continue
            # All are still there, so the offset was right: it stepped over these ties alone.
            if not behind.rows:
                return True
            if self._is_crowded(behind):
                yield from self._read_second()
                return False
            rows = self._take(behind.rows)
            if not rows:
                raise UnsortedError("the answer does not keep to the window asked for")
            yield self._page_of(behind, rows)
            return False
        raise restless()

    def _read_second(self) -> Iterator[Page]:
        """Read all objects of one second by offsets, until a pass is proven."""
        second = self._query.between(self._low, self._low + SECOND)
        passes = Passes(self._source, second, size=self._size, take=self._take, closed=True)
        for page in passes.pages():
            yield self._page_of(page, page.rows)
        self._low += SECOND
        self._seen = set()


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
