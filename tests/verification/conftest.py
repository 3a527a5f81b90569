"""A raw schema that holds what a simulated company has, and verifications of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import psycopg
import pytest
from psycopg import sql
from quickbooks_simulator.entities import BY_QUERY_NAME
from tap_quickbooks_raw.answers import mend
from tap_quickbooks_raw.entities import BY_STREAM, ENTITIES, Reading
from tap_quickbooks_raw.limiter import Limiter
from tap_quickbooks_raw.pages import rows_of
from tap_quickbooks_raw.run import Run
from tap_quickbooks_raw.settings import parse, resolve
from tap_quickbooks_raw.verification.scope import Scope
from tap_quickbooks_raw.verification.verifying import Depth, Verifier

from tests.conftest import REALM

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import msgspec
    from local_postgres.server import Connection
    from quickbooks_simulator.server import RunningSimulator
    from tap_quickbooks_raw.entities import Entity
    from tap_quickbooks_raw.pages import Row
    from tap_quickbooks_raw.verification.finding import Finding

    from tests.conftest import FakeTime

    Verify = Callable[..., dict[str, Finding]]
    OwnSimulator = Callable[..., RunningSimulator]

SCHEMA = "verified"
OTHER_REALM = "9341453000000009"
SETTLE = timedelta(seconds=30)
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
ALL = tuple(entity.stream for entity in ENTITIES)


def server_time(simulator: RunningSimulator) -> datetime:
    """The simulator's clock, in whole seconds."""
    return datetime.fromtimestamp(simulator.now(), UTC).replace(microsecond=0)


def source_rows(simulator: RunningSimulator, entity: Entity) -> list[Row]:
    """The objects that a company has, as the tap takes them apart."""
    is_own = entity.reading is Reading.GET
    key = entity.name if is_own else BY_QUERY_NAME[entity.name.lower()].key
    contents: list[Any] = [mend(row) for row in simulator.rows(REALM, key)]
    raws: list[msgspec.Raw] = contents
    return rows_of(entity, raws, "")


class Raw(NamedTuple):
    """The raw schema of a test."""

    connection: psycopg.Connection
    kind: str = "timestamptz"

    def create(self, stream: str) -> None:
        """Create an empty table, as a loader does."""
        statement = sql.SQL(
            "CREATE TABLE IF NOT EXISTS {table} (realm_id text, id text, payload jsonb,"
            " last_updated_utc {kind}, ingested_at_utc {kind}, extract_window_start_utc {kind},"
            " extract_window_end_utc {kind}, page_number bigint, page_size bigint,"
            " request_payload jsonb, deleted_at_utc {kind}, PRIMARY KEY (realm_id, id))"
        )
        kind = sql.SQL(self.kind)
        self.connection.execute(statement.format(table=sql.Identifier(SCHEMA, stream), kind=kind))

    def load(
        self,
        simulator: RunningSimulator,
        *streams: str,
        realm: str = REALM,
        loaded_to: datetime | None = None,
    ) -> None:
        """Load everything that a company has of some streams; by default of all."""
        end = loaded_to or server_time(simulator) - SETTLE
        for stream in streams or ALL:
            self.create(stream)
            rows = [
                (realm, row.id, bytes(row.payload).decode(), row.stamp and row.stamp.moment)
                for row in source_rows(simulator, BY_STREAM[stream])
            ]
            statement = sql.SQL(
                "INSERT INTO {} VALUES (%s, %s, %s, %s::timestamptz, {}, {}, {}, 1, 1000,"
                " '{{}}', NULL) ON CONFLICT (realm_id, id) DO UPDATE SET"
                " payload = excluded.payload, last_updated_utc = excluded.last_updated_utc"
            ).format(
                sql.Identifier(SCHEMA, stream),
                *(
                    sql.SQL("{}::timestamptz").format(sql.Literal(at))
                    for at in (end, LONG_AGO, end)
                ),
            )
            with self.connection.cursor() as cursor:
                cursor.executemany(statement, rows)

    def execute(self, statement: str, stream: str = "qb_invoices", **values: object) -> int:
        """Do something with `{}`, the table of a stream; return how many rows it concerned."""
        text = sql.SQL(statement).format(sql.Identifier(SCHEMA, stream))
        return self.connection.execute(text, values).rowcount

    def one(self, statement: str, stream: str = "qb_invoices", **values: object) -> Any:
        """Return the one value of a query of `{}`."""
        text = sql.SQL(statement).format(sql.Identifier(SCHEMA, stream))
        row = self.connection.execute(text, values).fetchone()
        return row[0] if row else None

    def some(self, number: int, stream: str = "qb_invoices") -> list[str]:
        """The ids of some rows."""
        text = sql.SQL("SELECT id FROM {} WHERE realm_id = %s ORDER BY md5(id) LIMIT %s")
        rows = self.connection.execute(text.format(sql.Identifier(SCHEMA, stream)), (REALM, number))
        return [key for (key,) in rows]

    def drop(self, ids: Iterable[str], stream: str = "qb_invoices") -> None:
        """Lose some rows."""
        self.execute("DELETE FROM {} WHERE id = ANY(%(ids)s)", stream, ids=list(ids))

    def everything(self) -> dict[str, list[tuple[Any, ...]]]:
        """All rows of all tables."""
        found = {}
        for stream in ALL:
            self.create(stream)
            text = sql.SQL("SELECT t::text FROM {} AS t ORDER BY 1").format(
                sql.Identifier(SCHEMA, stream)
            )
            found[stream] = self.connection.execute(text).fetchall()
        return found


@pytest.fixture(params=["timestamptz"])
def raw(postgres: Connection, request: pytest.FixtureRequest) -> Iterator[Raw]:
    """An empty raw schema; the session is in UTC. Its date-times may be of another kind."""
    with psycopg.connect(postgres.url, autocommit=True, options="-c TimeZone=UTC") as connection:
        connection.execute("SET client_min_messages = warning")
        connection.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
        connection.execute(f"CREATE SCHEMA {SCHEMA}")
        yield Raw(connection, request.param)


@pytest.fixture
def verifier(
    raw: Raw, config: Callable[..., dict[str, Any]], fake_time: FakeTime
) -> Iterator[Callable[..., Verifier]]:
    """Build a verification: streams, what `Depth` has, and settings of the tap."""
    runs = []

    def build(simulator: RunningSimulator, *streams: str, **options: Any) -> Verifier:
        depth = Depth(**{name: options.pop(name) for name in Depth.__slots__ if name in options})
        settings = parse(resolve(config(simulator, **{"max_attempts": 1, **options})))
        limiter = Limiter(concurrency=16, now=fake_time.now, sleep=fake_time.sleep)
        runs.append(Run(settings, limiter))
        scope = Scope(runs[-1], raw.connection, SCHEMA)
        return Verifier(scope, [BY_STREAM[stream] for stream in streams or ALL], depth)

    yield build
    for run in runs:
        run.close()


@pytest.fixture
def verify(verifier: Callable[..., Verifier]) -> Verify:
    """Verify, and return the findings by stream."""

    def verified(simulator: RunningSimulator, *streams: str, **options: Any) -> dict[str, Finding]:
        built = verifier(simulator, *streams, **options)
        built.verify()
        return {finding.entity.stream: finding for finding in built.findings}

    return verified


def hide(simulator: RunningSimulator, last: str) -> None:
    """Let no list of all invoices have the last one, which is counted and sent by its Id."""
    rows = sorted(source_rows(simulator, BY_STREAM["qb_invoices"]), key=lambda row: int(row.id))
    assert rows[-1].id == last
    listed = ",".join(bytes(row.payload).decode() for row in rows[:-1])
    for position, objects in ((1, f'"Invoice":[{listed}]'), (len(rows), "")):
        body = f'{{"QueryResponse":{{{objects}}}}}'
        answer = {"status": 200, "body": body, "content_type": "application/json"}
        text = f"STARTPOSITION {position} MAXRESULTS {len(rows) + 1}"
        match = {"operation": "query", "entity": "Invoice", "contains": text}
        simulator.add_rules([{"match": match, "do": answer, "times": None}])


def operations(simulator: RunningSimulator) -> dict[str, int]:
    """How often each kind of request was made, but those for tokens."""
    made = [entry.operation for entry in simulator.requests() if entry.operation != "token"]
    return {name: made.count(name) for name in sorted(set(made))}


def disagreeing(findings: dict[str, Finding]) -> dict[str, str]:
    """The verdicts of those entities that do not agree."""
    return {stream: finding.verdict for stream, finding in findings.items() if not finding.agrees}
