"""How far a run is, for those who wait for it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

# How often a long run says how far it is.
PROGRESS_SECONDS = 5.0


@dataclass(slots=True)
class Effort:
    """What a window has cost so far.

    Attributes:
        calls: Requests.
        seconds: Time that its reader was at work, waits for Intuit's ceilings included.
    """

    calls: int = 0
    seconds: float = 0.0

    def told(self, rows: int) -> str:
        """Say what so many rows have cost."""
        speed = rate(rows, self.seconds)
        return f"{rows:d} rows in {self.calls:d} calls, {self.seconds:.1f} s, {speed}"

    def add(self, other: Effort) -> None:
        """Count another effort in."""
        self.calls += other.calls
        self.seconds += other.seconds


class Progress:
    """Counts rows and tells, every few seconds, how far the run is and when it should end.

    Args:
        now: Monotonic clock in seconds.
        wall_clock: The time of day, in UTC.

    Attributes:
        rows: Rows emitted so far.
        streams: The same by stream, of those that had any.
        expected: Rows to emit in all; 0 if not known.
    """

    def __init__(
        self,
        *,
        now: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.rows = 0
        self.streams: dict[str, int] = {}
        self.expected = 0
        self._now = now
        self._wall_clock = wall_clock
        self._started = self._told = now()

    def begin(self, expected: int) -> None:
        """Note what is to be read, and measure the rate from now on."""
        self.expected = expected
        self._started = self._told = self._now()

    def add(self, stream: str, rows: int) -> str | None:
        """Count rows of a stream; return what to say about the run if it is time to."""
        self.rows += rows
        self.streams[stream] = self.streams.get(stream, 0) + rows
        if self._now() - self._told < PROGRESS_SECONDS:
            return None
        self._told = self._now()
        return self._text()

    def _text(self) -> str:
        rate = self.rows / (self._told - self._started)
        # Rows may have been added since they were counted.
        left = self.expected - self.rows
        if left <= 0 or not self.rows:
            return f"{self.rows:,} rows so far, {rate:,.0f} rows/s"
        seconds = left / rate
        end = self._wall_clock() + timedelta(seconds=seconds)
        return (
            f"{self.rows:,} of {self.expected:,} rows ({self.rows / self.expected:.0%}), "
            f"{rate:,.0f} rows/s, {timedelta(seconds=round(seconds))} left, "
            f"until about {end:%H:%M:%S} UTC"
        )


def rate(rows: int, seconds: float) -> str:
    """Write rows per second."""
    return f"{rows / max(seconds, 0.001):,.0f} rows/s"
