"""What following a company costs, and what is seen of its changes, by this tap and by a peer."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from connectors import REALM
from followers import PLURALS, Object, followers, sync
from printing import machine, progress, table
from quickbooks_simulator.server import CompanySpec, running_simulator
from tap_quickbooks_raw.plan import MONTHLY_ALLOWANCE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from connectors import State
    from followers import Follower, Sync
    from quickbooks_simulator.server import RunningSimulator

INVOICES = 10_000
COUNTS = {"Invoice": INVOICES, "Customer": 1_000, "Item": 200, "Payment": 1_000, "Bill": 1_000}
OTHER_ROWS = 110
DEFAULT_ROUNDS = 3

NO_LATENCY = {"latency_ms": 0.0, "ms_per_row": 0.0}
INTUITS_LATENCY = {"latency_ms": 200.0, "ms_per_row": 0.8}

MANY = 5_000
# They are spread over an hour; every fifth portion has a deletion.
PORTIONS = 50
PORTION_SECONDS = 72
DELETING = 5
# Longer than our tap stays behind the server's clock.
PAUSE_SECONDS = 60

DAILY = "nothing, first run of a day"
DAYS = 30
RHYTHMS = {"every hour": 24, "every five minutes": 288}

HEAD = (
    "change",
    "tap",
    "calls",
    "batch items",
    "seconds",
    "without latency",
    "rows",
    "deletions seen",
    "rows missing",
)
MONTH = ("runs", "tap", "calls a month", f"of {MONTHLY_ALLOWANCE:,}", "batch items", "with these")

HELP = """\
what is done:
  each tap reads all its entities of one company once; the state of that is what every run starts
  from; then, for each case, a company of the same data is changed, and each tap follows
  the cases: nothing; nothing, but what our tap asks for once a day is due (rarely_read_hours is
  0); 10 changes (of five entities two each: an update and a deletion); 5,000 changes of invoices
  within an hour, 10 of them deletions
  a month has 30 days of runs at equal intervals, one a day of them the first

how to read it:
  calls           successful reads as the simulator meters them; a batch is one
  batch items     the queries in these batches
  seconds         best of the rounds, the start of the process included; every answer takes
                  200 ms and 0.8 ms per row, or (without latency) no longer than it takes
  rows            records that the tap emitted, those of deletions included
  deletions seen  of those that were made
  rows missing    changed and living, but not among the rows
  with these      the share if each query of a batch counted as a call

examples:
  .venv/bin/python benchmarks/peers/changes.py
"""


class Made(NamedTuple):
    """The changes that were made: entities and ids."""

    living: list[Object]
    deleted: list[Object]


def main() -> int:
    """Measure and print the tables."""
    options = _options()
    # What was started is ended on the way out.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("Terminated"))
    print(f"{machine()}; {options.rounds} rounds\n", flush=True)
    try:
        with tempfile.TemporaryDirectory(prefix="quickbooks-changes-") as folder:
            _measure(Path(folder), options.rounds)
    except RuntimeError as error:
        sys.stderr.write(f"The benchmark stopped: {error}\n")
        return 1
    return 0


def _measure(folder: Path, rounds: int) -> None:
    progress("installing")
    taps = followers()
    cases: dict[str, Callable[[RunningSimulator], Made]] = {
        "nothing": _nothing,
        DAILY: _nothing,
        "10 changes": _few,
        f"{MANY:,} changes": _many,
    }
    with _company() as simulator:
        first = {tap: _first_read(tap, simulator, folder) for tap in taps}
    lines = []
    costs: dict[Follower, list[Sync]] = {tap: [] for tap in taps}
    for name, change in cases.items():
        with _company() as simulator:
            made = change(simulator)
            simulator.advance(PAUSE_SECONDS)
            place = folder / name
            slow = _rounds(first, simulator, place, name=name, rounds=rounds, **INTUITS_LATENCY)
            fast = _rounds(first, simulator, place, name=name, rounds=rounds, **NO_LATENCY)
        for tap in taps:
            costs[tap].append(fast[tap][0])
            lines.append([name, tap.name, *_cells(tap, slow[tap], fast[tap], made)])
    table(HEAD, lines, texts=2)
    print()
    _print_month(costs)


def _company() -> AbstractContextManager[RunningSimulator]:
    """Serve a company; it is the same each time."""
    return running_simulator([CompanySpec(realm_id=REALM, rows=OTHER_ROWS, counts=COUNTS)])


def _first_read(tap: Follower, simulator: RunningSimulator, folder: Path) -> State:
    """Read the company and return the state to go on from.

    Raises:
        RuntimeError: Something is missing already.
    """
    progress(f"{tap.name}: first read")
    read_at = datetime.fromtimestamp(int(simulator.now()), UTC).isoformat()
    run = sync(tap, simulator, folder / "first" / tap.name)
    brought = Counter(stream for stream, _ in run.living)
    for entity, number in COUNTS.items():
        if brought[tap.stream(entity)] != number:
            raise RuntimeError(f"{tap.name}: {brought[tap.stream(entity)]} of {number} {entity}")
    progress(f"{tap.name}: {run.calls} calls, {run.seconds:.1f} s, {run.rows:,} rows")
    return tap.handed(run.state, read_at)


def _nothing(_simulator: RunningSimulator) -> Made:
    return Made([], [])


def _few(simulator: RunningSimulator) -> Made:
    made = Made([], [])
    for entity in PLURALS:
        changed, deleted, *_ = _ids(simulator, entity)
        _edit(simulator, made, entity, [changed], deleted)
    return made


def _many(simulator: RunningSimulator) -> Made:
    made = Made([], [])
    ids = _ids(simulator, "Invoice")[:MANY]
    size = MANY // PORTIONS
    for number in range(PORTIONS):
        portion = ids[number * size :][:size]
        deleted = portion.pop() if number % DELETING == 0 else None
        _edit(simulator, made, "Invoice", portion, deleted)
        simulator.advance(PORTION_SECONDS)
    return made


def _ids(simulator: RunningSimulator, entity: str) -> list[str]:
    return [json.loads(row)["Id"] for row in simulator.rows(REALM, entity)]


def _edit(
    simulator: RunningSimulator,
    made: Made,
    entity: str,
    changed: list[str],
    deleted: str | None,
) -> None:
    """Change some objects, delete one, and note it."""
    edits: list[dict[str, Any]] = [{"op": "update", "entity": entity, "ids": changed}]
    if deleted:
        edits.append({"op": "delete", "entity": entity, "id": deleted})
        made.deleted.append((entity, deleted))
    made.living.extend((entity, each) for each in changed)
    simulator.edit(REALM, edits)


def _rounds(
    first: Mapping[Follower, State],
    simulator: RunningSimulator,
    folder: Path,
    *,
    name: str,
    rounds: int,
    **latency: float,
) -> dict[Follower, list[Sync]]:
    """Return the runs of each tap; what the machine does besides meets all alike."""
    simulator.configure(**latency)
    runs: dict[Follower, list[Sync]] = {tap: [] for tap in first}
    for number in range(rounds):
        progress(f"{name}, {latency['latency_ms']:.0f} ms, round {number + 1}")
        for tap, state in first.items():
            runs[tap].append(sync(tap, simulator, folder / tap.name, state, is_daily=name == DAILY))
    return runs


def _cells(tap: Follower, slow: Sequence[Sync], fast: Sequence[Sync], made: Made) -> list[str]:
    """Return what is measured of a tap in a case; of counts the worst of all runs."""
    living = {(tap.stream(entity), id_) for entity, id_ in made.living}
    deleted = {(tap.stream(entity), id_) for entity, id_ in made.deleted}
    runs = (*slow, *fast)
    return [
        f"{max(run.calls for run in runs):,}",
        f"{max(run.items for run in runs):,}",
        f"{min(run.seconds for run in slow):.1f}",
        f"{min(run.seconds for run in fast):.1f}",
        f"{max(run.rows for run in runs):,}",
        f"{min(len(deleted & run.deleted) for run in runs)} of {len(deleted)}",
        f"{max(len(living - run.living) for run in runs):,}",
    ]


def _print_month(costs: Mapping[Follower, Sequence[Sync]]) -> None:
    """Print what a month of runs costs, of which the first of a day may cost more."""
    lines = []
    for what, case in (("nothing", 0), ("10 changes", 2)):
        for rhythm, runs in RHYTHMS.items():
            for tap, syncs in costs.items():
                idle, daily, each = syncs[0], syncs[1], syncs[case]
                calls = DAYS * (runs * each.calls + daily.calls - idle.calls)
                items = DAYS * (runs * each.items + daily.items - idle.items)
                shares = (f"{number / MONTHLY_ALLOWANCE:.1%}" for number in (calls, calls + items))
                share, share_with_items = shares
                cells = [f"{calls:,}", share, f"{items:,}", share_with_items]
                lines.append([f"{rhythm}, {what}", tap.name, *cells])
    table(MONTH, lines, texts=2)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="benchmarks/peers/changes.py",
        description="Measure what it costs to follow a company, by this tap and by a peer.",
        epilog=HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--rounds",
        type=int,
        choices=range(1, 10),
        default=DEFAULT_ROUNDS,
        metavar="N",
        help=f"runs of each tap in each case, 1 to 9 (default: {DEFAULT_ROUNDS})",
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
