"""End to end: from the simulator into PostgreSQL, by Meltano and several loaders."""

from __future__ import annotations

import os
from pathlib import PurePath
from typing import TYPE_CHECKING, NamedTuple

import loaders
from company import REALM, companies
from processes import cpu_seconds, machine_seconds, postgres_seconds, run_watched
from project import place
from report import heading, note, progress, table, target
from tap_process import UNCAPPED_TAP
from uncapped_project import TAP
from ways import ways

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from company import Company
    from loaders import Loader
    from project import Place
    from ways import Start, Way

ROWS = 50_000
# Rows a second over a minute: 500 pages of 1,000.
CEILING = 8_333
CORES = os.cpu_count() or 1
OTHERS = "other work"
PARTS = ("tap", "Meltano", "loader", "PostgreSQL", "simulator", OTHERS)
TAPS = {TAP, UNCAPPED_TAP.name}
LOADERS = {loaders.OURS, loaders.STOCK, "dlt_loader.py"}
# From such shares on there is not more to be had.
ALL_CORES = 0.9
ONE_CORE = 0.85
NEAR_CEILING = 0.9
# The start-up must be no larger part of a run, else what lies beyond it is noise.
MOST_START_UP = 0.7


class Spent(NamedTuple):
    """One run.

    Attributes:
        wall: Seconds on the clock.
        cpu: Processor seconds by part.
        peak: The most memory of the loader that was resident at once, in bytes.
    """

    wall: float
    cpu: Mapping[str, float]
    peak: int


class Result(NamedTuple):
    """A way's run with all rows, and its run with none."""

    way: Way
    rows: int
    full: Spent
    empty: Spent

    @property
    def seconds(self) -> float:
        """Seconds beyond the start-up."""
        return self.full.wall - self.empty.wall

    @property
    def rate(self) -> float:
        """Rows a second beyond the start-up."""
        return self.rows / self.seconds

    @property
    def tells(self) -> bool:
        """Whether there is enough beyond the start-up."""
        return self.empty.wall <= self.full.wall * MOST_START_UP

    @property
    def cpu(self) -> dict[str, float]:
        """Processor seconds beyond the start-up, by part."""
        return {part: self.full.cpu[part] - self.empty.cpu[part] for part in PARTS}


def measure(folder: Path, rows: int) -> None:
    """Measure and print.

    Args:
        folder: A temporary folder.
        rows: Number of invoices.
    """
    results: list[Result] = []
    with (
        companies(folder, {REALM: {"Invoice": rows}}, warm=True) as (company,),
        place(folder) as where,
    ):
        chosen, failures = _loaders(where)
        for way in ways(company, where, chosen):
            progress(f"end to end, {rows:,} rows: {way.name}")
            try:
                results.append(_measure(way, company, where, rows))
            except RuntimeError as error:
                if loaders.OURS in way.name:
                    raise
                failures.append(f"{way.name}: {error}")
    heading(f"End to end: {rows:,} invoices from the simulator into PostgreSQL on {CORES} cores")
    _print_rates(results)
    _print_shares(results)
    for text in failures:
        note(f"Did not run: {text}")
    for result in results:
        if loaders.OURS in result.way.name:
            met = result.tells and result.rate >= CEILING
            target(f"{result.way.name}: {CEILING:,} rows/s beyond the start-up", met=met)


def _loaders(where: Place) -> tuple[list[Loader], list[str]]:
    """All loaders, and what is wrong with those that are not to be had."""
    chosen = [loaders.ours(where), loaders.stock(where)]
    failures: list[str] = []
    for make in (loaders.pipelinewise, loaders.dlt):
        try:
            chosen.append(make(where))
        except RuntimeError as error:
            failures.append(str(error))
    return chosen, failures


def _measure(way: Way, company: Company, where: Place, rows: int) -> Result:
    where.clear()
    full = _run(way.full, company, where)
    if (found := where.loaded()) != rows:
        raise RuntimeError(f"it has loaded {found} rows of {rows}")
    return Result(way, rows, full, _run(way.empty, company, where))


def _run(start: Start, company: Company, where: Place) -> Spent:
    before = postgres_seconds(where.data), cpu_seconds(company.process), machine_seconds()
    used = run_watched(start.command, name=_part, log=where.folder / "meltano.log", env=start.env)
    cpu = {part: used.cpu.get(part, 0.0) for part in PARTS}
    cpu["PostgreSQL"] = postgres_seconds(where.data) - before[0]
    cpu["simulator"] = cpu_seconds(company.process) - before[1]
    # What this machine does besides takes from the run, and belongs to none of its parts.
    cpu[OTHERS] = max(machine_seconds() - before[2] - sum(cpu.values()), 0)
    return Spent(used.wall, cpu, used.peak.get("loader", 0))


def _part(command: Sequence[str]) -> str:
    """Name a process of the run by its command line, of which the second word is the script."""
    names = {PurePath(word).name for word in command[:2]}
    if names & TAPS:
        return "tap"
    return "loader" if names & LOADERS else "Meltano"


def _print_rates(results: Sequence[Result]) -> None:
    first = results[0].full.wall
    table(
        (
            "from the simulator by",
            "seconds",
            "rows/s",
            "to the first",
            "start-up s",
            "rows/s beyond it",
            "loader's MB",
            "what limits",
        ),
        [
            (
                result.way.name,
                result.full.wall,
                round(result.rows / result.full.wall),
                f"{first / result.full.wall:.2f}",
                result.empty.wall,
                round(result.rate) if result.tells else "-",
                round(result.full.peak / 1e6),
                _limit(result) if result.tells else "too few rows to tell",
            )
            for result in results
        ],
    )
    note("The first is the job as it is: the tap sends at most 10 requests a second (10,000 rows)")
    note(f"and 500 a minute ({CEILING:,} rows/s over a minute). The others have no ceilings.")
    note("The start-up is a run that finds no rows; other work is what else ran on this machine.\n")


def _limit(result: Result) -> str:
    """What there is no more of."""
    cores = {part: used / result.seconds for part, used in result.cpu.items()}
    most = max(cores, key=lambda part: cores[part])
    busy = sum(cores.values()) / CORES
    if busy >= ALL_CORES:
        return f"all cores, {busy:.0%} busy, most of it {most}"
    if result.way.capped and result.rate >= CEILING * NEAR_CEILING:
        return f"the ceilings; cores {busy:.0%} busy"
    if cores[most] >= ONE_CORE:
        return f"{most}, {cores[most]:.0%} of one core"
    return f"none alone; {most} {cores[most]:.0%} of one core"


def _print_shares(results: Sequence[Result]) -> None:
    spent = [(result, (*result.cpu.values(), sum(result.cpu.values()))) for result in results]
    table(
        ("share of all cores beyond the start-up", *PARTS, "all"),
        [
            (result.way.name, *(f"{used / result.seconds / CORES:.0%}" for used in parts))
            for result, parts in spent
            if result.tells
        ],
    )
    print()
    own = [part for part in PARTS if part != OTHERS]
    table(
        ("CPU us/row beyond the start-up", *own, "sum"),
        [
            (
                result.way.name,
                *(result.cpu[part] / result.rows * 1e6 for part in own),
                sum(result.cpu[part] for part in own) / result.rows * 1e6,
            )
            for result in results
        ],
    )
