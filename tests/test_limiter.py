"""Intuit's ceilings hold whatever the threads do."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tap_quickbooks_raw.limiter import Limiter

if TYPE_CHECKING:
    from collections.abc import Callable

gaps = st.lists(st.floats(0, 3) | st.just(0.0) | st.floats(0, 90), max_size=80)
UNLIMITED = 1_000_000


class Clock:
    """Moves only when somebody sleeps."""

    def __init__(self) -> None:
        self.moment = 5_000.0
        self.naps: list[float] = []

    def now(self) -> float:
        return self.moment

    def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        self.moment += max(seconds, 1e-6)


def most_in(starts: list[float], span: float) -> int:
    """The most starts in any span of time."""
    return max(
        (sum(first <= start < first + span for start in starts) for first in starts), default=0
    )


@settings(max_examples=200, deadline=None)
@given(gaps=gaps, per_minute=st.integers(1, 40), pauses=st.sets(st.integers(0, 80), max_size=3))
def test_no_span_of_time_has_more_requests_than_allowed(
    gaps: list[float], per_minute: int, pauses: set[int]
) -> None:
    clock = Clock()
    limiter = Limiter(concurrency=4, per_minute=per_minute, now=clock.now, sleep=clock.sleep)
    starts: list[float] = []
    for number, gap in enumerate(gaps):
        clock.moment += gap
        if number in pauses:
            limiter.pause(20)
            resumed = clock.moment + 20
        else:
            resumed = 0.0
        with limiter.request():
            starts.append(clock.moment)
        assert clock.moment >= resumed

    assert most_in(starts, 1.0) <= 10
    assert most_in(starts, 60.0) <= per_minute


def test_below_the_ceilings_nobody_waits() -> None:
    clock = Clock()
    limiter = Limiter(concurrency=1, now=clock.now, sleep=clock.sleep)
    for _ in range(10):
        with limiter.request():
            pass

    assert clock.naps == []


def test_a_full_minute_is_used() -> None:
    """500 requests take less than a minute, and the next one waits for the minute's end."""
    clock = Clock()
    limiter = Limiter(concurrency=1, now=clock.now, sleep=clock.sleep)
    for _ in range(500):
        with limiter.request():
            pass
    took = clock.moment - 5_000
    with limiter.request():
        pass

    assert 49 <= took <= 60
    assert 60 <= clock.moment - 5_000 <= 61


def test_a_longer_pause_is_not_shortened() -> None:
    clock = Clock()
    limiter = Limiter(concurrency=1, now=clock.now, sleep=clock.sleep)
    limiter.pause(60)
    limiter.pause(20)
    with limiter.request():
        pass

    assert clock.moment >= 5_060


def test_a_pause_reaches_those_who_wait_already() -> None:
    clock = Clock()

    def sleep(seconds: float) -> None:
        clock.sleep(seconds)
        if len(clock.naps) == 1:
            limiter.pause(20)

    limiter = Limiter(concurrency=1, per_second=1, now=clock.now, sleep=sleep)
    for _ in range(2):
        with limiter.request():
            pass

    assert clock.naps == [pytest.approx(1.2), pytest.approx(20)]


@pytest.mark.parametrize("concurrency", [1, 3, 8])
def test_no_more_requests_are_in_flight_than_allowed(concurrency: int) -> None:
    limiter = Limiter(concurrency=concurrency, per_minute=UNLIMITED, per_second=UNLIMITED)
    lock, flying, most = threading.Lock(), 0, 0
    full = threading.Barrier(concurrency)

    def fly() -> None:
        nonlocal flying, most
        with limiter.request():
            with lock:
                flying += 1
                most = max(most, flying)
            full.wait(10)  # All slots are taken at once, or this breaks.
            with lock:
                flying -= 1

    with ThreadPoolExecutor(3 * concurrency) as pool:
        for future in [pool.submit(fly) for _ in range(6 * concurrency)]:
            future.result(20)

    assert most == concurrency


@pytest.mark.parametrize("fail", [lambda: 1 / 0], ids=["error"])
def test_a_slot_is_given_back_after_an_error(fail: Callable[[], Any]) -> None:
    clock = Clock()
    limiter = Limiter(concurrency=1, now=clock.now, sleep=clock.sleep)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), limiter.request():
            fail()


def test_a_wait_that_is_ended_gives_back_slot_and_turn() -> None:
    clock = Clock()
    ended = [True]

    def sleep(seconds: float) -> None:
        if ended[0]:
            raise InterruptedError
        clock.sleep(seconds)

    limiter = Limiter(concurrency=1, now=clock.now, sleep=sleep)
    limiter.pause(20)
    with pytest.raises(InterruptedError), limiter.request():
        pass
    ended[0] = False
    with limiter.request():
        pass
