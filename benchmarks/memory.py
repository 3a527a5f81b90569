"""Memory: the tap's peak must not grow with the company."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from company import INVOICES, companies
from report import heading, progress, table, target
from tap_process import run_tap

SIZES = (10_000, 50_000, 100_000)
# From so many invoices on there are windows enough for all readers and those that wait.
ALL_BUSY = 50_000
MOST_MEGABYTES = 150
# What may lie between two companies and still be called flat.
FLAT_MEGABYTES = 20


class Way(NamedTuple):
    """A way to read: its name in the table, settings, and the company from which it is flat."""

    name: str
    settings: dict[str, int]
    flat_from: int


WAYS = (Way("1", {"concurrency": 1}, 0), Way("8", {"concurrency": 8}, ALL_BUSY))


def measure(folder: Path, rows: int) -> None:
    """Measure and print.

    Args:
        folder: A temporary folder.
        rows: Number of invoices of the largest company.
    """
    sizes = sorted({size for size in SIZES if size < rows} | {rows})
    realms = {f"934145300000{number:04}": size for number, size in enumerate(sizes, start=1)}
    peaks: dict[str, dict[int, float]] = {way.name: {} for way in WAYS}
    lines = []
    with companies(folder, {realm: {"Invoice": size} for realm, size in realms.items()}) as served:
        for company, size in zip(served, sizes, strict=True):
            for way in WAYS:
                progress(f"memory, {size:,} invoices, concurrency {way.name}")
                nowhere = Path(os.devnull)
                done = run_tap(company, INVOICES, rows=size, output=nowhere, **way.settings).result
                peaks[way.name][size] = done.peak_bytes / 1e6
                lines.append(
                    (f"{size:,}", way.name, done.calls, done.peak_bytes / 1e6, done.seconds)
                )
    heading("Memory: the most that was resident of the tap's process (VmHWM)")
    table(("invoices", "concurrency", "calls", "MB", "seconds"), lines)
    for way in WAYS:
        peak = peaks[way.name]
        flat = [used for size, used in peak.items() if size >= min(way.flat_from, rows)]
        target(
            f"concurrency {way.name}: under {MOST_MEGABYTES} MB",
            met=max(peak.values()) < MOST_MEGABYTES,
        )
        target(
            f"concurrency {way.name}: flat, within {FLAT_MEGABYTES} MB",
            met=max(flat) - min(flat) < FLAT_MEGABYTES,
        )
