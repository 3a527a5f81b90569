"""The made-up books: the same from the same seed, and consistent."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections import defaultdict
from decimal import Decimal
from typing import Any

import pytest
from quickbooks_simulator.clock import read_instant
from quickbooks_simulator.company import Company, CompanySpec
from quickbooks_simulator.entities import ENTITIES
from quickbooks_simulator.jsontext import loads

Rows = dict[str, list[dict[str, Any]]]


def texts(company: Company, key: str) -> list[bytes]:
    table = company.tables[key]
    return table.texts(range(table.size))


def digest(rows: int, seed: int) -> str:
    company = Company(CompanySpec(rows=rows, seed=seed, country="ALL"))
    whole = hashlib.sha256()
    for key in ENTITIES:
        for text in texts(company, key):
            whole.update(text)
    return whole.hexdigest()


@pytest.fixture(scope="module")
def company() -> Company:
    return Company(CompanySpec(rows=10_000, seed=3, country="ALL"))


@pytest.fixture(scope="module")
def rows(company: Company) -> Rows:
    return {key: [loads(text) for text in texts(company, key)] for key in ENTITIES}


def test_another_process_makes_the_same_bytes() -> None:
    code = (
        "import hashlib; from quickbooks_simulator.company import *;"
        "from quickbooks_simulator.entities import ENTITIES; h = hashlib.sha256();"
        "c = Company(CompanySpec(rows=900, seed=5, country='ALL'));"
        "[h.update(t) for k in ENTITIES for t in c.tables[k].texts(range(c.tables[k].size))];"
        "print(h.hexdigest())"
    )
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert other.stdout.decode().strip() == digest(900, 5)


def test_seeds_differ() -> None:
    assert digest(900, 5) != digest(900, 6)


@pytest.mark.parametrize("number", [10, 1000, 40_000])
def test_the_number_of_rows_is_about_what_was_asked_for(number: int) -> None:
    total = sum(Company(CompanySpec(rows=number, country="ALL")).counts().values())
    assert number * 0.9 <= total <= max(number * 1.1, 120)


def test_single_entities_can_be_counted_exactly() -> None:
    made = Company(CompanySpec(rows=100, counts={"Invoice": 1234, "Payment": 0}))
    assert made.counts()["Invoice"] == 1234
    assert made.counts()["Payment"] == 0


def test_all_41_entities_have_rows(rows: Rows) -> None:
    assert len(rows) == 41
    assert [key for key, each in rows.items() if not each] == []


def test_ids_are_unique_and_lead_back_to_their_rows(company: Company) -> None:
    for key, table in company.tables.items():
        ids = [table.id(slot) for slot in range(table.size)]
        assert len(set(ids)) == len(ids), key
        assert [table.slot(each) for each in ids] == list(range(table.size)), key


def test_transactions_share_one_sequence_of_ids(rows: Rows) -> None:
    ids = [row["Id"] for key in ("Invoice", "Payment", "Bill", "Deposit") for row in rows[key]]
    assert len(set(ids)) == len(ids)


def test_large_ids_stay_texts(rows: Rows) -> None:
    assert len(rows["Attachable"][0]["Id"]) == 21
    assert len(rows["Class"][0]["Id"]) == 19
    assert [row["Id"] for row in rows["TaxCode"][:2]] == ["TAX", "NON"]


def test_stamps_lie_between_2015_and_the_middle_of_2026(rows: Rows) -> None:
    stamps = [
        row["MetaData"]["LastUpdatedTime"]
        for key, each in rows.items()
        for row in each
        if "MetaData" in row
    ]
    assert min(stamps, key=read_instant) >= "2015-01-05"
    assert max(stamps, key=read_instant) <= "2026-06-30T23:59:59-07:00"
    assert {text[19:] for text in stamps} == {"-07:00", "-08:00", ""}


def test_rows_are_never_updated_before_they_are_created(company: Company) -> None:
    for key, table in company.tables.items():
        if key != "InventoryAdjustment":
            pairs = zip(table.base.created, table.base.updated, strict=True)
            assert all(created <= updated for created, updated in pairs), key


def test_many_rows_share_a_second(company: Company) -> None:
    for key, least in (("Customer", 26), ("Invoice", 1200)):
        tally: dict[int, int] = defaultdict(int)
        for stamp in company.tables[key].base.updated:
            tally[stamp] += 1
        assert max(tally.values()) >= least


def test_documents_add_up(rows: Rows) -> None:
    for invoice in rows["Invoice"]:
        lines = [line for line in invoice["Line"] if line["DetailType"] == "SalesItemLineDetail"]
        subtotal = sum(Decimal(str(line["Amount"])) for line in lines)
        assert invoice["Line"][-1]["Amount"] == subtotal
        assert invoice["TotalAmt"] == subtotal + invoice["TxnTaxDetail"]["TotalTax"]
    for entry in rows["JournalEntry"]:
        sides: dict[str, Decimal] = defaultdict(Decimal)
        for line in entry["Line"]:
            side = line["JournalEntryLineDetail"]["PostingType"]
            sides[side] += Decimal(str(line["Amount"]))
        assert sides["Debit"] == sides["Credit"]


def test_references_lead_to_existing_rows(rows: Rows) -> None:
    names = {row["Id"]: row["DisplayName"] for row in rows["Customer"]}
    invoices = {row["Id"]: row for row in rows["Invoice"]}
    for invoice in invoices.values():
        assert names[invoice["CustomerRef"]["value"]] == invoice["CustomerRef"]["name"]
    for payment in rows["Payment"]:
        for line in payment["Line"]:
            paid = invoices[line["LinkedTxn"][0]["TxnId"]]
            assert paid["TotalAmt"] == line["Amount"]
            assert paid["Balance"] == 0
            assert paid["CustomerRef"] == payment["CustomerRef"]
            assert {"TxnId": payment["Id"], "TxnType": "Payment"} in paid["LinkedTxn"]


def test_customers_owe_what_their_documents_say(rows: Rows) -> None:
    owed: dict[str, Decimal] = defaultdict(Decimal)
    for key, sign, name in (
        ("Invoice", 1, "Balance"),
        ("CreditMemo", -1, "Balance"),
        ("Payment", -1, "UnappliedAmt"),
    ):
        for row in rows[key]:
            owed[row["CustomerRef"]["value"]] += sign * Decimal(str(row[name]))
    for customer in rows["Customer"]:
        assert Decimal(str(customer["Balance"])) == owed[customer["Id"]]
    receivable = next(row for row in rows["Account"] if row["AccountType"].endswith("Receivable"))
    assert Decimal(str(receivable["CurrentBalance"])) == sum(owed.values())


def test_awkward_values_are_among_the_rows(company: Company) -> None:
    everything = b"\n".join(text for key in ENTITIES for text in texts(company, key))
    for part in (
        rb"\u0000",
        rb"\ud83d inside",
        rb"\\u0000",
        "🧾".encode(),
        b"1234567890123.4567891",
    ):
        assert part in everything
    for part in (b":0.10,", b'.00,"DetailType', b":35,", b"[]", b"{}", b"Voided", b"(deleted)"):
        assert part in everything


def test_awkward_texts_can_be_left_out() -> None:
    company = Company(CompanySpec(rows=10_000, country="ALL", awkward=False))
    everything = b"\n".join(text for key in ENTITIES for text in texts(company, key))
    assert b"\\u" not in everything
    assert "🧾".encode() not in everything


def test_invoices_have_about_two_kilobytes(company: Company) -> None:
    sizes = [len(text) for text in texts(company, "Invoice")]
    assert 2000 <= sum(sizes) / len(sizes) <= 2400


def test_inventory_adjustments_print_a_bare_date(rows: Rows) -> None:
    assert {tuple(row["MetaData"]) for row in rows["InventoryAdjustment"]} == {("LastUpdatedTime",)}
    assert {len(row["MetaData"]["LastUpdatedTime"]) for row in rows["InventoryAdjustment"]} == {10}


def test_inventory_adjustments_can_have_normal_stamps() -> None:
    company = Company(CompanySpec(rows=300, inventory_bare_dates=False))
    row = json.loads(texts(company, "InventoryAdjustment")[0])
    assert len(row["MetaData"]["LastUpdatedTime"]) == len("2024-05-07T00:00:00-07:00")


def test_a_company_of_a_country_lacks_what_the_country_lacks() -> None:
    assert {"TaxPayment", "JournalCode"}.isdisjoint(Company(CompanySpec(country="US")).counts())
    assert "JournalCode" in Company(CompanySpec(country="FR")).counts()
    assert "TaxPayment" in Company(CompanySpec(country="CA")).counts()
