"""Runs the tap's own command, with Intuit's ceilings, and counts its rows as they come."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

import psutil
from company import BIN, catalog
from processes import cpu_seconds
from uncapped_tap import high_water

if TYPE_CHECKING:
    from pathlib import Path

    from company import Company

# The line before the first record is the schema's.
RECORD = b'\n{"type":"RECORD"'
CHUNK_BYTES = 1 << 20
LOOK_SECONDS = 0.2


class Arrival(NamedTuple):
    """How many rows there were after so many seconds."""

    seconds: float
    rows: int


class Watched(NamedTuple):
    """One run of the tap's command.

    Attributes:
        arrivals: The rows as they came, from the start of the process.
        ended: Whether the tap came to its end, and was not stopped.
        cpu_seconds: Processor time of the process.
        peak_bytes: The most of its memory that was resident at once.
    """

    arrivals: list[Arrival]
    ended: bool
    cpu_seconds: float
    peak_bytes: int

    @property
    def last(self) -> Arrival:
        """The last row."""
        return self.arrivals[-1]

    def rows_at(self, seconds: float) -> int:
        """The rows that had come by then."""
        return max((a.rows for a in self.arrivals if a.seconds <= seconds), default=0)


def watch_tap(
    company: Company,
    stream: str,
    *,
    most_seconds: float,
    **settings: Any,  # noqa: ANN401  Settings are of any type.
) -> Watched:
    """Read one stream of a company; stop the tap after so many seconds.

    Raises:
        RuntimeError: It failed.
    """
    config = company.config(**settings)
    files = (
        ("--config", company.write("config.json", config)),
        ("--catalog", company.write("catalog.json", catalog(config, stream))),
    )
    log = company.folder / "tap.log"
    command = [str(BIN / "tap-quickbooks-raw"), *(str(word) for pair in files for word in pair)]
    with log.open("wb") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, bufsize=0)
    try:
        return _watch(process, log, most_seconds)
    finally:
        process.kill()
        process.wait()


def _watch(process: subprocess.Popen[bytes], log: Path, most_seconds: float) -> Watched:
    """Count rows until the output ends.

    Reading costs next to nothing beside the tap, and the counting looks at each byte once.
    """
    started = time.monotonic()
    arrivals = [Arrival(0.0, 0)]
    output = process.stdout
    if output is None:
        raise RuntimeError("the tap has no output")
    peak, looked, rest, stopped = 0, started, b"", False
    while True:
        ready, _, _ = select.select([output], [], [], LOOK_SECONDS)
        now = time.monotonic()
        if now - looked >= LOOK_SECONDS:
            looked = now
            with suppress(OSError, RuntimeError, psutil.Error):  # While it ends it has no memory.
                peak = max(peak, _memory(process.pid))
        if now - started >= most_seconds and not stopped:
            stopped = True
            process.terminate()
        if not ready:
            continue
        chunk = output.read(CHUNK_BYTES)
        if not chunk:
            break
        seen = rest + chunk
        if found := seen.count(RECORD):
            arrivals.append(Arrival(now - started, arrivals[-1].rows + found))
        rest = seen[1 - len(RECORD) :]
    # Not reaped yet, so that its times can still be read.
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    spent = cpu_seconds(psutil.Process(process.pid))
    code = process.wait()
    if code and not stopped:
        raise RuntimeError(f"the tap ended with {code}:\n{log.read_text()[-2000:]}")
    return Watched(arrivals, not stopped, spent, peak)


def _memory(pid: int) -> int:
    return high_water(pid) if sys.platform == "linux" else psutil.Process(pid).memory_info().rss
