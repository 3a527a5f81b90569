"""What is committed at once: rows of several streams in their order, and the state behind them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from target_postgres_raw.rows import Run

if TYPE_CHECKING:
    from target_postgres_raw.merge import Table
    from target_postgres_raw.rows import Layout, Layouts, Record


class Chunk:
    """Rows and state since the last commit.

    Attributes:
        rows: How many rows it has, those of the stock sinks too.
        size: How many bytes they have.
        runs: By table, rows that may be written at once, in this order.
        state: The last state that was sent among them.
        started: When its first message came, on the monotonic clock.
    """

    def __init__(self) -> None:
        self.rows = 0
        self.size = 0
        self.runs: dict[Table, list[Run]] = {}
        self.state: dict[str, Any] | None = None
        self.started: float | None = None

    def note(self, state: dict[str, Any]) -> None:
        """Keep a state; it is true once all that came before it is committed."""
        self.start()
        self.state = state

    def start(self) -> None:
        """Let the time run, if it does not yet."""
        if self.started is None:
            self.started = time.monotonic()

    def count(self, size: int) -> None:
        """Count a row of so many bytes."""
        if self.started is None:
            self.started = time.monotonic()
        self.rows += 1
        self.size += size

    def add(self, table: Table, layouts: Layouts, record: Record) -> None:
        """Add a record.

        Records with the same columns are written at once, whatever comes between them, unless
        that has the same key.
        """
        layout = layouts.layout(record)
        row = layout.encode(record)
        self.count(len(row))
        runs = self.runs.get(table)
        if runs is None:
            self.runs[table] = [Run(layout, [row], set())]
            return
        run = runs[-1]
        if run.layout is not layout:
            run = _place(runs, layout, layout.key(record))
        run.rows.append(row)
        if run is not runs[0]:
            run.keys.add(layout.key(record))


def _place(runs: list[Run], layout: Layout, key: tuple[bytes, ...]) -> Run:
    for run in reversed(runs):
        if run.layout is layout:
            return run
        if key in run.keys:
            break
    runs.append(Run(layout, [], set()))
    return runs[-1]
