"""Customers, vendors and employees."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from quickbooks_simulator.generation.balances import owed
from quickbooks_simulator.generation.books import Card, money, packed
from quickbooks_simulator.generation.inactive import is_inactive, name_of
from quickbooks_simulator.generation.words import CITIES, FAMILY, GIVEN, STREETS, TRADES

if TYPE_CHECKING:
    from quickbooks_simulator.generation.books import Books
    from quickbooks_simulator.jsontext import Payload

_FLOURISHES = ("Café ", "株式会社 ", "🌿 ", 'The "Old" ', "Ünter ", "O'Hara & Søn ")


class Person(NamedTuple):
    """Names of a customer or vendor, before any deactivation."""

    given: str
    family: str
    company: str


def person(books: Books, entity: str, slot: int) -> Person:
    """Return who a row is; the number keeps display names apart."""
    draw = books.chance(entity, slot)
    given = GIVEN[draw % len(GIVEN)]
    family = FAMILY[(draw >> 8) % len(FAMILY)]
    company = f"{family} {TRADES[(draw >> 16) % len(TRADES)]} {books.id(entity, slot)}"
    if books.awkward and draw >> 24 & 15 == 0:
        company = _FLOURISHES[(draw >> 28) % len(_FLOURISHES)] + company
    return Person(given, family, company)


def is_job(books: Books, slot: int) -> bool:
    """Tell whether a customer is a job of the customer before it."""
    return slot % 7 == 3 and slot < books.counts["Customer"]  # noqa: PLR2004 - every seventh


def display_name(books: Books, entity: str, slot: int) -> str:
    """Return the name by which other rows call a customer, vendor or employee."""
    who = person(books, entity, slot)
    if entity == "Customer" and is_job(books, slot):
        name = f"Job {books.id(entity, slot)} {STREETS[slot % len(STREETS)]}"
    elif entity == "Employee":
        name = f"{who.given} {who.family} {books.id(entity, slot)}"
    else:
        name = who.company
    return name_of(name, inactive=is_inactive(entity, slot))


def address(books: Books, entity: str, slot: int, id: str) -> dict[str, str]:
    """Return a structured address."""
    draw = books.chance(entity, slot) >> 7
    city, state, code, latitude, longitude = CITIES[draw % len(CITIES)]
    return {
        "Id": id,
        "Line1": f"{draw % 9000 + 100} {STREETS[(draw >> 16) % len(STREETS)]}",
        "City": city,
        "CountrySubDivisionCode": state,
        "PostalCode": code,
        "Lat": latitude,
        "Long": longitude,
    }


def card(books: Books, entity: str, slot: int) -> Card:
    """Return the encoded parts that all documents of a customer share."""
    if found := books.cards.get((entity, slot)):
        return found
    who = person(books, entity, slot)
    name = display_name(books, entity, slot)
    home = address(books, entity, slot, str(2 * slot + 2))
    made = books.cards[entity, slot] = Card(
        packed(books.ref(entity, slot, name)),
        packed(
            {
                "Id": str(2 * slot + 3),
                "Line1": f"{who.given} {who.family}",
                "Line2": name,
                "Line3": home["Line1"],
                "Line4": f"{home['City']}, {home['CountrySubDivisionCode']}  {home['PostalCode']}",
                "Lat": home["Lat"],
                "Long": home["Long"],
            }
        ),
        packed(home),
        packed({"Address": email(books, entity, slot)}),
    )
    return made


def email(books: Books, entity: str, slot: int) -> str:
    """Return an address that leads nowhere."""
    return f"{entity.lower()}{books.id(entity, slot)}@example.com"


def customer(books: Books, slot: int) -> Payload:
    """Make a customer; every seventh is a job of the one before."""
    who, name = person(books, "Customer", slot), display_name(books, "Customer", slot)
    job, active = is_job(books, slot), not is_inactive("Customer", slot)
    debts = owed(books, "Customer")
    balance = debts.get(slot, 0)
    with_jobs = balance + (debts.get(slot + 1, 0) if is_job(books, slot + 1) else 0)
    row: Payload = {
        "Taxable": slot % 3 == 0,
        "BillAddr": address(books, "Customer", slot, str(2 * slot + 2)),
        "Job": job,
        "BillWithParent": False,
        "Balance": money(balance),
        "BalanceWithJobs": money(with_jobs),
        "CurrencyRef": books.currency_ref,
        "PreferredDeliveryMethod": ("Print", "Email", "None")[slot % 3],
        **books.head("Customer", slot),
        "GivenName": who.given,
        "FamilyName": who.family,
        "FullyQualifiedName": name,
        "CompanyName": who.company,
        "DisplayName": name,
        "PrintOnCheckName": who.company,
        "Active": active,
        "PrimaryPhone": {"FreeFormNumber": f"(555) 555-{slot % 10000:04d}"},
        "PrimaryEmailAddr": {"Address": email(books, "Customer", slot)},
    }
    if job:
        row |= {"ParentRef": {"value": books.id("Customer", slot - 1)}, "Level": 1}
        row["FullyQualifiedName"] = f"{display_name(books, 'Customer', slot - 1)}:{name}"
        row["IsProject"] = slot % 2 == 0
    if slot % 4 == 0:
        row["ShipAddr"] = row["BillAddr"]
    if slot % 9 == 1:
        types = books.counts["CustomerType"]
        row["CustomerTypeRef"] = {"value": books.id("CustomerType", slot % types)}
    if (notes := books.note("Customer", slot)) is not None:
        row["Notes"] = notes
    return row


def vendor(books: Books, slot: int) -> Payload:
    """Make a vendor."""
    who, name = person(books, "Vendor", slot), display_name(books, "Vendor", slot)
    row: Payload = {
        "BillAddr": address(books, "Vendor", slot, str(900000 + slot)),
        "Balance": money(owed(books, "Vendor").get(slot, 0)),
        "AcctNum": f"V-{slot:05d}",
        "Vendor1099": slot % 5 == 0,
        "CurrencyRef": books.currency_ref,
        **books.head("Vendor", slot),
        "GivenName": who.given,
        "FamilyName": who.family,
        "CompanyName": who.company,
        "DisplayName": name,
        "PrintOnCheckName": who.company,
        "Active": not is_inactive("Vendor", slot),
        "PrimaryPhone": {"FreeFormNumber": f"(555) 556-{slot % 10000:04d}"},
        "PrimaryEmailAddr": {"Address": email(books, "Vendor", slot)},
        "WebAddr": {"URI": f"http://vendor{books.id('Vendor', slot)}.example.com"},
    }
    if slot % 5 == 0:
        row["TaxIdentifier"] = f"XXXXXX{slot % 10000:04d}"
    return row


def employee(books: Books, slot: int) -> Payload:
    """Make an employee."""
    who, name = person(books, "Employee", slot), display_name(books, "Employee", slot)
    row: Payload = {
        "BillableTime": slot % 2 == 0,
        **books.head("Employee", slot),
        "GivenName": who.given,
        "FamilyName": who.family,
        "DisplayName": name,
        "PrintOnCheckName": f"{who.given} {who.family}",
        "Active": not is_inactive("Employee", slot),
    }
    if slot % 2 == 0:
        row["PrimaryAddr"] = address(books, "Employee", slot, str(950000 + slot))
        row["SSN"] = "XXX-XX-XXXX"
    return row
