"""The objects of each entity in QBO: by COUNT, thirty to a call, else by their ids."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tap_quickbooks_raw.batches import count_all
from tap_quickbooks_raw.entities import Reading
from tap_quickbooks_raw.exceptions import EntityError, RefusedError
from tap_quickbooks_raw.listing import Listing, StampSource, is_between
from tap_quickbooks_raw.pages import Source, total_count
from tap_quickbooks_raw.passes import Passes
from tap_quickbooks_raw.planning import base_query, countable
from tap_quickbooks_raw.rates import currencies, rate_queries
from tap_quickbooks_raw.verification.finding import Counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tap_quickbooks_raw.entities import Entity
    from tap_quickbooks_raw.pages import Page
    from tap_quickbooks_raw.query import Query
    from tap_quickbooks_raw.verification.scope import Scope


def count_source(scope: Scope, entities: Sequence[Entity]) -> Iterator[tuple[Entity, Counted]]:
    """Count the objects of entities in QBO, or say why one cannot be counted.

    Raises:
        CompanyError: Nothing of the company can be read.
        BudgetReached: No further request may be sent.
    """
    asked = [entity for entity in entities if countable(entity)]
    counts = count_all(scope.run.client, [_query(scope, entity) for entity in asked])
    counted_at = datetime.now(UTC)
    counted = dict(zip(asked, counts, strict=True))
    for entity in entities:
        rows = counted.get(entity)
        found = Counted(counted_at, rows)
        yield entity, _count_alone(scope, entity) if rows is None else found


def list_source(scope: Scope, entity: Entity, *, quick: bool = False) -> Counted:
    """List the objects of an entity with their stamps, or say why that is not possible.

    Args:
        scope: What is compared.
        entity: The entity.
        quick: Whether a single page that is not full will do, without further proof.
    """
    try:
        if entity.reading is Reading.RATES:
            stamps = {
                row.id: row.stamp
                for page in rates(scope, entity)
                for row in page.rows
                if is_between(row.stamp, scope.start, scope.end)
            }
        else:
            stamps = listing_of(scope, entity).between(scope.start, scope.end, quick=quick)
    except EntityError as error:
        return Counted(datetime.now(UTC), error=error)
    return Counted(datetime.now(UTC), len(stamps), stamps)


def listing_of(scope: Scope, entity: Entity) -> Listing:
    """Return what lists the ids and stamps of an entity."""
    size = scope.run.settings.page_size
    return Listing(scope.run.client, entity, size=size, kind=StampSource)


def rates(scope: Scope, entity: Entity) -> Iterator[Page]:
    """Read the exchange rates, which have neither ids nor a COUNT."""
    client = scope.run.client
    source = Source(client, entity, size=scope.run.settings.page_size)
    queries = rate_queries(currencies(client), scope.clock.date())
    while queries:
        query = queries.pop(0)
        try:
            page = source.fetch(query, position=1, size=source.sizes.limit)
            if len(page.rows) < page.size:
                yield page
            else:
                yield from Passes(source, query, take=list, closed=False).pages()
        except RefusedError:
            if not queries:
                raise
        else:
            return


def _query(scope: Scope, entity: Entity) -> Query:
    return base_query(entity).between(scope.start, scope.end)


def _count_alone(scope: Scope, entity: Entity) -> Counted:
    """Count what was not counted in a batch; list it if QBO does not count it at all."""
    if countable(entity):
        try:
            text = _query(scope, entity).count()
            answer = scope.run.client.get("query", attempts=2, query=text)
        except RefusedError:
            return list_source(scope, entity, quick=True)
        except EntityError as error:
            return Counted(datetime.now(UTC), error=error)
        rows = total_count(answer.query)
        if rows is not None:
            return Counted(datetime.now(UTC), rows)
    return list_source(scope, entity, quick=True)
