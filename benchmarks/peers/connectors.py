"""The connectors, each with its own settings, catalog, command line and output."""

from __future__ import annotations

import json
import sys
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from environments import HERE, environment
from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from quickbooks_simulator.server import RunningSimulator

State = Any
REALM = "9341453000000001"
# All write its beginning alike in their queries.
START = "2015-01-01T00:00:00"
UNCAPPED_TAP = HERE.parent / "uncapped_tap.py"


class Output(NamedTuple):
    """What a run wrote.

    Attributes:
        ids: Ids of the invoices in the order of the output; one may come twice.
        state: What the next run starts from.
    """

    ids: list[str]
    state: State


@dataclass(frozen=True)
class Connector(ABC):
    """A command that reads the invoices of a company.

    Attributes:
        name: What the table calls it.
        command: The words that start it.
        stream: Its name for invoices.
    """

    name: str
    command: tuple[str, ...]
    stream: str

    @abstractmethod
    def config(self, simulator: RunningSimulator, folder: Path) -> dict[str, Any]:
        """Return its settings."""

    @abstractmethod
    def discovery(self, config: Path) -> list[str]:
        """Return the words that make it print its catalog."""

    @abstractmethod
    def catalog(self, discovered: str) -> dict[str, Any]:
        """Take invoices alone, with all their properties, from what discovery printed."""

    @abstractmethod
    def reading(self, config: Path, catalog: Path, state: Path | None) -> list[str]:
        """Return the words that make it read."""

    @abstractmethod
    def output(self, path: Path) -> Output:
        """Take its output apart."""


@dataclass(frozen=True)
class SingerTap(Connector):
    """A Singer tap.

    Attributes:
        id_property: Its name for an invoice's id.
        more: Its settings besides those that all have.
    """

    id_property: str
    more: Callable[[RunningSimulator, Path], dict[str, Any]]

    @override
    def config(self, simulator: RunningSimulator, folder: Path) -> dict[str, Any]:
        return {**credentials(simulator), **self.more(simulator, folder)}

    @override
    def discovery(self, config: Path) -> list[str]:
        return ["--config", str(config), "--discover"]

    @override
    def catalog(self, discovered: str) -> dict[str, Any]:
        streams = json.loads(discovered)["streams"]
        chosen = [entry for entry in streams if entry["tap_stream_id"] == self.stream]
        for entry in chosen:
            for breadcrumb in entry["metadata"]:
                breadcrumb["metadata"]["selected"] = True
        return {"streams": chosen}

    @override
    def reading(self, config: Path, catalog: Path, state: Path | None) -> list[str]:
        words = ["--config", str(config), "--catalog", str(catalog)]
        return words if state is None else [*words, "--state", str(state)]

    @override
    def output(self, path: Path) -> Output:
        ids: list[str] = []
        state = None
        for message in messages(path):
            match message["type"]:
                case "RECORD":
                    ids.append(message["record"][self.id_property])
                case "STATE":
                    state = message["value"]
        return Output(ids, state)


@dataclass(frozen=True)
class AirbyteSource(Connector):
    """A source of Airbyte's protocol."""

    @override
    def config(self, simulator: RunningSimulator, folder: Path) -> dict[str, Any]:
        # It wants an access token; this one has expired, so it asks for another first.
        expired = {"access_token": "none", "token_expiry_date": "2020-01-01T00:00:00Z"}
        return {**credentials(simulator), **expired, "sandbox": False}

    @override
    def discovery(self, config: Path) -> list[str]:
        return ["discover", "--config", str(config)]

    @override
    def catalog(self, discovered: str) -> dict[str, Any]:
        messages = map(json.loads, discovered.splitlines())
        catalog = next(message["catalog"] for message in messages if message["type"] == "CATALOG")
        chosen = [entry for entry in catalog["streams"] if entry["name"] == self.stream]
        how = {"sync_mode": "incremental", "destination_sync_mode": "append_dedup"}
        return {"streams": [{"stream": entry, **how} for entry in chosen]}

    @override
    def reading(self, config: Path, catalog: Path, state: Path | None) -> list[str]:
        words = ["read", "--config", str(config), "--catalog", str(catalog)]
        return words if state is None else [*words, "--state", str(state)]

    @override
    def output(self, path: Path) -> Output:
        ids: list[str] = []
        state: State = []
        for message in messages(path):
            match message["type"]:
                case "RECORD":
                    ids.append(message["record"]["data"]["Id"])
                case "STATE":
                    state = [message["state"]]
        return Output(ids, state)


def connectors() -> list[Connector]:
    """Return all connectors, ours first; what they need is installed."""
    singer, airbyte = environment("tap-quickbooks"), environment("airbyte-source-quickbooks")
    ours = Path(sys.executable).with_name("tap-quickbooks-raw")
    return [
        SingerTap("tap-quickbooks-raw", (str(ours),), "qb_invoices", "id", our_settings),
        SingerTap(
            "the same, ceilings lifted",
            (sys.executable, str(UNCAPPED_TAP)),
            "qb_invoices",
            "id",
            our_settings,
        ),
        SingerTap(
            "tap-quickbooks 2.5.0",
            redirected(singer, "tap-quickbooks"),
            "invoices",
            "Id",
            lambda *_: {"user_agent": "benchmark"},
        ),
        AirbyteSource(
            "airbyte-source-quickbooks 4.0.4",
            redirected(airbyte, "source-quickbooks"),
            "invoices",
        ),
    ]


def redirected(commands: Path, name: str) -> tuple[str, ...]:
    """Return the words that start a peer's command with its requests sent to the simulator."""
    return str(commands / "python"), str(HERE / "redirected.py"), str(commands / name)


def credentials(simulator: RunningSimulator) -> dict[str, Any]:
    """Return the settings that all have."""
    return {
        "client_id": simulator.client_id,
        "client_secret": simulator.client_secret,
        "refresh_token": simulator.refresh_token,
        "realm_id": REALM,
        "start_date": f"{START}Z",
    }


def our_settings(simulator: RunningSimulator, folder: Path) -> dict[str, Any]:
    """Return what only this tap has."""
    return {
        "api_url": simulator.url,
        "token_url": simulator.token_url,
        "token_store": (folder / "tokens.json").as_uri(),
    }


def messages(path: Path) -> Iterator[dict[str, Any]]:
    """Read an output, a message a line."""
    with path.open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)
