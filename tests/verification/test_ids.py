"""Ids and versions: what is missing, extra or newer is named."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tap_quickbooks_raw.entities import BY_STREAM, Reading

from tests.conftest import REALM
from tests.verification.conftest import (
    ALL,
    OTHER_REALM,
    disagreeing,
    hide,
    operations,
    source_rows,
)

if TYPE_CHECKING:
    from quickbooks_simulator.server import RunningSimulator

    from tests.verification.conftest import OwnSimulator, Raw, Verify

INVOICES, CUSTOMERS = "qb_invoices", "qb_customers"
ADJUSTMENTS = "qb_inventory_adjustments"
STAMPED = [stream for stream in ALL if BY_STREAM[stream].stamped]


@pytest.fixture
def company(own_simulator: OwnSimulator) -> RunningSimulator:
    """A company to edit."""
    return own_simulator(counts={"Invoice": 60, "Customer": 40, "Item": 20})


@pytest.mark.parametrize("raw", ["timestamptz", "timestamp"], indirect=True)
def test_a_healthy_company_agrees(simulator: RunningSimulator, raw: Raw, verify: Verify) -> None:
    raw.load(simulator)
    raw.load(simulator, INVOICES, realm=OTHER_REALM)
    findings = verify(simulator, ids=True)

    assert {finding.verdict for finding in findings.values()} == {"ok"}
    assert {finding.result().method for finding in findings.values()} == {"ids"}
    # Two for each entity: how many there are, and their page.
    assert sum(operations(simulator).values()) < 2 * len(ALL) + 5


@pytest.mark.parametrize("stream", ALL)
def test_in_every_entity_what_differs_is_named(
    simulator: RunningSimulator, raw: Raw, verify: Verify, stream: str
) -> None:
    raw.load(simulator)
    rows = source_rows(simulator, BY_STREAM[stream])
    lost = max(rows).id
    raw.drop([lost], stream)
    raw.execute("INSERT INTO {} (realm_id, id) VALUES (%(realm)s, 'ghost')", stream, realm=REALM)
    older = ""
    if BY_STREAM[stream].stamped and len(rows) > 1:
        older = min(rows).id
        back = "UPDATE {} SET last_updated_utc = last_updated_utc - interval '1 s'"
        raw.execute(f"{back} WHERE id = %(id)s", stream, id=older)
    findings = verify(simulator, ids=True)
    result = findings[stream].result()

    assert list(disagreeing(findings)) == [stream]
    assert (result.missing_ids, result.extra_ids) == ((lost,), ("ghost",))
    assert result.newer_ids == ((older,) if older else ())
    assert (result.missing, result.extra, result.newer) == (1, 1, 1 if older else 0)
    assert all(word in result.verdict for word in ("1 missing", "1 too many"))


def test_equal_counts_hide_nothing(company: RunningSimulator, raw: Raw, verify: Verify) -> None:
    raw.load(company)
    [lost] = raw.some(1)
    raw.execute("UPDATE {} SET id = 'ghost' WHERE id = %(id)s", id=lost)
    assert disagreeing(verify(company)) == {}
    assert disagreeing(verify(company, ids=True)) == {INVOICES: "1 missing, 1 too many"}


def test_a_row_without_a_stamp_is_older(
    company: RunningSimulator, raw: Raw, verify: Verify
) -> None:
    raw.load(company)
    raw.execute("UPDATE {} SET last_updated_utc = NULL WHERE id = %(id)s", id=raw.some(1)[0])
    assert disagreeing(verify(company, ids=True)) == {INVOICES: "1 newer in QBO"}


def test_a_row_from_the_future_fails(company: RunningSimulator, raw: Raw, verify: Verify) -> None:
    raw.load(company)
    ahead = "UPDATE {} SET last_updated_utc = last_updated_utc + interval '1 h' WHERE id = %(id)s"
    raw.execute(ahead, id=raw.some(1)[0])
    assert disagreeing(verify(company, ids=True)) == {INVOICES: "1 newer in raw"}


def test_a_tombstone_of_what_lives_is_named(
    company: RunningSimulator, raw: Raw, verify: Verify
) -> None:
    raw.load(company)
    [key] = raw.some(1)
    raw.execute("UPDATE {} SET deleted_at_utc = now() WHERE id = %(id)s", id=key)
    finding = verify(company, ids=True)[INVOICES]
    assert finding.verdict == "1 missing"
    assert finding.explanations == (f"1 live in QBO, and are marked as deleted in raw: {key}",)


def test_what_changed_since_the_load_is_explained(
    company: RunningSimulator, raw: Raw, verify: Verify
) -> None:
    raw.load(company)
    edits = [
        {"op": "create", "entity": "Customer"},
        {"op": "touch", "entity": "Customer", "random": 3},
        {"op": "delete", "entity": "Invoice", "random": 2},
    ]
    _, touched, deleted = company.edit(REALM, edits)
    findings = verify(company, ids=True)

    assert disagreeing(findings) == {}
    assert set(findings[CUSTOMERS].result().newer_ids) >= set(touched) - {"41"}
    assert findings[INVOICES].verdict == "ok: 2 deleted since"
    assert set(findings[INVOICES].result().extra_ids) == set(deleted)
    assert operations(company)["cdc"] == 1


def test_what_changed_before_the_load_fails(
    company: RunningSimulator, raw: Raw, verify: Verify
) -> None:
    company.edit(REALM, [{"op": "touch", "entity": "Invoice", "random": 2}])
    raw.load(company)
    company.advance(3600)
    late = "UPDATE {} SET last_updated_utc = last_updated_utc - interval '1 d'"
    raw.execute(f"{late} WHERE last_updated_utc > '2026-11-01'")
    raw.execute("UPDATE {} SET extract_window_end_utc = %(to)s", to="2099-01-01")
    assert disagreeing(verify(company, ids=True, settle_seconds=0)) == {INVOICES: "2 newer in QBO"}


def test_what_a_list_leaves_out_is_asked_for(
    company: RunningSimulator, raw: Raw, verify: Verify
) -> None:
    raw.load(company)
    hide(company, max(raw.some(60), key=int))
    finding = verify(company, INVOICES, ids=True)[INVOICES]

    assert finding.excused[0].short == "not listed"
    assert not finding.agrees  # For COUNT knows it as well.
    assert "1 counted but not listed" in finding.verdict


def test_what_a_list_leaves_out_is_compared_all_the_same(
    company: RunningSimulator, raw: Raw, verify: Verify
) -> None:
    raw.load(company)
    hidden = max(raw.some(60), key=int)
    hide(company, hidden)
    back = "SET last_updated_utc = last_updated_utc - interval '1 d'"
    raw.execute(f"UPDATE {{}} {back} WHERE id = %(id)s", id=hidden)
    finding = verify(company, INVOICES, ids=True)[INVOICES]

    assert "1 newer in QBO" in finding.verdict
    assert finding.result().newer_ids == (hidden,)


@pytest.mark.parametrize(
    ("damage", "verdict"),
    [
        ("deleted_at_utc = now()", "1 missing"),
        ("last_updated_utc = last_updated_utc + interval '1 h'", "1 newer in raw"),
    ],
    ids=["tombstone", "future"],
)
def test_what_cannot_be_asked_for_again_fails_alone(
    company: RunningSimulator, raw: Raw, verify: Verify, damage: str, verdict: str
) -> None:
    raw.load(company)
    raw.execute(f"UPDATE {{}} SET {damage} WHERE id = %(id)s", id=raw.some(1)[0])
    match = {"entity": "Invoice", "contains": "Id IN ("}
    company.add_rules([{"match": match, "do": {"status": 500}, "times": None}])
    assert disagreeing(verify(company, ids=True)) == {INVOICES: verdict}


def test_what_comes_while_it_is_listed_is_no_difference(
    company: RunningSimulator, raw: Raw, verify: Verify
) -> None:
    """Between COUNT and list, and between list and COUNT."""
    raw.load(company)
    edits = [{"op": "create", "entity": "Invoice"}]
    for match in ({"operation": "count", "entity": "Invoice"}, {"operation": "batch", "nth": 2}):
        company.add_rules([{"match": match, "before": edits, "do": {}}])
    finding = verify(company, INVOICES, ids=True)[INVOICES]
    assert (finding.agrees, finding.verdict) == (True, "ok: 1 changed since")


def test_bare_dates_are_in_every_range_on_both_sides(
    own_simulator: OwnSimulator, raw: Raw, verify: Verify
) -> None:
    """A run that reads them whole loads them whatever start_date is."""
    company = own_simulator(counts={"InventoryAdjustment": 8})
    company.configure(no_time_filter=["InventoryAdjustment"])
    raw.load(company, ADJUSTMENTS)
    finding = verify(company, ADJUSTMENTS, start_date="2026-06-30")[ADJUSTMENTS]
    assert (finding.verdict, finding.rows, finding.raw_rows) == ("ok", 8, 8)

    raw.drop(raw.some(1, ADJUSTMENTS), ADJUSTMENTS)
    findings = verify(company, ADJUSTMENTS, start_date="2026-06-30")
    assert disagreeing(findings) == {ADJUSTMENTS: "1 missing"}


@pytest.mark.parametrize("op", ["create", "delete"])
def test_the_hour_of_a_bare_date_is_not_known(
    own_simulator: OwnSimulator, raw: Raw, verify: Verify, op: str
) -> None:
    company = own_simulator(counts={"InventoryAdjustment": 8})
    raw.load(company, ADJUSTMENTS)
    count = {"random": 1} if op == "delete" else {}
    company.edit(REALM, [{"op": op, "entity": "InventoryAdjustment", **count}])
    finding = verify(company, ADJUSTMENTS, ids=True)[ADJUSTMENTS]
    told = {"create": "ok: 1 changed since", "delete": "ok: 1 deleted since"}
    assert (finding.agrees, finding.verdict) == (True, told[op])


@pytest.mark.parametrize("switch", ["no_count", "no_time_filter"])
def test_neither_counts_nor_windows_are_needed(
    simulator: RunningSimulator, raw: Raw, verify: Verify, switch: str
) -> None:
    raw.load(simulator)
    simulator.configure(
        **{switch: [e.name for e in BY_STREAM.values() if e.reading is Reading.QUERY]}
    )
    assert disagreeing(verify(simulator, ids=True)) == {}


def test_the_same_bounds_hold_on_both_sides(
    company: RunningSimulator, raw: Raw, verify: Verify
) -> None:
    raw.load(company)
    bounds = {"start_date": "2023-01-01", "end_date": "2025-01-01"}
    findings = verify(company, ids=True, **bounds)
    assert disagreeing(findings) == {}
    assert 0 < findings[INVOICES].rows < 60

    within = raw.one("SELECT max(id) FROM {} WHERE last_updated_utc < '2025-01-01'")
    company.edit(REALM, [{"op": "touch", "entity": "Invoice", "id": within}])
    assert disagreeing(verify(company, ids=True, **bounds)) == {}
    assert verify(company, ids=True, **bounds)[INVOICES].verdict == "ok: 1 changed since"


def test_what_qbo_cannot_send_fails_alone(
    company: RunningSimulator, raw: Raw, verify: Verify
) -> None:
    raw.load(company)
    [key] = raw.some(1)
    company.configure(poison=[{"entity": "Invoice", "id": key}])
    findings = verify(company, ids=True)

    assert list(disagreeing(findings)) == [INVOICES]
    assert "cannot be counted: QBO cannot send 1 objects" in findings[INVOICES].verdict


def test_a_value_that_cannot_be_read_fails_alone(
    company: RunningSimulator, raw: Raw, verify: Verify
) -> None:
    raw.load(company)
    raw.execute("UPDATE {} SET last_updated_utc = 'infinity' WHERE id = %(id)s", id=raw.some(1)[0])
    findings = verify(company, ids=True)

    assert list(disagreeing(findings)) == [INVOICES]
    assert findings[INVOICES].verdict.startswith("raw cannot be read: ")
