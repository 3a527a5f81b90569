"""The service's request limits: so many in a rolling minute, in a second, at once."""

from __future__ import annotations

from collections import defaultdict, deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from quickbooks_simulator.settings import Settings


class Window:
    """Requests of the last seconds."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._times: deque[float] = deque()

    def admits(self, now: float, limit: int | None) -> bool:
        """Tell whether one more fits."""
        while self._times and self._times[0] <= now - self.seconds:
            self._times.popleft()
        return limit is None or len(self._times) < limit

    def add(self, now: float) -> None:
        """Count one."""
        self._times.append(now)


class Limiter:
    """The limits of each company; refused requests do not count."""

    def __init__(self) -> None:
        self.in_flight: dict[str, int] = defaultdict(int)
        self._minutes: dict[str, Window] = defaultdict(lambda: Window(60.0))
        self._seconds: dict[str, Window] = defaultdict(lambda: Window(1.0))
        self._batches: dict[str, Window] = defaultdict(lambda: Window(60.0))

    def admit(self, realm: str, now: float, settings: Settings, *, batch: bool) -> bool:
        """Count a request of a company, or refuse it."""
        windows = [
            (self._minutes[realm], settings.requests_per_minute),
            (self._seconds[realm], settings.requests_per_second),
        ]
        if batch:
            windows.append((self._batches[realm], settings.batches_per_minute))
        at_once = settings.concurrent_requests
        if at_once is not None and self.in_flight[realm] > at_once:
            return False
        if not all(window.admits(now, limit) for window, limit in windows):
            return False
        for window, _ in windows:
            window.add(now)
        return True
