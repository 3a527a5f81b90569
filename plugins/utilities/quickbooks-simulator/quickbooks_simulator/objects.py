"""Objects as edits and writes change them: decoded, stamped, encoded again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from quickbooks_simulator.clock import pacific, pacific_date, start_of_day
from quickbooks_simulator.jsontext import dumps, loads
from quickbooks_simulator.tables import Version

if TYPE_CHECKING:
    from quickbooks_simulator.company import Company
    from quickbooks_simulator.entities import Entity
    from quickbooks_simulator.jsontext import Payload
    from quickbooks_simulator.tables import Table

AMOUNTS = frozenset(
    [
        "Amount",
        "Balance",
        "TotalAmt",
        "TotalTax",
        "UnappliedAmt",
        "RemainingCredit",
        "Qty",
        "HomeTotalAmt",
        "HomeBalance",
        "NetAmountTaxable",
        "Deposit",
    ]
)


class Write(NamedTuple):
    """The circumstances of a write."""

    company: Company
    entity: Entity
    stamp: int
    visible_at: float


class Stored(NamedTuple):
    """An object on its way through a change."""

    table: Table
    slot: int
    row: Payload
    version: Version

    @property
    def inner(self) -> Payload:
        """Return the object itself, also where a template wraps it."""
        return unwrap(self.table.entity.key, self.row)

    @property
    def token(self) -> int:
        """Return SyncToken as a number."""
        return int(self.inner.get("SyncToken", 0))


def unwrap(key: str, row: Payload) -> Payload:
    """Return the object inside a recurring transaction, or the object itself."""
    if key == "RecurringTransaction":
        inner: Payload = next((each for each in row.values() if isinstance(each, dict)), {})
        return inner
    return row


def load(company: Company, key: str, id: str) -> Stored | None:
    """Return the object as it is now, decoded, or None."""
    table = company.tables[key]
    slot = table.slot(id)
    version = None if slot is None else table.latest(slot)
    if slot is None or version is None:
        return None
    return Stored(table, slot, loads(version.text), version)


def version_of(
    company: Company, table: Table, row: Payload, *, created: int, updated: int
) -> Version:
    """Stamp an object and encode it."""
    key = table.entity.key
    inner = unwrap(key, row)
    if key == "InventoryAdjustment" and company.spec.inventory_bare_dates:
        updated = start_of_day(pacific_date(updated))
        inner["MetaData"] = {"LastUpdatedTime": pacific_date(updated)}
    elif key == "ExchangeRate":
        inner["MetaData"] = {"LastUpdatedTime": pacific(updated)}
    else:
        inner["MetaData"] = {"CreateTime": pacific(created), "LastUpdatedTime": pacific(updated)}
    active = inner.get("Active", True) is not False or not table.entity.active
    return Version(dumps(row), created, updated, active)


def restamp(company: Company, stored: Stored, stamp: int, *, token: bool) -> Version:
    """Return the object with a new LastUpdatedTime, and a higher SyncToken if asked."""
    if token:
        stored.inner["SyncToken"] = str(stored.token + 1)
    return version_of(
        company, stored.table, stored.row, created=stored.version.created, updated=stamp
    )


def void(row: Payload) -> None:
    """Turn all amounts of a transaction into zeros and say so in its note."""
    _zero(row)
    row["PrivateNote"] = "Voided"
    if "UnappliedAmt" in row:
        row["Line"] = []


def _zero(value: Any) -> None:  # noqa: ANN401 - any part of an object
    if isinstance(value, list):
        for each in value:
            _zero(each)
    elif isinstance(value, dict):
        for name, inner in value.items():
            if name in AMOUNTS and not isinstance(inner, dict | list):
                value[name] = 0
            else:
                _zero(inner)


def deactivate(row: Payload) -> None:
    """Make a name inactive and mark it as the service does."""
    row["Active"] = False
    for name in ("Name", "DisplayName", "FullyQualifiedName"):
        if name in row and not str(row[name]).endswith("(deleted)"):
            row[name] = f"{row[name]} (deleted)"
    if "CurrentBalance" in row:
        row["CurrentBalance"] = row["CurrentBalanceWithSubAccounts"] = 0
