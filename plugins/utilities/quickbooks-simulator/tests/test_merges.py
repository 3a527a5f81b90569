"""Merges of names, and their purge."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Client
    from quickbooks_simulator.server import RunningSimulator

NOON = "2026-07-04T12:00:00-07:00"


def ids(group: dict[str, Any], entity: str) -> list[str]:
    return [row["Id"] for row in group.get(entity, [])]


def row(simulator: RunningSimulator, entity: str, id: str) -> dict[str, Any]:
    rows = map(json.loads, simulator.rows(simulator.realm_ids[0], entity))
    return next(each for each in rows if each["Id"] == id)


class TestMerge:
    @pytest.mark.parametrize(
        ("entity", "documents", "reference"),
        [
            ("Customer", ["Invoice", "Payment", "SalesReceipt"], "CustomerRef"),
            ("Vendor", ["Bill", "BillPayment", "VendorCredit"], "VendorRef"),
            ("Vendor", ["Purchase"], "EntityRef"),
        ],
        ids=["customer", "vendor", "payee"],
    )
    def test_the_loser_goes_and_its_documents_name_the_winner(
        self,
        simulator: RunningSimulator,
        client: Client,
        entity: str,
        documents: list[str],
        reference: str,
    ) -> None:
        page = "select * from {} maxresults 1000"
        before = {name: client.rows(page.format(name)) for name in documents}
        named = dict.fromkeys(each[reference]["value"] for each in before[documents[0]])
        loser, winner = list(named)[:2]
        edits = {"op": "merge", "entity": entity, "id": loser, "into": winner, "at": NOON}
        simulator.configure(cdc_days=36500)
        assert client.edit(edits) == [[loser, winner]]
        kept = row(simulator, entity, winner)
        assert loser not in client.ids(page.format(entity))
        (names,) = client.changes(entity, NOON)
        *_, stub = names[entity]
        assert (stub["Id"], stub["status"]) == (loser, "Deleted")
        for name in documents:
            old = {each["Id"]: each for each in before[name]}
            moved = []
            for each in client.rows(page.format(name)):
                assert each[reference]["value"] != loser
                if old[each["Id"]][reference]["value"] == loser:
                    assert each[reference]["value"] == winner
                    assert each[reference]["name"] == kept["DisplayName"]
                    assert each["MetaData"]["LastUpdatedTime"] == NOON
                    assert each["SyncToken"] == old[each["Id"]]["SyncToken"]
                    moved.append(each["Id"])
            (changes,) = client.changes(name, NOON)
            assert set(moved) <= set(ids(changes, name))

    def test_balances_jobs_and_every_kind_of_reference_go_to_the_winner(
        self, simulator: RunningSimulator, client: Client
    ) -> None:
        everyone = client.rows("select * from Customer maxresults 1000")
        child = next(each for each in everyone if "ParentRef" in each)
        loser = next(each for each in everyone if each["Id"] == child["ParentRef"]["value"])
        winner = next(each for each in everyone if each["Id"] not in (child["Id"], loser["Id"]))
        named = {"Type": "Customer", "EntityRef": {"value": loser["Id"]}}
        line = {"JournalEntryLineDetail": {"Entity": named}}
        (entry,), _ = client.edit(
            {"op": "create", "entity": "JournalEntry", "fields": {"Line": [line]}},
            {"op": "merge", "entity": "Customer", "id": loser["Id"], "into": winner["Id"]},
        )
        kept = row(simulator, "Customer", winner["Id"])
        assert kept["Balance"] == pytest.approx(winner["Balance"] + loser["Balance"])
        assert kept["SyncToken"] == winner["SyncToken"]
        assert row(simulator, "Customer", child["Id"])["ParentRef"]["value"] == winner["Id"]
        detail = row(simulator, "JournalEntry", entry)["Line"][0]["JournalEntryLineDetail"]
        assert detail["Entity"]["EntityRef"]["value"] == winner["Id"]

    def test_a_job_that_takes_its_parent_over_stands_for_itself(
        self, simulator: RunningSimulator, client: Client
    ) -> None:
        everyone = client.rows("select * from Customer maxresults 1000")
        child = next(each for each in everyone if "ParentRef" in each)
        parent = child["ParentRef"]["value"]
        edits = {"op": "merge", "entity": "Customer", "id": parent, "into": child["Id"]}
        client.edit(edits)
        kept = row(simulator, "Customer", child["Id"])
        assert ("ParentRef" in kept, kept["Job"]) == (False, False)

    def test_losers_and_winner_may_be_random(
        self, simulator: RunningSimulator, client: Client
    ) -> None:
        realm, before = client.realm_id, simulator.counts(client.realm_id)["Vendor"]
        ((*losers, winner),) = client.edit({"op": "merge", "entity": "Vendor", "random": 3})
        assert (len(losers), winner in losers) == (3, False)
        assert simulator.counts(realm)["Vendor"] == before - 3
        (everyone,) = client.edit({"op": "merge", "entity": "Vendor", "random": 10_000})
        assert len(everyone) == before - 3
        assert simulator.counts(realm)["Vendor"] == 1
        (nobody,) = client.edit({"op": "merge", "entity": "Vendor", "random": 1})
        assert nobody == [everyone[-1]]
        assert simulator.counts(realm)["Vendor"] == 1

    def test_a_merge_is_seen_late_as_a_whole(
        self, simulator: RunningSimulator, client: Client
    ) -> None:
        names = "Customer,Invoice,Payment"
        simulator.configure(visibility_delay_seconds=30)
        client.edit({"op": "merge", "entity": "Customer", "random": 2})
        assert client.changes(names) == [{}, {}, {}]
        simulator.advance(31)
        assert client.changes(names)[0]["maxResults"] >= 3

    @pytest.mark.parametrize(
        ("wrong", "message"),
        [
            ({"entity": "Item", "random": 1}, "Item does not merge"),
            ({"entity": "Customer", "id": "2", "into": "2"}, "into itself"),
            ({"entity": "Customer", "id": "2", "into": "nobody"}, "there is no Customer nobody"),
            ({"entity": "Customer", "id": "nobody"}, "there is no Customer nobody"),
            ({"entity": "Customer", "op": "touch", "into": "2"}, "only merge"),
        ],
    )
    def test_a_merge_that_makes_no_sense_is_refused_and_changes_nothing(
        self,
        simulator: RunningSimulator,
        client: Client,
        wrong: dict[str, Any],
        message: str,
    ) -> None:
        before = simulator.rows(simulator.realm_ids[0], "Customer")
        with pytest.raises(ValueError, match=message):
            client.edit({"op": "merge"} | wrong)
        assert simulator.rows(simulator.realm_ids[0], "Customer") == before

    def test_a_purged_customer_is_a_stub(self, client: Client) -> None:
        ((gone,),) = client.edit({"op": "delete", "entity": "Customer", "random": 1})
        (customers,) = client.changes("Customer")
        (stub,) = customers["Customer"]
        assert (stub["Id"], stub["status"]) == (gone, "Deleted")
