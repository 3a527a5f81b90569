"""Bills and the other documents that buy something, and the payments for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quickbooks_simulator.clock import pacific_date
from quickbooks_simulator.generation.amounts import (
    bill_payment_total,
    bought_from,
    price,
    purchase_lines,
)
from quickbooks_simulator.generation.books import DAY, money
from quickbooks_simulator.generation.chart import (
    CARD,
    CHECKING,
    EXPENSES,
    PAYABLE,
    account_ref,
)
from quickbooks_simulator.generation.items import item_name
from quickbooks_simulator.generation.people import card, display_name
from quickbooks_simulator.generation.sales import name_value

if TYPE_CHECKING:
    from quickbooks_simulator.generation.books import Books
    from quickbooks_simulator.jsontext import Payload

ORDERED_EVERY = 6
_NOTES = ("Bought for the crew", "Monthly", "As agreed by phone", None)


def order_of(books: Books, bill: int) -> int | None:
    """Return the purchase order that a bill closes."""
    number, rest = divmod(bill, ORDERED_EVERY)
    return number if rest == 2 and number < books.counts["PurchaseOrder"] else None  # noqa: PLR2004


def _vendor_ref(books: Books, entity: str, slot: int) -> object:
    return card(books, "Vendor", bought_from(books, entity, slot)).ref


def expense_lines(books: Books, entity: str, slot: int) -> list[Payload]:
    """Return lines that book to expense accounts."""
    customers = books.counts["Customer"]
    lines = []
    for number, amount in enumerate(purchase_lines(books, entity, slot), 1):
        detail: Payload = {
            "AccountRef": account_ref(books, EXPENSES[(slot + number) % len(EXPENSES)]),
            "BillableStatus": "NotBillable",
            "TaxCodeRef": {"value": "NON"},
        }
        if (slot + number) % 7 == 0:
            payer = card(books, "Customer", slot % customers).ref
            detail |= {"BillableStatus": "Billable", "CustomerRef": payer}
        if (slot + number) % 9 == 0:
            detail["ClassRef"] = {"value": books.id("Class", 0), "name": "Installation"}
        lines.append(
            {
                "Id": str(number),
                "Amount": money(amount),
                "DetailType": "AccountBasedExpenseLineDetail",
                "AccountBasedExpenseLineDetail": detail,
            }
        )
    return lines


def _document(books: Books, entity: str, slot: int) -> Payload:
    row: Payload = {
        **books.head(entity, slot, token=slot % 3 // 2),
        "TxnDate": books.date(entity, slot),
        "CurrencyRef": books.currency_ref,
        "Line": expense_lines(books, entity, slot),
        "VendorRef": _vendor_ref(books, entity, slot),
        "APAccountRef": account_ref(books, PAYABLE),
        "TotalAmt": money(sum(purchase_lines(books, entity, slot))),
    }
    if (note := books.note(entity, slot, _NOTES[slot % len(_NOTES)])) is not None:
        row["PrivateNote"] = note
    return row


def bill(books: Books, slot: int) -> Payload:
    """Make a bill; bill payment n pays bill n."""
    row = _document(books, "Bill", slot)
    links = []
    if slot < books.counts["BillPayment"]:
        kind = "BillPaymentCheck" if slot % 3 else "BillPaymentCreditCard"
        links.append({"TxnId": books.id("BillPayment", slot), "TxnType": kind})
    if (order := order_of(books, slot)) is not None:
        links.append({"TxnId": books.id("PurchaseOrder", order), "TxnType": "PurchaseOrder"})
    row["LinkedTxn"] = links
    row["DueDate"] = pacific_date(books.created["Bill"][slot] + 30 * DAY)
    row["SalesTermRef"] = {"value": books.id("Term", 1)}
    row["Balance"] = 0 if slot < books.counts["BillPayment"] else row["TotalAmt"]
    if slot % 2:
        row["DocNumber"] = f"B-{slot:06d}"
    return row


def bill_payment(books: Books, slot: int) -> Payload:
    """Make a bill payment by check or credit card."""
    total = money(bill_payment_total(books, slot))
    row: Payload = {
        "VendorRef": _vendor_ref(books, "BillPayment", slot),
        **books.head("BillPayment", slot),
        "TxnDate": books.date("BillPayment", slot),
        "CurrencyRef": books.currency_ref,
        "TotalAmt": total,
        "DocNumber": str(300 + slot),
        "Line": [],
    }
    if slot < books.counts["Bill"]:
        link = {"TxnId": books.id("Bill", slot), "TxnType": "Bill"}
        row["Line"] = [{"Amount": total, "LinkedTxn": [link]}]
    if slot % 3:
        row["PayType"] = "Check"
        row["CheckPayment"] = {
            "BankAccountRef": account_ref(books, CHECKING),
            "PrintStatus": "NeedToPrint",
        }
    else:
        row["PayType"] = "CreditCard"
        row["CreditCardPayment"] = {"CCAccountRef": account_ref(books, CARD)}
    if (note := books.note("BillPayment", slot)) is not None:
        row["PrivateNote"] = note
    return row


def vendor_credit(books: Books, slot: int) -> Payload:
    """Make a vendor credit that nobody has used yet."""
    row = _document(books, "VendorCredit", slot)
    row["Balance"] = row["TotalAmt"]
    return row


def purchase(books: Books, slot: int) -> Payload:
    """Make a purchase by cash, check or credit card; some are card refunds."""
    kind = ("Cash", "Check", "CreditCard")[slot % 3]
    vendor = bought_from(books, "Purchase", slot)
    row: Payload = {
        "AccountRef": account_ref(books, CARD if kind == "CreditCard" else CHECKING),
        "PaymentType": kind,
        "EntityRef": {
            "value": books.id("Vendor", vendor),
            "name": display_name(books, "Vendor", vendor),
            "type": "Vendor",
        },
        "Credit": kind == "CreditCard" and slot % 5 == 0,
        "TotalAmt": money(sum(purchase_lines(books, "Purchase", slot))),
        "PurchaseEx": {"any": [name_value("TxnType", str(54 - slot % 3))]},
        **books.head("Purchase", slot),
        "TxnDate": books.date("Purchase", slot),
        "CurrencyRef": books.currency_ref,
        "Line": expense_lines(books, "Purchase", slot),
    }
    if kind == "Check":
        row["DocNumber"], row["PrintStatus"] = str(70 + slot), "NotSet"
    if (note := books.note("Purchase", slot, _NOTES[slot % len(_NOTES)])) is not None:
        row["PrivateNote"] = note
    return row


def purchase_order(books: Books, slot: int) -> Payload:
    """Make a purchase order; the bill made from it closes it."""
    lines, total = [], 0
    for number in range(1, 3 + slot % 3):
        item = (slot * 5 + number) % books.counts["Item"]
        cost, amount = price(books, item) // 2, price(books, item) // 2 * number
        total += amount
        lines.append(
            {
                "Id": str(number),
                "LineNum": number,
                "Amount": money(amount),
                "DetailType": "ItemBasedExpenseLineDetail",
                "ItemBasedExpenseLineDetail": {
                    "BillableStatus": "NotBillable",
                    "ItemRef": books.ref("Item", item, item_name(books, item)),
                    "UnitPrice": money(cost),
                    "Qty": number,
                    "TaxCodeRef": {"value": "NON"},
                },
            }
        )
    closing = ORDERED_EVERY * slot + 2
    closed = closing < books.counts["Bill"]
    vendor = bought_from(books, "Bill" if closed else "PurchaseOrder", closing if closed else slot)
    return {
        "VendorAddr": card(books, "Vendor", vendor).bill_to,
        "POStatus": "Closed" if closed else "Open",
        **books.head("PurchaseOrder", slot, token=1 if closed else 0),
        "CustomField": [
            {"DefinitionId": "1", "Name": "Team No.", "Type": "StringType"},
            {"DefinitionId": "2", "Name": "Ordered by", "Type": "StringType"},
        ],
        "DocNumber": str(1001 + slot),
        "TxnDate": books.date("PurchaseOrder", slot),
        "CurrencyRef": books.currency_ref,
        "LinkedTxn": [{"TxnId": books.id("Bill", closing), "TxnType": "Bill"}] if closed else [],
        "Line": lines,
        "VendorRef": card(books, "Vendor", vendor).ref,
        "APAccountRef": account_ref(books, PAYABLE),
        "TotalAmt": money(total),
    }
