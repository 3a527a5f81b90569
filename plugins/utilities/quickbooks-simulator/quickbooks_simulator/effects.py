"""What a transaction does to others: balances move, and stamps with them, but no SyncToken."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from quickbooks_simulator.objects import load, restamp

if TYPE_CHECKING:
    from quickbooks_simulator.jsontext import Payload
    from quickbooks_simulator.objects import Write

Target = tuple[str, str]
Effects = dict[Target, Decimal]
_OWNERS: Final = {
    "Invoice": ("Customer", "CustomerRef", 1),
    "CreditMemo": ("Customer", "CustomerRef", -1),
    "Payment": ("Customer", "CustomerRef", -1),
    "Bill": ("Vendor", "VendorRef", 1),
    "VendorCredit": ("Vendor", "VendorRef", -1),
    "BillPayment": ("Vendor", "VendorRef", -1),
}
_SETTLES: Final = {"Payment": "Invoice", "BillPayment": "Bill"}


def decimal(value: object) -> Decimal:
    """Return a JSON number exactly."""
    return Decimal(str(value or 0))


def number(value: Decimal) -> Decimal | int:
    """Return an amount as it is printed: a bare 0, else with its digits."""
    return value or 0


def effects(key: str, row: Payload) -> Effects:
    """Return by how much a transaction moves the balance of each other object."""
    moved: Effects = defaultdict(Decimal)
    if key in _OWNERS:
        owner, name, sign = _OWNERS[key]
        owned = str((row.get(name) or {}).get("value", ""))
        moved[owner, owned] += sign * decimal(row.get("TotalAmt"))
    settled = _SETTLES.get(key)
    for line in row.get("Line") or [] if settled else []:
        for link in line.get("LinkedTxn") or []:
            if link.get("TxnType") == settled:
                target = str(settled), str(link.get("TxnId"))
                moved[target] -= decimal(line.get("Amount"))
    return moved


def move(at: Write, before: Effects, after: Effects, *, link: dict[str, Any]) -> None:
    """Bring other objects from what a transaction did to what it does now.

    `link` is the reference to the transaction, added to documents that it settles.
    """
    for target in before.keys() | after.keys():
        delta = after.get(target, Decimal()) - before.get(target, Decimal())
        stored = load(at.company, *target)
        if stored is None or (not delta and target in before and target in after):
            continue
        row = stored.row
        row["Balance"] = number(decimal(row.get("Balance")) + delta)
        if "BalanceWithJobs" in row:
            row["BalanceWithJobs"] = number(decimal(row["BalanceWithJobs"]) + delta)
        if target[0] in _SETTLES.values():
            others = [each for each in row.get("LinkedTxn", []) if each["TxnId"] != link["TxnId"]]
            row["LinkedTxn"] = [*others, link] if target in after else others
        version = restamp(at.company, stored, at.stamp, token=False)
        at.company.put(stored.table, [(stored.slot, version)], at.visible_at)
