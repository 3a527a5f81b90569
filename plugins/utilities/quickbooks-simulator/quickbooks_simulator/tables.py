"""One entity of one company: generated rows, the changes on top of them, and their time index.

A row has a slot, its number in order of creation. Generated rows are made from the slot when they
are asked for; only their stamps are in memory. `by_time` is sorted by (LastUpdatedTime, descending
slot), one 63-bit number per row, so a window is two bisections and a page is a slice.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, insort
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from quickbooks_simulator.entities import Entity

SLOT_BITS = 30
LAST_SLOT = (1 << SLOT_BITS) - 1
BULK = 256


def time_key(stamp: int, slot: int) -> int:
    """Return the place of a row in the time index."""
    return stamp << SLOT_BITS | (LAST_SLOT - slot)


def key_stamp(key: int) -> int:
    """Return the stamp in a time key."""
    return key >> SLOT_BITS


def key_slot(key: int) -> int:
    """Return the slot in a time key."""
    return LAST_SLOT - (key & LAST_SLOT)


class Version(NamedTuple):
    """What an object is at a time."""

    text: bytes
    created: int
    updated: int
    active: bool = True


_GENERATED = Version(b"", 0, 0)


class Tombstone(NamedTuple):
    """An object that was deleted."""

    id: str
    stamp: int


class Ids:
    """The ids of the generated rows: an arithmetic progression with exceptions."""

    def __init__(
        self, size: int, *, first: int, stride: int = 1, special: dict[int, str] | None = None
    ) -> None:
        self.size, self.first, self.stride = size, first, stride
        self.special = special or {}
        self._slots = {text: slot for slot, text in self.special.items()}

    def text(self, slot: int) -> str:
        """Return the id of a slot."""
        return self.special.get(slot) or str(self.first + slot * self.stride)

    def slot(self, text: str) -> int | None:
        """Return the slot of an id, or None."""
        if text in self._slots:
            return self._slots[text]
        if not text.isdecimal() or (len(text) > 1 and text[0] == "0"):
            return None
        slot, rest = divmod(int(text) - self.first, self.stride)
        return None if rest or not 0 <= slot < self.size or slot in self.special else slot


class Base(NamedTuple):
    """The generated rows of a table."""

    ids: Ids
    make: Callable[[int], bytes]
    created: array[int]
    updated: array[int]
    inactive: frozenset[int] = frozenset()


class Table:
    """The rows of one entity, as they are and as queries show them."""

    def __init__(self, entity: Entity, base: Base) -> None:
        self.entity = entity
        self.base = base
        self.size = base.ids.size
        self.changes = 0
        self.tombstones: list[Tombstone] = []
        self.warmed: dict[int, bytes] = {}
        self._latest: dict[int, Version | None] = {}
        self._shown: dict[int, Version | None] = {}
        self._new_ids: dict[int, str] = {}
        self._new_slots: dict[str, int] = {}
        self._delayed: list[tuple[float, int, Version | None]] = []
        self._buried: list[tuple[float, Tombstone]] = []
        self._orders: dict[str, tuple[int, list[int]]] = {}
        self.inactive: set[int] = set(base.inactive)
        self.by_time: array[int] = array(
            "q",
            sorted(time_key(stamp, slot) for slot, stamp in enumerate(base.updated)),
        )

    def id(self, slot: int) -> str:
        """Return the id of a row."""
        return self._new_ids.get(slot) or self.base.ids.text(slot)

    def slot(self, id: str) -> int | None:
        """Return the slot of an id, deleted or not, or None."""
        known = self._new_slots.get(id)
        return self.base.ids.slot(id) if known is None else known

    def latest(self, slot: int) -> Version | None:
        """Return the row as it is now; None when it is deleted."""
        if slot in self._latest:
            return self._latest[slot]
        return self._generated(slot)

    def shown(self, slot: int) -> Version | None:
        """Return the row as queries show it."""
        if slot in self._shown:
            return self._shown[slot]
        return self._generated(slot)

    def _generated(self, slot: int) -> Version | None:
        base = self.base
        if slot >= base.ids.size:
            return None
        return Version(
            self._text(slot), base.created[slot], base.updated[slot], slot not in base.inactive
        )

    def _text(self, slot: int) -> bytes:
        return self.warmed.get(slot) or self.base.make(slot)

    def texts(self, slots: Iterable[int]) -> list[bytes]:
        """Return rows as queries show them."""
        shown, make = self._shown, self._text
        if not shown:
            return [make(slot) for slot in slots]
        return [version.text if (version := shown.get(slot)) else make(slot) for slot in slots]

    def times(self, slot: int) -> tuple[int, int]:
        """Return when a shown row was created and last updated, without making it."""
        version = self._shown.get(slot)
        if version:
            return version.created, version.updated
        return self.base.created[slot], self.base.updated[slot]

    def warm(self) -> None:
        """Keep the text of every generated row in memory."""
        self.warmed = {slot: self.base.make(slot) for slot in range(self.base.ids.size)}

    def add(self, id: str) -> int:
        """Reserve a slot for a new row."""
        slot = self.size
        self.size += 1
        self._new_ids[slot] = id
        self._new_slots[id] = slot
        return slot

    def put(self, versions: Sequence[tuple[int, Version | None]], visible_at: float = 0.0) -> None:
        """Change rows; queries see it at once, or from `visible_at` on."""
        self._latest.update(versions)
        if visible_at:
            self._delayed += [(visible_at, slot, version) for slot, version in versions]
            return
        if self._delayed:  # What comes at once is not undone by what comes late.
            slots = {slot for slot, _ in versions}
            self._delayed = [change for change in self._delayed if change[1] not in slots]
        self._reveal(versions)

    def reveal(self, now: float) -> None:
        """Let queries see the changes whose delay is over."""
        if not self._delayed:
            return
        self.tombstones += [tombstone for at, tombstone in self._buried if at <= now]
        self._buried = [burial for burial in self._buried if burial[0] > now]
        due = [(slot, version) for at, slot, version in self._delayed if at <= now]
        if due:
            self._delayed = [change for change in self._delayed if change[0] > now]
            for change in due:
                self._reveal([change])

    def _reveal(self, versions: Sequence[tuple[int, Version | None]]) -> None:
        gone, come = [], []
        for slot, version in versions:
            if self._is_shown(slot):
                gone.append(time_key(self.times(slot)[1], slot))
            if version:
                come.append(time_key(version.updated, slot))
            self.inactive.discard(slot)
            if version and not version.active:
                self.inactive.add(slot)
            self._shown[slot] = version
        self.changes += 1
        if len(versions) > BULK:
            dropped = set(gone)
            kept = [key for key in self.by_time if key not in dropped]
            self.by_time = array("q", sorted(kept + come))
            return
        for key in gone:
            del self.by_time[bisect_left(self.by_time, key)]
        for key in come:
            insort(self.by_time, key)

    def _is_shown(self, slot: int) -> bool:
        if slot in self._shown:
            return self._shown[slot] is not None
        return slot < self.base.ids.size

    def is_living(self, slot: int) -> bool:
        """Tell whether queries show the row (active or not)."""
        return slot < self.size and self._is_shown(slot)

    def changeable(self) -> list[int]:
        """Return the shown slots, by slot, but those that are deleted and shown a while longer."""
        slots = self.in_order("oldest")
        if not self._delayed:
            return slots
        return [slot for slot in slots if self._latest.get(slot, _GENERATED) is not None]

    def delete(self, slot: int, stamp: int, visible_at: float = 0.0) -> None:
        """Remove a row and remember it for change data capture, which sees it like queries."""
        tombstone = Tombstone(self.id(slot), stamp)
        if visible_at:
            self._buried.append((visible_at, tombstone))
        else:
            self.tombstones.append(tombstone)
        self.put([(slot, None)], visible_at)

    def bury(self, tombstone: Tombstone) -> None:
        """Remove a row that a journal says was deleted."""
        slot = self.slot(tombstone.id)
        if slot is not None:
            self.delete(slot, tombstone.stamp)

    def position(self, instant: int) -> int:
        """Return where rows stamped at or after an instant begin in `by_time`."""
        return bisect_left(self.by_time, instant << SLOT_BITS)

    def in_order(self, name: str, key: Callable[[int], object] | None = None) -> list[int]:
        """Return all shown slots sorted by `key`, or by slot; kept until the next change."""
        kept = self._orders.get(name)
        if kept and kept[0] == self.changes:
            return kept[1]
        slots = sorted(map(key_slot, self.by_time))
        if key:
            slots.sort(key=key)  # type: ignore[arg-type]
        self._orders[name] = self.changes, slots
        return slots
