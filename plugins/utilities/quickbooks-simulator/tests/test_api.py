"""Reads by id, CDC, batches, and what all answers have in common."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import pytest
import requests
from quickbooks_simulator.entities import ENTITIES

if TYPE_CHECKING:
    from conftest import Client
    from quickbooks_simulator.server import RunningSimulator


def groups(client: Client, entities: str, since: str) -> list[dict[str, Any]]:
    response = client.get("cdc", entities=entities, changedSince=since)
    assert response.status_code == 200, response.text
    found: list[dict[str, Any]] = response.json()["CDCResponse"][0]["QueryResponse"]
    return found


def ago(simulator: RunningSimulator, **span: float) -> str:
    return (datetime.fromtimestamp(simulator.now(), UTC) - timedelta(**span)).isoformat()


def test_answers_carry_trace_id_date_and_pacific_time(reader: Client) -> None:
    response = reader.query("select * from Term")
    assert response.headers["intuit_tid"].startswith("1-")
    assert abs(parsedate_to_datetime(response.headers["Date"]) - datetime.now(UTC)) < timedelta(
        minutes=1
    )
    time = response.json()["time"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}-0[78]:00", time)
    assert response.headers["Content-Type"].startswith("application/json")


def test_every_object_is_read_by_its_id(reader: Client) -> None:
    for key, entity in ENTITIES.items():
        if not entity.queryable or key in ("ExchangeRate", "CompanyInfo", "Preferences"):
            continue
        row = reader.rows(f"select * from {entity.query_name} maxresults 1")[0]
        if key == "RecurringTransaction":
            wanted = next(iter(row.values()))["Id"]
            answer = reader.get(f"{entity.path}/{wanted}").json()["QueryResponse"]
            assert answer["RecurringTransaction"] == [row]
        else:
            assert reader.get(f"{entity.path}/{row['Id']}").json()[key] == row


def test_a_missing_object_is_fault_610(reader: Client) -> None:
    response = reader.get("invoice/999999")
    assert response.status_code == 400
    assert response.json()["Fault"]["Error"][0]["code"] == "610"
    assert response.json()["Fault"]["Error"][0]["element"] == ""


def test_company_and_preferences_have_addresses_of_their_own(reader: Client) -> None:
    assert reader.get(f"companyinfo/{reader.realm_id}").json()["CompanyInfo"]["Id"] == "1"
    assert reader.get("preferences").json()["Preferences"]["Id"] == "1"


def test_tax_classifications_are_read_in_four_ways(reader: Client) -> None:
    everything = reader.get("taxclassification").json()["QueryResponse"]["TaxClassification"]
    top = reader.get("taxclassification", level="1").json()["QueryResponse"]["TaxClassification"]
    assert {row["level"] for row in top} == {"1"}
    first = top[0]["id"]
    assert reader.get(f"taxclassification/{first}").json()["QueryResponse"] == {
        "TaxClassification": [top[0]]
    }
    below = reader.get(f"taxclassification/{first}/children").json()["QueryResponse"]
    assert {row["ParentRef"]["value"] for row in below["TaxClassification"]} == {first}
    assert len(everything) > len(top)


def test_the_rate_of_a_day_is_the_newest_up_to_it(reader: Client) -> None:
    answer = reader.get("exchangerate", sourcecurrencycode="EUR", asofdate="2015-01-15").json()
    assert answer["ExchangeRate"]["AsOfDate"] == "2015-01-12"
    assert reader.get("exchangerate").status_code == 400


def test_an_unknown_address_is_a_404_page(reader: Client) -> None:
    response = reader.get("nothing")
    assert response.status_code == 404
    assert "html" in response.headers["Content-Type"]


class TestChanges:
    def test_unchanged_entities_are_empty_groups(self, reader: Client) -> None:
        since = ago(reader.simulator, days=1)
        assert groups(reader, "Invoice,Customer", since) == [{}, {}]

    def test_deleted_objects_follow_the_living_ones(
        self, simulator: RunningSimulator, client: Client
    ) -> None:
        first, second, third = client.ids("select * from Invoice maxresults 3")
        simulator.edit(
            client.realm_id,
            [
                {"op": "delete", "entity": "Invoice", "id": first},
                {"op": "touch", "entity": "Invoice", "ids": [second, third]},
            ],
        )
        invoices, customers = groups(client, "Invoice,Customer", ago(simulator, hours=1))
        assert customers == {}
        assert [row["Id"] for row in invoices["Invoice"]] == [second, third, first]
        stub = invoices["Invoice"][-1]
        assert (stub["status"], stub["domain"], set(stub["MetaData"])) == (
            "Deleted",
            "QBO",
            {"LastUpdatedTime"},
        )
        assert "SyncToken" not in stub
        assert invoices["maxResults"] == 3

    def test_only_deletions_have_no_start_position(
        self, simulator: RunningSimulator, client: Client
    ) -> None:
        simulator.edit(client.realm_id, [{"op": "delete", "entity": "Bill", "random": 1}])
        (bills,) = groups(client, "Bill", ago(simulator, hours=1))
        assert "startPosition" not in bills

    def test_at_most_1000_objects_come_in_all(
        self, simulator: RunningSimulator, client: Client
    ) -> None:
        simulator.configure(cdc_objects=100)
        simulator.edit(
            client.realm_id,
            [
                {"op": "touch", "entity": "Invoice", "random": 90},
                {"op": "touch", "entity": "Purchase", "random": 50},
            ],
        )
        found = groups(client, "Invoice,Purchase,Bill", ago(simulator, hours=1))
        assert [group.get("maxResults") for group in found] == [90, 10, None]

    def test_more_than_30_days_back_is_refused(self, reader: Client) -> None:
        since = ago(reader.simulator, days=31)
        response = reader.get("cdc", entities="Invoice", changedSince=since)
        assert response.status_code == 400
        assert "which is older than fixed days is not supported." in response.text

    @pytest.mark.parametrize("name", ["JournalCode", "TaxAgency", "TimeActivity", "TaxCode"])
    def test_some_entities_are_not_followed(self, reader: Client, name: str) -> None:
        since = ago(reader.simulator, days=1)
        response = reader.get("cdc", entities=f"Invoice,{name}", changedSince=since)
        assert response.json()["Fault"]["Error"][0]["code"] == "500"

    def test_deactivated_names_are_whole_objects(
        self, simulator: RunningSimulator, client: Client
    ) -> None:
        chosen = client.ids("select * from Customer maxresults 1")[0]
        edit = {"op": "deactivate", "entity": "Customer", "id": chosen}
        simulator.edit(client.realm_id, [edit])
        (customers,) = groups(client, "Customer", ago(simulator, hours=1))
        assert customers["Customer"][0]["Active"] is False
        assert customers["Customer"][0]["DisplayName"].endswith(" (deleted)")


class TestBatch:
    def test_items_are_answered_each_by_itself(self, client: Client) -> None:
        response = client.post(
            "batch",
            {
                "BatchItemRequest": [
                    {"bId": "a", "Query": "select * from Term maxresults 2"},
                    {"bId": "b", "Query": "select count(*) from Invoice"},
                    {"bId": "c", "Query": "select * from Nothing"},
                    {"bId": "d", "operation": "create", "Customer": {"DisplayName": "Ωmega"}},
                    {"bId": "e", "operation": "create", "Customer": {"DisplayName": "ωmega"}},
                ]
            },
        )
        assert response.status_code == 200
        items = {item["bId"]: item for item in response.json()["BatchItemResponse"]}
        assert items["a"]["QueryResponse"]["maxResults"] == 2
        assert set(items["b"]["QueryResponse"]) == {"totalCount"}
        assert items["c"]["Fault"]["Error"][0]["code"] == "4001"
        assert items["d"]["Customer"]["SyncToken"] == "0"
        assert items["e"]["Fault"]["Error"][0]["code"] == "6240"

    def test_items_change_and_delete(self, client: Client) -> None:
        row = client.rows("select * from Transfer maxresults 1")[0]
        named = {"Id": row["Id"], "SyncToken": "0"}
        sparse = {**named, "sparse": True, "PrivateNote": "new"}
        response = client.post(
            "batch",
            {
                "BatchItemRequest": [
                    {"bId": "1", "operation": "update", "Transfer": sparse},
                    {"bId": "2", "operation": "delete", "Transfer": named},
                    {"bId": "3", "operation": "delete", "Transfer": {**named, "SyncToken": "1"}},
                ]
            },
        )
        first, second, third = response.json()["BatchItemResponse"]
        assert first["Transfer"]["PrivateNote"] == "new"
        assert second["Fault"]["Error"][0]["code"] == "5010"
        assert third["Transfer"]["status"] == "Deleted"

    def test_more_than_thirty_items_are_refused(self, reader: Client) -> None:
        items = [{"bId": str(n), "Query": "select * from Term"} for n in range(31)]
        response = reader.post("batch", {"BatchItemRequest": items})
        assert response.json()["Fault"]["Error"][0]["code"] == "1040"

    def test_an_empty_batch_is_refused(self, reader: Client) -> None:
        response = reader.post("batch", {"BatchItemRequest": []})
        assert response.json()["Fault"]["Error"][0]["Detail"] == "Batch Request is Empty"


class TestAuthentication:
    def test_a_garbled_token_is_malformed(self, reader: Client) -> None:
        response = requests.get(
            f"{reader.base}/preferences", headers={"Authorization": "Bearer x"}, timeout=10
        )
        assert response.status_code == 401
        error = response.json()["fault"]["error"][0]
        assert error["code"] == "3200"
        assert error["detail"] == "Malformed bearer token: too short or too long"
        assert response.json()["fault"]["type"] == "AUTHENTICATION"
        assert isinstance(response.json()["time"], int)

    def test_no_token_is_an_xml_refusal(self, reader: Client) -> None:
        response = requests.get(f"{reader.base}/preferences", timeout=10)
        assert response.status_code == 401
        assert '<Error code="100">' in response.text

    def test_a_token_expires_after_an_hour(
        self, simulator: RunningSimulator, client: Client
    ) -> None:
        simulator.advance(3599)
        assert client.get("preferences").status_code == 200
        simulator.advance(2)
        response = client.get("preferences")
        assert response.status_code == 401
        assert response.json()["fault"]["error"][0]["detail"].startswith("Token expired: ")
