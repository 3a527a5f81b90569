"""Intuit's ceilings for one company, shared by all threads.

500 requests in any minute and 10 in any second per company and app
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

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SECOND = 1.1
MINUTE = 60.5


class Limiter:
    """Lets requests pass in turn, never too many.

    Args:
        concurrency: Requests in flight.
        per_minute: Requests in any minute.
        per_second: Requests in any second.
        now: Monotonic clock in seconds.
        sleep: Waits for some seconds; it may raise to end the wait.
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
        self._slots = threading.BoundedSemaphore(concurrency)
        self._turn = threading.Lock()
        self._ceilings = (
            (SECOND, deque[float](maxlen=per_second)),
            (MINUTE, deque[float](maxlen=per_minute)),
        )
        self._paused_until = 0.0
        self._now = now
        self._sleep = sleep

    @contextmanager
    def request(self) -> Iterator[None]:
        """Wait for a free slot and for the ceilings, then hold the slot."""
        with self._slots:
            with self._turn:
                while (wait := self._wait()) > 0:
                    self._sleep(wait)
                now = self._now()
                for _, starts in self._ceilings:
                    starts.append(now)
            yield

    def pause(self, seconds: float) -> None:
        """Let no request start for some seconds."""
        self._paused_until = max(self._paused_until, self._now() + seconds)

    def _wait(self) -> float:
        now = self._now()
        waits = [self._paused_until - now]
        waits += [
            starts[0] + span - now
            for span, starts in self._ceilings
            if len(starts) == starts.maxlen
        ]
        return max(waits)
