"""Numbers and moments as people read them."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

UNKNOWN = "\N{EN DASH}"
_UNITS = ((10**12, "T"), (10**9, "G"), (10**6, "M"), (10**3, "k"))
_HARDLY = 0.001
_SHORT = 9.95


def number(value: float | None) -> str:
    """A count with separators of thousands."""
    return UNKNOWN if value is None else f"{value:,.0f}"


def compact(value: float) -> str:
    """A count in three digits or so, for axes."""
    for unit, letter in _UNITS:
        if value >= 0.9995 * unit:  # What rounds to it is it.
            return f"{value / unit:.3g}{letter}"
    return f"{value:.0f}"


def share(part: float, whole: float) -> str:
    """A part in percent; it is nothing or all only if it really is."""
    if whole <= 0:
        return UNKNOWN
    portion = part / whole
    if 0 < portion < _HARDLY:
        return "< 0.1 %"
    if 1 - _HARDLY < portion < 1:
        return "> 99.9 %"
    return f"{portion:,.1%}".replace("%", " %")


def moment(value: datetime | None) -> str:
    """A date and a time of day, in UTC."""
    return UNKNOWN if value is None else f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def clock(value: datetime | None) -> str:
    """A time of day, in UTC."""
    return UNKNOWN if value is None else f"{value.astimezone(UTC):%H:%M:%S}"


def duration(seconds: float) -> str:
    """How long something took."""
    if seconds < _SHORT:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{number(hours)} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
