"""The tap's command without Intuit's ceilings, which the simulator does not have.

It takes the options of `tap-quickbooks-raw`. Where RESULT_FILE names a file, it writes there at
the end what the run used.
"""

from __future__ import annotations

import os
import resource
import sys
import time
from functools import cached_property
from pathlib import Path

import msgspec
from tap_quickbooks_raw.limiter import Limiter
from tap_quickbooks_raw.run import Run
from tap_quickbooks_raw.tap import TapQuickBooksRaw
from typing_extensions import override

RESULT_FILE = "BENCHMARK_RESULT_FILE"
NO_CEILING = 10**9


class Result(msgspec.Struct, frozen=True):
    """What one run of the tap used.

    Attributes:
        rows: Records emitted.
        calls: Requests sent.
        seconds: From the first request to the last record.
        cpu_seconds: Processor time of the process, its start included.
        peak_bytes: The most memory that was resident at once.
    """

    rows: int
    calls: int
    seconds: float
    cpu_seconds: float
    peak_bytes: int


class UncappedTap(TapQuickBooksRaw):
    """The tap, as fast as it can."""

    @cached_property
    @override
    def run(self) -> Run:
        limiter = Limiter(
            concurrency=self.settings.concurrency, per_minute=NO_CEILING, per_second=NO_CEILING
        )
        return Run(self.settings, limiter)

    @override
    def finish(self) -> int:
        exit_code = super().finish()
        if path := os.environ.get(RESULT_FILE):
            result = Result(
                rows=self.run.rows,
                calls=self.run.client.calls,
                seconds=self.run.seconds,
                cpu_seconds=time.process_time(),
                peak_bytes=peak_bytes(),
            )
            Path(path).write_bytes(msgspec.json.encode(result))
        return exit_code


def peak_bytes() -> int:
    """The most memory of this process that was resident at once."""
    if sys.platform != "linux":
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
    # ru_maxrss would include what the parent had before the exec.
    return high_water("self")


def high_water(process: int | str) -> int:
    """The most memory of a process that was resident at once, as Linux tells it.

    Raises:
        RuntimeError: The process has ended.
    """
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"/proc/{process}/status has no VmHWM")


if __name__ == "__main__":
    UncappedTap.cli()
