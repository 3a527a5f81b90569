"""Which generated rows are inactive, and what that does to their names."""

from __future__ import annotations

from quickbooks_simulator.generation.chart import CHART

# Every n-th row, counted from the second number.
_PERIODS = {
    "Account": (11, 8),
    "Class": (7, 2),
    "Customer": (29, 17),
    "CustomerType": (7, 2),
    "Department": (7, 2),
    "Employee": (13, 9),
    "Item": (29, 17),
    "PaymentMethod": (7, 2),
    "Term": (7, 2),
    "Vendor": (29, 17),
}
_FIXED = dict.fromkeys(("Budget", "CompanyCurrency", "TaxCode", "TaxRate"), 4)


def is_inactive(entity: str, slot: int) -> bool:
    """Tell which rows are inactive; accounts that play a part never are."""
    if entity in _FIXED:
        return slot == _FIXED[entity]
    if entity not in _PERIODS or (entity == "Account" and slot < len(CHART)):
        return False
    every, at = _PERIODS[entity]
    return slot % every == at


def name_of(text: str, *, inactive: bool) -> str:
    """Return a name as it reads once its row is inactive."""
    return f"{text} (deleted)" if inactive else text
