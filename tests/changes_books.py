"""A company that is synced again and again: the state goes from run to run, lines into a table."""

from __future__ import annotations

import copy
import io
import json
import logging
import signal
from collections import Counter
from contextlib import contextmanager, redirect_stdout
from datetime import UTC, datetime, timedelta
from functools import cache, cached_property
from logging.handlers import MemoryHandler
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple
from unittest.mock import patch

from quickbooks_simulator.server import CompanySpec, RunningSimulator, running_simulator
from tap_quickbooks_raw import following
from tap_quickbooks_raw.entities import BY_STREAM, ENTITIES, Cdc
from tap_quickbooks_raw.limiter import Limiter
from tap_quickbooks_raw.run import Run
from tap_quickbooks_raw.tap import TapQuickBooksRaw
from typing_extensions import Buffer, override

from tests.conftest import REALM, FakeTime, Impatient

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

ALL = tuple(entity.stream for entity in ENTITIES)
KEYS = {entity.response_key: entity.stream for entity in ENTITIES}
SEEN = [entity.response_key for entity in ENTITIES if entity.cdc is Cdc.SEEN]
LIKELY = [entity.response_key for entity in ENTITIES if entity.cdc is Cdc.LIKELY]
# Asked for again only after some hours.
RARE = {entity.stream for entity in ENTITIES if entity.is_rare}
# Without usable stamps: read whole in every run.
WHOLE = "qb_inventory_adjustments"
NARROW = {"realm_id", "id", "deleted_at_utc", "ingested_at_utc"}
IDLE = ["cdc", "batch"]
# Followed by CDC, by both, by query, taken as they are, taken whole.
EDITED = ("Invoice", "Customer", "Attachable", "TaxCode", "Preferences", "InventoryAdjustment")
NAMES = ("client_id", "client_secret", "refresh_token", "token_url")
KILLED = -9
UNAUTHORIZED = 401
DAY = timedelta(days=1)


class Killed(BaseException):
    """The process is gone."""


class Pipe(io.RawIOBase):
    """Stands in for stdout; ends the run at a line by SIGTERM, or as SIGKILL does."""

    def __init__(self, how: str, room: int) -> None:
        super().__init__()
        self.output = bytearray()
        self._how, self._room = how, room

    @override
    def writable(self) -> bool:
        return True

    @override
    def write(self, lines: Buffer) -> int:
        whole = bytes(lines)
        before, self._room = self._room, self._room - whole.count(b"\n")
        if self._room > 0 or before <= 0:
            self.output += whole
        elif self._how == "kill":
            self.output += b"".join(whole.splitlines(keepends=True)[:before])[:-7]
            raise Killed
        else:
            self.output += whole
            signal.raise_signal(signal.SIGTERM)
        return len(whole)


class HastyTap(TapQuickBooksRaw):
    """The tap, which waits for nothing."""

    @cached_property
    @override
    def run(self) -> Run:
        time = FakeTime()
        run = Run(self.settings, Limiter(concurrency=8, now=time.now, sleep=time.sleep))
        run.client._policy = Impatient(self.settings.max_attempts)
        return run


class Sync(NamedTuple):
    """What one run has done: its messages, requests (without those for tokens), log and end."""

    messages: list[dict[str, Any]]
    calls: list[str]
    log: list[str]
    state: dict[str, Any]
    exit_code: int

    def records(self, stream: str = "") -> list[dict[str, Any]]:
        return [each for _, each in self._records(stream) if not each.get("deleted_at_utc")]

    def tombstones(self, stream: str = "") -> list[dict[str, Any]]:
        return [each for _, each in self._records(stream) if each.get("deleted_at_utc")]

    @property
    def deleted(self) -> set[tuple[str, str]]:
        return {(name, each["id"]) for name, each in self._records("") if "payload" not in each}

    @property
    def told(self) -> Counter[str]:
        """Records by stream, without those of the entity that is read whole each time."""
        return Counter(
            stream for stream, each in self._records("") if stream != WHOLE or "payload" not in each
        )

    def _records(self, stream: str) -> list[tuple[str, dict[str, Any]]]:
        return [
            (each["stream"], each["record"])
            for each in self.messages
            if each["type"] == "RECORD" and stream in {"", each["stream"]}
        ]

    def instant(self, stream: str, name: str) -> datetime | None:
        text = self.state["bookmarks"].get(stream, {}).get(name)
        return datetime.fromisoformat(text) if text else None

    def streams_with(self, name: str) -> set[str]:
        return {stream for stream, each in self.state["bookmarks"].items() if name in each}

    def said(self, text: str) -> int:
        return sum(text in line for line in self.log)


class Books:
    """A simulated company, the state of its syncs, and the table that they fill."""

    def __init__(
        self, simulator: RunningSimulator, folder: Path, streams: Sequence[str], **more: object
    ) -> None:
        self.simulator = simulator
        self.streams = tuple(streams)
        self.state: dict[str, Any] = {}
        self.living: dict[tuple[str, str], dict[str, Any]] = {}
        self.deleted: dict[tuple[str, str], datetime] = {}
        self.unselected: frozenset[str] = frozenset()
        self.skew = timedelta()  # Of the clock of the machine on which the tap runs.
        self._settings = {
            **{name: getattr(simulator, name) for name in NAMES},
            "realm_id": REALM,
            "token_store": (folder / "tokens.json").as_uri(),
            "api_url": simulator.url,
            **more,
        }

    @property
    def now(self) -> datetime:
        return datetime.fromtimestamp(self.simulator.now(), UTC)

    def edit(self, op: str, *entities: str, number: int = 1, **more: str) -> set[tuple[str, str]]:
        """Change some objects of entities, as another user; return which."""
        edits = [{"op": op, "entity": each, "random": number, **more} for each in entities]
        found = zip(entities, self.simulator.edit(REALM, edits), strict=True)
        return {(KEYS[entity], each) for entity, ids in found for each in ids}

    def work(self) -> set[tuple[str, str]]:
        """Change and delete objects of every kind; return those deleted, once all has settled."""
        self.edit("update", *EDITED)
        gone = self.edit("delete", "Bill", "Invoice", "Attachable")
        self.simulator.advance(60)
        return gone

    def sync(self, *, end: tuple[str, int] = ("", 0), **settings: object) -> Sync:
        self.simulator.clear_requests()
        pipe = Pipe(*end)
        text = io.TextIOWrapper(pipe)  # type: ignore[type-var]  # It needs no more than `write`.
        clock = type("Clock", (datetime,), {"now": lambda _: self.now + self.skew})
        clocked = patch.object(following, "datetime", clock)
        with _alone() as ear, redirect_stdout(text), clocked:
            try:
                HastyTap.invoke(
                    config=SimpleNamespace(  # type: ignore[arg-type]  # The SDK's own is private.
                        config={**self._settings, **settings}, parse_env=False
                    ),
                    state=io.StringIO(json.dumps(self.state)),
                    catalog=io.StringIO(_catalog(self.streams, self.unselected)),
                )
            except SystemExit as stop:
                exit_code = int(str(stop.code))
            except Killed:
                exit_code = KILLED
        whole = bytes(pipe.output).rpartition(b"\n")[0]
        messages = [json.loads(line) for line in whole.splitlines()]
        while exit_code == KILLED and messages and messages[-1]["type"] != "STATE":
            del messages[-1]  # The loader has kept what comes before a state.
        states = [each["value"] for each in messages if each["type"] == "STATE"]
        state = states[-1] if states else self.state
        log = [record.getMessage() for record in ear.buffer]
        run = Sync(messages, [], log, state, exit_code)
        self.take(run)
        calls = [
            each.operation
            for each in self.simulator.requests()
            if each.operation != "token" and each.status != UNAUTHORIZED
        ]
        return run._replace(calls=calls)

    def take(self, run: Sync) -> None:
        """Load what a run has told, as the loader does: never an older image over a newer one."""
        self.state = copy.deepcopy(run.state)
        for each in run.messages:
            if each["type"] != "RECORD":
                continue
            record, key = each["record"], (each["stream"], each["record"]["id"])
            if record.get("deleted_at_utc"):
                self.deleted[key] = datetime.fromisoformat(record["deleted_at_utc"])
            elif "payload" in record and _age(record) >= _age(self.living.get(key, {})):
                self.living[key] = record
                self.deleted.pop(key, None)

    def of(self, stream: str) -> dict[str, Any]:
        """The payloads of what lives in the table, by id."""
        rows = {key: row for key, row in self.living.items() if key not in self.deleted}
        return {key: row["payload"] for (name, key), row in rows.items() if name == stream}

    def differences(self, *, but: Collection[str] = ()) -> list[tuple[str, str]]:
        wrong = []
        for stream in set(self.streams) - set(but):
            rows = map(json.loads, self.simulator.rows(REALM, BY_STREAM[stream].response_key))
            real, table = {_id(row): row for row in rows}, self.of(stream)
            keys = real.keys() | table
            wrong += [(stream, key) for key in keys if real.get(key) != table.get(key)]
        return wrong


def _age(record: dict[str, Any]) -> tuple[str, str]:
    return record.get("last_updated_utc") or "", record.get("ingested_at_utc") or ""


def _id(row: dict[str, Any]) -> str:
    if "AsOfDate" in row:
        return f"{row['SourceCurrencyCode']}-{row['TargetCurrencyCode']}-{row['AsOfDate']}"
    inner = row if "Id" in row or "id" in row else next(iter(row.values()))
    return str(inner.get("Id") or inner["id"])


@contextmanager
def followed(
    *streams: str,
    counts: dict[str, int] | None = None,
    country: str = "ALL",
    load: bool = True,
    **settings: object,
) -> Iterator[Books]:
    """A company whose streams (by default all) have been loaded once; the smallest there is."""
    spec = CompanySpec(realm_id=REALM, rows=0, counts=counts or {}, country=country, awkward=False)
    with TemporaryDirectory() as folder, running_simulator([spec]) as simulator:
        books = Books(simulator, Path(folder), streams or ALL, **settings)
        if load:
            key = repr((spec, books.streams))  # It is always made of the same bytes.
            books.take(_loaded.setdefault(key, _loaded.get(key) or books.sync()))
            assert _loaded[key].exit_code == 0
            simulator.advance(60)
        yield books


_loaded: dict[str, Sync] = {}


@cache
def _catalog(streams: tuple[str, ...], unselected: frozenset[str]) -> str:
    catalog = TapQuickBooksRaw(validate_config=False).catalog_dict
    for entry in catalog["streams"]:
        for metadata in entry["metadata"]:
            if not metadata["breadcrumb"]:
                metadata["metadata"]["selected"] = entry["tap_stream_id"] in streams
            elif metadata["breadcrumb"][-1] in unselected:
                metadata["metadata"]["selected"] = False
    return json.dumps(catalog)


@contextmanager
def _alone() -> Iterator[MemoryHandler]:
    """Hear the tap's warnings and nothing else; give back the signals that it listens to."""
    ear, logger = MemoryHandler(10_000, logging.CRITICAL + 1), logging.getLogger(HastyTap.name)
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    logger.addHandler(ear)
    logging.disable(logging.INFO)
    try:
        yield ear
    finally:
        logging.disable(logging.NOTSET)
        logger.removeHandler(ear)
        for number, handler in before.items():
            signal.signal(number, handler)
