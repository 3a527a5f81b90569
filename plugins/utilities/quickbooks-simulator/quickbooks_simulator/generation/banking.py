"""Deposits, transfers, journal entries and what else moves money between accounts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from quickbooks_simulator.generation.amounts import payment_total, sold_to
from quickbooks_simulator.generation.books import money
from quickbooks_simulator.generation.chart import (
    BILLABLE_INCOME,
    CARD,
    CHECKING,
    EXPENSES,
    LOAN,
    OPENING_EQUITY,
    SAVINGS,
    SHRINKAGE,
    account_ref,
)
from quickbooks_simulator.generation.items import item_name
from quickbooks_simulator.generation.people import card, display_name

if TYPE_CHECKING:
    from quickbooks_simulator.generation.books import Books
    from quickbooks_simulator.jsontext import Payload


def _amount(books: Books, entity: str, slot: int) -> int:
    return books.chance(entity, slot) % 500000 + 101


def deposit(books: Books, slot: int) -> Payload:
    """Make a deposit: of three payments, or of money from outside."""
    lines: list[Payload] = []
    total = 0
    for payment in books.deposited(slot):
        amount = payment_total(books, payment)
        total += amount
        link = {"TxnId": books.id("Payment", payment), "TxnType": "Payment", "TxnLineId": "0"}
        detail: Payload = {}
        if payment % 2:
            detail = {"PaymentMethodRef": {"value": books.id("PaymentMethod", 1)}}
        lines.append({"Amount": money(amount), "LinkedTxn": [link], "DepositLineDetail": detail})
    if not lines:
        total = _amount(books, "Deposit", slot)
        lines.append(
            {
                "Id": "1",
                "LineNum": 1,
                "Amount": money(total),
                "DetailType": "DepositLineDetail",
                "DepositLineDetail": {"AccountRef": account_ref(books, OPENING_EQUITY)},
            }
        )
    row: Payload = {
        "DepositToAccountRef": account_ref(books, CHECKING),
        "TotalAmt": money(total),
        **books.head("Deposit", slot),
        "TxnDate": books.date("Deposit", slot),
        "CurrencyRef": books.currency_ref,
        "Line": lines,
    }
    if (note := books.note("Deposit", slot)) is not None:
        row["PrivateNote"] = note
    return row


def transfer(books: Books, slot: int) -> Payload:
    """Make a transfer between the two bank accounts."""
    return {
        **books.head("Transfer", slot),
        "TxnDate": books.date("Transfer", slot),
        "CurrencyRef": books.currency_ref,
        "PrivateNote": books.note("Transfer", slot, "Monthly saving"),
        "FromAccountRef": account_ref(books, CHECKING if slot % 3 else SAVINGS),
        "ToAccountRef": account_ref(books, SAVINGS if slot % 3 else CHECKING),
        "Amount": money(_amount(books, "Transfer", slot)),
    }


def credit_card_payment(books: Books, slot: int) -> Payload:
    """Make a payment of the credit card's bill."""
    return {
        **books.head("CreditCardPaymentTxn", slot),
        "CreditCardAccountRef": account_ref(books, CARD),
        "TxnDate": books.date("CreditCardPaymentTxn", slot),
        "CurrencyRef": books.currency_ref,
        "Amount": money(_amount(books, "CreditCardPaymentTxn", slot)),
        "BankAccountRef": account_ref(books, CHECKING),
    }


def journal_entry(books: Books, slot: int) -> Payload:
    """Make a journal entry; its line ids start at 0."""
    halves = 1 + slot % 3
    lines = []
    for number in range(2 * halves):
        amount = _amount(books, "JournalEntry", slot) // (1 + number // 2) + 1
        debit = number % 2 == 0
        account = EXPENSES[(slot + number) % len(EXPENSES)] if debit else LOAN
        detail: Payload = {
            "PostingType": "Debit" if debit else "Credit",
            "AccountRef": account_ref(books, account),
        }
        if debit and slot % 4 == 1:
            customer = slot % books.counts["Customer"]
            ref = books.ref("Customer", customer, display_name(books, "Customer", customer))
            detail["Entity"] = {"Type": "Customer", "EntityRef": ref}
        lines.append(
            {
                "Id": str(number),
                "Description": books.note("JournalEntry", slot, "Adjustment of the month"),
                "Amount": money(amount),
                "DetailType": "JournalEntryLineDetail",
                "JournalEntryLineDetail": detail,
            }
        )
    return {
        "Adjustment": slot % 5 == 0,
        **books.head("JournalEntry", slot),
        "DocNumber": f"JE-{slot + 1}",
        "TxnDate": books.date("JournalEntry", slot),
        "CurrencyRef": books.currency_ref,
        "PrivateNote": "Opening Balance" if slot == 0 else "Month end",
        "Line": lines,
        "TxnTaxDetail": {},
    }


def inventory_adjustment(books: Books, slot: int) -> Payload:
    """Make an inventory adjustment; the table decides how its stamps are printed."""
    item = 3 * (slot % max(1, books.counts["Item"] // 3))
    return {
        "DocNumber": str(27 + slot),
        "TxnDate": books.date("InventoryAdjustment", slot),
        "PrivateNote": "",
        "AdjustAccountRef": account_ref(books, SHRINKAGE),
        "Line": [
            {
                "Id": "1",
                "DetailType": "ItemAdjustmentLineDetail",
                "ItemAdjustmentLineDetail": {
                    "QtyDiff": -2 if slot % 2 else 3,
                    "ItemRef": books.ref("Item", item, item_name(books, item)),
                },
            }
        ],
        **books.head("InventoryAdjustment", slot),
    }


def tax_payment(books: Books, slot: int) -> Payload:
    """Make a tax payment; flags and amounts are texts, as printed."""
    row: Payload = {
        "Refund": "true" if slot % 5 == 0 else "false",
        **books.head("TaxPayment", slot),
        "sparse": "false",
        "PaymentAccountRef": account_ref(books, CHECKING),
        "PaymentDate": books.date("TaxPayment", slot),
        "PaymentAmount": f"{_amount(books, 'TaxPayment', slot) / 100:.2f}",
    }
    if slot % 3:
        row["Description"] = "Quarterly statement"
    return row


def reimburse_charge(books: Books, slot: int) -> Payload:
    """Make a billable expense with its markup."""
    invoices = books.counts["Invoice"]
    cost = _amount(books, "ReimburseCharge", slot)
    invoiced = slot < invoices and slot % 3 > 0
    customer = sold_to(books, "Invoice" if invoiced else "ReimburseCharge", slot)
    item = books.ref("Item", 1, item_name(books, 1))
    link = [{"TxnId": books.id("Invoice", slot), "TxnType": "Invoice"}] if invoiced else []

    def line(number: int, cents: int, detail: dict[str, Any]) -> Payload:
        return {
            "Id": str(number),
            "LineNum": number,
            "Amount": money(cents),
            "LinkedTxn": link,
            "DetailType": "ReimburseLineDetail",
            "ReimburseLineDetail": {
                **detail,
                "TaxCodeRef": {"value": "NON"},
                "MarkupInfo": {"Percent": 900},
                "ItemAccountRef": account_ref(books, BILLABLE_INCOME),
            },
        }

    return {
        "HasBeenInvoiced": invoiced,
        **books.head("ReimburseCharge", slot),
        "TxnDate": books.date("ReimburseCharge", slot),
        "CurrencyRef": books.currency_ref,
        "LinkedTxn": link,
        "Amount": money(10 * cost),
        "Line": [
            line(1, cost, {"Qty": 1, "UnitPrice": money(cost), "ItemRef": item}),
            line(2, 9 * cost, {}) | {"Description": "900% markup"},
        ],
        "CustomerRef": card(books, "Customer", customer).ref,
    }
