"""The page of a verification: small, alone, and at a loss for nothing."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from tap_quickbooks_raw.evidence.document import DayCalls, Ingested, MonthCount, Verification
from tap_quickbooks_raw.evidence.writing import write

from tests.verifications import GAPS, START, company, month, result, verification


def page(tmp_path: Path, document: Verification) -> str:
    return write(document, tmp_path)[1].read_text(encoding="utf-8")


def test_the_same_document_gives_the_same_page(tmp_path: Path) -> None:
    document = company(gaps=GAPS, months=24)
    (first, second) = (page(tmp_path / name, document) for name in ("a", "b"))
    assert first == second


def everything_missing() -> Verification:
    """All months of all entities have a gap."""
    full = company()
    return msgspec.structs.replace(
        full,
        entities=tuple(
            msgspec.structs.replace(each, raw_rows=0, agrees=False) for each in full.entities
        ),
        months=tuple(
            msgspec.structs.replace(count, qbo_rows=count.raw_rows + 1, raw_rows=0)
            for count in full.months
        ),
    )


@pytest.mark.parametrize(
    "document",
    [company(), company(gaps=GAPS), everything_missing()],
    ids=["healthy", "gaps", "everything missing"],
)
def test_a_page_is_small_and_alone(tmp_path: Path, document: Verification) -> None:
    shown = page(tmp_path, document)

    assert len(shown) < 500_000
    addresses = set(re.findall(r"(?:https?:)?//[\w.-]+[^\s\"'<)]*", shown))
    assert addresses == {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert not re.findall(r"<(?:script|img|link rel=.stylesheet|iframe)|@import|url\((?!#)", shown)
    assert "#fe" not in shown  # Each stand-in has become a variable of the style sheet.


def test_ids_of_a_page_are_unique_and_there(tmp_path: Path) -> None:
    shown = page(tmp_path, company(gaps=GAPS, months=24))

    ids = re.findall(r'\bid="([^"]+)"', shown)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'(?:href="|url\()#([^")]+)', shown)) <= set(ids)


EDGES = {
    "one entity": verification(entities=(result(qbo_rows=1, raw_rows=1),)),
    "nothing is counted": verification(
        entities=(result(qbo_rows=None, qbo_counted_at=None, raw_counted_at=None),)
    ),
    "a month of nothing": verification(
        entities=(result(),),
        months=(MonthCount(stream="qb_invoices", month=month(0), qbo_rows=0, raw_rows=0),),
    ),
    "one month": verification(
        entities=(result(qbo_rows=5, raw_rows=5),),
        months=(MonthCount(stream="qb_invoices", month=month(0), qbo_rows=5, raw_rows=5),),
    ),
    "odd months": verification(
        entities=(result(qbo_rows=5, raw_rows=4, agrees=False),),
        months=tuple(
            MonthCount(stream="qb_invoices", month=text, qbo_rows=2, raw_rows=1)
            for text in ("", "0001-01-01", "9999-12-01", "2026-13-01", "soon", "2026-11-01")
        ),
    ),
    "months of a stream that was not compared": verification(
        entities=(result(),),
        months=(MonthCount(stream="qb_bills", month=month(0), qbo_rows=5, raw_rows=5),),
    ),
    "huge numbers": verification(
        entities=(result(qbo_rows=10**18, raw_rows=10**18 - 1, missing=1, agrees=False),),
        months=(
            MonthCount(stream="qb_invoices", month=month(0), qbo_rows=10**18, raw_rows=10**18 - 1),
        ),
        progress=(Ingested(at=START, rows=10**18),),
        calls_per_day=(DayCalls(day="2026-11-28", calls=10**12, batch_items=10**13),),
        allowance=10**15,
    ),
    "no rows came in": verification(progress=(Ingested(at=START, rows=0),)),
    "no allowance": verification(
        calls_per_day=(DayCalls(day="2026-11-01", calls=7, batch_items=0),), allowance=0
    ),
    "no calls": verification(calls_per_day=(DayCalls(day="2026-11-30", calls=0, batch_items=0),)),
    "more than is allowed": verification(
        calls_per_day=(DayCalls(day="2024-02-29", calls=900_000, batch_items=0),)
    ),
    "long texts": verification(
        company="Very " * 400,
        entities=(result(verdict="x" * 5_000, explanations=("y" * 5_000,) * 30, agrees=False),),
        options=("z" * 3_000,),
        settings={"long": "w" * 3_000, "path": Path("/x"), "span": timedelta(hours=3)},
    ),
}


@pytest.mark.parametrize("document", EDGES.values(), ids=EDGES.keys())
def test_a_page_takes_whatever_comes(tmp_path: Path, document: Verification) -> None:
    shown = page(tmp_path, document)
    assert shown.count("<section") == shown.count("</section>") >= 5
    assert "nan" not in re.sub(r"[a-z]+nan|nan[a-z]+", "", shown)


def test_calls_beyond_the_allowance_are_red(tmp_path: Path) -> None:
    shown = page(tmp_path, EDGES["more than is allowed"])
    assert 'class="meter bad"' in shown
    assert "180.0 % of 500,000" in shown
    assert "stroke: var(--gap)" in shown


def test_without_an_allowance_there_is_no_share(tmp_path: Path) -> None:
    shown = page(tmp_path, EDGES["no allowance"])
    assert "no allowance is set" in shown
    assert "Calls in 2026-11: 7 until the day 1" in shown


def test_only_the_last_month_of_calls_is_drawn(tmp_path: Path) -> None:
    days = [("2026-10-31", 900), ("2026-11-03", 5), ("2026-11-01", 2)]
    calls = tuple(DayCalls(day=day, calls=calls, batch_items=0) for day, calls in days)
    shown = page(tmp_path, verification(calls_per_day=calls))
    assert "Calls in 2026-11: 7 until the day 3" in shown


def test_nothing_compared_is_no_agreement(tmp_path: Path) -> None:
    shown = page(tmp_path, verification())
    assert "Nothing was compared" in shown
    assert "raw agree" not in shown


def test_an_explained_difference_is_not_red(tmp_path: Path) -> None:
    found = result(qbo_rows=10, raw_rows=9, explanations=("1 changed since",), verdict="changed")
    months = (MonthCount(stream=found.stream, month=month(1), qbo_rows=10, raw_rows=9),)
    shown = page(tmp_path, verification(entities=(found,), months=months))

    assert "QuickBooks Online and raw agree" in shown
    assert 'class="explained"' in shown
    assert 'class="gap"' not in shown
    assert "differs, explained" in shown
    assert "1 changed since" in shown


@pytest.mark.parametrize(
    ("ids", "total", "words"),
    [(3, 3, None), (12, 12, None), (20, 20, "and 8 more"), (20, 538, "and 526 more")],
)
def test_of_many_ids_the_first_are_shown(
    tmp_path: Path, ids: int, total: int, words: str | None
) -> None:
    found = result(
        missing=total, missing_ids=tuple(f"id{number}" for number in range(ids)), agrees=False
    )
    shown = page(tmp_path, verification(entities=(found,)))

    assert shown.count("<code>id") == min(ids, 12)
    assert re.findall(r"and \d+ more", shown) == ([words] if words else [])


def test_ids_are_not_told_twice(tmp_path: Path) -> None:
    told = ("3 are in QBO, and not in raw: 4711, 4712, 4713",)
    ids = ("4711", "4712", "4713")
    found = result(missing=3, missing_ids=ids, explanations=told, agrees=False)
    assert page(tmp_path, verification(entities=(found,))).count("4711") == 1

    other = msgspec.structs.replace(found, explanations=("1 of 3 changed since",))
    assert "<code>4711</code>" in page(tmp_path, verification(entities=(other,)))
