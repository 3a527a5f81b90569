"""A verification of one company, from the counts to the repair."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import psycopg

from tap_quickbooks_raw.batches import count_all
from tap_quickbooks_raw.exceptions import QuickBooksError, UnavailableError
from tap_quickbooks_raw.listing import is_between
from tap_quickbooks_raw.planning import base_query, countable
from tap_quickbooks_raw.raw_tables import reason
from tap_quickbooks_raw.verification.counting import count_source, list_source
from tap_quickbooks_raw.verification.finding import Finding, Reason, months_of
from tap_quickbooks_raw.verification.identities import Comparison, compare_all
from tap_quickbooks_raw.verification.loads import Loads
from tap_quickbooks_raw.verification.locating import (
    MONTHS,
    MOST_WINDOWS,
    can_be_located,
    locate,
)
from tap_quickbooks_raw.verification.repair import repair
from tap_quickbooks_raw.verification.samples import UNREAD, compare_sample, shares
from tap_quickbooks_raw.verification.suspects import Suspect, examine

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tap_quickbooks_raw.entities import Entity
    from tap_quickbooks_raw.listing import Stamps
    from tap_quickbooks_raw.verification.scope import Scope, Since

logger = logging.getLogger("tap-quickbooks-raw.verify")


@dataclass(frozen=True, slots=True)
class Depth:
    """How deep a verification looks, and what it may change.

    Attributes:
        ids: Whether to compare all ids and versions.
        payloads: How many objects to compare digit by digit.
        seed: Chooses them.
        windows: Days of a window, or `month`, to count all entities by; None for only those
            that disagree.
        repairs: Whether to mend what differs.
        is_sure: Whether to mark rows as deleted, however many.
    """

    ids: bool = False
    payloads: int = 0
    seed: str = ""
    windows: int | str | None = None
    repairs: bool = False
    is_sure: bool = False


@dataclass(slots=True)
class Verifier:
    """Compares the entities of a company.

    Attributes:
        scope: What is compared.
        entities: The entities.
        depth: How deep to look.
        findings: What was found until now, one of each entity.
    """

    scope: Scope
    entities: Sequence[Entity]
    depth: Depth
    findings: list[Finding] = field(init=False)

    def __post_init__(self) -> None:
        self.findings = [Finding(entity) for entity in self.entities]

    def verify(self) -> None:
        """Count, compare and, if asked to, look deeper and repair.

        Raises:
            CompanyError: Nothing of the company can be read.
            BudgetReached: No further request may be sent.
            QuickBooksError: The database cannot be used.
        """
        try:
            self._count()
            self._compare(self.findings)
            self._sample(self.findings)
            self._locate()
            if self.depth.repairs:
                self._repair()
        except psycopg.Error as error:
            raise QuickBooksError(f"the database cannot be used ({reason(error)})") from None

    def _count(self) -> None:
        """Count in QBO, then in `raw`, so that what is loaded meanwhile is no difference."""
        of = {finding.entity: finding for finding in self.findings}
        for entity, counted in count_source(self.scope, self.entities):
            of[entity].counted = counted
        for finding in self.findings:
            self._tally(finding)

    def _list_counted(self, finding: Finding) -> None:
        """List what was only counted."""
        counted = finding.counted
        if counted is not None and counted.error is None and counted.stamps is None:
            self._list(finding, counted.rows)

    def _list(self, finding: Finding, counted: int | None) -> None:
        """List an entity, and count the rows in `raw` again behind it."""
        finding.counted = listed = list_source(self.scope, finding.entity)
        self._tally(finding)
        logger.info("%s: %s ids listed", finding.entity.stream, f"{finding.rows:,}")
        if listed.stamps is not None and listed.rows != counted and countable(finding.entity):
            self._check_count(finding, listed.stamps)

    def _check_count(self, finding: Finding, stamps: Stamps) -> None:
        """Count what was there before the list began: the younger may have come behind it."""
        scope = self.scope
        end = min(scope.clock, scope.end or scope.clock)
        listed = sum(is_between(stamp, scope.start, end) for stamp in stamps.values())
        query = base_query(finding.entity).between(scope.start, end)
        [count] = count_all(scope.run.client, [query])
        if count is not None and count > listed:
            told = f"QBO counts {count:,} objects but lists {listed:,}"
            finding.faults.append(Reason(count - listed, "counted but not listed", told))
        elif count is not None and count < listed:
            finding.notes.append(f"QBO lists {listed:,} objects but counts {count:,}")

    def _tally(self, finding: Finding) -> None:
        with self.scope.reading(finding):
            rows = self.scope.rows(finding.entity)
            finding.tally = rows.tally(self.scope.start, self.scope.end)

    def _since(self) -> dict[str, Since]:
        """From when on changes of each stream need not be in `raw` yet."""
        settings = self.scope.run.settings
        loads = Loads(
            settings.runs_file,
            settings.realm_id,
            settle=settings.settle,
            asked_to={
                finding.entity.stream: finding.tally.loaded_to if finding.tally else None
                for finding in self.findings
            },
        )
        return {
            entity.stream: self.scope.since(entity, loads.to(entity.stream))
            for entity in self.entities
        }

    def _compare(self, findings: Sequence[Finding]) -> None:
        since = self._since()
        # Of what was never loaded everything is missing; there is nothing to ask.
        is_loaded = any(finding.tally and finding.tally.months for finding in self.findings)
        compare_all(self._comparisons(findings, since))
        left = [finding for finding in findings if not finding.is_judged]
        suspects = [
            Suspect(self.scope, finding, since[finding.entity.stream])
            for finding in left
            if finding.is_comparable and finding.difference and is_loaded
        ]
        if suspects:
            examine(suspects)
        examined = [suspect.finding for suspect in suspects]
        for finding in left:
            if finding not in examined and finding.tally is not None:
                finding.judge()
            finding.is_judged = True

    def _comparisons(
        self, findings: Sequence[Finding], since: Mapping[str, Since]
    ) -> Iterator[Comparison]:
        """List one entity after the other, so that only one is in memory."""
        for finding in findings:
            if self.depth.ids or self.depth.repairs:
                self._list_counted(finding)
            counted = finding.counted
            if counted is None or counted.stamps is None or finding.tally is None:
                continue
            finding.months = months_of(counted.stamps)
            yield Comparison(self.scope, finding, since[finding.entity.stream])

    def _sample(self, findings: Sequence[Finding]) -> None:
        rows = {
            finding.entity.stream: sum(finding.tally.months.values())
            for finding in findings
            if finding.is_comparable and finding.tally is not None
        }
        since = self._since()
        numbers = shares(rows, self.depth.payloads)
        for finding in findings:
            stream = finding.entity.stream
            if numbers.get(stream):
                with self.scope.reading(finding):
                    ids = self.scope.rows(finding.entity).sample(numbers[stream], self.depth.seed)
                    compare_sample(self.scope, finding, ids, since[stream])

    def _locate(self) -> None:
        """Find out in which months the gaps are, where ids do not tell."""
        windows = self.depth.windows
        chosen = [
            finding
            for finding in self.findings
            if can_be_located(finding)
            and (windows is not None or (finding.faults and not isinstance(finding.missing, set)))
        ]
        if chosen:
            most = MOST_WINDOWS if windows is None else None
            locate(self.scope, chosen, self._since(), length=windows or MONTHS, most=most)

    def _repair(self) -> None:
        """Mend what differs, and look again."""
        moment = datetime.now(UTC)
        since = self._since()
        for number, before in enumerate(self.findings):
            if not before.faults or isinstance(before.error, UnavailableError):
                continue
            is_changed = repair(self.scope, before, moment=moment, is_sure=self.depth.is_sure)
            if is_changed:
                self.findings[number] = self._again(before, since[before.entity.stream])

    def _again(self, before: Finding, since: Since) -> Finding:
        """Compare an entity once more, without forgetting what was done."""
        finding = Finding(before.entity, repaired=before.repaired, notes=before.notes)
        finding.notes.extend(f"before the repair: {text}" for text in map(str, before.faults))
        # What COUNT knows and no list has is not mended; nor is what could not be sampled.
        self._list(finding, None)
        finding.faults += [fault for fault in before.faults if fault.short == UNREAD]
        self._compare([finding])
        if before.differing:
            with self.scope.reading(finding):
                compare_sample(self.scope, finding, before.differing, since)
        finding.sampled = before.sampled
        return finding
