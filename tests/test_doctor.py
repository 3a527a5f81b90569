"""The doctor finds what is wrong, says what to do, and goes on."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest
from quickbooks_simulator.server import CompanySpec, running_simulator
from tap_quickbooks_raw.command_settings import parse_settings
from tap_quickbooks_raw.doctor import Doctor
from tap_quickbooks_raw.findings import Level
from tap_quickbooks_raw.sealing import new_key
from tap_quickbooks_raw.token_stores import open_store
from tap_quickbooks_raw.tokens import Token, TokenKey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from quickbooks_simulator.server import RunningSimulator

    Examine = Callable[..., dict[str, tuple[Level, str]]]

REALM = "4620816365000001"
LOGIN = "`tap-quickbooks-raw-auth login`"
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
def intuit() -> Iterator[RunningSimulator]:
    """A simulator for one test, which may move its clock."""
    with running_simulator([CompanySpec(realm_id=REALM, rows=0)]) as simulator:
        yield simulator


@pytest.fixture
def examine(config: Callable[..., dict[str, Any]]) -> Examine:
    """Examine a simulated company; the last finding on each subject, the worst if it failed."""

    def examined(
        simulator: RunningSimulator, hosts: dict[str, str] | None = None, **changes: object
    ) -> dict[str, tuple[Level, str]]:
        settings = parse_settings(config(simulator, **changes))
        options = {"hosts": hosts} if hosts else {}
        found: dict[str, tuple[Level, str]] = {}
        for finding in Doctor(settings, open_store(settings), **options).findings():
            if found.get(finding.subject, (Level.OK,))[0] is not Level.FAIL:
                found[finding.subject] = (finding.level, str(finding))
        return found

    return examined


def scripted(operation: str, fault: str) -> dict[str, object]:
    return {"match": {"operation": operation}, "do": {"fault": fault}, "times": None}


def test_all_is_well(intuit: RunningSimulator, examine: Examine) -> None:
    found = examine(intuit, token_encryption_key=new_key())

    assert {level for level, _ in found.values()} == {Level.OK}
    assert list(found) == [
        "settings",
        "token store",
        "connection",
        "network",
        "keys",
        "company",
        "environment",
        "scope",
        "entities",
        "clock",
        "limits",
    ]
    assert "is encrypted" in found["token store"][1]
    assert "Simulated Company 1, US" in found["company"][1]
    assert "37 of 39 can be read" in found["entities"][1]
    assert "does not have JournalCode (only companies in France), TaxP" in found["entities"][1]


@pytest.mark.parametrize(
    ("where", "subject", "words"),
    [
        ("token invalid_grant", "connection", f"(invalid_grant): sign in again with {LOGIN}"),
        ("token invalid_client", "keys", "check QB_CLIENT_ID and QB_CLIENT_SECRET"),
        ("query authorization_failed_3100", "environment", "check QB_REALM_ID and that"),
        ("query token_expired", "connection", f"sign in again with {LOGIN}"),
        ("query general_auth_error_xml", "connection", f"sign in again with {LOGIN}"),
        ("query company_status_6190", "company", "renew it, then run again"),
        ("query bad_gateway_html", "company", "502 Bad Gateway"),
        ("batch authorization_failed_3100", "entities", "check QB_REALM_ID"),
    ],
)
def test_each_failure_has_a_remedy_and_hides_no_other_check(
    intuit: RunningSimulator,
    examine: Examine,
    *,
    where: str,
    subject: str,
    words: str,
) -> None:
    intuit.add_rules([scripted(*where.split())])

    found = examine(intuit)

    assert found[subject][0] is Level.FAIL
    assert words in found[subject][1]
    assert [name for name, (level, _) in found.items() if level is Level.FAIL] == [subject]
    assert list(found)[-2:] == ["clock", "limits"]


@pytest.mark.parametrize(
    ("code", "subject", "words"),
    [
        ("120", "rights", "as an administrator of the company"),
        ("3201", "scope", "with the accounting scope"),
    ],
)
def test_rights_and_scope_are_told_apart(
    intuit: RunningSimulator, examine: Examine, *, code: str, subject: str, words: str
) -> None:
    body = f'{{"Fault": {{"Error": [{{"Message": "no", "code": "{code}"}}]}}}}'
    intuit.add_rules(
        [{"match": {"operation": "query"}, "do": {"status": 403, "body": body}, "times": None}]
    )

    level, text = examine(intuit)[subject]

    assert level is Level.FAIL
    assert words in text
    assert LOGIN in text


def test_another_realm_than_the_connected_one_is_told(
    intuit: RunningSimulator, examine: Examine
) -> None:
    level, text = examine(intuit, realm_id="4620816365000009")["environment"]

    assert level is Level.FAIL
    assert "check QB_REALM_ID" in text


def test_an_unknown_realm_is_told(intuit: RunningSimulator, examine: Examine) -> None:
    intuit.add_rules(
        [{"match": {"operation": "query"}, "do": {"status": 404, "body": "?"}, "times": None}]
    )

    level, text = examine(intuit)["company"]

    assert level is Level.FAIL
    assert "QBO knows no such company: check QB_REALM_ID and api_url" in text


@pytest.mark.parametrize("fault", ["authorization_failed_3100", "general_auth_error_xml"])
def test_a_sandbox_connection_on_the_production_host_is_recognised(
    intuit: RunningSimulator, examine: Examine, fault: str
) -> None:
    with ExitStack() as stack:
        production = stack.enter_context(running_simulator([CompanySpec(realm_id=REALM, rows=0)]))
        production.add_rules([scripted("query", fault)])
        hosts = {"production": production.url, "sandbox": intuit.url}

        level, text = examine(intuit, hosts, api_url=production.url)["environment"]

    assert level is Level.FAIL
    assert "this connection is of sandbox (Simulated Company 1, US)" in text
    assert "set TAP_QUICKBOOKS_RAW_ENVIRONMENT=sandbox" in text


def test_without_an_answer_the_company_is_not_asked(
    intuit: RunningSimulator, examine: Examine
) -> None:
    found = examine(intuit, api_url=NOWHERE)

    assert found["network"][0] is Level.FAIL
    assert f"{NOWHERE} does not answer (ConnectionError); check api_url" in found["network"][1]
    assert "company" not in found
    assert found["clock"][0] is Level.WARN
    assert intuit.requests() == []


@pytest.mark.parametrize(("seconds", "level"), [(30, Level.OK), (90, Level.WARN)])
def test_a_clock_that_is_wrong_is_seen(
    intuit: RunningSimulator, examine: Examine, seconds: int, level: Level
) -> None:
    intuit.advance(seconds)

    found, text = examine(intuit)["clock"]

    assert found is level
    assert (level is Level.OK) == ("behind the server" not in text)


def test_entities_that_are_switched_off_are_named(
    intuit: RunningSimulator, examine: Examine
) -> None:
    intuit.configure(entities_off=["TimeActivity"], no_count=["Customer"])

    level, text = examine(intuit)["entities"]

    assert level is Level.OK
    assert "36 of 39" in text
    assert "TimeActivity" in text.partition("not asked for")[0]
    assert "Customer," not in text


def test_no_entity_at_all_is_a_failure(intuit: RunningSimulator, examine: Examine) -> None:
    intuit.add_rules([scripted("batch", "not_supported_5030")])

    assert examine(intuit)["entities"][0] is Level.FAIL


def test_a_pace_beyond_intuits_is_warned_of(intuit: RunningSimulator, examine: Examine) -> None:
    level, text = examine(intuit, requests_per_minute=600)["limits"]

    assert level is Level.WARN
    assert "set requests_per_minute to 500 or less" in text


@pytest.mark.parametrize(
    ("changes", "fault", "subject"),
    [
        ({"client_secret": "wrong"}, "", "keys"),
        ({"refresh_token": ""}, "invalid_grant", "connection"),
    ],
    ids=["secret", "refresh-token"],
)
def test_a_fresh_access_token_hides_nothing(
    intuit: RunningSimulator,
    examine: Examine,
    *,
    changes: dict[str, object],
    fault: str,
    subject: str,
) -> None:
    assert examine(intuit)["keys"][0] is Level.OK
    if fault:
        intuit.add_rules([scripted("token", fault)])

    assert examine(intuit, **changes)[subject][0] is Level.FAIL


def test_companies_that_are_not_encrypted_yet_are_named(
    intuit: RunningSimulator, examine: Examine, config: Callable[..., dict[str, Any]]
) -> None:
    settings = parse_settings(config(intuit))
    other = TokenKey(settings.client_id, "4620816365000002")
    open_store(settings).save(other, Token(refresh_token="RT"))
    key = new_key()

    level, text = examine(intuit, token_encryption_key=key)["token store"]

    assert level is Level.WARN
    assert f"company (realm) {other.realm_id} are not encrypted yet" in text
    encrypted = open_store(parse_settings(config(intuit, token_encryption_key=key)))
    encrypted.save(other, Token(refresh_token="RT"))
    assert examine(intuit, token_encryption_key=key)["token store"][0] is Level.OK


def test_a_store_that_cannot_be_written_is_a_failure(
    intuit: RunningSimulator, examine: Examine
) -> None:
    found = examine(intuit, token_store="file:///dev/null/tokens.json")

    assert found["token store"][0] is Level.FAIL
    assert "cannot be used" in found["token store"][1]
    assert intuit.requests() == []


def test_nothing_to_begin_with_is_a_failure(intuit: RunningSimulator, examine: Examine) -> None:
    level, text = examine(intuit, refresh_token="")["connection"]

    assert level is Level.FAIL
    assert text.endswith(f"sign in: {LOGIN}")


def test_an_old_connection_is_warned_of(
    intuit: RunningSimulator, examine: Examine, config: Callable[..., dict[str, Any]]
) -> None:
    settings = parse_settings(config(intuit))
    store = open_store(settings)
    token = Token(refresh_token=intuit.refresh_token, ends_at=intuit.now() + 86_400 * 3.5)
    store.save(TokenKey(settings.client_id, REALM), token)

    level, text = examine(intuit, refresh_token="")["connection"]

    assert level is Level.WARN
    assert "ends in 3 days, unless it is used: `tap-quickbooks-raw-auth refresh`" in text
