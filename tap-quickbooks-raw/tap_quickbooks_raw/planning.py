"""The plan of a run: what is there, and in which windows it is read."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from tap_quickbooks_raw.batches import BATCH_ITEMS, ask_batch, count_all
from tap_quickbooks_raw.bookmarks import Bookmark
from tap_quickbooks_raw.entities import Entity, Reading
from tap_quickbooks_raw.exceptions import EntityError
from tap_quickbooks_raw.pages import Source
from tap_quickbooks_raw.query import UPDATED, Query
from tap_quickbooks_raw.splitting import Splitter
from tap_quickbooks_raw.windows import Window, windows

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from tap_quickbooks_raw.batches import Lists
    from tap_quickbooks_raw.client import QuickBooksClient

logger = logging.getLogger("tap-quickbooks-raw.planning")


class Task(NamedTuple):
    """An entity to read.

    Attributes:
        entity: The entity.
        start: From when on.
        is_first: Whether nothing has been read of it yet.
        bookmark: What the state holds of it.
    """

    entity: Entity
    start: datetime
    is_first: bool = True
    bookmark: Bookmark = Bookmark()

    @property
    def query(self) -> Query:
        """What is asked for, without a window."""
        return base_query(self.entity)


class Piece(NamedTuple):
    """A window of an entity, the smallest part of a plan.

    Attributes:
        entity: The entity.
        window: What of it.
        expected: COUNT of the window, if it is known.
        followed: Whether objects are known to stand at the window's end.
    """

    entity: Entity
    window: Window
    expected: int | None
    followed: bool = False


class Last(NamedTuple):
    """Stands in a plan behind the last window of an entity."""

    entity: Entity


Step: TypeAlias = Piece | Last


@dataclass(frozen=True, slots=True)
class ReadingSettings:
    """How a company is read.

    Attributes:
        page_size: Rows per page, 1 to 1000.
        concurrency: Requests in flight.
        chunk_days: Length of a window; None for windows of about as many rows each.
        end: Upper bound, exclusive; None for the server's clock less `settle`.
        settle: How far the upper bound stays behind the server's clock.
    """

    page_size: int = 1000
    concurrency: int = 8
    chunk_days: int | None = None
    end: datetime | None = None
    settle: timedelta = timedelta(seconds=30)

    def settled(self, clock: datetime) -> datetime:
        """Return up to when everything is settled, at the server's time."""
        settled = clock.replace(microsecond=0) - self.settle
        return min(settled, self.end or settled)


def base_query(entity: Entity) -> Query:
    """The query for all objects of an entity, deactivated ones included."""
    query = Query(entity.name)
    return query.where("Active IN (true, false)") if entity.active else query


def countable(entity: Entity) -> bool:
    """Whether it is worth asking for a COUNT."""
    return entity.reading not in {Reading.GET, Reading.RATES}


class Planner:
    """Plans how the entities of a company are read.

    Args:
        client: Sends the requests.
        settings: How to read.
        tasks: The entities to read and from when.
        abandoned: Streams of which nothing more is wanted; it may grow.

    Attributes:
        sources: The pages of each stream.
        counts: Objects to read of each stream; None or missing where QBO does not count.
        end: Where all windows end.
    """

    def __init__(
        self,
        client: QuickBooksClient,
        settings: ReadingSettings,
        *,
        tasks: Sequence[Task],
        abandoned: Collection[str] = (),
    ) -> None:
        self._client = client
        self._settings = settings
        self._tasks = tasks
        self._abandoned = abandoned
        self.sources = {
            task.entity.stream: Source(client, task.entity, size=settings.page_size)
            for task in tasks
        }
        self.counts: dict[str, int | None] = {}
        self.end = datetime.min.replace(tzinfo=UTC)

    def count(self) -> None:
        """Count the objects of all entities, and learn the server's time."""
        counted = [task for task in self._tasks if countable(task.entity)]
        counts = count_all(
            self._client,
            [task.query.between(task.start, self._settings.end) for task in counted],
        )
        streams = (task.entity.stream for task in counted)
        self.counts = dict(zip(streams, counts, strict=True))
        self.end = self._settled_end()

    def steps(self) -> Iterator[list[Step]]:
        """Yield the plan in the order of the tasks, as soon as parts of it are known."""
        probes: list[str] = []
        parts: list[_Part] = []
        for task in self._tasks:
            self._count_alone(task)
            splitter = self._splitter(task)
            if splitter is None:
                parts.append(partial(_fixed, self._pieces(task)))
            else:
                while more := self._probes(task, splitter, BATCH_ITEMS - len(probes)):
                    probes += more
                    parts.append(partial(_cut, task.entity, splitter, len(more)))
                    if len(probes) == BATCH_ITEMS:
                        yield self._resolve(probes, parts)
                        probes, parts = [], []
                parts.append(partial(self._rest, task, splitter))
            parts.append(partial(_fixed, [Last(task.entity)]))
            if not probes:
                yield self._resolve(probes, parts)
                parts = []
        yield self._resolve(probes, parts)

    def _resolve(self, probes: Sequence[str], parts: Sequence[_Part]) -> list[Step]:
        """Ask the probes of some parts of the plan, and return these parts."""
        answers = iter(ask_batch(self._client, probes) if probes else ())
        return [step for part in parts for step in part(answers)]

    def _probes(self, task: Task, splitter: Splitter, most: int) -> list[str]:
        return [] if task.entity.stream in self._abandoned else splitter.probes(most)

    def _settled_end(self) -> datetime:
        clock = self._client.clock
        for task in self._tasks:
            if clock is not None:
                break
            self.sources[task.entity.stream].count(task.query)
            clock = self._client.clock
        if clock is None:
            logger.warning("QBO does not tell its time; taking the clock of this machine")
            clock = datetime.now(UTC)
        return self._settings.settled(clock)

    def _count_alone(self, task: Task) -> None:
        """Count an entity whose count failed in the batch."""
        stream = task.entity.stream
        is_wanted = stream not in self._abandoned and countable(task.entity)
        if is_wanted and self.counts.get(stream) is None and task.start < self.end:
            query = task.query.between(task.start, self.end)
            self.counts[stream] = self.sources[stream].count(query)

    def _rest(
        self, task: Task, splitter: Splitter, _answers: Iterator[Lists | None]
    ) -> Sequence[Step]:
        window, expected = splitter.rest
        if expected is None and task.entity.stream not in self._abandoned:
            expected = self.sources[task.entity.stream].count(task.query.between(*window))
        return [Piece(task.entity, window, expected)]

    def _splitter(self, task: Task) -> Splitter | None:
        """Return what cuts an entity into windows; None if it is to be planned otherwise."""
        rows = self.counts.get(task.entity.stream)
        # Windows of a fixed length are the user's wish; one reader alone gains nothing by more.
        if self._settings.chunk_days or self._settings.concurrency == 1:
            return None
        if task.entity.reading is not Reading.QUERY or not rows or task.start >= self.end:
            return None
        window = Window(task.start, self.end)
        return Splitter(self.sources[task.entity.stream], task.query, window=window, rows=rows)

    def _pieces(self, task: Task) -> list[Step]:
        """Cut the range of an entity into windows of a fixed length; leave out the empty ones."""
        entity = task.entity
        count = self.counts.get(entity.stream)
        whole: list[Step] = [Piece(entity, Window(task.start, self.end), count)]
        if entity.stream in self._abandoned:
            return []
        if entity.reading is Reading.GET:
            return whole
        if task.start >= self.end:
            return []
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
        source = self.sources[task.entity.stream]
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


# A part of a plan that may have to wait for the answers to its probes.
_Part: TypeAlias = "Callable[[Iterator[Lists | None]], Sequence[Step]]"


def _fixed(steps: Sequence[Step], _answers: Iterator[Lists | None]) -> Sequence[Step]:
    return steps


def _cut(
    entity: Entity, splitter: Splitter, probes: int, answers: Iterator[Lists | None]
) -> Sequence[Step]:
    windows_ = splitter.cut(list(islice(answers, probes)))
    return [Piece(entity, window, None, followed=True) for window in windows_]
