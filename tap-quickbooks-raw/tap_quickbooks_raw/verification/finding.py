"""What a verification keeps of each entity, and what it says of it."""

from __future__ import annotations

import textwrap
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from tap_quickbooks_raw.evidence.document import EntityResult
from tap_quickbooks_raw.exceptions import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from tap_quickbooks_raw.entities import Entity
    from tap_quickbooks_raw.exceptions import EntityError
    from tap_quickbooks_raw.listing import Stamps
    from tap_quickbooks_raw.verification.raw_rows import Tally

UNAVAILABLE = "unavailable"
REASON_LENGTH = 100
# Ids that are named of each kind of difference.
NAMED_IDS = 20


class Counted(NamedTuple):
    """The objects of an entity in QBO.

    Attributes:
        at: When they were counted.
        rows: How many there are; None if that cannot be told.
        stamps: What they are, where they were listed.
        error: Why they cannot be counted.
    """

    at: datetime
    rows: int | None = None
    stamps: Stamps | None = None
    error: EntityError | None = None


class Reason(NamedTuple):
    """Why some differences are nothing to worry about, or what is wrong with others.

    Attributes:
        number: How many they are.
        short: What to say behind the number.
        long: The whole sentence; empty if that is all.
    """

    number: int
    short: str
    long: str = ""

    def __str__(self) -> str:
        return f"{self.number:,} {self.short}"


@dataclass(slots=True)
class Finding:
    """What was found of one entity.

    Attributes:
        entity: The entity.
        counted: The objects in QBO; None until they are counted.
        tally: The rows in `raw`; None until they are counted.
        raw_error: Why they cannot be.
        missing: Objects without a living row; a number where ids are not known.
        extra: Living rows without an object, and so on.
        newer: Ids of objects of which QBO has a newer version; None if that was not looked at.
        explained: Ids whose difference is explained.
        gone: Ids of rows whose objects are proven not to be there.
        excused: What explains differences.
        faults: What is left of them.
        sampled: Objects that were compared digit by digit.
        differing: Properties that differ, by id.
        notes: What else to say.
        repaired: Rows that were loaded again or marked.
        months: Objects in QBO by month, where they were counted.
        is_judged: Whether it has been compared.
        stopped: Why it was not.
    """

    entity: Entity
    counted: Counted | None = None
    tally: Tally | None = None
    raw_error: str = ""
    missing: int | set[str] | None = None
    extra: int | set[str] | None = None
    newer: set[str] | None = None
    explained: set[str] = field(default_factory=set)
    gone: set[str] = field(default_factory=set)
    excused: list[Reason] = field(default_factory=list)
    faults: list[Reason] = field(default_factory=list)
    sampled: int = 0
    differing: dict[str, list[str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    repaired: int = 0
    months: dict[str, int] = field(default_factory=dict)
    is_judged: bool = False
    stopped: str = ""

    @property
    def rows(self) -> int:
        """Objects in QBO, as far as they are known."""
        return (self.counted.rows if self.counted else 0) or 0

    @property
    def raw_rows(self) -> int:
        """Living rows in `raw`."""
        return self.tally.rows if self.tally else 0

    @property
    def difference(self) -> int:
        """By how much QBO has more."""
        return self.rows - self.raw_rows

    @property
    def error(self) -> EntityError | None:
        """Why the objects in QBO cannot be counted."""
        return self.counted.error if self.counted else None

    @property
    def is_comparable(self) -> bool:
        """Whether both sides are known."""
        return self.counted is not None and self.counted.error is None and self.tally is not None

    @property
    def agrees(self) -> bool:
        """Whether nothing is left to explain."""
        is_known = self.is_comparable or isinstance(self.error, UnavailableError)
        return is_known and self.is_judged and not self.faults and not self.raw_error

    @property
    def verdict(self) -> str:
        """What to say, in a few words."""
        text = "ok"
        if self.raw_error:
            text = f"raw cannot be read: {self.raw_error}"
        elif not self.is_judged:
            text = f"not compared: {self.stopped}"
        elif self.faults:
            text = _told(self.faults)
        elif isinstance(self.error, UnavailableError):
            text = UNAVAILABLE
        elif self.error is not None:
            text = f"cannot be counted: {self.error}"
        elif self.excused:
            text = f"ok: {_told(self.excused)}"
        if self.repaired:
            text += f"; {self.repaired:,} repaired"
        return textwrap.shorten(text, REASON_LENGTH + len("cannot be counted: "))

    @property
    def explanations(self) -> tuple[str, ...]:
        """Whole sentences on what differs."""
        sentences = (reason.long for reason in (*self.faults, *self.excused) if reason.long)
        return tuple(dict.fromkeys((*sentences, *self.notes)))

    def stop(self, why: object) -> None:
        """Note why it was not compared, if it was not."""
        if not self.is_judged:
            self.stopped = str(why)

    def judge(self) -> None:
        """Without any ids: what is missing or too much by number, unless it is unavailable."""
        if self.error is not None and not isinstance(self.error, UnavailableError):
            return
        self.missing, self.extra = max(self.difference, 0), max(-self.difference, 0)
        if self.missing:
            self.faults.append(Reason(self.missing, "missing"))
        if self.extra:
            self.faults.append(Reason(self.extra, "too many"))

    def result(self) -> EntityResult:
        """What is written down."""
        counted, tally = self.counted, self.tally
        return EntityResult(
            entity=self.entity.name,
            stream=self.entity.stream,
            qbo_rows=counted.rows if counted else None,
            qbo_counted_at=counted.at if counted else None,
            raw_rows=self.raw_rows,
            raw_counted_at=tally.counted_at if tally else None,
            method=self._method,
            missing=_number(self.missing),
            extra=_number(self.extra),
            newer=_number(self.newer),
            missing_ids=self._named(self.missing),
            extra_ids=self._named(self.extra),
            newer_ids=self._named(self.newer),
            sampled=self.sampled,
            differing_ids=tuple(sorted(self.differing)),
            explanations=self.explanations,
            repaired=self.repaired,
            verdict=self.verdict,
            agrees=self.agrees,
        )

    @property
    def _method(self) -> str:
        if self.counted is None or self.counted.rows is None:
            return "none"
        return "count" if self.counted.stamps is None else "ids"

    def _named(self, ids: int | set[str] | None) -> tuple[str, ...]:
        """The first ids, those that are not explained before the others."""
        if not isinstance(ids, set):
            return ()
        return tuple(sorted(ids, key=lambda key: (key in self.explained, key))[:NAMED_IDS])


def months_of(stamps: Stamps) -> dict[str, int]:
    """Count objects by the month of their LastUpdatedTime."""
    return dict(Counter(f"{stamp.moment:%Y-%m}-01" if stamp else "" for stamp in stamps.values()))


def newest(moments: Iterable[datetime | None]) -> datetime | None:
    """Return the newest of some moments; None if there is none."""
    return max((moment for moment in moments if moment is not None), default=None)


def _told(reasons: Iterable[Reason]) -> str:
    return ", ".join(map(str, reasons))


def _number(ids: int | set[str] | None) -> int | None:
    return len(ids) if isinstance(ids, set) else ids
