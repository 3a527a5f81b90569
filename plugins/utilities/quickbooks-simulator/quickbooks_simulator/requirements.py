"""What a written object must have, and which of its references must exist."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from quickbooks_simulator.conditions import row_of
from quickbooks_simulator.faults import Fault, duplicate_name, missing, not_found
from quickbooks_simulator.tables import key_slot

if TYPE_CHECKING:
    from collections.abc import Iterable

    from quickbooks_simulator.company import Company
    from quickbooks_simulator.entities import Entity
    from quickbooks_simulator.jsontext import Payload

DOC_NUMBER_LENGTH: Final = 21
PEOPLE: Final = ("Customer", "Vendor", "Employee")
_NAMED: Final = ("Account", "Class", "Department", "Item", "PaymentMethod", "Term")
REQUIRED: Final[dict[str, tuple[str, ...]]] = {
    "Account": ("Name", "AccountType"),
    "Bill": ("VendorRef", "Line"),
    "BillPayment": ("VendorRef", "TotalAmt", "PayType", "Line"),
    "Class": ("Name",),
    "CompanyCurrency": ("Code",),
    "CreditCardPaymentTxn": ("CreditCardAccountRef", "BankAccountRef", "Amount"),
    "CreditMemo": ("CustomerRef", "Line"),
    "Department": ("Name",),
    "Deposit": ("DepositToAccountRef", "Line"),
    "Estimate": ("CustomerRef", "Line"),
    "Invoice": ("CustomerRef", "Line"),
    "Item": ("Name", "Type"),
    "JournalEntry": ("Line",),
    "Payment": ("CustomerRef", "TotalAmt"),
    "PaymentMethod": ("Name",),
    "Purchase": ("PaymentType", "AccountRef", "Line"),
    "PurchaseOrder": ("VendorRef", "Line"),
    "RefundReceipt": ("DepositToAccountRef", "Line"),
    "SalesReceipt": ("Line",),
    "Term": ("Name",),
    "TimeActivity": ("NameOf",),
    "Transfer": ("FromAccountRef", "ToAccountRef", "Amount"),
    "VendorCredit": ("VendorRef", "Line"),
}
SPARSE_REQUIRED: Final[dict[str, tuple[str, ...]]] = {
    "Bill": ("VendorRef",),
    "Purchase": ("PaymentType",),
}
REFERENCES: Final = {"CustomerRef": "Customer", "VendorRef": "Vendor", "SalesTermRef": "Term"}


def require(row: Payload, names: Iterable[str]) -> None:
    """Refuse an object without a value for each name.

    Raises:
        Fault: 2020.
    """
    for name in names:
        if row.get(name) in (None, "", []):
            raise missing(name)


def check(company: Company, entity: Entity, row: Payload, *, slot: int | None) -> None:
    """Check names, numbers and references of an object that is about to be stored.

    Raises:
        Fault: 2050, 2500, 610, 2020 or 6240.
    """
    number = row.get("DocNumber")
    if isinstance(number, str) and len(number) > DOC_NUMBER_LENGTH:
        detail = f"Length of the field exceeds {DOC_NUMBER_LENGTH} chars"
        raise Fault("2050", "Length exceeds limit", detail, element="DocNumber")
    for name, key in REFERENCES.items():
        if isinstance(ref := row.get(name), dict):
            _check_reference(company, key, ref, name)
    for line in row.get("Line") or []:
        if isinstance(line, dict) and not ("DetailType" in line or "LinkedTxn" in line):
            raise missing("Line.DetailType")
    if entity.key in (*PEOPLE, *_NAMED):
        require(row, ("DisplayName" if entity.key in PEOPLE else "Name",))
        _check_name(company, entity, row, slot)


def _check_reference(company: Company, key: str, ref: Payload, name: str) -> None:
    table = company.tables[key]
    slot = table.slot(str(ref.get("value")))
    version = None if slot is None else table.latest(slot)
    if slot is None or version is None:
        detail = f"Invalid Reference Id : {name} element id {ref.get('value')} not found"
        raise Fault("2500", "Invalid Reference Id", detail, element=name)
    if not version.active:
        raise not_found()
    if key != "Term":
        ref.setdefault("name", row_of(table, slot).get("DisplayName", ""))


def _check_name(company: Company, entity: Entity, row: Payload, slot: int | None) -> None:
    """Refuse a name that another object has; people share their names."""
    keys: tuple[str, ...] = (entity.key,)
    naming = "Name"
    if entity.key in PEOPLE:
        keys, naming = PEOPLE, "DisplayName"
    wanted = str(row[naming]).casefold()
    for key in keys:
        table = company.tables[key]
        for other in map(key_slot, table.by_time):
            if key == entity.key and other == slot:
                continue
            if str(row_of(table, other).get(naming, "")).casefold() == wanted:
                raise duplicate_name()
