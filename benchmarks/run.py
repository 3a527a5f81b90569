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
from typing import TYPE_CHECKING

import ceiling
import concurrency
import end_to_end
import loader_alone
import memory
import tap_alone
from report import heading, note

if TYPE_CHECKING:
    from collections.abc import Callable

DEFAULT_ROWS = 100_000
# A loaded row costs about ten times what a read one does.
LOADED = 3
# Only when asked for.
LONG = {"ceiling"}

HELP = """\
sections (--only):
  tap         pages in memory -> lines, beside msgspec taking the same pages apart;
              then the tap's command over HTTP, beside the simulator's own rate
  memory      the tap's peak with 10,000, 100,000 and --rows invoices
  loader      target-postgres from a file of the tap's lines, customers and invoices
  end-to-end  meltano run from the simulator into PostgreSQL: rates, and who uses the processor
  concurrency 200,000 invoices (or --rows) by 1, 2, 4, 8 and 10 threads, without limits
  ceiling     a million invoices (or --rows) as slowly as Intuit sends them, within its limits,
              by 1 and by 10 threads; takes five minutes, so only when asked for

how to read it:
  compare numbers of one run, never of two: this machine may be busy
  CPU us/row is steadier than rows/s
  targets are printed with "met" or "MISSED"

examples:
  make bench                                       all but the ceiling, in about six minutes
  .venv/bin/python benchmarks/run.py --only tap
  .venv/bin/python benchmarks/run.py --only ceiling
  .venv/bin/python benchmarks/run.py --only memory --rows 1000000
"""


def main() -> int:
    """Run the sections that were asked for."""
    options = _options()
    loaded = (options.rows or DEFAULT_ROWS) // LOADED
    sections: dict[str, Callable[[Path], None]] = {
        "tap": lambda folder: tap_alone.measure(folder, options.rows or DEFAULT_ROWS),
        "memory": lambda folder: memory.measure(folder, options.rows or DEFAULT_ROWS),
        "loader": lambda folder: loader_alone.measure(folder, loaded),
        "end-to-end": lambda folder: end_to_end.measure(folder, loaded),
        "concurrency": lambda folder: concurrency.measure(folder, options.rows or concurrency.ROWS),
        "ceiling": lambda folder: ceiling.measure(folder, options.rows or ceiling.ROWS),
    }
    chosen = [options.only] if options.only else [name for name in sections if name not in LONG]
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
                sections[name](Path(folder))
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
        help="invoices to read (default: 100000, or as said below); the tap's section keeps all "
        f"pages in memory and takes at most {tap_alone.MOST_ROWS}; N / {LOADED} are loaded",
    )
    parser.add_argument(
        "--only",
        choices=("tap", "memory", "loader", "end-to-end", "concurrency", "ceiling"),
        help="one section instead of all",
    )
    return parser.parse_args()


def _positive(text: str) -> int:
    number = int(text)
    if number < LOADED:
        raise argparse.ArgumentTypeError(f"{text} is too few: {LOADED} or more")
    return number


if __name__ == "__main__":
    sys.exit(main())
