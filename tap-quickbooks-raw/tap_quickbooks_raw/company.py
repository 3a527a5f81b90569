"""Reading the entities of a company: plan, read ahead, hand out in order."""

from __future__ import annotations

import logging
import time
from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING, NamedTuple

from tap_quickbooks_raw.entities import Reading
from tap_quickbooks_raw.exceptions import EntityError, QuickBooksError, RefusedError
from tap_quickbooks_raw.pagination import UnsortedError, WindowReader
from tap_quickbooks_raw.passes import read_whole
from tap_quickbooks_raw.planning import Last, Planner, Step, base_query
from tap_quickbooks_raw.progress import Effort
from tap_quickbooks_raw.rates import currencies, rate_queries
from tap_quickbooks_raw.read_ahead import ReadAhead, in_thread
from tap_quickbooks_raw.splitting import PAGES
from tap_quickbooks_raw.windows import Window

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from tap_quickbooks_raw.client import QuickBooksClient
    from tap_quickbooks_raw.pages import Page
    from tap_quickbooks_raw.planning import Piece, ReadingSettings, Task

logger = logging.getLogger("tap-quickbooks-raw.company")


class WindowPages(NamedTuple):
    """A window that is being read.

    Attributes:
        window: The window.
        pages: Its pages.
        effort: What it has cost; complete once the pages are.
    """

    window: Window
    pages: Iterator[Page]
    effort: Effort


class _Work(NamedTuple):
    step: Step
    effort: Effort


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
        self._finished: set[str] = set()
        self._found = 0  # Of the stream that is being handed out.
        self._efforts: dict[str, Effort] = {}
        self._planner = Planner(client, settings, tasks=tasks, abandoned=self._abandoned)
        self._plan: ReadAhead[None, list[Step]] | None = None
        self._ahead: ReadAhead[_Work, Page] | None = None
        self._lanes: Iterator[tuple[_Work, Iterator[Page]]] = iter(())
        self._broken: QuickBooksError | None = None

    @property
    def end(self) -> datetime:
        """Where all windows end."""
        return self._planner.end

    @property
    def expected(self) -> int:
        """How many objects are to be read, as far as QBO counts them."""
        return sum(count or 0 for count in self._planner.counts.values())

    def begin(self) -> None:
        """Count and begin to read: empty entities cost nothing, the others can be proven.

        If that fails, all windows do.
        """
        try:
            in_thread(self._planner.count, check=self._check)
        except QuickBooksError as error:
            self._broken = error
            return
        # The plan is made one part ahead of those who carry it out.
        self._plan = ReadAhead([(None, self._planner.steps)], workers=1, check=self._check)
        self._ahead = ReadAhead(
            self._works(self._plan),
            workers=self._settings.concurrency,
            depth=PAGES,
            check=self._check,
        )
        self._lanes = self._ahead.lanes()

    def range(self, stream: str) -> Window:
        """The whole range that is read of a stream."""
        return Window(self._tasks[stream].start, self.end)

    def lost(self, stream: str) -> list[str]:
        """What to say about the objects of a stream that QBO cannot send."""
        return self._planner.sources[stream].lost if stream in self._tasks else []

    def effort(self, stream: str) -> Effort:
        """What a stream has cost so far, without the plan."""
        return self._efforts.setdefault(stream, Effort())

    def windows(self, stream: str) -> Iterator[WindowPages]:
        """Yield the windows of a stream that are not empty, and their pages.

        The streams have to be asked for in the order of the tasks; what was left of one is
        thrown away when the next is asked for.

        Raises:
            UnsortedError: The windows are not all that there is.
        """
        self._found = 0
        is_split = False
        while stream not in self._finished:
            (step, effort), pages = self._next_lane()
            if isinstance(step, Last):
                self._finished.add(step.entity.stream)
            elif step.entity.stream == stream:
                is_split |= step.followed
                yield WindowPages(step.window, self._counted(pages), effort)
                self.effort(stream).add(effort)
            else:
                self._abandoned.add(step.entity.stream)
        if is_split and stream not in self._abandoned:
            self._check_count(stream)

    def abandon(self, stream: str) -> None:
        """Leave out what is left of a stream."""
        if stream not in self._tasks:
            return
        self._abandoned.add(stream)
        with suppress(QuickBooksError):  # It is raised again where the next stream is asked for.
            for _ in self.windows(stream):
                pass

    def read_all(self, stream: str) -> Iterator[Page]:
        """Read one entity on its own, by windows where QBO allows it, else whole."""
        self.begin()
        try:
            for read in self.windows(stream):
                yield from read.pages
        except RefusedError:
            yield from self.read_whole(stream)

    def read_whole(self, stream: str) -> Iterator[Page]:
        """Read an entity of which QBO refuses to answer by LastUpdatedTime."""
        reading = self._measured(self._read_whole(stream), self.effort(stream))
        ahead = ReadAhead([(None, lambda: reading)], workers=1, check=self._check)
        try:
            for _, pages in ahead.lanes():
                yield from pages
        finally:
            ahead.close()

    def close(self) -> None:
        """Begin nothing more and let the threads end."""
        for ahead in (self._plan, self._ahead):
            if ahead is not None:
                ahead.close()

    def _next_lane(self) -> tuple[_Work, Iterator[Page]]:
        """Return the next window; a plan that has failed fails for all streams behind."""
        if self._broken is not None:
            raise self._broken
        try:
            return next(self._lanes)
        except QuickBooksError as error:
            self._broken = error
            raise

    def _counted(self, pages: Iterator[Page]) -> Iterator[Page]:
        for page in pages:
            self._found += len(page.rows)
            yield page

    def _check_count(self, stream: str) -> None:
        """Compare what all windows have given with what was counted before."""
        found = self._found + len(self.lost(stream))
        if found >= (self._planner.counts.get(stream) or 0):
            return
        source = self._planner.sources[stream]
        query = self._tasks[stream].query.between(*self.range(stream))
        left = in_thread(lambda: source.count(query), check=self._check)
        if left is not None and left > found:
            raise UnsortedError(f"QBO counts {left} objects but sends {found}")

    def _read_whole(self, stream: str) -> Iterator[Page]:
        task = self._tasks[stream]
        source = self._planner.sources[stream]
        queries = [task.query]
        if task.entity.reading is Reading.RATES:
            queries = rate_queries(currencies(self._client), self.end.date())
        keep = self.range(stream)
        source.lost.clear()  # Those that the windows have found are found again.
        found = 0
        for number, query in enumerate(queries, start=1):
            try:
                for page in read_whole(source, query, keep=keep):
                    found += len(page.rows)
                    yield page
            except RefusedError:
                if number == len(queries):
                    raise
            else:
                break
        found += len(source.lost)
        if found < (self._planner.counts.get(stream) or 0):
            left = source.count(task.query.between(*keep))
            if left is not None and left > found:
                raise EntityError(f"QBO counts {left} objects but sends {found}; run again")

    def _works(
        self, plan: ReadAhead[None, list[Step]]
    ) -> Iterator[tuple[_Work, Callable[[], Iterator[Page]]]]:
        for _, parts in plan.lanes():
            for part in parts:
                for step in part:
                    work = _Work(step, Effort())
                    yield work, self._reading(work)

    def _reading(self, work: _Work) -> Callable[[], Iterator[Page]]:
        """Return what reads a window, and measures itself."""
        step, effort = work

        def pages() -> Iterator[Page]:
            if isinstance(step, Last) or step.entity.stream in self._abandoned:
                return
            with self._client.reserve(PAGES) if step.followed else nullcontext():
                yield from self._measured(self._pages(step), effort)

        return pages

    def _measured(self, reading: Iterator[Page], effort: Effort) -> Iterator[Page]:
        """Measure what pages cost the thread that reads them."""
        while True:
            calls, started = self._client.calls_of_thread, time.monotonic()
            try:
                page = next(reading, None)
            finally:
                effort.calls += self._client.calls_of_thread - calls
                effort.seconds += time.monotonic() - started
            if page is None:
                return
            yield page

    def _pages(self, piece: Piece) -> Iterator[Page]:
        """Read a window."""
        source = self._planner.sources[piece.entity.stream]
        if piece.entity.reading is Reading.GET:
            yield source.fetch_all()
            return
        query = base_query(piece.entity)
        if piece.entity.reading is Reading.RATES:
            codes = currencies(self._client)
            if not codes:
                return
            query = rate_queries(codes, self.end.date())[0]
        yield from WindowReader(
            source,
            query,
            window=piece.window,
            expected=piece.expected,
            followed=piece.followed,
        ).pages()
