"""Accounts, classes, terms, taxes and the other short lists."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Raw

from quickbooks_simulator.generation.balances import owed
from quickbooks_simulator.generation.books import money
from quickbooks_simulator.generation.chart import (
    LOAN,
    PAYABLE,
    RECEIVABLE,
    chart_line,
    full_name,
)
from quickbooks_simulator.generation.inactive import is_inactive, name_of
from quickbooks_simulator.generation.words import CURRENCIES

if TYPE_CHECKING:
    from quickbooks_simulator.generation.books import Books
    from quickbooks_simulator.jsontext import Payload

_AREAS = ("Installation", "Maintenance", "Design", "Export", "Retail")
_TERMS = (("Due on receipt", 0), ("Net 30", 30), ("Net 15", 15), ("Net 60", 60), ("Net 10", 10))
_METHODS = ("Cash", "Check", "Diners Club", "Visa", "American Express", "Discover", "MasterCard")
_AGENCIES = ("Monterra Revenue Board", "Redfield Dept. of Taxes", "Redfield Tax Office")
_RATES = (("Redfield State tax", 7.1), ("Redfield City", 2), ("Monterra", 8), ("Old rate", 6.25))
_JOURNALS = (("VT", "Sales"), ("AC", "Expenses"), ("BQ", "Bank"), ("AN", "Report A Nouveaux"))


def account(books: Books, slot: int) -> Payload:
    """Make an account."""
    line, inactive = chart_line(slot), is_inactive("Account", slot)
    balance: Any = money(books.chance("Account", slot) % 4_000_000)
    if line.classification in ("Revenue", "Expense") or inactive:
        balance = 0
    elif slot == RECEIVABLE:
        balance = money(sum(owed(books, "Customer").values()))
    elif slot == PAYABLE:
        balance = money(-sum(owed(books, "Vendor").values()))
    elif slot == LOAN:
        balance = Raw(b"-25000.00")
    row: Payload = {
        "Name": name_of(line.name, inactive=inactive),
        "SubAccount": line.parent is not None,
        "FullyQualifiedName": name_of(full_name(slot), inactive=inactive),
        "Active": not inactive,
        "Classification": line.classification,
        "AccountType": line.type,
        "AccountSubType": line.subtype,
        "CurrentBalance": balance,
        "CurrentBalanceWithSubAccounts": balance,
        "CurrencyRef": books.currency_ref,
        **books.head("Account", slot),
    }
    if line.parent is not None:
        row["ParentRef"] = {"value": books.id("Account", line.parent)}
    if slot % 4 == 0:
        row["AcctNum"] = str(1000 + 10 * slot)
    return row


def class_(books: Books, slot: int) -> Payload:
    """Make a class; every fifth lies below the first."""
    return _area(books, "Class", "SubClass", slot)


def department(books: Books, slot: int) -> Payload:
    """Make a department, which the user interface calls a location."""
    return _area(books, "Department", "SubDepartment", slot)


def _area(books: Books, entity: str, below: str, slot: int) -> Payload:
    inactive = is_inactive(entity, slot)
    base = _AREAS[slot] if slot < len(_AREAS) else f"{_AREAS[slot % len(_AREAS)]} {slot}"
    row: Payload = {
        "Name": name_of(base, inactive=inactive),
        below: False,
        "FullyQualifiedName": base,
        "Active": not inactive,
        **books.head(entity, slot),
    }
    if slot % 5 == 4:  # noqa: PLR2004 - every fifth
        row |= {
            below: True,
            "ParentRef": {"value": books.id(entity, 0)},
            "FullyQualifiedName": f"{_AREAS[0]}:{base}",
        }
    return row


def term(books: Books, slot: int) -> Payload:
    """Make a payment term."""
    inactive = is_inactive("Term", slot)
    if slot >= len(_TERMS):
        kind: Payload = {"Name": "First of month", "Type": "DATE_DRIVEN", "DayOfMonthDue": 1}
    else:
        name, days = _TERMS[slot]
        name = name_of(name, inactive=inactive)
        kind = {"Name": name, "Type": "STANDARD", "DueDays": days, "DiscountDays": 0}
    return {**kind, "Active": not inactive, "DiscountPercent": 0, **books.head("Term", slot)}


def payment_method(books: Books, slot: int) -> Payload:
    """Make a payment method."""
    inactive = is_inactive("PaymentMethod", slot)
    name = _METHODS[slot] if slot < len(_METHODS) else "Voucher"
    return {
        "Name": name_of(name, inactive=inactive),
        "Active": not inactive,
        "Type": "CREDIT_CARD" if slot > 1 else "NON_CREDIT_CARD",
        **books.head("PaymentMethod", slot),
    }


def customer_type(books: Books, slot: int) -> Payload:
    """Make a customer type."""
    inactive = is_inactive("CustomerType", slot)
    return {
        "Name": name_of(f"Type {slot + 1}", inactive=inactive),
        "Active": not inactive,
        **books.head("CustomerType", slot, token=slot % 2),
    }


def company_currency(books: Books, slot: int) -> Payload:
    """Make a currency that the company uses besides its own."""
    code, name, _ = CURRENCIES[slot]
    return {
        "Code": code,
        "Name": name,
        "Active": not is_inactive("CompanyCurrency", slot),
        **books.head("CompanyCurrency", slot),
    }


def journal_code(books: Books, slot: int) -> Payload:
    """Make a French journal code."""
    name, kind = _JOURNALS[slot % len(_JOURNALS)]
    return {
        "Name": name if slot < len(_JOURNALS) else f"{name}{slot}",
        "Type": kind,
        "Description": kind,
        "Active": True,
        **books.head("JournalCode", slot),
    }


def tax_agency(books: Books, slot: int) -> Payload:
    """Make a tax agency."""
    return {
        "TaxTrackedOnPurchases": False,
        "TaxTrackedOnSales": True,
        **books.head("TaxAgency", slot),
        "DisplayName": _AGENCIES[slot],
    }


def tax_rate(books: Books, slot: int) -> Payload:
    """Make a tax rate."""
    name, value = _RATES[slot] if slot < len(_RATES) else (f"District {slot}", 0.5)
    inactive = is_inactive("TaxRate", slot)
    return {
        "Name": name_of(name, inactive=inactive),
        "Description": "Sales Tax",
        "Active": not inactive,
        "RateValue": value,
        "AgencyRef": {"value": books.id("TaxAgency", slot % books.counts["TaxAgency"])},
        "SpecialTaxType": "NONE",
        "EffectiveTaxRate": [{"RateValue": value, "EffectiveDate": "2015-01-05T00:00:00-08:00"}],
        "DisplayType": "ReadOnly",
        **books.head("TaxRate", slot),
    }


def tax_code(books: Books, slot: int) -> Payload:
    """Make a tax code; the first two are the fixed ones, TAX and NON."""
    inactive = is_inactive("TaxCode", slot)
    row: Payload = {
        "Active": not inactive,
        "Taxable": slot != 1,
        "TaxGroup": slot > 1,
        **books.head("TaxCode", slot),
    }
    if slot > 1:
        rate = (slot - 2) % books.counts["TaxRate"]
        detail = {
            "TaxRateRef": {"value": books.id("TaxRate", rate)},
            "TaxTypeApplicable": "TaxOnAmount",
            "TaxOrder": 0,
        }
        name = name_of(f"District {slot}" if slot > 2 else "Monterra", inactive=inactive)  # noqa: PLR2004
        row |= {
            "Name": name,
            "Description": name,
            "SalesTaxRateList": {"TaxRateDetail": [detail]},
            "PurchaseTaxRateList": {"TaxRateDetail": []},
        }
    else:
        name = ("TAX", "NON")[slot]
        row |= {"Name": name, "Description": name}
    return row
