"""Runs the uncapped tap as a process and takes its result."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from company import catalog
from uncapped_tap import RESULT_FILE, Result

if TYPE_CHECKING:
    from company import Company

UNCAPPED_TAP = Path(__file__).with_name("uncapped_tap.py")


class TapRun(NamedTuple):
    """One run of the tap's command.

    Attributes:
        result: What the tap says.
        wall_seconds: From the start of the process to its end.
    """

    result: Result
    wall_seconds: float


def run_tap(
    company: Company,
    stream: str,
    *,
    rows: int,
    output: Path,
    **settings: Any,  # noqa: ANN401  Settings are of any type.
) -> TapRun:
    """Read one stream of a company into a file.

    Raises:
        RuntimeError: It failed, or its rows are not as many as the company has.
    """
    config = company.config(**settings)
    files = (
        ("--config", company.write("config.json", config)),
        ("--catalog", company.write("catalog.json", catalog(config, stream))),
    )
    result_file = company.folder / "result.json"
    result_file.unlink(missing_ok=True)
    started = time.monotonic()
    with output.open("wb") as out:
        done = subprocess.run(
            [sys.executable, str(UNCAPPED_TAP), *(str(word) for pair in files for word in pair)],
            stdout=out,
            stderr=subprocess.PIPE,
            env={**os.environ, RESULT_FILE: str(result_file)},
            check=False,
            text=True,
        )
    seconds = time.monotonic() - started
    if done.returncode:
        raise RuntimeError(f"the tap ended with {done.returncode}:\n{done.stderr[-2000:]}")
    result = msgspec.json.decode(result_file.read_bytes(), type=Result)
    if result.rows != rows:
        raise RuntimeError(f"the tap gave {result.rows} rows of {rows}:\n{done.stderr[-2000:]}")
    return TapRun(result, seconds)
