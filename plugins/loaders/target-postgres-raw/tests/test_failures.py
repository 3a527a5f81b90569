"""What cannot be loaded ends the run with exit 1 and one line; what is committed stays."""

from __future__ import annotations

import threading
import time
from typing import Any

import psycopg
import pytest
from target_postgres_raw import failures
from target_postgres_raw.target import TargetPostgresRaw

COUNT = "SELECT count(*) FROM raw.qb_invoices"


def _last_line(said: str) -> str:
    assert "Traceback" not in said, said
    lines = [line for line in said.splitlines() if "CRITICAL" in line]
    assert len(lines) == 1, said
    return lines[0].split(" | ")[-1]


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("page_number", "x", "column page_number does not fit: invalid input syntax"),
        ("page_number", 1.5, "column page_number does not fit: invalid input syntax"),
        ("page_number", 2**63, "column page_number does not fit: value"),
        ("page_number", [1], "column page_number does not fit: [1] is no single value"),
        ("last_updated_utc", "soon", "column last_updated_utc does not fit: invalid input"),
        ("realm_id", None, "column realm_id does not fit: null value"),
        ("payload", {"a": "\0"}, "column payload does not fit: unsupported Unicode escape"),
        ("payload", "NaN", None),
    ],
)
def test_a_record_that_does_not_fit_is_named(
    database: Any, singer: Any, column: str, value: Any, words: str | None
) -> None:
    """The batches before it are loaded, and their state is out."""
    records = [singer.living(str(n), {"n": n}, n, n) for n in range(100)]
    records[77]["record"][column] = value
    code, states, said = database.run(
        singer.schema(),
        *records[:50],
        singer.state(50),
        *records[50:],
        singer.state(100),
        batch_size_rows=50,
    )
    if words is None:
        assert (code, states) == (0, [{"at": 50}, {"at": 100}]), said
        return
    assert (code, states) == (1, [{"at": 50}])
    line = _last_line(said)
    assert words in line
    assert line.startswith("Stream qb_invoices: the record with realm_id=")
    assert "id=77" in line
    # What never came to PostgreSQL has not spoiled its batch.
    assert database.rows(COUNT) == [(77 if value == [1] else 50,)]


def test_an_escaped_nul_in_a_text_is_named(database: Any, singer: Any) -> None:
    record = singer.living("1", {}, 1, 1)
    record["record"]["realm_id"] = "a\0b"
    code, _, said = database.run(singer.schema(), singer.living("0", {}, 1, 1), record)
    assert code == 1
    assert "column realm_id does not fit: invalid byte sequence" in _last_line(said)


def test_validation_is_done_where_it_is_asked_for(database: Any, singer: Any) -> None:
    record = singer.living("1", "text", 1, 1)
    assert database.run(singer.schema(), record)[0] == 0
    code, _, said = database.run(singer.schema(), record, validate_records=True)
    assert code == 1
    assert "'text' is not of type 'object', 'null'" in _last_line(said)


def test_nobody_takes_the_state(database: Any, singer: Any) -> None:
    """Meltano has died; the rows are there."""
    process = database.start()
    process.stdout.close()
    process.stdin.write(singer.lines([singer.schema(), singer.living("1", {}, 1, 1)]))
    process.stdin.write(singer.lines([singer.state(1)]))
    process.stdin.close()
    said = process.stderr.read().decode()
    process.stderr.close()
    assert process.wait(60) == 1
    assert "standard output says Broken pipe" in _last_line(said)
    assert "Exception ignored" not in said
    assert database.rows(COUNT) == [(1,)]


def test_missing_privileges(database: Any, singer: Any) -> None:
    database.load(singer.schema(), singer.living("1", {}, 1, 1))
    with database.connect() as connection:
        connection.execute("DROP ROLE IF EXISTS reader")
        connection.execute("CREATE ROLE reader LOGIN PASSWORD 'x'")
        connection.execute("GRANT USAGE ON SCHEMA raw TO reader")
        connection.execute("GRANT SELECT ON ALL TABLES IN SCHEMA raw TO reader")
    reader = {"user": "reader", "password": "x"}
    try:
        code, states, said = database.run(
            singer.schema(), singer.living("2", {}, 1, 1), singer.state(1), **reader
        )
    finally:
        with database.connect() as connection:
            connection.execute("DROP OWNED BY reader; DROP ROLE reader")
    assert (code, states) == (1, [])
    assert "permission denied for table qb_invoices (grant" in _last_line(said)


def test_a_wrong_password_is_not_tried_again(database: Any, singer: Any) -> None:
    code, _, said = database.run(singer.schema(), password="wrong")
    assert code == 1
    assert "password authentication failed" in _last_line(said)
    assert "trying again" not in said


def test_a_connection_that_has_to_be_secure(database: Any, singer: Any) -> None:
    url = database.url.replace("postgresql:", "postgresql+psycopg:")
    code, _, said = database.run(singer.schema(), sqlalchemy_url=f"{url}?sslmode=require")
    assert code == 1
    assert "does not support SSL" in _last_line(said)
    assert "trying again" not in said


def test_a_read_only_database(database: Any, singer: Any) -> None:
    url = database.url.replace("postgresql:", "postgresql+psycopg:")
    read_only = {"sqlalchemy_url": f"{url}?options=-cdefault_transaction_read_only%3Don"}
    code, _, said = database.run(singer.schema(), **read_only)
    assert code == 1
    assert "read-only transaction (the database takes no writes" in _last_line(said)
    database.load(singer.schema())
    code, _, said = database.run(singer.schema(), singer.living("1", {}, 1, 1), **read_only)
    assert code == 1
    assert "the database takes no writes" in _last_line(said)


def test_a_table_that_stays_locked(database: Any, singer: Any) -> None:
    database.load(singer.schema())
    url = database.url.replace("postgresql:", "postgresql+psycopg:")
    impatient = {"sqlalchemy_url": f"{url}?options=-clock_timeout%3D200"}
    with database.connect() as connection, connection.transaction():
        connection.execute("LOCK TABLE raw.qb_invoices IN SHARE MODE")
        code, states, said = database.run(
            singer.schema(), singer.living("1", {}, 1, 1), singer.state(1), **impatient
        )
    assert (code, states) == (1, [])
    assert "another session keeps the table or the row locked" in _last_line(said)


def test_a_table_without_a_key_goes_the_stock_way(database: Any, singer: Any) -> None:
    database.load(singer.schema())
    with database.connect() as connection:
        connection.execute("ALTER TABLE raw.qb_invoices DROP CONSTRAINT qb_invoices_pkey")
    code, _, said = database.run(singer.schema(), singer.living("1", {}, 1, 1))
    assert code == 0
    assert "no unique constraint on the key" in said
    assert database.rows(COUNT) == [(1,)]


def test_the_server_restarts_meanwhile(own_server: Any, singer: Any) -> None:
    """Sessions that are gone are made anew, and nothing is lost or told before it is true."""
    local, database = own_server
    process = database.start(batch_size_rows=50, batch_size_seconds=0.2)
    process.stdin.write(singer.lines([singer.schema()]))
    port = local.connection().port
    for start in range(0, 400, 50):
        if start in (100, 250):
            assert process.stdout.readline(), "it has begun"
            local.stop()
            if start == 250:
                process.stdin.write(singer.lines([singer.living("gone", {}, 1, 1)]))
                process.stdin.flush()
            assert local.start().port == port
        records = [singer.living(str(n), {"n": n}, 1, 1) for n in range(start, start + 50)]
        process.stdin.write(singer.lines([*records, singer.state(start + 50)]))
        process.stdin.flush()
    out, said = process.communicate(timeout=60)
    assert process.returncode == 0, said.decode()
    assert out.splitlines()[-1] == b'{"at": 400}'
    assert b"trying again" in said
    assert database.rows(COUNT) == [(401,)]


def test_a_server_that_does_not_come_back(
    own_server: Any, singer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failures, "RECONNECT_SECONDS", (0.01, 0.02))
    local, database = own_server
    stopped = threading.Event()

    def messages() -> Any:
        yield singer.lines([singer.schema(), singer.living("1", {}, 1, 1)]).decode()
        local.stop()
        stopped.set()
        yield singer.lines([singer.living("2", {}, 1, 1), singer.state(2)]).decode()

    target = TargetPostgresRaw(config=database.config)
    with pytest.raises(failures.LoadError, match="Writing 2 rows of qb_invoices"):
        target.listen(line for text in messages() for line in text.splitlines())
    assert stopped.is_set()
    local.start()
    assert database.rows(COUNT) == [(0,)]


def test_a_session_that_has_waited_too_long_is_made_anew(
    database: Any, singer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """The tap is slower than the server is patient."""
    url = database.url.replace("postgresql:", "postgresql+psycopg:")
    patience = "options=-cidle_session_timeout%3D50&application_name=impatient"
    target = TargetPostgresRaw(
        config=database.config | {"sqlalchemy_url": f"{url}?{patience}", "batch_size_rows": 1}
    )
    left = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'impatient'"

    def lines() -> Any:
        yield singer.lines([singer.schema()]).decode()
        for number in (1, 2):
            # A batch is written when the next line comes.
            for key in (number, -number):
                yield singer.lines([singer.living(str(key), {}, 1, 1)]).decode()
            query = f"SELECT count(*) FROM raw.qb_invoices WHERE id = '{number}'"
            while database.rows(query) != [(1,)] or database.rows(left) != [(0,)]:
                time.sleep(0.02)

    target.listen(lines())
    assert "idle-session timeout; trying again" in caplog.text
    assert database.rows(COUNT) == [(4,)]


def test_a_conflict_is_tried_again(database: Any, singer: Any) -> None:
    """Another session has rows that this one wants, in the other order."""
    records = [singer.living(str(n), {"v": 0}, 1, 1) for n in (1, 2)]
    database.load(singer.schema(), *records)
    newer = [singer.living(str(n), {"v": 1}, 2, 2) for n in (1, 2)]
    with psycopg.connect(database.url) as other:
        other.execute("SET deadlock_timeout = '10s'")
        other.execute("SELECT FROM raw.qb_invoices WHERE id = '2' FOR UPDATE")
        result: list[Any] = []
        loader = threading.Thread(
            target=lambda: result.append(database.run(singer.schema(), *newer))
        )
        loader.start()
        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
        while database.rows(waiting) == [(0,)]:
            time.sleep(0.02)
        other.execute("SELECT FROM raw.qb_invoices WHERE id = '1' FOR UPDATE")
        other.rollback()
        loader.join()
    code, _, said = result[0]
    assert code == 0
    assert "deadlock detected; trying again" in said
    assert database.rows("SELECT DISTINCT payload FROM raw.qb_invoices") == [({"v": 1},)]
