"""Memory is that of two batches, however many or large the rows are."""

from __future__ import annotations

import json
import threading
from typing import Any

import psutil
import pytest

LIMIT = 150_000_000


def _peak(process: Any) -> int:
    watched, peak = psutil.Process(process.pid), 0
    while process.poll() is None:
        try:
            peak = max(peak, watched.memory_info().rss)
        except psutil.NoSuchProcess:
            break
    return peak


@pytest.mark.parametrize(
    ("rows", "size"), [(100_000, 1_500), (40, 2_000_000)], ids=["many small", "few large"]
)
def test_memory_stays_flat(database: Any, singer: Any, rows: int, size: int) -> None:
    head, tail = singer.lines([singer.living("KEY", {"text": "\\" + "x" * size}, 1, 1)]).split(
        b"KEY"
    )
    process = database.start()

    def write() -> None:
        process.stdin.write(singer.lines([singer.schema()]))
        for number in range(rows):
            process.stdin.write(b"%b%d%b" % (head, number, tail))
        process.stdin.write(singer.lines([singer.state(rows)]))
        process.stdin.close()

    writing = threading.Thread(target=write)
    reading = threading.Thread(target=process.stderr.read)
    for thread in (writing, reading):
        thread.start()
    peak = _peak(process)
    for thread in (writing, reading):
        thread.join()
    with process:
        assert json.loads(process.stdout.read().splitlines()[-1]) == {"at": rows}
    assert database.rows("SELECT count(*) FROM raw.qb_invoices") == [(rows,)]
    assert peak < LIMIT
