"""Whole objects by their ids, as the tap would read them."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from tap_quickbooks_raw.entities import Reading
from tap_quickbooks_raw.exceptions import RefusedError
from tap_quickbooks_raw.listing import IDS_PER_QUERY
from tap_quickbooks_raw.pages import Source
from tap_quickbooks_raw.passes import Passes
from tap_quickbooks_raw.planning import base_query
from tap_quickbooks_raw.query import quote
from tap_quickbooks_raw.verification.counting import rates

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from tap_quickbooks_raw.entities import Entity
    from tap_quickbooks_raw.pages import Page
    from tap_quickbooks_raw.verification.scope import Scope


def objects(scope: Scope, entity: Entity, ids: Collection[str]) -> Iterator[Page]:
    """Read objects by their ids; where QBO does not filter by Id, all are read.

    Yields:
        Pages that have none but those objects; what QBO does not send is in none.

    Raises:
        EntityError: QBO failed for good.
    """
    wanted = set(ids)
    for page in _pages(scope, entity, wanted):
        rows = [row for row in page.rows if row.id in wanted]
        if rows:
            yield page._replace(rows=rows)


def _pages(scope: Scope, entity: Entity, ids: set[str]) -> Iterator[Page]:
    source = Source(scope.run.client, entity, size=scope.run.settings.page_size)
    query = base_query(entity)
    match entity.reading:
        case Reading.GET:
            yield source.fetch_all()
        case Reading.SINGLE:
            yield source.fetch(query, position=1, size=1)
        case Reading.RATES:
            yield from rates(scope, entity)
        case Reading.QUERY:
            try:
                yield from _by_id(source, sorted(ids))
            except RefusedError:
                yield from Passes(source, query, take=list, closed=False).pages()
        case _:
            yield from Passes(source, query, take=list, closed=False).pages()


def _by_id(source: Source, ids: list[str]) -> Iterator[Page]:
    query = base_query(source.entity)
    rest = iter(ids)
    size = min(IDS_PER_QUERY, source.sizes.limit)
    while chunk := list(islice(rest, size)):
        asked = query.where(f"Id IN ({', '.join(map(quote, chunk))})")
        yield source.fetch(asked, position=1, size=size)
