"""The schedules, by Meltano itself: what they load, what they refuse, and how they end."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from quickbooks_simulator.server import CompanySpec, running_simulator

from pipeline.conftest import REALM, make_project

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

    from quickbooks_simulator.server import RunningSimulator

    from pipeline.conftest import Project

HOURLY, WEEKLY, BACKFILL = (
    "quickbooks-hourly",
    "quickbooks-weekly-sweep",
    "quickbooks-backfill-once",
)
AGREED = "41 of 41 agree"


@pytest.fixture
def company() -> Iterator[RunningSimulator]:
    """A small company: what is tested here does not depend on its size."""
    spec = CompanySpec(realm_id=REALM, rows=200, seed=11, country="ALL")
    with running_simulator([spec], rotation="always") as simulator:
        yield simulator


@pytest.fixture
def slow(tmp_path: Path, database: dict[str, str]) -> Iterator[Project]:
    """A project whose company takes a while to be read."""
    spec = CompanySpec(realm_id=REALM, rows=20000, seed=11, country="ALL")
    with running_simulator([spec], rotation="always", latency_ms=3000) as simulator:
        project = make_project(tmp_path, database, simulator)
        project.extra["TAP_QUICKBOOKS_RAW_CONCURRENCY"] = "1"
        yield project


def marks(project: Project) -> list[tuple[int, bool, bool | None]]:
    """The backfills that the database knows of: runs, whether complete, whether verified."""
    with project.connect() as connection:
        return list(
            connection.execute(
                "SELECT runs, completed_at_utc IS NOT NULL, is_verified FROM raw.qb_backfills"
                " ORDER BY started_at_utc"
            )
        )


def backfill_state(project: Project) -> dict[str, dict]:
    """The bookmarks of the last backfill."""
    with project.connect() as connection:
        row = connection.execute("SELECT max(started_at_utc) FROM raw.qb_backfills").fetchone()
    assert row is not None
    return project.state(f"{project.state_id}:backfill-{row[0]:%Y%m%dT%H%M%SZ}")


def wait_for(process: subprocess.Popen[str], text: str) -> None:
    """Read the output until a text is in it."""
    assert process.stdout is not None
    seen = []
    for line in process.stdout:
        seen.append(line)
        if text in line:
            return
    pytest.fail(f"no {text!r} in:\n{''.join(seen)}")


def started_in(project: Project) -> set[int]:
    """The processes that have the project's folder for their working directory."""
    found = set()
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if entry.joinpath("cwd").readlink() == project.folder:
                found.add(int(entry.name))
        except OSError:
            continue
    return found


@contextlib.contextmanager
def running(project: Project, *command: str) -> Iterator[subprocess.Popen[str]]:
    """Start a command of the project; whatever of it is left at the end is killed."""
    with project.start(*command) as process:
        try:
            yield process
        finally:
            for pid in started_in(project):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def wait_for_end(pid: int) -> None:
    """Wait for the end of a process that is no child of this one."""
    with contextlib.suppress(ProcessLookupError):
        handle = os.pidfd_open(pid)
        try:
            assert select.select([handle], [], [], 60)[0]
        finally:
            os.close(handle)


def test_meltano_knows_the_three_schedules(project: Project) -> None:
    code, output = project.meltano("--log-level", "error", "schedule", "list", "--format=json")

    assert code == 0
    listed = json.loads(output)["schedules"]["job"]
    assert {(one["name"], one["interval"], one["job"]["name"]) for one in listed} == {
        (HOURLY, "@hourly", "quickbooks-to-raw"),
        (WEEKLY, "@weekly", "quickbooks-weekly"),
        (BACKFILL, "@once", "quickbooks-backfill-once"),
    }


def test_hourly_loads_what_is_new_and_verifies_nothing(
    project: Project, company: RunningSimulator
) -> None:
    assert project.meltano("schedule", "run", HOURLY)[0] == 0
    company.edit(REALM, [{"op": "touch", "entity": "Invoice", "random": 1}])
    company.advance(60)
    calls = company.meter(REALM).reads

    code, output = project.meltano("schedule", "run", HOURLY)

    assert code == 0, output
    assert AGREED not in output
    assert company.meter(REALM).reads - calls <= 5


def test_weekly_marks_what_nobody_told_and_verifies(
    project: Project, company: RunningSimulator
) -> None:
    assert project.meltano("schedule", "run", HOURLY)[0] == 0
    rows = project.count("qb_time_activities")
    company.edit(REALM, [{"op": "delete", "entity": "TimeActivity", "random": 1}])
    company.advance(60)

    code, output = project.meltano("schedule", "run", WEEKLY)

    assert code == 0, output
    assert AGREED in output
    assert project.count("qb_time_activities") == rows
    with project.connect() as connection:
        gone = connection.execute(
            "SELECT count(*) FROM raw.qb_time_activities WHERE deleted_at_utc IS NOT NULL"
        ).fetchone()
    assert gone == (1,)


@pytest.mark.parametrize("schedule", [WEEKLY, BACKFILL])
def test_the_verification_runs_though_the_load_has_failed(
    project: Project, company: RunningSimulator, schedule: str
) -> None:
    rule = {
        "match": {"operation": "query", "entity": "Invoice"},
        "times": None,
        "do": {"fault": "permission_denied_5020"},
    }
    company.add_rules([rule])

    code, output = project.meltano("schedule", "run", schedule)

    assert code == 1, output
    assert "The load failed; its last lines say why." in output
    assert "of 41 agree" in output
    if schedule == BACKFILL:
        assert "The backfill is not complete; the next start goes on from there." in output
        assert marks(project) == [(1, False, None)]


def test_a_backfill_goes_on_until_it_is_complete_and_then_rests(
    project: Project, company: RunningSimulator
) -> None:
    code, output = project.meltano(
        "schedule", "run", BACKFILL, TAP_QUICKBOOKS_RAW_MAX_API_CALLS="12"
    )
    assert code == 0, output
    assert "Stopped at a limit (max_api_calls: 12 calls are used)" in output
    assert "The backfill stopped at a limit; the next start goes on from there." in output
    assert "of 41 agree" in output
    assert marks(project) == [(1, False, None)]

    code, output = project.meltano("schedule", "run", BACKFILL)
    assert code == 0, output
    assert "goes on." in output
    assert "that began 20" in output
    assert AGREED in output
    assert "is complete." in output
    assert marks(project) == [(2, True, True)]
    assert backfill_state(project)

    reads = company.meter(REALM).reads
    code, output = project.meltano("schedule", "run", BACKFILL)
    assert code == 0, output
    assert f"The backfill of company (realm) {REALM} into this database was completed 20" in output
    assert "every entity agreed. Nothing was loaded." in output
    assert "QUICKBOOKS_BACKFILL_AGAIN=1" in output
    assert company.meter(REALM).reads == reads

    # The hourly runs go on from where the backfill has ended.
    company.advance(60)
    code, output = project.meltano("schedule", "run", HOURLY)
    assert code == 0, output
    assert company.meter(REALM).reads - reads <= 3

    code, output = project.meltano("invoke", "quickbooks-operate:backfill-once", "--again")
    assert code == 0, output
    assert marks(project) == [(2, True, True), (1, True, True)]
    assert company.meter(REALM).reads - reads > 20


@pytest.mark.parametrize(
    "command",
    [
        ("meltano", "schedule", "run", BACKFILL),
        ("python", "orchestrate/operate.py", "schedule", BACKFILL),
    ],
    ids=["schedule-run", "operate"],
)
def test_a_stopped_backfill_has_saved_its_state(slow: Project, command: tuple[str, ...]) -> None:
    with running(slow, *command) as process:
        wait_for(process, "rows in ")

        process.send_signal(signal.SIGTERM)

        process.communicate(timeout=60)
        assert process.returncode in {143, -signal.SIGTERM}
        if command[0] == "python":
            assert not started_in(slow)
        else:
            # Meltano itself has died at once; what it has started ends by itself.
            for pid in started_in(slow):
                wait_for_end(pid)
        assert backfill_state(slow)["qb_accounts"]["replication_key_value"]
        assert marks(slow) == [(1, False, None)]


def test_what_make_run_has_loaded_is_saved_when_it_is_stopped(slow: Project) -> None:
    with running(slow, "python", "orchestrate/run.py") as process:
        wait_for(process, "rows in ")

        process.send_signal(signal.SIGTERM)

        output, _ = process.communicate(timeout=60)
        assert process.returncode == 143
        assert "Stopped; what was loaded is saved" in output
        assert "of 41 agree" not in output
        assert not started_in(slow)
        assert slow.state()["qb_accounts"]["replication_key_value"]


def test_overlapping_runs_are_refused_and_a_killed_one_is_not_in_the_way(slow: Project) -> None:
    with running(slow, "python", "orchestrate/operate.py", "schedule", BACKFILL) as operate:
        wait_for(operate, "rows in ")

        for schedule in (HOURLY, WEEKLY, BACKFILL):
            code, output = slow.meltano("schedule", "run", schedule)
            assert code == 1, output
            assert (
                f"Another run of company (realm) {REALM} is in progress "
                "(quickbooks-operate:backfill-once, process "
            ) in output

        for pid in started_in(slow):
            os.kill(pid, signal.SIGKILL)
        operate.communicate(timeout=60)
        slow.extra["TAP_QUICKBOOKS_RAW_MAX_RUN_SECONDS"] = "3"
        code, output = slow.meltano("schedule", "run", HOURLY)
        assert code == 0, output
        assert "Stopped at a limit (max_run_seconds: 3 seconds are over)" in output


def test_two_hourly_runs_refuse_each_other(slow: Project) -> None:
    with running(slow, "python", "orchestrate/operate.py", "schedule", HOURLY) as first:
        wait_for(first, "rows in ")

        code, output = slow.meltano("schedule", "run", HOURLY)
        forced, words = slow.meltano("schedule", "run", HOURLY, "--force")

        assert code == 1, output
        assert "pipeline is already running" in output
        assert forced == 1, words
        assert "is in progress (tap-quickbooks-raw, process " in words
        first.send_signal(signal.SIGTERM)
        first.communicate(timeout=60)
        assert first.returncode == 143
        assert slow.state()["qb_accounts"]["replication_key_value"]


def test_the_scheduler_runs_what_is_due_and_ends_cleanly(project: Project, tmp_path: Path) -> None:
    heartbeat = tmp_path / "heartbeat"
    with running(
        project, "python", "orchestrate/scheduler.py", "--heartbeat", str(heartbeat)
    ) as scheduler:
        wait_for(scheduler, f"{BACKFILL} begins")
        assert heartbeat.exists()
        wait_for(scheduler, AGREED)
        wait_for(scheduler, f"{BACKFILL} ended after")

        scheduler.send_signal(signal.SIGTERM)

        scheduler.communicate(timeout=60)
        assert scheduler.returncode == 0
        assert marks(project) == [(1, True, True)]
        assert not heartbeat.exists()
        assert not started_in(project)


def test_the_scheduler_passes_the_signal_on(slow: Project) -> None:
    with running(slow, "python", "orchestrate/scheduler.py", "--only", BACKFILL) as scheduler:
        wait_for(scheduler, "rows in ")

        scheduler.send_signal(signal.SIGTERM)

        scheduler.communicate(timeout=60)
        assert scheduler.returncode == 0
        assert not started_in(slow)
        assert backfill_state(slow)["qb_accounts"]["replication_key_value"]


def test_the_scheduler_refuses_unknown_names(project: Project) -> None:
    with running(project, "python", "orchestrate/scheduler.py", "--only", "hourly") as scheduler:
        output, _ = scheduler.communicate(timeout=60)

        assert scheduler.returncode == 1
        assert "meltano.yml has no schedule hourly" in output
