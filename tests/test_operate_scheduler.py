"""The scheduler of containers: what runs when, and never two at once."""

from __future__ import annotations

import json
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from apscheduler.triggers.date import DateTrigger
from apscheduler.triggers.interval import IntervalTrigger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ORCHESTRATE = Path(__file__).resolve().parent.parent / "orchestrate"
HOURLY = ("hourly", "@hourly", "0 * * * *")
WEEKLY = ("weekly", "@weekly", "0 0 * * 0")
ONCE = ("once", "@once", None)


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ORCHESTRATE))
    import scheduler  # noqa: PLC0415  It is found only now.

    return scheduler


class Runs:
    """A runner that runs nothing, and tells what it was asked to."""

    def __init__(self, stopped: type[Exception]) -> None:
        self.names: list[str] = []
        self.begun = threading.Semaphore(0)
        self.may_end = threading.Semaphore(0)
        self.most_at_once = 0
        self.is_stopped = False
        self._stopped = stopped
        self._at_once = 0

    def run(self, *command: str) -> int:
        if self.is_stopped:
            raise self._stopped
        assert command[:3] == ("meltano", "schedule", "run")
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        self.names.append(command[3])
        self.begun.release()
        assert self.may_end.acquire(timeout=20)
        self._at_once -= 1
        if self.is_stopped:
            raise self._stopped
        return 0

    def stop(self) -> None:
        self.is_stopped = True
        self.may_end.release()


@pytest.fixture
def runs(module: Any) -> Runs:
    return Runs(module.Stopped)


@pytest.fixture
def start(module: Any, runs: Runs, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Starts a scheduler, and ends it after the test."""
    schedulers = []

    def begin(*schedules: tuple[str, str, str | None], heartbeat: Path | None = None) -> Any:
        scheduler = module.Scheduler(
            [module.Schedule(*one) for one in schedules],
            runs,
            tmp_path / "journal.json",
            heartbeat=heartbeat,
        )
        schedulers.append(scheduler)
        scheduler.start()
        return scheduler

    yield begin
    for scheduler in schedulers:
        if scheduler._times.running:
            scheduler.stop()


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("cron", "after", "due"),
    [
        ("0 * * * *", "2026-11-28T09:00:01", "2026-11-28T10:00"),
        ("*/15 8-9 * * *", "2026-11-28T09:46", "2026-11-29T08:00"),
        ("0 0 * * 0", "2026-11-28T09:00", "2026-11-29T00:00"),  # The next day is a Sunday.
        ("0 0 * * 7", "2026-11-28T09:00", "2026-11-29T00:00"),
        ("0 0 * * 1-5", "2026-11-28T09:00", "2026-11-30T00:00"),
        ("0 0 * * 5-7", "2026-11-30T09:00", "2026-12-04T00:00"),
        ("0 0 * * 0,3", "2026-11-29T09:00", "2026-12-02T00:00"),
        ("0 0 * * SAT", "2026-11-28T09:00", "2026-12-05T00:00"),
        ("0 0 * * */2", "2026-11-29T09:00", "2026-12-01T00:00"),
        ("0 0 1 * *", "2026-11-28T09:00", "2026-12-01T00:00"),
        ("0 0 3 * 0", "2026-11-29T09:00", "2026-12-03T00:00"),
        ("0 0 30 * 0", "2026-11-28T09:00", "2026-11-29T00:00"),
        ("0 0 1 1 *", "2026-11-28T09:00", "2027-01-01T00:00"),
    ],
)
def test_times_are_those_of_cron_in_utc(module: Any, cron: str, after: str, due: str) -> None:
    assert module.trigger_of(cron).get_next_fire_time(None, moment(after)) == moment(due)


@pytest.mark.parametrize(
    ("last", "now", "missed"),
    [
        (None, "2026-11-30T09:00", False),
        ("2026-11-28T09:00:05", "2026-11-29T00:00:01", True),
        ("2026-11-28T09:00:05", "2026-11-28T23:59:59", False),
        ("2026-11-29T00:00:00", "2026-11-29T00:00:05", False),
        ("2026-11-01T00:00:00", "2026-11-29T00:00:05", True),
    ],
    ids=["first-start", "missed", "not-yet", "just-run", "missed-often"],
)
def test_what_was_missed_while_nothing_ran_is_known(
    module: Any, last: str | None, now: str, *, missed: bool
) -> None:
    trigger = module.trigger_of("0 0 * * 0")

    assert module.is_missed(trigger, moment(last) if last else None, moment(now)) is missed


def test_a_missed_run_is_made_up_for_once(
    start: Callable[..., Any], runs: Runs, tmp_path: Path
) -> None:
    journal = tmp_path / "journal.json"
    journal.write_text(json.dumps({"weekly": "2026-01-01T00:00:00+00:00"}))
    start(WEEKLY, HOURLY)

    assert runs.begun.acquire(timeout=10)
    runs.may_end.release()

    assert not runs.begun.acquire(timeout=0.5)
    assert runs.names == ["weekly"]
    assert json.loads(journal.read_text())["weekly"] > "2026-11"


@pytest.mark.parametrize("journal", ["", "{", "[]", '{"weekly": 5}', '{"weekly": "x"}'])
def test_a_damaged_journal_stops_nothing(
    start: Callable[..., Any], runs: Runs, tmp_path: Path, journal: str
) -> None:
    (tmp_path / "journal.json").write_text(journal)
    start(WEEKLY, ONCE)

    assert runs.begun.acquire(timeout=10)
    assert runs.names == ["once"]


def test_what_runs_once_runs_at_the_start_and_goes_on_at_night(
    start: Callable[..., Any], runs: Runs
) -> None:
    scheduler = start(ONCE, HOURLY)

    assert runs.begun.acquire(timeout=10)
    runs.may_end.release()
    assert not runs.begun.acquire(timeout=0.5)
    assert runs.names == ["once"]
    due = scheduler._times.get_job("once").next_run_time
    assert (due.hour, due.minute) == (22, 30)
    assert due > datetime.now(UTC)


def test_schedules_run_one_at_a_time(
    module: Any, monkeypatch: pytest.MonkeyPatch, start: Callable[..., Any], runs: Runs
) -> None:
    monkeypatch.setattr(module, "trigger_of", lambda _: DateTrigger(timezone=UTC))
    start(ONCE, HOURLY, WEEKLY)

    for _ in range(3):
        assert runs.begun.acquire(timeout=10)
        assert not runs.begun.acquire(timeout=0.2)
        runs.may_end.release()

    assert sorted(runs.names) == ["hourly", "once", "weekly"]
    assert runs.most_at_once == 1


def test_times_that_pass_during_its_own_run_are_made_up_for_by_one_run(
    module: Any, monkeypatch: pytest.MonkeyPatch, start: Callable[..., Any], runs: Runs
) -> None:
    monkeypatch.setattr(module, "trigger_of", lambda _: IntervalTrigger(seconds=0.1, timezone=UTC))
    scheduler = start(HOURLY)
    assert runs.begun.acquire(timeout=10)
    until = time.monotonic() + 10
    while "hourly" not in scheduler._missed:
        assert time.monotonic() < until
    # No time passes any more.
    scheduler._times.pause()
    runs.may_end.release()

    assert runs.begun.acquire(timeout=10)
    runs.may_end.release()
    assert not runs.begun.acquire(timeout=0.5)
    assert runs.names == ["hourly", "hourly"]
    assert runs.most_at_once == 1


def test_asked_to_end_it_ends_the_run_and_begins_no_other(
    module: Any, monkeypatch: pytest.MonkeyPatch, start: Callable[..., Any], runs: Runs
) -> None:
    monkeypatch.setattr(module, "trigger_of", lambda _: DateTrigger(timezone=UTC))
    scheduler = start(ONCE, HOURLY, WEEKLY)
    assert runs.begun.acquire(timeout=10)

    scheduler.stop()

    assert len(runs.names) == 1


def test_asked_to_end_when_a_run_has_just_ended_it_ends(
    monkeypatch: pytest.MonkeyPatch, start: Callable[..., Any], runs: Runs
) -> None:
    scheduler = start(ONCE)
    stopping = threading.Thread(target=scheduler.stop, daemon=True)
    is_stopping = threading.Event()

    def note(*_: object) -> None:
        stopping.start()
        is_stopping.set()
        time.sleep(0.3)

    monkeypatch.setattr(scheduler, "_note", note)
    assert runs.begun.acquire(timeout=10)
    runs.may_end.release()

    assert is_stopping.wait(10)
    stopping.join(10)
    assert not stopping.is_alive()


def test_what_was_stopped_or_waited_is_made_up_for(
    start: Callable[..., Any], runs: Runs, tmp_path: Path
) -> None:
    journal = tmp_path / "journal.json"
    known = {"hourly": "2026-01-01T00:00:00+00:00", "weekly": "2026-01-01T00:00:00+00:00"}
    journal.write_text(json.dumps(known))
    scheduler = start(WEEKLY, HOURLY)
    assert runs.begun.acquire(timeout=10)

    scheduler.stop()

    assert len(runs.names) == 1
    assert json.loads(journal.read_text()) == known


def test_the_heartbeat_goes_on_during_a_run_and_ends_with_it(
    module: Any,
    monkeypatch: pytest.MonkeyPatch,
    start: Callable[..., Any],
    runs: Runs,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(module, "HEARTBEAT_SECONDS", 0.1)
    heartbeat = tmp_path / "heartbeat"
    scheduler = start(ONCE, heartbeat=heartbeat)
    assert runs.begun.acquire(timeout=10)
    first, until = heartbeat.stat().st_mtime_ns, time.monotonic() + 10
    while heartbeat.stat().st_mtime_ns == first:
        assert time.monotonic() < until

    scheduler.stop()

    assert not heartbeat.exists()
