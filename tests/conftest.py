"""What tests share: simulators, clients without waits, configs.

`simulator` is one server for the whole session: read from it, script it with rules and
switches (both are undone after each test), but edit no rows. `own_simulator` starts one for
a test that edits rows, rotates tokens or moves the clock.

No test may write a secret: see `pytest_runtest_makereport`.
"""

from __future__ import annotations

import base64
import json
import re
import subprocess
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
import psycopg
import pytest
from local_postgres.server import LocalPostgres
from quickbooks_simulator.server import CompanySpec, RunningSimulator, running_simulator
from quickbooks_simulator.settings import Settings as Switches
from tap_quickbooks_raw import auth
from tap_quickbooks_raw.auth import Authenticator
from tap_quickbooks_raw.client import QuickBooksClient
from tap_quickbooks_raw.limiter import Limiter
from tap_quickbooks_raw.policy import RetryPolicy
from tap_quickbooks_raw.token_endpoint import Credentials
from tap_quickbooks_raw.token_files import FileTokenStore
from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from pathlib import Path

    from local_postgres.server import Connection
    from tap_quickbooks_raw.tokens import TokenStore

REALM = "4620816365000001"
FIRST = "simulator-refresh-token"
BASIC = base64.b64encode(b"simulator-client:simulator-secret").decode()
# The simulator's refresh tokens, access tokens and codes, its first token and its app's key.
SECRET = re.compile(
    rf"RT1-[0-9a-f]{{40}}|eyJhbGciOiJkaXIi|AB11[\w-]{{43}}|{FIRST}|simulator-secret|{BASIC}"
)
# What the running test has heard from subprocesses and from captured output that it has read.
heard: list[str | bytes] = []


def pytest_configure(config: pytest.Config) -> None:
    """Capture logs of every level, so that none of them goes unread."""
    config.option.log_level = config.option.log_level or "DEBUG"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,  # noqa: ARG001  The hook's own.
    call: pytest.CallInfo[None],
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail a test that has written a secret of the simulator.

    Looked through are stdout, stderr and the log (of every level) of this process, and what
    subprocesses wrote, as far as the test waited for it with `run` or `communicate`.
    """
    report = yield
    if call.when == "teardown":
        texts = [*report.sections, *(("Output that the test has read", text) for text in heard)]
        heard.clear()
        for title, text in texts:
            found = SECRET.search(text if isinstance(text, str) else text.decode(errors="replace"))
            if found and report.passed:
                report.outcome = "failed"
                report.longrepr = f"{title}: a secret at character {found.start()}: {found[0][:8]}"
    return report


@pytest.fixture(autouse=True)
def nothing_is_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for no refresh of another process: where one is lost in a test, it is dead."""
    monkeypatch.setattr(auth, "UNDER_WAY_SECONDS", 0.0)


@pytest.fixture(scope="session", autouse=True)
def _listen() -> Iterator[None]:
    """Hear what tests read, for it is not captured for their report."""
    communicate, readouterr = subprocess.Popen.communicate, pytest.CaptureFixture.readouterr

    def heard_communicate(self: Any, *args: Any, **options: Any) -> Any:
        outputs = communicate(self, *args, **options)
        heard.extend(filter(None, outputs))
        return outputs

    def heard_readouterr(self: Any) -> Any:
        outputs = readouterr(self)
        heard.extend(filter(None, outputs))
        return outputs

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subprocess.Popen, "communicate", heard_communicate)
        patch.setattr(pytest.CaptureFixture, "readouterr", heard_readouterr)
        yield


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


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    """A PostgreSQL for the whole session."""
    with LocalPostgres(tmp_path_factory.mktemp("token-tables") / "data") as connection:
        yield connection


@pytest.fixture
def token_tables(postgres: Connection) -> str:
    """The address of a PostgreSQL without any tokens."""
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute("SET client_min_messages = warning")
        connection.execute("DROP SCHEMA IF EXISTS quickbooks_tokens CASCADE")
    return postgres.url


@pytest.fixture(params=["file", "postgresql"])
def store_address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of each kind of store, empty."""
    if request.param == "postgresql":
        return str(request.getfixturevalue("token_tables"))
    return (tmp_path / "tokens" / "quickbooks.json").as_uri()


@pytest.fixture
def store(tmp_path: Path) -> TokenStore:
    """The token store of `authenticate`; a module may have another."""
    return FileTokenStore(tmp_path / "tokens" / "quickbooks.json")


@pytest.fixture
def authenticate(store: TokenStore) -> Callable[..., Authenticator]:
    """Build an authenticator, as each process has its own."""

    def build(
        simulator: RunningSimulator,
        refresh_token: str = FIRST,
        **options: Any,
    ) -> Authenticator:
        keys = Credentials(simulator.client_id, simulator.client_secret, REALM, refresh_token)
        return Authenticator(
            keys,
            options.pop("token_url", simulator.token_url),
            **{"store": store, "now": simulator.now, **options},
        )

    return build


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
