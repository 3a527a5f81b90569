"""Double entry: which accounts a transaction books to. Debits are positive."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from quickbooks_simulator.conditions import row_of
from quickbooks_simulator.effects import decimal
from quickbooks_simulator.generation.chart import (
    INVENTORY,
    PAYABLE,
    RECEIVABLE,
    SERVICE_INCOME,
    TAX_PAYABLE,
    UNDEPOSITED,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from quickbooks_simulator.company import Company
    from quickbooks_simulator.jsontext import Payload

POSTING = (
    "Bill",
    "BillPayment",
    "CreditCardPaymentTxn",
    "CreditMemo",
    "Deposit",
    "Invoice",
    "JournalEntry",
    "Payment",
    "Purchase",
    "RefundReceipt",
    "SalesReceipt",
    "TaxPayment",
    "Transfer",
    "VendorCredit",
)
_SALE_SIGNS = {"Invoice": 1, "SalesReceipt": 1, "CreditMemo": -1, "RefundReceipt": -1}
_EXPENSE_DETAILS = ("AccountBasedExpenseLineDetail", "ItemBasedExpenseLineDetail")


class Posting(NamedTuple):
    """One amount on one account."""

    account: str
    amount: Decimal


class Ledger:
    """The books of a company as postings."""

    def __init__(self, company: Company) -> None:
        self.company = company
        items = company.tables["Item"]
        self._income = {
            items.id(slot): _value(row_of(items, slot), "IncomeAccountRef")
            for slot in items.in_order("oldest")
        }

    def _account(self, slot: int) -> str:
        return self.company.books.id("Account", slot)

    def transactions(self, start: str, end: str) -> Iterator[tuple[str, Payload]]:
        """Return the posting transactions of a period, entity by entity."""
        for key in POSTING:
            if self.company.tables[key].size == 0:
                continue
            table = self.company.tables[key]
            for slot in table.in_order("oldest"):
                row = row_of(table, slot)
                if start <= date_of(row) <= end:
                    yield key, row

    def totals(self, start: str, end: str) -> dict[str, Decimal]:
        """Return the sum of each account over a period."""
        sums: dict[str, Decimal] = defaultdict(Decimal)
        for key, row in self.transactions(start, end):
            for posting in self.postings(key, row):
                sums[posting.account] += posting.amount
        return sums

    def postings(self, key: str, row: Payload) -> list[Posting]:
        """Return the postings of a transaction; they sum up to zero."""
        total = decimal(row.get("TotalAmt", row.get("Amount")))
        match key:
            case "Invoice" | "SalesReceipt" | "CreditMemo" | "RefundReceipt":
                return self._sale(key, row, total)
            case "Bill" | "VendorCredit":
                sign = 1 if key == "Bill" else -1
                return self._expense(row, self._account(PAYABLE), sign)
            case "Purchase":
                sign = -1 if row.get("Credit") is True else 1
                return self._expense(row, _value(row, "AccountRef"), sign)
            case "Deposit":
                return self._deposit(row, total)
            case "JournalEntry":
                return _journal(row)
            case _:
                return self._pair(key, row, total)

    def _pair(self, key: str, row: Payload, total: Decimal) -> list[Posting]:
        """Return the postings of what moves one amount between two accounts."""
        match key:
            case "Payment":
                debit = _value(row, "DepositToAccountRef") or self._account(UNDEPOSITED)
                credit = self._account(RECEIVABLE)
            case "BillPayment":
                debit = self._account(PAYABLE)
                credit = _value(row.get("CheckPayment", {}), "BankAccountRef") or _value(
                    row.get("CreditCardPayment", {}), "CCAccountRef"
                )
            case "Transfer":
                debit, credit = _value(row, "ToAccountRef"), _value(row, "FromAccountRef")
            case "CreditCardPaymentTxn":
                debit = _value(row, "CreditCardAccountRef")
                credit = _value(row, "BankAccountRef")
            case _:
                debit, credit = self._account(TAX_PAYABLE), _value(row, "PaymentAccountRef")
                total = decimal(row.get("PaymentAmount")) * (-1 if row["Refund"] == "true" else 1)
        return [Posting(debit, total), Posting(credit, -total)]

    def _sale(self, key: str, row: Payload, total: Decimal) -> list[Posting]:
        sign = _SALE_SIGNS[key]
        own = self._account(RECEIVABLE)
        if key in ("SalesReceipt", "RefundReceipt"):
            own = _value(row, "DepositToAccountRef") or self._account(UNDEPOSITED)
        posted = [Posting(own, sign * total)]
        tax = decimal((row.get("TxnTaxDetail") or {}).get("TotalTax"))
        if tax:
            posted.append(Posting(self._account(TAX_PAYABLE), -sign * tax))
        for line in row.get("Line", []):
            if line.get("DetailType") == "SalesItemLineDetail":
                item = _value(line["SalesItemLineDetail"], "ItemRef")
                account = self._income.get(item) or self._account(SERVICE_INCOME)
                posted.append(Posting(account, -sign * decimal(line.get("Amount"))))
        return posted

    def _expense(self, row: Payload, own: str, sign: int) -> list[Posting]:
        posted = [Posting(own, -sign * decimal(row.get("TotalAmt")))]
        for line in row.get("Line", []):
            detail = line.get(line.get("DetailType", ""), {})
            if line.get("DetailType") in _EXPENSE_DETAILS:
                account = _value(detail, "AccountRef") or self._account(INVENTORY)
                posted.append(Posting(account, sign * decimal(line.get("Amount"))))
        return posted

    def _deposit(self, row: Payload, total: Decimal) -> list[Posting]:
        posted = [Posting(_value(row, "DepositToAccountRef"), total)]
        for line in row.get("Line", []):
            account = _value(line.get("DepositLineDetail", {}), "AccountRef")
            source = account or self._account(UNDEPOSITED)
            posted.append(Posting(source, -decimal(line.get("Amount"))))
        return posted


def _journal(row: Payload) -> list[Posting]:
    posted = []
    for line in row.get("Line", []):
        detail = line.get("JournalEntryLineDetail", {})
        sign = 1 if detail.get("PostingType") == "Debit" else -1
        posted.append(Posting(_value(detail, "AccountRef"), sign * decimal(line.get("Amount"))))
    return posted


def date_of(row: Payload) -> str:
    """Return the day of a transaction."""
    return str(row.get("TxnDate", row.get("PaymentDate", "")))


def _value(row: dict[str, Any], name: str) -> str:
    return str((row.get(name) or {}).get("value", ""))
