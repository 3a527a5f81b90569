"""Concurrency without a network in the way: more threads must never be slower than one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from company import INVOICES, REALM, companies
from report import heading, note, progress, table, target
from tap_process import run_tap

if TYPE_CHECKING:
    from company import Company
    from tap_process import TapRun

ROWS = 200_000
ROUNDS = 3
CONCURRENCIES = (1, 2, 4, 8, 10)
# Even the best of some equal rounds differ by so much.
NOISE = 0.03


def measure(folder: Path, rows: int) -> None:
    """Measure and print.

    Args:
        folder: A temporary folder.
        rows: Number of invoices.
    """
    runs: dict[int, list[TapRun]] = {concurrency: [] for concurrency in CONCURRENCIES}
    with companies(folder, {REALM: {"Invoice": rows}}, warm=True) as (company,):
        for number in range(1, ROUNDS + 1):
            progress(f"concurrency {CONCURRENCIES}, round {number} of {ROUNDS}")
            # There and back again, so that none is always behind the same other.
            for concurrency in CONCURRENCIES[:: 1 if number % 2 else -1]:
                nowhere = Path(os.devnull)
                done = run_tap(
                    company, INVOICES, rows=rows, output=nowhere, concurrency=concurrency
                )
                runs[concurrency].append(done)
    best = {
        concurrency: min((done.result for done in rounds), key=lambda result: result.seconds)
        for concurrency, rounds in runs.items()
    }
    ratios = {concurrency: best[1].seconds / result.seconds for concurrency, result in best.items()}
    heading(
        f"Concurrency: {rows:,} invoices from a simulator without latency and limits, to /dev/null"
    )
    table(
        (
            f"concurrency, best of {ROUNDS} rounds",
            "rows/s",
            "to concurrency 1",
            "slowest round",
            "calls",
            "CPU us/row",
            "MB",
        ),
        [
            (
                str(concurrency),
                round(rows / result.seconds),
                ratios[concurrency],
                round(rows / max(done.result.seconds for done in runs[concurrency])),
                result.calls,
                result.cpu_seconds / rows * 1e6,
                result.peak_bytes / 1e6,
            )
            for concurrency, result in best.items()
        ],
    )
    note("The tap does not wait here, so more threads can win only what the simulator takes.")
    target(
        f"more threads are never slower than one, but for {NOISE:.0%} of noise",
        met=min(ratios.values()) >= 1 - NOISE,
    )


def _read(company: Company, rows: int, concurrency: int) -> TapRun:
    nowhere = Path(os.devnull)
    return run_tap(company, INVOICES, rows=rows, output=nowhere, concurrency=concurrency)
