"""A sample is compared digit by digit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tap_quickbooks_raw.verification.raw_rows import RawRows
from tap_quickbooks_raw.verification.samples import shares

from tests.conftest import REALM
from tests.verification.conftest import ALL, disagreeing

if TYPE_CHECKING:
    from quickbooks_simulator.server import RunningSimulator

    from tests.verification.conftest import OwnSimulator, Raw, Verify

INVOICES = "qb_invoices"


@given(
    st.dictionaries(st.sampled_from(ALL), st.integers(0, 2000), min_size=1),
    st.integers(0, 5000),
)
def test_a_sample_is_spread_over_all_entities(rows: dict[str, int], number: int) -> None:
    found = shares(rows, number)

    assert sum(found.values()) == min(number, sum(rows.values()))
    assert all(0 <= found[stream] <= rows[stream] for stream in rows)
    if number >= len(rows):
        assert all(found[stream] for stream in rows if rows[stream])


def test_a_whole_company_agrees_to_the_last_digit(
    simulator: RunningSimulator, raw: Raw, verify: Verify
) -> None:
    """Awkward texts and numbers among it; what PostgreSQL cannot hold is mended on both sides."""
    raw.load(simulator)
    findings = verify(simulator, payloads=100_000, seed="1")

    assert disagreeing(findings) == {}
    assert all(finding.sampled == finding.raw_rows for finding in findings.values())


@pytest.mark.parametrize("stream", ALL)
def test_one_other_character_is_found_in_every_entity(
    simulator: RunningSimulator, raw: Raw, verify: Verify, stream: str
) -> None:
    raw.load(simulator, stream)
    [key] = raw.some(1, stream)
    raw.execute(
        "UPDATE {} SET payload = jsonb_set(payload, '{{domain}}', '\"qbo\"') WHERE id = %(id)s",
        stream,
        id=key,
    )
    finding = verify(simulator, stream, payloads=100_000)[stream]

    assert finding.differing == {key: ["domain"]}
    assert finding.verdict == "1 differ"
    assert f"{key} (domain)" in finding.explanations[0]


@pytest.mark.parametrize(
    "change",
    ["to_jsonb({} + 0.01)", "to_jsonb({}::numeric(30, 5))"],
    ids=["a cent", "a zero behind"],
)
def test_one_digit_is_found(
    simulator: RunningSimulator, raw: Raw, verify: Verify, change: str
) -> None:
    raw.load(simulator, INVOICES)
    [key] = raw.some(1)
    value = change.format("(payload->>'TotalAmt')::numeric")
    raw.connection.execute(
        f"UPDATE verified.qb_invoices SET payload = jsonb_set(payload, '{{TotalAmt}}', {value})"
        f" WHERE id = '{key}'"
    )
    assert verify(simulator, INVOICES, payloads=9999)[INVOICES].differing == {key: ["TotalAmt"]}


def test_a_balance_that_moved_without_a_stamp_fails(
    own_simulator: OwnSimulator, raw: Raw, verify: Verify
) -> None:
    company = own_simulator(counts={"Customer": 20})
    raw.load(company)
    [key] = raw.some(1, "qb_customers")
    raw.execute(
        "UPDATE {} SET payload = jsonb_set(payload, '{{Balance}}', '-1') WHERE id = %(id)s",
        "qb_customers",
        id=key,
    )
    assert disagreeing(verify(company, "qb_customers", ids=True)) == {}
    found = verify(company, "qb_customers", payloads=20)["qb_customers"]
    assert found.differing == {key: ["Balance"]}
    assert not found.agrees


def test_what_changed_since_the_load_is_explained(
    own_simulator: OwnSimulator, raw: Raw, verify: Verify
) -> None:
    company = own_simulator(counts={"Invoice": 20})
    raw.load(company)
    fields = {"DocNumber": "other"}
    company.edit(REALM, [{"op": "update", "entity": "Invoice", "random": 2, "fields": fields}])
    finding = verify(company, INVOICES, payloads=20)[INVOICES]

    assert (finding.agrees, finding.differing) == (True, {})
    assert finding.verdict == "ok: 2 changed since"


def test_what_changes_while_it_is_compared_is_read_again(
    own_simulator: OwnSimulator, raw: Raw, verify: Verify
) -> None:
    company = own_simulator(counts={"Invoice": 20})
    raw.load(company)
    match = {"operation": "query", "entity": "Invoice", "nth": 1}
    page = ",".join(
        f'{{"Id":"{key}","MetaData":{{"LastUpdatedTime":"2020-01-01T00:00:00Z"}}}}'
        for key in raw.some(20)
    )
    body = f'{{"QueryResponse":{{"Invoice":[{page}]}}}}'
    broken = {"status": 200, "body": body, "content_type": "application/json"}
    company.add_rules([{"match": match, "do": broken}])
    assert disagreeing(verify(company, INVOICES, payloads=20)) == {}


def test_the_same_seed_chooses_the_same(simulator: RunningSimulator, raw: Raw) -> None:
    raw.load(simulator, INVOICES)
    rows = RawRows(raw.connection, INVOICES, schema="verified", realm_id=REALM)
    first, again, other = (rows.sample(5, seed) for seed in ("a", "a", "b"))
    assert first == again
    assert first != other
    assert len(set(first)) == 5
    halves = raw.one("SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY last_updated_utc) FROM {}")
    early = raw.one(
        "SELECT count(*) FROM {} WHERE id = ANY(%(ids)s) AND last_updated_utc < %(at)s",
        ids=first,
        at=halves,
    )
    assert early in {2, 3}


def test_what_is_gone_is_noted(own_simulator: OwnSimulator, raw: Raw, verify: Verify) -> None:
    company = own_simulator(counts={"TimeActivity": 12})
    raw.load(company)
    company.edit(REALM, [{"op": "delete", "entity": "TimeActivity", "random": 1}])
    finding = verify(company, "qb_time_activities", payloads=99)["qb_time_activities"]
    assert finding.verdict == "1 too many"
    assert any("not sent by QBO" in text for text in finding.explanations)
