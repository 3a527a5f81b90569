"""The ways from the simulator into PostgreSQL, each with a run of all rows and one of none."""

from __future__ import annotations

import os
import shlex
import sys
from typing import TYPE_CHECKING, NamedTuple

from company import BIN, INVOICES, catalog
from loaders import OURS, variables
from project import STATE_SUFFIX, tap_environment
from tap_process import UNCAPPED_TAP
from uncapped_project import TAP, make_project

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from company import Company
    from loaders import Loader
    from project import Place

JOB = "qb_invoices_backfill"
MELTANO = (str(BIN / "meltano"), "run", "--state-id-suffix", STATE_SUFFIX)
NO_STATE = ("--full-refresh", "--no-state-update")
# No row of the simulator was changed within.
NOTHING = {"start_date": "2026-07-02", "end_date": "2026-07-03"}


class Start(NamedTuple):
    """The words that start a run, and its environment."""

    command: tuple[str, ...]
    env: Mapping[str, str]


class Way(NamedTuple):
    """A way from the simulator into PostgreSQL.

    Attributes:
        name: What the tables call it.
        full: Its run with all rows.
        empty: Its run with none, which is the start-up.
        capped: Whether the tap keeps Intuit's ceilings.
    """

    name: str
    full: Start
    empty: Start
    capped: bool = False


def ways(company: Company, place: Place, chosen: Sequence[Loader]) -> Iterator[Way]:
    """Yield the project's own job first, then the tap without ceilings and each loader."""
    env = {**place.environment(), **tap_environment(company)}
    yield _meltano(f"meltano, {OURS}, ceilings kept", (JOB,), env)._replace(capped=True)
    env |= {
        "MELTANO_PROJECT_ROOT": str(make_project(place.folder, chosen, INVOICES)),
        "MELTANO_DATABASE_URI": f"sqlite:///{place.folder / 'uncapped.db'}",
        **{name: value for name, value in variables().items() if name.startswith("PG")},
    }
    for number, loader in enumerate(chosen):
        if loader.name == OURS:
            yield _pipe(f"a plain pipe, {OURS}", company, loader)
        yield _meltano(f"meltano, {loader.name}", (TAP, f"loader-{number}"), env)


def _meltano(name: str, blocks: tuple[str, ...], env: dict[str, str]) -> Way:
    nothing = {f"TAP_QUICKBOOKS_RAW_{key.upper()}": value for key, value in NOTHING.items()}
    return Way(
        name,
        Start((*MELTANO, *blocks), env),
        Start((*MELTANO, *NO_STATE, *blocks), {**env, **nothing}),
    )


def _pipe(name: str, company: Company, loader: Loader) -> Way:
    starts: list[Start] = []
    for number, dates in enumerate(({}, NOTHING)):
        config = company.config(**dates)
        tap = (
            sys.executable,
            str(UNCAPPED_TAP),
            *("--config", str(company.write(f"pipe-{number}.json", config))),
            *("--catalog", str(company.write(f"pipe-{number}.catalog", catalog(config, INVOICES)))),
        )
        both = f"set -o pipefail; {shlex.join(tap)} | {shlex.join(loader.command)}"
        starts.append(Start(("bash", "-c", both), {**os.environ, **variables()}))
    full, empty = starts
    return Way(name, full, empty)
