"""One company: its specification, its tables and the numbers that new rows get."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from quickbooks_simulator.entities import ENTITIES
from quickbooks_simulator.faults import Fault
from quickbooks_simulator.generation.books import TRANSACTIONS, Books
from quickbooks_simulator.generation.makers import tables

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from quickbooks_simulator.datadir import Journal
    from quickbooks_simulator.entities import Entity
    from quickbooks_simulator.tables import Table, Version

DEFAULT_REALM = "9341453000000001"
DEFAULT_ROWS = 30_000
_PEOPLE = ("Customer", "Vendor", "Employee")


class CompanySpec(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What a company is made of.

    `rows` is the number of all objects, about; `counts` sets the number of single entities exactly
    (`{"Invoice": 1000000}`). `country` decides which entities exist; `ALL` has all of them.
    `awkward` sprinkles texts that trip careless readers. `inventory_bare_dates` prints the stamps
    of inventory adjustments as the documentation does: a bare date and no time of creation.
    """

    realm_id: str = DEFAULT_REALM
    rows: int = DEFAULT_ROWS
    seed: int = 1
    country: str = "US"
    counts: dict[str, int] = {}
    awkward: bool = True
    inventory_bare_dates: bool = True


def parse_company(text: str) -> CompanySpec:
    """Read `realm[:rows[:seed[:country]]]`.

    Raises:
        ValueError: The text has another form.
    """
    parts = text.split(":")
    try:
        realm, rows, seed, country = (*parts, *("", "", "", "")[len(parts) :])
        spec = CompanySpec(
            realm_id=realm,
            rows=int(rows or DEFAULT_ROWS),
            seed=int(seed or 1),
            country=(country or "US").upper(),
        )
    except ValueError:
        raise ValueError(f"{text!r} is not realm[:rows[:seed[:country]]].") from None
    if not realm.isdecimal():
        raise ValueError(f"{text!r}: a realm id is made of digits.")
    return spec


class Company:
    """The living books of a company."""

    def __init__(self, spec: CompanySpec) -> None:
        self.spec = spec
        self.realm_id = spec.realm_id
        self.country = spec.country
        self.books = Books(
            seed=spec.seed,
            rows=spec.rows,
            country=spec.country,
            counts=spec.counts,
            awkward=spec.awkward,
        )
        self.tables = tables(self.books, bare_dates=spec.inventory_bare_dates)
        self.journal: Journal | None = None
        self._next: dict[str, int] = {}
        self._requests: dict[str, tuple[bytes, bytes]] = {}

    def table(self, entity: Entity) -> Table:
        """Return the table of an entity."""
        return self.tables[entity.key]

    def next_id(self, key: str) -> str:
        """Return an unused id; transactions share a sequence, and so do people."""
        family = next((group for group in (TRANSACTIONS, _PEOPLE) if key in group), (key,))
        name = family[0]
        if name not in self._next:
            self._next[name] = 1 + max(
                ids.first + ids.size * ids.stride for ids in (self.books.ids[k] for k in family)
            )
        number = self._next[name]
        self._next[name] += 1
        return str(number)

    def claim_id(self, key: str, id: str) -> None:
        """Keep the sequence ahead of an id that came from a journal."""
        if id.isdecimal():
            while int(self.next_id(key)) < int(id):
                pass

    def put(
        self, table: Table, versions: Sequence[tuple[int, Version | None]], visible_at: float = 0.0
    ) -> None:
        """Change rows and write them to the journal."""
        table.put(versions, visible_at)
        if self.journal:
            for slot, version in versions:
                if version:
                    self.journal.record(self.realm_id, table.entity.key, table.id(slot), version)

    def delete(self, table: Table, slot: int, stamp: int, visible_at: float = 0.0) -> None:
        """Delete a row and write that to the journal."""
        table.delete(slot, stamp, visible_at)
        if self.journal:
            self.journal.record_deletion(self.realm_id, table.entity.key, table.id(slot), stamp)

    def once(self, request: str, text: bytes, work: Callable[[], bytes]) -> bytes:
        """Answer a repeated request id as the first time.

        Raises:
            Fault: 600, when the id comes back with another body.
        """
        if request in self._requests:
            first, answer = self._requests[request]
            if first != text:
                raise Fault("600", "Duplicate Request Id", "requestid was used for another body")
            return answer
        answer = work()
        self._requests[request] = text, answer
        return answer

    def counts(self) -> dict[str, int]:
        """Return the number of living objects of every entity that the company has."""
        return {
            key: len(self.tables[key].by_time)
            for key, entity in ENTITIES.items()
            if entity.available_in(self.country)
        }

    def warm(self) -> None:
        """Make all generated rows and keep them."""
        for table in self.tables.values():
            table.warm()

    def reveal(self, now: float) -> None:
        """Let queries see the changes whose delay is over."""
        for table in self.tables.values():
            table.reveal(now)
