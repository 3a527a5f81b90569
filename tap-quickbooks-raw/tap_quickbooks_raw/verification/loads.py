"""Up to when `raw` was loaded: what its rows tell, and what the runs have written down.

Without the bookmarks of a state, the newest end of a window that any row was asked for in tells
when the company was loaded at the latest. An object that was changed before and is not in `raw`
was missed. A run that finds nothing leaves no rows, so the file of the runs is read as well.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tap_quickbooks_raw.verification.finding import newest

if TYPE_CHECKING:
    from collections.abc import Mapping


class _Run(msgspec.Struct):
    command: str
    outcome: str
    realm_id: str
    started_at: datetime
    selected: list[str] | None = None


_decode = msgspec.json.Decoder(_Run).decode


class Loads:
    """Tells up to when each stream of a company was loaded.

    Args:
        path: The file of the runs; empty for none.
        realm_id: The company.
        settle: How far a run stays behind the clock.
        asked_to: The newest end of a window in each table, by stream.
    """

    def __init__(
        self,
        path: str,
        realm_id: str,
        *,
        settle: timedelta,
        asked_to: Mapping[str, datetime | None],
    ) -> None:
        self._runs = [run for run in _read(path) if run.realm_id == realm_id] if path else []
        self._settle = settle
        self._asked_to = asked_to
        self._everywhere = newest(asked_to.values())

    def to(self, stream: str) -> datetime | None:
        """Up to when a stream was loaded; None if nothing tells.

        A run of some streams has loaded no other one; but only where all runs are known is a
        stream's own time taken for it.
        """
        covering = newest(
            # As a window ends, in whole seconds.
            run.started_at.replace(microsecond=0) - self._settle
            for run in self._runs
            if run.outcome == "complete" and (run.selected is None or stream in run.selected)
        )
        last = newest(run.started_at for run in self._runs)
        are_all_known = last is not None and (self._everywhere or last) <= last
        if covering is None or not are_all_known:
            return newest((self._everywhere, covering))
        return newest((self._asked_to.get(stream), covering))


def _read(path: str) -> list[_Run]:
    """Read the syncs of a file of runs; lines that are cut or foreign are passed over."""
    try:
        lines = Path(path).read_bytes().splitlines()
    except OSError:
        return []
    runs = []
    for line in lines:
        try:
            run = _decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, OverflowError):
            continue
        if run.started_at.tzinfo is None:
            run.started_at = run.started_at.replace(tzinfo=UTC)
        if run.command == "sync":
            runs.append(run)
    return runs
