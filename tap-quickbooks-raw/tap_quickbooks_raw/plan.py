"""What a run would read and cost, without reading it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tap_quickbooks_raw.batches import BATCH_ITEMS
from tap_quickbooks_raw.entities import Reading
from tap_quickbooks_raw.splitting import Cost, cost, pages_of
from tap_quickbooks_raw.windows import windows

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tap_quickbooks_raw.following import Follower
    from tap_quickbooks_raw.planning import Planner, ReadingSettings, Task
    from tap_quickbooks_raw.run import Run

# Reads a month in Intuit's free tier; at the end the app is blocked until the next month.
MONTHLY_ALLOWANCE = 500_000
# A query of a full page takes about so long (0.2 to 1 s were seen in companies of all sizes).
SECONDS_PER_CALL = 1.0


class Line(NamedTuple):
    """What one stream, or another part of a run, would cost.

    Attributes:
        name: The stream or the part.
        rows: Objects to read; None if QBO does not count them.
        calls: Requests.
    """

    name: str
    rows: int | None
    calls: int


def report(run: Run, tasks: Sequence[Task], *, allowance: int) -> str:
    """Count the objects of all streams, and return a table of what reading them would cost.

    Args:
        run: The run; its client is asked for the counts.
        tasks: What would be read.
        allowance: Calls a month.
    """
    follower = run.follower(tasks)
    following = run.client.calls
    planner = run.planner(follower.left)
    if follower.left:
        planner.count()
    left = list(_lines(planner, run.reading, follower.left, run.client.calls - following))
    # The parts in brackets stand behind the streams.
    lines = sorted([*_told(follower, tasks), *left], key=lambda line: (line.name[0] == "(", line))
    end = planner.end if follower.left else follower.end
    if following:
        lines.append(Line("(changes)", 0, following))
    counts = [line.rows for line in lines if line.rows is not None]
    total = Line("total", sum(counts), sum(line.calls for line in lines))
    texts = [f"{'stream':26}{'rows':>12}{'calls':>9}{'minutes':>9}{'of allowance':>14}"]
    for line in [*lines, total]:
        minutes = _minutes(line.calls, run)
        rows = "not counted" if line.rows is None else f"{line.rows:,}"
        share = line.calls / allowance
        texts.append(f"{line.name:26}{rows:>12}{line.calls:>9,}{minutes:>9.1f}{share:>14.3%}")
    texts.append(
        f"\nUp to {end:%Y-%m-%dT%H:%M:%SZ}; {run.settings.concurrency} calls at once, "
        f"{run.settings.requests_per_minute} a minute; allowance: {allowance:,} a month.\n"
        f"This plan has cost {run.client.calls} calls.\n"
    )
    return "\n".join(texts)


def _told(follower: Follower, tasks: Sequence[Task]) -> Iterator[Line]:
    """What has changed is known already, or not asked for in this run."""
    for task in tasks:
        stream = task.entity.stream
        if stream in follower.told or stream in follower.resting:
            page = follower.told.get(stream)
            yield Line(stream, len(page.rows) if page else 0, 0)


def _lines(
    planner: Planner, settings: ReadingSettings, tasks: Sequence[Task], counting: int
) -> Iterator[Line]:
    probes = 0
    for task in tasks:
        rows = planner.counts.get(task.entity.stream)
        spent = _cost(task, rows, planner, settings)
        probes += spent.probes
        yield Line(task.entity.stream, rows, spent.pages)
    if tasks:
        yield Line("(counts and windows)", 0, counting - (-probes // BATCH_ITEMS))


def _cost(task: Task, rows: int | None, planner: Planner, settings: ReadingSettings) -> Cost:
    if task.entity.reading is Reading.RATES:
        return Cost(pages=2, probes=0)  # The company's currencies, and their rates.
    if not rows:
        # An empty entity is looked into the first time, one that is not counted each time.
        return Cost(pages=1 if task.is_first or rows is None else 0, probes=0)
    if settings.chunk_days:
        chunks = windows(task.start, planner.end, chunk_days=settings.chunk_days)
        used = min(len(chunks), rows)
        return Cost(pages=max(used, pages_of(rows, settings.page_size)), probes=len(chunks))
    if settings.concurrency == 1 or task.entity.reading is not Reading.QUERY:
        return Cost(pages=pages_of(rows, settings.page_size), probes=0)
    return cost(rows, settings.page_size)


def _minutes(calls: int, run: Run) -> float:
    a_minute = min(
        run.settings.requests_per_minute, run.settings.concurrency * 60 / SECONDS_PER_CALL
    )
    return calls / a_minute
