"""Pages are as large as QBO can make them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tap_quickbooks_raw.entities import BY_STREAM
from tap_quickbooks_raw.exceptions import UnreadableError
from tap_quickbooks_raw.fitting import PAGES_UNTIL_GROWTH, Fitting, Sizes
from tap_quickbooks_raw.query import Query

if TYPE_CHECKING:
    from collections.abc import Callable

INVOICES = Query("Invoice")


class Scripted:
    """A source whose pages fail as told, and that notes what it was asked for."""

    entity = BY_STREAM["qb_invoices"]

    def __init__(self, fails: Callable[[int], bool | None], *, most: int = 1000) -> None:
        self.sizes = Sizes(most)
        self.lost: list[str] = []
        self.asked: list[tuple[int, int | None]] = []
        self._fails = fails

    def fetch(self, _query: Query, *, position: int, size: int, patience: int | None) -> Any:
        """Answer a full page, or fail: heavily where `fails` is True, else broken."""
        del position
        self.asked.append((size, patience))
        is_heavy = self._fails(size)
        if is_heavy is not None:
            raise UnreadableError("no", is_heavy=is_heavy)
        return type("Page", (), {"rows": [None] * size})()


def test_a_broken_row_is_found_by_halves_and_its_last_attempts_are_all() -> None:
    source = Scripted(lambda _: False)

    with pytest.raises(UnreadableError):
        Fitting(source).fetch(INVOICES)  # type: ignore[arg-type]

    assert [size for size, _ in source.asked] == [1000, 500, 250, 125, 62, 31, 15, 7, 3, 1]
    assert source.asked[0][1] == 2
    assert {patience for _, patience in source.asked[1:-1]} == {1}
    assert source.asked[-1][1] is None
    assert source.sizes.limit == 1000


def test_known_rows_are_asked_for_again_beside_the_suspects() -> None:
    source = Scripted(lambda size: None if size <= 20 else False)
    fitting = Fitting(source)  # type: ignore[arg-type]

    for _ in range(3):
        fitting.fetch(INVOICES, known=10)

    assert [size for size, _ in source.asked][-1] < 20


def test_a_broken_row_near_by_is_believed_sooner_but_not_a_heavy_one() -> None:
    broken = Scripted(lambda _: False, most=1)
    with pytest.raises(UnreadableError):
        Fitting(broken, doubtful=True).fetch(INVOICES)  # type: ignore[arg-type]
    heavy = Scripted(lambda _: True, most=1)
    with pytest.raises(UnreadableError):
        Fitting(heavy, doubtful=True).fetch(INVOICES)  # type: ignore[arg-type]

    assert broken.asked == [(1, 2)]
    assert heavy.asked == [(1, 2), (1, None)]


def test_heavy_pages_shrink_for_all_and_grow_again_ever_later() -> None:
    source = Scripted(lambda size: True if size > 100 else None)
    fitting = Fitting(source)  # type: ignore[arg-type]

    for _ in range(4 * PAGES_UNTIL_GROWTH):
        fitting.fetch(INVOICES)

    failed = [size for size, _ in source.asked if size > 100]
    assert failed == [1000, 500, 250, 125, 124, 124]
    assert source.sizes.limit == 62


def test_a_page_is_no_larger_than_what_is_left() -> None:
    source = Scripted(lambda _: None)
    fitting = Fitting(source)  # type: ignore[arg-type]
    fitting.most = 3

    fitting.fetch(INVOICES)

    assert source.asked == [(3, 2)]
