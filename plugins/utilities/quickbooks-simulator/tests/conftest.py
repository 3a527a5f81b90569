"""A running simulator and a small client of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import requests
from quickbooks_simulator.server import CompanySpec, RunningSimulator, running_simulator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

REALM = "4620816365000001"
US_REALM = "4620816365000002"


class Client:
    """Talks to one company as a program would."""

    def __init__(self, simulator: RunningSimulator, realm_id: str = REALM) -> None:
        self.simulator, self.realm_id = simulator, realm_id
        self.session = requests.Session()
        self.base = f"{simulator.url}/v3/company/{realm_id}"
        self.tokens = self.refresh(simulator.refresh_token).json()
        self.session.headers["Authorization"] = f"Bearer {self.tokens['access_token']}"
        self.session.headers["Accept"] = "application/json"

    def refresh(self, refresh_token: str) -> requests.Response:
        return requests.post(
            self.simulator.token_url,
            data={"grant_type": "refresh_token", "refresh_token": refresh_token},
            auth=(self.simulator.client_id, self.simulator.client_secret),
            timeout=10,
        )

    def get(self, path: str, **params: str) -> requests.Response:
        return self.session.get(f"{self.base}/{path}", params=params, timeout=10)

    def post(self, path: str, body: object, **params: str) -> requests.Response:
        return self.session.post(f"{self.base}/{path}", json=body, params=params, timeout=10)

    def query(self, statement: str) -> requests.Response:
        return self.get("query", query=statement, minorversion="75")

    def answer(self, statement: str) -> dict[str, Any]:
        response = self.query(statement)
        assert response.status_code == 200, response.text
        content: dict[str, Any] = response.json()["QueryResponse"]
        return content

    def rows(self, statement: str) -> list[dict[str, Any]]:
        answer = self.answer(statement)
        return next((value for value in answer.values() if isinstance(value, list)), [])

    def ids(self, statement: str) -> list[str]:
        return [row["Id"] for row in self.rows(statement)]

    def fault(self, statement: str) -> tuple[int, str, str]:
        response = self.query(statement)
        error = response.json()["Fault"]["Error"][0]
        return response.status_code, error["code"], error["Detail"]

    def ago(self, *, days: float) -> str:
        moment = datetime.fromtimestamp(self.simulator.now(), UTC) - timedelta(days=days)
        return moment.isoformat()

    def changes(self, entities: str, since: str = "") -> list[dict[str, Any]]:
        """Return the groups of a CDC answer, by default of the last hour."""
        response = self.get("cdc", entities=entities, changedSince=since or self.ago(days=1 / 24))
        assert response.status_code == 200, response.text
        found: list[dict[str, Any]] = response.json()["CDCResponse"][0]["QueryResponse"]
        return found

    def edit(self, *edits: dict[str, Any]) -> list[list[str]]:
        return self.simulator.edit(self.realm_id, edits)

    def close(self) -> None:
        self.session.close()


@pytest.fixture(scope="session")
def shared() -> Iterator[RunningSimulator]:
    """Run one simulator for all tests that only read."""
    companies = [
        CompanySpec(realm_id=REALM, rows=10_000, country="ALL"),
        CompanySpec(realm_id=US_REALM, rows=300, seed=2),
    ]
    with running_simulator(companies) as simulator:
        yield simulator


@pytest.fixture(scope="session")
def reader(shared: RunningSimulator) -> Iterator[Client]:
    """Return a client of the company that has every entity; no test may change its data."""
    client = Client(shared)
    yield client
    client.close()


@pytest.fixture(scope="session")
def american(shared: RunningSimulator) -> Iterator[Client]:
    """Return a client of a company in the United States; no test may change its data."""
    client = Client(shared, US_REALM)
    yield client
    client.close()


@pytest.fixture
def simulator() -> Iterator[RunningSimulator]:
    """Run a small simulator that the test may change."""
    with running_simulator([CompanySpec(realm_id=REALM, rows=600, country="ALL")]) as running:
        yield running


@pytest.fixture
def client(simulator: RunningSimulator) -> Iterator[Client]:
    """Return a client of the company that the test may change."""
    made = Client(simulator)
    yield made
    made.close()


@pytest.fixture
def connect() -> Iterator[Callable[..., Client]]:
    """Return a maker of clients for simulators that a test starts itself."""
    clients: list[Client] = []

    def make(simulator: RunningSimulator, realm_id: str = REALM) -> Client:
        clients.append(Client(simulator, realm_id))
        return clients[-1]

    yield make
    for each in clients:
        each.close()
