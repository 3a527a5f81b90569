"""What `make bench` does: measure the tap, the loader and the whole path, side by side.

Rates depend on the machine and on what else it does; ratios within one run do not as much.
Everything needed is started here, in temporary folders, and removed at the end.
"""

from __future__ import annotations

import argparse
import logging
import os
import platform
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import ceiling
import concurrency
import end_to_end
import loader_alone
import loader_memory
import memory
import tap_alone
from report import heading, note

if TYPE_CHECKING:
    from collections.abc import Callable

DEFAULT_ROWS = 100_000
# Only when asked for.
LONG = {"ceiling", "loader-memory"}


class Section(NamedTuple):
    """A part of the benchmarks: what measures it, and how many rows if nothing else is said."""

    measure: Callable[[Path, int], None]
    rows: int


SECTIONS = {
    "tap": Section(tap_alone.measure, DEFAULT_ROWS),
    "memory": Section(memory.measure, DEFAULT_ROWS),
    "loader": Section(loader_alone.measure, loader_alone.ROWS),
    "loader-memory": Section(loader_memory.measure, loader_memory.ROWS),
    "end-to-end": Section(end_to_end.measure, end_to_end.ROWS),
    "concurrency": Section(concurrency.measure, concurrency.ROWS),
    "ceiling": Section(ceiling.measure, ceiling.ROWS),
}
HELP = """\
sections (--only):
  tap         pages in memory -> lines, beside msgspec taking the same pages apart;
              then the tap's command over HTTP, beside the simulator's own rate
  memory      the tap's peak with 10,000, 100,000 and --rows invoices
  loader      target-postgres-raw from a file of the tap's lines, beside a bare script of COPY and
              ON CONFLICT and the stock target-postgres; then the same rows again
  loader-memory
              the loader's peak with a million small rows (or --rows) and with 300 invoices of
              2 MB; takes minutes, so only when asked for
  end-to-end  meltano run from the simulator into PostgreSQL: rates, and who uses the processors;
              beside it the tap without ceilings, by a plain pipe and by other loaders
              (pipelinewise-target-postgres, dlt: installed under .tools/peers at the first run)
  concurrency 200,000 invoices (or --rows) by 1, 2, 4, 8 and 10 threads, without limits
  ceiling     a million invoices (or --rows) as slowly as Intuit sends them, within its limits,
              by 1 and by 10 threads; takes five minutes, so only when asked for

how to read it:
  compare numbers of one run, never of two: this machine may be busy
  CPU us/row is steadier than rows/s
  targets are printed with "met" or "MISSED"

examples:
  make bench                                       all but the long ones, in about ten minutes
  .venv/bin/python benchmarks/run.py --only tap
  .venv/bin/python benchmarks/run.py --only ceiling
  .venv/bin/python benchmarks/run.py --only loader --rows 200000
  .venv/bin/python benchmarks/run.py --only memory --rows 1000000
"""


def main() -> int:
    """Run the sections that were asked for."""
    options = _options()
    chosen = [options.only] if options.only else [name for name in SECTIONS if name not in LONG]
    logging.disable(logging.INFO)  # The taps of this process would tell of every round.
    # What was started is ended on the way out.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("Terminated"))
    started = time.monotonic()
    load = ", ".join(f"{average:.1f}" for average in os.getloadavg())
    heading("Benchmarks of tap-quickbooks-raw")
    note(
        f"{os.cpu_count()} processors, Python {platform.python_version()}, "
        f"{platform.system()} {platform.machine()}; load before: {load}"
    )
    try:
        for name in chosen:
            with tempfile.TemporaryDirectory(prefix="quickbooks-benchmark-") as folder:
                section = SECTIONS[name]
                section.measure(Path(folder), options.rows or section.rows)
    except RuntimeError as error:
        sys.stderr.write(f"The benchmark stopped: {error}\n")
        return 1
    note(f"\nTook {time.monotonic() - started:.0f} s.")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="benchmarks/run.py",
        description="Measure the tap, the loader and the whole path.",
        epilog=HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--rows",
        type=_positive,
        metavar="N",
        help=f"invoices (default: {DEFAULT_ROWS} to read, {loader_alone.ROWS} to load, or as said "
        "below); the tap's section keeps all pages in memory and takes at most "
        f"{tap_alone.MOST_ROWS}",
    )
    parser.add_argument(
        "--only",
        choices=SECTIONS,
        help="one section instead of all",
    )
    return parser.parse_args()


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is too few")
    return number


if __name__ == "__main__":
    sys.exit(main())
