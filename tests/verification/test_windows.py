"""Where a gap lies is told by windows of LastUpdatedTime."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.conftest import REALM
from tests.verification.conftest import ALL, disagreeing, operations

if TYPE_CHECKING:
    from datetime import datetime

    from quickbooks_simulator.server import RunningSimulator
    from tap_quickbooks_raw.verification.finding import Finding

    from tests.verification.conftest import OwnSimulator, Raw, Verify

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


def test_sums_that_agree_do_not_hide_windows_that_differ(
    simulator: RunningSimulator, raw: Raw, verify: Verify
) -> None:
    raw.load(simulator, INVOICES)
    [key] = raw.some(1)
    back = "SET last_updated_utc = last_updated_utc - interval '90 d'"
    raw.execute(f"UPDATE {{}} {back} WHERE id = %(id)s", id=key)
    finding = verify(simulator, INVOICES, windows="month")[INVOICES]

    assert (finding.agrees, finding.verdict) == (False, "1 missing or older")
    assert "unchanged since" in finding.explanations[0]


def test_what_has_left_its_window_since_the_load_is_no_gap(
    own_simulator: OwnSimulator, raw: Raw, verify: Verify
) -> None:
    company = own_simulator(counts={"Invoice": 60})
    raw.load(company, INVOICES)
    company.edit(REALM, [{"op": "touch", "entity": "Invoice", "random": 5}])
    finding = verify(company, INVOICES, windows="month")[INVOICES]

    assert located(finding)
    assert (finding.agrees, finding.verdict) == (True, "ok")


@pytest.mark.parametrize("start", ["2000-01-01", "9999-12-31"])
def test_a_window_may_be_longer_than_time(
    simulator: RunningSimulator, raw: Raw, verify: Verify, start: str
) -> None:
    raw.load(simulator, INVOICES)
    for length in (10**9, "month"):
        findings = verify(simulator, INVOICES, windows=length, start_date=start)
        assert disagreeing(findings) == {}


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
