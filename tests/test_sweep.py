"""What is gone from QBO is marked as deleted, and nothing else ever is."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import psycopg
import pytest
from psycopg import sql
from quickbooks_simulator.entities import BY_QUERY_NAME
from tap_quickbooks_raw import sweep as command
from tap_quickbooks_raw.entities import BY_STREAM, Reading
from tap_quickbooks_raw.exceptions import CompanyError, QuickBooksError
from tap_quickbooks_raw.listing import IDS_PER_QUERY
from tap_quickbooks_raw.pages import Source
from tap_quickbooks_raw.raw_tables import RawTable
from tap_quickbooks_raw.sweep import SWEPT, Sweep, Swept, line, names, run_sweep, total

from tests.conftest import REALM

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from local_postgres.server import Connection
    from quickbooks_simulator.server import RunningSimulator

    from tests.conftest import Connect

    Call = Callable[..., tuple[int, str, list[str]]]
    OwnSimulator = Callable[..., RunningSimulator]
    Sweeper = Callable[..., Sweep]

SCHEMA = "swept"
MOMENT = datetime(2026, 11, 1, 12, 30, tzinfo=UTC)
INGESTED = "2026-10-01 00:00:00.123456"
OTHER_REALM = "9341453000000009"
INVOICES, CUSTOMERS = BY_STREAM["qb_invoices"], BY_STREAM["qb_customers"]
GHOSTS = ["900000001", "900000002"]


def answer(content: str) -> dict[str, Any]:
    """What lets the simulator answer a query with this and nothing else."""
    body = f'{{"QueryResponse":{{{content}}}}}'
    return {"status": 200, "body": body, "content_type": "application/json"}


NOTHING = answer("")


class Raw(NamedTuple):
    """The raw schema of a test."""

    connection: psycopg.Connection
    kind: str = "timestamptz"

    def create(self, stream: str) -> None:
        """Create an empty table, as a loader does."""
        statement = sql.SQL(
            "CREATE TABLE IF NOT EXISTS {} (realm_id text, id text, payload jsonb,"
            " last_updated_utc {kind}, ingested_at_utc {kind}, deleted_at_utc {kind},"
            " PRIMARY KEY (realm_id, id))"
        )
        kind = sql.SQL(self.kind)
        self.connection.execute(statement.format(sql.Identifier(SCHEMA, stream), kind=kind))

    def add(self, stream: str, ids: Iterable[str], realm: str = REALM) -> None:
        """Load objects of which only the ids matter."""
        self.create(stream)
        statement = sql.SQL(
            "INSERT INTO {} SELECT %s, id, jsonb_build_object('Id', id), %s, %s"
            " FROM unnest(%s::text[]) AS id ON CONFLICT DO NOTHING"
        ).format(sql.Identifier(SCHEMA, stream))
        self.connection.execute(statement, (realm, INGESTED, INGESTED, list(ids)))

    def load(self, simulator: RunningSimulator, *streams: str) -> None:
        """Load everything that a company has of some streams."""
        for stream in streams:
            self.add(stream, ids_in(simulator, stream))

    def execute(self, statement: str, stream: str = "qb_invoices", **values: object) -> None:
        """Do something with `{}`, the table of a stream."""
        text = sql.SQL(statement).format(sql.Identifier(SCHEMA, stream))
        self.connection.execute(text, values)

    def deleted(self, stream: str = "qb_invoices", realm: str = REALM) -> dict[str, datetime]:
        """The rows that are marked, and when they are said to have been deleted."""
        statement = sql.SQL(
            "SELECT id, deleted_at_utc FROM {} WHERE realm_id = %s AND deleted_at_utc IS NOT NULL"
        ).format(sql.Identifier(SCHEMA, stream))
        return dict(self.connection.execute(statement, (realm,)).fetchall())

    def rest(self, stream: str = "qb_invoices") -> set[tuple[Any, ...]]:
        """All columns that a sweep must not touch."""
        statement = sql.SQL(
            "SELECT realm_id, id, payload::text, last_updated_utc, ingested_at_utc FROM {}"
        ).format(sql.Identifier(SCHEMA, stream))
        return set(self.connection.execute(statement).fetchall())

    def table(self, stream: str = "qb_invoices") -> RawTable:
        """The company's part of a table."""
        return RawTable(self.connection, stream, schema=SCHEMA, realm_id=REALM)


def ids_in(simulator: RunningSimulator, stream: str) -> list[str]:
    """The ids that a company has of a stream, in the order of creation."""
    entity = BY_STREAM[stream]
    is_own = entity.reading is Reading.GET
    key = entity.name if is_own else BY_QUERY_NAME[entity.name.lower()].key
    objects = [json.loads(row) for row in simulator.rows(REALM, key)]
    if entity.reading is Reading.NESTED:
        objects = [inner for row in objects for inner in row.values()]
    return [row["id" if is_own else "Id"] for row in objects]


@pytest.fixture
def raw(postgres: Connection) -> Iterator[Raw]:
    """An empty raw schema; the session is in UTC."""
    with psycopg.connect(postgres.url, autocommit=True, options="-c TimeZone=UTC") as connection:
        connection.execute("SET client_min_messages = warning")
        connection.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
        connection.execute(f"CREATE SCHEMA {SCHEMA}")
        yield Raw(connection)


@pytest.fixture
def sweeper(raw: Raw, connect: Connect) -> Sweeper:
    """Build a sweep of a simulated company."""

    def build(simulator: RunningSimulator, **options: Any) -> Sweep:
        client = connect(simulator, attempts=options.pop("attempts", 1))
        return Sweep(client, raw.connection, MOMENT, schema=SCHEMA, **options)

    return build


def statements(simulator: RunningSimulator) -> list[str]:
    """What was asked for."""
    return [entry.statement for entry in simulator.requests() if entry.operation != "token"]


# ---- What is marked


@pytest.mark.parametrize("kind", ["timestamptz", "timestamp"])
def test_what_was_deleted_is_marked_and_the_rest_of_the_row_stays(
    own_simulator: OwnSimulator, raw: Raw, sweeper: Sweeper, kind: str
) -> None:
    simulator = own_simulator(counts={"Invoice": 60})
    raw = raw._replace(kind=kind)
    raw.load(simulator, "qb_invoices")
    before = raw.rest()
    [ids] = simulator.edit(REALM, [{"op": "delete", "entity": "Invoice", "random": 3}])

    swept = sweeper(simulator).entity(INVOICES)

    moment = MOMENT if kind == "timestamptz" else MOMENT.replace(tzinfo=None)
    assert raw.deleted() == dict.fromkeys(ids, moment)
    assert raw.rest() == before
    assert swept == Swept("qb_invoices", 60, 3, 3, 0, gone=tuple(sorted(ids)))


def test_what_is_deactivated_or_voided_is_not_marked(
    own_simulator: OwnSimulator, raw: Raw, sweeper: Sweeper
) -> None:
    simulator = own_simulator(counts={"Invoice": 20, "Customer": 20})
    raw.load(simulator, "qb_invoices", "qb_customers")
    edits = [
        {"op": "void", "entity": "Invoice", "random": 5},
        {"op": "deactivate", "entity": "Customer", "random": 15},
    ]
    simulator.edit(REALM, edits)

    swept = [sweeper(simulator).entity(entity) for entity in (INVOICES, CUSTOMERS)]

    assert [each.missing for each in swept] == [0, 0]
    assert all(each.is_fine for each in swept)


def test_every_entity_that_has_ids_can_be_swept(
    simulator: RunningSimulator, raw: Raw, sweeper: Sweeper
) -> None:
    """Whatever QBO refuses of it, and in whatever form its objects come."""
    for entity in SWEPT:
        raw.load(simulator, entity.stream)
        raw.add(entity.stream, ["gone'"])
    sweep = sweeper(simulator, page_size=20)

    swept = [sweep.entity(entity) for entity in SWEPT]

    assert [(each.verdict, each.gone, each.extra) for each in swept] == [("ok", ("gone'",), 0)] * 40
    assert all(raw.deleted(entity.stream) == {"gone'": MOMENT} for entity in SWEPT)


def test_a_second_sweep_finds_nothing(
    simulator: RunningSimulator, raw: Raw, sweeper: Sweeper
) -> None:
    raw.load(simulator, "qb_invoices")
    raw.add("qb_invoices", GHOSTS)
    sweeper(simulator).entity(INVOICES)

    again = sweeper(simulator).entity(INVOICES)

    assert (again.missing, again.marked) == (0, 0)


def test_what_raw_does_not_have_is_only_counted(
    simulator: RunningSimulator, raw: Raw, sweeper: Sweeper
) -> None:
    known, *others = ids_in(simulator, "qb_invoices")
    raw.add("qb_invoices", [known])

    swept = sweeper(simulator).entity(INVOICES)

    assert swept == Swept("qb_invoices", 1, 0, 0, len(others))


def test_rows_of_another_company_are_left(
    simulator: RunningSimulator, raw: Raw, sweeper: Sweeper
) -> None:
    raw.load(simulator, "qb_invoices")
    raw.add("qb_invoices", GHOSTS)
    raw.add("qb_invoices", GHOSTS, realm=OTHER_REALM)

    assert sweeper(simulator).entity(INVOICES).marked == 2
    assert raw.deleted(realm=OTHER_REALM) == {}


@pytest.mark.parametrize("content", ["no table", "an empty table", "deleted rows", "others' rows"])
def test_nothing_is_asked_for_where_nothing_lives(
    simulator: RunningSimulator, raw: Raw, sweeper: Sweeper, content: str
) -> None:
    if content != "no table":
        raw.create("qb_invoices")
    if content == "deleted rows":
        raw.add("qb_invoices", GHOSTS)
        raw.execute("UPDATE {} SET deleted_at_utc = now()")
    if content == "others' rows":
        raw.add("qb_invoices", GHOSTS, realm=OTHER_REALM)

    swept = sweeper(simulator).entity(INVOICES)

    assert swept == Swept("qb_invoices", verdict="nothing in raw")
    assert simulator.requests() == []


def test_a_dry_run_marks_nothing_and_names_what_it_would_mark(
    simulator: RunningSimulator, raw: Raw, sweeper: Sweeper
) -> None:
    raw.load(simulator, "qb_invoices")
    raw.add("qb_invoices", GHOSTS)

    swept = sweeper(simulator, is_dry=True).entity(INVOICES)

    assert (swept.marked, swept.gone) == (2, tuple(GHOSTS))
    assert raw.deleted() == {}


# ---- How it is asked


def test_few_calls_are_made_where_nothing_is_missing(
    simulator: RunningSimulator, raw: Raw, sweeper: Sweeper
) -> None:
    raw.load(simulator, "qb_customers")

    sweeper(simulator).entity(CUSTOMERS)

    rows = len(ids_in(simulator, "qb_customers"))
    count, page = statements(simulator)
    assert count == "SELECT COUNT(*) FROM Customer WHERE Active IN (true, false)"
    assert page.startswith("SELECT Id FROM Customer WHERE Active IN (true, false) ORDERBY Id ASC ")
    assert page.endswith(f" STARTPOSITION 1 MAXRESULTS {rows + 1}")


def test_what_is_missing_is_asked_for_by_id_in_short_queries(
    simulator: RunningSimulator, raw: Raw, sweeper: Sweeper
) -> None:
    raw.load(simulator, "qb_invoices")
    raw.add("qb_invoices", (f"9{number:020}" for number in range(100)))

    assert sweeper(simulator).entity(INVOICES).marked == 100
    asked = [text for text in statements(simulator) if "Id IN" in text and "SELECT Id" in text]
    assert [text.count("', '") + 1 for text in asked] == [IDS_PER_QUERY, IDS_PER_QUERY, 3]
    assert max(map(len, asked)) < 1500


@pytest.mark.parametrize("fault", ["not_queryable_4001", "processing_error_4002"])
@pytest.mark.parametrize("form", ["SELECT Id", "ORDERBY Id", "Id IN"])
def test_a_form_that_is_refused_is_done_without(
    simulator: RunningSimulator, raw: Raw, sweeper: Sweeper, form: str, fault: str
) -> None:
    raw.load(simulator, "qb_invoices")
    raw.add("qb_invoices", GHOSTS)
    simulator.add_rules([{"match": {"contains": form}, "times": None, "do": {"fault": fault}}])

    assert sweeper(simulator, page_size=7).entity(INVOICES).gone == tuple(GHOSTS)
    assert raw.deleted().keys() == set(GHOSTS)


def test_where_a_query_for_ids_is_refused_whole_objects_are_asked_for_from_then_on(
    simulator: RunningSimulator, raw: Raw, sweeper: Sweeper
) -> None:
    raw.load(simulator, "qb_invoices")
    rule = {"match": {"contains": "SELECT Id"}, "do": {"fault": "not_queryable_4001"}}
    simulator.add_rules([rule | {"times": None}])

    assert sweeper(simulator, page_size=7).entity(INVOICES).missing == 0
    assert len([text for text in statements(simulator) if text.startswith("SELECT Id")]) == 1


def test_a_filter_that_finds_nothing_proves_nothing(
    own_simulator: OwnSimulator, raw: Raw, sweeper: Sweeper
) -> None:
    """What the first listing lacks is not asked for in vain: a second one has it."""
    simulator = own_simulator(counts={"Invoice": 20})
    raw.load(simulator, "qb_invoices")
    first, *_ = ids_in(simulator, "qb_invoices")
    hidden = {"op": "delete", "entity": "Invoice", "id": first}
    added = {"op": "create", "entity": "Invoice", "random": 1}
    page = {"operation": "query", "contains": "MAXRESULTS", "nth": 2}
    rules = [
        {"match": {"contains": "Id IN"}, "times": None, "do": NOTHING},
        # The first leaves, so that the eighth is in no page, and the COUNT stays the same.
        {"match": page, "before": [hidden, added]},
    ]
    simulator.add_rules(rules)

    swept = sweeper(simulator, page_size=7).entity(INVOICES)

    assert (swept.missing, swept.extra) == (0, 1)
    assert raw.deleted() == {}


# ---- What nothing is made of


@pytest.mark.parametrize(
    ("rule", "verdict"),
    [
        ({"status": 503}, "failed: GET query failed once with status 503"),
        ({"status": 500}, "failed: more than 100 objects cannot be read"),
        ({"fault": "permission_denied_5020"}, "failed: status 403, code 5020"),
        (NOTHING, "failed: QBO lists nothing, but counts"),
    ],
    ids=["fault", "unreadable", "permission", "empty"],
)
def test_an_entity_that_fails_is_left_and_the_others_go_on(
    simulator: RunningSimulator,
    raw: Raw,
    sweeper: Sweeper,
    rule: dict[str, Any],
    verdict: str,
) -> None:
    for stream in ("qb_customers", "qb_invoices"):
        raw.load(simulator, stream)
        raw.add(stream, GHOSTS)
    match = {"entity": "Customer", "operation": "query"}
    simulator.add_rules([{"match": match, "times": None, "do": rule}])

    failed, done = run_sweep(sweeper(simulator), [CUSTOMERS, INVOICES])

    assert failed.verdict.startswith(verdict)
    assert (failed.is_fine, done.is_fine) == (False, True)
    assert raw.deleted("qb_customers") == {}
    assert raw.deleted("qb_invoices").keys() == set(GHOSTS)


def test_a_fault_while_asking_again_leaves_the_entity(
    simulator: RunningSimulator, raw: Raw, sweeper: Sweeper
) -> None:
    raw.load(simulator, "qb_invoices")
    raw.add("qb_invoices", (f"9{number:020}" for number in range(100)))
    match = {"operation": "query", "contains": "Id IN", "nth": 3}
    simulator.add_rules([{"match": match, "do": {"status": 503}}])

    assert not sweeper(simulator).entity(INVOICES).is_fine
    assert raw.deleted() == {}


def test_an_entity_that_the_company_does_not_have_is_no_failure(
    simulator: RunningSimulator, raw: Raw, sweeper: Sweeper
) -> None:
    raw.add("qb_invoices", GHOSTS)
    simulator.configure(entities_off=["Invoice"])

    assert sweeper(simulator).entity(INVOICES) == Swept("qb_invoices", 2, verdict="unavailable")
    assert raw.deleted() == {}


@pytest.mark.parametrize(
    ("count", "marked"),
    [
        (answer('"totalCount":0'), 2),
        ({"fault": "processing_error_4002"}, 0),
        ({"status": 500}, 0),
        (None, 0),
    ],
    ids=["counts none", "does not count", "fails to count", "counts some"],
)
def test_that_there_is_nothing_is_believed_only_if_nothing_is_counted(
    simulator: RunningSimulator,
    raw: Raw,
    sweeper: Sweeper,
    count: dict[str, Any] | None,
    marked: int,
) -> None:
    raw.add("qb_invoices", GHOSTS)
    rules = [{"match": {"operation": "query"}, "times": None, "do": NOTHING}]
    if count:
        rules.append({"match": {"operation": "count"}, "times": None, "do": count})
    simulator.add_rules(rules)

    swept = sweeper(simulator).entity(INVOICES)

    assert (len(raw.deleted()), swept.is_fine) == (marked, bool(marked))


def test_tax_classifications_that_are_not_listed_at_all_are_left(
    simulator: RunningSimulator, raw: Raw, sweeper: Sweeper
) -> None:
    """Nobody counts them."""
    raw.load(simulator, "qb_tax_classifications")
    match = {"operation": "taxclassification"}
    simulator.add_rules([{"match": match, "times": None, "do": NOTHING}])

    swept = sweeper(simulator).entity(BY_STREAM["qb_tax_classifications"])

    assert swept.verdict == "failed: QBO lists nothing, and does not count: that is no proof"


@pytest.mark.parametrize("stream", ["qb_tax_classifications", "qb_recurring_transactions"])
def test_where_ids_are_no_filter_one_listing_is_not_enough(
    simulator: RunningSimulator, raw: Raw, sweeper: Sweeper, stream: str
) -> None:
    entity = BY_STREAM[stream]
    kept, *_ = simulator.rows(REALM, entity.name)
    raw.load(simulator, stream)
    one, counted = answer(f'"{entity.name}":[{kept.decode()}]'), answer('"totalCount":1')
    rules = [{"match": {"entity": entity.name, "nth": 1}, "do": one}]
    if entity.reading is Reading.NESTED:
        rules = [
            {"match": {"entity": entity.name, "nth": 1}, "do": counted},
            {"match": {"entity": entity.name, "nth": 2}, "do": one},
        ]
    simulator.add_rules(rules)

    swept = sweeper(simulator).entity(entity)

    assert (swept.missing, swept.is_fine) == (0, True)
    assert raw.deleted(stream) == {}


@pytest.mark.parametrize("ghosts", [[], GHOSTS], ids=["all there", "some gone"])
def test_an_object_that_cannot_be_sent_may_be_any(
    simulator: RunningSimulator, raw: Raw, sweeper: Sweeper, ghosts: list[str]
) -> None:
    raw.load(simulator, "qb_invoices")
    raw.add("qb_invoices", ghosts)
    broken = ids_in(simulator, "qb_invoices")[3]
    simulator.configure(poison=[{"entity": "Invoice", "id": broken}])

    swept = sweeper(simulator).entity(INVOICES)

    assert swept.verdict.startswith("failed: QBO cannot send 1 objects, which may be any: Invoice")
    assert raw.deleted() == {}


# ---- Too many at once


@pytest.mark.parametrize(
    ("ghosts", "options"), [(100, {}), (101, {"is_sure": True})], ids=["many", "very many"]
)
def test_many_are_marked_and_very_many_if_somebody_is_sure(
    simulator: RunningSimulator,
    raw: Raw,
    sweeper: Sweeper,
    ghosts: int,
    options: dict[str, Any],
) -> None:
    raw.load(simulator, "qb_invoices")
    raw.add("qb_invoices", map(str, range(900_000, 900_000 + ghosts)))

    swept = sweeper(simulator, **options).entity(INVOICES)

    assert (len(raw.deleted()), swept.marked, swept.is_fine) == (ghosts, ghosts, True)


@pytest.mark.parametrize("options", [{}, {"is_dry": True}], ids=["sweep", "dry run"])
def test_very_many_are_refused_before_more_is_asked_for(
    simulator: RunningSimulator,
    raw: Raw,
    sweeper: Sweeper,
    options: dict[str, Any],
) -> None:
    raw.load(simulator, "qb_invoices")
    raw.add("qb_invoices", map(str, range(900_000, 900_101)))

    swept = sweeper(simulator, **options).entity(INVOICES)

    assert (raw.deleted(), swept.missing, swept.marked, swept.is_fine) == ({}, 101, 0, False)
    assert swept.verdict.startswith("refused: 101 rows are missing (")
    assert swept.verdict.endswith("%); --yes marks them")
    assert not [text for text in statements(simulator) if "Id IN" in text]


@pytest.mark.parametrize(("others", "marked"), [(1919, 101), (1918, 0)])
def test_in_a_large_company_many_are_no_large_share(
    own_simulator: OwnSimulator,
    raw: Raw,
    sweeper: Sweeper,
    others: int,
    marked: int,
) -> None:
    simulator = own_simulator(counts={"Invoice": others})
    raw.load(simulator, "qb_invoices")
    raw.add("qb_invoices", (f"9{number:08}" for number in range(101)))

    assert sweeper(simulator).entity(INVOICES).marked == marked


# ---- While others work


def test_a_row_that_is_loaded_again_meanwhile_is_left(
    simulator: RunningSimulator,
    raw: Raw,
    sweeper: Sweeper,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    raw.load(simulator, "qb_invoices")
    raw.add("qb_invoices", GHOSTS)
    sweep = sweeper(simulator)
    get = sweep.client.get

    def get_and_load(*args: Any, **options: Any) -> Any:
        raw.execute("UPDATE {} SET ingested_at_utc = now() WHERE id = %(id)s", id=GHOSTS[0])
        raw.add("qb_invoices", ["900000003"])
        return get(*args, **options)

    monkeypatch.setattr(sweep.client, "get", get_and_load)
    swept = sweep.entity(INVOICES)

    assert raw.deleted().keys() == {GHOSTS[1]}
    assert (swept.marked, swept.verdict) == (1, "ok, 1 changed meanwhile and left")


@pytest.mark.parametrize("kind", ["timestamptz", "timestamp"])
def test_only_rows_as_they_were_are_marked(raw: Raw, kind: str) -> None:
    raw = raw._replace(kind=kind)
    raw.add("qb_invoices", "abcdef")
    raw.add("qb_invoices", "ab", realm=OTHER_REALM)
    raw.execute("UPDATE {} SET ingested_at_utc = NULL WHERE id IN ('a', 'b')")
    raw.execute("UPDATE {} SET ingested_at_utc = 'infinity' WHERE id IN ('c')")
    rows = {key: ingested for key, ingested in raw.table().living().items() if key != "f"}
    again = "UPDATE {} SET ingested_at_utc = now() WHERE id = 'a' AND realm_id = %(realm)s"
    raw.execute(again, realm=REALM)
    raw.execute("UPDATE {} SET ingested_at_utc = NULL WHERE id = 'd'")
    raw.execute("UPDATE {} SET deleted_at_utc = '2020-01-01' WHERE id = 'e'")

    assert raw.table().mark_deleted(rows, MOMENT) == 2
    deleted = {key: moment.replace(tzinfo=UTC) for key, moment in raw.deleted().items()}
    assert deleted == {"b": MOMENT, "c": MOMENT, "e": datetime(2020, 1, 1, tzinfo=UTC)}
    assert raw.deleted(realm=OTHER_REALM) == {}


def test_a_row_that_is_being_written_is_not_waited_for(raw: Raw, postgres: Connection) -> None:
    raw.add("qb_invoices", GHOSTS)
    rows = raw.table().living()
    with psycopg.connect(postgres.url) as loader:
        loader.execute(f"UPDATE {SCHEMA}.qb_invoices SET payload = '{{}}' WHERE id = '{GHOSTS[0]}'")

        assert raw.table().mark_deleted(rows, MOMENT) == 1
    assert raw.deleted().keys() == {GHOSTS[1]}


@pytest.mark.parametrize("seed", range(12))
def test_what_lives_is_never_marked_while_others_work(
    own_simulator: OwnSimulator, raw: Raw, sweeper: Sweeper, seed: int
) -> None:
    """Whatever leaves before whichever request, a new object keeping the COUNT as it was."""
    dice = random.Random(seed)
    simulator = own_simulator(counts={"Invoice": 30}, no_count=["Invoice"] if seed % 4 == 3 else [])
    raw.load(simulator, "qb_invoices")
    for _ in range(4):
        rules: list[dict[str, Any]] = []
        living = ids_in(simulator, "qb_invoices")
        # Mostly the first ones: all behind them move up, one of them out of sight.
        leaving = dice.sample(living[: dice.choice((5, 10, 20))], 5)
        for number, each in zip(dice.sample(range(1, 12), 5), leaving, strict=True):
            edits: list[dict[str, Any]] = [{"op": "delete", "entity": "Invoice", "id": each}]
            if dice.random() < 0.7:
                edits.append({"op": "create", "entity": "Invoice", "random": 1})
            rules.append({"match": {"entity": "Invoice", "nth": number}, "before": edits})
        if dice.random() < 0.5:
            refused = {"fault": "not_queryable_4001"}
            rules.append({"match": {"contains": "Id IN"}, "times": None, "do": refused})
        simulator.add_rules(rules)

        swept = sweeper(simulator, page_size=dice.choice((3, 7, 50))).entity(INVOICES)

        assert swept.is_fine, swept
        assert not raw.deleted().keys() & set(ids_in(simulator, "qb_invoices"))
        simulator.clear_rules()
        raw.load(simulator, "qb_invoices")
    sweeper(simulator).entity(INVOICES)
    assert raw.table().living().keys() == set(ids_in(simulator, "qb_invoices"))


# ---- Trouble with the database, and with the whole company


def test_a_table_that_cannot_be_used_is_said_so_and_the_others_go_on(
    simulator: RunningSimulator, raw: Raw, sweeper: Sweeper
) -> None:
    raw.create("qb_customers")
    raw.execute("ALTER TABLE {} DROP COLUMN ingested_at_utc", "qb_customers")
    raw.load(simulator, "qb_invoices")

    failed, done = run_sweep(sweeper(simulator), [CUSTOMERS, INVOICES])

    assert failed.verdict == 'failed: PostgreSQL says column "ingested_at_utc" does not exist'
    assert (failed.is_fine, done.is_fine) == (False, True)


def test_a_database_that_goes_away_ends_the_sweep(
    simulator: RunningSimulator, raw: Raw, sweeper: Sweeper, postgres: Connection
) -> None:
    raw.load(simulator, "qb_invoices")
    with psycopg.connect(postgres.url, autocommit=True) as admin:
        number = raw.connection.info.backend_pid
        admin.execute("SELECT pg_terminate_backend(%s, 5000)", (number,))

    with pytest.raises(QuickBooksError, match="the database has gone away"):
        sweeper(simulator).entity(INVOICES)


def test_what_was_swept_before_the_end_is_kept_and_told(
    simulator: RunningSimulator,
    raw: Raw,
    sweeper: Sweeper,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for stream in ("qb_customers", "qb_invoices"):
        raw.load(simulator, stream)
        raw.add(stream, GHOSTS)
    match = {"entity": "Invoice"}
    simulator.add_rules([{"match": match, "do": {"fault": "company_status_6190"}}])

    with pytest.raises(CompanyError):
        run_sweep(sweeper(simulator), [CUSTOMERS, INVOICES])
    assert raw.deleted("qb_customers").keys() == set(GHOSTS)
    _, done, last = capsys.readouterr().out.splitlines()
    assert done.split()[0] == "qb_customers"
    assert last.split()[:4] == ["total", done.split()[1], "2", "2"]


# ---- The command


def test_the_table_has_a_line_for_each_and_the_total() -> None:
    results = [
        Swept("qb_invoices", 1200, 3, 3, 1),
        Swept("qb_bills", 7).failed("no " * 99),
    ]

    done, failed = map(line, results)

    assert done.split() == ["qb_invoices", "1,200", "3", "3", "1", "ok"]
    assert failed.split()[:6] == ["qb_bills", "7", "-", "0", "-", "failed:"]
    assert len(failed) < 180
    last = total(results, 1234)
    assert last.split()[:5] == ["total", "1,207", "3", "3", "1"]
    assert last.endswith("1 of 2 done, 1,234 calls")


def test_a_dry_run_names_some_ids() -> None:
    assert names(Swept("qb_invoices")) == ""
    assert names(Swept("qb_invoices", gone=("1", "2"))) == "  1, 2\n"
    assert names(Swept("qb_invoices", gone=("1",) * 23)).endswith("1, 1 and 3 more\n")


@pytest.fixture
def environment(
    simulator: RunningSimulator, postgres: Connection, config: Callable[..., dict[str, Any]]
) -> dict[str, str]:
    """The variables from which the command has its settings."""
    settings = config(simulator).items()
    return {f"TAP_QUICKBOOKS_RAW_{name.upper()}": value for name, value in settings} | {
        "POSTGRES_HOST": postgres.host,
        "POSTGRES_PORT": str(postgres.port),
        "POSTGRES_USER": postgres.user,
        "POSTGRES_PASSWORD": postgres.password,
        "POSTGRES_DB": postgres.database,
        "TARGET_POSTGRES_DEFAULT_TARGET_SCHEMA": SCHEMA,
    }


@pytest.fixture
def call(
    environment: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> Call:
    """Call the command; return the exit code, its output, and what it reports."""

    def called(*options: str, **variables: str) -> tuple[int, str, list[str]]:
        for name, value in (environment | variables).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr("sys.argv", ["tap-quickbooks-raw-sweep", *options])
        code = 0
        try:
            command.main()
        except SystemExit as end:
            code = int(end.code or 0)
        output = capsys.readouterr()
        logged = [entry.getMessage() for entry in caplog.records if entry.levelname == "ERROR"]
        return code, output.out, [*logged, *output.err.splitlines()]

    return called


def test_the_command_marks_and_says_what(simulator: RunningSimulator, raw: Raw, call: Call) -> None:
    raw.load(simulator, "qb_invoices")
    raw.add("qb_invoices", GHOSTS)

    code, output, errors = call("--streams", "qb_invoices, qb_bills", "--dry-run")

    assert (code, errors, raw.deleted()) == (0, [], {})
    heading, bills, invoices, ids, last = output.splitlines()
    assert "to mark" in heading
    assert bills.split()[0] == "qb_bills"
    assert invoices.split()[2:] == ["2", "2", "0", "ok"]
    assert ids.split(", ") == [f"  {GHOSTS[0]}", GHOSTS[1]]
    assert last.endswith("2 of 2 done, 5 calls")

    before = datetime.now(UTC)
    code, output, errors = call("--streams", "qb_invoices")

    assert (code, errors) == (0, [])
    assert len(output.splitlines()) == 3
    assert raw.deleted().keys() == set(GHOSTS)
    assert before <= min(raw.deleted().values()) <= datetime.now(UTC)


def test_the_command_fails_if_something_is_refused(
    simulator: RunningSimulator, raw: Raw, call: Call
) -> None:
    raw.load(simulator, "qb_invoices")
    raw.add("qb_invoices", (f"9{number:08}" for number in range(101)))

    code, output, errors = call("--streams", "qb_invoices")

    assert (code, raw.deleted()) == (1, {})
    assert "refused: 101 rows are missing" in output
    assert len(errors) == 1
    assert call("--streams", "qb_invoices", "--yes")[0] == 0
    assert len(raw.deleted()) == 101


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ("qb_invoice", "qb_invoice is no stream; did you mean qb_invoices?"),
        ("qb_bills,zzz", "zzz is no stream"),
        ("qb_exchange_rates", "qb_exchange_rates: exchange rates are never deleted"),
        (",", "names no stream"),
    ],
)
def test_unknown_streams_are_refused(
    simulator: RunningSimulator,
    call: Call,
    names: str,
    message: str,
) -> None:
    code, output, errors = call("--streams", names)

    assert (code, output) == (2, "")
    assert errors[-1].endswith(f"argument --streams: {message}")
    assert simulator.requests() == []


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"TAP_QUICKBOOKS_RAW_REALM_ID": "", "QB_REALM_ID": ""}, "QB_REALM_ID"),
        ({"POSTGRES_PORT": "1"}, "POSTGRES_HOST: the database at"),
        ({"TAP_QUICKBOOKS_RAW_MAX_API_CALLS": "1"}, "max_api_calls: 1 calls are used"),
    ],
)
def test_what_ends_the_sweep_is_said_in_one_line(
    simulator: RunningSimulator,
    raw: Raw,
    call: Call,
    variables: dict[str, str],
    message: str,
) -> None:
    raw.load(simulator, "qb_invoices")

    code, _, errors = call("--streams", "qb_invoices", **variables)

    assert (code, len(errors)) == (1, 1)
    assert message in errors[0]


def test_the_help_names_every_option(call: Call) -> None:
    code, output, _ = call("--help")

    assert code == 0
    assert all(option in output for option in ("--dry-run", "--yes", "--streams", "5% of"))


@pytest.mark.parametrize("stream", ["qb_invoices", "qb_recurring_transactions"])
def test_what_is_counted_but_not_sent_is_not_marked(
    simulator: RunningSimulator,
    raw: Raw,
    sweeper: Callable[..., Sweep],
    monkeypatch: pytest.MonkeyPatch,
    stream: str,
) -> None:
    raw.load(simulator, stream)
    hidden = min(ids_in(simulator, stream))
    send = Source.rows
    monkeypatch.setattr(
        Source,
        "rows",
        lambda *sent: [row for row in send(*sent) if row.id != hidden],
    )

    swept = sweeper(simulator).entity(BY_STREAM[stream])

    assert not swept.is_fine
    assert "counts" in swept.verdict
    assert raw.deleted(stream) == {}


class Told(NamedTuple):
    """What the runs file is to say of a sweep."""

    outcome: str
    deleted: int
    options: str = "--streams=qb_invoices"
    limit: str = ""
    failures: tuple[str, ...] = ()


@pytest.mark.parametrize(
    "told",
    [
        Told("complete", 2),
        Told("complete", 0, "--streams=qb_invoices --dry-run"),
        Told("limit", 0, limit="1"),
        Told("failed", 2, "--streams=qb_invoices,qb_bills", failures=("qb_bills",)),
    ],
    ids=["done", "dry", "limit", "refused"],
)
def test_what_a_sweep_did_is_appended_to_the_runs_file(
    simulator: RunningSimulator, raw: Raw, call: Call, tmp_path: Path, told: Told
) -> None:
    raw.load(simulator, "qb_invoices")
    raw.add("qb_invoices", GHOSTS)
    for stream in told.failures:
        raw.load(simulator, stream)
        raw.add(stream, (f"9{number:08}" for number in range(101)))
    simulator.clear_requests()

    call(
        *told.options.split(),
        TAP_QUICKBOOKS_RAW_RUNS_FILE=str(tmp_path / "runs.jsonl"),
        TAP_QUICKBOOKS_RAW_MAX_API_CALLS=told.limit,
    )

    (line,) = (tmp_path / "runs.jsonl").read_text().splitlines()
    record = json.loads(line)
    assert (record["command"], record["outcome"]) == ("sweep", told.outcome)
    assert (record["deleted"], tuple(record["failures"])) == (told.deleted, told.failures)
    assert record["calls"] == len(statements(simulator))


def test_in_a_meltano_project_the_runs_file_has_its_place(
    simulator: RunningSimulator, raw: Raw, call: Call, tmp_path: Path
) -> None:
    raw.load(simulator, "qb_invoices")

    code, _, _ = call("--streams", "qb_invoices", MELTANO_PROJECT_ROOT=str(tmp_path))

    assert code == 0
    (line,) = (tmp_path / "evidence" / "runs.jsonl").read_text().splitlines()
    assert json.loads(line)["calls"] == len(statements(simulator))
