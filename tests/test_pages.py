"""Objects are taken out of an answer whole, with the key and stamp that they have."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec
import pytest
from tap_quickbooks_raw.answers import Answer, decode, mend
from tap_quickbooks_raw.entities import BY_STREAM, ENTITIES, Entity, Reading
from tap_quickbooks_raw.exceptions import EntityError
from tap_quickbooks_raw.pages import Page, Source, Stamp, parse_stamp
from tap_quickbooks_raw.query import Query

if TYPE_CHECKING:
    from collections.abc import Callable

    from quickbooks_simulator.server import RunningSimulator
    from tap_quickbooks_raw.client import QuickBooksClient

INVOICE = BY_STREAM["qb_invoices"]
NOW = datetime(2024, 7, 1, tzinfo=UTC)
META = '"MetaData": {"LastUpdatedTime": "2024-06-30T17:00:00-07:00"}'


class Canned:
    """A client whose answer is given."""

    def __init__(self, content: str | bytes) -> None:
        body = content.encode() if isinstance(content, str) else content
        self._envelope = decode(b'{"QueryResponse":' + body + b"}")
        self.asked: list[tuple[str, dict[str, object]]] = []

    def get(self, path: str, *, patience: int | None = None, **params: object) -> Answer:
        del patience
        self.asked.append((path, params))
        return Answer(self._envelope.query or {}, [], NOW, "1-tid")


def fetch(content: str | bytes, entity: Entity = INVOICE) -> Page:
    client = Canned(content)
    return Source(client, entity).fetch(Query(entity.name), position=1, size=10)  # type: ignore[arg-type]


def listed(key: str, *rows: str) -> str:
    return f'{{"{key}": [{", ".join(rows)}]}}'


def ids(content: str, stream: str = "qb_invoices") -> list[str]:
    return [row.id for row in fetch(content, BY_STREAM[stream]).rows]


# ---- Finding the list


@pytest.mark.parametrize(
    "content",
    [
        "{}",
        '{"startPosition": 1, "maxResults": 0}',
        '{"Invoice": []}',
        '{"totalCount": 0}',
    ],
)
def test_an_empty_answer_has_no_rows(content: str) -> None:
    assert fetch(content).rows == []


@pytest.mark.parametrize(
    "content", ['{"A": [], "B": []}', '{"startPosition": 1, "maxResults": 3}'], ids=["two", "none"]
)
def test_an_answer_whose_list_cannot_be_told_is_not_taken_for_empty(content: str) -> None:
    with pytest.raises(EntityError, match="no list 'Invoice'"):
        fetch(content)


@pytest.mark.parametrize(
    ("stream", "key"),
    [
        ("qb_credit_card_payments", "CreditCardPaymentTxn"),
        ("qb_credit_card_payments", "CreditCardPayment"),
        ("qb_reimburse_charges", "ReimburseCharge"),
        ("qb_reimburse_charges", "ReimburseCarge"),
        ("qb_invoices", "invoice"),
    ],
)
def test_a_misspelt_list_is_taken_where_it_is_the_only_one(stream: str, key: str) -> None:
    content = listed(key, '{"Id": "7"}')[:-1] + ', "startPosition": 1, "maxResults": 1}'

    assert ids(content, stream) == ["7"]


def test_the_list_by_its_name_is_preferred() -> None:
    assert ids('{"Warnings": [{"Id": "1"}], "Invoice": [{"Id": "2"}]}') == ["2"]


@pytest.mark.parametrize("content", ['{"Invoice": {"Id": "1"}}', '{"Invoice": 5}'])
def test_a_list_that_is_none_is_an_error(content: str) -> None:
    with pytest.raises(EntityError, match="another shape"):
        fetch(content)


# ---- Keys


@pytest.mark.parametrize(
    ("id", "key"),
    [
        ('"7"', "7"),
        ('"007"', "007"),
        ('"TAX"', "TAX"),
        ('"200900000000000008541"', "200900000000000008541"),
        ("7", "7"),
        ("100000000004062174", "100000000004062174"),
        ("200900000000000008541", "200900000000000008541"),
        ("-1", "-1"),
        (r'"\u0000"', "�"),
    ],
)
def test_an_id_is_a_text_with_all_its_digits(id: str, key: str) -> None:
    assert ids(listed("Invoice", f'{{"Id": {id}}}')) == [key]


@pytest.mark.parametrize(
    "row",
    [
        "{}",
        '{"Id": null}',
        '{"Id": ""}',
        '{"id": ""}',
        '{"SourceCurrencyCode": "EUR", "TargetCurrencyCode": "USD"}',
    ],
)
def test_an_object_without_a_key_is_an_error_with_the_trace_id(row: str) -> None:
    """Nothing is left out in silence, and no two objects share a row."""
    with pytest.raises(EntityError, match=r"no Id \[intuit_tid 1-tid\]"):
        fetch(listed("Invoice", '{"Id": "1"}', row))


@pytest.mark.parametrize(
    "row", ["5", "[]", '{"Id": []}', '{"Id": 1.5}', '{"Id": "1", "MetaData": 5}']
)
def test_an_object_of_another_shape_is_an_error(row: str) -> None:
    with pytest.raises(EntityError, match="another shape"):
        fetch(listed("Invoice", row))


def test_a_rate_has_its_currencies_and_day_for_a_key() -> None:
    rate = '{"SourceCurrencyCode": "EUR", "TargetCurrencyCode": "USD", "AsOfDate": "2024-07-01"}'

    assert ids(listed("ExchangeRate", rate), "qb_exchange_rates") == ["EUR-USD-2024-07-01"]


def test_a_tax_classification_spells_its_id_small() -> None:
    content = '{"TaxClassification": [{"id": "EUC-01010101-V1-00100000", "code": "x"}]}'

    assert ids(content, "qb_tax_classifications") == ["EUC-01010101-V1-00100000"]


@pytest.mark.parametrize(
    "row",
    [
        f'{{"Bill": {{"Id": "8", {META}}}}}',
        f'{{"Invoice": {{"RecurringInfo": {{"Name": "x"}}, {META}, "Id": "8"}}}}',
    ],
    ids=["bill", "invoice"],
)
def test_a_recurring_transaction_has_the_key_of_what_it_wraps(row: str) -> None:
    page = fetch(listed("RecurringTransaction", row), BY_STREAM["qb_recurring_transactions"])

    assert [(row.id, row.stamp) for row in page.rows] == [("8", Stamp(NOW, exact=True))]
    assert bytes(page.rows[0].payload) == row.encode()


@pytest.mark.parametrize("row", ["{}", '{"Bill": {}}', '{"Bill": {"Name": "x"}}'])
def test_a_recurring_transaction_that_wraps_nothing_is_an_error(row: str) -> None:
    with pytest.raises(EntityError, match="no Id"):
        fetch(listed("RecurringTransaction", row), BY_STREAM["qb_recurring_transactions"])


# ---- Stamps


@pytest.mark.parametrize(
    ("text", "stamp"),
    [
        ("2024-06-30T17:00:00-07:00", Stamp(NOW, exact=True)),
        ("2024-07-01T00:00:00Z", Stamp(NOW, exact=True)),
        ("2024-07-01T00:00:00.000Z", Stamp(NOW, exact=True)),
        ("2024-07-01T00:00:00.250Z", Stamp(NOW + timedelta(seconds=0.25), exact=True)),
        ("2024-06-30T17:00:00-0700", Stamp(NOW, exact=True)),
        ("2024-07-01", Stamp(NOW, exact=False)),
        ("2024-07-01T00:00:00", Stamp(NOW, exact=False)),
        ("0001-01-01T00:00:00-08:00", Stamp(datetime(1, 1, 1, 8, tzinfo=UTC), exact=True)),
        ("0001-01-01T00:00:00+08:00", None),
        ("9999-12-31T23:59:59-08:00", None),
        ("yesterday", None),
        ("", None),
    ],
)
def test_a_stamp_is_an_instant_and_a_bare_date_is_not_exact(text: str, stamp: Stamp | None) -> None:
    assert parse_stamp(text) == stamp


def test_the_hour_that_comes_twice_is_two_instants() -> None:
    """The autumn change of US Pacific time; as texts the later one is the smaller."""
    summer, winter = (
        parse_stamp("2024-11-03T01:30:00-07:00"),
        parse_stamp("2024-11-03T01:10:00-08:00"),
    )

    assert summer is not None
    assert winter is not None
    assert winter.moment - summer.moment == timedelta(minutes=40)


@pytest.mark.parametrize(
    "meta",
    ["", ', "MetaData": null', ', "MetaData": {}', ', "MetaData": {"LastUpdatedTime": null}'],
)
def test_an_object_may_have_no_stamp(meta: str) -> None:
    (row,) = fetch(listed("Invoice", f'{{"Id": "1"{meta}}}')).rows

    assert row.stamp is None


# ---- Payloads

PAYLOAD = (
    r'{"Qty":0.10, "Rate" : 1E+2,"Big":123456789012345678901234567890.10,"a":[],"b":{},"z":null,'
    r'"Id":"1","Note":"\u00e9 \\u0000 \/ é","Id2":-0.0,"MetaData":{"LastUpdatedTime":"2024-07-01"},'
    '"Line":[{"Id":"9","MetaData":{"LastUpdatedTime":"x"}}]}'
)


def test_a_payload_is_the_bytes_that_were_sent() -> None:
    (row,) = fetch(listed("Invoice", PAYLOAD)).rows

    assert bytes(row.payload) == PAYLOAD.encode()
    assert row.id == "1"


def test_a_page_tells_what_was_asked_for() -> None:
    client = Canned('{"Invoice": [{"Id": "1"}]}')
    page = Source(client, INVOICE).fetch(Query("Invoice"), position=3, size=7)  # type: ignore[arg-type]
    text = "SELECT * FROM Invoice STARTPOSITION 3 MAXRESULTS 7"

    assert client.asked == [("query", {"query": text})]
    assert page._replace(rows=[]) == Page([], NOW, "query", text, 7)


@pytest.mark.parametrize(
    ("content", "count"),
    [
        ('{"totalCount": 26}', 26),
        ('{"totalCount": 0}', 0),
        ("{}", None),
        ('{"totalCount": null}', None),
        ('{"totalCount": "x"}', None),
    ],
)
def test_a_count_is_a_number_or_not_known(content: str, count: int | None) -> None:
    assert Source(Canned(content), INVOICE).count(Query("Invoice")) == count  # type: ignore[arg-type]


# ---- The simulator's objects, awkward ones included


PLAIN = [entity for entity in ENTITIES if entity.reading not in {Reading.GET, Reading.RATES}]


@pytest.mark.parametrize("entity", PLAIN, ids=lambda entity: entity.name)
def test_every_entity_of_the_simulator_is_taken_apart(
    simulator: RunningSimulator, connect: Callable[..., QuickBooksClient], entity: Entity
) -> None:
    query = Query(entity.name, ("Active IN (true, false)",) if entity.active else ())
    page = Source(connect(simulator), entity).fetch(query, position=1, size=1000)

    sent = sorted(mend(row) for row in simulator.rows(simulator.realm_ids[0], entity.response_key))
    assert sorted(bytes(row.payload) for row in page.rows) == sent
    assert page.rows
    assert all(row.stamp for row in page.rows)
    for row in page.rows:
        content = json.loads(bytes(row.payload))
        inner = content if "Id" in content else next(iter(content.values()))
        assert row.id == inner["Id"]
        assert msgspec.json.decode(row.payload)


def test_an_entity_with_a_get_of_its_own_is_fetched_whole(
    simulator: RunningSimulator, connect: Callable[..., QuickBooksClient]
) -> None:
    page = Source(connect(simulator), BY_STREAM["qb_tax_classifications"]).fetch_all()

    assert len(page.rows) == simulator.counts(simulator.realm_ids[0])["TaxClassification"]
    assert (page.path, page.query, page.size) == ("taxclassification", None, len(page.rows))
    assert all(row.stamp is None and row.id for row in page.rows)
