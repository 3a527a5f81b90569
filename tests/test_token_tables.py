"""Tokens in PostgreSQL: who may do what, every form of address, and no password told."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import psycopg
import pytest
from local_postgres.server import LocalPostgres
from psycopg import sql
from tap_quickbooks_raw.exceptions import SettingsError, TokenStoreError
from tap_quickbooks_raw.token_tables import PostgresTokenStore
from tap_quickbooks_raw.tokens import Token, TokenKey

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from local_postgres.server import Connection

KEY = TokenKey("app", "1185883450")
TOKEN = Token(refresh_token="refresh-1")
PASSWORD = "open/ses@me 100%"
QUOTED = "open%2Fses%40me%20100%25"


@pytest.fixture
def admin(token_tables: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(token_tables, autocommit=True) as connection:
        yield connection


@pytest.fixture
def worker_address(postgres: Connection, admin: psycopg.Connection) -> Iterator[str]:
    """The address of a role that may connect and nothing else."""
    admin.execute(sql.SQL("CREATE ROLE worker LOGIN PASSWORD {}").format(PASSWORD))
    yield f"postgresql://worker:{QUOTED}@{postgres.host}:{postgres.port}/{postgres.database}"
    admin.execute("DROP SCHEMA IF EXISTS quickbooks_tokens CASCADE")
    admin.execute("DROP OWNED BY worker")
    admin.execute("DROP ROLE worker")


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[LocalPostgres]:
    """A server that the test may stop and start."""
    server = LocalPostgres(tmp_path / "data")
    server.start()
    yield server
    server.stop()


# ---- Who may do what


def test_a_user_without_the_right_to_make_the_schema_is_told(worker_address: str) -> None:
    with pytest.raises(TokenStoreError, match=r"permission denied for database .*schema") as raised:
        PostgresTokenStore(worker_address).load(KEY)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "grants",
    [
        "GRANT CREATE ON DATABASE quickbooks TO worker",
        "CREATE SCHEMA quickbooks_tokens; GRANT ALL ON SCHEMA quickbooks_tokens TO worker",
        "CREATE SCHEMA quickbooks_tokens AUTHORIZATION worker",
    ],
    ids=["database", "schema", "owner"],
)
def test_a_user_who_may_make_the_table_needs_no_more(
    worker_address: str, admin: psycopg.Connection, grants: str
) -> None:
    admin.execute(grants.encode())
    store = PostgresTokenStore(worker_address)

    with store.lock(KEY):
        store.save(KEY, TOKEN)

    assert store.load(KEY) == TOKEN


def test_a_user_may_be_given_the_table_alone(
    worker_address: str, admin: psycopg.Connection, token_tables: str
) -> None:
    PostgresTokenStore(token_tables).keys()
    store = PostgresTokenStore(worker_address)
    with pytest.raises(TokenStoreError, match="permission denied for schema"):
        store.load(KEY)
    admin.execute("GRANT USAGE ON SCHEMA quickbooks_tokens TO worker")
    with pytest.raises(TokenStoreError, match="permission denied for table"):
        store.load(KEY)
    admin.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON quickbooks_tokens.tokens TO worker")

    with store.lock(KEY):
        store.save(KEY, TOKEN)
    assert store.load(KEY) == TOKEN
    store.delete(KEY)
    assert store.keys() == []


def test_a_table_that_only_can_be_read_is_found_at_the_first_save(token_tables: str) -> None:
    PostgresTokenStore(token_tables).save(KEY, TOKEN)
    naps: list[float] = []
    store = PostgresTokenStore(
        f"{token_tables}?options=-c%20default_transaction_read_only%3Don", sleep=naps.append
    )

    assert store.load(KEY) == TOKEN
    with pytest.raises(TokenStoreError, match="read-only"):
        store.save(KEY, Token(refresh_token="refresh-2"))
    assert naps == []


def test_the_table_may_be_made_by_all_workers_at_once(
    admin: psycopg.Connection, token_tables: str
) -> None:
    ready = threading.Barrier(8)

    def load(_: int) -> Token | None:
        store = PostgresTokenStore(token_tables)
        ready.wait()
        return store.load(KEY)

    with ThreadPoolExecutor(8) as pool:
        for _ in range(4):
            assert list(pool.map(load, range(8))) == [None] * 8
            admin.execute("SET client_min_messages = warning")
            admin.execute("DROP SCHEMA quickbooks_tokens CASCADE")


# ---- Addresses


@pytest.mark.parametrize(
    "user", [f"worker:{QUOTED}x", f"nobody:{QUOTED}", "worker"], ids=["wrong", "unknown", "none"]
)
def test_a_refused_password_is_not_told(
    worker_address: str, monkeypatch: pytest.MonkeyPatch, user: str
) -> None:
    monkeypatch.delenv("PGPASSWORD", raising=False)
    address = worker_address.replace(f"worker:{QUOTED}", user)

    with pytest.raises(TokenStoreError, match="password") as raised:
        PostgresTokenStore(address).load(KEY)
    said = f"{raised.value} {raised.value!r} {raised.value.__cause__}"
    assert PASSWORD not in said
    assert QUOTED not in said


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://u:sesame@127.0.0.1:port/db",
        "postgresql://u:sesame@127.0.0.1:0/db",
        "postgresql://u:sesame@127.0.0.1:99999/db",
        "postgresql://u:sesame@a.invalid,b.invalid:1,2,3/db",
        "postgresql://u:sesame@no-such-host.invalid/db",
        "postgresql://u:sesame@127.0.0.1:1/db?connect_timeout=sesame",
        "postgresql://u:sesame@127.0.0.1:1/db?sslmode=sesame",
        "postgresql://u:sesame@127.0.0.1:1/db?target_session_attrs=sesame",
        "postgresql://u:sesame@/db?host=/no/such/folder",
        "postgresql://u:sesame@%00/db",
        "postgresql://u:%00sesame@127.0.0.1:1/db",
    ],
)
def test_an_odd_address_is_an_error_in_one_line(address: str) -> None:
    with pytest.raises((SettingsError, TokenStoreError), match=r"^token_store: ") as raised:
        PostgresTokenStore(address).load(KEY)
    assert "sesame" not in str(raised.value)
    assert "\n" not in str(raised.value)


def test_options_of_the_address_are_kept(token_tables: str) -> None:
    options = "?application_name=tap&connect_timeout=3&options=-c%20work_mem%3D1MB"
    store = PostgresTokenStore(token_tables + options)

    with store._connection() as connection:
        found = connection.execute(
            "SELECT current_setting('application_name'), current_setting('work_mem')"
        ).fetchone()
    assert found == ("tap", "1MB")


def test_a_unix_socket_will_do(
    own_server: LocalPostgres, tmp_path_factory: pytest.TempPathFactory
) -> None:
    connection = own_server.connection()
    folder = tmp_path_factory.mktemp("s")
    folder.chmod(0o777)
    for parent in folder.parents[:2]:
        parent.chmod(parent.stat().st_mode | 0o011)
    with psycopg.connect(connection.url, autocommit=True) as admin:
        admin.execute(sql.SQL("ALTER SYSTEM SET unix_socket_directories = {}").format(str(folder)))
    own_server.stop()
    port = own_server.start().port
    store = PostgresTokenStore(
        f"postgresql://{connection.user}:{connection.password}@/{connection.database}"
        f"?host={folder}&port={port}"
    )

    with store.lock(KEY):
        store.save(KEY, TOKEN)
    assert store.load(KEY) == TOKEN


def test_a_save_is_durable_whatever_the_default_is(
    admin: psycopg.Connection, token_tables: str
) -> None:
    store = PostgresTokenStore(f"{token_tables}?options=-c%20synchronous_commit%3Doff")
    store.keys()
    admin.execute(
        "CREATE FUNCTION quickbooks_tokens.note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "NEW.content = current_setting('synchronous_commit'); RETURN NEW; END $$; "
        "CREATE TRIGGER note BEFORE INSERT ON quickbooks_tokens.tokens "
        "FOR EACH ROW EXECUTE FUNCTION quickbooks_tokens.note()"
    )

    store.save(KEY, TOKEN)

    assert admin.execute("SELECT content FROM quickbooks_tokens.tokens").fetchone() == ("on",)


# ---- Rows


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "null",
        "very-secret",
        '{"refresh_token": ["very-secret"]}',
        '{"sealed": 5}',
        "[" * 9999,
    ],
    ids=lambda content: content[:20],
)
def test_a_damaged_row_is_an_error_that_does_not_quote_it(
    admin: psycopg.Connection, token_tables: str, content: str
) -> None:
    store, other = PostgresTokenStore(token_tables), TokenKey("app", "2")
    store.save(KEY, TOKEN)
    store.save(other, TOKEN)
    admin.execute(
        "UPDATE quickbooks_tokens.tokens SET content = %s WHERE realm_id <> '2'", [content]
    )

    with pytest.raises(TokenStoreError, match=rf"{KEY.realm_id} .* are damaged") as raised:
        store.load(KEY)

    assert "very-secret" not in f"{raised.value}{raised.value.__cause__}"
    assert "\n" not in str(raised.value)
    assert store.load(other) == TOKEN


def test_hundreds_of_companies_share_a_table(token_tables: str) -> None:
    store = PostgresTokenStore(token_tables)
    keys = [TokenKey("app", f"{number:03}") for number in range(300)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: store.save(key, Token(refresh_token=key.realm_id)), keys))

    assert store.keys() == keys
    assert store.load(keys[123]) == Token(refresh_token="123")


def test_no_connection_is_left_open(admin: psycopg.Connection, token_tables: str) -> None:
    store = PostgresTokenStore(f"{token_tables}?application_name=counted")
    with store.lock(KEY):
        store.save(KEY, TOKEN)
        store.load(KEY)
    admin.execute("SELECT pg_sleep(0.1)")

    count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'counted'"
    assert admin.execute(count).fetchone() == (0,)
