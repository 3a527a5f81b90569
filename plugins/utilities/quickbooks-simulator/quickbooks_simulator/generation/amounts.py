"""Amounts of documents, in cents, without making the documents.

Invoices 2n and 2n+1 belong to one customer and payment n pays both; the newest ones are open.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from quickbooks_simulator.generation.books import mix

if TYPE_CHECKING:
    from quickbooks_simulator.generation.books import Books

TAX_PERCENT: Final = 8
_VOIDED = {"Invoice": (211, 57), "SalesReceipt": (173, 41)}
# The item whose price has 19 digits; no document sells it.
PRICELESS: Final = 7


class Line(NamedTuple):
    """One sold line; the quantity is in halves."""

    item: int
    halves: int
    price: int
    amount: int


class Sale(NamedTuple):
    """The amounts of a sales document."""

    lines: tuple[Line, ...]
    subtotal: int
    tax: int
    total: int


def price(books: Books, item: int) -> int:
    """Return the price of an item in cents, a multiple of ten."""
    return books.chance("Item", item) % 2990 * 10 + 50


def is_voided(entity: str, slot: int) -> bool:
    """Tell whether a generated document was voided."""
    every, at = _VOIDED.get(entity, (0, 0))
    return every > 0 and slot % every == at


def sale(books: Books, entity: str, slot: int) -> Sale:
    """Return what a sales document sells."""
    draw = books.chance(entity, slot)
    items = books.counts["Item"]
    few = 2 if entity == "Invoice" else 1
    lines = []
    for number in range(few + draw % 3):
        roll = mix(draw, number)
        item = roll % items
        if item == PRICELESS:
            item = 0
        halves = 2 * (roll >> 40 & 7) + 2 - (roll >> 44 & 1)
        each = price(books, item)
        lines.append(Line(item, halves, each, each * halves // 2))
    if is_voided(entity, slot):
        return Sale(tuple(line._replace(halves=0, amount=0) for line in lines), 0, 0, 0)
    subtotal = sum(line.amount for line in lines)
    tax = (subtotal * TAX_PERCENT + 50) // 100 if draw >> 20 & 1 else 0
    return Sale(tuple(lines), subtotal, tax, subtotal + tax)


def sold_to(books: Books, entity: str, slot: int) -> int:
    """Return the customer of a sales document or payment."""
    customers = books.counts["Customer"]
    if entity == "Invoice":
        return mix(books.seed, slot // 2) % customers
    if entity == "Payment" and slot < books.applied_payments:
        return mix(books.seed, slot) % customers
    return (books.chance(entity, slot) >> 9) % customers


def is_paid(books: Books, invoice: int) -> bool:
    """Tell whether a payment paid the invoice."""
    return invoice < 2 * books.applied_payments


def paid(books: Books, payment: int) -> list[tuple[int, int]]:
    """Return the invoices that a payment pays, with their amounts."""
    if payment >= books.applied_payments:
        return []
    pair = (2 * payment, 2 * payment + 1)
    return [
        (invoice, total) for invoice in pair if (total := sale(books, "Invoice", invoice).total)
    ]


def payment_total(books: Books, payment: int) -> int:
    """Return the amount of a payment."""
    if payment < books.applied_payments:
        return sum(amount for _, amount in paid(books, payment))
    return books.chance("Payment", payment) % 90000 + 1000


def bought_from(books: Books, entity: str, slot: int) -> int:
    """Return the vendor of a purchase document."""
    if entity == "BillPayment" and slot < books.counts["Bill"]:
        entity = "Bill"
    return (books.chance(entity, slot) >> 11) % books.counts["Vendor"]


def purchase_lines(books: Books, entity: str, slot: int) -> list[int]:
    """Return the line amounts of a purchase document."""
    draw = books.chance(entity, slot)
    return [mix(draw, number) % 80000 + 199 for number in range(1 + draw % 3)]


def bill_payment_total(books: Books, slot: int) -> int:
    """Return the amount of a bill payment: payment n pays bill n."""
    entity = "Bill" if slot < books.counts["Bill"] else "BillPayment"
    return sum(purchase_lines(books, entity, slot))
