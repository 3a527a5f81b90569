"""Switches and request limits."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
import requests

if TYPE_CHECKING:
    from conftest import Client
    from quickbooks_simulator.server import RunningSimulator

TERMS = "select * from Term"


def statuses(client: Client, number: int) -> list[int]:
    return [client.query(TERMS).status_code for _ in range(number)]


class TestSwitches:
    def test_a_poison_row_fails_every_page_that_holds_it(
        self, simulator: RunningSimulator, client: Client
    ) -> None:
        ids = client.ids("select * from Bill orderby Id maxresults 5")
        simulator.configure(poison=[{"entity": "Bill", "id": ids[2]}])
        page = "select * from Bill orderby Id startposition {} maxresults {}"
        assert client.fault(page.format(1, 3))[1] == "10000"
        assert client.ids(page.format(1, 2)) == ids[:2]
        assert client.ids(page.format(4, 2)) == ids[3:]
        assert client.get(f"bill/{ids[2]}").status_code == 400

    def test_large_pages_can_time_out(self, simulator: RunningSimulator, client: Client) -> None:
        simulator.configure(oversize_rows=50)
        assert client.query("select * from Invoice maxresults 51").status_code == 504
        assert client.query("select * from Invoice maxresults 50").status_code == 200

    def test_edits_can_become_visible_later_than_stamped(
        self, simulator: RunningSimulator, client: Client
    ) -> None:
        simulator.configure(visibility_delay_seconds=30)
        chosen = client.ids("select * from Invoice maxresults 1")[0]
        count = client.answer("select count(*) from Invoice")["totalCount"]
        simulator.edit(
            client.realm_id,
            [
                {"op": "update", "entity": "Invoice", "id": chosen, "fields": {"PrivateNote": "!"}},
                {"op": "create", "entity": "Invoice", "random": 2},
                {"op": "delete", "entity": "Bill", "random": 1},
            ],
        )
        stamped = simulator.now()
        query = f"select * from Invoice where Id = '{chosen}'"
        assert client.rows(query)[0].get("PrivateNote") != "!"
        assert client.answer("select count(*) from Invoice")["totalCount"] == count
        assert client.get(f"invoice/{chosen}").json()["Invoice"]["PrivateNote"] == "!"
        simulator.advance(31)
        assert client.rows(query)[0]["PrivateNote"] == "!"
        assert client.answer("select count(*) from Invoice")["totalCount"] == count + 2
        newest = client.rows("select * from Invoice orderby MetaData.LastUpdatedTime desc")[0]
        assert newest["MetaData"]["LastUpdatedTime"][:4] == "2026"
        assert simulator.now() - stamped >= 31

    def test_shuffled_ties_still_page_by_second(
        self, simulator: RunningSimulator, client: Client
    ) -> None:
        edit = {"op": "touch", "entity": "Invoice", "random": 60, "at": "2026-07-04T00:00:00Z"}
        simulator.edit(client.realm_id, [edit])
        query = (
            "select * from Invoice where MetaData.LastUpdatedTime >= '2026-07-01'"
            " orderby MetaData.LastUpdatedTime maxresults 1000"
        )
        plain = client.ids(query)
        assert plain == client.ids(query)
        simulator.configure(shuffle_ties=True)
        shuffled = client.ids(query)
        assert shuffled != plain
        assert sorted(shuffled) == sorted(plain)

    @pytest.mark.parametrize(
        ("switches", "statement", "code"),
        [
            ({"entities_off": ["Term"]}, TERMS, "5030"),
            ({"entities_off": ["4620816365000001/Term"]}, TERMS, "5030"),
            ({"suspended_realms": ["4620816365000001"]}, TERMS, "6190"),
            ({"no_count": ["Term"]}, "select count(*) from Term", "4002"),
            (
                {"no_time_filter": ["Term"]},
                "select * from Term orderby MetaData.LastUpdatedTime",
                "4001",
            ),
        ],
    )
    def test_things_can_be_refused(
        self,
        simulator: RunningSimulator,
        client: Client,
        switches: dict[str, Any],
        statement: str,
        code: str,
    ) -> None:
        assert client.query(statement).status_code == 200
        simulator.configure(**switches)
        assert client.fault(statement)[1] == code

    def test_a_connection_can_be_revoked_by_the_user(
        self, simulator: RunningSimulator, client: Client
    ) -> None:
        simulator.configure(revoked_realms=[client.realm_id])
        assert client.query(TERMS).status_code == 401
        assert client.refresh(simulator.refresh_token).json() == {"error": "invalid_grant"}

    def test_batches_can_be_refused(self, simulator: RunningSimulator, client: Client) -> None:
        simulator.configure(refuse_batch=True)
        items = [{"bId": "1", "Query": TERMS}]
        assert client.post("batch", {"BatchItemRequest": items}).status_code == 400

    def test_answers_can_be_compressed(self, simulator: RunningSimulator, client: Client) -> None:
        simulator.configure(gzip=True)
        response = client.query("select * from Invoice")
        assert response.headers["Content-Encoding"] == "gzip"
        assert response.json()["QueryResponse"]["maxResults"] == 100


class TestLimits:
    def test_a_minute_has_500_requests(self, simulator: RunningSimulator, client: Client) -> None:
        simulator.configure(requests_per_minute=5)
        assert statuses(client, 6) == [200] * 5 + [429]
        simulator.advance(61)
        assert statuses(client, 1) == [200]

    def test_a_second_has_ten(self, simulator: RunningSimulator, client: Client) -> None:
        simulator.configure(requests_per_second=2, retry_after=3)
        client.query(TERMS)
        client.query(TERMS)
        response = client.query(TERMS)
        assert response.status_code == 429
        assert response.headers["Retry-After"] == "3"

    def test_batches_have_a_limit_of_their_own(
        self, simulator: RunningSimulator, client: Client
    ) -> None:
        simulator.configure(batches_per_minute=1)
        body = {"BatchItemRequest": [{"bId": "1", "Query": TERMS}]}
        assert client.post("batch", body).status_code == 200
        assert client.post("batch", body).status_code == 429
        assert statuses(client, 1) == [200]

    def test_only_so_many_run_at_once(self, simulator: RunningSimulator, client: Client) -> None:
        simulator.configure(concurrent_requests=3, latency_ms=150)
        found: list[int] = []
        headers = dict(client.session.headers)

        def ask() -> None:
            address = f"{client.base}/preferences"
            found.append(requests.get(address, headers=headers, timeout=10).status_code)

        threads = [threading.Thread(target=ask) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(found) == [200, 200, 200, 429, 429]
        assert max(entry.in_flight for entry in simulator.requests()) == 4
