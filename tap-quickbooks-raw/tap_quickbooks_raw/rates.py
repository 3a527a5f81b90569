"""Exchange rates: QBO answers only for source currencies that the query names.

https://developer.intuit.com/app/developer/qbo/docs/api/accounting/all-entities/exchangerate
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from tap_quickbooks_raw.entities import BY_STREAM
from tap_quickbooks_raw.exceptions import RefusedError, UnavailableError
from tap_quickbooks_raw.pages import Source
from tap_quickbooks_raw.query import Query, quote

if TYPE_CHECKING:
    from datetime import date

    from tap_quickbooks_raw.client import QuickBooksClient

# More currencies than exist; one page holds them all.
MOST_CURRENCIES = 1000


class _Currency(msgspec.Struct):
    code: str | None = msgspec.field(default=None, name="Code")


def currencies(client: QuickBooksClient) -> list[str]:
    """The codes of the company's foreign currencies; none where it has only its own."""
    source = Source(client, BY_STREAM["qb_company_currencies"])
    query = Query("CompanyCurrency", ("Active IN (true, false)",))
    try:
        page = source.fetch(query, position=1, size=MOST_CURRENCIES)
    except (RefusedError, UnavailableError):
        return []
    codes = {msgspec.json.decode(row.payload, type=_Currency).code for row in page.rows}
    return sorted(code for code in codes if code)


def rate_queries(codes: list[str], day: date) -> list[Query]:
    """Queries for the rates of some currencies, the best first.

    Whether all rates are answered without a date is not documented, so the last one names it.
    """
    if not codes:
        return []
    all_rates = Query("ExchangeRate").where(
        f"SourceCurrencyCode IN ({', '.join(quote(code) for code in codes)})"
    )
    return [all_rates, all_rates.where(f"AsOfDate = {quote(day.isoformat())}")]
