"""The query endpoint."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from quickbooks_simulator.clock import pacific, read_instant

if TYPE_CHECKING:
    from conftest import Client

ALL = "ORDERBY MetaData.LastUpdatedTime MAXRESULTS 1000"


def updated(row: dict[str, Any]) -> float:
    return read_instant(row["MetaData"]["LastUpdatedTime"])


def test_a_page_has_100_rows_unless_asked_otherwise(reader: Client) -> None:
    answer = reader.answer("select * from Invoice")
    assert len(answer["Invoice"]) == 100
    assert (answer["startPosition"], answer["maxResults"]) == (1, 100)
    assert "totalCount" not in answer


def test_the_answer_counts_the_rows_it_has(reader: Client) -> None:
    answer = reader.answer("select * from Employee startposition 3 maxresults 1000")
    assert answer["startPosition"] == 3
    assert answer["maxResults"] == len(answer["Employee"]) < 1000


def test_no_row_means_an_empty_answer(reader: Client) -> None:
    response = reader.query("select * from Invoice startposition 100000")
    assert response.json()["QueryResponse"] == {}
    assert set(response.json()) == {"QueryResponse", "time"}


def test_position_zero_acts_as_one(reader: Client) -> None:
    first = reader.ids("select * from Item startposition 1 maxresults 5")
    assert reader.ids("select * from Item startposition 0 maxresults 5") == first


@pytest.mark.parametrize(
    ("statement", "code", "detail"),
    [
        pytest.param(
            "select * from Invoice maxresults 1500",
            "4001",
            "QueryValidationError: value 1500 is too large. Max allowed value is 1000",
            id="too many",
        ),
        pytest.param(
            "select * from Invoice maxresults 0",
            "4001",
            "QueryValidationError: value 0 is too small. Min allowed value is 1",
            id="none",
        ),
        pytest.param(
            "select * from TaxService",
            "4001",
            "QueryValidationError: Metadata not found for Entity: TaxService",
            id="entity",
        ),
        pytest.param(
            "select * from TaxClassification",
            "4001",
            "QueryValidationError: Metadata not found for Entity: TaxClassification",
            id="own address only",
        ),
        pytest.param(
            "select * from Purchase where NoSuchField = 'x'",
            "4001",
            "QueryValidationError: Property NoSuchField not found for Entity Purchase",
            id="unknown property",
        ),
        pytest.param(
            "select * from Purchase where AccountRef = '1'",
            "4001",
            "QueryValidationError: Property AccountRef not found for Entity Purchase",
            id="property of others",
        ),
        pytest.param(
            "select * from Bill where PrivateNote = 'x'",
            "4001",
            "QueryValidationError: property 'PrivateNote' is not queryable",
            id="not queryable",
        ),
        pytest.param(
            "select * from Customer orderby PrimaryEmailAddr",
            "4001",
            "QueryValidationError: property 'PrimaryEmailAddr' is not queryable",
            id="not sortable",
        ),
        pytest.param(
            "select Line.Amount from Bill",
            "4001",
            "QueryValidationError: property 'Line.Amount' is not queryable",
            id="nested column",
        ),
        pytest.param(
            "select * from exchangerate",
            "4002",
            "QueryProcessingError: sourcecurrencycode is required",
            id="rates of no currency",
        ),
        pytest.param(
            "select count(*) from CustomerType",
            "4002",
            "QueryProcessingError: Dear entity developer, pl implement count query",
            id="uncountable",
        ),
    ],
)
def test_refusals(reader: Client, statement: str, code: str, detail: str) -> None:
    assert reader.fault(statement) == (400, code, detail)


def test_query_faults_have_no_element(reader: Client) -> None:
    content = reader.query("select").json()
    assert set(content["Fault"]["Error"][0]) == {"Message", "Detail", "code"}
    assert content["Fault"]["type"] == "ValidationFault"


def test_names_hide_inactive_rows_unless_asked(reader: Client) -> None:
    everything = reader.answer("select count(*) from Customer where Active in (true, false)")
    shown = reader.answer("select count(*) from Customer")
    hidden = reader.answer("select count(*) from Customer where Active = false")
    assert shown["totalCount"] + hidden["totalCount"] == everything["totalCount"]
    names = [row["DisplayName"] for row in reader.rows("select * from Customer where Active=false")]
    assert names
    assert all(name.endswith(" (deleted)") for name in names)


def test_names_come_in_name_order(reader: Client) -> None:
    rows = reader.rows("select * from Customer maxresults 1000")
    names = [row["FullyQualifiedName"].casefold() for row in rows]
    assert names == sorted(names)


def test_transactions_come_newest_first(reader: Client) -> None:
    ids = [int(each) for each in reader.ids("select * from Purchase")]
    assert ids == sorted(ids, reverse=True)


def test_ties_come_in_descending_id(reader: Client) -> None:
    rows = reader.rows(f"select * from Customer where Active in (true, false) {ALL}")
    keys = [(updated(row), -int(row["Id"])) for row in rows]
    assert keys == sorted(keys)
    assert max(Counter(key[0] for key in keys).values()) >= 26


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=25
)
@given(
    low=st.integers(min_value=1420000000, max_value=1790000000),
    span=st.integers(min_value=0, max_value=90_000_000),
    size=st.integers(min_value=7, max_value=1000),
)
def test_pages_of_a_window_hold_each_row_of_it_once(
    reader: Client, low: int, span: int, size: int
) -> None:
    every = {
        row["Id"]
        for row in map(json.loads, reader.simulator.rows(reader.realm_id, "Deposit"))
        if low <= updated(row) < low + span
    }
    found: list[str] = []
    while page := reader.ids(
        f"select * from Deposit where MetaData.LastUpdatedTime >= '{pacific(low)}'"
        f" and MetaData.LastUpdatedTime < '{pacific(low + span)}'"
        f" orderby MetaData.LastUpdatedTime startposition {len(found) + 1} maxresults {size}"
    ):
        found += page
    assert len(found) == len(every)
    assert set(found) == every


@pytest.mark.parametrize(
    ("operator", "expected"),
    [("=", [0]), ("<", [-1]), ("<=", [-1, 0]), (">", [1]), (">=", [0, 1])],
)
def test_bounds_are_exact_to_the_second(reader: Client, operator: str, expected: list[int]) -> None:
    stamp = updated(reader.rows("select * from Transfer")[10])
    rows = reader.rows(
        f"select * from Transfer where MetaData.LastUpdatedTime {operator}"
        f" '{pacific(int(stamp))}' maxresults 1000"
    )
    assert sorted({(updated(row) > stamp) - (updated(row) < stamp) for row in rows}) == expected


@pytest.mark.parametrize(
    "condition",
    [
        "TotalAmt > '1000.0'",
        "CustomerRef = '17'",
        "TxnDate >= '2020-01-01' and TxnDate < '2020-02-01'",
        "DocNumber in ('1003', '1005')",
        "docnumber LIKE '%99'",
        "Balance = '0'",
        "MetaData.CreateTime > '2024-01-01'",
    ],
)
def test_filters_agree_with_the_rows(reader: Client, condition: str) -> None:
    tests = {
        "TotalAmt": lambda row: row["TotalAmt"] > 1000,
        "CustomerRef": lambda row: row["CustomerRef"]["value"] == "17",
        "TxnDate": lambda row: row["TxnDate"][:7] == "2020-01",
        "DocNumber": lambda row: row["DocNumber"] in ("1003", "1005"),
        "docnumber": lambda row: row["DocNumber"].endswith("99"),
        "Balance": lambda row: row["Balance"] == 0,
        "MetaData.CreateTime": lambda row: row["MetaData"]["CreateTime"] > "2024-01-01",
    }
    test = tests[condition.split(maxsplit=1)[0]]
    rows = map(json.loads, reader.simulator.rows(reader.realm_id, "Invoice"))
    expected = {row["Id"] for row in rows if test(row)}
    assert expected
    count = reader.answer(f"select count(*) from Invoice where {condition}")
    assert count == {"totalCount": len(expected)}
    found = reader.ids(f"select * from Invoice where {condition} maxresults 1000")
    assert set(found) <= expected
    assert len(found) == min(len(expected), 1000)


def test_rows_are_found_by_id(reader: Client) -> None:
    ids = reader.ids("select * from Bill maxresults 3")
    listed = ", ".join(f"'{each}'" for each in [*ids, "1", "x"])
    assert reader.ids(f"select * from Bill where Id in ({listed})") == ids
    assert reader.fault(f"select * from Bill where Id > '{ids[0]}'")[1] == "4001"


def test_columns_make_sparse_rows(reader: Client) -> None:
    rows = reader.rows("select Id from Attachable maxresults 2")
    assert [set(row) for row in rows] == [{"Id", "sparse"}] * 2
    row = reader.rows("select id, metadata.lastupdatedtime, TotalAmt from Bill maxresults 1")[0]
    assert set(row) == {"Id", "sparse", "MetaData", "TotalAmt"}
    assert set(row["MetaData"]) == {"LastUpdatedTime"}


def test_sorting_by_any_sortable_property(reader: Client) -> None:
    rows = reader.rows("select * from Payment orderby TotalAmt desc, TxnDate maxresults 1000")
    amounts = [row["TotalAmt"] for row in rows]
    assert amounts == sorted(amounts, reverse=True)


@pytest.mark.parametrize("kind", ["application/text", "text/plain; charset=utf-8"])
def test_a_statement_may_be_posted_as_text(reader: Client, kind: str) -> None:
    response = reader.session.post(
        f"{reader.base}/query",
        data=b"select * from Term maxresults 1",
        headers={"Content-Type": kind},
        timeout=10,
    )
    assert len(response.json()["QueryResponse"]["Term"]) == 1


def test_a_statement_may_not_be_posted_as_json(reader: Client) -> None:
    assert reader.post("query", {"query": "select * from Term"}).status_code == 400


def test_answers_are_the_rows_byte_for_byte(reader: Client) -> None:
    rows = reader.simulator.rows(reader.realm_id, "Transfer")
    body = reader.query("select * from Transfer maxresults 1000").content
    assert b",".join(reversed(rows)) in body
