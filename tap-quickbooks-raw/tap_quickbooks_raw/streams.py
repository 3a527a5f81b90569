"""One stream class for every entity: records out, bookmarks that are safe at any point.

A bookmark is an instant up to which everything is emitted: the stamp of the last record
within a window (records leave in ascending order, and the next run asks for ``>=``), and the
end of a window once all of it has left.
"""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from singer_sdk import Stream
from singer_sdk.singerlib.catalog import REPLICATION_INCREMENTAL
from typing_extensions import override

from tap_quickbooks_raw.bookmarks import (
    CHECKED_AT,
    DELETIONS_KNOWN_TO,
    LOST,
    READ_TO,
    READ_WHOLE,
    Bookmark,
)
from tap_quickbooks_raw.entities import Cdc
from tap_quickbooks_raw.exceptions import (
    BudgetReached,
    EntityError,
    LostError,
    QuickBooksError,
    RefusedError,
    UnavailableError,
)
from tap_quickbooks_raw.planning import Task
from tap_quickbooks_raw.progress import Effort
from tap_quickbooks_raw.records import (
    PRIMARY_KEYS,
    RAW_SCHEMA,
    REPLICATION_KEY,
    RecordLines,
    timestamp,
)
from tap_quickbooks_raw.windows import Window

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Mapping

    from singer_sdk.helpers.types import Context, Record
    from singer_sdk.metrics import Counter

    from tap_quickbooks_raw.changes import Deletions
    from tap_quickbooks_raw.entities import Entity
    from tap_quickbooks_raw.pages import Page
    from tap_quickbooks_raw.tap import TapQuickBooksRaw


class Step(NamedTuple):
    """A piece of a stream's work.

    Attributes:
        page: Rows to emit, if any.
        window: The window that was asked for, if any.
        bookmark: Up to where everything has been emitted once the page is; None if unknown.
        deleted: Deletions to emit behind the page, if any.
    """

    page: Page | None
    window: Window | None
    bookmark: datetime | None
    deleted: Deletions | None = None


class RawStream(Stream):
    """The objects of one entity, whole.

    Args:
        tap: The tap.
        entity: The entity.
    """

    def __init__(self, tap: TapQuickBooksRaw, entity: Entity) -> None:
        super().__init__(tap, schema=RAW_SCHEMA, name=entity.stream)
        self.entity = entity
        self.primary_keys = PRIMARY_KEYS
        self.replication_key = REPLICATION_KEY if entity.stamped else None
        self._quickbooks = tap

    @property
    @override
    def is_sorted(self) -> bool:
        return self.entity.stamped

    @property
    def task(self) -> Task:
        """What this stream has to read: from its bookmark on, else from start_date."""
        bookmark = self._bookmark
        start = bookmark.read_to or self._quickbooks.settings.start
        return Task(self.entity, start, is_first=bookmark.read_to is None, bookmark=bookmark)

    @property
    def _is_incremental(self) -> bool:
        return self.replication_method == REPLICATION_INCREMENTAL

    @property
    def _keeps_state(self) -> bool:
        return self._is_incremental or not self.entity.stamped

    @property
    def _bookmark(self) -> Bookmark:
        if not self._keeps_state:
            return Bookmark()
        return Bookmark.parse(self.tap_state.get("bookmarks", {}).get(self.name, {}))

    @override
    def get_replication_key_signpost(  # type: ignore[override]  # Never one.
        self, context: Context | None
    ) -> None:
        """None: the upper bound of a run is the server's settled clock, not ours."""

    @override
    def get_records(self, context: Context | None) -> Iterable[Record]:
        lines = self._lines()
        for step in self._steps():
            for line in lines.encode(step.page, step.window).splitlines() if step.page else ():
                yield msgspec.json.decode(line)["record"]

    @override
    def _sync_records(
        self, context: Context | None = None, *, write_messages: bool = True
    ) -> Generator[dict[str, Any], Any, Any]:
        # The SDK does for each record what is done once per page here.
        tap = self._quickbooks
        try:
            with self.get_record_counter() as counter, self.get_sync_timer():
                self._emit_all(counter)
        except UnavailableError as error:
            only = f" (it exists for {self.entity.only})" if self.entity.only else ""
            self.logger.warning("%s: not available in this company%s: %s", self.name, only, error)
            tap.reader.abandon(self.name)
            # What was never there has lost nothing.
            known_to = self._bookmark.deletions_known_to if self._bookmark.is_read else None
            self._save({CHECKED_AT: tap.run.clock, DELETIONS_KNOWN_TO: known_to})
        except EntityError as error:
            tap.run.failures[self.name] = error
            self.logger.error("%s: cannot be read: %s", self.name, error)  # noqa: TRY400  One line; a traceback says no more.
            tap.reader.abandon(self.name)
            self._save(tap.follower.refusal(self.task, tap.run.clock))
        except BudgetReached as limit:
            # What has been read ahead of other streams is paid for and still emitted.
            tap.run.limit = limit
            self._report_lost()
            tap.reader.abandon(self.name)
        except QuickBooksError as reason:
            tap.stop(reason)
        yield from ()

    def _emit_all(self, counter: Counter) -> None:
        tap = self._quickbooks
        lines = self._lines()
        emitted = 0
        started = time.monotonic()
        for step in self._steps():
            if step.page is not None:
                rows = step.page.rows[: self._room(emitted)]
                tap.follower.note_living(self.name, rows)
                tap.message_writer.write_lines(
                    lines.encode(step.page._replace(rows=rows), step.window)
                )
                emitted += len(rows)
                counter.increment(len(rows))
                if told := tap.run.count(self.name, len(rows)):
                    self.logger.info("%s", told)
                self._check_max_record_limit(emitted)
            if step.deleted is not None and step.deleted.objects and self._tells_deletions:
                tap.message_writer.write_lines(lines.deletions(step.deleted))
                tap.run.deletions += len(step.deleted.objects)
                self.logger.info("%s: %d deleted", self.name, len(step.deleted.objects))
            self._advance(step.bookmark)
            tap.run.check()
        if self.name not in tap.follower.resting:
            notes = tap.follower.notes(self.task, tap.run.clock)
            if not self._tells_deletions:
                notes.pop(DELETIONS_KNOWN_TO, None)
            self._save(notes)
        effort = Effort(tap.reader.effort(self.name).calls, time.monotonic() - started)
        self.logger.info("%s, all: %s", self.name, effort.told(emitted))
        self._report_lost()
        if LOST in self.stream_state:
            self._save({LOST: None})

    @property
    def _lost(self) -> list[str]:
        """What cannot be read, in this run and in those that have not reached the end."""
        before = self.stream_state.get(LOST)
        texts = [*map(str, before if isinstance(before, list) else ())]
        return [*dict.fromkeys(texts + self._quickbooks.reader.lost(self.name))]

    def _report_lost(self) -> None:
        """Let the run fail for what cannot be read, though it has gone on without."""
        if lost := self._lost:
            self._quickbooks.run.failures[self.name] = LostError(lost)

    @property
    def _tells_deletions(self) -> bool:
        """Whether there is a column for them, and this is no dry run."""
        return self.mask["properties", "deleted_at_utc"] and self._room(0) is None

    def _room(self, emitted: int) -> int | None:
        """How many rows may still be emitted in a dry run; None for all."""
        limit = self.ABORT_AT_RECORD_COUNT
        return None if limit is None else limit - emitted

    def _steps(self) -> Iterator[Step]:
        """What is there to emit: what QBO has told of this stream, or what windows find."""
        follower = self._quickbooks.follower
        if self.name in follower.resting:
            return
        if self.name in follower.told:
            page = follower.told[self.name]
            window = Window(self.task.start, follower.end)
            end = None if self._bookmark.read_whole is not None else follower.end
            yield Step(page, window, None)
        else:
            end = yield from self._read()
        yield Step(None, None, end, follower.deleted.get(self.name))

    def _read(self) -> Generator[Step, None, datetime | None]:
        """Read by windows; return up to when everything has been read."""
        reader = self._quickbooks.reader
        is_followed = self.entity.cdc is not Cdc.NO
        if is_followed and self.task.is_first and self._bookmark.deletions_known_to is None:
            # Before the first row: what is deleted from now on has to be told some time.
            self._save({DELETIONS_KNOWN_TO: self._quickbooks.run.settled})
        before = dict(self.stream_state)
        try:
            for window, pages, effort in reader.windows(self.name):
                rows = 0
                for page in pages:
                    rows += len(page.rows)
                    stamp = page.rows[-1].stamp
                    yield Step(
                        page,
                        window if self.entity.stamped else None,
                        stamp.moment if stamp else None,
                    )
                self.logger.info("%s, window %s: %s", self.name, window, effort.told(rows))
                yield Step(None, window, window.end)
        except RefusedError as error:
            self.logger.warning("%s: read whole, since windows do not work: %s", self.name, error)
            reader.abandon(self.name)
            # The windows have proven nothing: an interrupted run has to begin again.
            if self._keeps_state:
                self.stream_state.clear()
                self._save(before)
            rows = 0
            for page in reader.read_whole(self.name):
                rows += len(page.rows)
                yield Step(page, reader.range(self.name), None)
            self._save({READ_WHOLE: rows})
            return None
        if READ_WHOLE in self.stream_state:
            self._save({READ_WHOLE: None})
        return reader.end if reader.end > reader.range(self.name).start else None

    def _save(self, notes: Mapping[str, object]) -> None:
        """Write notes into the state; None removes one."""
        if not self._keeps_state:
            return
        for name, note in notes.items():
            if note is None:
                self.stream_state.pop(name, None)
            else:
                self.stream_state[name] = timestamp(note) if isinstance(note, datetime) else note
        self.stream_state["realm_id"] = self._quickbooks.settings.realm_id
        self.state_manager.is_flushed = False
        self._write_state_message()

    def _lines(self) -> RecordLines:
        return RecordLines(
            self.name,
            self._quickbooks.settings.realm_id,
            columns={name for name in RAW_SCHEMA["properties"] if self.mask["properties", name]},
            minor_version=self._quickbooks.settings.minor_version,
        )

    def _advance(self, moment: datetime | None) -> None:
        """Move the bookmark forward and write the state."""
        if moment is None or not self._is_incremental:
            return
        read_to = self._bookmark.read_to
        if read_to is not None and moment <= read_to:
            self._write_state_message()
            return
        # A run that is killed leaves to the next one what it has gone on without.
        self._save(
            {
                "replication_key": REPLICATION_KEY,
                READ_TO: moment.replace(microsecond=0),
                LOST: self._lost or None,
            }
        )
