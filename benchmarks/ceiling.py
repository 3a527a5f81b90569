"""The ceiling: how near the tap's command comes to what Intuit's limits allow.

The simulator answers as slowly as Intuit does and enforces the limits. The first minute holds
the start, the planning and the burst that the limits allow, so the one after it is measured:
a whole minute, since the limits let no more than 500 requests pass in any.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from company import INVOICES, REALM, companies
from report import heading, note, progress, table, target
from tap_command import watch_tap

if TYPE_CHECKING:
    from pathlib import Path

    from company import Company
    from tap_command import Watched

ROWS = 1_000_000
LATENCY_MS = 200
MS_PER_ROW = 0.8
SWITCHES = ("--limits", "--latency-ms", str(LATENCY_MS), "--ms-per-row", str(MS_PER_ROW))
# 500 requests a minute of 1000 rows each.
REQUESTS_PER_MINUTE = 500
ROWS_PER_SECOND = REQUESTS_PER_MINUTE * 1000 / 60
MINUTE = 60
MOST_SECONDS = 300
MANY = 10
THROTTLED = 429

LEAST_SHARE = 0.95
LEAST_FACTOR = 7
MOST_MEGABYTES = 200


class Reading(NamedTuple):
    """One run of the tap.

    Attributes:
        concurrency: Requests in flight.
        run: What was seen of the process.
        requests: The simulator's log of it, without requests for tokens.
    """

    concurrency: int
    run: Watched
    requests: list[dict[str, Any]]

    @property
    def rate(self) -> float:
        """Rows per second in the second minute, or in as much of it as the rows lasted."""
        until = min(2 * MINUTE, self.run.last.seconds) if self.run.ended else 2 * MINUTE
        return (self.run.rows_at(until) - self.run.rows_at(MINUTE)) / (until - MINUTE)

    @property
    def throttled(self) -> int:
        """Requests that met a limit."""
        return sum(request["status"] == THROTTLED for request in self.requests)

    @property
    def calls(self) -> Counter[str]:
        """Requests by operation."""
        return Counter(str(request["operation"]) for request in self.requests)


def measure(folder: Path, rows: int) -> None:
    """Measure and print.

    Args:
        folder: A temporary folder.
        rows: Number of invoices.

    Raises:
        RuntimeError: The rows do not last for the first minute.
    """
    if rows <= REQUESTS_PER_MINUTE * 1000:
        raise RuntimeError(
            f"the ceiling is measured after the first minute, which may take "
            f"{REQUESTS_PER_MINUTE * 1000:,} rows: --rows must be more"
        )
    with companies(folder, {REALM: {"Invoice": rows}}, switches=SWITCHES) as (company,):
        one = _read(company, 1, most_seconds=2 * MINUTE)
        many = _read(company, MANY, most_seconds=MOST_SECONDS)
    if many.run.ended and many.run.last.rows != rows:
        raise RuntimeError(f"the tap gave {many.run.last.rows} rows of {rows}")
    heading(
        f"Ceiling: {rows:,} invoices, {LATENCY_MS} ms + {MS_PER_ROW} ms per row, Intuit's limits"
    )
    table(
        (
            "concurrency",
            "rows/s",
            f"of {ROWS_PER_SECOND:,.0f}",
            "status 429",
            "calls",
            "pages",
            "counts",
            "batches",
            "rows",
            "seconds",
            "MB",
            "CPU s",
            "CPU us/row",
        ),
        map(_line, (one, many)),
    )
    note("rows/s: from 60 s to 120 s after the start; the rest is of the whole run.")
    note(f"The tap is stopped after {2 * MINUTE} s with concurrency 1, else {MOST_SECONDS} s.")
    if many.run.ended and many.run.last.seconds < 2 * MINUTE:
        note("The rows lasted for less than the second minute, so the rate is only about right.")
    factor = many.rate / one.rate
    target(
        f"concurrency {MANY}: {LEAST_SHARE:.0%} of {ROWS_PER_SECOND:,.0f} rows/s",
        met=many.rate >= LEAST_SHARE * ROWS_PER_SECOND,
    )
    target("no request met a limit", met=one.throttled + many.throttled == 0)
    target(
        f"concurrency {MANY}: under {MOST_MEGABYTES} MB",
        met=many.run.peak_bytes < MOST_MEGABYTES * 1e6,
    )
    target(
        f"concurrency {MANY} against 1: a factor of {LEAST_FACTOR}; it is {factor:.1f}",
        met=factor >= LEAST_FACTOR,
    )


def _read(company: Company, concurrency: int, *, most_seconds: float) -> Reading:
    progress(f"ceiling, concurrency {concurrency}, up to {most_seconds:.0f} s")
    company.control("DELETE", "requests")
    # The run before must not count in this one's minute.
    company.control("POST", "clock", {"advance_seconds": 2 * MINUTE})
    run = watch_tap(company, INVOICES, most_seconds=most_seconds, concurrency=concurrency)
    log = company.control("GET", "requests")
    return Reading(concurrency, run, [request for request in log if request["realm"]])


def _line(reading: Reading) -> tuple[str | int | float, ...]:
    run, calls = reading.run, reading.calls
    return (
        str(reading.concurrency),
        round(reading.rate),
        f"{reading.rate / ROWS_PER_SECOND:.1%}",
        reading.throttled,
        calls.total(),
        calls["query"],
        calls["count"],
        calls["batch"],
        run.last.rows,
        run.last.seconds,
        run.peak_bytes / 1e6,
        run.cpu_seconds,
        run.cpu_seconds / run.last.rows * 1e6,
    )
