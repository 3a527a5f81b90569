"""The plot of rows per month and entity: a strip of cells for each entity."""

from __future__ import annotations

from bisect import bisect
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tap_quickbooks_raw.evidence import svg
from tap_quickbooks_raw.evidence.cells import Gap, draw_gaps, fill
from tap_quickbooks_raw.evidence.months import SPECIAL, Match
from tap_quickbooks_raw.evidence.numerals import compact, number

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from tap_quickbooks_raw.evidence.months import Grid, Row

CROSS, TILDE = "\N{BALLOT X}", "~"
_MOST_SEPARATE = 60
_MOST_NAMED = 24
_WORD = 34.0


@dataclass(frozen=True, slots=True)
class Measures:
    """Sizes in pixels.

    Attributes:
        width: Of the whole.
        left: Room for the names.
        right: Room for the totals; 0 for none.
        row: Height of an entity.
        widest: Of a cell.
        text: Of the letters.
    """

    width: float
    left: float
    right: float
    row: float
    widest: float
    text: float


WIDE = Measures(width=1040, left=150, right=140, row=18, widest=56, text=11)
NARROW = Measures(width=340, left=136, right=0, row=15, widest=30, text=9.5)
_TOP, _BARS, _BETWEEN = 8.0, 74.0, 26.0
_BOTTOM, _BOTTOM_OF_YEARS = 36.0, 22.0


def strip(grid: Grid, measures: Measures, name: str) -> str:
    """Draw all entities of a grid, with all of them together as bars above.

    Args:
        grid: What to draw.
        measures: The sizes.
        name: Of the figure.
    """
    columns = len(grid.columns)
    cell = min((measures.width - measures.left - measures.right) / columns, measures.widest)
    across = cell * columns
    down = measures.row * len(grid.rows)
    below = _BOTTOM if columns <= _MOST_NAMED else _BOTTOM_OF_YEARS
    height = _TOP + _BARS + _BETWEEN + down + below
    with svg.looks():
        figure = svg.canvas(measures.left + across + measures.right, height)
        bars = _axes(figure, measures.left, _TOP, across, _BARS)
        cells = _axes(figure, measures.left, _TOP + _BARS + _BETWEEN, across, down)
        for axes in (bars, cells):
            axes.set_xlim(0, columns)
        _draw_bars(bars, grid, measures)
        hints = _draw_cells(cells, grid, cell)
        _name_columns(bars, grid, cell, measures, is_top=True)
        _name_columns(cells, grid, cell, measures, is_top=False)
        _name_rows(cells, grid, measures)
        return svg.inline(figure, name, _summary(grid), hints)


def _summary(grid: Grid) -> str:
    gaps = sum(len(row.gaps) for row in grid.rows if not row.result.agrees)
    found = f"gaps: {number(gaps)}" if gaps else "no gaps"
    return (
        f"Rows per month of {len(grid.rows)} entities, {grid.columns[0]} to "
        f"{grid.columns[-1]}: {found}"
    )


def _axes(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Axes at a place in pixels from the upper left corner."""
    whole = figure.get_size_inches() * 72
    bottom = whole[1] - top - height
    place = (left / whole[0], bottom / whole[1], width / whole[0], height / whole[1])
    return figure.add_axes(place)


def _draw_bars(axes: Axes, grid: Grid, measures: Measures) -> None:
    totals = grid.totals
    places = [column + 0.5 for column in range(len(totals))]
    raw = [total.raw - total.over for total in totals]
    gaps = [total.short + total.over for total in totals]
    axes.bar(places, raw, width=0.8, color=svg.colour("accent"))
    if any(gaps):
        axes.bar(places, gaps, bottom=raw, width=0.8, color=svg.colour("gap"))
    top = max(a + b for a, b in zip(raw, gaps, strict=True))
    axes.set_ylim(0, top * 1.05)
    axes.set_yticks([0, top], ["0", compact(top)])
    axes.tick_params(axis="y", length=0, labelsize=measures.text - 1)
    axes.spines["left"].set_visible(False)
    label = "all entities" if measures.right else "all"
    axes.text(
        -0.02, 0.5, label, transform=axes.transAxes, ha="right", va="center",
        fontsize=measures.text, color=svg.colour("ink"),
    )  # fmt: skip


def _draw_cells(axes: Axes, grid: Grid, cell: float) -> dict[str, str]:
    """Draw the cells, and return what to say about those that differ."""
    axes.set_ylim(len(grid.rows), 0)
    for side in ("left", "bottom"):
        axes.spines[side].set_visible(False)
    gutter = 0.12 if len(grid.columns) <= _MOST_SEPARATE else 0.0
    boxes: dict[str, list[tuple[float, float, float]]] = defaultdict(list)
    apart: list[Gap] = []
    levels = grid.levels
    for place, row in enumerate(grid.rows):
        for column, match, shade in _shades(row, levels):
            if match in {Match.MISSING, Match.EXTRA, Match.EXPLAINED}:
                apart.append(Gap(place, column, column, match))
            elif not gutter and boxes[shade] and boxes[shade][-1][1:] == (column, place):
                boxes[shade][-1] = (boxes[shade][-1][0], column + 1, place)
            else:
                boxes[shade].append((column + gutter / 2, column + 1 - gutter / 2, place))
    fill(axes, [(0, len(grid.columns), place) for place in range(len(grid.rows))], "track")
    for shade in sorted(boxes):
        fill(axes, boxes[shade], shade)
    return draw_gaps(axes, grid, apart, cell)


def _shades(row: Row, levels: tuple[int, ...]) -> Iterator[tuple[int, Match, str]]:
    for column, match in sorted(row.matches().items()):
        kind = "raw" if match is Match.UNCOUNTED else "equal"
        yield column, match, f"{kind}-{max(bisect(levels, row.cells[column].raw), 1)}"


def _name_columns(axes: Axes, grid: Grid, cell: float, measures: Measures, *, is_top: bool) -> None:
    months = [(n, name) for n, name in enumerate(grid.columns) if name not in SPECIAL]
    if len(months) <= _MOST_NAMED:
        every = max(1, round(_WORD / cell))
        labels = [
            (column + 0.5, f"{name[:3]}\n{name[4:]}" if place == 0 or "Jan" in name else name[:3])
            for place, (column, name) in enumerate(months)
            if place % every == 0
        ]
    else:
        every = max(1, round(_WORD / (12 * cell)))
        labels = [(column, year) for column, year in grid.years if int(year) % every == 0]
    if is_top:
        # Between bars and cells there is room for one line.
        labels = [(place, label.partition("\n")[0]) for place, label in labels]
    axes.set_xticks([place for place, _ in labels], [label for _, label in labels])
    axes.tick_params(axis="x", labelsize=measures.text - 1, length=3, pad=3)


def _name_rows(axes: Axes, grid: Grid, measures: Measures) -> None:
    names = []
    for row in grid.rows:
        has_gaps = bool(row.gaps)
        sign = "" if row.result.agrees and not has_gaps else TILDE if row.result.agrees else CROSS
        names.append(f"{sign} {row.result.entity}".strip())
    axes.set_yticks([place + 0.5 for place in range(len(names))], names)
    axes.tick_params(axis="y", length=0, labelsize=measures.text, labelcolor=svg.colour("ink"))
    for label, row in zip(axes.get_yticklabels(), grid.rows, strict=True):
        if not row.result.agrees:
            label.set(color=svg.colour("gap"), fontweight="bold")
    if measures.right:
        for place, row in enumerate(grid.rows):
            _total(axes, place, row, measures)


def _total(axes: Axes, place: int, row: Row, measures: Measures) -> None:
    result = row.result
    rows = number(result.raw_rows)
    is_other = result.qbo_rows is not None and result.qbo_rows != result.raw_rows
    text = f"{rows} of {number(result.qbo_rows or 0)}" if is_other else rows
    axes.annotate(
        text, (1, place + 0.5), xycoords=("axes fraction", "data"), xytext=(8, 0),
        textcoords="offset pixels", va="center", fontsize=measures.text,
        color=svg.colour("muted" if result.agrees else "gap"),
        fontweight="normal" if result.agrees else "bold",
    )  # fmt: skip
