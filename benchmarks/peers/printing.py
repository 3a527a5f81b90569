"""What the comparisons print."""

from __future__ import annotations

import os
import platform
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def machine() -> str:
    """Describe where it is measured, and how busy it is."""
    load = ", ".join(f"{average:.1f}" for average in os.getloadavg())
    return (
        f"{os.cpu_count()} processors, Python {platform.python_version()}, "
        f"{platform.system()} {platform.machine()}; load before: {load}"
    )


def table(head: Sequence[str], lines: Iterable[Sequence[str]], *, texts: int = 1) -> None:
    """Print a table in Markdown, for docs/benchmarks.md.

    Args:
        head: The names of the columns.
        lines: The cells.
        texts: How many columns are texts; the others are numbers, to the right.
    """
    print(f"| {' | '.join(head)} |")
    print(f"|{'---|' * texts}{'---:|' * (len(head) - texts)}")
    for line in lines:
        print(f"| {' | '.join(line)} |")
    sys.stdout.flush()


def progress(text: str) -> None:
    """Tell the person at the terminal what is being done."""
    sys.stderr.write(f"  ... {time.strftime('%H:%M:%S')} {text}\n")
