"""The ids of all objects of an entity in QBO, and the proof that others are not there.

An object that an answer leaves out, for whatever reason, must not be taken for a deleted one.
So each that is missing is asked for by its id, beside one that is known to be there, so that a
filter that QBO ignores or does not understand shows. Where QBO does not filter by Id, a second
listing that is complete has to lack it as well.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from typing_extensions import override

from tap_quickbooks_raw.entities import Reading
from tap_quickbooks_raw.exceptions import EntityError, RefusedError
from tap_quickbooks_raw.pages import Page, Source
from tap_quickbooks_raw.passes import Passes
from tap_quickbooks_raw.planning import base_query, countable
from tap_quickbooks_raw.query import quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence, Sized
    from datetime import datetime

    from tap_quickbooks_raw.client import QuickBooksClient
    from tap_quickbooks_raw.entities import Entity
    from tap_quickbooks_raw.pages import Row, Stamp
    from tap_quickbooks_raw.query import Query

    # LastUpdatedTimes by Id.
    Stamps = dict[str, Stamp | None]

# How long an address may be is not documented, and proxies let 2,000 characters through. Ids of
# 21 digits, the longest that were seen, make a text of 1,300 and an address of 1,700.
IDS_PER_QUERY = 50


class IdSource(Source):
    """Pages of ids alone, as far as QBO answers a query for them; else of whole objects."""

    columns = "Id"

    def __init__(self, client: QuickBooksClient, entity: Entity, *, size: int = 1000) -> None:
        super().__init__(client, entity, size=size)
        self._is_whole = False

    @override
    def fetch(self, query: Query, *, position: int, size: int, patience: int | None = None) -> Page:
        if self._is_whole:
            return super().fetch(query, position=position, size=size, patience=patience)
        text = query.page(position=position, rows=size, columns=self.columns)
        try:
            answer = self._client.get("query", patience=patience, query=text)
        except RefusedError:
            # If this is refused as well, the columns were not at fault.
            page = super().fetch(query, position=position, size=size, patience=patience)
            self._is_whole = True
            return page
        rows = self.rows(answer.query, answer.tid)
        if not self.suffices(rows):
            self._is_whole = True
            return super().fetch(query, position=position, size=size, patience=patience)
        return Page(rows, answer.received_at, "query", text, size)

    def suffices(self, rows: Sequence[Row]) -> bool:
        """Whether rows have what was asked for; an Id they always have."""
        del rows
        return True


class StampSource(IdSource):
    """The same of ids and LastUpdatedTimes; whether QBO sends these alone is not documented."""

    columns = "Id, MetaData"

    @override
    def suffices(self, rows: Sequence[Row]) -> bool:
        return all(row.stamp for row in rows)


class Listing:
    """The ids of an entity in QBO.

    Args:
        client: Sends the requests.
        entity: The entity; exchange rates have no ids.
        size: Rows per page at most.
        kind: What to ask for of each object.
    """

    def __init__(
        self,
        client: QuickBooksClient,
        entity: Entity,
        *,
        size: int = 1000,
        kind: type[IdSource] = IdSource,
    ) -> None:
        self._entity = entity
        self._query = base_query(entity)
        # Of an object that is wrapped in another one, a column is no Id.
        build = kind if entity.reading is Reading.QUERY else Source
        self._source = build(client, entity, size=size)

    def read(self) -> set[str]:
        """List what is there; what is not listed has to be confirmed.

        Raises:
            EntityError: QBO failed for good, cannot send an object, or lists nothing without
                counting nothing.
        """
        # The set is not closed. But what hides behind a COUNT that agrees is found by `absent`.
        return set(self._list(closed=True))

    def between(self, start: datetime, end: datetime | None, *, quick: bool = False) -> Stamps:
        """List what was last updated in ``[start, end)``, and what has no exact time.

        Args:
            start: Lower bound, inclusive.
            end: Upper bound, exclusive; None for none.
            quick: Whether a single page that is not full will do, without further proof.

        Raises:
            EntityError: QBO failed for good, or cannot send an object.
        """
        if self._entity.reading in {Reading.GET, Reading.SINGLE}:
            found = self._one_answer()
        else:
            read = self._page if quick else self._closed_pass
            try:
                found = read(self._query.between(start, end))
            except RefusedError:
                found = read(self._query)
        return {key: stamp for key, stamp in found.items() if is_between(stamp, start, end)}

    def find(self, ids: Iterable[str], present: Iterable[str]) -> Stamps | None:
        """Ask for objects by their ids, and return those that QBO sends.

        Args:
            ids: The ids.
            present: Ids of others that are known to be there.

        Returns:
            What was sent; None where QBO does not filter by Id.

        Raises:
            EntityError: As `between` does.
        """
        if self._entity.reading is not Reading.QUERY:
            return None
        try:
            return self._found(sorted(ids), next(iter(present), None))
        except RefusedError:
            return None

    def absent(self, ids: set[str], present: set[str]) -> set[str]:
        """Return those of some ids that are proven not to be there.

        Args:
            ids: Ids that were not listed.
            present: Ids that were.

        Raises:
            EntityError: As `read` does.
        """
        if not ids:
            return set()
        if self._entity.reading is Reading.QUERY:
            try:
                return ids - self._found(sorted(ids), next(iter(present), None)).keys()
            except RefusedError:
                pass
        listed = self._list(closed=False)
        if countable(self._entity):
            self._check_count(self._query, listed)
        return ids - listed.keys()

    def _found(self, ids: list[str], witness: str | None) -> Stamps:
        """Ask for ids, and return those that QBO sends."""
        found: Stamps = {}
        for chunk in _chunks(ids, IDS_PER_QUERY - 1):
            asked = chunk if witness is None else [witness, *chunk]
            names = ", ".join(map(quote, asked))
            query = self._query.where(f"Id IN ({names})")
            sent = self._pass(query, closed=True)
            self._check_count(query, sent)
            if witness is not None and witness not in sent:
                raise RefusedError("QBO does not send an object that is asked for by its Id")
            found |= sent
        return found

    def _list(self, *, closed: bool) -> Stamps:
        if self._entity.reading in {Reading.GET, Reading.SINGLE}:
            found = self._one_answer()
        else:
            found = self._pass(self._query, closed=closed)
        if not found:
            self._check_empty()
        return found

    def _page(self, query: Query) -> Stamps:
        page = self._source.fetch(query, position=1, size=self._source.sizes.limit)
        if len(page.rows) < page.size:
            return {row.id: row.stamp for row in page.rows}
        return self._closed_pass(query)

    def _closed_pass(self, query: Query) -> Stamps:
        return self._pass(query, closed=True)

    def _one_answer(self) -> Stamps:
        if self._entity.reading is Reading.GET:
            page = self._source.fetch_all()
        else:
            size = self._source.sizes.limit
            page = self._source.fetch(self._query, position=1, size=size)
        return {row.id: row.stamp for row in page.rows}

    def _pass(self, query: Query, *, closed: bool) -> Stamps:
        passes = Passes(self._source, query, take=lambda rows: rows, closed=closed)
        found = {row.id: row.stamp for page in passes.pages() for row in page.rows}
        if lost := self._source.lost:
            raise EntityError(f"QBO cannot send {len(lost)} objects, which may be any: {lost[0]}")
        return found

    def _check_count(self, query: Query, found: Sized) -> None:
        """Believe that others are gone only if QBO does not count them either."""
        count = self._source.count(query)
        if count is not None and count > len(found):
            raise EntityError(f"QBO sends {len(found)} objects, but counts {count}")

    def _check_empty(self) -> None:
        """Believe that there is nothing only if QBO counts nothing."""
        count = self._source.count(self._query) if countable(self._entity) else None
        if count is None:
            raise EntityError("QBO lists nothing, and does not count: that is no proof")
        if count:
            raise EntityError(f"QBO lists nothing, but counts {count}")


def is_between(stamp: Stamp | None, start: datetime, end: datetime | None) -> bool:
    """Whether an object was last updated in ``[start, end)``; one without exact time always."""
    if stamp is None or not stamp.exact:
        return True
    return start <= stamp.moment and (end is None or stamp.moment < end)


def _chunks(ids: Iterable[str], size: int) -> Iterator[list[str]]:
    rest = iter(ids)
    while chunk := list(islice(rest, size)):
        yield chunk
