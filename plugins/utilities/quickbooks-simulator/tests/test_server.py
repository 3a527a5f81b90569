"""The server as a whole: many connections, and a quick end."""

from __future__ import annotations

import threading
from time import monotonic
from typing import TYPE_CHECKING

import requests
from quickbooks_simulator.server import CompanySpec, running_simulator

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Client


def test_many_connections_are_served_together(reader: Client) -> None:
    headers = dict(reader.session.headers)
    found: list[int] = []

    def ask() -> None:
        with requests.Session() as session:
            session.headers.update(headers)
            for _ in range(5):
                response = session.get(
                    f"{reader.base}/query",
                    params={"query": "select * from Vendor maxresults 50"},
                    timeout=30,
                )
                found.append(len(response.json()["QueryResponse"]["Vendor"]))

    threads = [threading.Thread(target=ask) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [50] * 200


def test_it_ends_at_once_although_a_request_hangs(connect: Callable[..., Client]) -> None:
    ended: list[str] = []
    with running_simulator([CompanySpec(realm_id="1", rows=50)]) as simulator:
        client = connect(simulator, "1")
        simulator.add_rules([{"match": {"operation": "query"}, "do": {"hang": True}}])

        def ask() -> None:
            try:
                client.query("select * from Term")
            except requests.RequestException as error:
                ended.append(type(error).__name__)

        thread = threading.Thread(target=ask)
        thread.start()
        while not any(entry.operation == "query" for entry in simulator.requests()):
            pass
        begun = monotonic()
    assert monotonic() - begun < 1
    thread.join()
    assert len(ended) <= 1
