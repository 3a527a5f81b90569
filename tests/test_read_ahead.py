"""Work is done ahead, results come in order, and nothing outlives its use."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tap_quickbooks_raw.read_ahead import ReadAhead, in_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class StopError(Exception):
    """Raised by check."""


def fine() -> None:
    """Nothing asks to stop."""


def until(done: Callable[[], bool]) -> None:
    """Wait for what threads will do soon."""
    deadline = time.monotonic() + 10
    while not done():
        assert time.monotonic() < deadline, "nothing happened for 10 s"
        threading.Event().wait(0.001)


@pytest.fixture
def no_thread_is_left() -> Iterator[None]:
    """After the test, all threads that it began end by themselves."""
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        thread.join(10)
        assert not thread.is_alive()


pytestmark = pytest.mark.usefixtures("no_thread_is_left")


def works(*pieces: list[int]) -> list[Callable[[], Iterator[int]]]:
    return [lambda piece=piece: iter(piece) for piece in pieces]  # type: ignore[misc]


def lanes_of(ahead: ReadAhead[int, int]) -> Iterator[Iterator[int]]:
    """The lanes, whose labels are their numbers."""
    for number, (label, lane) in enumerate(ahead.lanes()):
        assert number == label
        yield lane


def results(ahead: ReadAhead[int, int]) -> list[list[int]]:
    try:
        return [list(lane) for lane in lanes_of(ahead)]
    finally:
        ahead.close()


@settings(max_examples=30, deadline=None)
@given(pieces=st.lists(st.lists(st.integers(), max_size=4), max_size=12), workers=st.integers(1, 4))
def test_results_come_in_the_order_of_the_work(pieces: list[list[int]], workers: int) -> None:
    assert results(ReadAhead(enumerate(works(*pieces)), workers=workers, check=fine)) == pieces


def test_a_slow_piece_holds_up_its_followers_but_not_their_work() -> None:
    slow, done = threading.Event(), threading.Event()

    def first() -> Iterator[int]:
        assert slow.wait(10)
        yield 1

    def second() -> Iterator[int]:
        yield 2
        done.set()

    ahead = ReadAhead(enumerate([first, second]), workers=2, check=fine)
    lanes = lanes_of(ahead)
    lane = next(lanes)
    until(lambda: ahead._begun.qsize() == 1 or done.is_set())
    slow.set()

    assert list(lane) == [1]
    assert list(next(lanes)) == [2]
    ahead.close()


@pytest.mark.parametrize("workers", [1, 3])
def test_no_more_pieces_are_begun_than_twice_the_workers(workers: int) -> None:
    begun: list[int] = []

    def piece(number: int) -> Callable[[], Iterator[int]]:
        def work() -> Iterator[int]:
            begun.append(number)
            return iter(())

        return work

    ahead = ReadAhead(
        enumerate([piece(number) for number in range(50)]), workers=workers, check=fine
    )
    until(lambda: len(begun) == 2 * workers)
    assert ahead._room.acquire(blocking=False) is False
    assert len(begun) == 2 * workers

    assert results(ahead) == [[]] * 50


@pytest.mark.parametrize("depth", [1, 3])
def test_of_each_piece_only_so_many_results_wait(depth: int) -> None:
    made: list[int] = []

    def piece() -> Iterator[int]:
        for number in range(100):
            made.append(number)
            yield number

    ahead = ReadAhead(enumerate([piece]), workers=1, check=fine, depth=depth)
    lane = next(lanes_of(ahead))
    for consumed in range(100):
        waiting = min(consumed + depth, 100)
        until(lambda waiting=waiting: len(made) == waiting)  # type: ignore[misc]
        assert next(lane) == consumed
        assert len(made) <= consumed + 1 + depth
    ahead.close()


@pytest.mark.parametrize("at", [0, 1, 2])
def test_an_error_surfaces_at_its_place(at: int) -> None:
    """Behind the results before it, and the other pieces are not concerned."""

    def broken() -> Iterator[int]:
        yield from range(at)
        raise ZeroDivisionError

    ahead = ReadAhead(enumerate([*works([7]), broken, *works([8, 9])]), workers=2, check=fine)
    lanes = lanes_of(ahead)
    assert list(next(lanes)) == [7]
    lane = next(lanes)
    assert [next(lane) for _ in range(at)] == list(range(at))
    with pytest.raises(ZeroDivisionError):
        next(lane)

    assert [list(lane) for lane in lanes] == [[8, 9]]
    ahead.close()


def test_an_error_that_nobody_asks_for_is_dropped_with_its_piece() -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise ZeroDivisionError

    ahead = ReadAhead(enumerate([broken, *works([2])]), workers=1, check=fine)
    lanes = lanes_of(ahead)
    next(lanes)

    assert list(next(lanes)) == [2]
    ahead.close()


def test_an_error_in_asking_for_work_surfaces_behind_the_last_piece() -> None:
    def asked() -> Iterator[tuple[int, Callable[[], Iterator[int]]]]:
        yield from enumerate(works([1], [2]))
        raise ZeroDivisionError

    lanes = lanes_of(ReadAhead(asked(), workers=3, check=fine))

    assert [list(next(lanes)) for _ in range(2)] == [[1], [2]]
    with pytest.raises(ZeroDivisionError):
        next(lanes)


def test_what_is_left_of_an_abandoned_piece_is_not_read() -> None:
    made: list[int] = []

    def long() -> Iterator[int]:
        for number in range(1_000):
            made.append(number)
            yield number

    ahead = ReadAhead(enumerate([long, *works([5])]), workers=1, check=fine)
    lanes = lanes_of(ahead)
    assert next(next(lanes)) == 0

    assert list(next(lanes)) == [5]
    assert len(made) < 10
    ahead.close()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_check_ends_a_wait(workers: int) -> None:
    """Though the work itself is stuck."""
    stuck = threading.Event()
    asked = iter([None, None])

    def check() -> None:
        if next(asked, StopError) is StopError:
            raise StopError

    def work() -> Iterator[int]:
        stuck.wait(10)
        return iter(())

    ahead = ReadAhead(enumerate([work]), workers=workers, check=check)
    with pytest.raises(StopError):
        results(ahead)
    stuck.set()


def test_closing_ends_the_threads_of_unread_work() -> None:
    """The fixture sees whether they end."""
    ahead = ReadAhead(enumerate(works(*[[1, 2, 3]] * 20)), workers=4, check=fine)
    next(next(lanes_of(ahead)))
    ahead.close()


def test_no_work_is_no_lane() -> None:
    assert results(ReadAhead(enumerate([]), workers=2, check=fine)) == []


def test_work_in_a_thread_gives_its_result() -> None:
    assert in_thread(lambda: 7, check=fine) == 7


def test_work_in_a_thread_gives_its_error() -> None:
    with pytest.raises(ZeroDivisionError):
        in_thread(lambda: 1 // 0, check=fine)


def test_a_check_ends_the_wait_for_work_in_a_thread() -> None:
    stuck = threading.Event()

    def check() -> None:
        raise StopError

    with pytest.raises(StopError):
        in_thread(lambda: stuck.wait(10), check=check)
    stuck.set()
