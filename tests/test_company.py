"""A company is read whole, in order, and for as few calls as can be."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from json import loads
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tap_quickbooks_raw.answers import mend
from tap_quickbooks_raw.company import CompanyReader
from tap_quickbooks_raw.entities import BY_STREAM, ENTITIES, Reading
from tap_quickbooks_raw.exceptions import (
    BudgetReached,
    CompanyError,
    RefusedError,
    RetriesExhausted,
    UnavailableError,
)
from tap_quickbooks_raw.planning import ReadingSettings, Task
from tap_quickbooks_raw.policy import Budget
from tap_quickbooks_raw.query import UPDATED, instant
from tap_quickbooks_raw.rates import rate_queries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from quickbooks_simulator.server import RunningSimulator
    from tap_quickbooks_raw.client import QuickBooksClient
    from tap_quickbooks_raw.pages import Page
    from tap_quickbooks_raw.windows import Window

    Connect = Callable[..., QuickBooksClient]
    Begin = Callable[..., CompanyReader]
    Start = Callable[..., RunningSimulator]

EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
STREAMS = tuple(BY_STREAM)
ADJUSTMENTS = "qb_inventory_adjustments"


@pytest.fixture
def begin(connect: Connect) -> Iterator[Begin]:
    """Begin to read some streams of a simulator; its threads end before the simulator does."""
    readers = []
    threads: set[threading.Thread] = set()

    def build(
        simulator: RunningSimulator,
        *streams: str,
        start: datetime = EPOCH,
        client: QuickBooksClient | None = None,
        is_first: bool = True,
        **reading: object,
    ) -> CompanyReader:
        reader = CompanyReader(
            client or connect(simulator),
            ReadingSettings(**{"concurrency": 4, **reading}),  # type: ignore[arg-type]
            tasks=[
                Task(BY_STREAM[stream], start, is_first=is_first) for stream in streams or STREAMS
            ],
            check=lambda: None,
        )
        readers.append(reader)
        simulator.clear_requests()
        before = set(threading.enumerate())
        reader.begin()
        threads.update(set(threading.enumerate()) - before)
        return reader

    yield build
    for reader in readers:
        reader.close()
    for thread in threads:
        thread.join(10)


def pages_of(reader: CompanyReader, stream: str) -> list[tuple[Window, list[Page]]]:
    return [(window, list(pages)) for window, pages, _ in reader.windows(stream)]


def pages_of_each(reader: CompanyReader, stream: str) -> Iterator[list[Page]]:
    for read in reader.windows(stream):
        yield list(read.pages)


def payloads(reader: CompanyReader, stream: str) -> list[bytes]:
    return [
        bytes(row.payload)
        for _, pages in pages_of(reader, stream)
        for page in pages
        for row in page.rows
    ]


def everything(reader: CompanyReader, stream: str) -> list[bytes]:
    """The payloads of a stream, read whole where that is the only way."""
    try:
        return payloads(reader, stream)
    except RefusedError:
        reader.abandon(stream)
        return whole(reader, stream)


def whole(reader: CompanyReader, stream: str) -> list[bytes]:
    return [bytes(row.payload) for page in reader.read_whole(stream) for row in page.rows]


def sent(simulator: RunningSimulator, stream: str) -> list[bytes]:
    """What the simulator has of a stream, as it is to arrive."""
    key = BY_STREAM[stream].response_key
    return sorted(mend(row) for row in simulator.rows(simulator.realm_ids[0], key))


def calls(simulator: RunningSimulator) -> Counter[str]:
    """How often each entity or operation was asked for."""
    return Counter(
        entry.operation if entry.operation in {"batch", "token"} else entry.entity
        for entry in simulator.requests()
        if entry.operation != "token"
    )


@pytest.mark.parametrize("page_size", [1000, 7])
def test_every_object_of_every_stream_arrives_as_it_is(
    simulator: RunningSimulator, begin: Begin, page_size: int
) -> None:
    """Deactivated ones, voided ones, rates and nested ones included."""
    reader = begin(simulator, page_size=page_size)

    for stream in STREAMS:
        assert sorted(everything(reader, stream)) == sent(simulator, stream), stream


def test_pages_tell_what_was_asked_for(simulator: RunningSimulator, begin: Begin) -> None:
    reader = begin(simulator, "qb_invoices", page_size=10)

    found = pages_of(reader, "qb_invoices")

    asked = reader.range("qb_invoices")
    assert (asked.start, asked.end) == (found[0][0].start, found[-1][0].end)
    for window, pages in found:
        assert [page.number for page in pages] == list(range(1, len(pages) + 1))
        assert {page.size for page in pages} == {10}
        assert {page.path for page in pages} == {"query"}
        assert all(f"FROM Invoice WHERE {UPDATED} >= '" in (page.query or "") for page in pages)
        assert f"'{instant(window.start)}'" in (pages[0].query or "")


# ---- Costs


def test_a_small_company_costs_a_call_per_entity_and_two_batches(
    simulator: RunningSimulator, begin: Begin
) -> None:
    reader = begin(simulator, *(stream for stream in STREAMS if stream != ADJUSTMENTS))
    for stream in reader._tasks:
        payloads(reader, stream)

    asked = calls(simulator)
    assert asked.pop("batch") == 2
    # Not counted (rates, and where QBO refuses to count), so its end has to be proven.
    for entity in ("ExchangeRate", "CustomerType", "TaxPayment", "CompanyCurrency"):
        asked.pop(entity, None)
    assert set(asked.values()) == {1}


def test_an_idle_run_costs_five_calls(simulator: RunningSimulator, begin: Begin) -> None:
    """Two batches of counts, and what cannot be counted: rates and tax classifications."""
    just_now = datetime.fromtimestamp(int(simulator.now()) - 60, UTC)
    streams = set(STREAMS) - {"qb_customer_types"}
    reader = begin(simulator, *streams, start=just_now, is_first=False)
    for stream in reader._tasks:
        rows = payloads(reader, stream)
        assert rows == [] or stream == "qb_tax_classifications"

    assert calls(simulator) == {
        "batch": 2,
        "CompanyCurrency": 1,
        "ExchangeRate": 1,
        "TaxClassification": 1,
    }


@pytest.mark.parametrize(("is_first", "looks"), [(True, {"Invoice": 1}), (False, {})])
def test_an_empty_entity_costs_a_call_the_first_time_only(
    own_simulator: Start,
    begin: Begin,
    is_first: bool,  # noqa: FBT001  Parameters of a test.
    looks: dict[str, int],
) -> None:
    simulator = own_simulator(counts={"Invoice": 0})
    reader = begin(simulator, "qb_invoices", "qb_terms", is_first=is_first)

    assert payloads(reader, "qb_invoices") == []
    assert payloads(reader, "qb_terms")
    assert calls(simulator) == {"batch": 1, "Term": 1, **looks}


# ---- Windows


def test_windows_of_fixed_length_cover_the_range(simulator: RunningSimulator, begin: Begin) -> None:
    """Empty ones are left out; each record lies in its own."""
    reader = begin(simulator, "qb_invoices", chunk_days=30)
    found = pages_of(reader, "qb_invoices")

    rows = [(window, row) for window, pages in found for page in pages for row in page.rows]
    assert sorted(bytes(row.payload) for _, row in rows) == sent(simulator, "qb_invoices")
    assert all(row.stamp and window.start <= row.stamp.moment < window.end for window, row in rows)
    assert all(pages for _, pages in found)
    stamps = [row.stamp.moment for _, row in rows if row.stamp]
    assert stamps == sorted(stamps)
    assert all((window.start - EPOCH) % timedelta(30) == timedelta(0) for window, _ in found)


def test_windows_before_the_first_object_are_not_counted(
    simulator: RunningSimulator, begin: Begin
) -> None:
    reader = begin(simulator, "qb_invoices", start=datetime(1900, 1, 1, tzinfo=UTC), chunk_days=9)

    assert sorted(payloads(reader, "qb_invoices")) == sent(simulator, "qb_invoices")
    assert calls(simulator)["batch"] < 30


def test_windows_behind_the_last_object_are_not_counted(
    simulator: RunningSimulator, begin: Begin
) -> None:
    """As soon as all objects are counted, the rest is empty."""
    reader = begin(simulator, "qb_terms", chunk_days=1)

    assert sorted(payloads(reader, "qb_terms")) == sent(simulator, "qb_terms")
    assert calls(simulator)["batch"] < 30


def test_a_first_object_that_is_not_the_first_hides_no_window(
    simulator: RunningSimulator, begin: Begin
) -> None:
    """As where a server ignores the order; COUNT knows better."""
    newest = max(
        simulator.rows(simulator.realm_ids[0], "Invoice"),
        key=lambda row: row[row.index(b"LastUpdatedTime") :][:40],
    )
    body = b'{"QueryResponse":{"Invoice":[%b]},"time":"2024-01-01T00:00:00Z"}' % mend(newest)
    simulator.add_rules(
        [
            {
                "match": {"entity": "Invoice", "operation": "query", "contains": "MAXRESULTS 1"},
                "do": {"status": 200, "body": body.decode()},
            }
        ]
    )
    reader = begin(simulator, "qb_invoices", chunk_days=365, page_size=500)

    assert sorted(payloads(reader, "qb_invoices")) == sent(simulator, "qb_invoices")


def test_the_range_ends_behind_the_servers_clock(own_simulator: Start, begin: Begin) -> None:
    """It is the server's clock that counts, here a day ahead of ours."""
    simulator = own_simulator()
    simulator.advance(86_400)
    reader = begin(simulator, "qb_terms", settle=timedelta(seconds=45))

    behind = simulator.now() - reader.end.timestamp()
    assert 45 <= behind < 50
    assert reader.end.microsecond == 0


@pytest.mark.parametrize("streams", [("qb_tax_classifications",), ("qb_exchange_rates",)])
def test_the_servers_clock_is_asked_for_where_nothing_is_counted(
    own_simulator: Start, begin: Begin, streams: tuple[str, ...]
) -> None:
    simulator = own_simulator()
    simulator.advance(86_400)

    reader = begin(simulator, *streams)

    assert 30 <= simulator.now() - reader.end.timestamp() < 35


def test_an_end_beyond_the_clock_is_capped(simulator: RunningSimulator, begin: Begin) -> None:
    reader = begin(simulator, "qb_terms", end=datetime(2999, 1, 1, tzinfo=UTC))

    assert reader.end.timestamp() < simulator.now()


def test_an_end_in_the_past_is_kept(simulator: RunningSimulator, begin: Begin) -> None:
    middle = datetime(2020, 1, 1, tzinfo=UTC)
    before = begin(simulator, "qb_invoices", end=middle)
    early = payloads(before, "qb_invoices")
    after = begin(simulator, "qb_invoices", start=middle)
    late = payloads(after, "qb_invoices")

    assert before.end == middle
    assert early
    assert late
    assert sorted(early + late) == sent(simulator, "qb_invoices")


def test_nothing_is_asked_for_from_the_future(simulator: RunningSimulator, begin: Begin) -> None:
    reader = begin(simulator, "qb_terms", start=datetime(2999, 1, 1, tzinfo=UTC))

    assert payloads(reader, "qb_terms") == []
    assert calls(simulator)["Term"] == 0


@pytest.mark.parametrize("concurrency", [2, 10])
def test_a_large_entity_is_read_in_windows_of_about_as_many_rows(
    own_simulator: Start, begin: Begin, concurrency: int
) -> None:
    """And for hardly more calls than it has pages."""
    simulator = own_simulator(counts={"Invoice": 20_000})
    reader = begin(simulator, "qb_invoices", "qb_terms", page_size=100, concurrency=concurrency)

    found = pages_of(reader, "qb_invoices")

    assert sorted(payloads(reader, "qb_terms")) == sent(simulator, "qb_terms")
    rows = [row for _, pages in found for page in pages for row in page.rows]
    assert sorted(bytes(row.payload) for row in rows) == sent(simulator, "qb_invoices")
    stamps = [row.stamp.moment for row in rows if row.stamp]
    assert stamps == sorted(stamps)
    windows = [window for window, _ in found]
    assert all(before.end == after.start for before, after in pairwise(windows))
    assert len(windows) > 90
    sizes = sorted(sum(len(page.rows) for page in pages) for _, pages in found)
    assert sizes[len(sizes) // 10] > 180
    asked = calls(simulator)
    # 1,200 invoices share a second, which costs a pass by offsets.
    assert asked["Invoice"] + asked["batch"] <= 1.05 * 200 + 12


def test_one_reader_alone_splits_nothing(simulator: RunningSimulator, begin: Begin) -> None:
    reader = begin(simulator, "qb_invoices", page_size=5, concurrency=1)

    assert len(pages_of(reader, "qb_invoices")) == 1


def test_probes_that_fail_leave_one_window(simulator: RunningSimulator, begin: Begin) -> None:
    refusal = {"match": {"operation": "batch", "contains": "MAXRESULTS 2"}, "do": {"status": 403}}
    simulator.add_rules([{**refusal, "times": None}])
    reader = begin(simulator, "qb_invoices", page_size=5)

    ((window, pages),) = pages_of(reader, "qb_invoices")

    assert window == reader.range("qb_invoices")
    assert sum(len(page.rows) for page in pages) == len(sent(simulator, "qb_invoices"))


def test_a_plan_that_fails_fails_for_all_streams_behind(
    simulator: RunningSimulator, begin: Begin
) -> None:
    """None of them may seem to be empty."""
    refusal = {"match": {"operation": "batch", "contains": "MAXRESULTS 2"}, "do": {"status": 401}}
    simulator.add_rules([{**refusal, "times": None}])
    reader = begin(simulator, "qb_invoices", "qb_items", "qb_terms", page_size=5)

    for stream in ("qb_invoices", "qb_items", "qb_terms"):
        with pytest.raises(CompanyError):
            payloads(reader, stream)
        reader.abandon(stream)


def test_windows_that_give_less_than_was_counted_are_not_believed(
    simulator: RunningSimulator, begin: Begin
) -> None:
    """As where a server leaves objects out of one window."""
    rows = simulator.rows(simulator.realm_ids[0], "Invoice")
    reader = begin(simulator, "qb_invoices", page_size=5)
    reader._planner.counts["qb_invoices"] = len(rows) + 1

    assert len(payloads(reader, "qb_invoices")) == len(rows)

    reader = begin(simulator, "qb_invoices", page_size=5)
    taken = reader._counted
    reader._counted = (
        lambda pages: taken(  # type: ignore[method-assign]
            page._replace(rows=page.rows[:-1]) for page in pages
        )
    )
    with pytest.raises(RefusedError, match="counts"):
        payloads(reader, "qb_invoices")


# ---- Objects that cannot be read


@pytest.mark.parametrize("concurrency", [1, 6])
@pytest.mark.parametrize("page_size", [10, 1000])
def test_an_object_that_qbo_cannot_send_is_named_and_the_rest_is_read(
    simulator: RunningSimulator, begin: Begin, page_size: int, concurrency: int
) -> None:
    ids = [loads(row)["Id"] for row in simulator.rows(simulator.realm_ids[0], "Invoice")]
    broken = [ids[7], ids[40]]
    simulator.configure(poison=[{"entity": "Invoice", "id": key} for key in broken])
    reader = begin(
        simulator, "qb_invoices", "qb_terms", page_size=page_size, concurrency=concurrency
    )

    found = payloads(reader, "qb_invoices")

    assert {loads(row)["Id"] for row in found} == set(ids) - set(broken)
    lost = reader.lost("qb_invoices")
    assert len(lost) == len(broken)
    assert all("LastUpdatedTime" in text and "intuit_tid" in text for text in lost)
    assert sorted(payloads(reader, "qb_terms")) == sent(simulator, "qb_terms")


def test_pages_that_are_too_heavy_are_asked_for_smaller(
    simulator: RunningSimulator, begin: Begin
) -> None:
    simulator.configure(oversize_rows=20)
    reader = begin(simulator, "qb_invoices", "qb_items")

    assert sorted(payloads(reader, "qb_invoices")) == sent(simulator, "qb_invoices")
    assert sorted(payloads(reader, "qb_items")) == sent(simulator, "qb_items")
    assert reader.lost("qb_invoices") == []


@pytest.mark.parametrize("trouble", [{"truncate": 9_000}, {"short_json": 9_000}])
def test_answers_that_are_cut_are_asked_for_smaller(
    simulator: RunningSimulator, begin: Begin, trouble: dict[str, int]
) -> None:
    match = {"entity": "Invoice", "operation": "query", "contains": "MAXRESULTS 1000"}
    simulator.add_rules([{"match": match, "do": trouble, "times": None}])
    reader = begin(simulator, "qb_invoices")

    assert sorted(payloads(reader, "qb_invoices")) == sent(simulator, "qb_invoices")


# ---- When QBO refuses


@pytest.mark.parametrize("chunk_days", [None, 400])
def test_a_refused_batch_costs_calls_but_loses_nothing(
    simulator: RunningSimulator, begin: Begin, chunk_days: int | None
) -> None:
    simulator.configure(refuse_batch=True)
    streams = ("qb_invoices", "qb_terms", "qb_company_info")
    reader = begin(simulator, *streams, chunk_days=chunk_days, page_size=30)

    for stream in streams:
        assert sorted(payloads(reader, stream)) == sent(simulator, stream)


@pytest.mark.parametrize("chunk_days", [None, 400])
def test_an_entity_that_is_not_counted_is_read_all_the_same(
    simulator: RunningSimulator, begin: Begin, chunk_days: int | None
) -> None:
    simulator.configure(no_count=["Invoice"])
    reader = begin(simulator, "qb_invoices", chunk_days=chunk_days, page_size=30)

    assert sorted(payloads(reader, "qb_invoices")) == sent(simulator, "qb_invoices")


def test_a_count_that_fails_for_a_while_is_done_without(
    simulator: RunningSimulator, begin: Begin
) -> None:
    simulator.add_rules(
        [
            {"match": {"operation": operation}, "do": {"status": 503}, "times": None}
            for operation in ("batch", "count")
        ]
    )
    reader = begin(simulator, "qb_invoices", page_size=30)

    assert sorted(payloads(reader, "qb_invoices")) == sent(simulator, "qb_invoices")


def test_an_entity_that_the_company_does_not_have_is_unavailable(
    simulator: RunningSimulator, begin: Begin
) -> None:
    """And the others are read."""
    simulator.configure(entities_off=["Department"])
    reader = begin(simulator, "qb_customers", "qb_departments", "qb_terms")

    assert payloads(reader, "qb_customers")
    with pytest.raises(UnavailableError, match="5030"):
        payloads(reader, "qb_departments")
    reader.abandon("qb_departments")
    assert sorted(payloads(reader, "qb_terms")) == sent(simulator, "qb_terms")


def test_an_entity_that_fails_is_its_own_trouble(simulator: RunningSimulator, begin: Begin) -> None:
    match = {"entity": "Customer", "operation": "query"}
    simulator.add_rules([{"match": match, "do": {"status": 500}, "times": None}])
    reader = begin(simulator, "qb_customers", "qb_terms")

    with pytest.raises(RetriesExhausted):
        payloads(reader, "qb_customers")
    reader.abandon("qb_customers")
    assert sorted(payloads(reader, "qb_terms")) == sent(simulator, "qb_terms")


@pytest.mark.parametrize("page_size", [1000, 7])
def test_an_entity_without_a_filter_on_time_is_read_whole(
    simulator: RunningSimulator, begin: Begin, page_size: int
) -> None:
    simulator.configure(no_time_filter=["Invoice"])
    reader = begin(simulator, "qb_invoices", "qb_terms", page_size=page_size)

    with pytest.raises(RefusedError):
        payloads(reader, "qb_invoices")
    reader.abandon("qb_invoices")

    assert sorted(whole(reader, "qb_invoices")) == sent(simulator, "qb_invoices")
    assert sorted(payloads(reader, "qb_terms")) == sent(simulator, "qb_terms")


def test_what_is_read_whole_keeps_to_the_range(simulator: RunningSimulator, begin: Begin) -> None:
    simulator.configure(no_time_filter=["Invoice"])
    middle = datetime(2020, 1, 1, tzinfo=UTC)
    early = whole(begin(simulator, "qb_invoices", end=middle), "qb_invoices")
    late = whole(begin(simulator, "qb_invoices", start=middle), "qb_invoices")

    assert early
    assert late
    assert sorted(early + late) == sent(simulator, "qb_invoices")


def test_bare_dates_instead_of_stamps_mean_reading_whole(
    simulator: RunningSimulator, begin: Begin
) -> None:
    reader = begin(simulator, ADJUSTMENTS)

    with pytest.raises(RefusedError, match="no exact time"):
        payloads(reader, ADJUSTMENTS)
    assert sorted(whole(reader, ADJUSTMENTS)) == sent(simulator, ADJUSTMENTS)


# ---- The company's trouble


def test_the_companys_trouble_ends_the_plan(simulator: RunningSimulator, begin: Begin) -> None:
    simulator.configure(suspended_realms=simulator.realm_ids)

    reader = begin(simulator)

    for stream in STREAMS:
        with pytest.raises(CompanyError, match="6190"):
            payloads(reader, stream)
    assert sum(calls(simulator).values()) == 1


def test_the_budget_ends_the_reading(
    simulator: RunningSimulator, begin: Begin, connect: Connect
) -> None:
    client = connect(simulator, budget=Budget(calls=5))
    reader = begin(simulator, client=client)

    with pytest.raises(BudgetReached):
        [payloads(reader, stream) for stream in STREAMS]
    assert client.calls == 5


def test_the_last_calls_of_a_budget_are_not_spread_over_many_windows(
    own_simulator: Start, begin: Begin, connect: Connect
) -> None:
    """What is begun and not ended would be read, and paid for, in vain."""
    simulator = own_simulator(counts={"Payment": 3_000}, latency_ms=5)
    client = connect(simulator, budget=Budget(calls=12))
    reader = begin(simulator, "qb_payments", client=client, page_size=50, concurrency=8)
    windows = []

    with pytest.raises(BudgetReached):
        windows.extend(pages_of_each(reader, "qb_payments"))

    spent = sum(entry.operation == "query" for entry in simulator.requests())
    assert len(windows) > 2
    assert spent <= 2 * len(windows) + 2


# ---- Order


def test_streams_come_in_the_order_of_the_tasks_and_may_be_left_out(
    simulator: RunningSimulator, begin: Begin
) -> None:
    reader = begin(simulator, "qb_vendors", "qb_invoices", "qb_terms", page_size=20)

    assert sorted(payloads(reader, "qb_vendors")) == sent(simulator, "qb_vendors")
    assert sorted(payloads(reader, "qb_terms")) == sent(simulator, "qb_terms")
    assert payloads(reader, "qb_invoices") == []


def test_a_stream_may_be_left_in_the_middle(simulator: RunningSimulator, begin: Begin) -> None:
    reader = begin(simulator, "qb_invoices", "qb_terms", page_size=20, chunk_days=365)
    next(next(reader.windows("qb_invoices"))[1])
    reader.abandon("qb_invoices")

    assert sorted(payloads(reader, "qb_terms")) == sent(simulator, "qb_terms")


# ---- Exchange rates


def test_rates_are_asked_for_by_their_currencies(simulator: RunningSimulator, begin: Begin) -> None:
    reader = begin(simulator, "qb_exchange_rates")

    assert sorted(payloads(reader, "qb_exchange_rates")) == sent(simulator, "qb_exchange_rates")
    asked = [entry.statement for entry in simulator.requests() if entry.entity == "ExchangeRate"]
    assert all("SourceCurrencyCode IN ('" in statement for statement in asked[1:])


def test_a_company_without_currencies_has_no_rates(
    simulator: RunningSimulator, begin: Begin
) -> None:
    simulator.configure(entities_off=["CompanyCurrency"])
    reader = begin(simulator, "qb_exchange_rates")

    assert payloads(reader, "qb_exchange_rates") == []


def test_rates_without_a_filter_on_time_are_read_whole(
    simulator: RunningSimulator, begin: Begin
) -> None:
    simulator.configure(no_time_filter=["ExchangeRate"])
    reader = begin(simulator, "qb_exchange_rates")

    with pytest.raises(RefusedError):
        payloads(reader, "qb_exchange_rates")

    assert sorted(whole(reader, "qb_exchange_rates")) == sent(simulator, "qb_exchange_rates")


def test_rates_that_need_a_day_are_asked_for_today(
    simulator: RunningSimulator, begin: Begin
) -> None:
    """Whether QBO answers without a day is not documented."""
    match = {"entity": "ExchangeRate", "operation": "query"}
    refusal = {"fault": "processing_error_4002"}
    simulator.add_rules([{"match": match, "do": refusal, "times": 3}])
    reader = begin(simulator, "qb_exchange_rates")

    with pytest.raises(RefusedError):
        payloads(reader, "qb_exchange_rates")
    list(reader.read_whole("qb_exchange_rates"))

    today = reader.end.date().isoformat()
    statements = [entry.statement for entry in simulator.requests()]
    assert any(f"AsOfDate = '{today}'" in statement for statement in statements)


@settings(max_examples=20)
@given(st.lists(st.text("ABC'\\", min_size=1), max_size=5))
def test_without_currencies_there_is_no_query_for_rates(codes: list[str]) -> None:
    assert bool(rate_queries(codes, EPOCH.date())) is bool(codes)


def test_all_readings_are_covered_here() -> None:
    assert {entity.reading for entity in ENTITIES} == set(Reading)
