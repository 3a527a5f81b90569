"""Answers to change data capture taken apart, and what one change of anything comes to."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tap_quickbooks_raw.answers import Answer
from tap_quickbooks_raw.changes import MOST_OBJECTS, Content, take_apart
from tap_quickbooks_raw.entities import BY_STREAM
from tap_quickbooks_raw.exceptions import EntityError

from tests.changes_books import IDLE, KEYS, NARROW, RARE, WHOLE, followed
from tests.conftest import REALM

CUSTOMER = BY_STREAM["qb_customers"]
INVOICE = BY_STREAM["qb_invoices"]
CARD = BY_STREAM["qb_credit_card_payments"]
RECURRING = BY_STREAM["qb_recurring_transactions"]
ASKED = [CUSTOMER, INVOICE, CARD, RECURRING]
STAMP = "2026-04-13T07:34:31-07:00"
MOMENT = datetime(2026, 4, 13, 14, 34, 31, tzinfo=UTC)
META = {"MetaData": {"LastUpdatedTime": STAMP}}
# What the books hold without QBO's word for it; their deletions are in no answer.
UNFOLLOWED = {"TimeActivity", "TaxAgency", "TaxCode", "TaxRate", "JournalCode", "CompanyInfo"}
UNFOLLOWED |= {"Preferences", "ExchangeRate", "TaxClassification"}
FOLLOWED = sorted(KEYS.keys() - UNFOLLOWED)


def living(id: str, **more: object) -> dict[str, Any]:
    return {"Id": id, **META, **more}


def stub(id: object, **more: object) -> dict[str, Any]:
    return {"domain": "QBO", "status": "Deleted", "Id": id, **META, **more}


def apart(groups: object, asked: Any = ASKED) -> Content:
    """Take an answer of some groups apart."""
    text = msgspec.json.encode([{"QueryResponse": groups}])
    return take_apart(Answer({}, [], MOMENT, "tid-1", msgspec.Raw(text)), asked)


def told(groups: object, asked: Any = ASKED) -> dict[str, tuple[list[str], list[str]]]:
    """The ids of what lives and of what is deleted, by stream."""
    changes = apart(groups, asked).changes
    return {
        stream: ([row.id for row in each.living], [gone.id for gone in each.deleted])
        for stream, each in changes.items()
        if each.living or each.deleted
    }


APART: dict[str, tuple[list[object], dict[str, Any]]] = {
    "no groups": ([], {}),
    "empty groups": ([{}, {}, {}, {}], {}),
    "an empty list": ([{"Customer": []}], {}),
    "null": ([{"Customer": None, "startPosition": 1, "maxResults": 0}], {}),
    "deleted behind living": (
        [{"Customer": [living("1"), stub("2")]}],
        {"qb_customers": (["1"], ["2"])},
    ),
    "deleted before living": (
        [{"Customer": [stub("2"), living("1")]}],
        {"qb_customers": (["1"], ["2"])},
    ),
    "one alone": ([{"Customer": living("1"), "maxResults": 1}], {"qb_customers": (["1"], [])}),
    "one deleted alone": ([{"Customer": stub("1")}], {"qb_customers": ([], ["1"])}),
    "the key in lower case": ([{"customer": [living("1")]}], {"qb_customers": (["1"], [])}),
    "in another order": (
        [{"Invoice": [living("7")]}, {}, {"Customer": [living("1")]}],
        {"qb_customers": (["1"], []), "qb_invoices": (["7"], [])},
    ),
    "two groups of an entity": (
        [{"Invoice": [living("7")]}, {"Invoice": [living("8"), stub("9")]}],
        {"qb_invoices": (["7", "8"], ["9"])},
    ),
    "the key of the answer": (
        [{"CreditCardPaymentTxn": [living("1")]}],
        {"qb_credit_card_payments": (["1"], [])},
    ),
    "the key of the query": (
        [{"CreditCardPayment": [stub("1")]}],
        {"qb_credit_card_payments": ([], ["1"])},
    ),
    "nested": (
        [{"RecurringTransaction": [{"Bill": living("1")}, {"Invoice": stub("2")}, stub("3")]}],
        {"qb_recurring_transactions": (["1"], ["2", "3"])},
    ),
    "a number for an Id": (
        [{"Customer": [stub(65), living("x", status="Voided")]}],
        {"qb_customers": (["x"], ["65"])},
    ),
    "the status in lower case": (
        [{"Customer": [{**stub("2"), "status": "deleted"}]}],
        {"qb_customers": ([], ["2"])},
    ),
}


@pytest.mark.parametrize(("groups", "expected"), APART.values(), ids=APART)
def test_living_and_deleted_objects_are_told_apart(
    groups: list[object], expected: dict[str, Any]
) -> None:
    assert told(groups) == expected


def test_a_deletion_has_its_own_moment_and_may_have_none() -> None:
    deleted = [stub("1"), {"status": "Deleted", "Id": "2"}, stub("3", MetaData={})]
    content = apart([{"Invoice": deleted}])
    stamps = [gone.stamp for gone in content.changes["qb_invoices"].deleted]
    assert [stamp and stamp.moment for stamp in stamps] == [MOMENT, None, None]


def test_no_digit_of_a_living_object_changes() -> None:
    text = b'{"Id":"1","Amount":0.10,"Big":1234567890123.4567891,"a":{"b":[1e5,-0.0]}}'
    answer = b'[{"QueryResponse":[{"Invoice":[' + text + b"]}]}]"
    found = take_apart(Answer({}, [], MOMENT, "", msgspec.Raw(answer)), ASKED).changes
    assert [bytes(row.payload) for row in found["qb_invoices"].living] == [text]


FAULT = {"Error": [{"Message": "An application error", "code": "10000"}], "type": "SystemFault"}


UNPROVEN: dict[str, object] = {
    "a fault beside groups": [{"QueryResponse": [{"Customer": [living("1")]}, {"Fault": FAULT}]}],
    "a fault in a group": [{"QueryResponse": [{"Customer": [living("1")], "fault": FAULT}]}],
    "a fault beside the groups": [{"QueryResponse": [{"Customer": [living("1")]}], "Fault": FAULT}],
    "a fault in another part": [{"QueryResponse": []}, {"Fault": FAULT}],
    "of nobody": [{"QueryResponse": [{"Vendors": [living("1")]}]}],
    "without an Id": [{"QueryResponse": [{"Customer": [{"DisplayName": "nameless"}]}]}],
    "no object": [{"QueryResponse": [{"Customer": ["1"]}]}],
    "a group that is a list": [{"QueryResponse": [[living("1")]]}],
    "a text": "nothing",
}


@pytest.mark.parametrize("text", UNPROVEN.values(), ids=UNPROVEN)
def test_an_answer_that_proves_nothing_is_refused_whole(text: object) -> None:
    answer = Answer({}, [], MOMENT, "tid-1", msgspec.Raw(msgspec.json.encode(text)))
    with pytest.raises(EntityError):
        take_apart(answer, ASKED)


def test_the_only_entity_asked_for_may_come_under_any_key_but_anothers() -> None:
    assert told([{"Factura": [living("1")]}], [INVOICE]) == {"qb_invoices": (["1"], [])}
    assert told([{"Estimate": [living("1"), stub("2")]}], [INVOICE]) == {}
    assert told([{"Estimate": [stub("2")], "Invoice": [living("1")]}], [INVOICE]) == {
        "qb_invoices": (["1"], [])
    }
    with pytest.raises(EntityError):
        told([{"Factura": [living("1")]}, {"Invoice": [living("2")]}], [INVOICE])


@pytest.mark.parametrize(
    "text",
    [
        {"QueryResponse": {"Customer": [living("1")]}},
        [{"QueryResponse": {"Customer": living("1"), "Warnings": {"Warning": []}}}],
        [{"QueryResponse": [{"Customer": [living("1")], "Fault": None, "Vendors": []}]}],
    ],
    ids=["no list", "one group", "nothing beside it"],
)
def test_what_stands_beside_and_around_the_objects_does_no_harm(text: object) -> None:
    answer = Answer({}, [], MOMENT, "tid-1", msgspec.Raw(msgspec.json.encode(text)))
    assert [row.id for row in take_apart(answer, ASKED).changes["qb_customers"].living] == ["1"]


@pytest.mark.parametrize(
    ("text", "groups", "named"),
    [
        ([], 0, set()),
        ([{}], 0, set()),
        ([{"QueryResponse": []}], 0, set()),
        ([{"QueryResponse": [{}]}], 1, set()),
        ([{"QueryResponse": [{}, {"Invoice": []}]}], 2, set()),
        ([{"QueryResponse": [{"Invoice": [stub("1")]}]}], 1, {"qb_invoices"}),
    ],
    ids=str,
)
def test_it_is_known_of_whom_nothing_is_said(text: object, groups: int, named: set[str]) -> None:
    answer = Answer({}, [], MOMENT, "tid-1", msgspec.Raw(msgspec.json.encode(text)))
    content = take_apart(answer, ASKED)
    assert (content.groups, content.named) == (groups, named)


@pytest.mark.parametrize("number", [0, 1, 999, 1000, 1001])
@pytest.mark.parametrize("gone", [0.0, 0.5, 1.0], ids=["living", "mixed", "deleted"])
def test_a_thousand_objects_in_all_may_be_cut(number: int, gone: float) -> None:
    objects = [(stub if n < number * gone else living)(str(n)) for n in range(number)]
    groups = [{"Customer": objects[: number // 3]}, {"Invoice": objects[number // 3 :]}]
    content = apart(groups)
    assert content.is_full == (number >= MOST_OBJECTS)
    assert sum(each.size for each in content.changes.values()) == number


@pytest.mark.parametrize(("total", "is_cut"), [(1, False), (2, True), ("many", False)], ids=str)
def test_a_total_beyond_what_is_there_tells_that_some_are_cut(total: object, is_cut: bool) -> None:  # noqa: FBT001
    assert apart([{"Customer": [living("1")], "totalCount": total}]).is_full is is_cut
    assert apart([{"totalCount": total}]).is_full is (total != "many")


@given(st.permutations(range(4)), st.lists(st.booleans(), min_size=4, max_size=4))
def test_the_order_of_groups_says_nothing(order: list[int], present: list[bool]) -> None:
    keys = [entity.response_key for entity in ASKED]
    nested = {"RecurringTransaction": [{"Bill": living("1")}]}
    groups = [
        (nested if keys[n] == "RecurringTransaction" else {keys[n]: [living("1"), stub("2")]})
        if present[n]
        else {}
        for n in order
    ]
    assert told(groups).keys() == {
        entity.stream for entity, is_there in zip(ASKED, present, strict=True) if is_there
    }


def test_one_change_of_each_entity_arrives_once() -> None:
    with followed() as books:
        keys = [key for key, stream in KEYS.items() if stream not in RARE | {WHOLE}]
        for op in ("update", "touch"):
            books.edit(op, *keys)
            books.simulator.advance(60)
            run = books.sync()
            assert run.exit_code == 0
            assert run.told == Counter(KEYS[key] for key in keys)
            assert not books.differences()
            assert books.sync().told == Counter()


@pytest.mark.parametrize("key", ["Bill", "Attachable", "TaxCode", "InventoryAdjustment"])
def test_a_change_of_what_cdc_or_the_batch_tells_costs_no_more_than_nothing(key: str) -> None:
    with followed() as books:
        changed = books.edit("update", key)
        books.simulator.advance(60)
        run = books.sync()
        assert changed <= {(KEYS[key], record["id"]) for record in run.records(KEYS[key])}
        assert run.calls[:2] == IDLE
        assert key in {"Attachable", "TaxCode"} or run.calls == IDLE
        assert books.sync().calls == IDLE
        assert not books.differences()


def test_a_deletion_of_each_entity_is_told_once_behind_all_that_lives() -> None:
    with followed() as books:
        books.edit("update", *KEYS)
        deleted = books.edit("delete", *FOLLOWED)
        moment = books.now
        books.simulator.advance(60)
        run = books.sync()
        assert set(books.deleted) == deleted
        assert {round((at - moment).total_seconds()) for at in books.deleted.values()} <= {
            0,
            -1,
            -2,
        }
        for stream in {stream for stream, _ in deleted}:
            part = [each for each in run.messages if each.get("stream") == stream]
            schemas = [place for place, each in enumerate(part) if each["type"] == "SCHEMA"]
            assert schemas[0] == 0
            assert len(schemas) == 2
            assert part[schemas[1]]["schema"]["properties"].keys() == NARROW
            behind = [each["record"] for each in part[schemas[1] + 1 :] if "record" in each]
            assert [set(record) for record in behind] == [NARROW]
            assert run.tombstones(stream) == behind
        assert books.sync().told == Counter()
        assert not books.differences(but=[KEYS[key] for key in UNFOLLOWED])


@pytest.mark.parametrize("name", ["deleted_at_utc", "ingested_at_utc", "payload"])
def test_tombstones_have_the_selected_columns(name: str) -> None:
    with followed("qb_invoices") as books:
        books.unselected = frozenset({name})
        gone = books.edit("delete", "Invoice")
        books.simulator.advance(60)
        run = books.sync()
        assert all(name not in record for record in run.records() + run.tombstones())
        if name == "deleted_at_utc":
            assert [each["type"] for each in run.messages].count("SCHEMA") == 1
        else:
            assert {("qb_invoices", record["id"]) for record in run.tombstones()} == gone
            assert set(run.tombstones()[0]) == NARROW - {name}


@pytest.mark.parametrize("entity", ["Customer", "Vendor"])
def test_what_is_merged_or_purged_is_deleted(entity: str) -> None:
    with followed() as books:
        merge = {"op": "merge", "entity": entity, "random": 1}
        ((loser, winner),) = books.simulator.edit(REALM, [merge])
        gone = books.edit("delete", entity) | {(KEYS[entity], loser)}
        books.simulator.advance(60)
        run = books.sync()
        assert run.deleted == gone
        living = {record["id"] for record in run.records(KEYS[entity])}
        assert winner in living or (KEYS[entity], winner) in gone
        assert not books.differences()


@pytest.mark.parametrize(
    ("op", "entity"), [("void", "Invoice"), ("deactivate", "Customer"), ("deactivate", "Account")]
)
def test_what_is_voided_or_deactivated_lives(op: str, entity: str) -> None:
    with followed() as books:
        ((stream, key),) = books.edit(op, entity)
        books.simulator.advance(60)
        run = books.sync()
        assert [record["id"] for record in run.records(stream)] == [key]
        assert not run.tombstones()
        payload = books.of(stream)[key]
        assert payload["TotalAmt"] == 0 if op == "void" else payload["Active"] is False
        assert not books.differences()


def test_what_was_never_loaded_gets_a_tombstone() -> None:
    with followed("qb_invoices", "qb_bills") as books:
        ((_, key),) = gone = books.edit("create", "Invoice")
        books.simulator.edit(REALM, [{"op": "delete", "entity": "Invoice", "id": key}])
        books.simulator.advance(60)
        run = books.sync()
        assert run.deleted == gone == set(books.deleted)
        assert not run.records()
