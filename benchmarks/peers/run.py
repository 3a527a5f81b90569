"""Other connectors at the same work as the tap, in the same run."""

from __future__ import annotations

import argparse
import signal
import statistics
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from connectors import connectors
from measuring import Loss, Reader, company, first_page, loss
from printing import machine, progress, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from connectors import Connector
    from measuring import Run

DEFAULT_ROWS = 40_000
DEFAULT_ROUNDS = 3
HEAD = (
    "connector",
    "rows/s",
    "ratio",
    "seconds",
    "CPU s",
    "calls",
    "calls/s",
    "distinct rows",
    "lost, edit",
    "after the next run",
    "lost, delete",
    "after the next run",
)
HELP = """\
what is done:
  each connector has a virtual environment of its own under .tools/peers, made at the first run
  from the pins beside this file; its requests to Intuit are sent to the simulator (redirected.py)
  each reads the invoices of one company, nothing before, to a file, by its own command line
  then once more, while one row of page 1 is edited (its LastUpdatedTime moves to now) right
  after page 1 was answered, and a next run from the state of that one; then all that with the
  row deleted

how to read it:
  rows/s, seconds, CPU s, calls/s   median of the rounds; the start of the process is included
  ratio                             rows/s as a part of the first connector's
  calls                             without those for tokens
  lost                              rows that the company has and no run has brought
  compare numbers of one run, never of two: this machine may be busy

examples:
  .venv/bin/python benchmarks/peers/run.py
  .venv/bin/python benchmarks/peers/run.py --rows 100000 --rounds 1
"""


def main() -> int:
    """Measure every connector and print a table."""
    options = _options()
    # What was started is ended on the way out.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("Terminated"))
    print(f"{machine()}; {options.rows:,} invoices, {options.rounds} rounds\n", flush=True)
    try:
        with tempfile.TemporaryDirectory(prefix="quickbooks-peers-") as folder:
            _measure(Path(folder), rows=options.rows, rounds=options.rounds)
    except RuntimeError as error:
        sys.stderr.write(f"The benchmark stopped: {error}\n")
        return 1
    return 0


def _measure(folder: Path, *, rows: int, rounds: int) -> None:
    progress("installing")
    chosen = connectors()
    runs = _undisturbed(chosen, folder, rows=rows, rounds=rounds)
    fastest = _rate(runs[0])
    lines = []
    for number, (connector, undisturbed) in enumerate(zip(chosen, runs, strict=True)):
        page = first_page(undisturbed[0])
        losses: list[Loss] = []
        for op in ("touch", "delete"):
            progress(f"{connector.name}: {op} after page 1")
            place = folder / f"{number}-{op}"
            losses.append(loss(connector, page, op, invoices=rows, folder=place))
        lines.append(_line(connector, undisturbed, losses, ratio=_rate(undisturbed) / fastest))
    table(HEAD, lines)


def _undisturbed(
    chosen: Sequence[Connector], folder: Path, *, rows: int, rounds: int
) -> list[list[Run]]:
    """Return the runs of each connector; what the machine does besides meets all alike."""
    runs: list[list[Run]] = [[] for _ in chosen]
    with company(rows) as simulator:
        readers = [
            Reader(connector, simulator, folder / str(number))
            for number, connector in enumerate(chosen)
        ]
        for reader in readers:
            reader.prepare()
        for number in range(rounds):
            for connector, reader, so_far in zip(chosen, readers, runs, strict=True):
                progress(f"round {number + 1}: {connector.name}")
                so_far.append(reader.read())
    return runs


def _rate(runs: Sequence[Run]) -> float:
    return statistics.median(len(run.output.ids) / run.seconds for run in runs)


def _line(
    connector: Connector, runs: Sequence[Run], losses: Sequence[Loss], *, ratio: float
) -> list[str]:
    seconds = statistics.median(run.seconds for run in runs)
    calls = len(runs[0].calls)
    return [
        connector.name,
        f"{_rate(runs):,.0f}",
        f"{ratio:.2f}",
        f"{seconds:.1f}",
        f"{statistics.median(run.cpu_seconds for run in runs):.1f}",
        f"{calls:,}",
        f"{calls / seconds:.1f}",
        f"{min(len(set(run.output.ids)) for run in runs):,}",
        *(f"{number:,}" for of_edit in losses for number in of_edit),
    ]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="benchmarks/peers/run.py",
        description="Measure other connectors at the same work as the tap, in the same run.",
        epilog=HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--rows",
        type=_positive,
        default=DEFAULT_ROWS,
        metavar="N",
        help=f"invoices in the company (default: {DEFAULT_ROWS}); 30 days must hold more than 200 "
        "of them, else Airbyte's source never needs a second page",
    )
    parser.add_argument(
        "--rounds",
        type=_positive,
        default=DEFAULT_ROUNDS,
        metavar="N",
        help=f"undisturbed runs of each (default: {DEFAULT_ROUNDS})",
    )
    return parser.parse_args()


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is too few")
    return number


if __name__ == "__main__":
    sys.exit(main())
