"""Reading a window exactly while people work.

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
  It is one of: an object that stands behind the window (the pages come in order, so all
  before it have been seen; a window that others follow asks for one second more, to see one);
  as many distinct objects as COUNT promised before the first page (they are a subset of what
  was counted, so equal numbers mean equal sets) and no full page at the end, behind which a
  COUNT that is too low might hide more; an empty page for ``>= the last stamp``; or an empty
  page behind the known ties followed by a page that shows all of these still there (so at the
  moment of the empty page there were no others). Nor is what stands behind them taken before
  that page has shown that the offset was right.
* An object that cannot be read stands between the last one that can and the next. The seconds
  from the one to the other are read by offsets like a crowded second, and it is stepped over.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from tap_quickbooks_raw.entities import Reading
from tap_quickbooks_raw.exceptions import RefusedError, UnreadableError
from tap_quickbooks_raw.fitting import Fitting
from tap_quickbooks_raw.passes import PASSES, Passes, restless
from tap_quickbooks_raw.query import UPDATED

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from datetime import datetime

    from tap_quickbooks_raw.pages import Page, Row, Source
    from tap_quickbooks_raw.query import Query
    from tap_quickbooks_raw.windows import Window

SECOND = timedelta(seconds=1)
# So far behind an unreadable object the next readable one is looked for.
STEPS = tuple(2**power for power in range(11))
# An end that COUNT does not agree with is looked at again.
READINGS = 2
# A time-out costs minutes, and heavy objects seldom stand side by side.
HEAVY_STEPS = 2


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
        expected: COUNT of the window, taken before the first page; None if not known.
        followed: Whether objects are known to stand at the window's end.
    """

    def __init__(
        self,
        source: Source,
        query: Query,
        *,
        window: Window,
        expected: int | None = None,
        followed: bool = False,
    ) -> None:
        self._source = source
        self._query = query
        self._window = window
        self._expected = expected
        self._pages = Fitting(source)
        self._asked_end = window.end + SECOND if followed else window.end
        self._low = window.start
        self._seen: set[str] = set()  # Ids emitted with a stamp in the second of `_low`.
        self._found = 0
        self._lost = 0
        self._number = 0
        self._passed_end = False

    def pages(self) -> Iterator[Page]:
        """Yield the pages, without rows that were yielded before.

        Raises:
            UnsortedError: The stamps are not exact, the answers not in their order or not all.
            EntityError: QBO failed for good, or the window does not come to rest.
        """
        for _ in range(READINGS):
            ended = False
            while not ended and self._low < self._window.end:
                try:
                    ended = yield from self._advance()
                except UnreadableError as error:
                    yield from self._step_over(error)
            missing = self._missing()
            if not missing:
                return
        raise UnsortedError(f"QBO counts {missing} more objects than the {self._found} it sends")

    def _advance(self) -> Generator[Page, None, bool]:
        """Read one more page; return whether it is proven to be the last."""
        asked, fresh = self._fetch()
        if fresh.rows:
            yield fresh
        if self._passed_end or not asked.rows:
            return True
        if self._complete():
            # A full page may be where COUNT is capped as well.
            is_last = self._is_single or len(asked.rows) < asked.size
            if is_last or not self._ask(position=len(self._seen) + 1).rows:
                return True
            self._expected = None  # It was too low.
        if len(asked.rows) < asked.size:
            return (yield from self._confirm_end())
        if self._is_crowded(asked):
            yield from self._read_by_offsets(self._low + SECOND)
            return False  # Also where COUNT is reached: it may be too low.
        if not fresh.rows:
            raise UnsortedError("the answer does not keep to the window asked for")
        return False

    @property
    def _is_single(self) -> bool:
        return self._source.entity.reading is Reading.SINGLE

    def _complete(self) -> bool:
        # With objects that cannot be read, equal numbers prove nothing.
        is_counted = self._found == self._expected and not self._lost
        return is_counted or (self._is_single and self._found > 0)

    def _missing(self) -> int:
        """How many objects COUNT knows beyond those that were sent before the end.

        It is asked where fewer came than it had promised, and where a window that is followed
        has ended without the object that should stand behind it.
        """
        found = self._found + self._lost
        is_followed = self._asked_end > self._window.end
        if self._passed_end or not (is_followed or found < (self._expected or 0)):
            return 0
        left = self._source.count(self._query.between(*self._window))
        return 0 if left is None else max(0, left - found)

    @property
    def _rest(self) -> Query:
        """The query for what is left of the window."""
        return self._query.between(self._low, self._asked_end).sorted_by(UPDATED)

    def _ask(self, *, position: int) -> Page:
        return self._pages.fetch(self._rest, position=position)

    def _fetch(self) -> Fetched:
        page = self._pages.fetch(self._rest, known=len(self._seen))
        return Fetched(page, self._page_of(page, self._take(page.rows)))

    def _page_of(self, page: Page, rows: list[Row]) -> Page:
        self._number += 1
        return page._replace(rows=rows, number=self._number)

    def _take(self, rows: list[Row]) -> list[Row]:
        """Pick the rows not seen before and move on to the last stamp."""
        fresh: list[Row] = []
        told: set[str] = set()
        asked = last = self._low
        for row in rows:
            if row.stamp is None or not row.stamp.exact:
                raise UnsortedError("LastUpdatedTime is no exact time")
            second = row.stamp.moment.replace(microsecond=0)
            if second < last:
                # A row sent twice does no harm; one out of order would be lost.
                if second < asked or row.id in told:
                    continue
                raise UnsortedError("the answer is not in the order of LastUpdatedTime")
            last = second
            told.add(row.id)
            if second >= self._window.end:
                self._passed_end = True
                continue
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
                return self._passed_end
            present = {row.id for row in again.rows}
            if not present:
                return True
            if len(again.rows) >= again.size and self._is_crowded(again):
                # The ties do not fit into a page that could show that all are there.
                yield from self._read_by_offsets(self._low + SECOND)
                return False
            if not known <= present:
                known = present
                continue
            # All are still there, so the offset was right: it stepped over these ties alone.
            if not behind.rows:
                return True
            if self._is_crowded(behind):
                yield from self._read_by_offsets(self._low + SECOND)
                return False
            rows = self._take(behind.rows)
            if rows:
                yield self._page_of(behind, rows)
            elif not self._passed_end:
                raise UnsortedError("the answer does not keep to the window asked for")
            return self._passed_end
        raise restless()

    def _step_over(self, error: UnreadableError) -> Iterator[Page]:
        """Read what surrounds an object that cannot be read."""
        for steps in STEPS[: HEAVY_STEPS if error.is_heavy else None]:
            try:
                page = self._source.fetch(
                    self._rest, position=len(self._seen) + 1 + steps, size=1, patience=1
                )
            except UnreadableError:
                continue
            end = self._window.end
            if page.rows:
                stamp = page.rows[0].stamp
                if stamp is None or not self._low <= stamp.moment < self._asked_end:
                    raise UnsortedError("the answer does not keep to the window asked for")
                end = min(end, stamp.moment.replace(microsecond=0) + SECOND)
            yield from self._read_by_offsets(end, doubtful=True)
            return
        raise error

    def _read_by_offsets(self, end: datetime, *, doubtful: bool = False) -> Iterator[Page]:
        """Read from here to an instant by offsets, until a pass is proven."""
        query = self._query.between(self._low, end)
        passes = Passes(
            self._source,
            query,
            take=lambda rows: self._take_until(end, rows),
            closed=True,
            doubtful=doubtful,
        )
        if end == self._low + SECOND:
            for page in passes.pages():
                yield self._page_of(page, page.rows)
        else:
            found = [(row, page) for page in passes.pages() for row in page.rows]
            found.sort(key=lambda pair: pair[0].stamp.moment if pair[0].stamp else end)
            for row, page in found:
                yield self._page_of(page, [row])
        self._lost += len(passes.lost)
        self._low = end
        self._seen = set()

    def _take_until(self, end: datetime, rows: list[Row]) -> list[Row]:
        """Pick the rows not seen before, in whatever order they are."""
        fresh = []
        for row in rows:
            if row.stamp is None or not row.stamp.exact:
                raise UnsortedError("LastUpdatedTime is no exact time")
            if self._low <= row.stamp.moment < end and row.id not in self._seen:
                self._seen.add(row.id)
                fresh.append(row)
        self._found += len(fresh)
        return fresh
