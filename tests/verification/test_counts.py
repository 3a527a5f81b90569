"""Counts are cheap; every difference of theirs is proven harmless, or fails by name."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from tests.conftest import REALM
from tests.verification.conftest import (
    ALL,
    OTHER_REALM,
    disagreeing,
    operations,
    server_time,
)

if TYPE_CHECKING:
    from quickbooks_simulator.server import RunningSimulator

    from tests.verification.conftest import OwnSimulator, Raw, Verify

INVOICES, CUSTOMERS = "qb_invoices", "qb_customers"
HOUR = timedelta(hours=1)


@pytest.fixture
def company(own_simulator: OwnSimulator) -> RunningSimulator:
    """A company to edit."""
    return own_simulator(counts={"Invoice": 60, "Customer": 40, "Item": 20, "TimeActivity": 12})


@pytest.mark.parametrize("raw", ["timestamptz", "timestamp"], indirect=True)
def test_a_healthy_company_agrees_with_seven_calls(
    simulator: RunningSimulator, raw: Raw, verify: Verify
) -> None:
    raw.load(simulator)
    findings = verify(simulator)

    assert disagreeing(findings) == {}
    assert {finding.verdict for finding in findings.values()} == {"ok"}
    # Of the queries one lists CustomerType, one the currencies, one the rates.
    assert operations(simulator) == {"batch": 2, "count": 1, "query": 3, "taxclassification": 1}


def test_both_sides_say_when_they_were_counted(
    simulator: RunningSimulator, raw: Raw, verify: Verify
) -> None:
    before = datetime.now(UTC)
    raw.load(simulator, INVOICES)
    result = verify(simulator, INVOICES)[INVOICES].result()

    assert result.qbo_counted_at is not None
    assert result.raw_counted_at is not None
    assert before < result.qbo_counted_at < result.raw_counted_at < datetime.now(UTC)


def test_nothing_loaded_is_all_missing_and_costs_no_more(
    simulator: RunningSimulator, raw: Raw, verify: Verify
) -> None:
    del raw
    findings = verify(simulator)

    assert set(disagreeing(findings)) == {s for s in ALL if findings[s].rows}
    assert findings[INVOICES].verdict == f"{findings[INVOICES].rows} missing"
    assert sum(operations(simulator).values()) == 7


def test_what_is_missing_fails_and_is_located(
    company: RunningSimulator, raw: Raw, verify: Verify
) -> None:
    raw.load(company)
    raw.drop(raw.some(2))
    findings = verify(company)

    assert disagreeing(findings) == {INVOICES: "2 missing"}
    [located] = findings[INVOICES].explanations
    assert located.startswith("differs in 20")
    assert findings[INVOICES].months


def test_what_is_too_much_fails(company: RunningSimulator, raw: Raw, verify: Verify) -> None:
    raw.load(company)
    raw.execute(
        "INSERT INTO {} (realm_id, id, last_updated_utc) VALUES (%(realm)s, '0', '2020-01-01')",
        realm=REALM,
    )
    assert disagreeing(verify(company)) == {INVOICES: "1 too many"}


def test_rows_of_another_company_are_not_counted(
    company: RunningSimulator, raw: Raw, verify: Verify
) -> None:
    raw.load(company)
    raw.load(company, realm=OTHER_REALM)
    assert disagreeing(verify(company)) == {}
    raw.drop(raw.some(1))
    assert disagreeing(verify(company)) == {INVOICES: "1 missing"}


def test_a_tombstone_of_what_lives_fails(
    company: RunningSimulator, raw: Raw, verify: Verify
) -> None:
    raw.load(company)
    [key] = raw.some(1)
    raw.execute("UPDATE {} SET deleted_at_utc = now() WHERE id = %(id)s", id=key)
    assert disagreeing(verify(company)) == {INVOICES: "1 missing"}


def test_a_row_without_a_stamp_is_counted(
    company: RunningSimulator, raw: Raw, verify: Verify
) -> None:
    raw.load(company)
    [key] = raw.some(1)
    raw.execute("UPDATE {} SET last_updated_utc = NULL WHERE id = %(id)s", id=key)
    assert disagreeing(verify(company)) == {}


def test_what_was_deactivated_or_voided_is_no_difference(
    company: RunningSimulator, raw: Raw, verify: Verify
) -> None:
    raw.load(company)
    edits = [
        {"op": "deactivate", "entity": "Customer", "random": 5},
        {"op": "void", "entity": "Invoice", "random": 5},
    ]
    company.edit(REALM, edits)
    assert {finding.verdict for finding in verify(company).values()} == {"ok"}


# ---- What has changed since


def test_what_was_added_since_the_load_is_explained(
    company: RunningSimulator, raw: Raw, verify: Verify
) -> None:
    raw.load(company)
    company.edit(REALM, [{"op": "create", "entity": "Customer"}] * 2)
    company.edit(REALM, [{"op": "touch", "entity": "Customer", "random": 5}])
    finding = verify(company)[CUSTOMERS]

    assert (finding.agrees, finding.verdict) == (True, "ok: 2 changed since")
    assert "up to which raw was loaded" in finding.explanations[0]
    # One batch asks what has changed, and one call what was deleted.
    assert (operations(company)["batch"], operations(company)["cdc"]) == (3, 1)


def test_what_was_deleted_since_the_load_is_explained(
    company: RunningSimulator, raw: Raw, verify: Verify
) -> None:
    raw.load(company)
    company.edit(REALM, [{"op": "delete", "entity": "Invoice", "random": 3}])
    finding = verify(company)[INVOICES]

    assert (finding.agrees, finding.verdict) == (True, "ok: 3 deleted since")
    assert operations(company)["cdc"] == 1


def test_what_cdc_does_not_tell_fails(company: RunningSimulator, raw: Raw, verify: Verify) -> None:
    """It may have been deleted long ago: only a sweep finds out."""
    raw.load(company)
    company.edit(REALM, [{"op": "delete", "entity": "TimeActivity", "random": 1}])
    assert disagreeing(verify(company)) == {"qb_time_activities": "1 too many"}


def test_a_deletion_before_the_load_fails(
    company: RunningSimulator, raw: Raw, verify: Verify
) -> None:
    raw.load(company)
    company.edit(REALM, [{"op": "delete", "entity": "Invoice", "random": 1}])
    company.advance(3600)
    raw.load(company, "qb_items")  # A later run has not marked it.
    raw.execute(
        "UPDATE {} SET extract_window_end_utc = %(to)s", "qb_items", to=server_time(company)
    )
    assert disagreeing(verify(company)) == {INVOICES: "1 too many"}


def test_a_change_before_the_load_fails(
    company: RunningSimulator, raw: Raw, verify: Verify
) -> None:
    """Nothing else tells it from one that was made since."""
    raw.load(company, loaded_to=server_time(company) - HOUR)
    company.edit(REALM, [{"op": "create", "entity": "Customer"}])
    assert disagreeing(verify(company)) == {}
    company.advance(3600)
    raw.execute("UPDATE {} SET extract_window_end_utc = %(to)s", to=server_time(company))
    assert disagreeing(verify(company)) == {CUSTOMERS: "1 missing"}


def test_what_is_new_does_not_hide_what_is_missing(
    company: RunningSimulator, raw: Raw, verify: Verify
) -> None:
    raw.load(company)
    company.edit(
        REALM,
        [
            *[{"op": "create", "entity": "Customer"}] * 2,
            {"op": "delete", "entity": "Customer", "random": 1},
        ],
    )
    raw.drop(raw.some(4, CUSTOMERS), CUSTOMERS)
    finding = verify(company)[CUSTOMERS]

    assert not finding.agrees
    assert finding.verdict in {"4 missing", "3 missing"}  # One of the four may be the deleted one.
    assert finding.result().missing == finding.rows - finding.raw_rows


def test_edits_between_the_counts_are_no_difference(
    company: RunningSimulator, raw: Raw, verify: Verify
) -> None:
    raw.load(company)
    edits = [
        {"op": "create", "entity": "Customer"},
        {"op": "delete", "entity": "Invoice", "random": 2},
    ]
    for turn in (2, 3):
        rule = {"match": {"operation": "batch", "nth": turn}, "before": edits, "do": {}}
        company.add_rules([rule])
    findings = verify(company)

    assert disagreeing(findings) == {}


# ---- Bounds


def test_the_same_bounds_hold_on_both_sides(
    company: RunningSimulator, raw: Raw, verify: Verify
) -> None:
    raw.load(company)
    findings = verify(company, start_date="2023-01-01", end_date="2025-01-01")

    assert disagreeing(findings) == {}
    assert 0 < findings[INVOICES].rows < 60


def test_what_has_left_the_range_since_is_explained(
    company: RunningSimulator, raw: Raw, verify: Verify
) -> None:
    raw.load(company)
    within = raw.one("SELECT max(id) FROM {} WHERE last_updated_utc < '2025-01-01'")
    company.edit(REALM, [{"op": "touch", "entity": "Invoice", "id": within}])
    finding = verify(company, INVOICES, end_date="2025-01-01")[INVOICES]

    assert (finding.agrees, finding.verdict) == (True, "ok: 1 changed since end_date")


# ---- What QBO does not tell


def test_an_entity_that_fails_hides_no_other(
    simulator: RunningSimulator, raw: Raw, verify: Verify
) -> None:
    raw.load(simulator)
    simulator.add_rules([{"match": {"entity": "Invoice"}, "do": {"status": 500}, "times": None}])
    simulator.configure(batch_faults=["Invoice"])

    assert list(disagreeing(verify(simulator))) == [INVOICES]
    assert "cannot be counted" in disagreeing(verify(simulator))[INVOICES]


@pytest.mark.parametrize("switch", ["no_count", "no_time_filter"])
def test_what_is_not_counted_is_listed(
    simulator: RunningSimulator, raw: Raw, verify: Verify, switch: str
) -> None:
    raw.load(simulator)
    simulator.configure(**{switch: ["Invoice", "Customer"]})
    findings = verify(simulator)

    assert disagreeing(findings) == {}
    assert findings[INVOICES].result().method == "ids"
    raw.drop(raw.some(1))
    assert disagreeing(verify(simulator)) == {INVOICES: "1 missing"}


def test_without_batches_all_is_counted_alone(
    company: RunningSimulator, raw: Raw, verify: Verify
) -> None:
    raw.load(company)
    company.configure(refuse_batch=True)
    company.edit(REALM, [{"op": "create", "entity": "Customer"}])

    findings = verify(company)
    assert disagreeing(findings) == {}
    assert findings[CUSTOMERS].verdict == "ok: 1 changed since"


def test_what_the_company_does_not_have_is_unavailable(
    simulator: RunningSimulator, raw: Raw, verify: Verify
) -> None:
    raw.load(simulator, *[stream for stream in ALL if stream != "qb_terms"])
    simulator.configure(entities_off=["Term"])
    findings = verify(simulator)

    assert disagreeing(findings) == {}
    assert findings["qb_terms"].verdict == "unavailable"
    raw.load(simulator, "qb_terms")
    assert list(disagreeing(verify(simulator))) == ["qb_terms"]


def counted(number: int) -> dict[str, object]:
    body = f'{{"QueryResponse":{{"totalCount":{number}}}}}'
    return {"status": 200, "body": body, "content_type": "application/json"}


def test_a_count_that_leaves_out_the_inactive_is_explained(
    company: RunningSimulator, raw: Raw, verify: Verify
) -> None:
    """Where COUNT takes no notice of `Active IN (true, false)`, but counts the inactive alone."""
    company.edit(REALM, [{"op": "deactivate", "entity": "Customer", "random": 3}])
    raw.load(company)
    company.configure(refuse_batch=True)
    inactive = raw.one("SELECT count(*) FROM {} WHERE payload->>'Active' = 'false'", CUSTOMERS)
    match = {"operation": "count", "entity": "Customer", "contains": "IN (true"}
    company.add_rules([{"match": match, "do": counted(40 - inactive), "times": None}])

    finding = verify(company, CUSTOMERS)[CUSTOMERS]
    assert (finding.agrees, finding.verdict) == (True, f"ok: {inactive} inactive")


@pytest.mark.parametrize(("told", "text"), [(59, "1 too many"), (61, "1 missing")])
def test_a_count_that_lies_fails(
    company: RunningSimulator, raw: Raw, verify: Verify, told: int, text: str
) -> None:
    raw.load(company)
    company.configure(refuse_batch=True)
    match = {"operation": "count", "entity": "Invoice"}
    company.add_rules([{"match": match, "do": counted(told), "times": None}])
    assert disagreeing(verify(company, INVOICES)) == {INVOICES: text}


# ---- Rates and classifications


def test_rates_of_earlier_days_are_explained(
    company: RunningSimulator, raw: Raw, verify: Verify
) -> None:
    raw.load(company)
    rates = "qb_exchange_rates"
    pair = raw.one("SELECT left(max(id), -11) FROM {}", rates)
    raw.execute(
        "INSERT INTO {} (realm_id, id, last_updated_utc)"
        " VALUES (%(realm)s, %(pair)s || '-2001-01-01', '2001-01-01')",
        rates,
        realm=REALM,
        pair=pair,
    )
    finding = verify(company, rates)[rates]
    assert (finding.agrees, finding.verdict) == (True, "ok: 1 older rates")


def test_a_rate_that_was_missed_fails(company: RunningSimulator, raw: Raw, verify: Verify) -> None:
    raw.load(company)
    raw.drop(raw.some(1, "qb_exchange_rates"), "qb_exchange_rates")
    assert disagreeing(verify(company)) == {"qb_exchange_rates": "1 missing"}


def test_a_rate_of_today_rests(company: RunningSimulator, raw: Raw, verify: Verify) -> None:
    """Rates are asked for once in rarely_read_hours, however often runs are made."""
    rates = "qb_exchange_rates"
    company.edit(REALM, [{"op": "touch", "entity": "ExchangeRate", "random": 1}])
    company.advance(7200)
    raw.load(company)
    newest = raw.one("SELECT id FROM {} ORDER BY last_updated_utc DESC LIMIT 1", rates)
    raw.drop([newest], rates)

    finding = verify(company, rarely_read_hours=23)[rates]
    assert (finding.agrees, finding.verdict) == (True, "ok: 1 changed since")
    assert "rarely_read_hours" in finding.explanations[0]
    assert disagreeing(verify(company, rarely_read_hours=1)) == {rates: "1 missing"}
