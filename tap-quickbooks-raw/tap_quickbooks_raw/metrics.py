"""What a run did, in numbers: for the log, the runs file and the metrics file."""

from __future__ import annotations

import fcntl
import logging
import os
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec

from tap_quickbooks_raw.evidence.document import DayCalls
from tap_quickbooks_raw.progress import rate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tap_quickbooks_raw.run import Run

Command = Literal["sync", "plan", "verify", "sweep"]
Outcome = Literal["complete", "limit", "failed", "interrupted"]

# Whoever writes holds the lock for milliseconds.
LOCK_SECONDS = 5.0

logger = logging.getLogger("tap-quickbooks-raw.metrics")


class RunRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What a run did.

    Attributes:
        command: `sync`, `plan`, `verify` or `sweep`.
        outcome: `complete`; `limit`, if it was ended by max_api_calls or max_run_seconds;
            `failed`, if something was not done; `interrupted`, if it was asked to stop.
        realm_id: The company.
        environment: `production` or `sandbox`.
        started_at: When it began, in UTC.
        finished_at: When it ended.
        seconds: The time between.
        rows: Records emitted.
        deleted: Deletions told or marked.
        calls: Requests to the API, further attempts included; a batch is one.
        batch_items: Queries in the batches.
        retries: Calls that were further attempts.
        refreshes: Refreshes of the tokens.
        bytes: Size of all answers' bodies, decompressed.
        waits: Seconds that requests were held back: `limits`, to keep to Intuit's ceilings;
            `retry_after`, after a 429 or where an answer asked for it; `backoff`, before other
            further attempts, summed up over those that wait side by side.
        selected: The streams that were to be read; None for all.
        streams: Records of each stream that had any.
        failures: Streams that were not loaded completely.
    """

    command: Command
    outcome: Outcome | Literal["running"]
    realm_id: str
    environment: str
    started_at: datetime
    finished_at: datetime
    seconds: float
    rows: int
    deleted: int
    calls: int
    batch_items: int
    retries: int
    refreshes: int
    bytes: int
    waits: dict[str, float]
    selected: list[str] | None
    streams: dict[str, int]
    failures: list[str]

    @property
    def line(self) -> str:
        """The record as one line of JSON."""
        return msgspec.json.encode(self).decode()

    @property
    def summary(self) -> str:
        """The record in words."""
        return (
            f"Company (realm) {self.realm_id}: {self.rows:d} rows in {self.calls:d} calls "
            f"({self.batch_items:d} batch items), {self.deleted:d} deleted, {self.seconds:.1f} s, "
            f"{rate(self.rows, self.seconds)}"
        )


def record_of(run: Run, *, command: Command, outcome: Outcome | Literal["running"]) -> RunRecord:
    """Take down what a run has done until now."""
    client = run.client
    return RunRecord(
        command=command,
        outcome=outcome,
        realm_id=run.settings.realm_id,
        environment=run.settings.environment,
        started_at=run.began,
        finished_at=datetime.now(UTC),
        seconds=round(run.seconds, 3),
        rows=run.rows,
        deleted=run.deletions,
        calls=client.calls,
        batch_items=client.batch_items,
        retries=client.retries,
        refreshes=client.refreshes,
        bytes=client.received,
        waits=client.waits.seconds(),
        selected=run.selected,
        streams=dict(run.progress.streams),
        failures=sorted(run.failures),
    )


def record_run(run: Run, *, command: Command, outcome: Outcome) -> RunRecord:
    """Write down what a run did, in the files that its settings name.

    Trouble with a file is a warning, since the work itself is done.
    """
    record = record_of(run, command=command, outcome=outcome)
    if run.settings.runs_file:
        try:
            append(Path(run.settings.runs_file), record.line.encode())
        except OSError as error:
            _warn("runs_file", run.settings.runs_file, error)
    if run.settings.metrics_file and command == "sync":
        try:
            _expose(run.settings.metrics_file, record)
        except (OSError, ImportError) as error:
            _warn("metrics_file", run.settings.metrics_file, error)
    return record


def expose_progress(run: Run) -> None:
    """Write the metrics file during a run; trouble with it is told at the end of the run."""
    if run.settings.metrics_file:
        with suppress(OSError, ImportError):
            _expose(run.settings.metrics_file, record_of(run, command="sync", outcome="running"))


def _expose(path: str, record: RunRecord) -> None:
    from tap_quickbooks_raw import metrics_file  # noqa: PLC0415  Its library takes 40 ms to load.

    metrics_file.write(Path(path), record)


def _warn(setting: str, path: str, error: OSError | ImportError) -> None:
    remedy = "name a place where it can, or leave the setting empty"
    if isinstance(error, ImportError):
        # The code of an editable installation may be newer than what is installed beside it.
        reason, remedy = str(error), "install the tap again"
    else:
        reason = error.strerror or type(error).__name__
    logger.warning("%s: %s cannot be written (%s); %s", setting, path, reason, remedy)


def append(path: Path, line: bytes) -> None:
    """Append a whole line to a file that others append to as well, made for the owner only.

    Raises:
        OSError: It cannot be written; then it is as it was before.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Not blocking: a pipe in its place must not hold up the end of a run.
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK
    handle = os.open(path, flags, 0o600)
    try:
        _lock(handle)
        size = os.fstat(handle).st_size
        # A process that was killed in the middle of its line has left half of one.
        is_cut = size > 0 and os.pread(handle, 1, size - 1) != b"\n"
        rest = memoryview(b"\n" * is_cut + line + b"\n")
        try:
            while rest:
                rest = rest[os.write(handle, rest) :]
        except OSError:
            with suppress(OSError):
                os.ftruncate(handle, size)
            raise
    finally:
        os.close(handle)


def _lock(handle: int) -> None:
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise TimeoutError(0, "another process keeps it locked") from None
            time.sleep(0.02)
        else:
            return


_Count = Annotated[int, msgspec.Meta(ge=0, le=1_000_000_000)]


class _Spent(msgspec.Struct):
    """What of a line of the runs file is needed to add up the calls."""

    realm_id: str
    started_at: Annotated[datetime, msgspec.Meta(tz=True)]
    calls: _Count
    batch_items: _Count


def calls_by_day(path: str | Path, realm_id: str, month: str) -> list[DayCalls]:
    """Add up the calls of a company's runs, of all commands, by the day on which they began.

    Args:
        path: The runs file; one that cannot be read has no runs.
        realm_id: The company.
        month: Such as 2026-03, in UTC.

    Returns:
        The days on which there were runs, in order.
    """
    days: dict[str, tuple[int, int]] = {}
    for spent in _spent(Path(path)):
        day = spent.started_at.astimezone(UTC).date().isoformat()
        if spent.realm_id == realm_id and day.startswith(f"{month}-"):
            calls, items = days.get(day, (0, 0))
            days[day] = (calls + spent.calls, items + spent.batch_items)
    return [
        DayCalls(day=day, calls=calls, batch_items=items)
        for day, (calls, items) in sorted(days.items())
    ]


def _spent(path: Path) -> Iterator[_Spent]:
    """Yield what the lines tell, without those that were cut or are not ours."""
    decoder = msgspec.json.Decoder(_Spent)
    with suppress(OSError), path.open("rb") as lines:
        for line in lines:
            with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError, OverflowError):
                yield decoder.decode(line)
