"""Reading ahead: work is done by threads, results come in the order of the work."""

from __future__ import annotations

import queue
import threading
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

L = TypeVar("L")
T = TypeVar("T")
U = TypeVar("U")

# How often a waiting thread looks whether it should stop.
POLL_SECONDS = 0.1


class _End:
    """Stands behind the last result of a lane; carries the error that ended it, if any."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


class _Lane(Generic[L, T]):
    """The results of one piece of work; so many may wait until they are taken."""

    def __init__(self, label: L, depth: int) -> None:
        self.label = label
        self.results: queue.SimpleQueue[T | _End] = queue.SimpleQueue()
        self.room = threading.Semaphore(depth)
        self.unwanted = threading.Event()


class ReadAhead(Generic[L, T]):
    """Does pieces of work in threads and hands out their results in order.

    Memory stays flat: of each piece only so many results wait, and at most twice as many
    pieces as workers are begun and not yet consumed.

    Args:
        works: Pieces of work, each with a label; it is called in a thread and yields results.
            The pieces themselves are asked for in these threads too, by one at a time.
        workers: Number of threads.
        check: Called while waiting; what it raises ends the wait.
        depth: Results of a piece that may wait.
    """

    def __init__(
        self,
        works: Iterable[tuple[L, Callable[[], Iterable[T]]]],
        *,
        workers: int,
        check: Callable[[], None],
        depth: int = 1,
    ) -> None:
        self._works = iter(works)
        self._check = check
        self._depth = depth
        self._taking = threading.Lock()
        self._begun: queue.SimpleQueue[_Lane[L, T] | _End] = queue.SimpleQueue()
        self._room = threading.Semaphore(2 * workers)
        self._stopped = threading.Event()
        # Daemons: a request that hangs must not keep the process from ending.
        for _ in range(workers):
            threading.Thread(target=self._work, daemon=True).start()

    def lanes(self) -> Iterator[tuple[L, Iterator[T]]]:
        """Yield label and results of each piece of work, in order.

        The error of a piece is raised by its results, behind those before it; an error in
        asking for the pieces is raised behind the last of them. What a consumer leaves unread
        of a piece is thrown away.
        """
        while not isinstance(lane := self._wait(self._begun), _End):
            results = self._results(lane)
            yield lane.label, results
            lane.unwanted.set()
            with suppress(Exception):  # The consumer no longer wants this piece.
                deque(results, maxlen=0)
            self._room.release()
        if lane.error is not None:
            raise lane.error

    def close(self) -> None:
        """Begin nothing more and let the threads end, also those that wait for lanes."""
        self._stopped.set()
        self._begun.put(_End())

    def _results(self, lane: _Lane[L, T]) -> Iterator[T]:
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
                try:
                    label, work = next(self._works)
                except StopIteration:
                    self._begun.put(_End())
                    return
                except Exception as error:  # noqa: BLE001  It is raised where the lanes are consumed.
                    self._begun.put(_End(error))
                    return
                lane = _Lane[L, T](label, self._depth)
                self._begun.put(lane)
            lane.results.put(self._fill(lane, work))

    def _fill(self, lane: _Lane[L, T], work: Callable[[], Iterable[T]]) -> _End:
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
    ahead = ReadAhead([(None, lambda: iter((work(),)))], workers=1, check=check)
    try:
        _, results = next(ahead.lanes())
        return next(results)
    finally:
        ahead.close()
