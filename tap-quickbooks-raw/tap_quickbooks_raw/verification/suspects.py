"""Why two counts differ: asked of QBO, thirty questions to a call, until the sum is right.

What has changed or was deleted in QBO since `raw` was loaded cannot be there yet. So its ids are
asked for, and looked up in `raw`: only if those that are new and those that are gone make up the
whole difference is it explained; what is left of it fails.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from tap_quickbooks_raw.batches import BATCH_ITEMS, ask_batch
from tap_quickbooks_raw.exceptions import EntityError
from tap_quickbooks_raw.listing import is_between
from tap_quickbooks_raw.pages import Source, total_count
from tap_quickbooks_raw.planning import base_query
from tap_quickbooks_raw.query import Query
from tap_quickbooks_raw.verification.counting import listing_of
from tap_quickbooks_raw.verification.deletions import deletions
from tap_quickbooks_raw.verification.finding import Counted, Finding, Reason

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tap_quickbooks_raw.batches import Lists
    from tap_quickbooks_raw.client import QuickBooksClient
    from tap_quickbooks_raw.listing import Stamps
    from tap_quickbooks_raw.verification.deletions import Deleted
    from tap_quickbooks_raw.verification.raw_rows import Known
    from tap_quickbooks_raw.verification.scope import Scope, Since

# More objects than one page that have changed are listed, but not any number of them.
MOST_CHANGED = 20_000
PAGE = 1000
# Both sides may move while they are counted; so often they are counted again.
ROUNDS = 3


class _Sums(NamedTuple):
    """What makes up a difference.

    Attributes:
        new: Objects that QBO counts and `raw` does not have, changed since it was loaded.
        moved: Rows that `raw` counts whose objects have left the window since.
        deleted: Rows whose objects were deleted since.
        inactive: Deactivated objects that COUNT leaves out.
    """

    new: int = 0
    moved: int = 0
    deleted: int = 0
    inactive: int = 0

    @property
    def difference(self) -> int:
        return self.new - self.moved - self.deleted - self.inactive


@dataclass(slots=True)
class Suspect:
    """An entity whose counts differ.

    Attributes:
        scope: What is compared.
        finding: What was found of it.
        since: From when on changes need not be in `raw` yet.
        changed: Objects that were changed since; None if they are not known.
        deleted: Objects that were deleted since.
        inactive: Deactivated objects that COUNT leaves out.
    """

    scope: Scope
    finding: Finding
    since: Since
    changed: Stamps | None = None
    deleted: Deleted = field(default_factory=dict)
    inactive: int = 0

    @property
    def texts(self) -> list[str]:
        """The questions."""
        entity = self.finding.entity
        changed = base_query(entity).between(self.since.moment, None)
        texts = [
            self._between(base_query(entity)).count(),
            changed.count(),
            changed.page(position=1, rows=PAGE, columns="Id, MetaData"),
        ]
        if entity.active:
            # COUNT may leave out the deactivated ones, whatever it is asked for.
            texts += [
                self._between(Query(entity.name, (f"Active = {value}",))).count()
                for value in ("true", "false")
            ]
        return texts

    def take(self, answers: Sequence[Lists | None]) -> None:
        """Take the answers to the questions, and count the rows in `raw` again."""
        counts = [None if lists is None else total_count(lists) for lists in answers]
        rows, number, _, *by_active = counts
        if rows is not None:
            self.finding.counted = Counted(datetime.now(UTC), rows)
        self.changed = self._changed(number, answers[2])
        entity = self.finding.entity
        self.finding.tally = self.scope.rows(entity).tally(self.scope.start, self.scope.end)
        self.inactive = 0
        if by_active and rows is not None and None not in by_active:
            active, inactive = (count or 0 for count in by_active)
            self.inactive = inactive if rows == active else 0

    @property
    def left(self) -> int:
        """By how much QBO has more, without what is explained."""
        return self.finding.difference - self._sums.difference

    def judge(self) -> None:
        """Put down what is explained, and what is left."""
        sums, finding = self._sums, self.finding
        difference = finding.difference
        finding.missing, finding.extra = max(difference, 0), max(-difference, 0)
        if difference == 0:
            return
        since = self.since
        finding.excused += [
            reason
            for reason in (
                Reason(
                    sums.new,
                    "changed since",
                    f"{sums.new:,} not in raw yet: changed in QBO after {since}",
                ),
                Reason(
                    sums.moved,
                    "changed since end_date",
                    f"{sums.moved:,} changed in QBO after end_date, so that QBO no longer counts "
                    "them in the range",
                ),
                Reason(
                    sums.deleted,
                    "deleted since",
                    f"{sums.deleted:,} left to the next run: deleted in QBO after {since}",
                ),
                Reason(
                    sums.inactive,
                    "inactive",
                    f"{sums.inactive:,} deactivated ones that COUNT leaves out, but counts when "
                    "asked for alone",
                ),
            )
            if reason.number
        ]
        if self.left > 0:
            finding.faults.append(Reason(self.left, "missing"))
        elif self.left < 0:
            finding.faults.append(Reason(-self.left, "too many"))

    @property
    def _sums(self) -> _Sums:
        changed = self.changed or {}
        scope = self.scope
        known = scope.rows(self.finding.entity).known({*changed, *self.deleted})
        counted = {key for key, row in known.items() if _is_counted(row, scope)}
        within = {
            key for key, stamp in changed.items() if is_between(stamp, scope.start, scope.end)
        }
        return _Sums(
            len(within - counted),
            len((changed.keys() & counted) - within),
            len((self.deleted.keys() & counted) - changed.keys()),
            self.inactive,
        )

    def _changed(self, number: int | None, lists: Lists | None) -> Stamps | None:
        """What has changed, if it is all that was counted."""
        entity = self.finding.entity
        source = Source(self.scope.run.client, entity)
        if number is None or number > MOST_CHANGED:
            return None
        if number == 0:
            return {}
        try:
            rows = source.rows(lists, "") if lists else []
            stamps = {row.id: row.stamp for row in rows}
            if len(stamps) == number and all(stamps.values()):
                return stamps
            return listing_of(self.scope, entity).between(self.since.moment, None)
        except EntityError:
            return None

    def _between(self, query: Query) -> Query:
        return query.between(self.scope.start, self.scope.end)


def examine(suspects: Sequence[Suspect]) -> None:
    """Ask why the counts of some entities differ, and judge them.

    Raises:
        CompanyError: Nothing of the company can be read.
        BudgetReached: No further request may be sent.
    """
    left = list(suspects)
    for _ in range(ROUNDS):
        before = [(suspect.finding.rows, suspect.finding.raw_rows) for suspect in left]
        _ask(left)
        moved = [
            suspect
            for suspect, counts in zip(left, before, strict=True)
            if suspect.left and counts != (suspect.finding.rows, suspect.finding.raw_rows)
        ]
        if not moved:
            break
        left = moved
    for suspect in suspects:
        suspect.judge()


def _ask(suspects: Sequence[Suspect]) -> None:
    for batch in _batches(suspects):
        texts = [text for each in batch for text in each.texts]
        answers = iter(_answers(batch[0].scope.run.client, texts))
        for suspect in batch:
            suspect.take([next(answers) for _ in suspect.texts])
    # Asked for whatever is left: what was deleted may make up for what is missing.
    told = deletions(
        suspects[0].scope, {each.finding.entity: each.since.moment for each in suspects}
    )
    for suspect in suspects:
        suspect.deleted = told.get(suspect.finding.entity.stream, {})


def _answers(client: QuickBooksClient, texts: Sequence[str]) -> list[Lists | None]:
    """Ask a batch, and alone what it does not answer."""
    answers = ask_batch(client, texts)
    for number, text in enumerate(texts):
        if answers[number] is None:
            with suppress(EntityError):
                answers[number] = client.get("query", attempts=1, query=text).query
    return answers


def _batches(suspects: Sequence[Suspect]) -> Iterator[list[Suspect]]:
    batch: list[Suspect] = []
    items = 0
    for suspect in suspects:
        if items + len(suspect.texts) > BATCH_ITEMS:
            yield batch
            batch, items = [], 0
        batch.append(suspect)
        items += len(suspect.texts)
    if batch:
        yield batch


def _is_counted(row: Known, scope: Scope) -> bool:
    if not row.is_living:
        return False
    if row.stamp is None:
        return True
    return scope.start <= row.stamp and (scope.end is None or row.stamp < scope.end)
