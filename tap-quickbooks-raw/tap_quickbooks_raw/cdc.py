"""Asking change data capture (CDC), and taking only answers that prove something.

* CDC sends 1,000 objects at most, deletions last, and does not say that it left some out. A full
  answer is no answer: the entity that takes most of it is asked for on its own, or the list of
  entities is halved, until a single entity fills one.
* An answer with a fault in it is none either, since nobody can tell whose fault it is. The list
  is halved, until a single entity is refused.
* It looks back 30 days. An older question is refused, or might be answered by half.

https://developer.intuit.com/app/developer/qbo/docs/learn/explore-the-quickbooks-online-api/change-data-capture
"""

from __future__ import annotations

import logging
import re
from collections import deque
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from tap_quickbooks_raw.changes import take_apart
from tap_quickbooks_raw.entities import Cdc
from tap_quickbooks_raw.exceptions import EntityError, RetriesExhausted, UnreadableError
from tap_quickbooks_raw.query import instant

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tap_quickbooks_raw.changes import Changes
    from tap_quickbooks_raw.client import QuickBooksClient
    from tap_quickbooks_raw.planning import Task

logger = logging.getLogger("tap-quickbooks-raw.cdc")

LOOK_BACK = timedelta(days=30)
# It is not documented whether the bound is inclusive.
SECOND = timedelta(seconds=1)
# Entities whose changes begin further apart are not asked for together: the answer would be full
# of what the younger ones have already.
APART = timedelta(days=1)
# More calls that fail are no longer cheaper than windows; nor are so many before any succeeds.
MOST_FAILURES = 20
MOST_IN_VAIN = 7
# Such a part of a run's calls may go to CDC.
BUDGET_SHARE = 1 / 3
# Where a single answer fails, half of it may be what helps.
PATIENCE = 2
_TOO_OLD = re.compile(r"older than", re.IGNORECASE)


class Span(NamedTuple):
    """An entity to ask for, and from when on."""

    since: datetime
    task: Task

    @property
    def stream(self) -> str:
        """Name of the stream."""
        return self.task.entity.stream

    @property
    def is_doubtful(self) -> bool:
        """Whether CDC has refused it before."""
        return self.task.bookmark.cdc_refused_at is not None


class Reply(NamedTuple):
    """What CDC has told of an entity.

    Attributes:
        span: What was asked.
        changes: What has changed.
        received_at: When the answer was received, in UTC.
        params: What repeats the request for this entity alone.
    """

    span: Span
    changes: Changes
    received_at: datetime
    params: dict[str, str]


class ChangeData:
    """Asks CDC for many entities.

    Args:
        client: Sends the requests.

    Attributes:
        replies: What is proven to be all that has changed, by stream.
        cut: What is not, of the entities that fill an answer on their own.
        refused: Why an entity is not told, where others are.
        too_old: Of which CDC no longer knows what has changed since.
        silent: Of which nothing was said, not even that nothing has changed.
        mute: Those of them where nothing was said of any other either.
    """

    def __init__(self, client: QuickBooksClient) -> None:
        self._client = client
        self._failures = 0
        self.replies: dict[str, Reply] = {}
        self.cut: dict[str, Reply] = {}
        self.refused: dict[str, EntityError] = {}
        self.too_old: set[str] = set()
        self.silent: set[str] = set()
        self.mute: set[str] = set()

    def ask(self, spans: Iterable[Span]) -> None:
        """Ask, in as few calls as prove something.

        Raises:
            BudgetReached: What is proven until then is kept.
        """
        waiting = deque(_groups(spans))
        most_calls = self._client.budget.share(BUDGET_SHARE)
        while waiting and (most_calls is None or self._client.calls < most_calls):
            group = waiting.popleft()
            try:
                # Parts wait: a fault that is everybody's shows before all are asked alone.
                waiting += self._ask_once(group)
            except EntityError as error:
                if _TOO_OLD.search(str(error)):
                    old = [group, *(part for part in waiting if part[0].since <= group[0].since)]
                    self.too_old |= {span.stream for part in old for span in part}
                    waiting = deque(part for part in waiting if part not in old)
                    continue
                if self._is_down(error):
                    logger.warning(
                        "CDC cannot be used now (%s): reading by windows; deletions are told "
                        "once it answers again",
                        error,
                    )
                    return
                if len(group) == 1:
                    self.refused[group[0].stream] = error
                waiting += _parts(group)
                if self._is_in_vain:
                    self.refused |= {span.stream: error for part in waiting for span in part}
                    return

    def _is_down(self, error: EntityError) -> bool:
        """Note a failure; return whether it concerns all entities, and may pass."""
        self._failures += 1
        is_unreadable = isinstance(error, UnreadableError)
        return isinstance(error, RetriesExhausted) and not (is_unreadable and not self._is_in_vain)

    @property
    def _is_in_vain(self) -> bool:
        is_told = bool(self.replies or self.cut)
        return self._failures >= (MOST_FAILURES if is_told else MOST_IN_VAIN)

    def _ask_once(self, spans: list[Span]) -> list[list[Span]]:
        """Ask for some entities; return in what parts to ask again, if something may be cut."""
        first = spans[0].since
        since = instant(first - SECOND)
        names = ",".join(span.task.entity.name for span in spans)
        answer = self._client.get("cdc", patience=PATIENCE, entities=names, changedSince=since)
        if self._client.clock and self._client.clock - first > LOOK_BACK:
            raise EntityError(f"{since} is older than {LOOK_BACK.days} days")
        content = take_apart(answer, [span.task.entity for span in spans])
        replies = {
            span.stream: Reply(
                span,
                content.changes[span.stream],
                answer.received_at,
                {"entities": span.task.entity.name, "changedSince": since},
            )
            for span in spans
        }
        if not content.is_full:
            self.replies |= replies
            if content.groups < len(spans):
                # It speaks of fewer than it was asked for; it may have passed over the others.
                self.silent |= replies.keys() - content.named
            self.mute |= set() if content.groups else replies.keys()
            return []
        if len(spans) == 1:
            self.cut |= replies
            return []
        sizes = {stream: reply.changes.size for stream, reply in replies.items()}
        if max(sizes.values()) * 2 <= sum(sizes.values()):
            return _halves(spans)
        largest = max(spans, key=lambda span: sizes[span.stream])
        return [[largest], [span for span in spans if span is not largest]]


def _halves(spans: list[Span]) -> list[list[Span]]:
    half = len(spans) // 2
    return [spans[:half], spans[half:]] if half else []


def _parts(spans: list[Span]) -> list[list[Span]]:
    """Take apart what fails together: first the entities for which CDC is not documented."""
    seen = [span for span in spans if span.task.entity.cdc is Cdc.SEEN]
    others = [span for span in spans if span.task.entity.cdc is not Cdc.SEEN]
    return [seen, others] if seen and others else _halves(spans)


def _groups(spans: Iterable[Span]) -> Iterator[list[Span]]:
    """Put together what can be asked for in one call; what was refused before stands apart."""
    group: list[Span] = []
    for span in sorted(spans, key=lambda span: (span.is_doubtful, span.since)):
        first = group[0] if group else span
        if first.is_doubtful != span.is_doubtful or span.since - first.since > APART:
            yield group
            group = []
        group.append(span)
    if group:
        yield group
