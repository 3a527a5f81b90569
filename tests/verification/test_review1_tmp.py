from __future__ import annotations

import json
from datetime import timedelta

import pytest
from tap_quickbooks_raw.entities import BY_STREAM

from tests.conftest import REALM
from tests.verification.conftest import disagreeing, operations, server_time, source_rows
from tests.verification.test_counts import counted

INVOICES, CUSTOMERS = "qb_invoices", "qb_customers"


@pytest.fixture
def company(own_simulator):
    return own_simulator(counts={"Invoice": 60, "Customer": 40, "Item": 20, "InventoryAdjustment": 8})


def test_1_find_error(company, raw, verify):
    raw.load(company)
    [key] = raw.some(1)
    raw.execute("UPDATE {} SET deleted_at_utc = now() WHERE id = %(id)s", id=key)
    company.add_rules([{"match": {"entity": "Invoice", "contains": "Id IN ("}, "do": {"status": 500}, "times": None}])
    f = verify(company, ids=True)
    print(disagreeing(f))
    assert list(disagreeing(f)) == [INVOICES]


def test_1b_find_error_newer(company, raw, verify):
    raw.load(company)
    ahead = "UPDATE {} SET last_updated_utc = last_updated_utc + interval '1 h' WHERE id = %(id)s"
    raw.execute(ahead, id=raw.some(1)[0])
    company.add_rules([{"match": {"entity": "Invoice", "contains": "Id IN ("}, "do": {"status": 500}, "times": None}])
    f = verify(company, ids=True)
    print(disagreeing(f))
    assert list(disagreeing(f)) == [INVOICES]


def hide(company, n=60):
    rows = sorted(source_rows(company, BY_STREAM[INVOICES]), key=lambda row: int(row.id))
    listed = ",".join(bytes(row.payload).decode() for row in rows[:-1])
    match = {"operation": "count", "entity": "Invoice"}
    for position, objects in ((1, f'"Invoice":[{listed}]'), (n, "")):
        body = f'{{"QueryResponse":{{{objects}}}}}'
        answer = {"status": 200, "body": body, "content_type": "application/json"}
        text = f"STARTPOSITION {position} MAXRESULTS {n + 1}"
        match = {"operation": "query", "entity": "Invoice", "contains": text}
        company.add_rules([{"match": match, "do": answer, "times": None}])
    return rows[-1].id


def test_2_not_listed_but_stale(company, raw, verify):
    raw.load(company)
    key = hide(company)
    raw.execute("UPDATE {} SET last_updated_utc = last_updated_utc - interval '1 d' WHERE id = %(id)s", id=key)
    f = verify(company, INVOICES, ids=True)[INVOICES]
    print(f.verdict, f.explanations)
    assert "newer" in f.verdict


def test_3_repair_forgets(company, raw, verify):
    raw.load(company)
    hidden = hide(company)
    raw.execute("UPDATE {} SET last_updated_utc = last_updated_utc - interval '1 d' WHERE id = %(id)s", id=min(raw.some(60), key=int))
    f = verify(company, INVOICES, repairs=True)[INVOICES]
    print(f.verdict, f.explanations)
    assert not f.agrees


def test_5_windows_net_zero(company, raw, verify):
    raw.load(company)
    [key] = raw.some(1)
    raw.execute("UPDATE {} SET id = 'ghost', last_updated_utc = last_updated_utc - interval '90 d' WHERE id = %(id)s", id=key)
    f = verify(company, INVOICES, windows="month")[INVOICES]
    print(f.verdict, f.explanations)
    assert not f.agrees


def test_6_runs_garbage(company, raw, verify, tmp_path):
    raw.load(company)
    p = tmp_path / "runs.jsonl"
    p.write_bytes(b'\xff\xfe\x00\n{"command":"sync","outcome":"\xff","realm_id":"1","started_at":"0001-01-01T00:00:00Z"}\n' + b"[" * 5000 + b"\n"
      + b'{"command":"sync","outcome":"complete","realm_id":"%b","started_at":"0001-01-01T00:00:00Z"}\n' % REALM.encode())
    assert disagreeing(verify(company, runs_file=str(p))) == {}


@pytest.mark.parametrize("ids", [False, True])
def test_7_bare_dates(company, raw, verify, ids):
    raw.load(company)
    rows = source_rows(company, BY_STREAM["qb_inventory_adjustments"])
    print([r.stamp for r in rows])
    mid = sorted(r.stamp.moment for r in rows)[4] + timedelta(days=1)
    f = verify(company, "qb_inventory_adjustments", ids=ids, start_date=mid.date().isoformat())
    print({s: (x.verdict, x.rows, x.raw_rows, x.explanations) for s, x in f.items()})
    assert disagreeing(f) == {}


@pytest.mark.parametrize("ids", [False, True])
def test_7c_bare_dates_end(company, raw, verify, ids):
    raw.load(company)
    rows = source_rows(company, BY_STREAM["qb_inventory_adjustments"])
    mid = sorted(r.stamp.moment for r in rows)[4] + timedelta(days=1)
    f = verify(company, "qb_inventory_adjustments", ids=ids, end_date=mid.date().isoformat())
    print({s: (x.verdict, x.rows, x.raw_rows, x.explanations) for s, x in f.items()})
    assert disagreeing(f) == {}


def test_7b_bare_dates_no_filter(company, raw, verify):
    raw.load(company)
    company.configure(no_time_filter=["InventoryAdjustment"])
    rows = source_rows(company, BY_STREAM["qb_inventory_adjustments"])
    mid = sorted(r.stamp.moment for r in rows)[4] + timedelta(days=1)
    f = verify(company, "qb_inventory_adjustments", start_date=mid.date().isoformat())
    print({s: (x.verdict, x.rows, x.raw_rows, x.explanations) for s, x in f.items()})
    assert disagreeing(f) == {}


@pytest.mark.parametrize("ids", [False, True])
def test_7d_bare_dates_added(company, raw, verify, ids):
    raw.load(company)
    company.edit(REALM, [{"op": "create", "entity": "InventoryAdjustment"}])
    f = verify(company, "qb_inventory_adjustments", ids=ids)
    print({s: (x.verdict, x.rows, x.raw_rows, x.explanations) for s, x in f.items()})
    assert disagreeing(f) == {}


@pytest.mark.parametrize("ids", [False, True])
def test_7e_bare_dates_deleted(company, raw, verify, ids):
    raw.load(company)
    company.edit(REALM, [{"op": "delete", "entity": "InventoryAdjustment", "random": 1}])
    f = verify(company, "qb_inventory_adjustments", ids=ids)
    print({s: (x.verdict, x.rows, x.raw_rows, x.explanations) for s, x in f.items()})
    assert disagreeing(f) == {}


def test_8_create_while_listed(company, raw, verify):
    raw.load(company)
    edits = [{"op": "create", "entity": "Invoice"}]
    company.add_rules([{"match": {"operation": "count", "entity": "Invoice", "nth": 1}, "before": edits, "do": {}}])
    company.add_rules([{"match": {"operation": "batch", "nth": 2}, "before": edits, "do": {}}])
    f = verify(company, INVOICES, ids=True)
    print({s: (x.verdict, x.explanations) for s, x in f.items()}, operations(company))
    assert disagreeing(f) == {}


def test_13_many_gone(own_simulator, raw, verify):
    company = own_simulator(counts={"TimeActivity": 1100})
    s = "qb_time_activities"
    raw.load(company, s)
    company.edit(REALM, [{"op": "delete", "entity": "TimeActivity", "random": 1050}])
    f = verify(company, s, repairs=True, is_sure=True)[s]
    print(f.verdict, f.explanations)
    assert f.agrees


