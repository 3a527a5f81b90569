"""Reading ahead: work is done by threads, results come in the order of the work."""

from __future__ import annotations

import queue
import threading
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

T = TypeVar("T")
U = TypeVar("U")

# How often a waiting thread looks whether it should stop.
POLL_SECONDS = 0.1


class _End:
    """Stands behind the last result of a lane; carries the error that ended it, if any."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


class _Lane(Generic[T]):
    """The results of one piece of work; the next is worked on once the last is taken."""

    def __init__(self) -> None:
        self.results: queue.SimpleQueue[T | _End] = queue.SimpleQueue()
        self.room = threading.Semaphore(1)
        self.unwanted = threading.Event()


class ReadAhead(Generic[T]):
    """Does pieces of work in threads and hands out their results in order.

    Memory stays flat: of each piece at most one result waits, and at most twice as many
    pieces as workers are begun and not yet consumed.

    Args:
        works: Pieces of work; each is called in a thread and yields results.
        workers: Number of threads.
        check: Called while waiting; what it raises ends the wait.
    """

    def __init__(
        self,
        works: Iterable[Callable[[], Iterable[T]]],
        *,
        workers: int,
        check: Callable[[], None],
    ) -> None:
        self._works = iter(works)
        self._check = check
        self._taking = threading.Lock()
        self._begun: queue.SimpleQueue[_Lane[T] | None] = queue.SimpleQueue()
        self._room = threading.Semaphore(2 * workers)
        self._stopped = threading.Event()
        # Daemons: a request that hangs must not keep the process from ending.
        for _ in range(workers):
            threading.Thread(target=self._work, daemon=True).start()

    def lanes(self) -> Iterator[Iterator[T]]:
        """Yield one iterator per piece of work, in order.

        The error of a piece is raised by its iterator, behind the results before it. What a
        consumer leaves unread of a piece is thrown away.
        """
        while (lane := self._wait(self._begun)) is not None:
            results = self._results(lane)
            yield results
            lane.unwanted.set()
            with suppress(Exception):  # The consumer no longer wants this piece.
                deque(results, maxlen=0)
            self._room.release()

    def close(self) -> None:
        """Begin nothing more and let the threads end."""
        self._stopped.set()

    def _results(self, lane: _Lane[T]) -> Iterator[T]:
        while not isinstance(result := self._wait(lane.results), _End):
            lane.room.release()
            yield result
        if result.error is not None:
            raise result.error

    def _wait(self, source: queue.SimpleQueue[U]) -> U:
        while True:
            self._check()
            try:
                return source.get(timeout=POLL_SECONDS)
            except queue.Empty:
                continue

    def _work(self) -> None:
        while self._acquire(self._room):
            with self._taking:
                work = next(self._works, None)
                lane: _Lane[T] | None = None if work is None else _Lane()
                self._begun.put(lane)
            if work is None or lane is None:
                return
            lane.results.put(self._fill(lane, work))

    def _fill(self, lane: _Lane[T], work: Callable[[], Iterable[T]]) -> _End:
        try:
            results = iter(work())
            while self._acquire(lane.room) and not lane.unwanted.is_set():
                lane.results.put(next(results))
        except StopIteration:
            pass
        except Exception as error:  # noqa: BLE001  It is raised where the results are consumed.
            return _End(error)
        return _End()

    def _acquire(self, room: threading.Semaphore) -> bool:
        while not self._stopped.is_set():
            if room.acquire(timeout=POLL_SECONDS):
                return True
        return False


def in_thread(work: Callable[[], T], *, check: Callable[[], None]) -> T:
    """Do one piece of work in a thread, so that waiting for it can be ended."""
    ahead = ReadAhead([lambda: iter((work(),))], workers=1, check=check)
    try:
        return next(next(ahead.lanes()))
    finally:
        ahead.close()
