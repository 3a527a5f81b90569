"""The loader alone: how fast lines become rows."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from processes import postgres_seconds, run_watched
from project import ENTITIES, JOBS, TARGET, bench
from report import heading, note, progress, table
from tap_process import run_tap

if TYPE_CHECKING:
    from pathlib import Path

    from project import Bench


class Load(NamedTuple):
    """One run of the loader: seconds on the clock, and of the processor in it and PostgreSQL."""

    wall: float
    loader: float
    postgres: float


def measure(folder: Path, rows: int) -> None:
    """Measure and print.

    Args:
        folder: A temporary folder.
        rows: Number of objects of each entity.
    """
    lines = []
    with bench(folder, rows) as place:
        config = place.companies[next(iter(JOBS))].write("loader.json", place.loader_settings())
        for stream in JOBS:
            file = folder / f"{stream}.singer"
            progress(f"loader, {rows:,} rows of {stream}")
            run_tap(place.companies[stream], stream, rows=rows, output=file)
            empty = _only_schema(file)
            start = _load(place, config, empty)
            load = _load(place, config, file)
            if (found := place.count(stream)) != rows:
                raise RuntimeError(f"raw.{stream} has {found} rows of {rows}")
            lines.append(
                (
                    ENTITIES[stream],
                    round(file.stat().st_size / rows),
                    round(rows / load.wall),
                    round(rows / (load.wall - start.wall)),
                    start.wall,
                    (load.loader - start.loader) / rows * 1e6,
                    load.postgres / rows * 1e6,
                )
            )
            file.unlink()
    heading(f"Loader alone: target-postgres from a file, {rows:,} rows each")
    table(
        (
            "entity",
            "bytes/line",
            "rows/s",
            "without start-up",
            "start-up s",
            "loader CPU us/row",
            "PostgreSQL CPU us/row",
        ),
        lines,
    )
    note("Settings of meltano.yml; first load into an empty table.")


def _only_schema(file: Path) -> Path:
    """A file with nothing but the stream's SCHEMA message."""
    empty = file.with_suffix(".schema")
    with file.open("rb") as lines:
        empty.write_bytes(next(line for line in lines if b'"SCHEMA"' in line[:100]))
    return empty


def _load(place: Bench, config: Path, file: Path) -> Load:
    before = postgres_seconds(place.data)
    with file.open("rb") as lines:
        used = run_watched(
            [str(TARGET), "--config", str(config)],
            name=lambda _: "loader",
            log=place.folder / "loader.log",
            stdin=lines,
            env={**os.environ, "PGSSLMODE": "disable", "PGTZ": "UTC"},
        )
    return Load(used.wall, used.cpu["loader"], postgres_seconds(place.data) - before)
