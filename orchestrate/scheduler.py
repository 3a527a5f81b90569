"""A scheduler for containers and machines without cron: runs the schedules of `meltano.yml`.

One process serves one company, that of its environment, one run at a time.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from apscheduler.events import EVENT_JOB_MAX_INSTANCES
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.combining import OrTrigger
from apscheduler.triggers.cron import CronTrigger
from commands import PROJECT, Runner, Stopped, on_signals
from loading import environment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from apscheduler.triggers.base import BaseTrigger

ONCE = "@once"
# When it is started once more: complete, it only says so; until then it goes on.
NIGHTLY = "30 22 * * *"
HEARTBEAT_SECONDS = 10.0
# Cron's days of the week; APScheduler counts from Monday.
DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat", "sun")

logger = logging.getLogger("scheduler")


class Schedule(NamedTuple):
    """A schedule of `meltano.yml`.

    Attributes:
        name: Its name.
        interval: Its interval as written there.
        cron: The interval as a cron expression; None for one without times.
    """

    name: str
    interval: str
    cron: str | None


class Scheduler:
    """Runs schedules at their times, one at a time.

    A time that passes while its schedule is under way, or while nothing ran here, is made up for
    by one run.

    Args:
        schedules: What to run.
        runner: Runs Meltano.
        journal: A file in which the last starts are kept.
        heartbeat: A file that is touched as long as the scheduler lives.
    """

    def __init__(
        self,
        schedules: Sequence[Schedule],
        runner: Runner,
        journal: Path,
        *,
        heartbeat: Path | None = None,
    ) -> None:
        self._schedules = schedules
        self._runner = runner
        self._journal = journal
        self._heartbeat = heartbeat
        self._missed: set[str] = set()
        self._turn = threading.Lock()
        self._times = BackgroundScheduler(
            timezone=UTC,
            executors={"default": ThreadPoolExecutor(1), "heartbeat": ThreadPoolExecutor(1)},
            job_defaults={"coalesce": True, "misfire_grace_time": None, "max_instances": 1},
        )
        self._times.add_listener(
            lambda event: self._missed.add(event.job_id), EVENT_JOB_MAX_INSTANCES
        )

    def start(self) -> None:
        """Begin; what runs once, and what was missed, begins now."""
        starts = self._starts()
        for schedule in self._schedules:
            is_once = schedule.interval == ONCE
            if is_once or schedule.cron:
                trigger = trigger_of(schedule.cron or NIGHTLY)
                timing: dict[str, Any] = {}
                if is_once:
                    timing["next_run_time"] = datetime.now(UTC)
                elif is_missed(trigger, starts.get(schedule.name), datetime.now(UTC)):
                    logger.info("%s was missed; it runs now", schedule.name)
                    timing["next_run_time"] = datetime.now(UTC)
                self._times.add_job(
                    self.run, trigger, id=schedule.name, args=[schedule.name], **timing
                )
        if self._heartbeat:
            self._beat(self._heartbeat)
        self._times.start()
        for schedule in self._schedules:
            job = self._times.get_job(schedule.name)
            logger.info("%s runs next at %s", schedule.name, moment(job and job.next_run_time))

    def run(self, name: str) -> None:
        """Run a schedule, and once more if its time came meanwhile."""
        with contextlib.suppress(Stopped), self._turn:
            self._run(name)
            while name in self._missed:
                logger.info("%s was due while it ran; it runs again", name)
                self._run(name)

    def _run(self, name: str) -> None:
        self._missed.discard(name)
        logger.info("%s begins", name)
        start, began = datetime.now(UTC), time.monotonic()
        code = self._runner.run("meltano", "schedule", "run", name)
        # Now, since one that was stopped, or waited for its turn, is made up for.
        self._note(name, start)
        job = self._times.get_job(name)
        logger.log(
            logging.ERROR if code else logging.INFO,
            "%s ended after %.0f s with exit code %d; next %s",
            name,
            time.monotonic() - began,
            code,
            moment(job and job.next_run_time),
        )

    def stop(self) -> None:
        """End the run under way, and wait for its end."""
        self._runner.stop()
        # It would wait for a run's last words with the lock that they need.
        self._times.shutdown(wait=False)
        with self._turn:
            pass
        if self._heartbeat:
            self._heartbeat.unlink(missing_ok=True)

    def _beat(self, heartbeat: Path) -> None:
        """Touch the file now, and again and again beside the runs."""
        heartbeat.touch()
        self._times.add_job(
            heartbeat.touch, "interval", seconds=HEARTBEAT_SECONDS, executor="heartbeat"
        )

    def _starts(self) -> dict[str, datetime]:
        with contextlib.suppress(OSError, ValueError, AttributeError, TypeError):
            return {
                name: datetime.fromisoformat(start)
                for name, start in json.loads(self._journal.read_text()).items()
            }
        return {}

    def _note(self, name: str, start: datetime) -> None:
        starts = {key: known.isoformat() for key, known in self._starts().items()}
        starts[name] = start.isoformat()
        written = self._journal.with_suffix(".new")
        try:
            self._journal.parent.mkdir(parents=True, exist_ok=True)
            written.write_text(json.dumps(starts))
            written.replace(self._journal)
        except OSError as error:
            logger.warning("%s cannot be written (%s)", self._journal, error.strerror)


def trigger_of(cron: str) -> BaseTrigger:
    """Return what fires when a cron expression says so, in UTC.

    As in cron, a day of the month and a day of the week, both given, are alternatives.
    """
    minute, hour, day, month, weekday = cron.split()
    weekday = ",".join(day_names(part) for part in weekday.split(","))
    times = {"minute": minute, "hour": hour, "month": month, "timezone": UTC}
    if day != "*" and weekday != "*":
        return OrTrigger([CronTrigger(day=day, **times), CronTrigger(day_of_week=weekday, **times)])
    return CronTrigger(day=day, day_of_week=weekday, **times)


def day_names(part: str) -> str:
    """Turn cron's numbers of weekdays into names, as in ``1-5``, ``0`` or ``*/2``."""
    days, _, step = part.partition("/")
    if days == "*" and step:
        days = "0-6"
    if not days[0].isdigit():
        return part.lower()
    first, _, last = days.partition("-")
    end = int(last or (6 if step else first))
    return ",".join(DAYS[number] for number in range(int(first), end + 1, int(step or 1)))


def is_missed(trigger: BaseTrigger, last: datetime | None, now: datetime) -> bool:
    """Whether a time has passed since the last start; never if there was no start."""
    if last is None:
        return False
    due = trigger.get_next_fire_time(last, last)
    return due is not None and due <= now


def schedules_of(runner: Runner) -> list[Schedule]:
    """Ask Meltano for the schedules."""
    told = runner.output("meltano", "--log-level", "error", "schedule", "list", "--format=json")
    return [
        Schedule(entry["name"], entry["interval"], entry["cron_interval"])
        for kind in json.loads(told)["schedules"].values()
        for entry in kind
    ]


def moment(instant: datetime | None) -> str:
    """An instant for reading."""
    return f"{instant.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}" if instant else "never"


def parser() -> argparse.ArgumentParser:
    """The command line."""
    options = argparse.ArgumentParser(
        prog="scheduler.py",
        description="Run the schedules of meltano.yml at their times (UTC), one at a time, for "
        "the company of the environment. SIGTERM ends a run that is under way, and waits for it.",
    )
    options.add_argument(
        "--heartbeat",
        type=Path,
        metavar="FILE",
        help=f"touch this file every {HEARTBEAT_SECONDS:g} s, for a health check",
    )
    options.add_argument(
        "--only", nargs="+", default=[], metavar="NAME", help="run these schedules only"
    )
    return options


def main() -> int:
    """Run schedules until a signal comes; return the exit code."""
    options = parser().parse_args()
    logging.basicConfig(format="%(asctime)sZ %(message)s", level=logging.INFO)
    logging.Formatter.converter = time.gmtime
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
    variables = environment()
    runner = Runner(variables)
    schedules = schedules_of(runner)
    if unknown := set(options.only) - {schedule.name for schedule in schedules}:
        logger.error("meltano.yml has no schedule %s", ", ".join(sorted(unknown)))
        return 1
    chosen = [one for one in schedules if not options.only or one.name in options.only]
    realm = variables.get("QB_REALM_ID") or variables.get("TAP_QUICKBOOKS_RAW_REALM_ID") or "any"
    journal = PROJECT / ".meltano" / "run" / f"scheduler-{realm}.json"
    scheduler = Scheduler(chosen, runner, journal, heartbeat=options.heartbeat)
    is_over = threading.Event()
    on_signals(is_over.set)
    scheduler.start()
    is_over.wait()
    logger.info("Stopping")
    scheduler.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
