"""Tokens, their rotation, and the way a user gives consent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from quickbooks_simulator.server import CompanySpec, running_simulator

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Client
    from quickbooks_simulator.server import RunningSimulator

DAY = 86400
CALLBACK = "http://localhost:9/callback"


def value(response: requests.Response) -> str:
    assert response.status_code == 200, response.text
    token: str = response.json()["refresh_token"]
    return token


def test_the_answer_has_the_documented_fields(client: Client) -> None:
    assert {**client.tokens, "access_token": "", "refresh_token": ""} == {
        "token_type": "bearer",
        "access_token": "",
        "refresh_token": "",
        "expires_in": 3600,
        "x_refresh_token_expires_in": 8726400,
    }


def test_the_hard_expiry_comes_on_request(client: Client) -> None:
    response = requests.post(
        client.simulator.token_url,
        data={"grant_type": "refresh_token", "refresh_token": client.simulator.refresh_token},
        auth=(client.simulator.client_id, client.simulator.client_secret),
        headers={"x-include-refresh-token-hard-expires-in": "true"},
        timeout=10,
    )
    assert response.json()["x_refresh_token_hard_expires_in"] == 157680000


@pytest.mark.parametrize(
    ("form", "secret", "status", "error"),
    [
        ({"grant_type": "refresh_token", "refresh_token": "x"}, "wrong", 401, "invalid_client"),
        ({"grant_type": "refresh_token", "refresh_token": "x"}, "", 400, "invalid_grant"),
        ({"grant_type": "refresh_token"}, "", 400, "invalid_request"),
        ({}, "", 400, "invalid_request"),
        ({"grant_type": "password"}, "", 400, "unsupported_grant_type"),
    ],
)
def test_refusals(
    shared: RunningSimulator, form: dict[str, str], secret: str, status: int, error: str
) -> None:
    credentials = (shared.client_id, secret or shared.client_secret)
    response = requests.post(shared.token_url, data=form, auth=credentials, timeout=10)
    assert (response.status_code, response.json()) == (status, {"error": error})


def test_the_value_stays_for_a_day(simulator: RunningSimulator, client: Client) -> None:
    first = simulator.refresh_token
    simulator.advance(DAY - 60)
    answer = client.refresh(first)
    assert value(answer) == first
    assert answer.json()["x_refresh_token_expires_in"] < 8726400 - DAY + 120
    simulator.advance(120)
    second = value(client.refresh(first))
    assert second != first
    assert client.refresh(first).json() == {"error": "invalid_grant"}
    assert value(client.refresh(second)) == second


def test_always_kills_the_old_value_at_once(simulator: RunningSimulator, client: Client) -> None:
    simulator.configure(rotation="always")
    first = simulator.refresh_token
    second = value(client.refresh(first))
    assert client.refresh(first).status_code == 400
    assert value(client.refresh(second)) != second


def test_grace_lets_the_old_value_live_a_day(simulator: RunningSimulator, client: Client) -> None:
    simulator.configure(rotation="grace")
    first = simulator.refresh_token
    second = value(client.refresh(first))
    assert value(client.refresh(first)) == second
    simulator.advance(DAY + 1)
    assert client.refresh(first).status_code == 400
    assert client.refresh(second).status_code == 200


def test_strict_ends_the_connection_on_a_used_value(
    simulator: RunningSimulator, client: Client
) -> None:
    simulator.configure(rotation="strict")
    first = simulator.refresh_token
    second = value(client.refresh(first))
    assert client.get("preferences").status_code == 200
    assert client.refresh(first).status_code == 400
    assert client.refresh(second).status_code == 400
    assert client.get("preferences").status_code == 401


def test_a_refresh_token_dies_when_it_is_not_used(
    simulator: RunningSimulator, client: Client
) -> None:
    simulator.advance(8726401)
    assert client.refresh("simulator-refresh-token").status_code == 400


def test_a_connection_opens_only_its_companies(connect: Callable[..., Client]) -> None:
    companies = [CompanySpec(realm_id="111", rows=50), CompanySpec(realm_id="222", rows=50)]
    grants = {"first": ["111"], "second": ["222"]}
    with running_simulator(companies, grants=grants) as simulator:
        client = connect(simulator, "111")
        assert client.get("preferences").status_code == 200
        client.base = client.base.replace("111", "222")
        response = client.get("preferences")
        assert response.status_code == 403
        error = response.json()["fault"]["error"][0]
        assert (error["code"], error["detail"]) == ("3100", None)


def test_revoking_ends_the_connection(simulator: RunningSimulator, client: Client) -> None:
    address = f"{simulator.url}/v2/oauth2/tokens/revoke"
    credentials = (simulator.client_id, simulator.client_secret)
    token = client.tokens["refresh_token"]
    response = requests.post(address, json={"token": token}, auth=credentials, timeout=10)
    assert response.status_code == 200
    assert client.get("preferences").status_code == 401
    assert client.refresh(token).status_code == 400


def consent(simulator: RunningSimulator, choice: str, **changes: str) -> dict[str, Any]:
    query = {
        "client_id": simulator.client_id,
        "response_type": "code",
        "scope": "com.intuit.quickbooks.accounting openid",
        "redirect_uri": CALLBACK,
        "state": "a b&c",
        **changes,
    }
    address = f"{simulator.url}/connect/oauth2"
    page = requests.get(address, params=query, timeout=10, allow_redirects=False)
    if page.status_code == 200:
        assert '<button id="connect"' in page.text
        page = requests.post(
            address,
            params=query,
            data={"choice": choice, "realm": simulator.realm_ids[0]},
            timeout=10,
            allow_redirects=False,
        )
    assert page.status_code == 302
    parts = urlsplit(page.headers["Location"])
    assert page.headers["Location"].startswith(CALLBACK)
    return {name: values[0] for name, values in parse_qs(parts.query).items()}


def test_consent_gives_a_code_that_works_once(simulator: RunningSimulator) -> None:
    back = consent(simulator, "connect")
    assert (back["state"], back["realmId"]) == ("a b&c", simulator.realm_ids[0])
    form = {
        "grant_type": "authorization_code",
        "code": back["code"],
        "redirect_uri": CALLBACK,
    }
    credentials = (simulator.client_id, simulator.client_secret)
    answer = requests.post(simulator.token_url, data=form, auth=credentials, timeout=10)
    info = requests.get(
        f"{simulator.url}/v1/openid_connect/userinfo",
        headers={"Authorization": f"Bearer {answer.json()['access_token']}"},
        timeout=10,
    )
    assert info.json()["email"] == "owner@example.com"
    again = requests.post(simulator.token_url, data=form, auth=credentials, timeout=10)
    assert again.json() == {"error": "invalid_grant"}


def test_the_user_may_refuse(simulator: RunningSimulator) -> None:
    assert consent(simulator, "cancel")["error"] == "access_denied"


def test_an_unknown_scope_is_refused(simulator: RunningSimulator) -> None:
    assert consent(simulator, "connect", scope="com.intuit.everything")["error"] == "invalid_scope"


def test_discovery_names_the_endpoints_of_this_server(shared: RunningSimulator) -> None:
    address = f"{shared.url}/.well-known/openid_configuration"
    assert requests.get(address, timeout=10).json()["token_endpoint"] == shared.token_url
