"""The server's clock and the way QuickBooks writes instants.

Stamps are whole seconds since the epoch; they are printed in US Pacific time, with the rule for
daylight saving time that the United States have had since 2007.
"""

from __future__ import annotations

import time
from bisect import bisect_right
from calendar import timegm
from datetime import UTC, datetime
from email.utils import formatdate
from functools import lru_cache
from typing import Final

WINTER: Final = -8 * 3600
SUMMER: Final = -7 * 3600
_SUNDAY: Final = 6


def _sunday(year: int, month: int, number: int) -> int:
    """Return the day of the month of its n-th Sunday."""
    first = datetime(year, month, 1, tzinfo=UTC).weekday()
    return 1 + (_SUNDAY - first) % 7 + 7 * (number - 1)


_CHANGES: Final = [
    instant
    for year in range(2007, 2100)
    for instant in (
        timegm((year, 3, _sunday(year, 3, 2), 10, 0, 0)),
        timegm((year, 11, _sunday(year, 11, 1), 9, 0, 0)),
    )
]


def pacific_offset(stamp: int) -> int:
    """Return the offset of US Pacific time from UTC, in seconds, at an instant."""
    return SUMMER if bisect_right(_CHANGES, stamp) % 2 else WINTER


@lru_cache(maxsize=65536)
def _hour_text(hour: int) -> tuple[str, str]:
    """Return what stands before and after minutes and seconds in that hour since the epoch."""
    stamp = hour * 3600
    offset = pacific_offset(stamp)
    local = time.gmtime(stamp + offset)
    return time.strftime("%Y-%m-%dT%H:", local), "-07:00" if offset == SUMMER else "-08:00"


def pacific(stamp: int) -> str:
    """Write an instant as QuickBooks does: 2024-11-03T01:30:00-07:00."""
    hour, rest = divmod(stamp, 3600)
    before, after = _hour_text(hour)
    minute, second = divmod(rest, 60)
    return f"{before}{minute:02d}:{second:02d}{after}"


def pacific_date(stamp: int) -> str:
    """Return the Pacific calendar day of an instant."""
    return _hour_text(stamp // 3600)[0][:10]


@lru_cache(maxsize=8192)
def start_of_day(date: str) -> int:
    """Return the instant at which a Pacific calendar day begins."""
    utc = timegm(time.strptime(date, "%Y-%m-%d"))
    return utc - pacific_offset(utc - WINTER)


def read_instant(text: str) -> float:
    """Read a date or a date-time; without an offset it is taken as Pacific time.

    Raises:
        ValueError: The text is neither.
    """
    if len(text) == len("2024-05-07"):
        return float(start_of_day(text))
    moment = datetime.fromisoformat(text.strip())
    if moment.tzinfo is None:
        utc = timegm(moment.timetuple())
        return utc - pacific_offset(utc - WINTER) + moment.microsecond / 1e6
    return moment.timestamp()


class Clock:
    """The real clock plus an offset that tests may move."""

    def __init__(self, offset: float = 0.0) -> None:
        self.offset = offset

    def now(self) -> float:
        """Return the server's time in seconds since the epoch."""
        return time.time() + self.offset

    def stamp(self) -> int:
        """Return the server's time in whole seconds."""
        return int(self.now())

    def envelope_time(self) -> str:
        """Return the `time` of an answer: Pacific time with milliseconds."""
        now = self.now()
        text = pacific(int(now))
        return f"{text[:19]}.{int(now % 1 * 1000):03d}{text[19:]}"

    def http_date(self) -> str:
        """Return the `Date` header."""
        return formatdate(self.now(), usegmt=True)
