"""What tests share: simulators, clients without waits, configs.

`simulator` is one server for the whole session: read from it, script it with rules and
switches (both are undone after each test), but edit no rows. `own_simulator` starts one for
a test that edits rows, rotates tokens or moves the clock.
"""

from __future__ import annotations

import json
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
import pytest
from quickbooks_simulator.server import CompanySpec, RunningSimulator, running_simulator
from quickbooks_simulator.settings import Settings as Switches
from tap_quickbooks_raw.auth import Authenticator
from tap_quickbooks_raw.client import QuickBooksClient
from tap_quickbooks_raw.limiter import Limiter
from tap_quickbooks_raw.policy import RetryPolicy
from tap_quickbooks_raw.token_endpoint import Credentials
from tap_quickbooks_raw.token_files import FileTokenStore
from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

REALM = "4620816365000001"


class Impatient(RetryPolicy):
    """The retry policy without its waits."""

    __slots__ = ()

    @override
    def wait(self, attempt: int) -> float:
        return 0.0


class FakeTime:
    """A clock that moves only when somebody sleeps."""

    def __init__(self) -> None:
        self.moment = 1_000.0
        self.naps: list[float] = []

    def now(self) -> float:
        """The time."""
        return self.moment

    def sleep(self, seconds: float) -> None:
        """Let time pass; a float's last digit must not hold it up."""
        self.naps.append(seconds)
        self.moment += max(seconds, 1e-6)


class Connect(Protocol):
    """Builds a client of a simulator; see the fixture `connect`."""

    def __call__(
        self, simulator: RunningSimulator, realm: str = REALM, **options: object
    ) -> QuickBooksClient: ...


@pytest.fixture(scope="session")
def _server() -> Iterator[RunningSimulator]:
    companies = [CompanySpec(realm_id=REALM, rows=300, seed=1, country="ALL")]
    with running_simulator(companies) as running:
        yield running


@pytest.fixture
def simulator(_server: RunningSimulator) -> Iterator[RunningSimulator]:
    """The session's simulator: a company of every entity, some 300 rows."""
    _server.clear_requests()
    yield _server
    _server.clear_rules()
    _server.configure(**msgspec.to_builtins(Switches()))


@pytest.fixture
def own_simulator() -> Iterator[Callable[..., RunningSimulator]]:
    """Start a simulator for this test alone: `own_simulator(counts={"Invoice": 60}, ...)`."""
    with ExitStack() as stack:

        def start(
            *, rows: int = 0, counts: dict[str, int] | None = None, **switches: object
        ) -> RunningSimulator:
            company = CompanySpec(realm_id=REALM, rows=rows, counts=counts or {}, country="ALL")
            return stack.enter_context(running_simulator([company], **switches))

        yield start


@pytest.fixture
def fake_time() -> FakeTime:
    """A clock for a Limiter: `Limiter(..., now=fake_time.now, sleep=fake_time.sleep)`."""
    return FakeTime()


@pytest.fixture
def connect(tmp_path: Path) -> Iterator[Connect]:
    """Build a client: no waits between attempts, no ceilings, tokens in `tmp_path`.

    `attempts` is the policy's; every other option goes to QuickBooksClient.
    """
    with ExitStack() as stack:

        def build(
            simulator: RunningSimulator, realm: str = REALM, **options: object
        ) -> QuickBooksClient:
            time = FakeTime()
            keys = Credentials(
                simulator.client_id, simulator.client_secret, realm, simulator.refresh_token
            )
            store = FileTokenStore(tmp_path / "tokens" / "quickbooks.json")
            client = QuickBooksClient(
                simulator.url,
                realm,
                **{
                    "auth": Authenticator(keys, simulator.token_url, store=store),
                    "limiter": Limiter(concurrency=16, now=time.now, sleep=time.sleep),
                    "policy": Impatient(options.pop("attempts", 3)),
                    **options,
                },
            )
            stack.callback(client.close)
            return client

        yield build


@pytest.fixture
def config(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Return the tap's settings for a simulator; keywords add to them."""

    def build(simulator: RunningSimulator, **settings: object) -> dict[str, Any]:
        return {
            "client_id": simulator.client_id,
            "client_secret": simulator.client_secret,
            "realm_id": simulator.realm_ids[0],
            "refresh_token": simulator.refresh_token,
            "token_store": (tmp_path / "tokens.json").as_uri(),
            "api_url": simulator.url,
            "token_url": simulator.token_url,
            **settings,
        }

    return build


@pytest.fixture
def config_file(tmp_path: Path, config: Callable[..., dict[str, Any]]) -> Callable[..., Path]:
    """Write the tap's settings for a simulator to a file; keywords add to them."""

    def write(simulator: RunningSimulator, **settings: object) -> Path:
        path = tmp_path / "config.json"
        path.write_text(json.dumps(config(simulator, **settings)))
        return path

    return write
