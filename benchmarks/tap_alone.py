"""The tap alone: how fast pages become lines, without HTTP and with it."""

from __future__ import annotations

import os
import statistics
import time
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import requests
from company import INVOICES, REALM, catalog, companies
from kept_answers import AdaptedTap, Keeper, Replay
from report import heading, note, progress, table, target
from tap_process import run_tap
from tap_quickbooks_raw.answers import mend

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from company import Company
    from requests.adapters import BaseAdapter

# All pages are kept in memory: 100,000 invoices are 220 MB.
MOST_ROWS = 100_000
ROUNDS = 5
HTTP_ROUNDS = 3
LEAST_ROWS_PER_SECOND = 35_000
LEAST_RATIO = 0.3


class _Envelope(msgspec.Struct):
    query: dict[str, msgspec.Raw] = msgspec.field(name="QueryResponse")


_envelope = msgspec.json.Decoder(_Envelope).decode
_objects = msgspec.json.Decoder(list[msgspec.Raw]).decode


class Round(NamedTuple):
    """One measurement: seconds on the clock and of the processor."""

    wall: float
    cpu: float


class HttpRound(NamedTuple):
    """One measurement over HTTP.

    Attributes:
        reading: Seconds from the first request to the last row.
        whole: Seconds with the start of the process and its end.
        cpu: Processor seconds of the reading process.
    """

    reading: float
    whole: float
    cpu: float


def measure(folder: Path, rows: int) -> None:
    """Measure and print.

    Args:
        folder: A temporary folder.
        rows: Number of invoices.
    """
    rows = min(rows, MOST_ROWS)
    with companies(folder, {REALM: {"Invoice": rows}}, warm=True) as (company,):
        progress(f"fetching {rows:,} invoices")
        keeper = Keeper()
        _read(company, keeper)
        _without_http(company, keeper, rows)
        _with_http(company, keeper, rows)


def _without_http(company: Company, keeper: Keeper, rows: int) -> None:
    bodies = [mend(body) for body in keeper.pages.values()]  # msgspec refuses lone surrogates.
    replay = Replay(keeper)
    taps, splits = [], []
    for number in range(1, ROUNDS + 1):
        progress(f"tap without HTTP, round {number} of {ROUNDS}")
        taps.append(_read(company, replay))
        splits.append(_timed(lambda: _split(bodies, rows)))
    ratios = [split.wall / tap.wall for tap, split in zip(taps, splits, strict=True)]
    ratio = statistics.median(ratios)
    heading(
        f"Tap alone, without HTTP: {rows:,} invoices of {_mean_size(bodies, rows):,} bytes in "
        f"{len(bodies)} pages, to /dev/null"
    )
    table(
        (f"median of {ROUNDS} rounds, interleaved", "rows/s", "CPU us/row", "MB/s"),
        [
            _line("tap: answer to line and state", taps, bodies, rows),
            _line("msgspec alone: the pages taken apart", splits, bodies, rows),
        ],
    )
    note(f"Ratio tap / msgspec: {ratio:.2f} (rounds {min(ratios):.2f} to {max(ratios):.2f})")
    rate = rows / statistics.median(tap.wall for tap in taps)
    target(
        f"{LEAST_ROWS_PER_SECOND:,} rows/s, or a ratio of {LEAST_RATIO}",
        met=rate >= LEAST_ROWS_PER_SECOND or ratio >= LEAST_RATIO,
    )


def _with_http(company: Company, keeper: Keeper, rows: int) -> None:
    urls = list(keeper.pages)
    bearer = next(iter(keeper.answers.values())).authorization
    kinds: dict[str, Callable[[], HttpRound]] = {
        "simulator's pages, read and dropped": lambda: _fetch(urls, bearer),
        "tap, one page at a time": lambda: _command(company, rows, concurrency=1),
        "tap, several windows at once (default)": lambda: _command(company, rows),
    }
    rounds: dict[str, list[HttpRound]] = {kind: [] for kind in kinds}
    for number in range(1, HTTP_ROUNDS + 1):
        progress(f"tap over HTTP, round {number} of {HTTP_ROUNDS}")
        for kind, work in kinds.items():
            rounds[kind].append(work())
    heading("Tap over HTTP: its command against the simulator, without Intuit's ceilings")
    served, *_ = rounds.values()
    table(
        (
            f"median of {HTTP_ROUNDS} rounds, interleaved",
            "rows/s",
            "with start-up",
            "of simulator's rate",
            "CPU us/row",
        ),
        [_http_line(kind, measured, served, rows) for kind, measured in rounds.items()],
    )
    note("Tap, simulator and whatever else runs here share the processors.")


def _http_line(
    kind: str, measured: Sequence[HttpRound], served: Sequence[HttpRound], rows: int
) -> tuple[str, int, int, str, float]:
    ratios = [fetched.reading / tap.reading for fetched, tap in zip(served, measured, strict=True)]
    return (
        kind,
        round(rows / statistics.median(spent.reading for spent in measured)),
        round(rows / statistics.median(spent.whole for spent in measured)),
        f"{statistics.median(ratios):.0%}",
        statistics.median(spent.cpu for spent in measured) / rows * 1e6,
    )


def _read(company: Company, adapter: BaseAdapter) -> Round:
    """Let the tap of this process read all invoices; only its work is timed."""
    config = company.config()
    tap = AdaptedTap(adapter, config=config, catalog=catalog(config, INVOICES))
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
        spent = _timed(tap.sync_all)
    tap.run.close()
    if tap.run.failures:
        raise RuntimeError(f"the tap could not read: {tap.run.failures}")
    return spent


def _split(bodies: Sequence[bytes], rows: int) -> None:
    found = sum(len(_objects(_envelope(body).query["Invoice"])) for body in bodies)
    if found < rows:
        raise RuntimeError(f"the pages hold {found} rows of {rows}")


def _fetch(urls: Sequence[str], bearer: str | bytes) -> HttpRound:
    def read_all() -> None:
        with requests.Session() as session:
            session.headers.update({"Authorization": bearer, "Accept": "application/json"})
            for url in urls:
                session.get(url, timeout=60).raise_for_status()

    spent = _timed(read_all)
    return HttpRound(spent.wall, spent.wall, spent.cpu)


def _command(company: Company, rows: int, **settings: int) -> HttpRound:
    done = run_tap(company, INVOICES, rows=rows, output=Path(os.devnull), **settings)
    return HttpRound(done.result.seconds, done.wall_seconds, done.result.cpu_seconds)


def _timed(work: Callable[[], None]) -> Round:
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return Round(time.perf_counter() - wall, time.process_time() - cpu)


def _line(
    name: str, rounds: Sequence[Round], bodies: Sequence[bytes], rows: int
) -> tuple[str, int, float, int]:
    wall = statistics.median(spent.wall for spent in rounds)
    cpu = statistics.median(spent.cpu for spent in rounds)
    size = sum(map(len, bodies))
    return name, round(rows / wall), cpu / rows * 1e6, round(size / wall / 1e6)


def _mean_size(bodies: Sequence[bytes], rows: int) -> int:
    return round(sum(map(len, bodies)) / rows)
