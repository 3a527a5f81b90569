"""One run for one company: what all its streams share."""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tap_quickbooks_raw.auth import Authenticator
from tap_quickbooks_raw.client import QuickBooksClient
from tap_quickbooks_raw.company import CompanyReader
from tap_quickbooks_raw.entities import ENTITIES
from tap_quickbooks_raw.exceptions import Interrupted
from tap_quickbooks_raw.following import Follower
from tap_quickbooks_raw.limiter import Limiter
from tap_quickbooks_raw.metrics import expose_progress, record_run
from tap_quickbooks_raw.planning import Planner, ReadingSettings
from tap_quickbooks_raw.policy import Budget, RetryPolicy
from tap_quickbooks_raw.progress import Progress
from tap_quickbooks_raw.read_ahead import in_thread
from tap_quickbooks_raw.token_endpoint import Credentials
from tap_quickbooks_raw.token_stores import open_store

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tap_quickbooks_raw.exceptions import BudgetReached, EntityError
    from tap_quickbooks_raw.metrics import Command, Outcome
    from tap_quickbooks_raw.planning import Task
    from tap_quickbooks_raw.settings import Settings

logger = logging.getLogger("tap-quickbooks-raw.run")


class Run:
    """Wires client, limits and reader together; keeps what happened.

    Args:
        settings: Valid settings.
        limiter: The ceilings; by default Intuit's, as the settings have them.

    Attributes:
        failures: Streams that failed for good or are not complete, with the error.
        limit: The budget that was used up, if one was.
        progress: Records emitted, and how many are expected.
        deletions: Deleted objects reported so far.
        command: What it is for.
        selected: The streams to be read, once they are known; None for all.
        is_over: Whether it has come to its end, or cleanly to that of its budget.
        began: When it began, by the clock of this machine.
    """

    def __init__(self, settings: Settings, limiter: Limiter | None = None) -> None:
        self.settings = settings
        self.failures: dict[str, EntityError] = {}
        self.limit: BudgetReached | None = None
        self.progress = Progress()
        self.deletions = 0
        self.command: Command = "sync"
        self.selected: list[str] | None = None
        self.is_over = False
        self._is_concluded = False
        self.began = datetime.now(UTC)
        self._started = time.monotonic()
        self._interrupted: Interrupted | None = None
        self._follower: Follower | None = None
        self._reader: CompanyReader | None = None
        self._budget = Budget(calls=settings.max_api_calls, seconds=settings.max_run_seconds)
        self.client = QuickBooksClient(
            settings.api_url,
            settings.realm_id,
            auth=Authenticator(
                Credentials(
                    settings.client_id,
                    settings.client_secret,
                    settings.realm_id,
                    settings.refresh_token,
                ),
                settings.token_url,
                store=open_store(settings),
                environment=settings.environment,
            ),
            limiter=limiter
            or Limiter(concurrency=settings.concurrency, per_minute=settings.requests_per_minute),
            policy=RetryPolicy(attempts=settings.max_attempts),
            minor_version=settings.minor_version,
            budget=self._budget,
        )

    @property
    def rows(self) -> int:
        """Records emitted so far."""
        return self.progress.rows

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._started

    @property
    def outcome(self) -> Outcome:
        """How it has ended; whatever nobody has thought of is a failure."""
        if not self.is_over and self._interrupted is not None:
            return "interrupted"
        if not self.is_over or self.failures:
            return "failed"
        return "complete" if self.limit is None else "limit"

    def count(self, stream: str, rows: int) -> str | None:
        """Count rows that were emitted; return what to say about the run if it is time to."""
        told = self.progress.add(stream, rows)
        if told is not None:
            expose_progress(self)
        return told

    def planner(self, tasks: Sequence[Task]) -> Planner:
        """Return what plans this run without reading."""
        return Planner(self.client, self.reading, tasks=tasks)

    def follower(self, tasks: Sequence[Task]) -> Follower:
        """Return what has changed since the last run; the first call asks for it."""
        if self._follower is None:
            if len(tasks) < len(ENTITIES):
                self.selected = [task.entity.stream for task in tasks]
            follower = Follower(
                self.client,
                self.reading,
                tasks,
                rarely=self.settings.rarely_read,
                by_cdc=self.settings.incremental_method == "cdc",
            )
            in_thread(follower.ask, check=self.check)
            self._follower = follower
        return self._follower

    def reader(self, tasks: Sequence[Task]) -> CompanyReader:
        """Return the reader of what is left to read; the first call begins to read."""
        if self._reader is None:
            left = self.follower(tasks).left
            reader = CompanyReader(self.client, self.reading, tasks=left, check=self.check)
            if left:
                reader.begin()
            self.progress.begin(reader.expected)
            self._reader = reader
        return self._reader

    @property
    def reading(self) -> ReadingSettings:
        """How to read the company."""
        return ReadingSettings(
            page_size=self.settings.page_size,
            concurrency=self.settings.concurrency,
            chunk_days=self.settings.chunk_days,
            end=self.settings.end,
            settle=self.settings.settle,
        )

    @property
    def clock(self) -> datetime:
        """The time when the run began, as QBO tells it."""
        return (self.client.clock or self.began).replace(microsecond=0)

    @property
    def settled(self) -> datetime:
        """Up to when everything is settled, whatever `end_date` is."""
        return self.clock - self.settings.settle

    def interrupt(self, signal_number: int) -> None:
        """Ask the run to stop; safe in a signal handler."""
        self._interrupted = Interrupted(signal_number)
        self.client.halt(self._interrupted)

    def check(self) -> None:
        """Raise what ends all waiting.

        Raises:
            Interrupted: The run has been asked to stop.
            BudgetReached: Its time is over, and was not even enough for what is under way.
        """
        if self._interrupted is not None:
            raise self._interrupted
        self._budget.check_overdue()

    def close(self) -> None:
        """End the threads; a refresh of the tokens that is under way is waited for."""
        if self._reader is not None:
            self._reader.close()
        self.client.close()

    def conclude(self) -> None:
        """End the threads, and tell once what was done, however the run has ended."""
        self.close()
        if self._is_concluded:
            return
        self._is_concluded = True
        record = record_run(self, command=self.command, outcome=self.outcome)
        if self.command == "sync":
            logger.info("%s", record.line)
            logger.info("%s", record.summary)
