"""Source against destination: an entity that cannot be counted hides no other one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tap_quickbooks_raw.entities import BY_STREAM
from tap_quickbooks_raw.exceptions import EntityError, SettingsError, UnavailableError
from tap_quickbooks_raw.limiter import Limiter
from tap_quickbooks_raw.run import Run
from tap_quickbooks_raw.settings import parse, resolve
from tap_quickbooks_raw.verify import Verdict, count_source, settings_from, table

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import FakeTime
    from quickbooks_simulator.server import RunningSimulator

    Count = Callable[[RunningSimulator], dict[str, int | EntityError]]

INVOICES = BY_STREAM["qb_invoices"]
KEYS = {"QB_CLIENT_ID": "app", "QB_CLIENT_SECRET": "s3cr3t", "QB_REALM_ID": "1"}


@pytest.fixture
def count(config: Callable[..., dict[str, Any]], fake_time: FakeTime) -> Count:
    """Count a simulated company; each request has one attempt."""
    limiter = Limiter(concurrency=16, now=fake_time.now, sleep=fake_time.sleep)

    def counted(simulator: RunningSimulator) -> dict[str, int | EntityError]:
        run = Run(parse(resolve(config(simulator, max_attempts=1))), limiter)
        try:
            return count_source(run)
        finally:
            run.close()

    return counted


def trouble(simulator: RunningSimulator, entity: str, status: int) -> None:
    rule = {"match": {"entity": entity}, "do": {"status": status}, "times": None}
    simulator.add_rules([rule])


def test_an_entity_that_cannot_be_counted_does_not_hide_the_others(
    simulator: RunningSimulator, count: Count
) -> None:
    before = count(simulator)
    trouble(simulator, "Invoice", 500)

    after = count(simulator)

    assert all(isinstance(number, int) for number in before.values())
    assert isinstance(after["qb_invoices"], EntityError)
    assert {**after, "qb_invoices": before["qb_invoices"]} == before


def test_an_entity_that_the_company_does_not_have_is_unavailable(
    simulator: RunningSimulator, count: Count
) -> None:
    trouble(simulator, "TaxClassification", 404)

    found = count(simulator)["qb_tax_classifications"]

    assert isinstance(found, UnavailableError)


GONE, FAILED = UnavailableError("no such thing"), EntityError("QBO said 500\nintuit_tid 1-2")


@pytest.mark.parametrize(
    ("source", "raw", "text", "agrees"),
    [
        (0, 0, "ok", True),
        (5, 5, "ok", True),
        (5, 3, "2 missing", False),
        (3, 5, "2 too many", False),
        (GONE, 0, "unavailable", True),
        (GONE, 2, "2 too many", False),
        (FAILED, 0, "cannot be counted: QBO said 500 intuit_tid 1-2", False),
        (FAILED, 2, "cannot be counted: QBO said 500 intuit_tid 1-2", False),
    ],
)
def test_the_verdict_of_an_entity(
    source: int | EntityError, raw: int, *, text: str, agrees: bool
) -> None:
    verdict = Verdict(INVOICES, source, raw)

    assert (verdict.text, verdict.agrees) == (text, agrees)


def test_the_table_has_a_line_for_every_entity_and_the_total() -> None:
    verdicts = [Verdict(INVOICES, 1200, 1200), Verdict(INVOICES, FAILED, 7)]

    _, good, bad, total = table(verdicts).splitlines()

    assert good.split() == ["Invoice", "1,200", "1,200", "ok"]
    assert bad.split()[:6] == ["Invoice", "-", "7", "cannot", "be", "counted:"]
    assert total.split() == ["total", "1,200", "1,207", "1", "of", "2", "agree"]


def test_a_long_reason_does_not_break_the_table() -> None:
    assert len(Verdict(INVOICES, EntityError("so it is " * 99), 0).text) < 130


# ---- Settings from the environment


def test_the_spanish_names_are_read_too() -> None:
    """Or another range would be compared than the one that was loaded."""
    names = {
        "TAP_QUICKBOOKS_RAW_FECHA_INICIO": "2024-01-01",
        "TAP_QUICKBOOKS_RAW_FECHA_FIN": "2024-02-01",
    }
    settings = settings_from(KEYS | names)

    assert settings.start.isoformat() == "2024-01-01T00:00:00+00:00"
    assert settings.end is not None
    assert settings.end.isoformat() == "2024-02-01T00:00:00+00:00"


def test_a_name_and_its_alias_must_not_differ() -> None:
    names = {
        "TAP_QUICKBOOKS_RAW_START_DATE": "2024-01-01",
        "TAP_QUICKBOOKS_RAW_FECHA_INICIO": "2024-01-02",
    }
    with pytest.raises(SettingsError, match=r"^fecha_inicio: contradicts start_date"):
        settings_from(KEYS | names)


def test_numbers_are_read_as_numbers() -> None:
    assert settings_from(KEYS | {"TAP_QUICKBOOKS_RAW_CHUNK_DAYS": "7"}).chunk_days == 7
    with pytest.raises(SettingsError, match=r"^chunk_days: "):
        settings_from(KEYS | {"TAP_QUICKBOOKS_RAW_CHUNK_DAYS": "²"})


def test_a_missing_setting_is_named() -> None:
    with pytest.raises(SettingsError, match="QB_REALM_ID"):
        settings_from({name: value for name, value in KEYS.items() if name != "QB_REALM_ID"})
