"""The whole path: QBO, tap, Meltano, loader, PostgreSQL."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

import pytest
from quickbooks_simulator.server import CompanySpec, running_simulator

from pipeline.comparison import assert_equal, raw_rows
from pipeline.conftest import RAW, REALM, STOCK, Project, both_loaders, make_project

if TYPE_CHECKING:
    from pathlib import Path

    from quickbooks_simulator.server import RunningSimulator

EDITS = [
    {"op": "create", "entity": "Customer", "random": 3},
    {"op": "update", "entity": "Invoice", "random": 5},
    {"op": "touch", "entity": "Item", "random": 4},
    {"op": "deactivate", "entity": "Vendor", "random": 2},
    {"op": "void", "entity": "SalesReceipt", "random": 2},
    {"op": "delete", "entity": "Bill", "random": 3},
]


@both_loaders
def test_every_object_arrives_whole_and_a_second_run_reads_only_what_is_new(
    project: Project, company: RunningSimulator
) -> None:
    project.load()
    with project.connect() as connection:
        assert assert_equal(company, connection, REALM) > 2000

    before = project.state()
    assert len(before) == 41
    touched = company.edit(REALM, EDITS)
    company.advance(60)
    company.clear_requests()
    project.load()
    deleted = {"qb_bills": touched[5]}
    with project.connect() as connection:
        assert_equal(company, connection, REALM, deleted=deleted)
        assert {*touched[5]} <= raw_rows(connection, "qb_bills", REALM).keys()
    after = project.state()
    rare = {"qb_tax_classifications", "qb_exchange_rates"}
    for name, bookmark in before.items():
        key = "deletions_known_to" if bookmark.get("read_whole") else "replication_key_value"
        assert name in rare or bookmark[key] < after[name][key]
    calls = [entry.operation for entry in company.requests() if entry.operation != "token"]
    assert calls == ["cdc", "batch"]


@both_loaders
def test_deletions_mark_rows_and_leave_the_rest_alone(
    project: Project, company: RunningSimulator
) -> None:
    """Also of an object that was never loaded, with living rows of the stream around."""
    project.load()
    never = company.edit(REALM, [{"op": "create", "entity": "Invoice", "random": 1}])[0]
    company.edit(REALM, [{"op": "delete", "entity": "Invoice", "id": never[0]}])
    edits = [
        {"op": "delete", "entity": "Invoice", "random": 3},
        {"op": "update", "entity": "Invoice", "random": 3},
        {"op": "void", "entity": "Invoice", "random": 1},
        {"op": "deactivate", "entity": "Customer", "random": 1},
        {"op": "delete", "entity": "Customer", "random": 1},
        {"op": "delete", "entity": "RecurringTransaction", "random": 1},
    ]
    touched = company.edit(REALM, edits)
    company.advance(60)
    project.load()
    with project.connect() as connection:
        row = raw_rows(connection, "qb_invoices", REALM)[never[0]]
        connection.execute("DELETE FROM raw.qb_invoices WHERE id = %s", never)
        deleted = {
            "qb_invoices": touched[0],
            "qb_customers": touched[4],
            "qb_recurring_transactions": touched[5],
        }
        assert_equal(company, connection, REALM, deleted=deleted)
    assert row["payload"] is None
    assert row["deleted_at_utc"] is not None


@both_loaders
def test_loading_everything_again_changes_nothing(
    project: Project, company: RunningSimulator
) -> None:
    project.load()
    project.load("--full-refresh")
    with project.connect() as connection:
        assert_equal(company, connection, REALM)


@both_loaders
def test_a_killed_run_is_taken_up_where_it_was(
    tmp_path: Path, database: dict[str, str], loader: str
) -> None:
    spec = CompanySpec(realm_id=REALM, rows=6000, seed=3, country="ALL")
    with running_simulator([spec], rotation="strict", latency_ms=50) as company:
        project = make_project(tmp_path, database, company, loader=loader)
        for needed in (12, 30):
            company.clear_requests()
            # Meltano takes a killed run for one that still runs; --force says otherwise.
            command = ("meltano", "run", "--force", *project.pipeline)
            with project.start(*command) as process:
                while sum(entry.operation == "query" for entry in company.requests()) < needed:
                    assert process.poll() is None
                    time.sleep(0.02)
                os.killpg(process.pid, signal.SIGKILL)
        project.load("--force")
        with project.connect() as connection:
            assert_equal(company, connection, REALM)


@both_loaders
def test_a_us_company_lacks_some_entities_and_that_is_no_failure(
    tmp_path: Path, database: dict[str, str], loader: str
) -> None:
    spec = CompanySpec(realm_id=REALM, rows=600, seed=5, country="US")
    with running_simulator([spec], suspended_realms=[]) as company:
        project = make_project(tmp_path, database, company, loader=loader)
        output = project.load()
        assert "qb_tax_payments: not available in this company" in output
        with project.connect() as connection:
            assert_equal(
                company,
                connection,
                REALM,
                unavailable=("qb_tax_payments", "qb_journal_codes"),
            )


@both_loaders
def test_one_entitys_trouble_stays_its_own(project: Project, company: RunningSimulator) -> None:
    rule = {
        "match": {"operation": "query", "entity": "Invoice"},
        "times": None,
        "do": {"fault": "permission_denied_5020"},
    }
    company.add_rules([rule])
    code, output = project.meltano("run", *project.pipeline)
    assert code == 1
    assert "qb_invoices was not loaded completely" in output
    assert "intuit_tid" in output
    assert project.count("qb_invoices") == 0
    state = project.state()
    assert "replication_key_value" in state["qb_items"]
    assert "replication_key_value" not in state["qb_invoices"]
    company.clear_rules()
    project.load()
    with project.connect() as connection:
        assert_equal(company, connection, REALM)


def test_state_commands_do_what_a_meltano_user_expects(
    project: Project, company: RunningSimulator
) -> None:
    state_id = project.state_id
    only = {"TAP_QUICKBOOKS_RAW__SELECT": '["qb_customers.*"]'}
    project.load(**only)
    customers = project.count("qb_customers")
    bookmark = project.state()["qb_customers"]
    assert bookmark["realm_id"] == REALM

    company.clear_requests()
    project.load(**only)
    assert [entry.operation for entry in company.requests()] == ["cdc"]

    code, output = project.meltano("state", "clear", "--force", state_id)
    assert code == 0, output
    output = project.load(**only)
    assert f"qb_customers, all: {customers} rows" in output

    late = '{"singer_state": {"bookmarks": {"qb_customers": {"replication_key_value": "%s"}}}}'
    code, output = project.meltano("state", "merge", state_id, late % "2020-01-01T00:00:00Z")
    assert code == 0, output
    output = project.load(TAP_QUICKBOOKS_RAW_START_DATE="2026-06-20", **only)
    assert "qb_customers: 0 rows" not in output  # The bookmark is earlier than start_date.

    code, output = project.meltano("state", "set", "--force", state_id, late % "yesterday")
    assert code == 0, output
    code, output = project.meltano("run", *project.pipeline, **only)
    assert code == 1
    assert "bookmark of qb_customers is 'yesterday'" in output


def test_the_first_versions_jobs_have_one_stream_each_and_a_state_of_their_own(
    project: Project, company: RunningSimulator
) -> None:
    code, output = project.meltano(
        "run",
        "qb_customers_backfill",
        "--force",
        TAP_QUICKBOOKS_RAW_FECHA_INICIO="2016-01-01",
        TAP_QUICKBOOKS_RAW_FECHA_FIN="2018-01-01",
        TAP_QUICKBOOKS_RAW_CHUNK_DAYS="90",
    )
    assert code == 0, output
    with project.connect() as connection:
        rows = raw_rows(connection, "qb_customers", REALM).values()
    assert rows
    for row in rows:
        assert "2016" <= str(row["last_updated_utc"]) < "2018"
        length = row["extract_window_end_utc"] - row["extract_window_start_utc"]
        assert length.days <= 90
    state_id = "dev:tap-quickbooks-raw-customers-to-target-postgres-raw"
    assert project.state(state_id)["qb_customers"]["replication_key_value"].startswith("2018-01-01")
    assert {entry.entity for entry in company.requests() if entry.operation == "query"} == {
        "Customer"
    }


@both_loaders
def test_sslmode_require_refuses_a_server_without_tls(project: Project) -> None:
    code, output = project.meltano(
        "run", "tap-quickbooks-raw-items", project.loader, POSTGRES_SSLMODE="require"
    )
    assert code == 1
    assert "SSL" in output


@both_loaders
def test_a_database_out_of_reach_fails_the_run(project: Project) -> None:
    code, output = project.meltano(
        "run", "tap-quickbooks-raw-items", project.loader, POSTGRES_PORT="1"
    )
    assert code == 1
    assert "Connection refused" in output or "connection failed" in output
    assert project.state(f"dev:tap-quickbooks-raw-items-to-{project.loader}") == {}


@pytest.mark.parametrize("command", ["quickbooks-verify", "tap-quickbooks-raw"])
def test_help_and_about_need_neither_network_nor_token(project: Project, command: str) -> None:
    option = "--help" if command == "quickbooks-verify" else "--about"
    code, output = project.meltano("invoke", command, option, QB_REFRESH_TOKEN="")
    assert code == 0, output


def test_verification_agrees_after_a_load_and_not_before(
    project: Project, company: RunningSimulator
) -> None:
    code, output = project.meltano("invoke", "quickbooks-verify")
    assert code == 1
    assert "missing" in output
    project.load()
    code, output = project.meltano("invoke", "quickbooks-verify")
    assert code == 0, output
    assert "41 of 41 agree" in output
    # Of this one CDC tells no deletions.
    company.edit(REALM, [{"op": "delete", "entity": "TimeActivity", "random": 1}])
    code, output = project.meltano("invoke", "quickbooks-verify")
    assert code == 1
    assert "1 too many" in output


def test_a_sweep_marks_what_nobody_told(project: Project, company: RunningSimulator) -> None:
    project.load()
    deleted = company.edit(REALM, [{"op": "delete", "entity": "TimeActivity", "random": 2}])[0]
    company.advance(60)
    code, output = project.meltano("run", "quickbooks-sweep")
    assert code == 0, output
    with project.connect() as connection:
        assert_equal(company, connection, REALM, deleted={"qb_time_activities": deleted})


def test_what_has_not_changed_is_not_written(project: Project, company: RunningSimulator) -> None:
    project.load()
    written = "SELECT xmin::text, id FROM raw.qb_invoices ORDER BY id"
    with project.connect() as connection:
        before = connection.execute(written).fetchall()
        project.load("--full-refresh")
        assert connection.execute(written).fetchall() == before
        kinds = connection.execute(
            "SELECT DISTINCT data_type FROM information_schema.columns"
            " WHERE table_schema = 'raw' AND column_name = 'last_updated_utc'"
        ).fetchall()
        assert_equal(company, connection, REALM)
    assert kinds == [("timestamp with time zone",)]


@pytest.mark.parametrize("loaders", [(STOCK, RAW), (RAW, STOCK)])
def test_the_loaders_take_over_from_each_other(
    project: Project, company: RunningSimulator, loaders: tuple[str, str]
) -> None:
    project.loader, second = loaders
    project.load()
    first_state = project.state_id
    touched = company.edit(REALM, EDITS)
    company.advance(60)
    project.loader = second
    code, output = project.meltano("state", "copy", "--force", first_state, project.state_id)
    assert code == 0, output
    project.load()
    with project.connect() as connection:
        assert_equal(company, connection, REALM, deleted={"qb_bills": touched[5]})
