"""Ids and versions on both sides, and why they differ.

An object that a listing leaves out is not taken for a deleted one: it is asked for by its id,
as a sweep does it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING

from tap_quickbooks_raw.entities import Reading
from tap_quickbooks_raw.exceptions import EntityError
from tap_quickbooks_raw.verification.counting import listing_of
from tap_quickbooks_raw.verification.deletions import deletions
from tap_quickbooks_raw.verification.finding import Finding, Reason

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from tap_quickbooks_raw.listing import Stamps
    from tap_quickbooks_raw.pages import Stamp
    from tap_quickbooks_raw.verification.scope import Scope, Since

# More than so many rows that QBO does not list are too many to ask for each.
MOST_ASKED = 1000


@dataclass(slots=True)
class Comparison:
    """The ids of an entity, compared.

    Attributes:
        scope: What is compared.
        finding: What was found of it; its objects in QBO are listed.
        since: From when on changes need not be in `raw` yet.
        unsent: Rows whose objects are proven not to be there.
    """

    scope: Scope
    finding: Finding
    since: Since
    unsent: set[str] = field(default_factory=set)

    def compare(self) -> None:
        """Compare, and judge all but what may have been deleted."""
        finding = self.finding
        stamps = finding.counted.stamps if finding.counted else None
        if stamps is None:
            return
        kept = self._kept(stamps)
        missing = stamps.keys() - kept.keys()
        extra = kept.keys() - stamps.keys()
        newer = _others(stamps.keys() & kept.keys(), stamps, kept)
        finding.missing, finding.newer = missing, newer
        self._judge_missing(missing, stamps)
        self._judge_newer(newer, stamps, kept)
        finding.extra = extra
        self._judge_extra(extra, stamps, kept)

    def release(self) -> None:
        """Forget the stamps, which may be a million."""
        counted = self.finding.counted
        if counted is not None:
            self.finding.counted = counted._replace(stamps={})

    def judge_unsent(self, deleted: Collection[str]) -> None:
        """Judge the rows whose objects are not there.

        Args:
            deleted: Those that are told to be deleted since `raw` was loaded.
        """
        since = self.since
        known = self.unsent & set(deleted)
        self._excuse(known, "deleted since", f"left to the next run: deleted in QBO after {since}")
        gone = self.unsent - known
        self.finding.gone = gone
        self._fault(gone, "too many", "live in raw, and QBO does not have them")

    def _judge_missing(self, missing: set[str], stamps: Stamps) -> None:
        changed = self._changed(missing, stamps)
        self._excuse(changed, "changed since", f"not in raw yet: changed in QBO after {self.since}")
        left = missing - changed
        known = self.scope.rows(self.finding.entity).known(left)
        marked = {key for key in left if key in known and not known[key].is_living}
        # Deleted since they were listed.
        current = self._current(marked)
        if current is not None:
            missing -= marked - current.keys()
            marked &= current.keys()
        self._fault(marked, "missing", "live in QBO, and are marked as deleted in raw")
        # Living rows outside of the window: of an older version, or of a false one.
        stale = {key for key in left if key in known and known[key].is_living}
        self._fault(stale, "newer in QBO", "are in raw as they were before the range")
        self._fault(left - known.keys(), "missing", "are in QBO, and not in raw")

    def _judge_newer(
        self, newer: set[str], stamps: Stamps, kept: dict[str, datetime | None]
    ) -> None:
        changed = self._changed(newer, stamps)
        self._excuse(
            changed, "changed since", f"are older in raw: changed in QBO after {self.since}"
        )
        left = newer - changed
        ahead = {key for key in left if _is_ahead(kept[key], stamps[key])}
        # Loaded since they were listed.
        current = self._current(ahead)
        settled = {key for key in ahead if current and _moment(current.get(key)) == kept[key]}
        newer -= settled
        self._fault(left - ahead, "newer in QBO", "have a newer version in QBO than in raw")
        self._fault(ahead - settled, "newer in raw", "have a later stamp in raw than in QBO")

    def _judge_extra(
        self, extra: set[str], stamps: Stamps, kept: dict[str, datetime | None]
    ) -> None:
        entity = self.finding.entity
        if entity.reading is Reading.RATES:
            older = _older_rates(extra, stamps)
            self._excuse(
                older, "older rates", "are rates of earlier days, of which QBO lists later"
            )
            self._fault(extra - older, "too many", "are rates that QBO does not list")
            return
        if len(extra) > MOST_ASKED:
            self._fault(extra, "too many", "live in raw, and QBO does not list them")
            self.finding.notes.append("too many to ask for each; a sweep does, and marks them")
            return
        if not extra:
            return
        listing = listing_of(self.scope, entity)
        try:
            self.unsent = listing.absent(extra, set(stamps))
            here = extra - self.unsent
            found = (listing.find(here, stamps) if here else None) or {}
        except EntityError as error:
            self._fault(extra, "too many", f"are not listed, and cannot be asked for ({error})")
            return
        changed = self._changed(here, found)
        self._excuse(
            changed, "changed since", f"were changed in QBO after {self.since}, and left the range"
        )
        other = _others(here - changed, found, kept)
        self._judge_newer(other, found, kept)
        self.finding.newer = (self.finding.newer or set()) | other
        self._excuse(
            here - changed - other,
            "not listed",
            "are not listed by QBO, but sent when asked for by Id",
        )

    def _kept(self, stamps: Stamps) -> dict[str, datetime | None]:
        """The living rows within bounds, and those of which QBO knows no time to tell."""
        scope, finding = self.scope, self.finding
        rows = scope.rows(finding.entity)
        kept = rows.stamps(scope.start, scope.end)
        timeless = {key for key, stamp in stamps.items() if stamp is None or not stamp.exact}
        known = rows.known(timeless - kept.keys())
        outside = {key: row.stamp for key, row in known.items() if row.is_living}
        if outside and finding.tally is not None:
            finding.tally = finding.tally._replace(rows=len(kept) + len(outside))
        return kept | outside

    def _current(self, ids: set[str]) -> Stamps | None:
        """Ask for objects once more; None where QBO does not tell."""
        if not ids:
            return None
        try:
            return listing_of(self.scope, self.finding.entity).find(ids, ())
        except EntityError as error:
            self.finding.notes.append(f"cannot be asked for by Id: {error}")
            return None

    def _changed(self, ids: Iterable[str], stamps: Stamps) -> set[str]:
        """Those of some ids that were changed since `raw` was loaded."""
        return {key for key in ids if self.since.covers(stamps.get(key))}

    def _excuse(self, ids: set[str], short: str, long: str) -> None:
        if ids:
            self.finding.explained |= ids
            self.finding.excused.append(Reason(len(ids), short, _sentence(ids, long)))

    def _fault(self, ids: set[str], short: str, long: str) -> None:
        if ids:
            self.finding.faults.append(Reason(len(ids), short, _sentence(ids, long)))


def compare_all(comparisons: Iterable[Comparison]) -> None:
    """Compare the ids of some entities, and ask once for all of them what was deleted.

    Raises:
        CompanyError: Nothing of the company can be read.
        BudgetReached: No further request may be sent.
    """
    doubtful = []
    for each in comparisons:
        with each.scope.reading(each.finding):
            each.compare()
        each.release()
        each.finding.is_judged = not each.unsent
        if each.unsent:
            doubtful.append(each)
    if not doubtful:
        return
    told = deletions(
        doubtful[0].scope, {each.finding.entity: each.since.moment for each in doubtful}
    )
    for each in doubtful:
        each.judge_unsent(told.get(each.finding.entity.stream, {}))
        each.finding.is_judged = True


def _moment(stamp: Stamp | None) -> datetime | None:
    return stamp.moment if stamp else None


def _others(ids: Iterable[str], stamps: Stamps, kept: dict[str, datetime | None]) -> set[str]:
    """Those of some ids of which QBO has another version."""
    return {key for key in ids if _moment(stamps.get(key)) not in {None, kept[key]}}


def _is_ahead(kept: datetime | None, stamp: Stamp | None) -> bool:
    return kept is not None and stamp is not None and kept > stamp.moment


def _older_rates(ids: Iterable[str], stamps: Stamps) -> set[str]:
    """Those of some rates of which QBO lists a later day."""
    latest: dict[str, date] = {}
    for key in stamps:
        pair, day = _rate(key)
        if day is not None:
            latest[pair] = max(latest.get(pair, day), day)
    older = set()
    for key in ids:
        pair, day = _rate(key)
        if day is not None and pair in latest and day < latest[pair]:
            older.add(key)
    return older


def _rate(key: str) -> tuple[str, date | None]:
    """The currencies and the day of a rate's id."""
    try:
        return key[:-11], date.fromisoformat(key[-10:])
    except ValueError:
        return key, None


def _sentence(ids: Collection[str], text: str, most: int = 10) -> str:
    named = ", ".join(sorted(ids)[:most])
    more = f" and {len(ids) - most:,} more" if len(ids) > most else ""
    return f"{len(ids):,} {text}: {named}{more}"
