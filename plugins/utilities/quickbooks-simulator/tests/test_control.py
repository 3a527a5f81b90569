"""The endpoints under /_simulator/."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import requests
from quickbooks_simulator.server import CompanySpec, running_simulator

if TYPE_CHECKING:
    from conftest import Client
    from quickbooks_simulator.server import RunningSimulator


def ask(simulator: RunningSimulator, method: str, path: str, body: object = None) -> Any:
    response = requests.request(method, f"{simulator.url}/_simulator/{path}", json=body, timeout=10)
    if "ndjson" in response.headers["Content-Type"]:
        return response.content
    return response.json()


def test_health_names_the_companies(shared: RunningSimulator) -> None:
    assert ask(shared, "GET", "health") == {"status": "ok", "realm_ids": shared.realm_ids}


def test_the_log_tells_every_request_and_no_token(
    simulator: RunningSimulator, client: Client
) -> None:
    client.query("select * from Term")
    client.get("companyinfo/1")
    text = json.dumps(log := ask(simulator, "GET", "requests"))
    assert [entry["operation"] for entry in log] == ["token", "query", "companyinfo"]
    query = log[1]
    assert (query["statement"], query["entity"], query["realm"]) == (
        "select * from Term",
        "Term",
        client.realm_id,
    )
    assert (query["status"], query["rows"] > 0, query["in_flight"]) == (200, True, 0)
    assert client.tokens["access_token"] not in text
    assert simulator.refresh_token not in text
    assert ask(simulator, "DELETE", "requests") == {"cleared": True}
    assert ask(simulator, "GET", "requests") == []


def test_rows_are_given_byte_for_byte(shared: RunningSimulator, reader: Client) -> None:
    lines = ask(shared, "GET", f"companies/{reader.realm_id}/rows/Customer").splitlines()
    assert lines == shared.rows(reader.realm_id, "Customer")
    counts = ask(shared, "GET", f"companies/{reader.realm_id}/counts")
    assert counts == shared.counts(reader.realm_id)
    assert counts["Customer"] == len(lines)
    assert len(counts) == 41


def test_edits_are_applied(simulator: RunningSimulator, client: Client) -> None:
    path = f"companies/{client.realm_id}/edits"
    edits = [
        {"op": "create", "entity": "Customer", "random": 2, "fields": {"Notes": "ü"}},
        {"op": "touch", "entity": "Invoice", "random": 300, "at": "2026-07-04T12:00:00-07:00"},
        {"op": "void", "entity": "Bill", "random": 1},
    ]
    made, touched, voided = ask(simulator, "POST", path, edits)["ids"]
    rows = client.rows(f"select * from Customer where Id in ('{made[0]}', '{made[1]}')")
    assert {row["Notes"] for row in rows} == {"ü"}
    assert len({row["DisplayName"] for row in rows}) == 2
    ties = client.rows(
        "select * from Invoice where MetaData.LastUpdatedTime = '2026-07-04T19:00:00Z'"
        " maxresults 1000"
    )
    assert {row["Id"] for row in ties} == set(touched)
    bill = client.get(f"bill/{voided[0]}").json()["Bill"]
    assert (bill["TotalAmt"], bill["PrivateNote"]) == (0, "Voided")


def test_what_is_deleted_but_still_shown_is_not_edited_again(
    simulator: RunningSimulator,
) -> None:
    simulator.configure(visibility_delay_seconds=30)
    everything = {"entity": "Bill", "random": 10_000}
    deleted, again = simulator.edit(
        simulator.realm_ids[0], [{"op": "delete", **everything}, {"op": "update", **everything}]
    )
    assert len(deleted) == simulator.counts(simulator.realm_ids[0])["Bill"]
    assert again == []


def test_a_template_can_be_made_where_there_was_none() -> None:
    spec = CompanySpec(realm_id="1", rows=0, counts={"RecurringTransaction": 0})
    with running_simulator([spec]) as simulator:
        ((made,),) = simulator.edit("1", [{"op": "create", "entity": "RecurringTransaction"}])
        (row,) = map(json.loads, simulator.rows("1", "RecurringTransaction"))
        assert row["Invoice"]["Id"] == made


def test_switches_are_read_and_changed(simulator: RunningSimulator) -> None:
    assert ask(simulator, "GET", "settings")["shuffle_ties"] is False
    assert ask(simulator, "PATCH", "settings", {"shuffle_ties": True})["shuffle_ties"] is True
    assert ask(simulator, "GET", "settings")["shuffle_ties"] is True


@pytest.mark.parametrize(
    ("method", "path", "body", "message"),
    [
        ("PATCH", "settings", {"speed": 9}, "unknown field `speed`"),
        ("PATCH", "settings", {"rotation": "never"}, "Invalid enum value 'never'"),
        ("PATCH", "settings", [], "a JSON object is expected"),
        ("POST", "rules", [{"what": 1}], "unknown field `what`"),
        ("POST", "clock", {"seconds": 1}, "advance_seconds"),
        ("POST", "companies/4620816365000001/edits", [{"op": "x"}], "Edits: "),
        ("POST", "companies/1/edits", [], "There is no company 1."),
        (
            "POST",
            "companies/4620816365000001/edits",
            [{"op": "delete", "entity": "Nothing", "random": 1}],
            "unknown entity 'Nothing'",
        ),
    ],
)
def test_nonsense_is_refused_in_words(
    shared: RunningSimulator, method: str, path: str, body: object, message: str
) -> None:
    assert message in ask(shared, method, path, body)["error"]


def test_rules_come_by_http(simulator: RunningSimulator, client: Client) -> None:
    rules = [{"do": {"status": 503}, "times": None}]
    assert ask(simulator, "POST", "rules", rules) == {"added": 1}
    assert client.query("select * from Term").status_code == 503
    ask(simulator, "DELETE", "rules")
    assert client.query("select * from Term").status_code == 200


def test_the_clock_can_be_moved(simulator: RunningSimulator, client: Client) -> None:
    before = simulator.now()
    ask(simulator, "POST", "clock", {"advance_seconds": 86400})
    assert simulator.now() - before >= 86400
    assert client.get("preferences").status_code == 401


def test_the_meter_counts_by_company(simulator: RunningSimulator, client: Client) -> None:
    client.query("select * from Term")
    meter = {"reads": 1, "batch_items": 0, "writes": 0}
    assert ask(simulator, "GET", "meter") == {client.realm_id: meter}
