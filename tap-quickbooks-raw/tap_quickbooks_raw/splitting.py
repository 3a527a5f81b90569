"""Cutting the range of a large entity into windows of about as many rows each.

Where to cut is learnt from probes: two rows at every so many positions of the sorted range,
thirty probes in one call. The second of a probe's later row begins a window. A cut is only a
place in time: where rows leave while the probes are made, windows come out smaller, and no
row is ever lost by that.

A window's last page has to reach the next window's first row, which proves it complete (see
`pagination`), so a window has a little less than full pages. What is left behind the last cut
is known exactly: if no tie is cut, as many rows as were counted in all less those before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tap_quickbooks_raw.exceptions import EntityError
from tap_quickbooks_raw.query import UPDATED
from tap_quickbooks_raw.windows import Window

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from tap_quickbooks_raw.batches import Lists
    from tap_quickbooks_raw.pages import Source
    from tap_quickbooks_raw.query import Query

# Pages of a window: with more, more of them wait in memory; with fewer, more probes are made.
PAGES = 2
# What a window leaves free in its last page for rows that share a second with its bounds.
FREE_SHARE = 0.01
# What it leaves free per row of those that share a second: once between its pages, once or
# twice at its bounds, and something for those who happen to be cut unseen.
ROOM_PER_TIE = 4
# So many ties are cut by chance, too.
FEW_TIES = 4
# So many calls without any answer are the last ones.
MOST_FAILURES = 2
# So much more room is worth the probes that are made again.
MORE_ROOM = 1.5


class _Cut(NamedTuple):
    """A place to cut.

    Attributes:
        at: Where the next window begins.
        exact: Whether the rows before are exactly those before the probe.
    """

    at: datetime
    exact: bool


class Splitter:
    """Cuts one range.

    Args:
        source: Takes the answers apart.
        query: What is asked for, without the range.
        window: The range.
        rows: How many rows were counted in it.
    """

    def __init__(self, source: Source, query: Query, *, window: Window, rows: int) -> None:
        self._source = source
        self._query = query
        self._low, self._end = window
        self._left = rows  # From `_low` on; no fewer than there are if `_exact`.
        self._exact = True
        self._capacity, self._step = _capacity(source.sizes.limit)
        self._most = self._capacity
        self._failures = 0
        self._base = 0  # Rows behind `_low` where no cut was found.
        self._asked = 0

    def probes(self, most: int) -> list[str]:
        """Return queries for the next cuts; none if there is nothing more to cut.

        Args:
            most: How many at most.
        """
        query = self._query.between(self._low, self._end).sorted_by(UPDATED)
        texts: list[str] = []
        while len(texts) < most and self._left - self._base - self._asked * self._step > self._most:
            self._asked += 1
            texts.append(query.page(position=self._base + self._asked * self._step, rows=2))
        return texts

    def cut(self, answers: Sequence[Lists | None]) -> list[Window]:
        """Return the windows that the answers to all probes of one call make."""
        windows: list[Window] = []
        cuts = [self._cut(answer) for answer in answers]
        self._asked, asked_step = 0, self._step
        if self._leave_room([cut for cut in cuts if cut is not None]):
            return windows
        is_sound = self._exact
        before = self._base
        for cut in cuts:
            before += asked_step
            if cut is None or not self._low < cut.at < self._end:
                continue
            windows.append(Window(self._low, cut.at))
            self._low = cut.at
            self._exact = is_sound and cut.exact
            self._left -= before
            before = 0
        self._failures = 0 if any(answers) else self._failures + 1
        if self._failures:
            before = self._base
        if self._failures == MOST_FAILURES:
            self._most = self._left  # QBO does not answer: what is left is one window.
        self._base = before
        return windows

    def _leave_room(self, cuts: Sequence[_Cut]) -> bool:
        """Make windows smaller where many rows share their seconds; return whether to ask again.

        A page begins with all rows of the last second of the page before, so that windows
        whose pages would be full would take a page more.
        """
        cut_ties = sum(not cut.exact for cut in cuts)
        # Of groups of n rows, a cut between two rows hits a group with (n - 1) / n.
        group = (len(cuts) + 2) / (len(cuts) - cut_ties + 1)
        room = min(int(ROOM_PER_TIE * group), self._capacity // 4)
        step = max(1, self._capacity - room)
        is_worth = step < self._step and room >= MORE_ROOM * (self._capacity - self._step)
        if cut_ties >= FEW_TIES and is_worth:
            self._most = self._step = step
            return True
        return False

    @property
    def rest(self) -> tuple[Window, int | None]:
        """What is left behind the last cut, and its number of rows if it is known."""
        return Window(self._low, self._end), self._left if self._exact else None

    def _cut(self, answer: Lists | None) -> _Cut | None:
        try:
            rows = self._source.rows(answer, "") if answer else []
        except EntityError:
            return None
        seconds = [row.stamp.moment.replace(microsecond=0) for row in rows if row.stamp]
        if len(seconds) < 2:  # noqa: PLR2004  Two rows were asked for.
            return None
        return _Cut(seconds[1], exact=seconds[0] < seconds[1])


class Cost(NamedTuple):
    """What it should cost to read a range in windows.

    Attributes:
        pages: Calls for pages.
        probes: Probes, thirty to a call.
    """

    pages: int
    probes: int


def cost(rows: int, size: int) -> Cost:
    """Estimate what it costs to read so many rows in windows that are read side by side."""
    most, step = _capacity(size)
    cuts = max(0, -((most - rows) // step))
    return Cost(cuts * PAGES + pages_of(rows - cuts * step, size), cuts)


def pages_of(rows: int, size: int) -> int:
    """How many pages so many rows take, each from the last row of the one before on."""
    return 1 if rows <= size else 1 - (size - rows) // max(1, size - 1)


def _capacity(size: int) -> tuple[int, int]:
    """How many rows a window can have, and how many it is given."""
    most = PAGES * (size - 1) + 1  # What so many pages hold, each from the last row on.
    return most, max(1, most - 1 - int(size * FREE_SHARE))
