"""Entities with habits of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from quickbooks_simulator.entities import ENTITIES

if TYPE_CHECKING:
    from conftest import Client


@pytest.mark.parametrize("key", ["Bill", "TaxCode", "VendorCredit", "CreditCardPaymentTxn"])
def test_some_entities_tell_the_total(reader: Client, key: str) -> None:
    name = ENTITIES[key].query_name
    total = reader.answer(f"select count(*) from {name}")["totalCount"]
    assert reader.answer(f"select * from {name} maxresults 1")["totalCount"] == total


@pytest.mark.parametrize(
    "statement", ["select * from TaxPayment", "select count(*) from TaxPayment"]
)
def test_tax_payments_exist_in_some_countries_only(
    reader: Client, american: Client, statement: str
) -> None:
    assert american.fault(statement)[:2] == (400, "5030")
    assert reader.query(statement).status_code == 200


def test_journal_codes_exist_in_france_only(american: Client) -> None:
    assert american.fault("select * from JournalCode")[1] == "5030"


def test_every_queryable_entity_answers(reader: Client) -> None:
    for key, entity in ENTITIES.items():
        where = "where sourcecurrencycode = 'EUR'" if key == "ExchangeRate" else ""
        if entity.queryable:
            assert reader.answer(f"select * from {entity.query_name} {where}")[key], key


def test_fixed_tax_codes_come_first(reader: Client) -> None:
    assert reader.ids("select * from TaxCode")[:2] == ["TAX", "NON"]


def test_card_payments_answer_under_another_key(reader: Client) -> None:
    assert reader.answer("select * from creditcardpayment")["CreditCardPaymentTxn"]


def test_templates_are_wrapped_in_their_type(reader: Client) -> None:
    rows = reader.rows("select * from RecurringTransaction where Type = 'Bill'")
    assert rows
    assert {tuple(row) for row in rows} == {("Bill",)}
    assert "RecurringInfo" in rows[0]["Bill"]


def test_rates_are_found_by_currency_and_day(reader: Client) -> None:
    row = reader.rows(
        "select * from exchangerate where sourcecurrencycode in ('EUR') and asofdate='2015-01-12'"
    )[0]
    assert (row["SourceCurrencyCode"], row["AsOfDate"]) == ("EUR", "2015-01-12")
    assert "Id" not in row
    assert set(row["MetaData"]) == {"LastUpdatedTime"}


def test_attachments_are_found_by_what_they_belong_to(reader: Client) -> None:
    rows = reader.rows("select * from Attachable where AttachableRef.EntityRef.Type = 'invoice'")
    assert rows
    assert all(row["AttachableRef"][0]["EntityRef"]["type"] == "Invoice" for row in rows)


def test_the_company_is_one_row(reader: Client) -> None:
    answer = reader.answer("select * from CompanyInfo")
    assert set(answer) == {"CompanyInfo", "maxResults"}
    assert answer["CompanyInfo"][0]["Id"] == "1"
