"""Reading the entities of a company: count, plan windows, read ahead in order."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from tap_quickbooks_raw.counting import count_all
from tap_quickbooks_raw.entities import Entity, Reading
from tap_quickbooks_raw.exceptions import EntityError, RefusedError
from tap_quickbooks_raw.pages import Page, Source
from tap_quickbooks_raw.pagination import WindowReader, read_whole
from tap_quickbooks_raw.query import UPDATED, Query
from tap_quickbooks_raw.rates import currencies, rate_queries
from tap_quickbooks_raw.read_ahead import ReadAhead, in_thread
from tap_quickbooks_raw.windows import Window, windows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tap_quickbooks_raw.client import QuickBooksClient

logger = logging.getLogger("tap-quickbooks-raw.company")


class Task(NamedTuple):
    """An entity to read, from an instant on; the first time or again."""

    entity: Entity
    start: datetime
    is_first: bool = True

    @property
    def query(self) -> Query:
        """What is asked for, without a window."""
        return base_query(self.entity)


class Piece(NamedTuple):
    """A window of an entity, the smallest part of a plan.

    Attributes:
        entity: The entity.
        window: What of it.
        expected: COUNT of the window, if QBO counts this entity.
    """

    entity: Entity
    window: Window
    expected: int | None


@dataclass(frozen=True, slots=True)
class ReadingSettings:
    """How a company is read.

    Attributes:
        page_size: Rows per page, 1 to 1000.
        concurrency: Requests in flight.
        chunk_days: Length of a window; None for one window per entity.
        end: Upper bound, exclusive; None for the server's clock less `settle`.
        settle: How far the upper bound stays behind the server's clock.
    """

    page_size: int = 1000
    concurrency: int = 8
    chunk_days: int | None = None
    end: datetime | None = None
    settle: timedelta = timedelta(seconds=30)


def base_query(entity: Entity) -> Query:
    """The query for all objects of an entity, deactivated ones included."""
    query = Query(entity.name)
    return query.where("Active IN (true, false)") if entity.active else query


class CompanyReader:
    """Reads the entities of one company, in the order of the tasks.

    Args:
        client: Sends the requests.
        settings: How to read.
        tasks: The entities to read and from when.
        check: Called while waiting; what it raises ends the wait.
    """

    def __init__(
        self,
        client: QuickBooksClient,
        settings: ReadingSettings,
        *,
        tasks: Sequence[Task],
        check: Callable[[], None],
    ) -> None:
        self._client = client
        self._settings = settings
        self._tasks = {task.entity.stream: task for task in tasks}
        self._check = check
        self._abandoned: set[str] = set()
        self._counted: dict[str, int | None] = {}
        self._pieces: list[Piece] = []
        self._next = 0
        self._ahead: ReadAhead[Page] | None = None
        self._lanes: Iterator[Iterator[Page]] = iter(())
        self.end = datetime.min.replace(tzinfo=UTC)

    def begin(self) -> None:
        """Plan and begin to read: empty windows cost nothing, the others can be proven."""
        self._pieces = in_thread(self._plan, check=self._check)
        works = [self._work(piece) for piece in self._pieces]
        self._ahead = ReadAhead(works, workers=self._settings.concurrency, check=self._check)
        self._lanes = self._ahead.lanes()

    def range(self, stream: str) -> Window:
        """The whole range that is read of a stream."""
        return Window(self._tasks[stream].start, self.end)

    def windows(self, stream: str) -> Iterator[tuple[Window, Iterator[Page]]]:
        """Yield the windows of a stream that are not empty, and their pages.

        The streams have to be asked for in the order of the tasks; what was left of one is
        thrown away when the next is asked for.
        """
        last = max(
            (at for at, piece in enumerate(self._pieces) if piece.entity.stream == stream),
            default=-1,
        )
        while self._next <= last:
            piece = self._pieces[self._next]
            self._next += 1
            lane = next(self._lanes)
            if piece.entity.stream == stream:
                yield piece.window, lane
            else:
                self._abandoned.add(piece.entity.stream)

    def abandon(self, stream: str) -> None:
        """Leave out what is left of a stream."""
        self._abandoned.add(stream)
        for _ in self.windows(stream):
            pass

    def read_all(self, stream: str) -> Iterator[Page]:
        """Read one entity on its own, by windows where QBO allows it, else whole."""
        self.begin()
        try:
            for _, pages in self.windows(stream):
                yield from pages
        except RefusedError:
            yield from self.read_whole(stream)

    def read_whole(self, stream: str) -> Iterator[Page]:
        """Read an entity of which QBO refuses to answer by LastUpdatedTime."""
        ahead = ReadAhead([lambda: self._read_whole(stream)], workers=1, check=self._check)
        try:
            for pages in ahead.lanes():
                yield from pages
        finally:
            ahead.close()

    def _read_whole(self, stream: str) -> Iterator[Page]:
        task = self._tasks[stream]
        source = Source(self._client, task.entity)
        queries = [task.query]
        if task.entity.reading is Reading.RATES:
            queries = rate_queries(currencies(self._client), self.end.date())
        keep = self.range(stream)
        found = 0
        for number, query in enumerate(queries, start=1):
            try:
                for page in read_whole(source, query, size=self._settings.page_size, keep=keep):
                    found += len(page.rows)
                    yield page
            except RefusedError:
                if number == len(queries):
                    raise
            else:
                break
        if found < (self._counted.get(stream) or 0):
            left = source.count(task.query.between(*keep))
            if left is not None and left > found:
                raise EntityError(f"QBO counts {left} objects but sends {found}; run again")

    def close(self) -> None:
        """Let the threads end."""
        if self._ahead is not None:
            self._ahead.close()

    def _settled_end(self) -> datetime:
        clock = self._client.clock
        for task in self._tasks.values():
            if clock is not None:
                break
            Source(self._client, task.entity).count(task.query)
            clock = self._client.clock
        if clock is None:
            logger.warning("QBO does not tell its time; taking the clock of this machine")
            clock = datetime.now(UTC)
        settled = clock.replace(microsecond=0) - self._settings.settle
        return min(settled, self._settings.end or settled)

    def _plan(self) -> list[Piece]:
        """Count all entities at once, then plan the windows of each."""
        counted = [task for task in self._tasks.values() if _countable(task.entity)]
        counts = count_all(
            self._client,
            [task.query.between(task.start, self._settings.end) for task in counted],
        )
        self.end = self._settled_end()
        streams = (task.entity.stream for task in counted)
        self._counted = dict(zip(streams, counts, strict=True))
        return [piece for task in self._tasks.values() for piece in self._plan_entity(task)]

    def _plan_entity(self, task: Task) -> list[Piece]:
        """Cut the range of an entity into windows and leave out the empty ones."""
        entity = task.entity
        count = self._counted.get(entity.stream)
        whole = [Piece(entity, Window(task.start, self.end), count)]
        if entity.reading is Reading.GET:
            return whole
        if task.start >= self.end:
            return []
        if count is None and self._settings.chunk_days and _countable(entity):
            count = Source(self._client, entity).count(task.query.between(task.start, self.end))
        if count == 0:
            # The first time a COUNT of nothing is looked into; one page costs no more.
            return whole if task.is_first else []
        chunks = windows(task.start, self.end, chunk_days=self._settings.chunk_days)
        if len(chunks) == 1 or count is None or entity.reading is Reading.RATES:
            return whole
        chunks = self._from_first_row(task, chunks)
        counts = count_all(
            self._client, [task.query.between(*window) for window in chunks], enough=count
        )
        return [
            Piece(entity, window, number)
            for window, number in zip(chunks, counts, strict=True)
            if number != 0
        ]

    def _from_first_row(self, task: Task, chunks: list[Window]) -> list[Window]:
        """Leave out the windows before the first object, if COUNT agrees that they are empty."""
        source = Source(self._client, task.entity)
        query = task.query.between(task.start, self.end).sorted_by(UPDATED)
        try:
            rows = source.fetch(query, position=1, size=1).rows
        except EntityError:
            return chunks
        if not rows or rows[0].stamp is None:
            return chunks
        first = rows[0].stamp.moment
        rest = [window for window in chunks if window.end > first]
        if len(rest) == len(chunks) or not rest:
            return chunks
        before = task.query.between(task.start, rest[0].start)
        return rest if source.count(before) == 0 else chunks

    def _work(self, piece: Piece) -> Callable[[], Iterator[Page]]:
        def pages() -> Iterator[Page]:
            if piece.entity.stream in self._abandoned:
                return
            source = Source(self._client, piece.entity)
            if piece.entity.reading is Reading.GET:
                yield source.fetch_all()
                return
            query = base_query(piece.entity)
            if piece.entity.reading is Reading.RATES:
                codes = currencies(self._client)
                if not codes:
                    return
                query = rate_queries(codes, self.end.date())[0]
            expected = piece.expected
            if expected is None and _countable(piece.entity):
                expected = source.count(query.between(*piece.window))
            yield from WindowReader(
                source,
                query,
                window=piece.window,
                size=self._settings.page_size,
                expected=expected,
            ).pages()

        return pages


def _countable(entity: Entity) -> bool:
    """Whether it is worth asking for a COUNT."""
    return entity.reading not in {Reading.GET, Reading.RATES}
