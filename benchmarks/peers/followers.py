"""The taps that follow all entities of a company, each from the state of the run before."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from connectors import REALM, State, credentials, messages, our_settings, redirected
from environments import environment
from measuring import run_command
from typing_extensions import override

if TYPE_CHECKING:
    from quickbooks_simulator.server import RunningSimulator

# What is changed, and how the streams are called, without the tap's prefix.
PLURALS = {
    "Customer": "customers",
    "Invoice": "invoices",
    "Item": "items",
    "Payment": "payments",
    "Bill": "bills",
}
# A report is made anew for 30 days by every run; it is no entity, and left out.
REPORTS = {"profit_loss_report"}
DELETIONS = "deleted_objects"

Object = tuple[str, str]


class Sync(NamedTuple):
    """One run of a tap.

    Attributes:
        calls: Successful reads as metered; a batch is one.
        items: Queries in its batches.
        seconds: From the start of the process to its end.
        rows: Records, those of deletions included.
        living: The objects that came, by stream and id.
        deleted: The objects that are told to be deleted, likewise.
        state: What the next run starts from.
    """

    calls: int
    items: int
    seconds: float
    rows: int
    living: set[Object]
    deleted: set[Object]
    state: State


@dataclass(frozen=True)
class Follower:
    """A Singer tap with all its streams.

    Attributes:
        name: What the tables call it.
        command: The words that start it.
        settings: Its settings besides those that all have, and where it connects.
    """

    name: str
    command: tuple[str, ...]
    settings: dict[str, str] = field(hash=False)

    def config(
        self, simulator: RunningSimulator, folder: Path, *, is_daily: bool
    ) -> dict[str, Any]:
        """Return its settings; is_daily: what is asked for once a day is due."""
        due = {"rarely_read_hours": 0} if is_daily else {}
        return {
            **credentials(simulator),
            **our_settings(simulator, folder),
            **self.settings,
            **due,
        }

    def stream(self, entity: str) -> str:
        """Return the name of an entity's stream."""
        return f"qb_{PLURALS[entity]}"

    def take(self, message: dict[str, Any]) -> tuple[Object, bool]:
        """Return the object of a record, and whether it is deleted."""
        record = message["record"]
        return (message["stream"], record["id"]), bool(record.get("deleted_at_utc"))

    def left_out(self, _state: State) -> set[str]:
        """Return the streams that are not read from a state."""
        return set()

    def handed(self, state: State, _read_at: str) -> State:
        """Return the state that the first read hands to the runs after it."""
        return state


@dataclass(frozen=True)
class Peer(Follower):
    """tap-quickbooks."""

    @override
    def config(
        self, simulator: RunningSimulator, folder: Path, *, is_daily: bool
    ) -> dict[str, Any]:
        return {**credentials(simulator), **self.settings}

    @override
    def stream(self, entity: str) -> str:
        return PLURALS[entity]

    @override
    def take(self, message: dict[str, Any]) -> tuple[Object, bool]:
        record, stream = message["record"], message["stream"]
        if stream == DELETIONS:
            return (PLURALS.get(record["Type"], record["Type"]), record["Id"]), True
        return (stream, record["Id"]), False

    @override
    def left_out(self, state: State) -> set[str]:
        # Without a state it asks CDC from the start date on, which is more than 30 days ago.
        return REPORTS if state else {*REPORTS, DELETIONS}

    @override
    def handed(self, state: State, read_at: str) -> State:
        bookmarks = {**state["bookmarks"], DELETIONS: {"LastUpdatedTime": read_at}}
        return {**state, "bookmarks": bookmarks}


def followers() -> list[Follower]:
    """Return all, ours first; what they need is installed."""
    commands = environment("tap-quickbooks")
    ours = (str(Path(sys.executable).with_name("tap-quickbooks-raw")),)
    return [
        Follower("ours, cdc", ours, {}),
        Follower("ours, query", ours, {"incremental_method": "query"}),
        Peer(
            "tap-quickbooks 2.5.0",
            redirected(commands, "tap-quickbooks"),
            {"user_agent": "benchmark"},
        ),
    ]


def sync(
    follower: Follower,
    simulator: RunningSimulator,
    folder: Path,
    state: State = None,
    *,
    is_daily: bool = False,
) -> Sync:
    """Read all streams of the company.

    Args:
        follower: The tap.
        simulator: Serves the company.
        folder: For the tap's files; another one for each company.
        state: Where to go on from; None for the beginning.
        is_daily: What is asked for once a day is due.
    """
    config = folder / "config.json"
    if not config.exists():
        folder.mkdir(parents=True, exist_ok=True)
        config.write_text(json.dumps(follower.config(simulator, folder, is_daily=is_daily)))
    words = [*follower.command, "--config", str(config)]
    url = simulator.url
    discovered = json.loads(run_command([*words, "--discover"], folder=folder, url=url).read_text())
    catalog = folder / "catalog.json"
    catalog.write_text(json.dumps(_select(discovered, follower.left_out(state))))
    words += ["--catalog", str(catalog)]
    if state:
        known = folder / "state.json"
        known.write_text(json.dumps(state))
        words += ["--state", str(known)]
    before, started = simulator.meter(REALM), time.monotonic()
    output = run_command(words, folder=folder, url=url)
    seconds, after = time.monotonic() - started, simulator.meter(REALM)
    calls, items = after.reads - before.reads, after.batch_items - before.batch_items
    return _taken(follower, output, Sync(calls, items, seconds, 0, set(), set(), state))


def _select(catalog: dict[str, Any], left_out: set[str]) -> dict[str, Any]:
    streams = [each for each in catalog["streams"] if each["tap_stream_id"] not in left_out]
    for each in streams:
        for breadcrumb in each["metadata"]:
            breadcrumb["metadata"]["selected"] = True
    return {"streams": streams}


def _taken(follower: Follower, output: Path, run: Sync) -> Sync:
    """Take the output of a run apart."""
    rows, state = 0, run.state
    for message in messages(output):
        match message["type"]:
            case "RECORD":
                rows += 1
                found, is_deleted = follower.take(message)
                (run.deleted if is_deleted else run.living).add(found)
            case "STATE":
                state = message["value"]
    output.unlink()
    return run._replace(rows=rows, state=state)
