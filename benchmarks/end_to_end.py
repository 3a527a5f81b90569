"""End to end: `meltano run` from the simulator into PostgreSQL."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING, NamedTuple

from company import BIN
from processes import cpu_seconds, postgres_seconds, run_watched
from project import ENTITIES, JOBS, STATE_SUFFIX, bench
from report import heading, note, progress, table

if TYPE_CHECKING:
    from pathlib import Path

    from project import Bench

PARTS = ("tap", "loader", "PostgreSQL", "Meltano")


class Spent(NamedTuple):
    """One run: seconds on the clock, processor seconds by part, and of the simulator."""

    wall: float
    cpu: dict[str, float]
    simulator: float


def measure(folder: Path, rows: int) -> None:
    """Measure and print.

    Args:
        folder: A temporary folder.
        rows: Number of objects of each entity.
    """
    rates, shares = [], []
    with bench(folder, rows) as place:
        place.loader_settings()  # Any command of Meltano makes its new state database.
        for stream in JOBS:
            progress(f"meltano run {JOBS[stream]}, {rows:,} rows")
            full = _run(place, stream)
            if (found := place.count(stream)) != rows:
                raise RuntimeError(f"raw.{stream} has {found} rows of {rows}")
            progress(f"meltano run {JOBS[stream]} again: nothing new")
            empty = _run(place, stream)
            rates.append(
                (
                    ENTITIES[stream],
                    full.wall,
                    round(rows / full.wall),
                    empty.wall,
                    round(rows / (full.wall - empty.wall)),
                )
            )
            shares += _shares(ENTITIES[stream], full, empty, rows)
    heading(f"End to end: meltano run, {rows:,} rows each, from the simulator to PostgreSQL")
    table(("entity", "seconds", "rows/s", "empty run s", "without start-up"), rates)
    note("The empty run is the next incremental one, with nothing new: it is the start-up.")
    print()
    table(
        ("processor time", "seconds", "share", "of it start-up", "us/row beyond it"),
        shares,
    )
    note("The tap keeps Intuit's ceilings here: at most 10 pages of 1000 rows a second.")


def _shares(
    entity: str, full: Spent, empty: Spent, rows: int
) -> list[tuple[str, float, str, float, float]]:
    total = sum(full.cpu.values())
    lines = [
        (
            f"{entity}: {part}",
            full.cpu[part],
            f"{full.cpu[part] / total:.0%}",
            empty.cpu[part],
            (full.cpu[part] - empty.cpu[part]) / rows * 1e6,
        )
        for part in PARTS
    ]
    beyond = (full.simulator - empty.simulator) / rows * 1e6
    return [*lines, (f"{entity}: (simulator)", full.simulator, "", empty.simulator, beyond)]


def _run(place: Bench, stream: str) -> Spent:
    simulator = place.companies[stream].process
    before = postgres_seconds(place.data), cpu_seconds(simulator)
    used = run_watched(
        [str(BIN / "meltano"), "run", "--state-id-suffix", STATE_SUFFIX, JOBS[stream]],
        name=_part,
        log=place.folder / "meltano.log",
        env=place.environment(stream),
    )
    cpu = {part: used.cpu.get(part, 0.0) for part in PARTS}
    cpu["PostgreSQL"] = postgres_seconds(place.data) - before[0]
    return Spent(used.wall, cpu, cpu_seconds(simulator) - before[1])


def _part(command: list[str]) -> str:
    """Name a process of the run by its command line, of which the second word is the script."""
    match [PurePath(word).name for word in command[:2]]:
        case [*_, "tap-quickbooks-raw"]:
            return "tap"
        case [*_, "target-postgres"]:
            return "loader"
        case _:
            return "Meltano"
