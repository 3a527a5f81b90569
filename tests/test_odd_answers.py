"""Answers to CDC and batches that say less, or other things, than they seem to."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.changes_books import followed

if TYPE_CHECKING:
    from tests.changes_books import Books

FAULT = {"Error": [{"Message": "An application error", "code": "10000"}], "type": "SystemFault"}


def answer_once(books: Books, operation: str, content: object) -> None:
    """Let the next request of a kind get an answer of ours."""
    do = {"status": 200, "body": json.dumps(content), "content_type": "application/json"}
    books.simulator.add_rules([{"match": {"operation": operation}, "do": do}])


@pytest.mark.parametrize(
    "item",
    [
        {"QueryResponse": {"Fault": FAULT}},
        {"QueryResponse": {"fault": FAULT}},
        {"QueryResponse": {}, "Fault": FAULT},
        {"Fault": FAULT},
        {"QueryResponse": None},
        {},
    ],
    ids=str,
)
def test_a_fault_of_a_batch_item_is_not_nothing(item: dict[str, Any]) -> None:
    with followed("qb_tax_codes", "qb_time_activities") as books:
        books.edit("update", "TimeActivity")
        books.simulator.advance(60)
        items = [{"bId": "0", "QueryResponse": {}}, {"bId": "1", **item}]
        answer_once(books, "batch", {"BatchItemResponse": items})
        run = books.sync()
        assert run.exit_code == 0
        assert len(run.records("qb_time_activities")) == 1
        assert not books.differences()


def test_batch_items_may_have_numbers_for_their_names() -> None:
    with followed("qb_tax_codes", "qb_time_activities") as books:
        items = [{"bId": number, "QueryResponse": {}} for number in (1, 0)]
        answer_once(books, "batch", {"BatchItemResponse": items})
        assert books.sync().calls == ["batch"]


@pytest.mark.parametrize("content", [[], [{}], [{"QueryResponse": []}]], ids=str)
def test_an_answer_that_says_nothing_proves_nothing(content: object) -> None:
    with followed("qb_bills", "qb_attachables") as books:
        edited = books.edit("update", "Bill")
        gone = books.edit("delete", "Bill", "Attachable")
        books.simulator.advance(60)
        answer_once(books, "cdc", {"CDCResponse": content})
        run = books.sync()
        assert {each["id"] for each in run.records("qb_bills")} == {key for _, key in edited - gone}
        assert books.sync().deleted == gone
        assert not books.differences()


def test_who_is_passed_over_is_asked_for_by_query() -> None:
    with followed("qb_bills", "qb_invoices") as books:
        books.edit("update", "Bill")
        books.simulator.advance(60)
        answer_once(books, "cdc", {"CDCResponse": [{"QueryResponse": [{"Invoice": []}]}]})
        run = books.sync()
        assert run.calls[:2] == ["cdc", "batch"]
        assert len(run.records("qb_bills")) == 1


@pytest.mark.parametrize("stream", ["qb_attachables", "qb_invoices"])
def test_what_lives_again_is_not_deleted(stream: str) -> None:
    """CDC tells only of the deletion, and the query of what came later."""
    key = {"qb_attachables": "Attachable", "qb_invoices": "Invoice"}[stream]
    with followed(stream) as books:
        before = books.now
        [(_, id_)] = books.edit("update", key)
        books.simulator.advance(60)
        meta = {"LastUpdatedTime": (before - timedelta(seconds=20)).isoformat()}
        stubs = [{"status": "Deleted", "Id": id_, "MetaData": meta}]
        # Where an answer is full, what lives is read by windows.
        total = {"totalCount": 1000} if key == "Invoice" else {}
        groups = [{key: stubs, **total}]
        answer_once(books, "cdc", {"CDCResponse": [{"QueryResponse": groups}]})
        run = books.sync()
        assert len(run.records(stream)) == 1
        assert not run.tombstones(stream)


def test_without_a_column_for_them_deletions_wait() -> None:
    with followed("qb_bills") as books:
        gone = books.edit("delete", "Bill")
        books.simulator.advance(60)
        books.unselected = frozenset({"deleted_at_utc"})
        assert not books.sync().deleted
        books.unselected = frozenset()
        books.simulator.advance(60)
        assert books.sync().deleted == gone


@pytest.mark.parametrize("operation", ["cdc_off", "cdc_faults"])
def test_whatever_cdc_refuses_of_what_is_not_documented_the_rest_is_told(operation: str) -> None:
    doubtful = ["Attachable", "CompanyCurrency", "CustomerType", "ReimburseCharge", "TaxPayment"]
    with followed() as books:
        books.simulator.configure(**{operation: doubtful})
        gone = books.edit("delete", "Bill", "Invoice")
        books.simulator.advance(60)
        run = books.sync()
        assert run.deleted >= gone
        assert len(run.streams_with("cdc_refused_at")) == len(doubtful)
        assert books.sync().calls == ["cdc", "batch"]


def test_where_nothing_rests_everything_is_asked_for() -> None:
    """Also with a bound that stays a day behind."""
    with followed(settle_seconds=86_400) as books:
        books.sync()
        books.simulator.advance(60)
        assert books.sync().calls == ["cdc", "batch"]
