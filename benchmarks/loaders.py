"""The loaders under measurement: how each is started, and with which settings."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from peers.environments import environment
from processes import PROJECT, machine_seconds, postgres_seconds, run_watched

if TYPE_CHECKING:
    from project import Place

OURS, STOCK, BARE = "target-postgres-raw", "target-postgres", "bare script"
PIPELINEWISE, DLT = "pipelinewise-target-postgres", "dlt, merge"
BATCH_ROWS = 10_000
HERE = Path(__file__).parent


class Loader(NamedTuple):
    """A command that reads Singer's lines.

    Attributes:
        name: What the tables call it.
        command: The words that start it, with its settings.
    """

    name: str
    command: tuple[str, ...]


class Load(NamedTuple):
    """One run of a loader.

    Attributes:
        wall: Seconds on the clock, from the start of the process to its end.
        python: Processor seconds of the loader.
        postgres: Processor seconds of PostgreSQL.
        others: Processor seconds of all else on this machine meanwhile.
        peak: The most memory of the loader that was resident at once, in bytes.
    """

    wall: float
    python: float
    postgres: float
    others: float
    peak: int


def ours(place: Place) -> Loader:
    """The default loader, as `meltano.yml` has it."""
    return _loader(OURS, [_installed(OURS)], place.loader_settings(OURS), place)


def stock(place: Place) -> Loader:
    """The stock loader; its settings in `meltano.yml` are the fastest that it has."""
    return _loader(STOCK, [_installed(STOCK)], place.loader_settings(STOCK), place)


def bare(place: Place) -> Loader:
    """No loader, but the same statements."""
    return _loader(BARE, [Path(sys.executable), HERE / "bare_loader.py"], _server(place), place)


def pipelinewise(place: Place) -> Loader:
    """The loader pipelinewise-target-postgres.

    Raises:
        RuntimeError: It cannot be installed.
    """
    config = {
        **_server(place),
        "dbname": place.connection.database,
        "default_target_schema": "raw",
        "batch_size_rows": BATCH_ROWS,
        "disable_table_cache": True,
    }
    command = environment("pipelinewise-target-postgres") / "target-postgres"
    return _loader(PIPELINEWISE, [command], config, place)


def dlt(place: Place) -> Loader:
    """The package dlt, which merges.

    Raises:
        RuntimeError: It cannot be installed.
    """
    config = {**_server(place), "folder": str(place.folder / "dlt")}
    return _loader(DLT, [environment("dlt") / "python", HERE / "dlt_loader.py"], config, place)


def load(loader: Loader, file: Path, place: Place) -> Load:
    """Let a loader read a file.

    Raises:
        RuntimeError: It failed.
    """
    before = postgres_seconds(place.data), machine_seconds()
    with file.open("rb") as lines:
        used = run_watched(
            loader.command,
            name=lambda _: "loader",
            log=place.folder / "loader.log",
            stdin=lines,
            env=variables(),
        )
    python, postgres = used.cpu["loader"], postgres_seconds(place.data) - before[0]
    others = max(machine_seconds() - before[1] - python - postgres, 0)
    return Load(used.wall, python, postgres, others, used.peak["loader"])


def variables() -> dict[str, str]:
    """The environment of a loader, as Meltano gives it."""
    return {**os.environ, "PGSSLMODE": "disable", "PGTZ": "UTC"}


def _server(place: Place) -> dict[str, Any]:
    return place.connection._asdict()


def _installed(name: str) -> Path:
    """The command that Meltano has installed.

    Raises:
        RuntimeError: It has not.
    """
    command = PROJECT / ".meltano" / "loaders" / name / "venv" / "bin" / name
    if not command.exists():
        raise RuntimeError(f"{command} is missing: run `make install` first")
    return command


def _loader(name: str, command: list[Path], config: dict[str, Any], place: Place) -> Loader:
    file = place.folder / f"{name.replace(', ', '-').replace(' ', '-')}.json"
    file.write_text(json.dumps(config))
    return Loader(name, (*map(str, command), "--config", str(file)))
