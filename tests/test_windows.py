"""Windows cover their range without gap or overlap."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tap_quickbooks_raw.windows import Window, windows

START = datetime(2024, 1, 1, tzinfo=UTC)
moments = st.integers(0, 10**9).map(lambda seconds: START + timedelta(seconds=seconds))


@given(start=moments, end=moments, chunk_days=st.none() | st.integers(1, 4000))
def test_windows_cover_the_range_without_gap_or_overlap(
    start: datetime, end: datetime, chunk_days: int | None
) -> None:
    found = windows(start, end, chunk_days=chunk_days)

    if start >= end:
        assert found == []
        return
    assert (found[0].start, found[-1].end) == (start, end)
    assert all(one.end == other.start for one, other in pairwise(found))
    assert all(window.start < window.end for window in found)
    if chunk_days is None:
        assert len(found) == 1
    else:
        assert {window.end - window.start for window in found[:-1]} <= {timedelta(chunk_days)}
        assert found[-1].end - found[-1].start <= timedelta(chunk_days)


@pytest.mark.parametrize(
    ("length", "chunk_days", "count"),
    [
        (timedelta(0), 7, 0),
        (timedelta(-1), 7, 0),
        (timedelta(seconds=1), 7, 1),
        (timedelta(days=7), 7, 1),
        (timedelta(days=7, seconds=1), 7, 2),
        (timedelta(days=21), 7, 3),
        (timedelta(days=21), None, 1),
    ],
    ids=["empty", "backwards", "a-second", "exactly-one", "one-and-a-second", "three", "single"],
)
def test_a_range_has_as_many_windows_as_it_needs(
    length: timedelta, chunk_days: int | None, count: int
) -> None:
    assert len(windows(START, START + length, chunk_days=chunk_days)) == count


def test_a_window_is_half_open() -> None:
    one, other = windows(START, START + timedelta(days=2), chunk_days=1)

    assert one == Window(START, START + timedelta(days=1))
    assert one.end == other.start
