"""Memory of the loader: many small rows, and few that are very large."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import loaders
from company import INVOICES, REALM, companies
from loaders import load
from project import place
from report import heading, progress, table, target
from tap_process import run_tap

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROWS = 1_000_000
LARGE_ROWS = 300
INVOICE_LINES = 4_000
# So that an invoice of so many lines has 2 MB.
DESCRIPTION = "Delivered as agreed, checked and signed for at the gate. " * 5
MOST_MEGABYTES = 150
KEY = b'"id":"KEY"'


def measure(folder: Path, rows: int) -> None:
    """Measure and print.

    Args:
        folder: A temporary folder.
        rows: Number of small rows.
    """
    with companies(folder, {REALM: {"Invoice": 1}}) as (company,):
        sample = folder / "sample.singer"
        run_tap(company, INVOICES, rows=1, output=sample)
    schema, invoice = _take_apart(sample)
    cases = {
        "small rows": (_small(invoice), rows),
        f"invoices of {INVOICE_LINES:,} lines": (_large(invoice), LARGE_ROWS),
    }
    lines, peaks = [], []
    with place(folder) as where:
        loader = loaders.ours(where)
        file = folder / "rows.singer"
        for name, (record, number) in cases.items():
            progress(f"loader's memory: {number:,} {name}")
            with file.open("wb") as out:
                out.write(schema)
                out.writelines(_repeated(record, number))
            where.clear()
            done = load(loader, file, where)
            if (found := where.loaded()) != number:
                raise RuntimeError(f"{loader.name} has loaded {found} rows of {number}")
            size = round(file.stat().st_size / number)
            peaks.append(done.peak)
            lines.append((name, number, size, round(number / done.wall), done.peak / 1e6))
    heading(f"Memory of {loader.name}: the most that was resident (VmHWM)")
    table(("rows", "number", "bytes/line", "rows/s", "MB"), lines)
    target(f"at most {MOST_MEGABYTES} MB", met=max(peaks) <= MOST_MEGABYTES * 1e6)


def _take_apart(sample: Path) -> tuple[bytes, dict[str, Any]]:
    """The line of the schema, and the message with an invoice."""
    lines = sample.read_bytes().splitlines(keepends=True)
    schema = next(line for line in lines if b'"SCHEMA"' in line[:100])
    return schema, json.loads(next(line for line in lines if b'"RECORD"' in line[:100]))


def _small(message: dict[str, Any]) -> dict[str, Any]:
    document = {name: message["record"]["payload"][name] for name in ("DocNumber", "TotalAmt")}
    return {**message, "record": {**message["record"], "payload": document}}


def _large(message: dict[str, Any]) -> dict[str, Any]:
    document = message["record"]["payload"]
    lines = [
        {**document["Line"][0], "Id": str(number), "LineNum": number, "Description": DESCRIPTION}
        for number in range(1, INVOICE_LINES + 1)
    ]
    return {**message, "record": {**message["record"], "payload": {**document, "Line": lines}}}


def _repeated(message: dict[str, Any], number: int) -> Iterator[bytes]:
    """The message so often, each time with a key of its own."""
    keyed = {**message, "record": {**message["record"], "id": "KEY"}}
    before, after = json.dumps(keyed, separators=(",", ":")).encode().split(KEY)
    for key in range(number):
        yield b'%b"id":"%d"%b\n' % (before, key, after)
