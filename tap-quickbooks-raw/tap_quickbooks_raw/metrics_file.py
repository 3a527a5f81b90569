"""The last run as a text file for the textfile collector of Prometheus' node exporter.

It is of the text format that the exporter reads, and of OpenMetrics as well.
"""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.openmetrics.exposition import generate_latest

from tap_quickbooks_raw.metrics import Outcome

if TYPE_CHECKING:
    from tap_quickbooks_raw.metrics import RunRecord

PREFIX = "quickbooks_raw_"
LAST_SUCCESS = f"{PREFIX}last_success_timestamp_seconds"
LAST_END = f"{PREFIX}last_end_timestamp_seconds"
OUTCOMES = (*get_args(Outcome), "running")


def write(path: Path, record: RunRecord) -> None:
    """Replace the file by what is known now, at once for whoever reads it.

    Raises:
        OSError: It cannot be written; then it is as it was before.
    """
    content = exposition(record, before=_read(path))
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            # The exporter is another user.
            os.fchmod(file.fileno(), 0o644)
        Path(name).replace(path)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise


def exposition(record: RunRecord, *, before: str) -> bytes:
    """Return the text of the file.

    Args:
        record: The run.
        before: The text that the file has had until now.
    """
    registry = CollectorRegistry()

    def gauge(name: str, meaning: str, value: float, **labels: str) -> None:
        labels = {"realm_id": record.realm_id, **labels}
        if name not in gauges:
            gauges[name] = Gauge(name, meaning, [*labels], registry=registry)
        gauges[name].labels(**labels).set(value)

    gauges: dict[str, Gauge] = {}
    for name, (meaning, value) in _numbers(record).items():
        gauge(PREFIX + name, meaning, value)
    for reason, seconds in record.waits.items():
        meaning = "Seconds that requests of the last run were held back."
        gauge(f"{PREFIX}wait_seconds", meaning, seconds, reason=reason)
    for stream, rows in record.streams.items():
        meaning = "Rows of the last run by stream, of those that had any."
        gauge(f"{PREFIX}stream_rows", meaning, rows, stream=stream)
    for outcome in OUTCOMES:
        gauge(
            f"{PREFIX}outcome",
            "1 for how the last run has ended, 0 for how it has not.",
            outcome == record.outcome,
            outcome=outcome,
            environment=record.environment,
        )
    ended = record.finished_at.timestamp()
    gauge(
        LAST_SUCCESS,
        "When a run was last complete, in seconds since 1970; 0 if none is known.",
        ended if record.outcome == "complete" else _value(before, LAST_SUCCESS, record.realm_id),
    )
    gauge(
        LAST_END,
        "When a run has last ended, in seconds since 1970; 0 if none is known.",
        ended if record.outcome != "running" else _value(before, LAST_END, record.realm_id),
    )
    content: bytes = generate_latest(registry)  # type: ignore[no-untyped-call]  # It has no types.
    return content


def _numbers(record: RunRecord) -> dict[str, tuple[str, float]]:
    return {
        "rows": ("Rows that the last run has emitted.", record.rows),
        "deleted": ("Deletions that the last run has told.", record.deleted),
        "calls": ("Requests of the last run to the API, a batch being one.", record.calls),
        "batch_items": ("Queries in batches of the last run.", record.batch_items),
        "retries": ("Calls of the last run that were further attempts.", record.retries),
        "token_refreshes": ("Refreshes of the tokens by the last run.", record.refreshes),
        "received_bytes": ("Bytes of the last run's answers, decompressed.", record.bytes),
        "duration_seconds": ("Seconds that the last run took.", record.seconds),
        "failed_streams": (
            "Streams that the last run did not load completely.",
            len(record.failures),
        ),
    }


def _read(path: Path) -> str:
    """The text of a file; empty if there is none that can be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _value(text: str, name: str, realm_id: str) -> float:
    """The value of a gauge of a company in a text; 0 if it is not there."""
    pattern = rf'^{name}\{{realm_id="{re.escape(realm_id)}"\}} ([0-9.]+(?:e\+?[0-9]+)?)$'
    found = re.search(pattern, text, re.MULTILINE)
    try:
        return float(found[1]) if found else 0.0
    except ValueError:
        return 0.0
