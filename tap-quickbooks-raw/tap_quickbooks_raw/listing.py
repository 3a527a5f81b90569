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
    from collections.abc import Iterable, Iterator

    from tap_quickbooks_raw.client import QuickBooksClient
    from tap_quickbooks_raw.entities import Entity
    from tap_quickbooks_raw.query import Query

# How long an address may be is not documented, and proxies let 2,000 characters through. Ids of
# 21 digits, the longest that were seen, make a text of 1,300 and an address of 1,700.
IDS_PER_QUERY = 50


class IdSource(Source):
    """Pages of ids alone, as far as QBO answers a query for them; else of whole objects."""

    def __init__(self, client: QuickBooksClient, entity: Entity, *, size: int = 1000) -> None:
        super().__init__(client, entity, size=size)
        self._is_whole = False

    @override
    def fetch(self, query: Query, *, position: int, size: int, patience: int | None = None) -> Page:
        if self._is_whole:
            return super().fetch(query, position=position, size=size, patience=patience)
        text = query.page(position=position, rows=size, columns="Id")
        try:
            answer = self._client.get("query", patience=patience, query=text)
        except RefusedError:
            # If this is refused as well, the column was not at fault.
            page = super().fetch(query, position=position, size=size, patience=patience)
            self._is_whole = True
            return page
        return Page(self.rows(answer.query, answer.tid), answer.received_at, "query", text, size)


class Listing:
    """The ids of an entity in QBO.

    Args:
        client: Sends the requests.
        entity: The entity; exchange rates have no ids.
        size: Rows per page at most.
    """

    def __init__(self, client: QuickBooksClient, entity: Entity, *, size: int = 1000) -> None:
        self._entity = entity
        self._query = base_query(entity)
        # Of an object that is wrapped in another one, a column is no Id.
        kind = IdSource if entity.reading is Reading.QUERY else Source
        self._source = kind(client, entity, size=size)

    def read(self) -> set[str]:
        """List what is there; what is not listed has to be confirmed.

        Raises:
            EntityError: QBO failed for good, cannot send an object, or lists nothing without
                counting nothing.
        """
        # The set is not closed. But what hides behind a COUNT that agrees is found by `absent`.
        return self._list(closed=True)

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
                return ids - self._found(sorted(ids), next(iter(present), None))
            except RefusedError:
                pass
        present = self._list(closed=False)
        if countable(self._entity):
            self._check_count(self._query, present)
        return ids - present

    def _found(self, ids: list[str], witness: str | None) -> set[str]:
        """Ask for ids, and return those that QBO sends."""
        found: set[str] = set()
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

    def _list(self, *, closed: bool) -> set[str]:
        match self._entity.reading:
            case Reading.GET:
                found = {row.id for row in self._source.fetch_all().rows}
            case Reading.SINGLE:
                size = self._source.sizes.limit
                page = self._source.fetch(self._query, position=1, size=size)
                found = {row.id for row in page.rows}
            case _:
                found = self._pass(self._query, closed=closed)
        if not found:
            self._check_empty()
        return found

    def _pass(self, query: Query, *, closed: bool) -> set[str]:
        passes = Passes(self._source, query, take=lambda rows: rows, closed=closed)
        found = {row.id for page in passes.pages() for row in page.rows}
        if lost := self._source.lost:
            raise EntityError(f"QBO cannot send {len(lost)} objects, which may be any: {lost[0]}")
        return found

    def _check_count(self, query: Query, found: set[str]) -> None:
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


def _chunks(ids: Iterable[str], size: int) -> Iterator[list[str]]:
    rest = iter(ids)
    while chunk := list(islice(rest, size)):
        yield chunk
