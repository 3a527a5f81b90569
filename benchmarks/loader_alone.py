"""The loader alone: how fast lines become rows, beside a bare script and the stock loader."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, NamedTuple

import loaders
from company import INVOICES, REALM, companies
from loaders import BARE, OURS, STOCK, load
from project import place
from report import heading, note, progress, table, target
from tap_process import run_tap

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from loaders import Load, Loader
    from project import Place, Tuples

    Rounds = dict[str, list["Round"]]

ROWS = 50_000
MEANT_ROWS = 200_000
ROUNDS = 3
AGAIN = (OURS, BARE)
LEAST_OF_BARE = 0.9
LEAST_OF_STOCK = 3.0
LEAST_AGAIN = 1.5
MOST_MEGABYTES = 150
HEAD = (
    f"median of {ROUNDS} rounds, interleaved",
    "rows/s",
    "of bare",
    "of stock",
    "start-up s",
    "Python CPU us/row",
    "PostgreSQL CPU us/row",
    "other work, cores",
    "MB",
)


class Round(NamedTuple):
    """What one loader did in one round.

    Attributes:
        start: With nothing but a schema.
        first: Into the empty table.
        again: The same rows once more.
        tuples: The table after that.
    """

    start: Load
    first: Load
    again: Load
    tuples: Tuples


def measure(folder: Path, rows: int) -> None:
    """Measure and print.

    Args:
        folder: A temporary folder.
        rows: Number of invoices.
    """
    file = folder / "invoices.singer"
    progress(f"loader: reading {rows:,} invoices into a file")
    with companies(folder, {REALM: {"Invoice": rows}}, warm=True) as (company,):
        run_tap(company, INVOICES, rows=rows, output=file)
    with place(folder) as where:
        contenders = [make(where) for make in (loaders.ours, loaders.bare, loaders.stock)]
        rounds: Rounds = {loader.name: [] for loader in contenders}
        for number in range(1, ROUNDS + 1):
            for loader in contenders:
                progress(f"loader, round {number} of {ROUNDS}: {loader.name}")
                done = _round(loader, contenders[0], file, where, rows)
                rounds[loader.name].append(done)
    size = round(file.stat().st_size / rows)
    heading(f"Loader alone: from a file, {rows:,} invoices of {size:,} bytes a line")
    _print_rates(rounds, rows)
    _print_again(rounds)
    _print_targets(rounds)
    if rows < MEANT_ROWS:
        note(f"The targets are meant for {MEANT_ROWS:,} rows: with fewer the start weighs more.")


def _round(loader: Loader, ours: Loader, file: Path, where: Place, rows: int) -> Round:
    schema = _only_schema(file)
    where.clear()
    if loader.name == BARE:
        load(ours, schema, where)  # The script wants to find the table.
    start = load(loader, schema, where)
    passes = []
    # The stock loader's second pass would take as long as all others, and has no target.
    for _ in range(2 if loader.name in AGAIN else 1):
        passes.append(load(loader, file, where))
        if (found := where.loaded()) != rows:
            raise RuntimeError(f"{loader.name} has loaded {found} rows of {rows}")
    return Round(start, passes[0], passes[-1], where.tuples())


def _only_schema(file: Path) -> Path:
    """A file with nothing but the stream's SCHEMA message."""
    schema = file.with_suffix(".schema")
    with file.open("rb") as lines:
        schema.write_bytes(next(line for line in lines if b'"SCHEMA"' in line[:100]))
    return schema


def _print_rates(rounds: Rounds, rows: int) -> None:
    table(
        HEAD,
        [
            *(_line(name, rounds, _first, rows) for name in rounds),
            *(_line(name, rounds, _again, rows) for name in AGAIN),
        ],
    )
    note("Rates have the start of the process in them; the first pass goes into an empty table.")
    note("Other work is what else ran on this machine meanwhile.")


def _line(
    name: str, rounds: Rounds, which: Callable[[Round], Load], rows: int
) -> tuple[str, int, str, str, float, float, float, float, int]:
    done = [which(one) for one in rounds[name]]
    return (
        name if which is _first else f"{name}, the same rows again",
        round(rows / _median(one.wall for one in done)),
        f"{_ratio(rounds[name], which, rounds[BARE], which):.2f}",
        f"{_ratio(rounds[name], which, rounds[STOCK], _first):.2f}",
        _median(one.start.wall for one in rounds[name]),
        _median(one.python for one in done) / rows * 1e6,
        _median(one.postgres for one in done) / rows * 1e6,
        _median(one.others / one.wall for one in done),
        round(max(one.peak for one in done) / 1e6),
    )


def _print_again(rounds: Rounds) -> None:
    print()
    table(
        ("the same rows again", "to the first pass", "rows written", "dead rows"),
        [
            (
                name,
                f"{_ratio(rounds[name], _again, rounds[name], _first):.2f}",
                max(one.tuples.changed for one in rounds[name]),
                max(one.tuples.dead for one in rounds[name]),
            )
            for name in AGAIN
        ],
    )


def _print_targets(rounds: Rounds) -> None:
    ours = rounds[OURS]
    target(
        f"at least {LEAST_OF_BARE} of the bare script",
        met=_ratio(ours, _first, rounds[BARE], _first) >= LEAST_OF_BARE,
    )
    target(
        f"at least {LEAST_OF_STOCK:g} times the stock loader",
        met=_ratio(ours, _first, rounds[STOCK], _first) >= LEAST_OF_STOCK,
    )
    target(
        f"the same rows again: at least {LEAST_AGAIN} times the first pass",
        met=_ratio(ours, _again, ours, _first) >= LEAST_AGAIN,
    )
    target(
        "the same rows again: no dead row, none written",
        met=not any(one.tuples.changed or one.tuples.dead for one in ours),
    )
    target(
        f"at most {MOST_MEGABYTES} MB",
        met=max(max(one.first.peak, one.again.peak) for one in ours) <= MOST_MEGABYTES * 1e6,
    )


def _first(one: Round) -> Load:
    return one.first


def _again(one: Round) -> Load:
    return one.again


def _ratio(
    mine: list[Round],
    my: Callable[[Round], Load],
    theirs: list[Round],
    their: Callable[[Round], Load],
) -> float:
    """How many times as fast mine is: the median over the rounds."""
    pairs = zip(mine, theirs, strict=True)
    return _median(their(other).wall / my(one).wall for one, other in pairs)


def _median(numbers: Iterable[float]) -> float:
    return statistics.median(numbers)
