"""A long run says how far it is and when it should end."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from tap_quickbooks_raw.progress import PROGRESS_SECONDS, Progress, rate


class Clock:
    """Seconds that pass only when told to."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    """The time since anywhen."""
    return Clock()


@pytest.fixture
def progress(clock: Clock) -> Progress:
    """The progress of a run that begins at noon."""
    return Progress(now=clock, wall_clock=lambda: datetime(2026, 1, 1, 12, tzinfo=UTC))


def test_nothing_is_said_before_it_is_time(clock: Clock, progress: Progress) -> None:
    progress.begin(1_000)
    clock.seconds += PROGRESS_SECONDS - 1

    assert progress.add("qb_bills", 10) is None
    assert progress.rows == 10


def test_rows_rate_and_end_are_told(clock: Clock, progress: Progress) -> None:
    clock.seconds += 60  # The counting; it does not slow the rate.
    progress.begin(100_000)
    clock.seconds += 10

    assert progress.add("qb_bills", 25_000) == (
        "25,000 of 100,000 rows (25%), 2,500 rows/s, 0:00:30 left, until about 12:00:30 UTC"
    )
    assert progress.add("qb_bills", 1) is None


def test_where_more_came_than_was_counted_no_end_is_told(clock: Clock, progress: Progress) -> None:
    progress.begin(10)
    clock.seconds += 10

    assert progress.add("qb_bills", 100) == "100 rows so far, 10 rows/s"


def test_a_rate_of_no_time_is_no_error() -> None:
    assert rate(5, 0.0) == "5,000 rows/s"
