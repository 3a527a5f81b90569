"""Changes followed from run to run: what an idle run costs, and what interruptions leave."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tap_quickbooks_raw.entities import ENTITIES, Cdc
from tap_quickbooks_raw.exceptions import StateError
from tap_quickbooks_raw.state import check_state

from tests.changes_books import ALL, DAY, IDLE, KEYS, KILLED, RARE, WHOLE, followed
from tests.conftest import REALM

FOLLOWED = {entity.stream for entity in ENTITIES if entity.cdc is not Cdc.NO}
STAMPED = set(ALL) - RARE - {WHOLE}
TAX, CODES = "qb_tax_payments", "qb_journal_codes"
FOREIGN: dict[str, set[str]] = {"ALL": set(), "US": {TAX, CODES}, "FR": {TAX}, "AU": {CODES}}
KNOWN, READ, UNKNOWN = "deletions_known_to", "replication_key_value", "deletions_unknown_before"
HOUR = 3600


@pytest.mark.parametrize("country", FOREIGN)
def test_an_idle_run_costs_two_calls_and_moves_every_bookmark(country: str) -> None:
    with followed(country=country) as books:
        for _ in range(3):
            before = books.now - timedelta(seconds=33)
            run = books.sync()
            assert run.exit_code == 0
            assert run.calls == IDLE
            assert run.told == Counter()
            assert not run.log
            there = STAMPED - FOREIGN[country]
            assert all((run.instant(stream, READ) or before) > before for stream in there)
            there = FOLLOWED - FOREIGN[country]
            assert all((run.instant(stream, KNOWN) or before) > before for stream in there)
            assert not run.streams_with(UNKNOWN)
            books.simulator.advance(60)
        assert not run.records()


@pytest.mark.parametrize("country", FOREIGN)
def test_what_changes_rarely_or_does_not_exist_is_asked_for_once_a_day(country: str) -> None:
    rare = RARE | FOREIGN[country]
    with followed(country=country) as books:
        books.edit("update", "ExchangeRate")
        for hours, is_asked in ((22.9, False), (0.2, True), (22.9, False), (0.2, True)):
            books.simulator.advance(hours * HOUR)
            run = books.sync()
            assert (run.calls != IDLE) == is_asked
            assert len(run.calls) <= 12
            assert run.said("not available") == is_asked * len(FOREIGN[country])
            assert run.streams_with("checked_at") == rare
            assert ("qb_tax_classifications" in run.told) == is_asked
        assert not books.differences()
        for _ in range(2):
            assert "taxclassification" in books.sync(rarely_read_hours=0).calls


@pytest.mark.parametrize(("days", "is_told"), [(28, True), (29.5, False), (31, False)])
@pytest.mark.parametrize("too_old", ["fault", "ignore"])
def test_a_silence_is_told_as_far_as_cdc_looks_back(
    days: float, too_old: str, *, is_told: bool
) -> None:
    with followed() as books:
        books.simulator.configure(cdc_too_old=too_old)
        gone = books.work()
        books.simulator.advance(days * DAY.total_seconds())
        run = books.sync()
        assert set(books.deleted) == (gone if is_told else set())
        assert set(books.differences()) == gone - set(books.deleted)
        assert run.streams_with(UNKNOWN) == (set() if is_told else FOLLOWED)
        assert run.said("quickbooks-verify:sweep") == (not is_told)
        assert ("cdc" in run.calls) == is_told
        again = books.sync()
        assert (again.calls, again.log) == (IDLE, [])
        # From there on they are known.
        gone = books.edit("delete", "Deposit")
        books.simulator.advance(60)
        assert books.sync().deleted == gone


@pytest.mark.parametrize("too_old", ["fault", "ignore"])
@pytest.mark.parametrize("hours", [-48 * 24, -5, -0.1, 0.1, 5])
def test_a_wrong_clock_of_this_machine_loses_nothing(hours: float, too_old: str) -> None:
    with followed() as books:
        books.simulator.configure(cdc_too_old=too_old, cdc_off=["Deposit"])
        books.skew = timedelta(hours=hours)
        gone = books.work()
        books.sync()
        gone |= books.work()
        books.sync()
        assert set(books.deleted) == gone
        assert not books.differences()
        if hours < -DAY / timedelta(hours=1):
            books.simulator.advance(31 * DAY.total_seconds())
            late = books.sync()
            assert late.streams_with(UNKNOWN) >= FOLLOWED - {"qb_deposits"}
            assert Counter(late.calls)["cdc"] == 1
            assert books.sync().calls[0] == "cdc"


@pytest.mark.parametrize("change", ["2026-11-01T09:00:00Z", "2027-03-14T10:00:00Z"])
def test_a_change_of_the_clocks_in_california_makes_no_difference(change: str) -> None:
    with followed(
        "qb_invoices", "qb_bills", "qb_tax_codes", counts={"Bill": 9}, load=False
    ) as books:
        edge = datetime.fromisoformat(change)
        while (far := edge - books.now) > 31 * DAY:
            books.simulator.advance(30 * DAY.total_seconds())
            books.sync()
        books.simulator.advance(far.total_seconds() - 1.5 * HOUR)
        books.sync()
        for _ in range(6):
            books.edit("update", "Invoice", "TaxCode")
            books.edit("delete", "Bill")
            books.simulator.advance(HOUR / 2)
            run = books.sync()
            assert run.told == Counter(["qb_invoices", "qb_tax_codes", "qb_bills"])
            assert not books.differences()
        assert len(books.deleted) == 6
        assert max(books.deleted.values()) > edge > min(books.deleted.values())


STOPS = [("budget", n) for n in (1, 2, 3, 4, 5, 7, 9)]
STOPS += [(how, n) for how in ("term", "kill") for n in (1, 2, 5, 20, 45, 50, 60, 70, 90)]


@pytest.mark.parametrize(("how", "at"), STOPS)
def test_an_interrupted_run_is_taken_up(how: str, at: int) -> None:
    with followed() as books:
        gone = books.work()
        for _ in range(2):
            if how == "budget":
                run = books.sync(max_api_calls=at)
                assert len(run.calls) <= at
            else:
                run = books.sync(end=(how, at))
            assert run.exit_code in {0, {"budget": 0, "kill": KILLED, "term": 143}[how]}
            assert books.differences() or set(books.deleted) == gone
            gone |= books.work() if len(gone) < 6 and at < 50 else set()
        run = books.sync()
        assert run.exit_code == 0
        assert set(books.deleted) == gone
        assert not books.differences()
        assert books.sync().calls == IDLE


def test_deletions_during_a_long_first_load_are_told_afterwards() -> None:
    counts = {"Customer": 400, "Invoice": 700, "Attachable": 300}
    streams = [KEYS[key] for key in counts]
    with followed(*streams, counts=counts, load=False, page_size=50, concurrency=1) as books:
        gone: set[tuple[str, str]] = set()
        runs = 0
        while books.sync(max_api_calls=12).said("Stopped at a limit"):
            runs += 1
            gone |= books.edit("delete", *counts, number=3)
            books.simulator.advance(60)
            loaded = gone & books.living.keys()
            assert runs < 30
        assert runs > 2
        assert loaded
        assert not books.sync().streams_with(UNKNOWN)
        assert set(books.deleted) >= loaded
        assert not books.differences()


@pytest.mark.parametrize("number", [5, 999, 1000, 1200])
def test_what_is_read_whole_is_sent_again_only_if_it_has_changed(number: int) -> None:
    with followed(WHOLE, counts={"InventoryAdjustment": number}) as books:
        books.sync()
        for op in ("", "update", "", "delete", ""):
            gone = books.edit(op, "InventoryAdjustment") if op else set()
            books.simulator.advance(60)
            run = books.sync()
            assert not run.records() or op or number > 999
            assert run.deleted == (gone if op == "delete" else set())
            assert not books.differences()
        assert run.calls[0] == "cdc"
        assert not run.streams_with(UNKNOWN)


def test_a_state_from_before_deletions_were_followed_goes_on() -> None:
    with followed() as books:
        for state in books.state["bookmarks"].values():
            for name in (KNOWN, "checked_at", "read_whole"):
                state.pop(name, None)
        gone = books.work()
        run = books.sync()
        assert run.exit_code == 0
        assert run.streams_with(UNKNOWN) == FOLLOWED - {WHOLE}
        assert run.said("quickbooks-verify:sweep") == 1
        assert set(books.differences()) == gone - set(books.deleted)
        gone = set(books.deleted) | books.work()
        run = books.sync()
        assert run.said("quickbooks-verify:sweep") == 0
        assert set(books.deleted) == gone
        assert books.sync().calls == IDLE


@pytest.mark.parametrize(("days", "is_told"), [(2, True), (40, False)])
def test_deletions_wait_while_changes_are_followed_by_query(days: int, *, is_told: bool) -> None:
    with followed(counts={"Bill": 9, "Invoice": 9, "Attachable": 9}) as books:
        known = books.state["bookmarks"]["qb_bills"][KNOWN]
        gone = set()
        for _ in range(3):
            gone |= books.work()
            run = books.sync(incremental_method="query")
            assert "cdc" not in run.calls
            assert not run.tombstones()
            assert run.state["bookmarks"]["qb_bills"][KNOWN] == known
            books.simulator.advance(days * DAY.total_seconds())
        run = books.sync()
        assert set(books.deleted) == (gone if is_told else set())
        assert run.streams_with(UNKNOWN) == (set() if is_told else FOLLOWED)
        assert run.said("quickbooks-verify:sweep") == (not is_told)


def test_the_state_is_readable() -> None:
    with followed(country="US") as books:
        books.work()
        books.simulator.configure(cdc_off=["Bill"])
        books.sync()
        names: dict[str, set[str]] = {}
        for state in books.state["bookmarks"].values():
            for name, value in state.items():
                names.setdefault(name, set()).add(type(value).__name__)
                if name in {KNOWN, READ, "checked_at", "cdc_refused_at"}:
                    moment = datetime.fromisoformat(value)
                    assert moment.tzinfo == UTC
                    assert moment.microsecond == 0
        assert names == {
            "replication_key": {"str"},
            READ: {"str"},
            "realm_id": {"str"},
            KNOWN: {"str"},
            "checked_at": {"str"},
            "cdc_refused_at": {"str"},
            "read_whole": {"int"},
            "whole_digest": {"str"},
        }
        check_state(books.state, REALM)


@pytest.mark.parametrize("name", [KNOWN, UNKNOWN, READ, "checked_at", "cdc_refused_at"])
@pytest.mark.parametrize("value", ["soon", 7, [], "0000-01-01T00:00:00Z"])
def test_an_instant_that_is_none_is_named(name: str, value: object) -> None:
    with pytest.raises(StateError, match=rf"qb_bills .*\({name}\)"):
        check_state({"bookmarks": {"qb_bills": {name: value}}}, REALM)


Edit = tuple[str, str, int]
PLAYED = {"Customer": 8, "Invoice": 8, "Attachable": 6, "RecurringTransaction": 4}
edits = st.tuples(
    st.sampled_from(("create", "update", "touch", "delete", "void", "deactivate", "merge")),
    st.sampled_from(tuple(PLAYED)),
    st.sampled_from((0, 0, 10, 60, 4000)),
)


SPECIAL = {"void": "Invoice", "deactivate": "Customer", "merge": "Customer"}


@settings(
    max_examples=12,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)
@given(st.lists(st.lists(edits, max_size=6), min_size=1, max_size=4), st.booleans())
def test_the_table_is_the_company_whatever_happens(history: list[list[Edit]], odd: bool) -> None:  # noqa: FBT001
    streams = [KEYS[key] for key in PLAYED]
    with followed(*streams, counts=PLAYED) as books:
        if odd:
            books.simulator.configure(cdc_shuffled=True, cdc_single_object=True)
        gone: dict[tuple[str, str], datetime] = {}
        for events in [*history, []]:
            for op, key, pause in events:
                few = len(books.simulator.rows(REALM, key)) < 3
                if SPECIAL.get(op, key) != key or (few and op in {"delete", "merge"}):
                    continue
                edit = {"op": op, "entity": key, "random": 1}
                loser = KEYS[key], books.simulator.edit(REALM, [edit])[0][0]
                gone |= {loser: books.now} if op in {"delete", "merge"} else {}
                books.simulator.advance(pause)
            run = books.sync()
            assert run.exit_code == 0
            assert books.deleted.keys() <= gone.keys()
        books.simulator.advance(60)
        books.sync()
        assert not books.differences()
        assert books.deleted.keys() == gone.keys()
        for each, moment in books.deleted.items():
            assert abs(moment - gone[each]) <= timedelta(seconds=1.5)
