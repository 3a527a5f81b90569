"""The page of a verification: one HTML file that needs no network."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from tap_quickbooks_raw.evidence import numerals, plots, strip
from tap_quickbooks_raw.evidence.months import SPECIAL, grid

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tap_quickbooks_raw.evidence.document import DayCalls, EntityResult, Verification
    from tap_quickbooks_raw.evidence.months import Grid

_FOLDER = Path(__file__).parent
_MOST_GAP_PLOTS = 9
_MOST_GAP_LINES = 40


class Figure(NamedTuple):
    """A plot with what stands above it.

    Attributes:
        title: Above it.
        plot: The plot.
    """

    title: str
    plot: Markup


class GapLine(NamedTuple):
    """A month that differs, in words."""

    entity: str
    month: str
    qbo: int
    raw: int


def render(verification: Verification, *, data_file: str) -> str:
    """Return the page.

    Args:
        verification: What to show; scrubbed already.
        data_file: Name of the JSON file beside it.
    """
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for function in (
        numerals.number, numerals.share, numerals.moment, numerals.clock, numerals.duration
    ):  # fmt: skip
        environment.filters[function.__name__] = function
    environment.filters |= {
        "setting": _setting,
        "breakable": _breakable,
        "mentioned": _is_mentioned,
    }
    found = grid(verification)
    lines = _gap_lines(found)
    days = _days(verification)
    return environment.get_template(
        "page.html.jinja"
    ).render(
        it=verification,
        state=_state(verification),
        style=Markup((_FOLDER / "page.css").read_text(encoding="utf-8")),  # noqa: S704  Ours.
        data_file=data_file,
        remarkable=sorted(
            (result for result in verification.entities if _is_remarkable(result)),
            key=lambda result: result.agrees,
        ),
        plain=[result for result in verification.entities if not _is_remarkable(result)],
        disagreeing=[result for result in verification.entities if not result.agrees],
        qbo_rows=_sum([result.qbo_rows for result in verification.entities]),
        raw_rows=sum(result.raw_rows for result in verification.entities),
        uncounted=[result.entity for result in verification.entities if result.qbo_rows is None],
        grid=found,
        columns=[meaning for name, meaning in SPECIAL.items() if name in found.columns],
        strip_wide=_strip(found, strip.WIDE, "wide"),
        strip_narrow=_strip(found, strip.NARROW, "narrow"),
        matches={match.name for row in found.rows for match in row.matches().values()},
        is_gap_uncounted=any(
            cell.uncounted for row in found.rows if row.gaps for cell in row.cells.values()
        ),
        gap_plots=_gap_plots(found),
        gap_lines=lines[:_MOST_GAP_LINES],
        more_gap_lines=len(lines[_MOST_GAP_LINES:]),
        progress=_drawn(plots.progress(verification.progress)) if verification.progress else "",
        calls=_drawn(plots.calls(days, verification.allowance)) if days else "",
        calls_of_month=sum(day.calls for day in days),
        items_of_month=sum(day.batch_items for day in days),
        month=days[0].day[:7] if days else "",
    )


def _drawn(element: str) -> Markup:
    """A plot, which the library for XML has written."""
    return Markup(element)  # noqa: S704  Its texts are escaped.


def _strip(found: Grid, measures: strip.Measures, name: str) -> str:
    return _drawn(strip.strip(found, measures, name)) if found.rows else ""


def _gap_plots(found: Grid) -> list[Figure]:
    return [
        Figure(row.result.entity, _drawn(plots.gap(found, row, f"gap{place}")))
        for place, row in enumerate(found.rows)
        if row.gaps and not row.result.agrees
    ][:_MOST_GAP_PLOTS]


def _gap_lines(found: Grid) -> list[GapLine]:
    """The months that differ, those of entities that do not agree first."""
    return [
        GapLine(row.result.entity, found.columns[column], cell.qbo, cell.raw)
        for row in found.rows
        for column, cell in sorted(row.gaps.items())
    ]


def _days(verification: Verification) -> Sequence[DayCalls]:
    """The days of the last month of which there are any, in order."""
    days = sorted(verification.calls_per_day, key=lambda day: day.day)
    return [day for day in days if day.day[:7] == days[-1].day[:7]]


def _state(verification: Verification) -> str:
    if not verification.entities:
        return "so-so"
    return "good" if verification.agrees else "bad"


def _is_remarkable(result: EntityResult) -> bool:
    """Whether there is more to say than that it agrees."""
    return bool(not result.agrees or result.explanations or result.repaired)


def _sum(counts: Sequence[int | None]) -> int | None:
    """The sum of what is known, or None where nothing is."""
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def _setting(value: object) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value, enc_hook=str).decode()


def _breakable(name: str) -> Markup:
    """A name that may go on in another line where its next word begins."""
    words = re.findall(r"^[^A-Z]+|[A-Z][^A-Z]*", name)
    return Markup("<wbr>").join(words)


def _is_mentioned(ids: Sequence[str], explanations: Sequence[str]) -> bool:
    """Whether an explanation names the first ids already."""
    words = [set(re.findall(r"[\w-]+", explanation)) for explanation in explanations]
    return any(found.issuperset(ids[:3]) for found in words)
