"""What a check has found, and what to do about it."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Level(StrEnum):
    """How good or bad it is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "FAIL"


class Finding(NamedTuple):
    """The result of one check.

    Attributes:
        level: How good or bad it is.
        subject: What was looked at.
        text: What was found and, unless all is well, what to do.
    """

    level: Level
    subject: str
    text: str

    def __str__(self) -> str:
        return f"{self.level:<6}{self.subject:<13}{' '.join(self.text.split())}"
