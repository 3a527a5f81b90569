"""Paging yields every object of a window once, whatever happens between two requests."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tap_quickbooks_raw.answers import mend
from tap_quickbooks_raw.entities import BY_STREAM
from tap_quickbooks_raw.exceptions import EntityError, RefusedError
from tap_quickbooks_raw.fitting import Sizes
from tap_quickbooks_raw.pages import Page, Source, Stamp, parse_stamp
from tap_quickbooks_raw.pagination import UnsortedError, WindowReader
from tap_quickbooks_raw.passes import Passes
from tap_quickbooks_raw.query import Query
from tap_quickbooks_raw.windows import Window

if TYPE_CHECKING:
    from collections.abc import Callable

    from quickbooks_simulator.server import RunningSimulator
    from tap_quickbooks_raw.client import QuickBooksClient

    Connect = Callable[..., QuickBooksClient]

from tests.books import (
    END,
    INVOICE,
    SIZES,
    START,
    Books,
    Edit,
    Trouble,
    emitted,
    laid_out,
    read_books,
    read_window,
    scripts,
    seconds,
    sizes,
    troubles,
)

LAYOUTS: dict[str, Callable[[int], tuple[int, ...]]] = {
    "none": lambda _: (),
    "one": lambda _: (1,),
    "exactly-a-page-of-seconds": lambda size: (1,) * size,
    "a-page-and-one": lambda size: (1,) * (size + 1),
    "two-pages": lambda size: (1,) * (2 * size),
    "exactly-a-page-tied": lambda size: (size,),
    "a-page-and-one-tied": lambda size: (size + 1,),
    "three-pages-tied": lambda size: (3 * size,),
    "tie-cut-by-the-page": lambda size: (1, size, 1),
    "full-ties-in-a-row": lambda size: (size, size, size),
    "large-tie-in-the-middle": lambda size: (1, 1, 2 * size + 1, 1, 1),
    "large-tie-at-the-end": lambda size: (1, 1, 2 * size + 1),
}


@pytest.mark.parametrize("counted", [True, False], ids=["counted", "uncounted"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=list(LAYOUTS))
def test_a_quiet_window_is_read_once_and_whole(
    layout: Callable[[int], tuple[int, ...]], size: int, *, counted: bool
) -> None:
    books = Books(laid_out(*layout(size)), counts=counted)

    pages = read_window(books, size, len(books.seconds) if counted else None)

    assert sorted(books.unchanged()) == sorted(emitted(pages))
    assert list(range(1, len(pages) + 1)) == sorted(page.number for page in pages)


@settings(max_examples=400, deadline=None)
@given(
    seconds=seconds,
    script=scripts,
    troubles=st.lists(troubles, max_size=8),
    size=sizes,
    counted=st.sampled_from(("no", "exactly", "with later ones")),
    counts=st.booleans(),
    seed=st.integers(0, 99),
)
def test_a_window_is_read_exactly_while_people_work(  # noqa: PLR0913
    seconds: dict[str, int],
    script: list[list[Edit]],
    troubles: list[Trouble],
    size: int,
    counted: str,
    *,
    counts: bool,
    seed: int,
) -> None:
    """What stays is yielded as it is, each version once, in ascending time."""
    before = set(seconds.items())
    books = Books(dict(seconds), script=script, troubles=troubles, seed=seed, counts=counts)
    expected = {"no": None, "exactly": len(seconds), "with later ones": len(seconds) + 2}[counted]

    rows = emitted(read_window(books, size, expected))

    assert set() == books.unchanged() - set(rows)
    assert len(rows) == len(set(rows))
    assert set() == set(rows) - before
    assert all(earlier <= later for (_, earlier), (_, later) in pairwise(rows))


@settings(max_examples=300, deadline=None)
@given(
    seconds=seconds,
    script=scripts,
    troubles=st.lists(troubles, max_size=8),
    size=sizes,
    counts=st.booleans(),
    sorted_ids=st.sampled_from(("number", "text", "")),
    seed=st.integers(0, 99),
)
def test_an_entity_is_read_whole_while_people_work(  # noqa: PLR0913
    seconds: dict[str, int],
    script: list[list[Edit]],
    troubles: list[Trouble],
    size: int,
    *,
    counts: bool,
    sorted_ids: str,
    seed: int,
) -> None:
    books = Books(
        dict(seconds),
        script=script,
        troubles=troubles,
        seed=seed,
        counts=counts,
        sorted_ids=sorted_ids,
    )

    rows = emitted(read_books(books, size))

    assert set() == books.unchanged() - set(rows)
    assert len(rows) == len(set(rows))


@pytest.mark.parametrize("number", [0, 1, 49, 50, 51, 99, 100, 500])
def test_a_quiet_window_of_single_seconds_costs_a_call_per_page(number: int) -> None:
    """With COUNT known. Each page shows the last second of the page before again.

    Behind a full page one more look is taken, should COUNT be too low; so is for an empty one.
    """
    size = 50
    books = Books({str(n): n for n in range(1, number + 1)}, sizes=Sizes(size))
    reader = WindowReader(
        books,
        Query("Invoice"),
        window=Window(START, START + timedelta(days=1)),
        expected=number,
    )

    assert number == len(emitted(reader.pages()))
    pages, rest = divmod(max(number - 1, 0), size - 1)
    assert pages + 1 == len(books.requests), rest


def test_exactly_a_page_in_one_second_costs_a_look_behind_it() -> None:
    books = Books(laid_out(50))

    assert len(emitted(read_window(books, 50, 50))) == 50
    assert len(books.requests) == 2


def test_a_large_second_costs_its_pages_and_four_calls() -> None:
    """The page that found it, a COUNT, and looks behind the last full page and the second."""
    books = Books(laid_out(500))

    assert len(emitted(read_window(books, 50, 500))) == 500
    assert len(books.requests) == 10 + 4


def test_a_count_of_nothing_is_looked_into() -> None:
    books = Books({})

    assert read_window(books, 50, 0) == []
    assert len(books.requests) == 1


@pytest.mark.parametrize("told", [0, 50, 100])
def test_a_count_that_is_too_low_hides_nothing(told: int) -> None:
    books = Books({str(n): n // 2 + 1 for n in range(120)})

    assert len(emitted(read_window(books, 50, told))) == 120


def test_the_one_object_of_a_company_costs_one_call() -> None:
    books = Books(laid_out(1), entity=BY_STREAM["qb_company_info"])

    assert len(emitted(read_window(books, 1))) == 1
    assert len(books.requests) == 1


def test_a_short_page_and_a_deletion_do_not_hide_what_follows() -> None:
    """The offset behind the known ties is only right while all of them are there."""
    books = Books(
        laid_out(2, 1, 1),
        script=[[], [Edit("delete", 0)]],
        troubles=[Trouble(keep=2)],
        counts=False,
    )

    assert {("3", 1), ("4", 2)} <= set(emitted(read_window(books, 7)))


def test_an_offset_is_not_believed_before_all_ties_before_it_are_seen_again() -> None:
    books = Books(
        laid_out(2, 1, 1),
        script=[[], [Edit("delete", 0)]],
        troubles=[Trouble(keep=2), Trouble(), Trouble(keep=1)],
        counts=False,
    )

    assert books.unchanged() <= set(emitted(read_window(books, 7)))


def test_what_has_left_does_not_count_for_what_is_missing() -> None:
    """As many ids as are counted, but one of them has gone and another is unread."""
    books = Books(
        laid_out(4),
        script=[[], [], [Edit("delete", 0)]],
        troubles=[Trouble(), Trouble(), Trouble(), Trouble(keep=1)],
        sizes=Sizes(2),
    )
    second = Query("Invoice").between(START, START + timedelta(seconds=1))

    passes = Passes(books, second, take=list, closed=True)

    assert {("2", 0), ("3", 0), ("4", 0)} <= set(emitted(passes.pages()))


def test_an_insert_after_the_count_does_not_hide_an_object_of_a_whole_reading() -> None:
    """As many objects as were counted are not the ones that were counted."""
    books = Books(laid_out(*(1,) * 9), script=[[], [Edit("insert")]], sorted_ids="text")

    assert books.unchanged() <= set(emitted(read_books(books, 9)))


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [({"1": 1, "2": 5, "3": 9}, None), ({"1": 9, "2": 5, "3": 7, "4": 1}, 4)],
    ids=["shown-by-the-page", "shown-by-the-count"],
)
def test_a_server_that_ignores_the_order_is_found_out(
    seconds: dict[str, int], expected: int | None
) -> None:
    books = Books(seconds)
    fetch = books.fetch
    books.fetch = lambda query, **place: fetch(query.sorted_by(""), **place)  # type: ignore[method-assign]

    with pytest.raises(UnsortedError):
        read_window(books, 2, expected)


def test_fewer_objects_than_counted_are_not_believed() -> None:
    """The bookmark has passed them, so only reading the whole entity gets them."""
    books = Books(laid_out(3))
    fetch = books.fetch

    def without_the_second(query: Query, **place: int) -> Page:
        page = fetch(query, **place)
        return page._replace(rows=[row for row in page.rows if row.id != "2"])

    books.fetch = without_the_second  # type: ignore[method-assign]

    with pytest.raises(RefusedError, match=r"counts 1 more objects than the 2"):
        read_window(books, 50, 3)


def test_a_server_that_ignores_the_lower_bound_is_found_out() -> None:
    books = Books(laid_out(1, 1, 1, 1))
    fetch = books.fetch
    unbound = Query("Invoice").between(START, END).sorted_by("MetaData.LastUpdatedTime")
    books.fetch = lambda _, **place: fetch(unbound, **place)  # type: ignore[method-assign]

    with pytest.raises(UnsortedError):
        read_window(books, 2)


@pytest.mark.parametrize(
    "stamp",
    [lambda moment: Stamp(moment, exact=False), lambda _: None],
    ids=["bare-date", "no-stamp"],
)
def test_objects_without_an_exact_stamp_cannot_be_read_in_windows(
    stamp: Callable[[datetime], Stamp],
) -> None:
    with pytest.raises(UnsortedError):
        read_window(Books(laid_out(1), stamp=stamp), 50, 1)


def test_objects_without_an_exact_stamp_are_kept_by_a_whole_reading() -> None:
    books = Books({"1": -9, "2": 5, "3": 200}, stamp=lambda moment: Stamp(moment, exact=False))

    assert {("1", -9), ("2", 5), ("3", 200)} == set(emitted(read_books(books, 2)))


def test_fractions_of_a_second_stay_in_their_second() -> None:
    """Sorting inside a second does not matter; the bound is asked for in whole seconds."""
    half = timedelta(milliseconds=500)
    books = Books(laid_out(2, 2, 1), stamp=lambda moment: Stamp(moment + half, exact=True))

    rows = emitted(read_window(books, 2, 5))

    assert sorted(books.unchanged()) == sorted(rows)


def test_a_count_that_never_agrees_ends_with_two_equal_passes() -> None:
    """COUNT may count what is not sent; the objects are there all the same."""
    books = Books(laid_out(5))
    books.count = lambda _: 9  # type: ignore[method-assign]

    assert len(emitted(read_books(books, 2))) == 5
    assert len(emitted(read_window(books, 2))) == 5


def test_what_never_comes_to_rest_is_an_error_and_no_loop() -> None:
    books = Books(laid_out(2_000))
    books.script = [[Edit("delete", 0)]] * 10_000

    with pytest.raises(EntityError, match="run again at a quieter time"):
        read_window(books, 50)


@pytest.mark.parametrize("size", [7, 50])
@pytest.mark.parametrize("seed", range(3))
def test_a_window_of_the_simulator_is_read_exactly_while_people_work(
    own_simulator: Callable[..., RunningSimulator], connect: Connect, *, size: int, seed: int
) -> None:
    simulator = own_simulator(counts={"Invoice": 150}, shuffle_ties=True)
    realm = simulator.realm_ids[0]
    ids = [json.loads(row)["Id"] for row in simulator.rows(realm, "Invoice")]
    dice = random.Random(seed)
    tied = dice.sample(ids, 70)
    simulator.edit(realm, [{"op": "touch", "entity": "Invoice", "ids": tied, "at": "2024-05-05"}])
    deeds = ("update", "delete", "create", "touch")
    simulator.add_rules(
        {
            "match": {"entity": "Invoice", "operation": operation, "nth": number},
            "before": [
                {"op": deed, "entity": "Invoice", "random": 2} for deed in dice.sample(deeds, 2)
            ],
            "do": dice.choice([None, {"short_page": 3}, {"limit_plus_one": True}]),
        }
        for operation in ("query", "count")
        for number in range(1, 12)
    )
    source = Source(connect(simulator), INVOICE, size=size)
    window = Window(
        datetime(2000, 1, 1, tzinfo=UTC),
        datetime.fromtimestamp(int(simulator.now()) - 30, UTC),
    )
    query = Query("Invoice")
    reader = partial(WindowReader, source, query, window=window)

    pages = list(reader(expected=source.count(query.between(*window))).pages())

    got = [bytes(row.payload) for page in pages for row in page.rows]
    assert len(got) == len(set(got))
    kept = {mend(row) for row in simulator.rows(realm, "Invoice") if _lies_in(window, row)}
    assert set() == kept - set(got)
    stamps = [row.stamp.moment for page in pages for row in page.rows if row.stamp]
    assert sorted(stamps) == stamps


def _lies_in(window: Window, row: bytes) -> bool:
    stamp = parse_stamp(json.loads(row)["MetaData"]["LastUpdatedTime"])
    return stamp is not None and window.start <= stamp.moment < window.end


def test_a_window_ends_where_the_next_one_begins() -> None:
    """A row of the next window proves all before it, without a COUNT or a look behind."""
    books = Books({str(n): n for n in range(60)}, sizes=Sizes(50))
    window = Window(START, START + timedelta(seconds=40))
    reader = WindowReader(books, Query("Invoice"), window=window, followed=True)

    assert [int(key) for key, _ in emitted(reader.pages())] == list(range(40))
    assert len(books.requests) == 1


@settings(max_examples=200, deadline=None)
@given(
    seconds=seconds,
    script=scripts,
    troubles=st.lists(troubles, max_size=8),
    size=sizes,
    end=st.sampled_from((1, 2, 3, 50)),
    seed=st.integers(0, 99),
)
def test_a_window_that_is_followed_is_read_exactly_while_people_work(  # noqa: PLR0913  Parameters of a test.
    seconds: dict[str, int],
    script: list[list[Edit]],
    troubles: list[Trouble],
    size: int,
    *,
    end: int,
    seed: int,
) -> None:
    """Also where the row at its end leaves before it is seen."""
    books = Books(dict(seconds), script=script, troubles=troubles, seed=seed, sizes=Sizes(size))
    window = Window(START, START + timedelta(seconds=end))
    reader = WindowReader(books, Query("Invoice"), window=window, followed=True)

    rows = emitted(reader.pages())

    assert {(key, second) for key, second in books.unchanged() if second < end} <= set(rows)
    assert len(rows) == len(set(rows))
    assert all(0 <= second < end for _, second in rows)


def test_a_count_that_is_too_low_does_not_hold_up_a_crowded_second() -> None:
    books = Books(laid_out(40))

    assert len(emitted(read_window(books, 10, 10))) == 40
    assert len(books.requests) < 30


def test_more_ties_than_a_page_behind_a_short_one_come_to_rest() -> None:
    books = Books(
        laid_out(1, 9, 3),
        troubles=[Trouble(), Trouble(keep=1), Trouble(), Trouble(), Trouble(keep=1)],
        seed=1,
        counts=False,
    )

    assert len(emitted(read_window(books, 7))) == 13


def test_a_count_that_ends_with_a_crowded_second_hides_nothing_behind_it() -> None:
    books = Books(laid_out(50, *(1,) * 20))

    assert len(emitted(read_window(books, 10, 50))) == 70


def test_an_empty_page_that_should_not_be_does_not_end_a_window() -> None:
    """COUNT tells, for a window that is followed as well as for a counted one."""
    for followed in (True, False):
        books = Books({str(n): n for n in range(60)}, sizes=Sizes(10))
        fetch = books.fetch

        def lying(query: Query, **place: int) -> Page:
            page = fetch(query, **place)  # noqa: B023  It is called within the loop.
            return page._replace(rows=[]) if books.fetched == 2 else page  # noqa: B023  It is called within the loop.

        books.fetch = lying  # type: ignore[method-assign]
        reader = WindowReader(
            books,
            Query("Invoice"),
            window=Window(START, START + timedelta(seconds=40)),
            expected=None if followed else 40,
            followed=followed,
        )

        assert len(emitted(reader.pages())) == 40
