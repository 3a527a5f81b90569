"""CDC and the batch in every mood: nothing is lost, the calls stay few, deletions are told."""

from __future__ import annotations

import json
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.changes_books import DAY, IDLE, KEYS, LIKELY, SEEN, followed
from tests.conftest import REALM

if TYPE_CHECKING:
    from tests.changes_books import Books

SWEEP = "quickbooks-verify:sweep"
# A binary search for one of 31, and what reads a stream by windows.
HALVING = 13
# What can be done without, and all that windows then cost.
MOST_CALLS = {"cdc": 14 + 12, "batch": 40}


def change(books: Books, changes: dict[str, tuple[int, int]]) -> None:
    """Change so many objects of entities, and delete so many others."""
    for key, (updated, deleted) in changes.items():
        books.edit("delete", key, number=deleted)
        books.edit("update", key, number=updated)
    books.simulator.advance(60)


@pytest.mark.parametrize(
    "changes",
    [
        {"Invoice": (999, 0)},
        {"Invoice": (500, 499)},
        {"Invoice": (500, 0), "Bill": (500, 0)},
        {"Invoice": (0, 500), "Bill": (0, 500)},
        {"Invoice": (250, 250), "Bill": (251, 250)},
        {"Attachable": (500, 0), "Bill": (0, 500)},
    ],
    ids=str,
)
def test_changes_of_many_that_fit_into_answers_are_all_told(
    changes: dict[str, tuple[int, int]],
) -> None:
    counts = dict.fromkeys(changes, 1100)
    with followed(counts=counts) as books:
        change(books, changes)
        run = books.sync()
        assert run.told == Counter({KEYS[key]: sum(both) for key, both in changes.items()})
        assert not books.differences()
        assert Counter(run.calls)["cdc"] <= HALVING
        assert not run.streams_with("deletions_unknown_before")
        assert books.sync().calls == IDLE


@pytest.mark.parametrize(
    ("key", "updated", "deleted"),
    [
        ("Invoice", 1000, 0),
        ("Invoice", 1001, 0),
        ("Invoice", 0, 1001),
        ("Invoice", 600, 401),
        ("Attachable", 600, 401),
        ("Invoice", 5000, 1),
    ],
)
def test_more_of_one_entity_than_cdc_sends_is_read_and_its_deletions_are_said_to_be_unknown(
    key: str, updated: int, deleted: int
) -> None:
    with followed(counts={key: updated + deleted + 50}) as books:
        stream = KEYS[key]
        change(books, {key: (updated, deleted), "Deposit": (0, 1)})
        before = books.now - timedelta(seconds=90)
        run = books.sync()
        assert len(run.records(stream)) == updated
        assert len(run.tombstones("qb_deposits")) == 1
        assert len(run.tombstones(stream)) == min(deleted, max(0, 1000 - updated))
        assert len(books.differences()) == deleted - len(run.tombstones(stream))
        assert 1 < Counter(run.calls)["cdc"] <= HALVING
        assert len(run.calls) <= HALVING + 6 + 2 * updated / 1000
        assert run.said(SWEEP) == 1
        assert run.streams_with("deletions_unknown_before") == {stream}
        assert (run.instant(stream, "deletions_unknown_before") or before) > before
        # From there on they are known again.
        gone = books.edit("delete", key)
        books.simulator.advance(60)
        later = books.sync()
        assert later.deleted == gone
        assert later.calls == IDLE
        assert later.said(SWEEP) == 0


@pytest.mark.parametrize(
    "switches",
    [
        {"cdc_exclusive": True},
        {"cdc_shuffled": True},
        {"cdc_omits_empty": True},
        {"cdc_single_object": True},
        {"cdc_per_entity": True},
        {"cdc_shuffled": True, "cdc_omits_empty": True, "cdc_single_object": True},
        {"batch_shuffled": True},
        {"batch_objects": 1000},
        {"refuse_batch": True},
        {"batch_items": 5},
        {"batch_faults": ["TaxCode", "Attachable"]},
    ],
    ids=" ".join,
)
def test_what_is_not_documented_makes_no_difference(switches: dict[str, Any]) -> None:
    with followed() as books:
        books.simulator.configure(**switches)
        gone = books.work()
        run = books.sync()
        assert run.calls[:2] == IDLE
        assert Counter(run.calls)["cdc"] == 1
        assert set(books.deleted) == gone
        assert not books.differences()
        again = books.sync()
        assert again.told == Counter()
        # Of whom nothing is said, a query has to tell.
        idle = len(IDLE) + ("cdc_omits_empty" in switches)
        assert len(again.calls) <= (idle if "cdc" in str(switches) else MOST_CALLS["batch"])


@pytest.mark.parametrize("bound", ["inclusive", "exclusive"])
@pytest.mark.parametrize("key", ["Invoice", "Attachable"])
def test_changes_in_the_very_second_of_the_bookmark_are_told_once(key: str, bound: str) -> None:
    with followed(KEYS[key], "qb_bills") as books:
        books.simulator.configure(cdc_exclusive=bound == "exclusive")
        at = books.state["bookmarks"]["qb_bills"]["deletions_known_to"]
        for op, entity in (("update", key), ("delete", "Bill"), ("delete", key)):
            books.edit(op, entity, at=at)
        run = books.sync()
        assert len(run.tombstones()) == 2
        assert not books.differences()
        assert books.sync().told == Counter()


@pytest.mark.parametrize("key", ["Invoice", "Attachable"])
@pytest.mark.parametrize("how", ["cdc_off", "cdc_faults"])
def test_an_entity_that_cdc_refuses_is_left_out_for_a_day_and_then_asked_for_alone(
    key: str, how: str
) -> None:
    with followed() as books:
        stream = KEYS[key]
        books.simulator.configure(**{how: [key]})
        gone = books.work()
        run = books.sync(rarely_read_hours=8760)
        assert run.streams_with("cdc_refused_at") == {stream}
        assert Counter(run.calls)["cdc"] <= HALVING
        assert run.said(SWEEP) == 1
        assert set(books.deleted) == {each for each in gone if each[0] != stream}
        books.edit("update", key)
        known = run.instant(stream, "deletions_known_to")
        for hours, calls in ((23, 1), (2, 2), (23, 1)):
            books.simulator.advance(hours * 3600)
            run = books.sync(rarely_read_hours=8760)
            assert Counter(run.calls)["cdc"] == calls
            assert run.said(SWEEP) == 0
            assert run.instant(stream, "deletions_known_to") == known
        books.simulator.configure(**{how: []})
        books.simulator.advance(2 * 3600)
        run = books.sync(rarely_read_hours=8760)
        assert run.deleted == {each for each in gone if each[0] == stream}
        assert set(books.deleted) == gone
        assert not run.streams_with("cdc_refused_at")
        assert not books.differences()
        assert books.sync(rarely_read_hours=8760).calls == IDLE


@pytest.mark.parametrize("number", [2, 3])
@pytest.mark.parametrize("keys", [SEEN, LIKELY], ids=["seen", "likely"])
def test_a_few_entities_that_cdc_refuses_are_found(keys: list[str], number: int) -> None:
    with followed() as books:
        off = keys[:: len(keys) // number][:number]
        books.simulator.configure(cdc_off=list(off))
        gone = books.work()
        for _ in range(3):
            run = books.sync()
            assert len(run.calls) <= 50
        assert run.streams_with("cdc_refused_at") == {KEYS[key] for key in off}
        assert Counter(run.calls)["cdc"] == 1
        assert set(books.deleted) == {each for each in gone if each[0] not in map(KEYS.get, off)}


def test_a_refusal_that_nobody_tells_costs_only_the_deletions_of_doubtful_entities() -> None:
    with followed() as books:
        books.simulator.configure(cdc_off=list(LIKELY), cdc_unsupported="ignore")
        gone = books.work()
        books.sync()
        assert set(books.deleted) == {each for each in gone if each[0] != "qb_attachables"}
        assert set(books.differences()) == gone - set(books.deleted)


@pytest.mark.parametrize(("off", "most"), [(SEEN + LIKELY, 7), (LIKELY[:6], 23)])
def test_what_cdc_refuses_is_not_looked_for_without_end(off: list[str], most: int) -> None:
    with followed() as books:
        books.simulator.configure(cdc_off=off)
        gone = books.work()
        run = books.sync()
        assert run.exit_code == 0
        assert Counter(run.calls)["cdc"] <= most
        assert set(books.differences()) == gone - set(books.deleted)


@pytest.mark.parametrize(("lived", "is_gone"), [(45, True), (35, False)])
def test_whether_an_object_is_deleted_is_what_was_last(*, lived: int, is_gone: bool) -> None:
    with followed("qb_bills") as books:
        one, two = (
            {"Id": "9", "MetaData": {"LastUpdatedTime": f"{books.now - timedelta(seconds=age)}"}}
            for age in (lived, 40)
        )
        bills = {"Bill": [one, two | {"status": "Deleted"}]}
        body = json.dumps({"CDCResponse": [{"QueryResponse": [bills]}]})
        do = {"status": 200, "body": body, "content_type": "application/json"}
        books.simulator.add_rules([{"match": {"operation": "cdc"}, "do": do}])
        run = books.sync()
        assert [record["id"] for record in run.records()] == ["9"]
        assert run.deleted == ({("qb_bills", "9")} if is_gone else set())


def test_what_only_cdc_knows_is_read() -> None:
    with followed("qb_attachables") as books:
        books.simulator.add_rules([{"match": {"operation": "batch"}, "do": {"short_page": 0}}])
        books.edit("update", "Attachable")
        books.simulator.advance(60)
        assert books.sync().told == Counter(["qb_attachables"])


TROUBLES: dict[str, dict[str, Any]] = {
    "429": {"fault": "throttle_xml"},
    "500": {"status": 500, "body": "down"},
    "500 with 10000": {"fault": "system_failure_10000"},
    "400 with 10000": {"fault": "bad_row_10000"},
    "503": {"fault": "service_unavailable_html"},
    "504": {"fault": "gateway_timeout_xml"},
    "200 with a fault": {"fault": "fault_in_200"},
    "200 with nothing": {"status": 200, "body": "{}", "content_type": "application/json"},
    "400": {"status": 400, "body": "no"},
    "403": {"status": 403, "body": "no"},
    "closed": {"close": True},
    "cut": {"truncate": 20},
    "half the JSON": {"short_json": 60},
}


@pytest.mark.parametrize("operation", ["cdc", "batch"])
@pytest.mark.parametrize("trouble", TROUBLES.values(), ids=TROUBLES)
def test_trouble_with_every_answer_loses_nothing_and_ends(
    operation: str, trouble: dict[str, Any]
) -> None:
    with followed() as books:
        books.simulator.add_rules(
            [{"match": {"operation": operation}, "times": None, "do": trouble}]
        )
        gone = books.work()
        run = books.sync()
        assert len(run.calls) <= MOST_CALLS[operation]
        # What refuses every entity is left alone for a day.
        is_refused = operation == "cdc" and trouble.get("status") in {400, 403}
        assert bool(run.streams_with("cdc_refused_at")) == is_refused
        assert not run.streams_with("deletions_unknown_before")
        # Where nothing may be asked, it is the whole company's trouble.
        is_over = operation == "cdc" and trouble == TROUBLES["429"]
        assert run.exit_code == is_over
        assert is_over or set(books.differences()) == gone - set(books.deleted)
        assert operation == "cdc" or set(books.deleted) == gone
        books.simulator.clear_rules()
        books.simulator.advance(DAY.total_seconds() * is_refused)
        assert books.sync().exit_code == 0
        assert set(books.deleted) == gone
        assert not books.differences()


@pytest.mark.parametrize("operation", ["cdc", "batch"])
@pytest.mark.parametrize("place", ["before", "after"])
@pytest.mark.parametrize("op", ["update", "delete", "create"])
@pytest.mark.parametrize("key", ["Invoice", "Attachable", "TaxCode", "InventoryAdjustment"])
def test_what_is_done_during_a_run_arrives_then_or_in_the_next(
    operation: str, place: str, op: str, key: str
) -> None:
    with followed(KEYS[key], "qb_invoices", "qb_attachables", "qb_tax_codes") as books:
        target = books.simulator.edit(REALM, [{"op": "create", "entity": key}])[0][0]
        books.simulator.advance(60)
        edit = {"op": op, "entity": key} | ({} if op == "create" else {"id": target})
        books.simulator.add_rules([{"match": {"operation": operation}, place: [edit]}])
        runs = [books.sync()]
        books.simulator.advance(60)
        runs.append(books.sync())
        stamps = [
            record["last_updated_utc"]
            for run in runs
            for record in run.records(KEYS[key])
            if record["id"] == target
        ]
        assert stamps == (sorted(stamps) if key == "InventoryAdjustment" else sorted(set(stamps)))
        untold = op == "delete" and key == "TaxCode"
        assert not books.differences() or untold
        assert sum(len(run.tombstones()) for run in runs) == (op == "delete" and not untold)
