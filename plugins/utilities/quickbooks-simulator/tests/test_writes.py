"""Writes by the API and what they do to other objects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import requests
    from conftest import Client
    from quickbooks_simulator.server import RunningSimulator

Row = dict[str, Any]


def code(response: requests.Response) -> str:
    found: str = response.json()["Fault"]["Error"][0]["code"]
    return found


def sell(client: Client, customer: str, amount: float = 140.5) -> Row:
    line = {
        "Amount": amount,
        "DetailType": "SalesItemLineDetail",
        "SalesItemLineDetail": {"ItemRef": {"value": "1"}},
    }
    body = {"CustomerRef": {"value": customer}, "Line": [line]}
    row: Row = client.post("invoice", body).json()["Invoice"]
    return row


def customer(client: Client, name: str = "Neue Kundin") -> Row:
    row: Row = client.post("customer", {"DisplayName": name}).json()["Customer"]
    return row


def read(client: Client, path: str, key: str) -> Row:
    row: Row = client.get(path).json()[key]
    return row


def test_a_new_object_is_complete(client: Client) -> None:
    row = customer(client)
    assert (row["SyncToken"], row["Active"], row["Balance"]) == ("0", True, 0)
    assert row["MetaData"]["CreateTime"] == row["MetaData"]["LastUpdatedTime"]
    assert client.rows(f"select * from Customer where Id = '{row['Id']}'") == [row]


def test_new_ids_continue_the_shared_sequences(client: Client) -> None:
    first = int(customer(client)["Id"])
    vendor = client.post("vendor", {"DisplayName": "Lieferant"}).json()["Vendor"]
    assert int(vendor["Id"]) == first + 1


def test_a_payment_moves_invoice_and_customer_without_sync_token(
    simulator: RunningSimulator, client: Client
) -> None:
    buyer = customer(client)["Id"]
    sold = sell(client, buyer)["Id"]
    assert read(client, f"customer/{buyer}", "Customer")["Balance"] == 140.5
    simulator.advance(60)
    link = {"TxnId": sold, "TxnType": "Invoice"}
    paid = client.post(
        "payment",
        {
            "CustomerRef": {"value": buyer},
            "TotalAmt": 100,
            "Line": [{"Amount": 90.5, "LinkedTxn": [link]}],
        },
    ).json()["Payment"]
    assert paid["UnappliedAmt"] == 9.5
    bill, owner = (
        read(client, f"invoice/{sold}", "Invoice"),
        read(client, f"customer/{buyer}", "Customer"),
    )
    assert (bill["Balance"], owner["Balance"]) == (50, 40.5)
    assert (bill["SyncToken"], owner["SyncToken"]) == ("0", "0")
    stamps = {row["MetaData"]["LastUpdatedTime"] for row in (bill, owner, paid)}
    assert stamps == {paid["MetaData"]["CreateTime"]}
    assert bill["LinkedTxn"] == [{"TxnId": paid["Id"], "TxnType": "Payment"}]
    client.post("payment", {"Id": paid["Id"], "SyncToken": "0"}, operation="delete")
    bill = read(client, f"invoice/{sold}", "Invoice")
    assert (bill["Balance"], bill["LinkedTxn"]) == (140.5, [])
    assert read(client, f"customer/{buyer}", "Customer")["Balance"] == 140.5


def test_a_sparse_update_keeps_the_rest(client: Client) -> None:
    row = client.rows("select * from Vendor maxresults 1")[0]
    body = {"Id": row["Id"], "SyncToken": row["SyncToken"], "sparse": True, "AcctNum": "42"}
    changed = client.post("vendor", body).json()["Vendor"]
    assert changed.pop("MetaData")["CreateTime"] == row.pop("MetaData")["CreateTime"]
    expected = {**row, "AcctNum": "42", "SyncToken": str(int(row["SyncToken"]) + 1)}
    assert changed == expected


def test_a_full_update_clears_what_it_omits(client: Client) -> None:
    row = client.rows("select * from Vendor maxresults 1")[0]
    body = {"Id": row["Id"], "SyncToken": row["SyncToken"], "DisplayName": "Only a name"}
    changed = client.post("vendor", body).json()["Vendor"]
    assert "BillAddr" not in changed
    assert changed["Balance"] == row["Balance"]


def test_digits_survive_an_update(simulator: RunningSimulator, client: Client) -> None:
    item = client.rows("select * from Item where Id = '8'")[0]
    body = {"Id": "8", "SyncToken": item["SyncToken"], "sparse": True, "Sku": "x"}
    assert client.post("item", body).status_code == 200
    changed = next(row for row in simulator.rows(client.realm_id, "Item") if b'"Id":"8"' in row)
    assert b'"UnitPrice":1234567890123.4567891' in changed
    assert b'"PurchaseCost":0.10' in changed


@pytest.mark.parametrize(
    ("path", "body", "params", "expected"),
    [
        ("invoice", {"Id": "101", "SyncToken": "77", "sparse": True}, {}, "5010"),
        ("invoice", {"Id": "102", "SyncToken": "0"}, {"operation": "delete"}, "610"),
        ("invoice", {"Id": "101"}, {"operation": "delete"}, "2020"),
        ("item", {"Type": "Service"}, {}, "2020"),
        ("bill", {"Id": "104", "SyncToken": "0", "sparse": True}, {}, "2020"),
        ("customer", {"Id": "1", "SyncToken": "0"}, {"operation": "delete"}, "500"),
        ("purchase", {"Id": "106", "SyncToken": "0"}, {"operation": "void"}, "500"),
        ("billpayment", {"Id": "105", "SyncToken": "0"}, {"operation": "void"}, "500"),
        ("customertype", {"Name": "x"}, {}, "500"),
        (
            "invoice",
            {"CustomerRef": {"value": "x"}, "Line": [{"DetailType": "DescriptionOnly"}]},
            {},
            "2500",
        ),
        ("invoice", {"CustomerRef": {"value": "1"}, "Line": [{"Amount": 1}]}, {}, "2020"),
        (
            "invoice",
            {
                "CustomerRef": {"value": "1"},
                "DocNumber": "1234567890123456789012",
                "Line": [{"DetailType": "DescriptionOnly"}],
            },
            {},
            "2050",
        ),
    ],
)
def test_refusals(
    client: Client, path: str, body: Row, params: dict[str, str], expected: str
) -> None:
    response = client.post(path, body, **params)
    assert response.status_code == 400
    assert code(response) == expected


def test_people_share_their_names(client: Client) -> None:
    customer(client, "Ada")
    assert code(client.post("vendor", {"DisplayName": "ADA"})) == "6240"


def test_a_deleted_object_is_gone(client: Client) -> None:
    row = sell(client, "1")
    body = {"Id": row["Id"], "SyncToken": "0"}
    answer = client.post("invoice", body, operation="delete").json()
    assert answer["Invoice"] == {"status": "Deleted", "domain": "QBO", "Id": row["Id"]}
    assert code(client.get(f"invoice/{row['Id']}")) == "610"
    assert client.ids(f"select * from Invoice where Id = '{row['Id']}'") == []


def test_voiding_keeps_the_object_with_zeros(client: Client) -> None:
    buyer = customer(client)["Id"]
    row = sell(client, buyer)
    body = {"Id": row["Id"], "SyncToken": "0"}
    voided = client.post("invoice", body, operation="void").json()["Invoice"]
    assert (voided["TotalAmt"], voided["Balance"], voided["SyncToken"]) == (0, 0, "1")
    assert {line["Amount"] for line in voided["Line"]} == {0}
    assert voided["PrivateNote"] == "Voided"
    assert read(client, f"customer/{buyer}", "Customer")["Balance"] == 0


def test_receipts_are_voided_by_an_update(client: Client) -> None:
    row = client.rows("select * from SalesReceipt maxresults 1")[0]
    body = {"Id": row["Id"], "SyncToken": row["SyncToken"], "sparse": True}
    answer = client.post("salesreceipt", body, operation="update", include="void").json()
    assert answer["SalesReceipt"]["TotalAmt"] == 0


def test_voiding_a_bill_fails_inside_a_200(client: Client) -> None:
    response = client.post("bill", {"Id": "104", "SyncToken": "0"}, operation="void")
    assert (response.status_code, code(response)) == (200, "10000")


def test_voiding_a_journal_entry_does_nothing(client: Client) -> None:
    response = client.post("journalentry", {"Id": "107", "SyncToken": "0"}, operation="void")
    assert response.json()["BatchItemResponse"] == []


def test_deactivating_adds_the_suffix(client: Client) -> None:
    row = customer(client, "Zoë")
    body = {"Id": row["Id"], "SyncToken": "0", "sparse": True, "Active": False}
    changed = client.post("customer", body).json()["Customer"]
    assert changed["DisplayName"] == "Zoë (deleted)"
    assert client.ids(f"select * from Customer where Id = '{row['Id']}'") == []
    assert customer(client, "Zoë")["Id"] != row["Id"]


def test_templates_are_created_and_deleted(client: Client) -> None:
    row = client.rows("select * from RecurringTransaction maxresults 1")[0]
    made = client.post("recurringtransaction", row).json()["RecurringTransaction"]
    kind = next(iter(made))
    body = {kind: {"Id": made[kind]["Id"], "SyncToken": "0"}}
    gone = client.post("recurringtransaction", body, operation="delete").json()
    assert gone["RecurringTransaction"][kind] == {"Id": made[kind]["Id"]}


def test_a_request_id_makes_a_write_happen_once(client: Client) -> None:
    body = {"DisplayName": "Einmal"}
    first = client.post("customer", body, requestid="r1").json()["Customer"]
    assert client.post("customer", body, requestid="r1").json()["Customer"] == first
    assert code(client.post("customer", {"DisplayName": "x"}, requestid="r1")) == "600"


def test_writes_are_free_and_reads_are_billed(simulator: RunningSimulator, client: Client) -> None:
    customer(client)
    client.query("select * from Term")
    client.query("select * from Nothing")
    items = [{"bId": str(n), "Query": "select * from Term"} for n in range(3)]
    client.post("batch", {"BatchItemRequest": items})
    meter = simulator.meter(client.realm_id)
    assert (meter.reads, meter.writes, meter.batch_items) == (2, 1, 3)
