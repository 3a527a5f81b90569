"""Every doubt about batches, played."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from conftest import Client
    from quickbooks_simulator.server import RunningSimulator


def code(content: dict[str, Any]) -> str:
    found: str = content["Fault"]["Error"][0]["code"]
    return found


class TestBatch:
    def ask(self, client: Client, *statements: str) -> list[dict[str, Any]]:
        items = [{"bId": str(n), "Query": each} for n, each in enumerate(statements)]
        response = client.post("batch", {"BatchItemRequest": items})
        assert response.status_code == 200, response.text
        found: list[dict[str, Any]] = response.json()["BatchItemResponse"]
        return found

    def test_the_queries_of_an_entity_can_fail(
        self, simulator: RunningSimulator, client: Client
    ) -> None:
        simulator.configure(batch_faults=["Bill"])
        first, second, third = self.ask(
            client, "select * from Term", "select count(*) from Bill", "select * from Transfer"
        )
        assert (second["bId"], set(second), code(second)) == ("1", {"bId", "Fault"}, "10000")
        assert first["QueryResponse"]["Term"]
        assert third["QueryResponse"]["Transfer"]
        assert client.query("select * from Bill").status_code == 200

    def test_an_answer_can_hold_so_many_objects_and_no_more(
        self, simulator: RunningSimulator, client: Client
    ) -> None:
        pages = [f"select * from {name} maxresults 20" for name in ("Invoice", "Bill", "Payment")]
        counting = "select count(*) from Bill"
        whole = self.ask(client, *pages)
        simulator.configure(batch_objects=30)
        first, second, third, count = self.ask(client, *pages, counting)
        assert first == whole[0]
        assert second["QueryResponse"]["Bill"] == whole[1]["QueryResponse"]["Bill"][:10]
        assert second["QueryResponse"]["maxResults"] == 10
        assert third["QueryResponse"] == {}
        assert count["QueryResponse"]["totalCount"] > 0
        assert len(client.rows(pages[2])) == 20

    def test_items_can_come_in_another_order(
        self, simulator: RunningSimulator, client: Client
    ) -> None:
        statements = ["select * from Term", "select * from Bill", "select * from Transfer"]
        plain = self.ask(client, *statements)
        simulator.configure(batch_shuffled=True)
        shuffled = self.ask(client, *statements)
        assert shuffled != plain
        assert sorted(shuffled, key=lambda item: item["bId"]) == plain
        assert [item["bId"] for item in self.ask(client, *statements[:2])] == ["1", "0"]
        assert [item["bId"] for item in self.ask(client, *statements[:1])] == ["0"]
