"""Verifications as they might have been: healthy, with gaps, tiny, hostile."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from tap_quickbooks_raw.entities import ENTITIES
from tap_quickbooks_raw.evidence.document import (
    DayCalls,
    EntityResult,
    Ingested,
    MonthCount,
    Verification,
)

REALM = "9341453000000001"
START = datetime(2026, 11, 28, 3, 15, tzinfo=UTC)
UNAVAILABLE = {"JournalCode", "TaxPayment"}
LARGE = {"Invoice": 900, "Payment": 800, "Bill": 240, "JournalEntry": 130, "TimeActivity": 300}


def verification(**changes: Any) -> Verification:
    """A verification of nothing; keywords change it."""
    defaults: dict[str, Any] = {
        "id": "6a1f0c1e-5b0e-4a55-9d0f-2f1a8a3b7c11",
        "realm_id": REALM,
        "company": "Simulated Company 1, US",
        "environment": "production",
        "version": "0.1.0",
        "started_at": START,
        "finished_at": START + timedelta(seconds=42),
    }
    return Verification(**(defaults | changes))


def result(entity: str = "Invoice", **changes: Any) -> EntityResult:
    """The result of an entity that agrees; keywords change it."""
    (stream,) = (known.stream for known in ENTITIES if known.name == entity)
    counted = {
        "qbo_counted_at": START + timedelta(seconds=2),
        "raw_counted_at": START + timedelta(seconds=9),
    }
    return EntityResult(entity=entity, stream=stream, **(counted | changes))


def month(number: int, *, last: tuple[int, int] = (2026, 11)) -> str:
    """The month that lies so many months before the last one."""
    year, place = divmod(12 * last[0] + last[1] - 1 - number, 12)
    return f"{year}-{place + 1:02}-01"


@dataclass(frozen=True)
class Gap:
    """A difference to put into a company: a share of a month's rows, or rows too many."""

    entity: str
    month: int
    rows: int


GAPS = (
    *(Gap("Invoice", number, 40 + 13 * number) for number in range(3, 9)),
    Gap("Customer", 0, -3),
    Gap("Attachable", 40, 1),
)


def company(*, months: int = 120, gaps: tuple[Gap, ...] = (), seed: int = 7) -> Verification:
    """A company of all entities; without gaps it is healthy."""
    chance = random.Random(seed)
    counts: list[MonthCount] = []
    results: list[EntityResult] = []
    for known in ENTITIES:
        mine = [gap for gap in gaps if gap.entity == known.name]
        monthly = {}
        for number in range(0 if known.name in UNAVAILABLE else months):
            size = LARGE.get(known.name, 12) * (1 - number / (months * 1.15))
            monthly[number] = int(size * chance.uniform(0.5, 1.5) * (chance.random() < 0.93))
        for number, rows in monthly.items():
            lacking = sum(gap.rows for gap in mine if gap.month == number)
            raw = max(rows - lacking, 0)
            qbo = rows if mine else None
            counts.append(
                MonthCount(stream=known.stream, month=month(number), qbo_rows=qbo, raw_rows=raw)
            )
        raw_rows = sum(count.raw_rows for count in counts if count.stream == known.stream)
        results.append(_result(known.name, mine, sum(monthly.values()), raw_rows))
    total = sum(found.raw_rows for found in results)
    return verification(
        entities=tuple(results),
        months=tuple(counts),
        progress=backfill(total),
        calls_per_day=tuple(
            DayCalls(day=f"2026-11-{day:02}", calls=chance.randint(40, 900), batch_items=80 * day)
            for day in range(1, 29)
            if day not in {8, 15, 22}
        ),
        calls=4 + 12 * bool(gaps),
        batch_items=82 + 120 * bool(gaps),
        options=("--windows", "month"),
        settings={"environment": "production", "start_date": "2000-01-01", "concurrency": 8},
        window_start=datetime(2000, 1, 1, tzinfo=UTC),
    )


def _result(entity: str, gaps: list[Gap], qbo_rows: int, raw_rows: int) -> EntityResult:
    if entity in UNAVAILABLE:
        return result(
            entity, method="none", verdict="unavailable", qbo_counted_at=None,
            explanations=("this company does not have it: only companies in France",),
        )  # fmt: skip
    if not gaps:
        return result(entity, qbo_rows=qbo_rows, raw_rows=raw_rows)
    missing, extra = max(qbo_rows - raw_rows, 0), max(raw_rows - qbo_rows, 0)
    return result(
        entity,
        qbo_rows=qbo_rows,
        raw_rows=raw_rows,
        method="ids",
        missing=missing,
        extra=extra,
        missing_ids=tuple(str(4711 + 7 * number) for number in range(min(missing, 20))),
        extra_ids=tuple(str(815 + number) for number in range(extra)),
        verdict=f"{missing} missing" if missing else f"{extra} too many",
        agrees=False,
    )


def backfill(total: int, *, points: int = 200) -> tuple[Ingested, ...]:
    """Two nights of loading, then some days of changes."""
    begin = START - timedelta(days=6)
    nights = points // 2
    found = [
        Ingested(
            at=begin + timedelta(days=place // (nights // 2), minutes=3 * (place % (nights // 2))),
            rows=int(total * 0.95 * (place + 1) / nights),
        )
        for place in range(nights)
    ]
    later = points - nights
    found += [
        Ingested(
            at=begin + timedelta(days=2, hours=place),
            rows=int(total * (0.95 + 0.05 * (place + 1) / later)),
        )
        for place in range(later)
    ]
    return tuple(found)
