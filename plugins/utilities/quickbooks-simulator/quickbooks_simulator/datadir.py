"""The data directory: tokens, the clock's offset and a journal of all changes.

The journal holds the resulting objects, one line each, appended as they change and replayed at the
next start on top of the generated rows.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from quickbooks_simulator.company import CompanySpec  # noqa: TC001 - msgspec reads it
from quickbooks_simulator.tables import Tombstone, Version
from quickbooks_simulator.tokens import Tokens  # noqa: TC001 - msgspec reads it

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from io import BufferedWriter
    from pathlib import Path

    from quickbooks_simulator.company import Company


class Record(msgspec.Struct, omit_defaults=True):
    """One changed object; without a text it was deleted."""

    realm: str
    entity: str
    id: str
    updated: int
    created: int = 0
    active: bool = True
    text: str | None = None


class State(msgspec.Struct):
    """What is not in the journal."""

    tokens: Tokens
    companies: list[CompanySpec]
    clock_offset: float = 0.0


_encode = msgspec.json.Encoder().encode
_record = msgspec.json.Decoder(Record).decode


class Journal:
    """Appends changes to a file."""

    def __init__(self, file: BufferedWriter) -> None:
        self._file = file

    def record(self, realm: str, entity: str, id: str, version: Version) -> None:
        """Append a changed object."""
        self._append(
            Record(
                realm,
                entity,
                id,
                version.updated,
                version.created,
                version.active,
                version.text.decode(),
            )
        )

    def record_deletion(self, realm: str, entity: str, id: str, stamp: int) -> None:
        """Append a deletion."""
        self._append(Record(realm, entity, id, stamp))

    def _append(self, record: Record) -> None:
        self._file.write(_encode(record) + b"\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class DataDir:
    """A directory that a server continues from."""

    def __init__(self, path: Path) -> None:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path = path
        self._state = path / "state.json"
        self._journal_path = path / "journal.ndjson"
        self._journal: Journal | None = None

    def _load(self) -> State | None:
        if not self._state.exists():
            return None
        return msgspec.json.decode(self._state.read_bytes(), type=State)

    def tokens(self) -> Tokens | None:
        """Return the connections of the last run."""
        state = self._load()
        return state.tokens if state else None

    def clock_offset(self) -> float:
        """Return how far the clock was moved."""
        state = self._load()
        return state.clock_offset if state else 0.0

    def check(self, specs: Sequence[CompanySpec]) -> None:
        """Refuse to go on with other companies than those the directory was made with.

        Raises:
            ValueError: They differ.
        """
        state = self._load()
        if state and state.companies != list(specs):
            raise ValueError(
                f"{self.path} was made with other companies; name the same ones, or another --data."
            )

    def save(self, tokens: Tokens, companies: Sequence[CompanySpec], clock_offset: float) -> None:
        """Write connections and clock, whole or not at all, readable by the owner only."""
        fresh = self._state.with_suffix(".new")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(_encode(State(tokens, list(companies), clock_offset)))
        fresh.replace(self._state)

    def replay(self, companies: Mapping[str, Company]) -> None:
        """Bring the companies to where the last run left them, and record from now on."""
        if self._journal_path.exists():
            with self._journal_path.open("r+b") as lines:
                whole = 0
                for line in lines:
                    if line.endswith(b"\n"):  # Else a crash cut the last line.
                        _replay(companies, _record(line))
                        whole += len(line)
                lines.truncate(whole)
        self._journal = Journal(self._journal_path.open("ab"))
        for company in companies.values():
            company.journal = self._journal

    def close(self) -> None:
        """Close the journal."""
        if self._journal:
            self._journal.close()


def _replay(companies: Mapping[str, Company], record: Record) -> None:
    company = companies.get(record.realm)
    if company is None:
        return
    table = company.tables[record.entity]
    if record.text is None:
        table.bury(Tombstone(record.id, record.updated))
        return
    slot = table.slot(record.id)
    if slot is None:
        slot = table.add(record.id)
        company.claim_id(record.entity, record.id)
    text = record.text.encode()
    table.put([(slot, Version(text, record.created, record.updated, record.active))])
