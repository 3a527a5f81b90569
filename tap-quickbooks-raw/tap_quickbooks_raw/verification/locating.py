"""Where a gap lies: counts per window of LastUpdatedTime, thirty to a call."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from tap_quickbooks_raw.batches import count_all
from tap_quickbooks_raw.entities import Reading
from tap_quickbooks_raw.planning import base_query
from tap_quickbooks_raw.verification.finding import Reason

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from tap_quickbooks_raw.verification.finding import Finding
    from tap_quickbooks_raw.verification.scope import Scope, Since

# So many windows are counted without being asked to: 20 calls.
MOST_WINDOWS = 600
NAMED = 12
MONTHS = "month"


class Bounds(NamedTuple):
    """A window of LastUpdatedTime; `high` is None for no end."""

    low: datetime
    high: datetime | None

    def __str__(self) -> str:
        return f"{self.low:%Y-%m-%d} to {f'{self.high:%Y-%m-%d}' if self.high else 'now'}"


def can_be_located(finding: Finding) -> bool:
    """Whether counting windows can tell anything of an entity."""
    return (
        finding.is_comparable
        and finding.entity.reading in {Reading.QUERY, Reading.NESTED, Reading.SINGLE}
        and finding.tally is not None
        and any(finding.tally.months)
    )


def locate(
    scope: Scope,
    findings: Sequence[Finding],
    since: Mapping[str, Since],
    *,
    length: int | str = MONTHS,
    most: int | None,
) -> None:
    """Count some entities by windows on both sides, and note the windows that differ.

    Nothing enters a window that had ended when `raw` was loaded. So what QBO has more in one is
    missing in `raw`, or older there, even if the sums agree.

    Args:
        scope: What is compared.
        findings: The entities.
        since: From when on changes of each stream need not be in `raw` yet.
        length: Days of a window, or `month`.
        most: How many windows may be counted; None for any number.

    Raises:
        CompanyError: Nothing of the company can be read.
        BudgetReached: No further request may be sent.
    """
    asked: list[tuple[Finding, list[Bounds]]] = []
    left = most
    for finding in findings:
        loaded_to = since[finding.entity.stream].moment
        windows = list(_cut(_windows(scope, finding, length), loaded_to))
        if left is not None and len(windows) > left:
            finding.notes.append(
                "not counted by month, which would cost "
                f"{-(-len(windows) // 30)} calls; --windows month does"
            )
            continue
        left = None if left is None else left - len(windows)
        asked.append((finding, windows))
    queries = [
        base_query(finding.entity).between(*window)
        for finding, windows in asked
        for window in windows
    ]
    counts = iter(count_all(scope.run.client, queries))
    for finding, windows in asked:
        differing = _compare(scope, finding, windows, [next(counts) for _ in windows], length)
        if not finding.faults:
            _judge(scope, finding, differing, since[finding.entity.stream])


def _compare(
    scope: Scope,
    finding: Finding,
    windows: Sequence[Bounds],
    counts: Sequence[int | None],
    length: int | str,
) -> list[Bounds]:
    """Note the windows that differ; return those of which QBO has more."""
    if None in counts:
        finding.notes.append("QBO does not count it by windows")
        return []
    kept = scope.rows(finding.entity).windows(windows)
    if length == MONTHS:
        months: dict[str, int] = {}
        for window, count in zip(windows, counts, strict=True):
            month = f"{window.low:%Y-%m}-01"
            months[month] = months.get(month, 0) + (count or 0)
        finding.months = months
    gaps = [
        f"{window}: {count:,} in QBO, {rows:,} in raw"
        for window, count, rows in zip(windows, counts, kept, strict=True)
        if count is not None and count != rows
    ]
    if gaps:
        more = f"; and {len(gaps) - NAMED:,} more windows" if len(gaps) > NAMED else ""
        finding.notes.append(f"differs in {'; '.join(gaps[:NAMED])}{more}")
    elif finding.faults:
        finding.notes.append("no window differs: what differs has no LastUpdatedTime, or moved")
    return [
        window
        for window, count, rows in zip(windows, counts, kept, strict=True)
        if (count or 0) > rows
    ]


def _judge(scope: Scope, finding: Finding, windows: Sequence[Bounds], since: Since) -> None:
    """Count windows once more, `raw` first: what is loaded meanwhile only leaves them."""
    ended = [window for window in windows if window.high and window.high <= since.moment]
    kept = scope.rows(finding.entity).windows(ended) if ended else []
    query = base_query(finding.entity)
    counts = count_all(scope.run.client, [query.between(*window) for window in ended])
    more = sum(max((count or 0) - rows, 0) for count, rows in zip(counts, kept, strict=True))
    if more:
        told = f"{more:,} not in raw as QBO has them, unchanged since {since}; --ids names them"
        finding.faults.append(Reason(more, "missing or older", told))


def _cut(windows: Iterable[Bounds], at: datetime) -> Iterator[Bounds]:
    """Cut the window that a moment lies in."""
    for low, high in windows:
        if low < at and (high is None or at < high):
            yield Bounds(low, at)
            yield Bounds(at, high)
        else:
            yield Bounds(low, high)


def _windows(scope: Scope, finding: Finding, length: int | str) -> Iterator[Bounds]:
    """Cover the range: what is before the first row of raw is one window, the rest is cut."""
    stamped = sorted(month for month in (finding.tally.months if finding.tally else ()) if month)
    stop = min(scope.end or scope.clock, scope.clock)
    first = datetime.fromisoformat(stamped[0]).replace(tzinfo=UTC) if stamped else stop
    low = scope.start
    if low < first:
        yield Bounds(low, first)
        low = first
    while (high := _next(low, length)) < stop:
        yield Bounds(low, high)
        low = high
    if scope.end is None or low < scope.end:
        yield Bounds(low, scope.end)


def _next(low: datetime, length: int | str) -> datetime:
    days = length if isinstance(length, int) else 32
    if days >= (datetime.max.replace(tzinfo=UTC) - low).days:
        return datetime.max.replace(tzinfo=UTC)
    if isinstance(length, int):
        return low + timedelta(days=length)
    return (low.replace(day=1) + timedelta(days=32)).replace(
        day=1, hour=0, minute=0, second=0, microsecond=0
    )
