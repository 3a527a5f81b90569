"""The smaller plots of the page: where the gaps are, how rows came in, what calls were made."""

from __future__ import annotations

import calendar
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING

from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, DateFormatter, date2num
from matplotlib.ticker import FuncFormatter, MaxNLocator

from tap_quickbooks_raw.evidence import svg
from tap_quickbooks_raw.evidence.numerals import compact, moment, number, share

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from tap_quickbooks_raw.evidence.document import DayCalls, Ingested
    from tap_quickbooks_raw.evidence.months import Grid, Row

# So many gaps of an entity are pointed at, and the greatest of them is told.
_MOST_POINTERS = 40
# So many months are shown around the gaps, and so many at least.
_AROUND = 6
_FEWEST_COLUMNS = 24
# Seconds tell nothing without their minute.
_SHORT = timedelta(minutes=5)
_MISSING, _EXTRA = "////", "xxxx"


def gap(grid: Grid, row: Row, name: str) -> str:
    """Draw the months around the gaps of an entity, with what is only on one side apart."""
    last = min(max(row.gaps) + _AROUND, len(grid.columns) - 1)
    first = max(min([*row.gaps, last - _FEWEST_COLUMNS + 1 + _AROUND]) - _AROUND, 0)
    columns = range(first, last + 1)
    with svg.looks():
        figure = svg.canvas(330, 150)
        axes = figure.add_axes((0.115, 0.16, 0.865, 0.7))
        _stack(axes, row, columns)
        top = max(cell.raw + cell.short for place, cell in row.cells.items() if place in columns)
        axes.set_ylim(0, top * 1.22)
        axes.set_xlim(first - 0.6, last + 0.6)
        ends = list(dict.fromkeys((first, (first + last) // 2, last)))
        axes.set_xticks(ends, [grid.columns[column] for column in ends])
        labels = axes.get_xticklabels()
        labels[0].set_horizontalalignment("left")
        labels[-1].set_horizontalalignment("right")
        _count_upwards(axes, 3)
        _point(axes, row, top)
        hints = {
            f"gap-{column}": f"{grid.columns[column]}: {number(cell.qbo)} in QBO, "
            f"{number(cell.raw)} in raw"
            for column, cell in row.gaps.items()
        }
        title = f"{row.result.entity}: rows per month; gaps: {len(row.gaps)}"
        return svg.inline(figure, name, title, hints)


def _stack(axes: Axes, row: Row, columns: Sequence[int]) -> None:
    for column in columns:
        cell = row.cells.get(column)
        if cell is None:
            continue
        both = cell.raw - cell.over - cell.uncounted
        parts = (
            (both, "equal-4", None, None),
            (cell.uncounted, "raw-3", None, None),
            (cell.short, "gap", _MISSING, f"gap-{column}"),
            (cell.over, "gap", _EXTRA, f"gap-{column}"),
        )
        bottom = 0
        for height, shade, hatch, gid in parts:
            if height:
                colour = svg.colour(shade)
                axes.bar(
                    column, height, width=0.82, bottom=bottom,
                    color=svg.colour("card") if hatch else colour,
                    edgecolor=colour, linewidth=1 if hatch else 0, hatch=hatch, gid=gid,
                )  # fmt: skip
                bottom += height


def _point(axes: Axes, row: Row, top: float) -> None:
    """Point at the gaps, for they may be thinner than a line."""
    gaps = row.gaps
    if len(gaps) > _MOST_POINTERS:
        return
    heights = [row.cells[column].raw + row.cells[column].short + top * 0.05 for column in gaps]
    axes.scatter(list(gaps), heights, marker="v", s=22, color=svg.colour("gap"), linewidth=0)
    worst = max(gaps, key=lambda column: gaps[column].short + gaps[column].over)
    cell = gaps[worst]
    text = f"\N{MINUS SIGN}{number(cell.short)}" if cell.short else f"+{number(cell.over)}"
    axes.annotate(
        text, (worst, cell.raw + cell.short), xytext=(0, 12), textcoords="offset pixels",
        ha="center", fontsize=10, fontweight="bold", color=svg.colour("gap"),
    )  # fmt: skip


def progress(points: Sequence[Ingested]) -> str:
    """Draw how many rows had come in up to each moment."""
    times = [date2num(point.at) for point in points]
    rows = [point.rows for point in points]
    with svg.looks():
        figure = svg.canvas(400, 210)
        axes = figure.add_axes((0.1, 0.15, 0.86, 0.79))
        axes.fill_between(times, rows, step="post", color=svg.colour("accent-soft"), linewidth=0)
        axes.step(times, rows, where="post", color=svg.colour("accent"), linewidth=2)
        axes.scatter(times[-1:], rows[-1:], s=30, color=svg.colour("accent"), zorder=3)
        axes.annotate(
            f"{number(rows[-1])} rows", (times[-1], rows[-1]), xytext=(-6, 8),
            textcoords="offset pixels", ha="right", fontsize=12, fontweight="bold",
        )  # fmt: skip
        axes.set_ylim(0, max(rows) * 1.2 or 1)
        locator = AutoDateLocator(minticks=2, maxticks=5)
        axes.xaxis.set_major_locator(locator)
        is_short = points[-1].at - points[0].at < _SHORT
        axes.xaxis.set_major_formatter(
            DateFormatter("%H:%M:%S") if is_short else ConciseDateFormatter(locator)
        )
        if is_short:
            axes.set_xlabel(f"{points[-1].at:%Y-%m-%d}", loc="right", labelpad=0)
        if times[0] == times[-1]:
            minute = timedelta(minutes=1) / timedelta(days=1)
            axes.set_xlim(times[0] - minute, times[0] + minute)
        axes.margins(x=0.02)
        _count_upwards(axes, 5)
        title = (
            f"Rows loaded over time: {number(rows[0])} at {moment(points[0].at)} UTC, "
            f"{number(rows[-1])} at {moment(points[-1].at)} UTC"
        )
        return svg.inline(figure, "progress", title)


def calls(days: Sequence[DayCalls], allowance: int) -> str:
    """Draw the calls of a month: day by day, and summed up against the allowance.

    Args:
        days: The days, all of one month.
        allowance: Calls that may be made in the month; none is drawn if it is 0.
    """
    year, month = (int(part) for part in days[0].day.split("-")[:2])
    length = calendar.monthrange(year, month)[1]
    by_day = Counter[int]()
    for day in days:
        by_day[int(day.day[8:10])] += day.calls
    last = max(by_day)
    sums = [sum(by_day[day] for day in range(1, until + 1)) for until in range(last + 1)]
    with svg.looks():
        figure = svg.canvas(400, 210)
        above = figure.add_axes((0.1, 0.47, 0.86, 0.45))
        below = figure.add_axes((0.1, 0.12, 0.86, 0.24))
        above.fill_between(range(last + 1), sums, color=svg.colour("accent-soft"), linewidth=0)
        above.plot(range(last + 1), sums, color=svg.colour("accent"), linewidth=2)
        above.scatter([last], sums[-1:], s=30, color=svg.colour("accent"), zorder=3)
        if allowance > 0:
            _draw_allowance(above, allowance, sums[-1])
        is_late = last > length / 2
        above.annotate(
            f"{number(sums[-1])} calls", (last, sums[-1]), xytext=(-6 if is_late else 6, 8),
            textcoords="offset pixels", ha="right" if is_late else "left", fontsize=12,
            fontweight="bold",
        )  # fmt: skip
        above.set_ylim(0, max(allowance, sums[-1], 1) * 1.25)
        below.bar([day - 0.5 for day in by_day], list(by_day.values()), width=0.75,
                  color=svg.colour("accent"))  # fmt: skip
        for axes, ticks in ((above, 3), (below, 2)):
            axes.set_xlim(0, length)
            _count_upwards(axes, ticks)
        above.set_xticks([])
        named = [1, *range(5, length - 1, 5), length]
        below.set_xticks([day - 0.5 for day in named], [str(day) for day in named])
        below.set_title("day by day", loc="left", fontsize=10, color=svg.colour("muted"), pad=3)
        title = f"Calls in {days[0].day[:7]}: {number(sums[-1])} until the day {last}"
        if allowance > 0:
            title += f", {share(sums[-1], allowance)} of {number(allowance)}"
        return svg.inline(figure, "calls", title)


def _draw_allowance(axes: Axes, allowance: int, used: int) -> None:
    shade = svg.colour("gap" if used > allowance else "muted")
    axes.axhline(allowance, color=shade, linewidth=1.5, linestyle=(0, (5, 3)))
    axes.annotate(
        f"allowance {number(allowance)}", (0, allowance), xytext=(4, 4),
        textcoords="offset pixels", fontsize=11, color=shade,
    )  # fmt: skip


def _count_upwards(axes: Axes, ticks: int) -> None:
    axes.yaxis.set_major_locator(MaxNLocator(nbins=ticks, integer=True))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: compact(value)))
    axes.grid(axis="y", linewidth=0.8)
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", length=3)
    axes.spines["left"].set_visible(False)
