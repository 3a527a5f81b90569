"""The cells of the strip: what fills them, and the marks on those that differ."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from matplotlib.patches import PathPatch
from matplotlib.path import Path

from tap_quickbooks_raw.evidence import svg
from tap_quickbooks_raw.evidence.months import Match
from tap_quickbooks_raw.evidence.numerals import number

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from matplotlib.axes import Axes

    from tap_quickbooks_raw.evidence.months import Grid

# More gaps than these nobody reads one by one.
_MOST_HINTS = 300


class Gap(NamedTuple):
    """Cells of an entity that differ in the same way.

    Attributes:
        place: The row of the entity.
        first: The first column.
        last: The last one.
        match: How they differ.
    """

    place: int
    first: int
    last: int
    match: Match

    @property
    def kind(self) -> str:
        """The colour of it."""
        return "explained" if self.match is Match.EXPLAINED else "gap"


def fill(
    axes: Axes, boxes: Iterable[tuple[float, float, float]], shade: str, gid: str | None = None
) -> None:
    """Fill boxes, each from a column to a column in a row, as one shape."""
    corners: list[tuple[float, float]] = []
    for left, right, place in boxes:
        top, bottom = place + 0.1, place + 0.9
        corners += [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]
    strokes = [Path.MOVETO, Path.LINETO, Path.LINETO, Path.LINETO, Path.CLOSEPOLY]
    shape = Path(corners, strokes * (len(corners) // len(strokes)))
    axes.add_patch(
        PathPatch(shape, facecolor=svg.colour(shade), edgecolor="none", gid=gid, clip_on=False)
    )


def draw_gaps(axes: Axes, grid: Grid, gaps: list[Gap], cell: float) -> dict[str, str]:
    """Draw the cells that differ, and return what to say about them.

    Args:
        axes: Where to.
        grid: All cells.
        gaps: Those that differ, one by one and in order.
        cell: Width of a cell in pixels.
    """
    is_readable = len(gaps) <= _MOST_HINTS
    shown = gaps if is_readable else list(_joined(gaps))
    # Never so thin that it is overlooked.
    half = max(0.46, 1.5 / cell)
    hints: dict[str, str] = {}
    boxes: dict[str, list[tuple[float, float, float]]] = defaultdict(list)
    for gap in shown:
        key = f"{gap.kind}-{gap.place}-{gap.first}" if is_readable else f"{gap.kind}-all"
        boxes[key].append((gap.first + 0.5 - half, gap.last + 0.5 + half, gap.place))
        hints[key] = _hint(grid, gap) if is_readable else f"{number(len(gaps))} months differ"
    for key, members in boxes.items():
        fill(axes, members, key.partition("-")[0], gid=key)
    _mark(axes, shown, cell)
    return hints


def _joined(gaps: list[Gap]) -> Iterator[Gap]:
    """Join neighbours that differ in the same way."""
    current = gaps[0]
    for gap in gaps[1:]:
        if gap == (current.place, current.last + 1, current.last + 1, current.match):
            current = current._replace(last=gap.last)
        else:
            yield current
            current = gap
    yield current


def _hint(grid: Grid, gap: Gap) -> str:
    row = grid.rows[gap.place]
    cell = row.cells[gap.first]
    return (
        f"{row.result.entity}, {grid.columns[gap.first]}: "
        f"{number(cell.qbo)} in QBO, {number(cell.raw)} in raw"
    )


def _mark(axes: Axes, gaps: list[Gap], cell: float) -> None:
    """Mark the cells that differ by a sign as well: x missing, + too many, - explained."""
    wide = min(3.0 / cell, 0.32)
    high = 3.0 / 16
    points: list[tuple[float, float]] = []
    for gap in gaps:
        x, y = (gap.first + gap.last + 1) / 2, gap.place + 0.5
        match gap.match:
            case Match.MISSING:
                points += [(x - wide, y - high), (x + wide, y + high)]
                points += [(x - wide, y + high), (x + wide, y - high)]
            case Match.EXTRA:
                points += [(x - wide, y), (x + wide, y), (x, y - high), (x, y + high)]
            case _:
                points += [(x - wide, y), (x + wide, y)]
    if points:
        lines = Path(points, [Path.MOVETO, Path.LINETO] * (len(points) // 2))
        axes.add_patch(
            PathPatch(
                lines,
                facecolor="none",
                edgecolor=svg.colour("card"),
                linewidth=min(1.4, cell / 4),
                clip_on=False,
            )
        )
