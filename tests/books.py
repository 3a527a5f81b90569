"""A small QBO in memory, in which other people work before any request."""

from __future__ import annotations

import json
import random
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from hypothesis import strategies as st
from tap_quickbooks_raw.entities import BY_STREAM, Entity
from tap_quickbooks_raw.exceptions import EntityError, RefusedError, UnreadableError
from tap_quickbooks_raw.fitting import Sizes
from tap_quickbooks_raw.pages import Page, Row, Stamp
from tap_quickbooks_raw.pagination import WindowReader
from tap_quickbooks_raw.passes import read_whole
from tap_quickbooks_raw.query import Query
from tap_quickbooks_raw.windows import Window

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from tap_quickbooks_raw.client import QuickBooksClient

    Connect = Callable[..., QuickBooksClient]

INVOICE = BY_STREAM["qb_invoices"]
START = datetime(2024, 1, 1, tzinfo=UTC)
END = START + timedelta(seconds=100)
WINDOW = Window(START, END)
SIZES = (1, 2, 7, 50)
BOUNDS = re.compile(r"(>=|<) '(\S+)Z'")


class Edit(NamedTuple):
    """What another user does to the n-th object (counted round)."""

    deed: str
    row: int = 0


class Trouble(NamedTuple):
    """What is wrong with one answer: rows kept, one row more, the last or first row twice."""

    keep: int | None = None
    extra: bool = False
    twice: str = ""


@dataclass
class Books:
    """A small QBO in memory, in which other people work before any request.

    `script` holds the edits before each request, `troubles` what is wrong with each page.
    """

    seconds: dict[str, int]
    entity: Entity = INVOICE
    script: Sequence[Sequence[Edit]] = ()
    troubles: Sequence[Trouble] = ()
    seed: int = 0
    counts: bool = True
    sorted_ids: str = "number"
    stamp: Callable[[datetime], Stamp] = lambda moment: Stamp(moment, exact=True)
    now: int = 1_000
    broken: frozenset[str] = frozenset()
    most_rows: int = 10_000
    requests: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    sizes: Sizes = field(default_factory=lambda: Sizes(1000))
    fetched: int = 0

    def __post_init__(self) -> None:
        self._dice = random.Random(self.seed)
        self._last = len(self.seconds)

    def _work(self) -> None:
        """Let the others do what they do before this request."""
        turn = len(self.requests)
        for deed, number in self.script[turn] if turn < len(self.script) else ():
            self.now += 1
            ids = sorted(self.seconds, key=int)
            if deed == "insert":
                self._last += 1
                self.seconds[str(self._last)] = self.now
            elif ids and deed == "delete":
                del self.seconds[ids[number % len(ids)]]
            elif ids:
                self.seconds[ids[number % len(ids)]] = self.now

    def row(self, id: str) -> Row:
        """An object as it is now."""
        moment = START + timedelta(seconds=self.seconds[id])
        payload = json.dumps({"Id": id, "at": self.seconds[id]}).encode()
        return Row(id, self.stamp(moment), msgspec.Raw(payload))

    def unchanged(self) -> set[tuple[str, int]]:
        """What has to have been read when all is done."""
        return {(key, second) for key, second in self.seconds.items() if 0 <= second < 100}

    def _matching(self, query: Query) -> list[str]:
        bounds = dict(BOUNDS.findall(" ".join(query.conditions)))
        moments = {
            operator: (datetime.fromisoformat(text + "+00:00") - START).total_seconds()
            for operator, text in bounds.items()
        }
        low, high = moments.get(">=", -1e9), moments.get("<", 1e9)
        ids = [key for key, second in self.seconds.items() if low <= second < high]
        self._dice.shuffle(ids)
        match query.order_by:
            case "Id" if not self.sorted_ids:
                self.requests.append("refused")
                raise RefusedError("property 'Id' is not sortable")
            case "Id":
                ids.sort(key=int if self.sorted_ids == "number" else str)
            case "":
                ids.sort(key=int, reverse=True)
            case _:
                ids.sort(key=self.seconds.__getitem__)
        return ids

    def fetch(self, query: Query, *, position: int, size: int, patience: int | None = None) -> Page:
        """Answer a page."""
        del patience
        self._work()
        ids = self._matching(query)
        self.requests.append(query.page(position=position, rows=size))
        trouble = self.troubles[self.fetched] if self.fetched < len(self.troubles) else Trouble()
        self.fetched += 1
        ids = ids[position - 1 : position - 1 + size + trouble.extra]
        if ids and trouble.keep is not None:
            ids = ids[: max(1, trouble.keep)]
        if ids and trouble.twice:
            ids.append(ids[-1] if trouble.twice == "last" else ids[0])
        if self.broken & set(ids):
            raise UnreadableError("System Failure", is_heavy=False)
        if len(ids) > self.most_rows:
            raise UnreadableError("GatewayTimeout", is_heavy=True)
        return Page([self.row(key) for key in ids], datetime.now(UTC), "query", "", size)

    def report(self, query: Query, errors: Sequence[EntityError], *, known: set[str]) -> None:
        """Note what cannot be read."""
        del errors
        self.lost += sorted(set(self._matching(query)) - known)

    def count(self, query: Query) -> int | None:
        """Answer a COUNT, where this entity can be counted."""
        self._work()
        number = len(self._matching(query.sorted_by("x"))) if self.counts else None
        self.requests.append(query.count())
        return number


def read_window(books: Books, size: int, expected: int | None = None) -> list[Page]:
    books.sizes = Sizes(size)
    reader = WindowReader(books, Query("Invoice"), window=WINDOW, expected=expected)
    return list(reader.pages())


def read_books(books: Books, size: int) -> list[Page]:
    books.sizes = Sizes(size)
    return list(read_whole(books, Query("Invoice"), keep=WINDOW))


def emitted(pages: Iterable[Page]) -> list[tuple[str, int]]:
    return [
        (content["Id"], content["at"])
        for page in pages
        for content in (msgspec.json.decode(row.payload) for row in page.rows)
    ]


def laid_out(*ties: int) -> dict[str, int]:
    """Objects in seconds: `laid_out(3, 1)` has three in the first and one in the next."""
    seconds = [second for second, number in enumerate(ties) for _ in range(number)]
    return {str(number): second for number, second in enumerate(seconds, start=1)}


edits = st.builds(Edit, st.sampled_from(("update", "delete", "insert")), st.integers(0, 40))
scripts = st.lists(st.lists(edits, max_size=3), max_size=14)
troubles = st.builds(
    Trouble,
    keep=st.none() | st.integers(1, 3),
    extra=st.booleans(),
    twice=st.sampled_from(("", "", "last", "first")),
)
seconds = st.lists(st.sampled_from((0, 1, 1, 1, 1, 2, 3, 3, 3, 50, 99)), max_size=25).map(
    lambda values: {str(number): second for number, second in enumerate(values, start=1)}
)
sizes = st.sampled_from(SIZES)
