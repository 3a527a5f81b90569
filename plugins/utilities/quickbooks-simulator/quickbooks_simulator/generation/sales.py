"""Invoices and the other documents that sell something, and the payments for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Raw

from quickbooks_simulator.clock import pacific_date
from quickbooks_simulator.generation.amounts import (
    TAX_PERCENT,
    Line,
    Sale,
    is_paid,
    is_voided,
    paid,
    payment_total,
    sale,
    sold_to,
)
from quickbooks_simulator.generation.books import DAY, money, packed
from quickbooks_simulator.generation.chart import CHECKING, UNDEPOSITED, account_ref
from quickbooks_simulator.generation.items import item_name
from quickbooks_simulator.generation.people import card
from quickbooks_simulator.generation.words import MEMOS, PRODUCTS

if TYPE_CHECKING:
    from quickbooks_simulator.generation.books import Books
    from quickbooks_simulator.jsontext import Payload

_NAME_VALUE = {
    "name": "{http://schema.intuit.com/finance/v3}NameValue",
    "declaredType": "com.intuit.schema.finance.v3.NameValue",
    "scope": "javax.xml.bind.JAXBElement$GlobalScope",
}
_FLAGS = {"nil": False, "globalScope": True, "typeSubstituted": False}
_CREW = {"DefinitionId": "1", "Name": "Team No.", "Type": "StringType"}
_TAXED, _UNTAXED = packed({"value": "TAX"}), packed({"value": "NON"})
ESTIMATED_EVERY = 10
EXACT, DEPARTED = 3, 5  # Which of sixteen has two decimals, which of eight a department.


def name_value(name: str, value: str) -> dict[str, Any]:
    """Return one entry of the lists that JAXB left in the JSON."""
    return {**_NAME_VALUE, "value": {"Name": name, "Value": value}, **_FLAGS}


def estimate_of(books: Books, invoice: int) -> int | None:
    """Return the estimate that an invoice was made from."""
    number, rest = divmod(invoice, ESTIMATED_EVERY)
    return number if rest == 4 and number < books.counts["Estimate"] else None  # noqa: PLR2004


def _item_ref(books: Books, item: int) -> Raw:
    if item not in books.item_refs:
        books.item_refs[item] = packed(books.ref("Item", item, item_name(books, item)))
    return books.item_refs[item]


def _number(halves: int) -> float:
    return halves // 2 if halves % 2 == 0 else halves / 2


def _line(books: Books, line: Line, number: int, *, exact: bool, taxed: bool) -> Payload:
    cents = line.amount
    return {
        "Id": str(number),
        "LineNum": number,
        "Description": PRODUCTS[line.item % len(PRODUCTS)][1],
        "Amount": Raw(b"%d.%02d" % divmod(cents, 100)) if exact else money(cents),
        "DetailType": "SalesItemLineDetail",
        "SalesItemLineDetail": {
            "ItemRef": _item_ref(books, line.item),
            "UnitPrice": line.price / 100 if line.price % 100 else line.price // 100,
            "Qty": _number(line.halves),
            "TaxCodeRef": _TAXED if taxed else _UNTAXED,
        },
    }


def sale_lines(books: Books, sold: Sale, *, exact: bool) -> list[Payload]:
    """Return the lines of a sales document with their sub-total."""
    lines = [
        _line(books, line, number, exact=exact, taxed=sold.tax > 0)
        for number, line in enumerate(sold.lines, 1)
    ]
    lines.append(
        {
            "Amount": money(sold.subtotal),
            "DetailType": "SubTotalLineDetail",
            "SubTotalLineDetail": {},
        }
    )
    return lines


def tax_detail(sold: Sale) -> Payload:
    """Return the tax of a sales document."""
    if not sold.tax:
        return {"TotalTax": 0}
    return {
        "TxnTaxCodeRef": {"value": "2"},
        "TotalTax": money(sold.tax),
        "TaxLine": [
            {
                "Amount": money(sold.tax),
                "DetailType": "TaxLineDetail",
                "TaxLineDetail": {
                    "TaxRateRef": {"value": "3"},
                    "PercentBased": True,
                    "TaxPercent": TAX_PERCENT,
                    "NetAmountTaxable": money(sold.subtotal),
                },
            }
        ],
    }


def document(books: Books, entity: str, slot: int) -> Payload:
    """Make what all sales documents have in common."""
    sold = sale(books, entity, slot)
    buyer = card(books, "Customer", sold_to(books, entity, slot))
    voided = is_voided(entity, slot)
    row: Payload = {
        **books.head(entity, slot, token=1 if voided else slot % 4 // 3),
        "CustomField": [_CREW if slot % 3 else {**_CREW, "StringValue": str(100 + slot % 7)}],
        "DocNumber": str(1001 + slot),
        "TxnDate": books.date(entity, slot),
        "CurrencyRef": books.currency_ref,
        "LinkedTxn": [],
        "Line": sale_lines(books, sold, exact=slot % 16 == EXACT),
        "TxnTaxDetail": tax_detail(sold),
        "CustomerRef": buyer.ref,
        "CustomerMemo": {"value": MEMOS[slot % len(MEMOS)]},
        "BillAddr": buyer.bill_to,
        "ShipAddr": buyer.ship_to,
        "TotalAmt": money(sold.total),
        "ApplyTaxAfterDiscount": False,
        "PrintStatus": "NeedToPrint",
        "EmailStatus": "NotSet",
        "BillEmail": buyer.email,
        "Balance": 0,
    }
    if books.counts["Department"] and slot % 8 == DEPARTED:
        row["DepartmentRef"] = {"value": books.id("Department", 0)}
    note = "Voided" if voided else books.note(entity, slot)
    if note is not None:
        row["PrivateNote"] = note
    return row


def invoice(books: Books, slot: int) -> Payload:
    """Make an invoice."""
    row: Payload = {
        "AllowIPNPayment": False,
        "AllowOnlinePayment": False,
        "AllowOnlineCreditCardPayment": slot % 5 == 0,
        "AllowOnlineACHPayment": slot % 5 == 0,
        **document(books, "Invoice", slot),
    }
    links = []
    estimate = estimate_of(books, slot)
    if estimate is not None:
        links.append({"TxnId": books.id("Estimate", estimate), "TxnType": "Estimate"})
        for line in row["Line"][:-1]:
            line["LinkedTxn"] = links
    if is_paid(books, slot):
        links = [*links, {"TxnId": books.id("Payment", slot // 2), "TxnType": "Payment"}]
    else:
        row["Balance"] = row["TotalAmt"]
    row["LinkedTxn"] = links
    row["SalesTermRef"] = {"value": books.id("Term", 1), "name": "Net 30"}
    row["DueDate"] = pacific_date(books.created["Invoice"][slot] + 30 * DAY)
    row["Deposit"] = 0
    return row


def sales_receipt(books: Books, slot: int) -> Payload:
    """Make a sales receipt."""
    row = document(books, "SalesReceipt", slot)
    row["PaymentMethodRef"] = {"value": books.id("PaymentMethod", 1), "name": "Check"}
    row["PaymentRefNum"] = str(20000 + slot)
    row["DepositToAccountRef"] = account_ref(books, UNDEPOSITED)
    del row["LinkedTxn"]
    return row


def refund_receipt(books: Books, slot: int) -> Payload:
    """Make a refund receipt."""
    row = document(books, "RefundReceipt", slot)
    row["PaymentMethodRef"] = {"value": books.id("PaymentMethod", 1), "name": "Check"}
    row["DepositToAccountRef"] = account_ref(books, CHECKING)
    del row["LinkedTxn"], row["ShipAddr"]
    return row


def credit_memo(books: Books, slot: int) -> Payload:
    """Make a credit memo that nobody has used yet."""
    row = document(books, "CreditMemo", slot)
    del row["LinkedTxn"]
    row["RemainingCredit"] = row["Balance"] = row["TotalAmt"]
    return row


def estimate(books: Books, slot: int) -> Payload:
    """Make an estimate; the invoice made from it closes it."""
    row = document(books, "Estimate", slot)
    del row["Balance"]
    made = ESTIMATED_EVERY * slot + 4
    if made < books.counts["Invoice"]:
        sold = sale(books, "Invoice", made)
        row |= {
            "TxnStatus": "Closed",
            "LinkedTxn": [{"TxnId": books.id("Invoice", made), "TxnType": "Invoice"}],
            "Line": sale_lines(books, sold, exact=False),
            "TxnTaxDetail": tax_detail(sold),
            "TotalAmt": money(sold.total),
            "CustomerRef": card(books, "Customer", sold_to(books, "Invoice", made)).ref,
        }
    else:
        row["TxnStatus"] = "Pending"
    return row


def payment(books: Books, slot: int) -> Payload:
    """Make a payment: of two invoices, or on account."""
    total = payment_total(books, slot)
    deposit = slot // 3
    row: Payload = {
        "CustomerRef": card(books, "Customer", sold_to(books, "Payment", slot)).ref,
        "DepositToAccountRef": {"value": books.id("Account", UNDEPOSITED)},
        "TotalAmt": money(total),
        "UnappliedAmt": 0 if slot < books.applied_payments else money(total),
        "ProcessPayment": False,
        **books.head("Payment", slot),
        "TxnDate": books.date("Payment", slot),
        "CurrencyRef": books.currency_ref,
        "LinkedTxn": [],
        "Line": [
            {
                "Amount": money(amount),
                "LinkedTxn": [{"TxnId": books.id("Invoice", invoice), "TxnType": "Invoice"}],
                "LineEx": {
                    "any": [
                        name_value("txnId", books.id("Invoice", invoice)),
                        name_value("txnOpenBalance", f"{amount / 100:.2f}"),
                        name_value("txnReferenceNumber", str(1001 + invoice)),
                    ]
                },
            }
            for invoice, amount in paid(books, slot)
        ],
    }
    if slot % 2:
        row["PaymentMethodRef"] = {"value": books.id("PaymentMethod", 1)}
        row["PaymentRefNum"] = str(5000 + slot)
    if deposit < books.counts["Deposit"]:
        row["LinkedTxn"] = [{"TxnId": books.id("Deposit", deposit), "TxnType": "Deposit"}]
    if (note := books.note("Payment", slot)) is not None:
        row["PrivateNote"] = note
    return row
