"""Queries that prove that nothing has changed, many in one batch call.

* An empty answer for ``>= the bookmark`` proves it. One object is enough to disprove it, so that
  no more is asked for.
* The one row of a single-row entity is taken as it is.
* An entity without usable stamps is taken whole where it fits into the answer and equals its
  COUNT; the next run takes it whole again.
* A batch that sends 1,000 objects in all may have left some out.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from datetime import UTC, datetime
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

from tap_quickbooks_raw.batches import BATCH_ITEMS, ask_batch
from tap_quickbooks_raw.changes import MOST_OBJECTS
from tap_quickbooks_raw.entities import Reading
from tap_quickbooks_raw.exceptions import EntityError
from tap_quickbooks_raw.pages import Page, Source, total_count

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tap_quickbooks_raw.client import QuickBooksClient
    from tap_quickbooks_raw.pages import Row
    from tap_quickbooks_raw.planning import ReadingSettings, Task


class _Question(NamedTuple):
    """What is asked about a stream: a page and, where it is taken whole, a COUNT."""

    task: Task
    page: str
    size: int
    counting: str = ""

    @property
    def objects(self) -> int:
        """About how many objects the answer will have."""
        return self.task.bookmark.read_whole or 1

    @property
    def texts(self) -> list[str]:
        return [self.counting, self.page] if self.counting else [self.page]


class _Reply(NamedTuple):
    """What is answered: the objects, and how many were counted before."""

    question: _Question
    rows: list[Row]
    counted: int | None


def ask_queries(
    client: QuickBooksClient, settings: ReadingSettings, tasks: Sequence[Task]
) -> dict[str, Page | None]:
    """Ask what has changed.

    Args:
        client: Sends the batches.
        settings: How the company is read.
        tasks: The streams; each has a bookmark, or is taken whole if it is small.

    Returns:
        What has to be emitted, None for nothing, of each stream of which that is proven.
    """
    told: dict[str, Page | None] = {}
    for questions in _batches(_question(client, settings, task) for task in tasks):
        replies = list(_ask(client, questions))
        received_at = datetime.now(UTC)
        if sum(len(reply.rows) for reply in replies) >= MOST_OBJECTS:
            continue
        # The first answer of a run tells the server's time.
        end = settings.settled(client.clock or received_at)
        for reply in replies:
            task = reply.question.task
            if _is_proven(reply):
                rows = [row for row in reply.rows if _is_between(row, task.start, end)]
                asked = reply.question
                page = Page(rows, received_at, "query", asked.page, asked.size) if rows else None
                told[task.entity.stream] = page
    return told


def digest(rows: Iterable[Row]) -> str:
    """Return what is the same for the same objects, in whatever order."""
    total = hashlib.sha256()
    for row in sorted(rows, key=attrgetter("id")):
        total.update(b"%b\n" % bytes(row.payload))
    return total.hexdigest()


def _question(client: QuickBooksClient, settings: ReadingSettings, task: Task) -> _Question:
    if task.bookmark.read_whole is not None:
        size = settings.page_size
        return _Question(task, task.query.page(position=1, rows=size), size, task.query.count())
    end = settings.settled(client.clock) if client.clock else settings.end
    query = task.query.between(task.start, end)
    return _Question(task, query.page(position=1, rows=1), 1)


def _batches(questions: Iterable[_Question]) -> Iterator[list[_Question]]:
    batch: list[_Question] = []
    items = objects = 0
    for question in questions:
        items += len(question.texts)
        objects += question.objects
        if items > BATCH_ITEMS or (batch and objects >= MOST_OBJECTS):
            yield batch
            batch, items, objects = [], len(question.texts), question.objects
        batch.append(question)
    if batch:
        yield batch


def _ask(client: QuickBooksClient, questions: Sequence[_Question]) -> Iterator[_Reply]:
    """Yield the replies that can be understood; those that fail are read by windows."""
    answers = iter(ask_batch(client, [text for each in questions for text in each.texts]))
    for question in questions:
        counted = next(answers) if question.counting else None
        lists = next(answers)
        if lists is None:
            continue
        with suppress(EntityError):
            rows = Source(client, question.task.entity).rows(lists, "")
            yield _Reply(question, rows, total_count(counted or {}))


def _is_proven(reply: _Reply) -> bool:
    """Whether an answer is all that there is."""
    question, rows = reply.question, reply.rows
    if question.counting:
        ids = {row.id for row in rows}
        return len(ids) == len(rows) == reply.counted and len(rows) < question.size
    return not rows or question.task.entity.reading is Reading.SINGLE


def _is_between(row: Row, start: datetime, end: datetime) -> bool:
    """Whether a row belongs into the window; one without an exact stamp always does."""
    return row.stamp is None or not row.stamp.exact or start <= row.stamp.moment < end
