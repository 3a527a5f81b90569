"""Products and services."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Raw

from quickbooks_simulator.generation.amounts import PRICELESS, price
from quickbooks_simulator.generation.chart import (
    GOODS_SOLD,
    INVENTORY,
    PRODUCT_INCOME,
    SERVICE_INCOME,
    account_ref,
)
from quickbooks_simulator.generation.inactive import is_inactive, name_of
from quickbooks_simulator.generation.words import PRODUCTS

if TYPE_CHECKING:
    from quickbooks_simulator.generation.books import Books
    from quickbooks_simulator.jsontext import Payload

_TYPES = ("Inventory", "Service", "NonInventory")


def item_type(slot: int) -> str:
    """Return the type of an item."""
    return _TYPES[slot % len(_TYPES)]


def income_account(item: int) -> int:
    """Return the account that sales of an item go to."""
    return SERVICE_INCOME if item_type(item) == "Service" else PRODUCT_INCOME


def item_name(books: Books, slot: int) -> str:
    """Return the name of an item."""
    name = f"{PRODUCTS[slot % len(PRODUCTS)][0]} {books.id('Item', slot)}"
    return name_of(name, inactive=is_inactive("Item", slot))


def item(books: Books, slot: int) -> Payload:
    """Make an item."""
    kind, name, cents = item_type(slot), item_name(books, slot), price(books, slot)
    row: Payload = {
        "Name": name,
        "Description": books.note("Item", slot, PRODUCTS[slot % len(PRODUCTS)][1]),
        "Active": not is_inactive("Item", slot),
        "FullyQualifiedName": name,
        "Taxable": slot % 2 == 0,
        "UnitPrice": cents / 100 if cents % 100 else cents // 100,
        "Type": kind,
        "IncomeAccountRef": account_ref(books, income_account(slot)),
        "PurchaseCost": 0 if kind == "Service" else cents // 2 / 100,
        "TrackQtyOnHand": kind == "Inventory",
        **books.head("Item", slot, token=slot % 4),
    }
    if slot == PRICELESS:
        row["UnitPrice"], row["PurchaseCost"] = Raw(b"1234567890123.4567891"), Raw(b"0.10")
    if kind == "Inventory":
        row |= {
            "PurchaseDesc": PRODUCTS[slot % len(PRODUCTS)][1],
            "ExpenseAccountRef": account_ref(books, GOODS_SOLD),
            "AssetAccountRef": account_ref(books, INVENTORY),
            "QtyOnHand": 35 + slot % 90,
            "InvStartDate": books.date("Item", slot),
        }
    if slot % 5 == 0:
        row["Sku"] = f"SKU-{slot:06d}"
    return row
