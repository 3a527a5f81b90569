"""Where a gap lies is told by windows of LastUpdatedTime."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.verification.conftest import ALL, disagreeing, operations

if TYPE_CHECKING:
    from datetime import datetime

    from quickbooks_simulator.server import RunningSimulator
    from tap_quickbooks_raw.verification.finding import Finding

    from tests.verification.conftest import Raw, Verify

INVOICES = "qb_invoices"


def lose(raw: Raw) -> datetime:
    """Lose a row; return when it was last updated."""
    [key] = raw.some(1)
    moment: datetime = raw.one("SELECT last_updated_utc FROM {} WHERE id = %(id)s", id=key)
    raw.drop([key])
    return moment


def located(finding: Finding) -> str:
    [text] = [text for text in finding.explanations if text.startswith("differs in ")]
    return text.removeprefix("differs in ")


def test_a_gap_is_found_in_its_month(simulator: RunningSimulator, raw: Raw, verify: Verify) -> None:
    raw.load(simulator)
    moment = lose(raw)
    findings = verify(simulator)

    text = located(findings[INVOICES])
    assert text.startswith(f"{moment:%Y-%m}-01 to ")
    assert ";" not in text
    months = findings[INVOICES].months
    assert sum(months.values()) == findings[INVOICES].rows
    # Two for the counts, one for the question, five for 137 months.
    assert operations(simulator)["batch"] == 8
    # The others are not counted by month.
    assert not findings["qb_customers"].months


@pytest.mark.parametrize("days", [1, 7, 400])
def test_a_gap_is_found_in_its_days(
    simulator: RunningSimulator, raw: Raw, verify: Verify, days: int
) -> None:
    raw.load(simulator, INVOICES)
    moment = lose(raw)
    low, high = (
        located(verify(simulator, INVOICES, windows=days)[INVOICES]).split(":")[0].split(" to ")
    )
    assert low <= f"{moment:%Y-%m-%d}"
    assert high == "now" or f"{moment:%Y-%m-%d}" <= high


def test_all_are_counted_by_month_on_request(
    simulator: RunningSimulator, raw: Raw, verify: Verify
) -> None:
    raw.load(simulator)
    findings = verify(simulator, windows="month")
    assert disagreeing(findings) == {}
    for finding in findings.values():
        tally = finding.tally
        assert tally is not None
        if finding.entity.is_rare or "" in tally.months:
            continue
        # Of the bare dates nobody knows the hours.
        if finding.entity.name != "InventoryAdjustment":
            assert {m: n for m, n in finding.months.items() if n} == tally.months


def test_too_many_gaps_are_not_counted_by_month_without_being_asked_to(
    simulator: RunningSimulator, raw: Raw, verify: Verify
) -> None:
    raw.load(simulator)
    for stream in ALL:
        if raw.one("SELECT count(*) FROM {}", stream) > 3:
            raw.drop(raw.some(1, stream), stream)
    findings = verify(simulator)
    batches = operations(simulator)["batch"]
    assert any("--windows month" in text for f in findings.values() for text in f.explanations)
    assert batches <= 2 + 5 + 20


def test_where_windows_are_refused_it_says_so(
    simulator: RunningSimulator, raw: Raw, verify: Verify
) -> None:
    raw.load(simulator, INVOICES)
    simulator.configure(no_time_filter=["Invoice"])
    finding = verify(simulator, INVOICES, windows="month")[INVOICES]
    assert finding.agrees
    assert "QBO does not count it by windows" in finding.explanations
