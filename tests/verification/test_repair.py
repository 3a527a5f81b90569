"""What differs is mended as a run would, and nothing else is touched."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from tap_quickbooks_raw.entities import BY_STREAM

from tests.conftest import REALM
from tests.verification.conftest import (
    ALL,
    OTHER_REALM,
    disagreeing,
    hide,
    operations,
    server_time,
    source_rows,
)

if TYPE_CHECKING:
    from quickbooks_simulator.server import RunningSimulator

    from tests.verification.conftest import OwnSimulator, Raw, Verify

INVOICES = "qb_invoices"


@pytest.fixture
def company(own_simulator: OwnSimulator) -> RunningSimulator:
    """A company to edit."""
    return own_simulator(counts={"Invoice": 60, "Customer": 40, "Item": 20, "TimeActivity": 300})


def contents(raw: Raw, stream: str) -> set[tuple[Any, ...]]:
    """What has to be as QBO has it."""
    return {
        tuple(row)
        for row in raw.connection.execute(
            f"SELECT id, payload::text, last_updated_utc::timestamptz, deleted_at_utc IS NULL"
            f" FROM verified.{stream} WHERE realm_id = '{REALM}'"
        )
    }


@pytest.mark.parametrize("raw", ["timestamptz", "timestamp"], indirect=True)
def test_every_kind_of_difference_is_mended(
    company: RunningSimulator, raw: Raw, verify: Verify
) -> None:
    raw.load(company)
    raw.load(company, INVOICES, realm=OTHER_REALM)
    before = contents(raw, INVOICES)
    missing, older, tampered, dead, *_ = raw.some(60)
    mine = f"WHERE realm_id = '{REALM}' AND id = %(id)s"
    raw.execute(f"DELETE FROM {{}} {mine}", id=missing)
    back = "SET last_updated_utc = last_updated_utc - interval '1 d', payload = '{{}}'"
    raw.execute(f"UPDATE {{}} {back} {mine}", id=older)
    other = "SET payload = jsonb_set(payload, '{{TotalAmt}}', '1.0')"
    raw.execute(f"UPDATE {{}} {other} {mine}", id=tampered)
    raw.execute(f"UPDATE {{}} SET deleted_at_utc = ingested_at_utc {mine}", id=dead)
    raw.execute("INSERT INTO {} (realm_id, id) VALUES (%(realm)s, 'ghost')", realm=REALM)

    finding = verify(company, ids=True, payloads=9999, repairs=True)[INVOICES]

    assert finding.agrees
    assert finding.repaired == 5
    assert contents(raw, INVOICES) == before | {("ghost", None, None, False)}
    assert disagreeing(verify(company, ids=True, payloads=9999)) == {}
    assert raw.one(f"SELECT count(*) FROM {{}} WHERE realm_id = '{OTHER_REALM}'") == 60
    gone = "SELECT count(*) FROM {} WHERE deleted_at_utc IS NOT NULL AND realm_id = %(realm)s"
    assert raw.one(gone, realm=OTHER_REALM) == 0


def test_a_row_that_is_loaded_again_has_all_columns(
    company: RunningSimulator, raw: Raw, verify: Verify
) -> None:
    raw.load(company)
    [key] = raw.some(1)
    raw.drop([key])
    verify(company, INVOICES, repairs=True)

    columns = "ingested_at_utc, page_number, page_size, request_payload, extract_window_end_utc"
    row = raw.connection.execute(
        f"SELECT {columns}, deleted_at_utc FROM verified.qb_invoices WHERE id = '{key}'"
    ).fetchone()
    assert row is not None
    received, number, size, request, window, deleted = row
    assert received is not None
    assert (number, size) == (1, 50)
    assert request["query"] == (
        f"SELECT * FROM Invoice WHERE Id IN ('{key}') STARTPOSITION 1 MAXRESULTS 50"
    )
    assert request["path"] == f"/v3/company/{REALM}/query"
    # It tells nothing of up to when the company was loaded.
    assert (window, deleted) == (None, None)


@pytest.mark.parametrize("stream", ALL)
def test_every_entity_can_be_mended(
    simulator: RunningSimulator, raw: Raw, verify: Verify, stream: str
) -> None:
    raw.load(simulator, stream)
    before = contents(raw, stream)
    row = max(source_rows(simulator, BY_STREAM[stream]))
    raw.drop([row.id], stream)

    finding = verify(simulator, stream, repairs=True)[stream]

    assert (finding.repaired, finding.agrees) == (1, True)
    assert contents(raw, stream) == before


def test_a_healthy_company_is_left_as_it_is(
    simulator: RunningSimulator, raw: Raw, verify: Verify
) -> None:
    raw.load(simulator)
    before = raw.everything()
    findings = verify(simulator, repairs=True, payloads=500)
    assert not any(finding.repaired for finding in findings.values())
    assert raw.everything() == before


def test_a_newer_version_is_never_overwritten(
    company: RunningSimulator, raw: Raw, verify: Verify
) -> None:
    raw.load(company)
    [key] = raw.some(1)
    ahead = "SET last_updated_utc = last_updated_utc + interval '1 h', payload = '{{}}'"
    raw.execute(f"UPDATE {{}} {ahead} WHERE id = %(id)s", id=key)
    finding = verify(company, INVOICES, repairs=True)[INVOICES]

    assert (finding.repaired, finding.verdict) == (0, "1 newer in raw")
    assert raw.one("SELECT payload::text FROM {} WHERE id = %(id)s", id=key) == "{}"


def test_a_tombstone_that_was_read_later_is_not_revived(
    company: RunningSimulator, raw: Raw, verify: Verify
) -> None:
    raw.load(company)
    [key] = raw.some(1)
    raw.execute(
        "UPDATE {} SET deleted_at_utc = now(), ingested_at_utc = now() + interval '1 d'"
        " WHERE id = %(id)s",
        id=key,
    )
    finding = verify(company, INVOICES, repairs=True)[INVOICES]
    assert (finding.repaired, finding.agrees) == (0, False)


def test_what_is_explained_is_left_to_the_next_run(
    company: RunningSimulator, raw: Raw, verify: Verify
) -> None:
    raw.load(company)
    before = raw.everything()
    edits = [
        {"op": "create", "entity": "Customer"},
        {"op": "delete", "entity": "Invoice", "random": 1},
    ]
    company.edit(REALM, edits)
    assert disagreeing(verify(company, repairs=True)) == {}
    assert raw.everything() == before


def test_many_rows_are_not_marked_without_yes(
    company: RunningSimulator, raw: Raw, verify: Verify
) -> None:
    stream = "qb_time_activities"
    raw.load(company)
    company.edit(REALM, [{"op": "delete", "entity": "TimeActivity", "random": 120}])
    finding = verify(company, stream, repairs=True)[stream]
    assert (finding.repaired, finding.verdict) == (0, "120 too many")
    assert "--yes" in finding.explanations[-1]

    finding = verify(company, stream, repairs=True, is_sure=True)[stream]
    assert (finding.repaired, finding.agrees) == (120, True)


def test_without_a_table_there_is_a_hint(
    company: RunningSimulator, raw: Raw, verify: Verify
) -> None:
    raw.load(company, "qb_items")
    finding = verify(company, INVOICES, repairs=True)[INVOICES]
    assert finding.verdict == "60 missing"
    assert any("run the job" in text for text in finding.explanations)


def test_so_many_rows_are_left_to_a_sweep(
    own_simulator: OwnSimulator, raw: Raw, verify: Verify
) -> None:
    stream = "qb_time_activities"
    company = own_simulator(counts={"TimeActivity": 1010})
    raw.load(company, stream)
    company.edit(REALM, [{"op": "delete", "entity": "TimeActivity", "random": 1001}])
    finding = verify(company, stream, repairs=True, is_sure=True)[stream]
    assert (finding.repaired, finding.verdict) == (0, "1,001 too many")
    assert "a sweep does" in finding.explanations[-1]


def test_what_cannot_be_mended_is_not_forgotten(
    company: RunningSimulator, raw: Raw, verify: Verify
) -> None:
    raw.load(company)
    ids = sorted(raw.some(60), key=int)
    hide(company, ids[-1])
    back = "SET last_updated_utc = last_updated_utc - interval '1 d'"
    raw.execute(f"UPDATE {{}} {back} WHERE id = %(id)s", id=ids[0])
    finding = verify(company, INVOICES, repairs=True)[INVOICES]
    assert finding.repaired == 1
    assert finding.verdict.startswith("1 counted but not listed")


def test_a_sample_that_could_not_be_read_is_not_forgotten(
    company: RunningSimulator, raw: Raw, verify: Verify
) -> None:
    raw.load(company)
    raw.drop(raw.some(1))
    match = {"operation": "query", "entity": "Invoice", "contains": "SELECT * FROM", "nth": 1}
    company.add_rules([{"match": match, "do": {"status": 500}}])
    finding = verify(company, INVOICES, repairs=True, payloads=5)[INVOICES]
    assert finding.verdict == "5 not sampled; 1 repaired"


def test_a_thousand_rows_cost_a_call_for_fifty(
    own_simulator: OwnSimulator, raw: Raw, verify: Verify
) -> None:
    company = own_simulator(counts={"Invoice": 1200})
    raw.load(company, INVOICES)
    raw.drop(raw.some(1000))
    company.clear_requests()
    finding = verify(company, INVOICES, repairs=True)[INVOICES]

    assert (finding.repaired, finding.agrees) == (1000, True)
    assert sum(operations(company).values()) <= 20 + 2 * 3 + 2


def test_what_was_missed_before_the_load_is_mended(
    company: RunningSimulator, raw: Raw, verify: Verify
) -> None:
    [ids] = company.edit(REALM, [{"op": "delete", "entity": "Invoice", "random": 2}])
    raw.load(company)
    for key in ids:
        raw.execute("INSERT INTO {} (realm_id, id) VALUES (%(realm)s, %(id)s)", realm=REALM, id=key)
    company.advance(3600)
    later = server_time(company) - timedelta(seconds=60)
    raw.execute("UPDATE {} SET extract_window_end_utc = %(to)s", to=later)

    finding = verify(company, INVOICES, repairs=True)[INVOICES]
    assert (finding.repaired, finding.agrees) == (2, True)
    assert raw.one("SELECT count(*) FROM {} WHERE deleted_at_utc IS NOT NULL") == 2
