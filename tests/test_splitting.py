"""Large ranges are cut into windows of about as many rows each, for a call per thirty."""

from __future__ import annotations

import json
import math
import random
import re
from bisect import bisect_left
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import count, pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tap_quickbooks_raw.batches import BATCH_ITEMS
from tap_quickbooks_raw.entities import BY_STREAM
from tap_quickbooks_raw.pages import Source
from tap_quickbooks_raw.query import Query
from tap_quickbooks_raw.splitting import PAGES, Splitter, pages_of
from tap_quickbooks_raw.windows import Window

from tests.test_pages import Canned

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tap_quickbooks_raw.batches import Lists

START = datetime(2024, 1, 1, tzinfo=UTC)
LENGTH = 100_000
PROBE = re.compile(r">= '(\S+)'.* STARTPOSITION (\d+) ")
WINDOW = Window(START, START + timedelta(seconds=LENGTH))


def rows_of(seconds: Sequence[int]) -> Lists:
    """An answer with a row in each of some seconds."""
    moments = [START + timedelta(seconds=second) for second in seconds]
    rows = [{"Id": "1", "MetaData": {"LastUpdatedTime": moment.isoformat()}} for moment in moments]
    return Canned(json.dumps({"Invoice": rows})).get("query").query


class Sorted:
    """A range of rows, by their seconds, that answers probes as QBO does."""

    def __init__(self, seconds: Sequence[int], size: int) -> None:
        self.seconds = sorted(seconds)
        self.source = Source(Canned("{}"), BY_STREAM["qb_invoices"], size=size)  # type: ignore[arg-type]
        self.batches = 0

    def answer(self, text: str) -> Lists:
        """Answer a probe."""
        low, position = PROBE.findall(text)[0]
        first = (datetime.fromisoformat(low) - START).total_seconds()
        at = int(position) - 1
        return rows_of([second for second in self.seconds if second >= first][at : at + 2])

    def split(self, rows: int | None = None) -> list[tuple[Window, int | None]]:
        """Cut the range as a planner does."""
        number = len(self.seconds) if rows is None else rows
        splitter = Splitter(self.source, Query("Invoice"), window=WINDOW, rows=number)
        found: list[tuple[Window, int | None]] = []
        while probes := splitter.probes(BATCH_ITEMS):
            self.batches += 1
            assert self.batches < 1_000
            found += [(window, None) for window in splitter.cut([self.answer(p) for p in probes])]
        return [*found, splitter.rest]

    def pages_of(self, window: Window, size: int) -> int:
        """How many pages it takes until the first row behind a window is seen."""
        end = (window.end - START).total_seconds()
        at = bisect_left(self.seconds, (window.start - START).total_seconds())
        for pages in count(1):
            last = min(at + size, len(self.seconds)) - 1
            if self.seconds[last] >= end or last == len(self.seconds) - 1:
                return pages
            at = bisect_left(self.seconds, self.seconds[last])
        raise AssertionError

    def rows_in(self, window: Window) -> int:
        """How many rows a window has."""
        return sum(
            window.start <= START + timedelta(seconds=second) < window.end
            for second in self.seconds
        )


def test_windows_of_single_seconds_have_the_same_size_and_their_pages_are_full() -> None:
    rows = Sorted(range(0, LENGTH, 2), 1000)

    found = [rows.rows_in(window) for window, _ in rows.split()]

    assert len(set(found[:-1])) == 1
    assert 0.97 * PAGES * 1000 < found[0] < PAGES * 1000 - 1
    assert rows.batches == math.ceil((len(found) - 1) / BATCH_ITEMS)


@settings(max_examples=200, deadline=None)
@given(
    groups=st.lists(
        st.tuples(st.integers(0, LENGTH - 1), st.sampled_from((1, 1, 1, 2, 5, 40))), max_size=120
    ),
    size=st.sampled_from((1, 2, 7, 20)),
    more=st.integers(-3, 3),
)
def test_windows_cover_the_range_without_gap_and_the_last_is_counted(
    groups: list[tuple[int, int]], size: int, more: int
) -> None:
    """Whatever the ties are, and though the COUNT that it began with is another."""
    seconds = [second for second, number in groups for _ in range(number)]
    rows = Sorted(seconds, size)

    found = rows.split(max(0, len(seconds) + more))

    windows = [window for window, _ in found]
    assert (windows[0].start, windows[-1].end) == WINDOW
    assert all(before.end == after.start for before, after in pairwise(windows))
    assert all(window.start < window.end for window in windows)
    last, expected = found[-1]
    assert expected is None or expected == rows.rows_in(last) + max(more, -len(seconds))


def test_a_second_that_no_window_can_hold_is_not_cut() -> None:
    seconds = [*range(50), *[60] * 5_000, *range(70, 120)]
    rows = Sorted(seconds, 10)

    found = Counter(rows.rows_in(window) for window, _ in rows.split())

    assert max(found) >= 5_000
    assert sum(number * times for number, times in found.items()) == len(seconds)
    assert len([number for number in found.elements() if number > 2 * PAGES * 10]) == 1


@pytest.mark.parametrize("answers", [[None] * 30, [{}] * 30], ids=["failed", "empty"])
def test_what_nobody_answers_is_one_window(answers: list[Lists | None]) -> None:
    rows = Sorted(range(LENGTH), 1000)
    splitter = Splitter(rows.source, Query("Invoice"), window=WINDOW, rows=LENGTH)
    assert splitter.probes(BATCH_ITEMS)

    assert splitter.cut(answers) == []
    assert splitter.probes(BATCH_ITEMS)  # Once more.
    assert splitter.cut(answers) == []
    assert splitter.probes(BATCH_ITEMS) == []
    assert splitter.rest == (WINDOW, LENGTH)


@pytest.mark.parametrize("second", [-5, LENGTH, 2 * LENGTH])
def test_a_cut_outside_the_range_is_left_out(second: int) -> None:
    rows = Sorted(range(LENGTH), 1000)
    splitter = Splitter(rows.source, Query("Invoice"), window=WINDOW, rows=5_000)
    probes = splitter.probes(BATCH_ITEMS)

    assert splitter.cut([rows_of([second, second]) for _ in probes]) == []
    assert splitter.rest[0] == WINDOW


def test_a_tie_that_was_cut_leaves_the_number_of_the_rest_unknown() -> None:
    size = 10
    step = int(Splitter(Sorted([], size).source, Query("Invoice"), window=WINDOW, rows=0)._step)
    seconds = [*range(step - 1), step, step, *range(step + 1, step + 16)]

    (_, (last, expected)) = Sorted(seconds, size).split()

    assert last.start == START + timedelta(seconds=step)
    assert expected is None


@pytest.mark.parametrize(
    ("rows", "size", "pages"),
    [(0, 10, 1), (10, 10, 1), (11, 10, 2), (19, 10, 2), (20, 10, 3), (3, 1, 3)],
)
def test_pages_begin_with_the_last_row_of_the_one_before(rows: int, size: int, pages: int) -> None:
    assert pages_of(rows, size) == pages


@pytest.mark.parametrize("ties", [1, 2, 5, 12])
def test_where_rows_share_seconds_windows_leave_room_for_those_that_are_read_twice(
    ties: int,
) -> None:
    """So that few windows take more than their pages; the probes are calls, too."""
    dice = random.Random(ties)
    groups = [dice.randint(1, 2 * ties - 1) for _ in range(60_000 // ties)]
    rows = Sorted([second for second, many in enumerate(groups) for _ in range(many)], 1000)

    pages = sum(rows.pages_of(window, 1000) for window, _ in rows.split())

    assert pages + rows.batches <= 1.05 * math.ceil(len(rows.seconds) / 1000) + 1
