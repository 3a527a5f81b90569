"""What customers owe and what vendors are owed, from the documents that are open."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from quickbooks_simulator.generation.amounts import (
    bill_payment_total,
    bought_from,
    payment_total,
    purchase_lines,
    sale,
    sold_to,
)

if TYPE_CHECKING:
    from quickbooks_simulator.generation.books import Books


def owed(books: Books, entity: str) -> Counter[int]:
    """Return the balances of all customers or vendors in cents, by slot; computed once."""
    if entity not in books.owed:
        books.owed[entity] = _receivable(books) if entity == "Customer" else _payable(books)
    return books.owed[entity]


def _receivable(books: Books) -> Counter[int]:
    balances: Counter[int] = Counter()
    for invoice in range(2 * books.applied_payments, books.counts["Invoice"]):
        balances[sold_to(books, "Invoice", invoice)] += sale(books, "Invoice", invoice).total
    for payment in range(books.applied_payments, books.counts["Payment"]):
        balances[sold_to(books, "Payment", payment)] -= payment_total(books, payment)
    for memo in range(books.counts["CreditMemo"]):
        balances[sold_to(books, "CreditMemo", memo)] -= sale(books, "CreditMemo", memo).total
    return balances


def _payable(books: Books) -> Counter[int]:
    balances: Counter[int] = Counter()
    bills, payments = books.counts["Bill"], books.counts["BillPayment"]
    for bill in range(payments, bills):
        balances[bought_from(books, "Bill", bill)] += sum(purchase_lines(books, "Bill", bill))
    for payment in range(bills, payments):
        vendor = bought_from(books, "BillPayment", payment)
        balances[vendor] -= bill_payment_total(books, payment)
    for credit in range(books.counts["VendorCredit"]):
        vendor = bought_from(books, "VendorCredit", credit)
        balances[vendor] -= sum(purchase_lines(books, "VendorCredit", credit))
    return balances
