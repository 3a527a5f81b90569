"""What generated rows share: chance, ids, stamps and references."""

from __future__ import annotations

from array import array
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from msgspec import Raw

from quickbooks_simulator.clock import pacific, pacific_date, start_of_day
from quickbooks_simulator.generation.counts import row_counts
from quickbooks_simulator.generation.words import AWKWARD, COUNTRIES, ESCAPES
from quickbooks_simulator.jsontext import encode
from quickbooks_simulator.tables import Ids

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Mapping

FIRST_DAY: Final = start_of_day("2015-01-05")
LAST_INSTANT: Final = start_of_day("2026-07-01") - 1
OPENING: Final = FIRST_DAY + 9 * 3600
DAY: Final = 86400
# The hour that the clocks of 3 November 2024 showed twice.
REPEATED_HOUR: Final = (1730622600, 1730626200)
TIED_CUSTOMERS: Final = range(30, 56)
TIED_INVOICES: Final = 1200
MANY: Final = 3000
_MASK: Final = (1 << 64) - 1

# All transactions draw their ids from one sequence.
TRANSACTIONS: Final = (
    "Invoice",
    "Payment",
    "SalesReceipt",
    "Bill",
    "BillPayment",
    "Purchase",
    "JournalEntry",
    "Deposit",
    "Estimate",
    "CreditMemo",
    "RefundReceipt",
    "Transfer",
    "CreditCardPaymentTxn",
    "VendorCredit",
    "PurchaseOrder",
    "ReimburseCharge",
    "TaxPayment",
    "RecurringTransaction",
)


# Lists that grow over the years; the others are there from the start.
_GROWING: Final = (
    "Attachable",
    "Customer",
    "Employee",
    "ExchangeRate",
    "InventoryAdjustment",
    "Item",
    "TimeActivity",
    "Vendor",
)


def mix(seed: int, number: int) -> int:
    """Return 64 well mixed bits for a number (the finalizer of splitmix64)."""
    x = (number * 0x9E3779B97F4A7C15 + seed) & _MASK
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 & _MASK
    x = (x ^ x >> 27) * 0x94D049BB133111EB & _MASK
    return x ^ x >> 31


def name_seed(seed: int, text: str) -> int:
    """Return a seed of its own for each entity."""
    return mix(seed, int.from_bytes(text.encode()[:16], "big"))


def money(cents: int) -> float | int:
    """Return an amount as QuickBooks mostly prints it: 140.0, 47.5, 12.75, and a bare 0."""
    return cents / 100 if cents else 0


class Card(NamedTuple):
    """What documents print of a customer or vendor, encoded once."""

    ref: Raw
    bill_to: Raw
    ship_to: Raw
    email: Raw


class Books:
    """The seed of a company and everything that follows from it."""

    def __init__(
        self,
        *,
        seed: int,
        rows: int,
        country: str,
        counts: Mapping[str, int],
        awkward: bool,
    ) -> None:
        self.seed, self.country, self.awkward = seed, country, awkward
        self.counts = row_counts(rows, country, counts)
        self.seeds = {key: name_seed(seed, key) for key in self.counts}
        self.land, self.currency, self.currency_name = COUNTRIES.get(country, COUNTRIES["US"])
        self.currency_ref = {"value": self.currency, "name": self.currency_name}
        self.ids = self._ids()
        self.cards: dict[tuple[str, int], Card] = {}
        self.item_refs: dict[int, Raw] = {}
        self.owed: dict[str, Counter[int]] = {}
        self.created: dict[str, array[int]] = {}
        self.updated: dict[str, array[int]] = {}
        self._set_stamps()

    def chance(self, entity: str, slot: int) -> int:
        """Return 64 bits that belong to a row."""
        return mix(self.seeds[entity], slot)

    def id(self, entity: str, slot: int) -> str:
        """Return the id of a generated row."""
        return self.ids[entity].text(slot)

    def date(self, entity: str, slot: int) -> str:
        """Return the day on which a row was created."""
        return pacific_date(self.created[entity][slot])

    def head(self, entity: str, slot: int, token: int = 0) -> dict[str, Any]:
        """Return the keys that every object has."""
        return {
            "domain": "QBO",
            "sparse": False,
            "Id": self.ids[entity].text(slot),
            "SyncToken": str(token),
            "MetaData": {
                "CreateTime": pacific(self.created[entity][slot]),
                "LastUpdatedTime": pacific(self.updated[entity][slot]),
            },
        }

    def note(self, entity: str, slot: int, usual: str | None = None) -> str | Raw | None:
        """Return a text of a row: mostly `usual`, now and then an awkward one."""
        if self.awkward:
            escape = slot % 191 - 6
            if 0 <= escape < len(ESCAPES):
                return ESCAPES[escape]
            draw = mix(self.seeds[entity] ^ 0x6E6F7465, slot)
            if draw % 23 == 0:
                return AWKWARD[draw // 23 % len(AWKWARD)]
        return usual

    def _ids(self) -> dict[str, Ids]:
        count = self.counts
        ids = {
            key: Ids(count[key], first=101 + place, stride=len(TRANSACTIONS))
            for place, key in enumerate(TRANSACTIONS)
        }
        people = 1
        for key in ("Customer", "Vendor", "Employee"):
            ids[key] = Ids(count[key], first=people)
            people += count[key]
        ids["Account"] = Ids(count["Account"], first=1, special={21: "1150040001"})
        ids["Attachable"] = Ids(count["Attachable"], first=200900000000000008541, stride=7)
        ids["Class"] = Ids(count["Class"], first=5000000000000007195, special={2: "9"})
        ids["CustomerType"] = Ids(count["CustomerType"], first=5000000000000003466, stride=11)
        ids["TaxCode"] = Ids(count["TaxCode"], first=0, special={0: "TAX", 1: "NON"})
        ids["InventoryAdjustment"] = Ids(count["InventoryAdjustment"], first=1455000081)
        return {key: ids.get(key) or Ids(count[key], first=1) for key in count}

    def _set_stamps(self) -> None:
        for key, count in self.counts.items():
            grows = key in TRANSACTIONS or key in _GROWING
            created = self._spread(key, count) if grows else _from_the_start(count)
            self.created[key] = created
            self.updated[key] = self._touched(key, created)
        self._settle()

    def _spread(self, entity: str, count: int) -> array[int]:
        """Return ascending stamps over the years of the company."""
        span = LAST_INSTANT - OPENING - 60 * DAY
        step = max(1, span // max(1, count))
        salt = self.seeds[entity] % 1000003 | 1
        return array(
            "q",
            (
                OPENING + span * slot // count + (slot * 2654435761 + salt) % step
                for slot in range(count)
            ),
        )

    def _touched(self, entity: str, created: array[int]) -> array[int]:
        """Let every fifth row have been changed within 50 days of its creation."""
        salt = self.seeds[entity] % 1000003
        updated = array(
            "q",
            (
                stamp
                if (slot + salt) % 5
                else min(stamp + (slot * 40503 + salt) % (50 * DAY), LAST_INSTANT)
                for slot, stamp in enumerate(created)
            ),
        )
        if len(updated) > MANY // 100:
            for slot, stamp in zip((2, 3), REPEATED_HOUR, strict=True):
                updated[slot] = max(stamp, created[slot])
        return updated

    def _settle(self) -> None:
        """Let payments follow their invoices, and bulk changes share their second."""
        invoiced, paid = self.created["Invoice"], self.created["Payment"]
        salt = self.seeds["Payment"] % 1000003
        for slot in range(self.applied_payments):
            last = invoiced[2 * slot + 1]
            lag = (slot * 7919 + salt) % (30 * DAY) + DAY
            paid[slot] = max(min(last + lag, LAST_INSTANT), last)
            for invoice in (2 * slot, 2 * slot + 1):
                self.updated["Invoice"][invoice] = paid[slot]
        for slot in range(self.applied_payments, len(paid)):
            paid[slot] = LAST_INSTANT - (len(paid) - slot)
        self.updated["Payment"] = array("q", paid)
        for slot, due in enumerate(self.created["Deposit"]):
            last = min(3 * slot + 2, len(paid) - 1)
            stamp = min(paid[last] + DAY, LAST_INSTANT) if self.deposited(slot) else due
            self.created["Deposit"][slot] = self.updated["Deposit"][slot] = stamp
        for entity, slots in self._ties().items():
            stamp = max(self.updated[entity][slot] for slot in slots)
            for slot in slots:
                self.updated[entity][slot] = stamp

    def _ties(self) -> dict[str, range]:
        ties = {}
        if self.counts["Customer"] >= TIED_CUSTOMERS.stop:
            ties["Customer"] = TIED_CUSTOMERS
        if (invoices := self.counts["Invoice"]) >= MANY:
            ties["Invoice"] = range(invoices // 3, invoices // 3 + TIED_INVOICES)
        return ties

    @cached_property
    def applied_payments(self) -> int:
        """Return how many payments pay invoices: payment n pays invoices 2n and 2n+1."""
        return min(self.counts["Payment"], self.counts["Invoice"] // 2)

    def deposited(self, slot: int) -> range:
        """Return the payments that a deposit takes to the bank."""
        return range(3 * slot, min(3 * slot + 3, self.counts["Payment"]))

    def ref(self, entity: str, slot: int, name: str) -> dict[str, str]:
        """Return a reference to a generated row."""
        return {"value": self.id(entity, slot), "name": name}


def _from_the_start(count: int) -> array[int]:
    """Return the stamps of a list that a new company has: one second for all but every sixth."""
    late = range(5, count, 6)
    return array(
        "q",
        (
            min(OPENING + slot * 40 * DAY, LAST_INSTANT) if slot in late else OPENING
            for slot in range(count)
        ),
    )


def packed(value: object) -> Raw:
    """Encode a part that many rows share."""
    return Raw(encode(value))
