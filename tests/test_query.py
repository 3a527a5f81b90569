"""The text of a query is what QBO's grammar wants."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from quickbooks_simulator.statement import parse
from tap_quickbooks_raw.query import UPDATED, Query, instant, quote

START = datetime(2024, 3, 10, 9, 59, 59, tzinfo=UTC)
END = datetime(2024, 11, 3, tzinfo=UTC)
SINCE = "MetaData.LastUpdatedTime >= '2024-03-10T09:59:59Z'"
UNTIL = "MetaData.LastUpdatedTime < '2024-11-03T00:00:00Z'"
PAGE = "STARTPOSITION 1 MAXRESULTS 9"


@pytest.mark.parametrize(
    ("query", "text"),
    [
        (Query("Term"), f"SELECT * FROM Term {PAGE}"),
        (
            Query("Term").sorted_by("Id"),
            f"SELECT * FROM Term ORDERBY Id ASC {PAGE}",
        ),
        (
            Query("Term").where("Active IN (true, false)"),
            f"SELECT * FROM Term WHERE Active IN (true, false) {PAGE}",
        ),
        (
            Query("Bill").between(START, END).sorted_by(UPDATED),
            f"SELECT * FROM Bill WHERE {SINCE} AND {UNTIL} ORDERBY {UPDATED} ASC {PAGE}",
        ),
        (
            Query("Bill").between(START, None),
            f"SELECT * FROM Bill WHERE {SINCE} {PAGE}",
        ),
    ],
    ids=["plain", "sorted", "condition", "window", "open-end"],
)
def test_a_page_is_asked_for_in_words_that_qbo_knows(query: Query, text: str) -> None:
    assert query.page(position=1, rows=9) == text


def test_a_count_has_conditions_but_neither_order_nor_page() -> None:
    query = Query("Term").where("Active IN (true, false)").sorted_by("Id")

    assert query.count() == "SELECT COUNT(*) FROM Term WHERE Active IN (true, false)"


def test_a_query_does_not_change() -> None:
    query = Query("Term")
    query.where("Active = true")
    query.sorted_by("Id")

    assert query == Query("Term")


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (START, "2024-03-10T09:59:59Z"),
        (START.replace(microsecond=999_999), "2024-03-10T09:59:59Z"),
        (datetime(1, 1, 1, tzinfo=UTC), "0001-01-01T00:00:00Z"),
        (datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC), "9999-12-31T23:59:59Z"),
    ],
    ids=["seconds", "fraction", "first-year", "last-year"],
)
def test_instants_are_written_in_whole_seconds_of_utc(moment: datetime, text: str) -> None:
    assert instant(moment) == text


@pytest.mark.parametrize(
    ("value", "quoted"),
    [("USD", "'USD'"), ("Adam's", r"'Adam\'s'"), ("a\\b", r"'a\\b'"), ("", "''")],
)
def test_values_are_quoted_as_documented(value: str, quoted: str) -> None:
    assert quote(value) == quoted


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"])))
def test_no_value_escapes_its_quotes(value: str) -> None:
    """The simulator's own parser reads back what was meant."""
    query = Query("Customer").where(f"DisplayName = {quote(value)}")

    (condition,) = parse(query.page(position=1, rows=1)).conditions

    assert list(condition.values) == [value]
