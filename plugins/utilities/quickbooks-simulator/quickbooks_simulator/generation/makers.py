"""The table of generators, and the generated rows of a whole company."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from quickbooks_simulator.clock import pacific_date, start_of_day
from quickbooks_simulator.entities import ENTITIES
from quickbooks_simulator.generation import (
    banking,
    items,
    lists,
    others,
    people,
    purchases,
    sales,
)
from quickbooks_simulator.generation.inactive import is_inactive
from quickbooks_simulator.generation.words import CURRENCIES
from quickbooks_simulator.jsontext import encode
from quickbooks_simulator.tables import Base, Ids, Table

if TYPE_CHECKING:
    from collections.abc import Callable

    from quickbooks_simulator.generation.books import Books
    from quickbooks_simulator.jsontext import Payload

MAKERS: Final[dict[str, Callable[[Books, int], Payload]]] = {
    "Account": lists.account,
    "Attachable": others.attachable,
    "Bill": purchases.bill,
    "BillPayment": purchases.bill_payment,
    "Budget": others.budget,
    "Class": lists.class_,
    "CompanyCurrency": lists.company_currency,
    "CompanyInfo": others.company_info,
    "CreditCardPaymentTxn": banking.credit_card_payment,
    "CreditMemo": sales.credit_memo,
    "Customer": people.customer,
    "CustomerType": lists.customer_type,
    "Department": lists.department,
    "Deposit": banking.deposit,
    "Employee": people.employee,
    "Estimate": sales.estimate,
    "ExchangeRate": others.exchange_rate,
    "InventoryAdjustment": banking.inventory_adjustment,
    "Invoice": sales.invoice,
    "Item": items.item,
    "JournalCode": lists.journal_code,
    "JournalEntry": banking.journal_entry,
    "Payment": sales.payment,
    "PaymentMethod": lists.payment_method,
    "Preferences": others.preferences,
    "Purchase": purchases.purchase,
    "PurchaseOrder": purchases.purchase_order,
    "RecurringTransaction": others.recurring_transaction,
    "RefundReceipt": sales.refund_receipt,
    "ReimburseCharge": banking.reimburse_charge,
    "SalesReceipt": sales.sales_receipt,
    "TaxAgency": lists.tax_agency,
    "TaxClassification": others.tax_classification,
    "TaxCode": lists.tax_code,
    "TaxPayment": banking.tax_payment,
    "TaxRate": lists.tax_rate,
    "Term": lists.term,
    "TimeActivity": others.time_activity,
    "Transfer": banking.transfer,
    "Vendor": people.vendor,
    "VendorCredit": purchases.vendor_credit,
}


def make_row(books: Books, entity: str, slot: int) -> bytes:
    """Return a row as it is served."""
    return encode(MAKERS[entity](books, slot))


def _dated_row(books: Books, slot: int) -> bytes:
    """Return an inventory adjustment as printed: a bare date and no time of creation."""
    row = MAKERS["InventoryAdjustment"](books, slot)
    stamp = books.updated["InventoryAdjustment"][slot]
    row["MetaData"] = {"LastUpdatedTime": pacific_date(stamp)}
    return encode(row)


def tables(books: Books, *, bare_dates: bool) -> dict[str, Table]:
    """Return a table for each entity."""
    made = {}
    for key, entity in ENTITIES.items():
        count = books.counts[key]
        ids, updated = books.ids[key], books.updated[key]
        make = partial(make_row, books, key)
        if key == "ExchangeRate":
            names = {slot: _rate_id(books, slot) for slot in range(count)}
            ids = Ids(count, first=0, special=names)
        elif key == "TaxClassification":
            names = {
                slot: str(others.tax_classification(books, slot)["id"]) for slot in range(count)
            }
            ids = Ids(count, first=0, special=names)
        elif key == "InventoryAdjustment" and bare_dates:
            for slot, stamp in enumerate(updated):
                updated[slot] = start_of_day(pacific_date(stamp))
            make = partial(_dated_row, books)
        inactive = frozenset(slot for slot in range(count) if is_inactive(key, slot))
        made[key] = Table(entity, Base(ids, make, books.created[key], updated, inactive))
    return made


def _rate_id(books: Books, slot: int) -> str:
    code = CURRENCIES[slot % len(CURRENCIES)][0]
    return f"{code}-{books.currency}-{others.exchange_date(slot)}"
