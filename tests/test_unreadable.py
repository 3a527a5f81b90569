"""What QBO cannot send is isolated and named, and everything else is read."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tap_quickbooks_raw.exceptions import EntityError
from tap_quickbooks_raw.pagination import UnsortedError, WindowReader
from tap_quickbooks_raw.query import Query
from tap_quickbooks_raw.windows import Window

if TYPE_CHECKING:
    from collections.abc import Callable

    from tap_quickbooks_raw.client import QuickBooksClient

    Connect = Callable[..., QuickBooksClient]

from tests.books import (
    END,
    SIZES,
    START,
    Books,
    Edit,
    emitted,
    laid_out,
    read_books,
    read_window,
    scripts,
    seconds,
    sizes,
)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "broken", [("1",), ("20",), ("40",), ("7", "8", "9"), ("3", "30"), ("39", "40")]
)
@pytest.mark.parametrize(
    "layout", [(1,) * 40, (2,) * 20, (10, 20, 10), (40,)], ids=["singles", "pairs", "three", "tied"]
)
def test_an_object_that_cannot_be_read_is_isolated_and_the_rest_is_read(
    layout: tuple[int, ...], broken: tuple[str, ...], size: int
) -> None:
    books = Books(laid_out(*layout), broken=frozenset(broken))

    rows = emitted(read_window(books, size, 40))

    assert {key for key, _ in rows} == set(books.seconds) - set(broken)
    assert len(rows) == len(set(rows))
    assert [second for _, second in rows] == sorted(second for _, second in rows)
    assert sorted(broken) == sorted(books.lost)


@settings(max_examples=200, deadline=None)
@given(
    seconds=seconds,
    script=scripts,
    size=sizes,
    broken=st.sets(st.integers(1, 25).map(str), max_size=3),
    most_rows=st.sampled_from((1, 2, 5, 100)),
    counts=st.booleans(),
    seed=st.integers(0, 99),
)
def test_broken_and_heavy_objects_hide_no_others_while_people_work(  # noqa: PLR0913  Parameters of a test.
    seconds: dict[str, int],
    script: list[list[Edit]],
    size: int,
    broken: set[str],
    most_rows: int,
    *,
    counts: bool,
    seed: int,
) -> None:
    books = Books(
        dict(seconds),
        script=script,
        broken=frozenset(broken),
        most_rows=most_rows,
        counts=counts,
        seed=seed,
    )

    rows = emitted(read_window(books, size))

    assert {(key, second) for key, second in books.unchanged() if key not in broken} <= set(rows)
    assert len(rows) == len(set(rows))
    assert all(earlier <= later for (_, earlier), (_, later) in pairwise(rows))


@pytest.mark.parametrize("size", [7, 50])
def test_a_whole_reading_leaves_out_what_cannot_be_read(size: int) -> None:
    books = Books(laid_out(*(1,) * 40), broken=frozenset(("1", "17", "40")))

    assert {key for key, _ in emitted(read_books(books, size))} == set(books.seconds) - books.broken
    assert sorted(books.lost) == ["1", "17", "40"]


def test_one_broken_object_in_a_thousand_costs_few_calls() -> None:
    books = Books(laid_out(*(10,) * 100), broken=frozenset(("500",)))

    assert len(emitted(read_window(books, 1000, 1000))) == 999
    assert len(books.requests) < 60


def test_heavy_pages_are_asked_for_smaller_from_then_on() -> None:
    books = Books(laid_out(*(10,) * 90), most_rows=100)

    assert len(emitted(read_window(books, 400, 900))) == 900
    # Two that fail, and pages of 100 rows of which ten were seen before.
    assert len(books.requests) == 2 + 10


def test_where_nothing_can_be_read_it_is_said_so() -> None:
    books = Books(laid_out(*(20,) * 90), broken=frozenset(str(n) for n in range(1, 1801)))

    with pytest.raises(EntityError, match="System Failure"):
        read_window(books, 50, 1800)
    assert len(books.requests) < 40


def test_a_broken_object_where_the_lower_bound_is_ignored_is_no_endless_walk() -> None:
    books = Books(laid_out(*(1,) * 30), broken=frozenset(("1",)))
    fetch = books.fetch
    unbound = Query("Invoice").between(START, END).sorted_by("MetaData.LastUpdatedTime")
    books.fetch = lambda _, **place: fetch(unbound, **place)  # type: ignore[method-assign]
    window = Window(START + timedelta(seconds=20), START + timedelta(days=99))
    reader = WindowReader(books, Query("Invoice"), window=window)

    with pytest.raises(UnsortedError):
        list(reader.pages())
    assert len(books.requests) < 40
