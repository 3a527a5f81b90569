"""Create, full update, sparse update, delete and void by the API."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Final

from quickbooks_simulator.clock import pacific_date
from quickbooks_simulator.effects import decimal, effects, move, number
from quickbooks_simulator.faults import (
    Fault,
    missing,
    not_available,
    not_found,
    stale,
    system_failure,
    unsupported,
)
from quickbooks_simulator.jsontext import dumps
from quickbooks_simulator.objects import (
    Stored,
    Write,
    deactivate,
    load,
    restamp,
    version_of,
    void,
)
from quickbooks_simulator.requirements import REQUIRED, SPARSE_REQUIRED, check, require

if TYPE_CHECKING:
    from quickbooks_simulator.calls import Call
    from quickbooks_simulator.company import Company
    from quickbooks_simulator.effects import Effects
    from quickbooks_simulator.entities import Entity
    from quickbooks_simulator.jsontext import Payload
    from quickbooks_simulator.simulator import Simulator

# What a full update cannot change or clear.
_KEPT: Final = ("Id", "domain", "MetaData", "Balance", "BalanceWithJobs", "CurrentBalance")
_KEPT_ALSO: Final = ("CurrentBalanceWithSubAccounts", "LinkedTxn", "Active", "FullyQualifiedName")
_SALES: Final = ("Invoice", "Estimate", "CreditMemo", "SalesReceipt", "RefundReceipt")
_OPEN: Final = ("Invoice", "Bill", "CreditMemo", "VendorCredit")
_NUMBERED: Final = (*_SALES, "PurchaseOrder")
_READ_ONLY: Final = ("CompanyInfo", "Preferences", "ExchangeRate")


def write(simulator: Simulator, company: Company, call: Call) -> bytes:
    """Carry out a write and return `"Entity": {...}`.

    Raises:
        Fault: It is refused.
    """
    entity = call.target
    if entity is None or entity.key == "TaxClassification":
        raise unsupported(call.operation)
    if not entity.available_in(company.country) or simulator.settings.lists(
        simulator.settings.entities_off, company.realm_id, entity.key
    ):
        raise not_available()
    if not isinstance(call.body, dict):
        raise Fault("2010", "Request has invalid or unsupported property", "Invalid JSON")
    request = call.params.get("requestid", "")
    if not request:
        return _carry_out(simulator, company, entity, call)
    text = dumps([call.operation, call.body])
    return company.once(request, text, lambda: _carry_out(simulator, company, entity, call))


def _carry_out(simulator: Simulator, company: Company, entity: Entity, call: Call) -> bytes:
    circumstances = Write(company, entity, simulator.clock.stamp(), simulator.visible_at())
    match call.operation:
        case "create":
            return _create(circumstances, dict(call.body))
        case "update":
            return _update(circumstances, dict(call.body))
        case "delete":
            return _delete(circumstances, call.body)
        case "void":
            return _void(circumstances, call.body, form=call.params.get("operation", "update"))
        case _:
            raise unsupported(call.operation)


def _create(at: Write, row: Payload) -> bytes:
    company, key = at.company, at.entity.key
    if at.entity.removal == "none" and key != "TaxAgency":
        raise unsupported("create")
    if key == "RecurringTransaction":
        return _create_template(at, row)
    _name_person(key, row)
    require(row, REQUIRED.get(key, ()))
    check(company, at.entity, row, slot=None)
    new = company.next_id(key)
    row |= {"Id": new, "SyncToken": "0", "domain": "QBO", "sparse": False}
    _complete(at, row, new)
    return _store(at, row, {}, slot=None, created=at.stamp)


def _name_person(key: str, row: Payload) -> None:
    """Give a person without a display name the one that the service would make."""
    parts = [str(row[name]) for name in ("GivenName", "FamilyName") if row.get(name)]
    if key in ("Customer", "Vendor", "Employee") and not row.get("DisplayName"):
        row["DisplayName"] = " ".join(parts) or row.get("CompanyName")
    if row.get("DisplayName"):
        row.setdefault("FullyQualifiedName", row["DisplayName"])
        row.setdefault("PrintOnCheckName", row["DisplayName"])


def _complete(at: Write, row: Payload, id: str) -> None:
    """Add what the service computes for a new object."""
    key = at.entity.key
    if at.entity.active:
        row.setdefault("Active", True)
        row.setdefault("FullyQualifiedName", row.get("Name", row.get("DisplayName", "")))
    if key in ("Customer", "Vendor"):
        row.setdefault("Balance", 0)
    if key == "Customer":
        row.setdefault("BalanceWithJobs", 0)
        row.setdefault("Job", False)
    if at.entity.order == "newest" and key not in ("Attachable", "CompanyCurrency"):
        row.setdefault("TxnDate", pacific_date(at.stamp))
        row.setdefault("CurrencyRef", at.company.books.currency_ref)
    if key in _NUMBERED:
        row.setdefault("DocNumber", id)
    _total(key, row)
    if key in _OPEN:
        row["Balance"] = row["TotalAmt"]
    if key == "Payment":
        row.setdefault("Line", [])
        applied = sum((decimal(line.get("Amount")) for line in row["Line"]), Decimal())
        row["UnappliedAmt"] = number(decimal(row["TotalAmt"]) - applied)


def _total(key: str, row: Payload) -> None:
    """Compute TotalAmt, and the sub-total line of sales documents."""
    lines = row.get("Line")
    if not isinstance(lines, list) or key in ("JournalEntry", "Payment", "BillPayment"):
        return
    items = [line for line in lines if line.get("DetailType") != "SubTotalLineDetail"]
    subtotal = sum((decimal(line.get("Amount")) for line in items), Decimal())
    if key in _SALES:
        total = {"Amount": number(subtotal), "DetailType": "SubTotalLineDetail"}
        lines = [*items, {**total, "SubTotalLineDetail": {}}]
    for place, line in enumerate(items, 1):
        line.setdefault("Id", str(place))
    row["Line"] = lines
    tax = decimal((row.get("TxnTaxDetail") or {}).get("TotalTax"))
    row["TotalAmt"] = number(subtotal + tax)


def _store(at: Write, row: Payload, before: Effects, *, slot: int | None, created: int) -> bytes:
    """Store an object, move what depends on it and return it as an answer."""
    company, key = at.company, at.entity.key
    table = company.tables[key]
    version = version_of(company, table, row, created=created, updated=at.stamp)
    place = table.add(str(row["Id"])) if slot is None else slot
    company.put(table, [(place, version)], at.visible_at)
    _move(at, row, before, effects(key, row))
    return b'"%s":%s' % (key.encode(), version.text)


def _move(at: Write, row: Payload, before: Effects, after: Effects) -> None:
    kind = at.entity.key
    if kind == "BillPayment":
        kind = f"BillPayment{row.get('PayType', 'Check')}"
    link = {"TxnId": str(row["Id"]), "TxnType": kind}
    move(at, before, after, link=link)


def _create_template(at: Write, row: Payload) -> bytes:
    kind = next((name for name, value in row.items() if isinstance(value, dict)), None)
    if kind is None:
        raise missing("RecurringTransaction")
    inner = dict(row[kind])
    inner |= {"Id": at.company.next_id("RecurringTransaction"), "SyncToken": "0"}
    inner |= {"domain": "QBO", "sparse": False}
    _total(kind, inner)
    table = at.company.tables["RecurringTransaction"]
    wrapped = {kind: inner}
    version = version_of(at.company, table, wrapped, created=at.stamp, updated=at.stamp)
    at.company.put(table, [(table.add(inner["Id"]), version)], at.visible_at)
    return b'"RecurringTransaction":' + version.text


def _stored(at: Write, body: Payload) -> Stored:
    """Return the object that a write means, if its SyncToken is the newest."""
    if at.entity.key == "RecurringTransaction":
        body = next((each for each in body.values() if isinstance(each, dict)), body)
    require(body, ("Id", "SyncToken"))
    stored = load(at.company, at.entity.key, str(body["Id"]))
    if stored is None:
        raise not_found()
    if str(body["SyncToken"]) != str(stored.inner.get("SyncToken")):
        raise stale()
    return stored


def _update(at: Write, body: Payload) -> bytes:
    key = at.entity.key
    stored = _stored(at, body)
    if key == "RecurringTransaction":
        raise unsupported("update")
    old = stored.row
    sparse = body.get("sparse") is True or str(body.get("sparse")).lower() == "true"
    require(body, SPARSE_REQUIRED.get(key, ()))
    if sparse:
        row = {**old, **body}
    else:
        require(body, REQUIRED.get(key, ()) if key not in _READ_ONLY else ())
        row = {name: old[name] for name in (*_KEPT, *_KEPT_ALSO) if name in old} | body
    row |= {"domain": "QBO", "sparse": False, "SyncToken": str(stored.token + 1)}
    if old.get("Active", True) and row.get("Active") is False:
        deactivate(row)
    else:
        check(at.company, at.entity, row, slot=stored.slot)
    if "Line" in body:
        _total(key, row)
    if key in _OPEN:
        moved = decimal(row.get("TotalAmt")) - decimal(old.get("TotalAmt"))
        row["Balance"] = number(decimal(old.get("Balance")) + moved)
    before = effects(key, old)
    return _store(at, row, before, slot=stored.slot, created=stored.version.created)


def _delete(at: Write, body: Payload) -> bytes:
    if at.entity.removal != "hard":
        raise unsupported("delete")
    stored = _stored(at, body)
    key, gone = at.entity.key, str(stored.inner["Id"])
    at.company.delete(stored.table, stored.slot, at.stamp, at.visible_at)
    _move(at, stored.inner, effects(key, stored.row), {})
    if key == "RecurringTransaction":
        kind = next(iter(stored.row))
        stub: Payload = {"status": "Deleted", "domain": "QBO", kind: {"Id": gone}}
    else:
        stub = {"status": "Deleted", "domain": "QBO", "Id": gone}
    return b'"%s":%s' % (key.encode(), dumps(stub))


def _void(at: Write, body: Payload, *, form: str) -> bytes:
    key = at.entity.key
    match at.entity.void:
        case "fault":
            raise system_failure("java.lang.UnsupportedOperationException", status=200)
        case "ignored":
            return b'"BatchItemResponse":[]'
        case "operation":
            pass
        case "update" if form != "void":
            pass
        case _:
            raise unsupported("void")
    stored = _stored(at, body)
    before = effects(key, stored.row)
    void(stored.row)
    version = restamp(at.company, stored, at.stamp, token=True)
    at.company.put(stored.table, [(stored.slot, version)], at.visible_at)
    _move(at, stored.row, before, effects(key, stored.row))
    return b'"%s":%s' % (key.encode(), version.text)
