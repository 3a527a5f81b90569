"""Scripted trouble and edits between requests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import requests
from quickbooks_simulator.troubles import NAMED

if TYPE_CHECKING:
    from conftest import Client
    from quickbooks_simulator.server import RunningSimulator

TERMS = "select * from Term"


def statuses(client: Client, number: int) -> list[int]:
    return [client.query(TERMS).status_code for _ in range(number)]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        pytest.param({}, [503, 200, 200, 200], id="once"),
        pytest.param({"times": 2}, [503, 503, 200, 200], id="twice"),
        pytest.param({"times": None}, [503, 503, 503, 503], id="for ever"),
        pytest.param({"match": {"nth": 2}}, [200, 503, 200, 200], id="second"),
        pytest.param({"match": {"from": 2, "to": 3}}, [200, 503, 503, 200], id="range"),
        pytest.param({"match": {"from": 3}}, [200, 200, 503, 503], id="from"),
        pytest.param({"match": {"realm": "1"}}, [200] * 4, id="other realm"),
        pytest.param({"match": {"entity": "Invoice"}}, [200] * 4, id="other entity"),
        pytest.param({"match": {"operation": "count"}}, [200] * 4, id="other operation"),
        pytest.param({"match": {"contains": "FROM TERM"}}, [503, 200, 200, 200], id="text"),
    ],
)
def test_rules_meet_the_requests_they_name(
    simulator: RunningSimulator, client: Client, rule: dict[str, Any], expected: list[int]
) -> None:
    match = {"operation": "query", **rule.pop("match", {})}
    simulator.add_rules([{"match": match, "do": {"status": 503, "body": "down"}, **rule}])
    assert statuses(client, 4) == expected


@pytest.mark.parametrize("name", sorted(NAMED))
def test_every_named_fault_is_answered(
    simulator: RunningSimulator, client: Client, name: str
) -> None:
    simulator.add_rules([{"do": {"fault": name}}])
    response = client.query(TERMS)
    assert response.status_code >= 400 or "Fault" in response.json()
    assert statuses(client, 1) == [200]


def test_the_429_is_xml_without_retry_after(simulator: RunningSimulator, client: Client) -> None:
    simulator.add_rules([{"do": {"fault": "throttle_xml"}}])
    response = client.query(TERMS)
    assert response.status_code == 429
    assert "ThrottleExceeded; errorCode=003001; statusCode=429" in response.text
    assert response.headers["Content-Type"].startswith("application/xml")
    assert "Retry-After" not in response.headers


def test_headers_and_bodies_can_be_chosen(simulator: RunningSimulator, client: Client) -> None:
    do = {"status": 429, "headers": {"Retry-After": "7"}, "body": "{}", "content_type": "a/b"}
    simulator.add_rules([{"do": do}])
    response = client.query(TERMS)
    assert (response.headers["Retry-After"], response.text) == ("7", "{}")
    assert response.headers["Content-Type"] == "a/b"


def test_a_truncated_answer_promises_more_than_it_has(
    simulator: RunningSimulator, client: Client
) -> None:
    simulator.add_rules([{"do": {"truncate": 40}}])
    with pytest.raises(requests.exceptions.ChunkedEncodingError, match="IncompleteRead"):
        client.query(TERMS)
    assert statuses(client, 1) == [200]


def test_short_json_is_a_valid_answer_with_half_a_body(
    simulator: RunningSimulator, client: Client
) -> None:
    simulator.add_rules([{"do": {"short_json": 40}}])
    response = client.query(TERMS)
    assert response.status_code == 200
    assert len(response.content) == 40


def test_a_connection_can_close_without_an_answer(
    simulator: RunningSimulator, client: Client
) -> None:
    simulator.add_rules([{"do": {"close": True}}])
    with pytest.raises(requests.exceptions.ConnectionError):
        client.query(TERMS)
    assert statuses(client, 1) == [200]


def test_a_hanging_request_is_never_answered(simulator: RunningSimulator, client: Client) -> None:
    simulator.add_rules([{"match": {"operation": "query"}, "do": {"hang": True}}])
    with pytest.raises(requests.exceptions.ReadTimeout):
        client.session.get(f"{client.base}/query", params={"query": TERMS}, timeout=0.05)
    assert simulator.requests()[-1].status == 0


def test_the_token_endpoint_has_trouble_too(simulator: RunningSimulator, client: Client) -> None:
    simulator.add_rules([{"match": {"operation": "token"}, "do": {"fault": "invalid_grant"}}])
    assert client.refresh(simulator.refresh_token).status_code == 400
    assert client.refresh(simulator.refresh_token).status_code == 200


@pytest.mark.parametrize(
    ("do", "expected"),
    [({"limit_plus_one": True}, 11), ({"short_page": 3}, 3), ({"duplicate_row": True}, 11)],
)
def test_pages_can_have_the_wrong_number_of_rows(
    simulator: RunningSimulator, client: Client, do: dict[str, Any], expected: int
) -> None:
    simulator.add_rules([{"do": do}])
    answer = client.answer("select * from Invoice maxresults 10")
    assert len(answer["Invoice"]) == answer["maxResults"] == expected


def test_edits_happen_before_and_after_an_answer(
    simulator: RunningSimulator, client: Client
) -> None:
    first, second = client.ids("select * from Invoice maxresults 2")
    rule = {
        "match": {"operation": "query", "entity": "Invoice"},
        "before": [{"op": "delete", "entity": "Invoice", "id": first}],
        "after": [{"op": "delete", "entity": "Invoice", "id": second}],
    }
    simulator.add_rules([rule])
    seen = client.ids("select * from Invoice maxresults 1000")
    assert first not in seen
    assert second in seen
    assert second not in client.ids("select * from Invoice maxresults 1000")


def test_a_page_skips_a_row_when_one_before_it_is_deleted(
    simulator: RunningSimulator, client: Client
) -> None:
    page = "select * from Invoice orderby Id startposition {} maxresults 10"
    before = client.ids(page.format(1)) + client.ids(page.format(11))
    edit = {"op": "delete", "entity": "Invoice", "id": before[0]}
    simulator.add_rules([{"match": {"operation": "query"}, "after": [edit]}])
    seen = client.ids(page.format(1)) + client.ids(page.format(11))
    assert before[10] not in seen


def test_a_rule_that_makes_no_sense_says_so(simulator: RunningSimulator, client: Client) -> None:
    simulator.add_rules([{"before": [{"op": "delete", "entity": "Invoice", "id": "1"}]}])
    response = client.query(TERMS)
    assert response.status_code == 500
    assert "there is no Invoice 1" in response.text


def test_unknown_keys_are_refused(simulator: RunningSimulator) -> None:
    with pytest.raises(ValueError, match="unknown field `dance`"):
        simulator.add_rules([{"do": {"dance": True}}])
    with pytest.raises(ValueError, match="unknown fault"):
        simulator.add_rules([{"do": {"fault": "earthquake"}}])
