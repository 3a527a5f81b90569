"""What the benchmarks print: tables and a few words."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Cell = str | int | float


def heading(text: str) -> None:
    """Print the heading of a section."""
    print(f"\n{text}\n{'-' * len(text)}", flush=True)


def table(head: Sequence[str], rows: Iterable[Sequence[Cell]]) -> None:
    """Print a table: the first column to the left, numbers to the right."""
    lines = [list(head), *([_text(cell) for cell in row] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    lines.insert(1, ["-" * width for width in widths])
    for first, *others in lines:
        cells = (cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))
        print("  ".join((first.ljust(widths[0]), *cells)))
    sys.stdout.flush()


def target(text: str, *, met: bool) -> None:
    """Print a target and whether it was met."""
    print(f"Target: {text}: {'met' if met else 'MISSED'}", flush=True)


def note(text: str) -> None:
    """Print a line that explains."""
    print(text, flush=True)


def progress(text: str) -> None:
    """Tell the person at the terminal what is being done."""
    sys.stderr.write(f"  ... {text}\n")


def _text(cell: Cell) -> str:
    match cell:
        case float():
            return f"{cell:,.2f}" if abs(cell) < 10 else f"{cell:,.1f}"  # noqa: PLR2004  Three digits tell enough.
        case int():
            return f"{cell:,}"
        case _:
            return cell
