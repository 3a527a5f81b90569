"""Intuit's ceilings for one company, shared by all threads.

500 requests in any minute, 10 in any second and 40 batches in any minute per company and app
(https://developer.intuit.com/app/developer/qbo/docs/learn/rest-api-features#limits-and-throttles).
Requests are counted when they leave; the spans are a little longer than Intuit's, since a
network may deliver them closer together than they were sent.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tap_quickbooks_raw.policy import Waits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SECOND = 1.2
MINUTE = 60.5
BATCHES_PER_MINUTE = 40


class Limiter:
    """Lets requests pass in turn, never too many.

    Args:
        concurrency: Requests in flight.
        per_minute: Requests in any minute.
        per_second: Requests in any second.
        now: Monotonic clock in seconds.
        sleep: Waits for some seconds; it may raise to end the wait.

    Attributes:
        waits: How long requests were held back.
    """

    def __init__(
        self,
        *,
        concurrency: int,
        per_minute: int = 500,
        per_second: int = 10,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.waits = Waits()
        self._slots = threading.BoundedSemaphore(concurrency)
        self._turn = threading.Lock()
        self._ceilings = [_Ceiling(SECOND, per_second), _Ceiling(MINUTE, per_minute)]
        self._batches = _Ceiling(MINUTE, BATCHES_PER_MINUTE)
        self._paused_until = 0.0
        self._now = now
        self._sleep = sleep

    @contextmanager
    def request(self, *, batch: bool = False) -> Iterator[None]:
        """Wait for a free slot and for the ceilings, then hold the slot."""
        ceilings = [*self._ceilings, self._batches] if batch else self._ceilings
        with self._slots:
            with self._turn:
                while self._hold_back(ceilings):
                    pass
                for ceiling in ceilings:
                    ceiling.starts.append(self._now())
            yield

    def pause(self, seconds: float) -> None:
        """Let no request start for some seconds."""
        self._paused_until = max(self._paused_until, self._now() + seconds)

    def _hold_back(self, ceilings: list[_Ceiling]) -> bool:
        """Wait once if it is too early; tell whether it was."""
        now = self._now()
        free_at = max(ceiling.free_at() for ceiling in ceilings)
        until = max(self._paused_until, free_at)
        if until <= now:
            return False
        try:
            self._sleep(until - now)
        finally:
            self.waits.add("limits" if free_at == until else "retry_after", self._now() - now)
        return True


class _Ceiling:
    """At most so many starts within a span of seconds."""

    def __init__(self, span: float, most: int) -> None:
        self._span = span
        self.starts = deque[float](maxlen=most)

    def free_at(self) -> float:
        """When one more may start."""
        is_full = len(self.starts) == self.starts.maxlen
        return self.starts[0] + self._span if is_full else 0.0
