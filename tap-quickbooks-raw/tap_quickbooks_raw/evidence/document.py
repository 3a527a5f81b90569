"""What a verification found, as it is written down.

All instants are in UTC. The JSON file is this document, field by field.
"""

from __future__ import annotations

from datetime import datetime  # noqa: TC003  msgspec reads the annotations.

import msgspec


class EntityResult(msgspec.Struct, frozen=True, kw_only=True):
    """The comparison of one entity.

    Attributes:
        entity: QBO's name of it.
        stream: Its stream and table.
        qbo_rows: Objects in QBO; None if they cannot be counted.
        qbo_counted_at: When they were counted.
        raw_rows: Living rows in `raw`.
        raw_counted_at: When they were counted.
        method: How QBO was asked: `count`, `ids` or `none`.
        missing: Objects without a living row; None if not known. By counts alone, the difference.
        extra: Living rows without an object; None if not known. By counts alone, the difference.
        newer: Objects that QBO has in a newer version; None if that was not looked at.
        missing_ids: The first ids of those that are missing; empty by counts alone.
        extra_ids: The same of `extra`.
        newer_ids: The same of `newer`.
        sampled: Objects that were compared digit by digit.
        differing_ids: Those of them that differ.
        explanations: Why a difference is none to worry about, or why nothing can be said.
        repaired: Rows that were loaded again or marked as deleted.
        verdict: What to say about it, in a few words.
        agrees: Whether nothing is left to explain.
    """

    entity: str
    stream: str
    qbo_rows: int | None = None
    qbo_counted_at: datetime | None = None
    raw_rows: int = 0
    raw_counted_at: datetime | None = None
    method: str = "count"
    missing: int | None = None
    extra: int | None = None
    newer: int | None = None
    missing_ids: tuple[str, ...] = ()
    extra_ids: tuple[str, ...] = ()
    newer_ids: tuple[str, ...] = ()
    sampled: int = 0
    differing_ids: tuple[str, ...] = ()
    explanations: tuple[str, ...] = ()
    repaired: int = 0
    verdict: str = "ok"
    agrees: bool = True


class MonthCount(msgspec.Struct, frozen=True, kw_only=True):
    """Rows of an entity that were last changed in a month, on both sides.

    Attributes:
        stream: The stream.
        month: Its first day, such as 2026-03-01; empty for rows without a stamp.
        qbo_rows: Objects in QBO; None if the month was not counted there.
        raw_rows: Living rows in `raw`.
    """

    stream: str
    month: str
    qbo_rows: int | None
    raw_rows: int


class Ingested(msgspec.Struct, frozen=True, kw_only=True):
    """Rows that were loaded up to a moment, as the rows themselves tell.

    Attributes:
        at: The moment.
        rows: Rows in all tables that were received until then.
    """

    at: datetime
    rows: int


class DayCalls(msgspec.Struct, frozen=True, kw_only=True):
    """Calls of a day, of all commands.

    Attributes:
        day: Such as 2026-03-14, in UTC.
        calls: Requests to the API, a batch being one.
        batch_items: Queries in batches.
    """

    day: str
    calls: int
    batch_items: int


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """A verification of one company.

    Attributes:
        id: A UUID.
        realm_id: The company.
        company: Its name, if it was read.
        environment: `production` or `sandbox`.
        version: Version of this package.
        started_at: When it began.
        finished_at: When it ended.
        options: Its command line.
        settings: The tap's settings without secrets.
        window_start: Lower bound of what was compared, inclusive.
        window_end: Upper bound, exclusive; None if there is none.
        calls: Requests that it took.
        batch_items: Queries in its batches.
        entities: What was found, entity by entity.
        months: Rows per month and entity.
        progress: How the rows came in, over time.
        calls_per_day: Calls of the current month, all commands together.
        allowance: Calls that may be made in a month.
    """

    id: str
    realm_id: str
    company: str | None = None
    environment: str
    version: str
    started_at: datetime
    finished_at: datetime
    options: tuple[str, ...] = ()
    settings: dict[str, object] = {}
    window_start: datetime | None = None
    window_end: datetime | None = None
    calls: int = 0
    batch_items: int = 0
    entities: tuple[EntityResult, ...] = ()
    months: tuple[MonthCount, ...] = ()
    progress: tuple[Ingested, ...] = ()
    calls_per_day: tuple[DayCalls, ...] = ()
    allowance: int = 500_000

    @property
    def agrees(self) -> bool:
        """Whether every entity agrees."""
        return all(entity.agrees for entity in self.entities)
