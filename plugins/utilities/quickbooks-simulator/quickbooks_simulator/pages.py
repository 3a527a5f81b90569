"""Pages of a query, and the ways in which a scripted trouble bends them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence


class PageTrick(NamedTuple):
    """How a scripted trouble bends a page."""

    extra: int = 0
    keep: int | None = None
    duplicate: bool = False


Tricks = Mapping[str, PageTrick]


class Selected(NamedTuple):
    """The value of `QueryResponse` and the number of rows in it."""

    body: bytes
    rows: int


class Page(NamedTuple):
    """The slots of a page and the number of all rows that match."""

    slots: Sequence[int]
    total: int
