"""What a request may cost: attempts and waits, calls and seconds of a run."""

from __future__ import annotations

import math
import random
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, get_args

from tap_quickbooks_raw.exceptions import BudgetReached

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Reason = Literal["limits", "retry_after", "backoff"]

BACKOFF_CEILING_SECONDS = 60.0
# Intuit asks for 60 s after a 429; three pauses of 20 s outlast its window.
THROTTLE_PAUSE_SECONDS = 20.0
RETRY_AFTER_CEILING_SECONDS = 300.0
# What was asked for within the time of a run is waited for so long after its end.
GRACE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When to try again, and how long to wait before.

    Attributes:
        attempts: Attempts in all.
        jitter: Returns a random number of seconds to add to each wait.
    """

    attempts: int = 5
    jitter: Callable[[], float] = field(default=random.random)

    def wait(self, attempt: int) -> float:
        """Seconds to wait after the given attempt (1, 2, ...) failed: 2^n and jitter."""
        return float(min(2.0 ** (attempt - 1), BACKOFF_CEILING_SECONDS)) + self.jitter()

    def pause(self, attempt: int, retry_after: float, *, is_throttled: bool) -> float:
        """The same, but never less than the server asks for; 0 where it does not say."""
        usual = THROTTLE_PAUSE_SECONDS if is_throttled else 0.0
        asked_for = min(retry_after, RETRY_AFTER_CEILING_SECONDS) if retry_after else usual
        return max(self.wait(attempt), asked_for)


@dataclass(slots=True)
class Waits:
    """Seconds that requests were held back; any thread may add to them.

    Attributes:
        limits: The next request had to wait for the ceilings that the tap keeps to.
        retry_after: QBO asked for it: by a 429, or by Retry-After in any other answer.
        backoff: Before further attempts of single requests.
    """

    limits: float = 0.0
    retry_after: float = 0.0
    backoff: float = 0.0
    _adding: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def add(self, reason: Reason, seconds: float) -> None:
        """Count seconds in."""
        with self._adding:
            setattr(self, reason, getattr(self, reason) + seconds)

    def seconds(self) -> dict[str, float]:
        """All of them by reason, to the millisecond."""
        return {reason: round(getattr(self, reason), 3) for reason in get_args(Reason)}


@dataclass(slots=True)
class Budget:
    """What a run may use; reaching it ends the run cleanly.

    Attributes:
        calls: Requests, or None for no limit.
        seconds: Time since the start of the run, or None for no limit.
    """

    calls: int | None = None
    seconds: float | None = None
    started: float = field(default_factory=time.monotonic)
    _reserved: int = 0
    # A context that is left behind may end while another one begins in the same thread.
    _reserving: threading.RLock = field(default_factory=threading.RLock, repr=False)

    @contextmanager
    def reserve(self, calls: int, *, used: int) -> Iterator[None]:
        """Begin what takes some calls only if they are left beside those reserved before.

        What is begun and not ended is read in vain, so the last calls are not spread over
        many windows. The first to reserve gets what there is.
        """
        with self._reserving:
            wanted = used + self._reserved + calls
            if self.calls is not None and self._reserved and wanted > self.calls:
                raise BudgetReached(
                    f"max_api_calls: what is left of {self.calls} calls is needed for what has "
                    "been begun"
                )
            self._reserved += calls
        try:
            yield
        finally:
            with self._reserving:
                self._reserved -= calls

    def share(self, part: float) -> int | None:
        """How many calls are a part of the budget; None if there is no limit."""
        return None if self.calls is None else math.ceil(self.calls * part)

    @property
    def _used_seconds(self) -> float:
        return time.monotonic() - self.started

    def check_overdue(self) -> None:
        """Raise BudgetReached if the time is over and requests have had time to end, too."""
        if self.seconds is not None and self._used_seconds >= self.seconds + GRACE_SECONDS:
            raise BudgetReached(f"max_run_seconds: {self.seconds:g} seconds are over")

    def check(self, used: int) -> None:
        """Raise BudgetReached if no further request may be sent."""
        if self.calls is not None and used >= self.calls:
            raise BudgetReached(f"max_api_calls: {self.calls} calls are used")
        if self.seconds is not None and self._used_seconds >= self.seconds:
            raise BudgetReached(f"max_run_seconds: {self.seconds:g} seconds are over")
