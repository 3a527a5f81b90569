"""What has changed since the last run, for two calls.

One call of change data capture (see `cdc`) asks for all entities that it covers, and one batch
of queries (see `unchanged`) for the others. What they prove is emitted as it is. Objects are
taken from the half-open window of the run, ``[bookmark, settled end)``: what changes behind the
end is left to the next run.

A stream of which nothing is proven here loses nothing: it is read by windows from its bookmark,
and its deletions are asked for again from where they were last known. Where that is not
possible (too many, too long ago) the state says so, and a sweep finds them.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from tap_quickbooks_raw.bookmarks import (
    CDC_REFUSED_AT,
    CHECKED_AT,
    DELETIONS_KNOWN_TO,
    DELETIONS_UNKNOWN_BEFORE,
    WHOLE_DIGEST,
)
from tap_quickbooks_raw.cdc import LOOK_BACK, ChangeData, Span
from tap_quickbooks_raw.changes import MOST_OBJECTS, Deletions
from tap_quickbooks_raw.entities import Cdc
from tap_quickbooks_raw.exceptions import BudgetReached
from tap_quickbooks_raw.pages import Page
from tap_quickbooks_raw.unchanged import ask_queries, digest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tap_quickbooks_raw.cdc import Reply
    from tap_quickbooks_raw.changes import Deletion
    from tap_quickbooks_raw.client import QuickBooksClient
    from tap_quickbooks_raw.pages import Row, Stamp
    from tap_quickbooks_raw.planning import ReadingSettings, Task

logger = logging.getLogger("tap-quickbooks-raw.following")

# CDC is not asked for what is almost too old for it.
REACH = LOOK_BACK - timedelta(days=1)
# An entity that CDC has refused is asked for again after so long.
PATIENCE = timedelta(days=1)
_EVER = datetime.min.replace(tzinfo=UTC)
SWEEP = "`meltano invoke quickbooks-verify:sweep`"


class Follower:
    """Asks what has changed, and keeps what is proven.

    Args:
        client: Sends the requests.
        settings: How the company is read.
        tasks: The streams of the run.
        rarely: How long what changes seldom is left alone.
        by_cdc: Whether to ask; if not, everything is left to windows.

    Attributes:
        end: Up to when changes are told, exclusive.
        told: What to emit of the streams that need not be read otherwise; None for nothing.
        deleted: Deletions to emit, by stream.
        known: Streams whose deletions up to the end are all among them.
        gaps: Streams of which earlier deletions can only be found by a sweep.
        resting: Streams that are left alone in this run.
    """

    def __init__(
        self,
        client: QuickBooksClient,
        settings: ReadingSettings,
        tasks: Sequence[Task],
        *,
        rarely: timedelta,
        by_cdc: bool,
    ) -> None:
        self._client = client
        self._settings = settings
        self._tasks = tasks
        self._rarely = rarely
        self._by_cdc = by_cdc
        self._now = datetime.now(UTC)  # Until QBO has told its time.
        self._data = ChangeData(client)
        self._digests: dict[str, str] = {}
        self.end = settings.settled(self._now)
        self.told: dict[str, Page | None] = {}
        self.deleted: dict[str, Deletions] = {}
        self.known: set[str] = set()
        self.gaps: set[str] = set()
        self.resting: set[str] = set()

    @property
    def left(self) -> list[Task]:
        """The streams that have to be read by windows."""
        done = self.told.keys() | self.resting
        return [task for task in self._tasks if task.entity.stream not in done]

    def ask(self) -> None:
        """Ask, and sort what is told."""
        if self._by_cdc:
            # What is told until the budget is used up is emitted; the rest raises it again.
            with suppress(BudgetReached):
                self._data.ask(
                    Span(since, task) for task in self._tasks if (since := self._since(task))
                )
                by_query = [task for task in self._tasks if self._is_by_query(task)]
                small = [task for task in by_query if self._is_small(task)]
                self.told = ask_queries(self._client, self._settings, small)
            self._now = self._client.clock or self._now
            self.end = self._settings.settled(self._now)
            for reply in self._data.replies.values():
                self._take(reply)
            for reply in self._data.cut.values():
                self._take_deleted(reply)
            self._leave_out_what_is_the_same()
            self._find_gaps()
        for task in self._tasks:
            checked = task.bookmark.checked_at
            if checked is not None and abs(self._now - checked) < self._rarely:
                self.resting.add(task.entity.stream)

    def note_living(self, stream: str, rows: Sequence[Row]) -> None:
        """Note that objects live, whatever was told of them before."""
        if stream not in self.deleted:
            return
        living = {row.id: row.stamp for row in rows}
        deleted = self.deleted[stream]
        deleted.objects[:] = [
            each
            for each in deleted.objects
            if each.id not in living or not _is_newer(living[each.id], than=each.stamp)
        ]

    def refusal(self, task: Task, clock: datetime) -> dict[str, datetime]:
        """Return what the state has to say of a stream that CDC has refused."""
        return {CDC_REFUSED_AT: clock} if task.entity.stream in self._data.refused else {}

    def notes(self, task: Task, clock: datetime) -> dict[str, datetime | str | None]:
        """Return what the state has to say of a stream once all of it has been emitted.

        Args:
            task: The stream.
            clock: The time now, as QBO tells it.
        """
        stream, known = task.entity.stream, task.bookmark.deletions_known_to
        notes: dict[str, datetime | str | None] = {
            CHECKED_AT: clock if task.entity.is_rare else None,
            WHOLE_DIGEST: self._digests.get(stream) if stream in self.told else None,
        }
        if stream in self.gaps:
            settled = clock - self._settings.settle
            notes |= {DELETIONS_KNOWN_TO: settled, DELETIONS_UNKNOWN_BEFORE: settled}
        elif stream in self.known:
            notes[DELETIONS_KNOWN_TO] = max(self.end, known or self.end)
        if stream in self._data.replies:
            notes[CDC_REFUSED_AT] = None
        return notes | self.refusal(task, clock)

    def _is_by_query(self, task: Task) -> bool:
        """Whether what lives is asked for by query, with or without CDC."""
        bookmark = task.bookmark
        if bookmark.checked_at or not bookmark.is_read:
            return False
        is_told = task.entity.cdc is Cdc.SEEN and task.entity.stream not in self._data.silent
        return not is_told or bookmark.read_whole is not None or self._is_refused(task)

    def _is_small(self, task: Task) -> bool:
        """Whether an entity that has to be read whole fits into the answer to a query."""
        return (task.bookmark.read_whole or 0) < self._settings.page_size

    def _is_refused(self, task: Task) -> bool:
        refused = task.bookmark.cdc_refused_at
        return refused is not None and abs(self._now - refused) < PATIENCE

    def _since(self, task: Task) -> datetime | None:
        """From when on CDC is to be asked; None if it has nothing to tell."""
        bookmark = task.bookmark
        if task.entity.cdc is Cdc.NO or bookmark.checked_at or self._is_refused(task):
            return None
        oldest = self._now - REACH
        known, read = bookmark.deletions_known_to, bookmark.read_to
        if known is not None and known < oldest:
            known = None
        if self._is_by_query(task):
            return known
        # What has not been read yet, at the end of a first load, is no change.
        if read is None or read < (known or oldest):
            return None
        return known or read

    def _take(self, reply: Reply) -> None:
        """Sort what CDC has told of an entity."""
        task, stream = reply.span.task, reply.span.stream
        living = [row for row in reply.changes.living if self._is_between(row, task.start)]
        if self._is_by_query(task):
            found = self.told.get(stream)
            known = {(row.id, row.stamp) for row in found.rows} if found else set()
            if any((row.id, row.stamp) not in known for row in living):
                # The query has not found what CDC knows.
                self.told.pop(stream, None)
        else:
            living.sort(key=lambda row: row.stamp.moment if row.stamp else self._now)
            page = Page(living, reply.received_at, "cdc", None, MOST_OBJECTS, params=reply.params)
            self.told[stream] = page if living else None
        self._take_deleted(reply)
        deletions_known_to = task.bookmark.deletions_known_to
        is_followed = deletions_known_to and reply.span.since <= deletions_known_to
        if is_followed and stream not in self._data.mute:
            self.known.add(stream)

    def _take_deleted(self, reply: Reply) -> None:
        living = {row.id: row.stamp for row in reply.changes.living}
        deleted = [
            each
            for each in reply.changes.deleted
            # An older one than was asked for must have become known later.
            if self._is_between(each, _EVER) and not _is_newer(living.get(each.id), than=each.stamp)
        ]
        deleted.sort(key=lambda each: each.stamp.moment if each.stamp else self._now)
        if deleted:
            self.deleted[reply.span.stream] = Deletions(deleted, reply.received_at)

    def _is_between(self, change: Row | Deletion, start: datetime) -> bool:
        """Whether a change belongs into this run; one without an exact time always does."""
        stamp = change.stamp
        return stamp is None or not stamp.exact or start <= stamp.moment < self.end

    def _leave_out_what_is_the_same(self) -> None:
        """Do not emit again what was taken whole, and is what it was."""
        for task in self._tasks:
            stream, bookmark = task.entity.stream, task.bookmark
            page = self.told.get(stream)
            if page is not None and bookmark.read_whole is not None:
                self._digests[stream] = digest(page.rows)
                if self._digests[stream] == bookmark.whole_digest:
                    self.told[stream] = None

    def _find_gaps(self) -> None:
        """Note what can no longer be told, and say so once."""
        refused = self._data.refused
        new = [
            task.entity.stream
            for task in self._tasks
            if task.entity.stream in refused and not task.bookmark.cdc_refused_at
        ]
        if new:
            logger.warning(
                "CDC does not tell the changes of %s (%s): they are read by query, and %s finds "
                "deletions",
                ", ".join(new),
                refused[new[0]],
                SWEEP,
            )
        if full := list(self._data.cut):
            logger.warning(
                "More has changed in %s than CDC tells (%d): it is read by windows, and %s finds "
                "deletions",
                ", ".join(full),
                MOST_OBJECTS,
                SWEEP,
            )
        if old := [task.entity.stream for task in self._tasks if self._is_out_of_reach(task)]:
            logger.warning(
                "Deletions in %s were not followed in the last %d days: %s finds them",
                ", ".join(old),
                REACH.days,
                SWEEP,
            )
        self.gaps.update(full, old)

    def _is_out_of_reach(self, task: Task) -> bool:
        bookmark, stream = task.bookmark, task.entity.stream
        if task.entity.cdc is Cdc.NO or bookmark.checked_at:
            return False
        if stream in self._data.too_old:
            return True
        if not bookmark.is_read:
            return False
        if stream in self.known or stream in self._data.cut:
            return False
        known = bookmark.deletions_known_to
        return known is None or known < self._now - REACH


def _is_newer(stamp: Stamp | None, *, than: Stamp | None) -> bool:
    return stamp is not None and than is not None and stamp > than
