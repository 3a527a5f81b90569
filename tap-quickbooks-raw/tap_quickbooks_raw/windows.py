"""Windows: half-open ranges of LastUpdatedTime."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from typing_extensions import override


class Window(NamedTuple):
    """The half-open range ``[start, end)``, in UTC and whole seconds."""

    start: datetime
    end: datetime

    @override
    def __str__(self) -> str:
        return f"{self.start:%Y-%m-%dT%H:%M:%SZ} to {self.end:%Y-%m-%dT%H:%M:%SZ}"


def windows(start: datetime, end: datetime, *, chunk_days: int | None = None) -> list[Window]:
    """Cover ``[start, end)`` without gap or overlap.

    Args:
        start: Lower bound, inclusive.
        end: Upper bound, exclusive.
        chunk_days: Length of each window but the last; None for a single window.
    """
    if start >= end:
        return []
    if chunk_days is None:
        return [Window(start, end)]
    length = timedelta(days=chunk_days)
    count = -((start - end) // length)
    bounds = [start + length * number for number in range(count)]
    return [Window(low, min(low + length, end)) for low in bounds]
