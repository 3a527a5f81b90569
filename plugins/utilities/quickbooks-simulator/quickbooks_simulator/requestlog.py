"""The log of requests, which never holds a token, and the meter of successful reads."""

from __future__ import annotations

from collections import defaultdict, deque

import msgspec


class Entry(msgspec.Struct):
    """One request.

    `in_flight` is how many others of the company were being answered when it came; `status` is 0
    while there is no answer, and stays 0 when there never is one.
    """

    seq: int
    time: float
    method: str
    path: str
    operation: str
    realm: str = ""
    entity: str = ""
    statement: str = ""
    in_flight: int = 0
    status: int = 0
    rows: int = 0
    duration: float = 0.0
    intuit_tid: str = ""


class RequestLog:
    """The last requests, oldest first."""

    def __init__(self, most: int = 200_000) -> None:
        self._entries: deque[Entry] = deque(maxlen=most)
        self._seq = 0

    def open(self, entry: Entry) -> Entry:
        """Number an entry and keep it; it is completed when the answer is known."""
        self._seq += 1
        entry.seq = self._seq
        self._entries.append(entry)
        return entry

    def entries(self) -> list[Entry]:
        """Return all entries."""
        return list(self._entries)

    def clear(self) -> None:
        """Forget all entries."""
        self._entries.clear()


class Meter(msgspec.Struct):
    """What Intuit would bill, or not: successful calls of a company."""

    reads: int = 0
    batch_items: int = 0
    writes: int = 0


class Meters:
    """A meter for each company."""

    def __init__(self) -> None:
        self._meters: dict[str, Meter] = defaultdict(Meter)

    def of(self, realm: str) -> Meter:
        """Return the meter of a company."""
        return self._meters[realm]

    def all(self) -> dict[str, Meter]:
        """Return all meters that have counted something."""
        return dict(self._meters)
