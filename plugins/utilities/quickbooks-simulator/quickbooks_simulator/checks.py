"""What a statement must not ask for: entities, properties and page sizes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quickbooks_simulator.conditions import Columns
from quickbooks_simulator.entities import BY_QUERY_NAME, TIME_PROPERTIES, Entity
from quickbooks_simulator.faults import invalid_query, not_available, processing_fault

if TYPE_CHECKING:
    from quickbooks_simulator.company import Company
    from quickbooks_simulator.settings import Settings
    from quickbooks_simulator.statement import Statement

PAGE_LIMIT = 1000


def queried_entity(statement: Statement) -> Entity:
    """Return the entity that a statement reads.

    Raises:
        Fault: 4001, when there is none of that name.
    """
    entity = BY_QUERY_NAME.get(statement.entity.lower())
    if entity is None or not entity.queryable:
        raise invalid_query(f"Metadata not found for Entity: {statement.entity}")
    return entity


def check_statement(
    company: Company, entity: Entity, statement: Statement, settings: Settings
) -> None:
    """Refuse what the service refuses.

    Raises:
        Fault: 4001, 4002 or 5030.
    """
    realm, key = company.realm_id, entity.key
    if not entity.available_in(company.country) or settings.lists(
        settings.entities_off, realm, key
    ):
        raise not_available()
    if statement.counts and (not entity.countable or settings.lists(settings.no_count, realm, key)):
        raise processing_fault("Dear entity developer, pl implement count query")
    if statement.limit > PAGE_LIMIT:
        raise invalid_query(
            f"value {statement.limit} is too large. Max allowed value is {PAGE_LIMIT}"
        )
    if statement.limit < 1:
        raise invalid_query(f"value {statement.limit} is too small. Min allowed value is 1")
    timeless = settings.lists(settings.no_time_filter, realm, key)
    _check_properties(Columns(entity), statement, timeless=timeless)


def _check_properties(columns: Columns, statement: Statement, *, timeless: bool) -> None:
    filtered = [condition.name for condition in statement.conditions]
    sorted_by = [sort.name for sort in statement.sorts]
    for name in filtered:
        columns.usable(name, "f")
    for name in sorted_by:
        columns.usable(name, "s")
    for name in filtered + sorted_by:
        if timeless and columns.canonical(name) in TIME_PROPERTIES:
            raise invalid_query(f"property '{name}' is not queryable")
    for name in () if statement.counts else statement.columns:
        columns.selectable(name)
    currency = "SourceCurrencyCode"
    if columns.entity.key == "ExchangeRate" and currency not in map(columns.canonical, filtered):
        raise processing_fault("sourcecurrencycode is required")
