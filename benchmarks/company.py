"""The simulated companies, served by a process of its own, and the tap's settings for them."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import psutil
import requests
from tap_quickbooks_raw.tap import TapQuickBooksRaw

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

BIN = Path(sys.executable).parent
REALM = "9341453000000001"
INVOICES = "qb_invoices"
# The stamps of the simulator's rows end before; a fixed end gives the same requests each time.
END_DATE = "2026-07-01"
# Besides the entities under measurement a company has about so many objects.
OTHER_ROWS = 110
START_SECONDS = 120
CONTROL_SECONDS = 60
POLL_SECONDS = 0.05


class Company(NamedTuple):
    """A running simulator and one company in it.

    Attributes:
        folder: A temporary folder for what the measurement makes.
        connection: What `connection.json` of the simulator says.
        realm_id: The company.
        process: The simulator.
    """

    folder: Path
    connection: Mapping[str, Any]
    realm_id: str
    process: psutil.Process

    def config(self, **settings: Any) -> dict[str, Any]:  # noqa: ANN401  Settings are of any type.
        """Settings of the tap for this company."""
        return {
            "client_id": self.connection["client_id"],
            "client_secret": self.connection["client_secret"],
            "refresh_token": self.connection["refresh_token"],
            "realm_id": self.realm_id,
            "token_store": self.token_store,
            "api_url": self.connection["url"],
            "token_url": self.connection["token_url"],
            "end_date": END_DATE,
            **settings,
        }

    @property
    def token_store(self) -> str:
        """Where the tap keeps its tokens."""
        return (self.folder / "tokens.json").as_uri()

    def control(self, method: str, path: str, content: object = None) -> Any:  # noqa: ANN401  JSON.
        """Ask the simulator itself for something, below `/_simulator/`."""
        address = f"{self.connection['url']}/_simulator/{path}"
        answer = requests.request(method, address, json=content, timeout=CONTROL_SECONDS)
        answer.raise_for_status()
        return answer.json()

    def write(self, name: str, content: object) -> Path:
        """Write a JSON file into the folder."""
        path = self.folder / name
        path.write_text(json.dumps(content))
        return path


@contextmanager
def companies(
    folder: Path,
    counts: Mapping[str, Mapping[str, int]],
    *,
    warm: bool = False,
    switches: Sequence[str] = (),
) -> Iterator[list[Company]]:
    """Serve companies until the end of the block.

    Args:
        folder: A temporary folder.
        counts: Number of objects by realm and entity.
        warm: Keep all rows in the memory of the simulator, so that it answers faster.
        switches: More options of its command.
    """
    connection = folder / "connection.json"
    connection.unlink(missing_ok=True)
    options = ["--url-file", str(connection), *(["--warm"] if warm else []), *switches]
    for realm, entities in counts.items():
        options += ["--company", f"{realm}:{OTHER_ROWS}"]
        for entity, number in entities.items():
            options += ["--count", f"{realm}:{entity}={number}"]
    server = subprocess.Popen(
        [str(BIN / "quickbooks-simulator"), "serve", *options],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    try:
        _wait_for(connection, server)
        told = json.loads(connection.read_text())
        process = psutil.Process(server.pid)
        yield [Company(folder, told, realm, process) for realm in counts]
    finally:
        server.terminate()
        server.wait()


def _wait_for(connection: Path, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not connection.exists():
        if server.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError("the simulator did not start; its last lines say why")
        time.sleep(POLL_SECONDS)


def catalog(config: Mapping[str, Any], stream: str) -> dict[str, Any]:
    """The tap's catalog with one stream selected."""
    entries = TapQuickBooksRaw(config=dict(config)).catalog_dict["streams"]
    chosen = [entry for entry in entries if entry["tap_stream_id"] == stream]
    for entry in chosen:
        for breadcrumb in entry["metadata"]:
            if not breadcrumb["breadcrumb"]:
                breadcrumb["metadata"]["selected"] = True
    return {"streams": chosen}
