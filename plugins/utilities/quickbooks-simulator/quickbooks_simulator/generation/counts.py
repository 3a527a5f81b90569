"""How many rows of each entity a company of a given size has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from quickbooks_simulator.entities import ENTITIES

if TYPE_CHECKING:
    from collections.abc import Mapping


class Share(NamedTuple):
    """A part of all rows, within bounds."""

    part: float
    least: int
    most: int = 1 << 29


SHARES: Final = {
    "Account": Share(0.002, 22, 90),
    "Attachable": Share(0.012, 2),
    "Bill": Share(0.08, 2),
    "BillPayment": Share(0.068, 1),
    "Budget": Share(0.0002, 1, 8),
    "Class": Share(0.001, 3, 40),
    "CompanyCurrency": Share(0.0002, 5, 5),
    "CompanyInfo": Share(0, 1, 1),
    "CreditCardPaymentTxn": Share(0.005, 1),
    "CreditMemo": Share(0.008, 1, 2000),
    "Customer": Share(0.04, 4, 20000),
    "CustomerType": Share(0.0003, 2, 8),
    "Department": Share(0.0005, 3, 12),
    "Deposit": Share(0.04, 1),
    "Employee": Share(0.003, 2, 300),
    "Estimate": Share(0.03, 1),
    "ExchangeRate": Share(0.003, 5, 500),
    "InventoryAdjustment": Share(0.004, 1),
    "Invoice": Share(0.3, 4),
    "Item": Share(0.012, 10, 5000),
    "JournalCode": Share(0.0003, 3, 8),
    "JournalEntry": Share(0.03, 1),
    "Payment": Share(0.13, 1),
    "PaymentMethod": Share(0.0003, 5, 8),
    "Preferences": Share(0, 1, 1),
    "Purchase": Share(0.1, 2),
    "PurchaseOrder": Share(0.012, 1),
    "RecurringTransaction": Share(0.002, 2, 400),
    "RefundReceipt": Share(0.008, 1),
    "ReimburseCharge": Share(0.005, 1),
    "SalesReceipt": Share(0.08, 1),
    "TaxAgency": Share(0.0002, 2, 3),
    "TaxClassification": Share(0.001, 4, 40),
    "TaxCode": Share(0.0003, 4, 9),
    "TaxPayment": Share(0.003, 1),
    "TaxRate": Share(0.0002, 3, 6),
    "Term": Share(0.0002, 5, 6),
    "TimeActivity": Share(0.03, 1),
    "Transfer": Share(0.008, 1),
    "Vendor": Share(0.012, 3, 5000),
    "VendorCredit": Share(0.008, 1, 2000),
}

FIXED_LIST: Final = 1000  # Lists below this size are made of words, not of numbers.
DROPPABLE: Final = frozenset(
    [
        "Attachable",
        "Bill",
        "BillPayment",
        "CreditCardPaymentTxn",
        "CreditMemo",
        "Deposit",
        "Estimate",
        "InventoryAdjustment",
        "Invoice",
        "JournalEntry",
        "Payment",
        "Purchase",
        "PurchaseOrder",
        "RecurringTransaction",
        "RefundReceipt",
        "ReimburseCharge",
        "SalesReceipt",
        "TaxPayment",
        "TimeActivity",
        "Transfer",
        "VendorCredit",
    ]
)


def row_counts(rows: int, country: str, exact: Mapping[str, int]) -> dict[str, int]:
    """Share out about `rows` rows; `exact` sets the number of single entities.

    Raises:
        ValueError: `exact` names an unknown entity or breaks a bound.
    """
    if unknown := sorted(set(exact) - set(SHARES)):
        raise ValueError(f"Unknown entity {unknown[0]!r}.")
    counts = {
        key: min(max(share.least, round(rows * share.part)), share.most)
        for key, share in SHARES.items()
    }
    for key, number in exact.items():
        share = SHARES[key]
        least = 0 if key in DROPPABLE else share.least
        most = share.most if share.most < FIXED_LIST else 1 << 29
        if not least <= number <= most:
            raise ValueError(f"{key}: {number} rows are outside {least}-{most}.")
        counts[key] = number
    for key, entity in ENTITIES.items():
        if not entity.available_in(country):
            counts[key] = 0
    return counts
