"""How months become columns, and numbers words."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from tap_quickbooks_raw.evidence import numerals
from tap_quickbooks_raw.evidence.document import MonthCount, Verification
from tap_quickbooks_raw.evidence.months import Match, grid

from tests.verifications import START, company, month, result, verification

if TYPE_CHECKING:
    from collections.abc import Iterable

DASH = "\N{EN DASH}"


def invoices(*counts: tuple[str, int | None, int], agrees: bool = False) -> Verification:
    """A verification of one entity: month, rows in QBO, rows in raw."""
    return verification(
        entities=(result(agrees=agrees),),
        months=[
            MonthCount(stream="qb_invoices", month=name, qbo_rows=qbo, raw_rows=raw)
            for name, qbo, raw in counts
        ],
    )


def matches(document: Verification) -> dict[str, Match]:
    found = grid(document)
    (row,) = found.rows
    return {found.columns[column]: match for column, match in row.matches().items()}


def test_a_year_is_shown_at_least() -> None:
    found = grid(invoices((month(1), 1, 1)))
    assert found.columns == (
        "Dec 2025", "Jan 2026", "Feb 2026", "Mar 2026", "Apr 2026", "May 2026",
        "Jun 2026", "Jul 2026", "Aug 2026", "Sep 2026", "Oct 2026", "Nov 2026",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("months", "columns"), [(0, 12), (11, 12), (12, 13), (119, 120), (179, 180), (180, 181)]
)
def test_columns_reach_back_to_the_first_row_for_fifteen_years(months: int, columns: int) -> None:
    found = grid(invoices((month(months), 1, 1)))
    assert len(found.columns) == columns
    assert (found.columns[0] == "earlier") == (months == 180)


def test_odd_months_have_columns_of_their_own() -> None:
    found = grid(
        invoices(("1970-01-01", 5, 4), (month(200), 2, 2), ("", None, 3), ("2031-01-01", 1, 2))
    )
    assert found.columns[0] == "earlier"
    assert found.columns[-2:] == ("later", "no stamp")
    assert {found.columns[n]: (c.qbo, c.raw) for n, c in found.rows[0].cells.items()} == {
        "earlier": (7, 6), "later": (1, 2), "no stamp": (0, 3),
    }  # fmt: skip


def test_a_month_compares_in_each_way() -> None:
    counts = ((month(0), 5, 5), (month(1), 5, 4), (month(2), 4, 5), (month(3), None, 5))
    assert matches(invoices(*counts)) == {
        "Nov 2026": Match.EQUAL,
        "Oct 2026": Match.MISSING,
        "Sep 2026": Match.EXTRA,
        "Aug 2026": Match.UNCOUNTED,
    }
    assert matches(invoices(*counts, agrees=True)) == {
        "Nov 2026": Match.EQUAL,
        "Oct 2026": Match.EXPLAINED,
        "Sep 2026": Match.EXPLAINED,
        "Aug 2026": Match.UNCOUNTED,
    }


def test_gaps_of_months_in_one_column_do_not_even_out() -> None:
    (row,) = grid(invoices(("1990-01-01", 3, 4), ("1991-01-01", 4, 3))).rows
    assert [(cell.short, cell.over) for cell in row.gaps.values()] == [(1, 1)]


def test_a_month_that_is_empty_in_raw_alone_is_a_gap() -> None:
    assert matches(invoices((month(0), 4, 0))) == {"Nov 2026": Match.MISSING}


def test_what_does_not_agree_comes_first_and_what_is_empty_is_named() -> None:
    document = verification(
        entities=(result("Account"), result("Bill", agrees=False), result("Term")),
        months=[
            MonthCount(stream=stream, month=month(0), qbo_rows=1, raw_rows=1)
            for stream in ("qb_accounts", "qb_bills")
        ],
    )
    found = grid(document)
    assert [row.result.entity for row in found.rows] == ["Bill", "Account"]
    assert found.empty == ("Term",)


def test_all_rows_are_in_the_totals() -> None:
    document = company(months=24)
    totals = grid(document).totals
    assert sum(total.raw for total in totals) == sum(each.raw_rows for each in document.entities)


@pytest.mark.parametrize(
    ("most", "last"), [(0, 16), (32, 16), (33, 100), (300, 100), (301, 10_000), (10**9, 10**6)]
)
def test_shades_reach_as_far_as_the_rows(most: int, last: int) -> None:
    assert grid(invoices((month(0), 1, most))).levels[-1] == last


def each(function: str, cases: Iterable[tuple[float, str]]) -> list[tuple[str, float, str]]:
    return [(function, value, text) for value, text in cases]


@pytest.mark.parametrize(
    ("function", "value", "text"),
    each("number", [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")])
    + each(
        "compact",
        [
            (0, "0"), (999, "999"), (1_000, "1k"), (2_850, "2.85k"), (999_400, "999k"),
            (999_999, "1M"), (5_000_000, "5M"), (10**9, "1G"), (10**12, "1T"),
        ],
    )
    + each(
        "duration",
        [
            (0, "0.0 s"), (0.44, "0.4 s"), (9.96, "10 s"), (59.4, "59 s"), (60, "1 min 0 s"),
            (3_599.7, "1 h 0 min"),
            (90_061, "25 h 1 min"),
        ],
    ),
)  # fmt: skip
def test_numbers_read_well(function: str, value: float, text: str) -> None:
    assert getattr(numerals, function)(value) == text


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [
        (0, 100, "0.0 %"), (1, 10_000, "< 0.1 %"), (1, 1_000, "0.1 %"), (50, 100, "50.0 %"),
        (9_999, 10_000, "> 99.9 %"), (100, 100, "100.0 %"), (5_000, 100, "5,000.0 %"), (1, 0, DASH),
    ],
)  # fmt: skip
def test_a_share_is_nothing_or_all_only_if_it_is(part: int, whole: int, text: str) -> None:
    assert numerals.share(part, whole) == text


def test_what_is_not_known_is_a_dash() -> None:
    assert [numerals.number(None), numerals.moment(None), numerals.clock(None)] == [DASH] * 3
    assert numerals.moment(START + timedelta(seconds=5)) == "2026-11-28 03:15:05"
