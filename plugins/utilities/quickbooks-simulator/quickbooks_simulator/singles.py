"""Company, preferences, exchange rate and tax classifications: the calls of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quickbooks_simulator.clock import pacific_date
from quickbooks_simulator.conditions import row_of
from quickbooks_simulator.faults import missing, not_found

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from quickbooks_simulator.clock import Clock
    from quickbooks_simulator.company import Company


def _only(company: Company, key: str) -> bytes:
    version = company.tables[key].latest(0)
    if version is None:
        raise not_found()
    return b'"%s":%s' % (key.encode(), version.text)


def company_info(company: Company, parts: Sequence[str]) -> bytes:
    """Answer `/companyinfo/{realmId}`; its Id 1 works as well."""
    if len(parts) > 1 and parts[1] not in (company.realm_id, "1"):
        raise not_found()
    return _only(company, "CompanyInfo")


def preferences(company: Company) -> bytes:
    """Answer `/preferences`."""
    return _only(company, "Preferences")


def exchange_rate(company: Company, params: Mapping[str, str], clock: Clock) -> bytes:
    """Answer `/exchangerate`: the newest rate of a currency up to a day."""
    code = params.get("sourcecurrencycode", "").upper()
    if not code:
        raise missing("sourcecurrencycode")
    day = params.get("asofdate") or pacific_date(clock.stamp())
    table = company.tables["ExchangeRate"]
    best, found = "", None
    for slot in table.in_order("oldest"):
        row = row_of(table, slot)
        if row["SourceCurrencyCode"] == code and best < row["AsOfDate"] <= day:
            best, found = row["AsOfDate"], table.shown(slot)
    if found is None:
        raise not_found()
    return b'"ExchangeRate":' + found.text


def tax_classes(
    company: Company, parts: Sequence[str], params: Mapping[str, str]
) -> tuple[bytes, int]:
    """Answer `/taxclassification`: all, of a level, one, or the children of one."""
    table = company.tables["TaxClassification"]
    rows = [(row_of(table, slot), slot) for slot in table.in_order("oldest")]
    _, wanted, below, *_ = (*parts, "", "")
    if wanted and below == "children":
        rows = [(row, s) for row, s in rows if row.get("ParentRef", {}).get("value") == wanted]
    elif wanted:
        rows = [(row, slot) for row, slot in rows if row["id"] == wanted]
        if not rows:
            raise not_found()
    elif level := params.get("level"):
        rows = [(row, slot) for row, slot in rows if row["level"] == level]
    texts = table.texts(slot for _, slot in rows)
    if not texts:
        return b'"QueryResponse":{}', 0
    return b'"QueryResponse":{"TaxClassification":[%s]}' % b",".join(texts), len(texts)
