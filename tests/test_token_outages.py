"""Whatever the database does, no token is lost, and what went wrong is one line."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import psycopg
import pytest
from local_postgres.ports import free_port
from local_postgres.server import LocalPostgres
from tap_quickbooks_raw.exceptions import TokenStoreError
from tap_quickbooks_raw.token_tables import SAVE_WAITS, PostgresTokenStore
from tap_quickbooks_raw.tokens import Token, TokenKey

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY = TokenKey("app", "1185883450")
TOKEN = Token(refresh_token="refresh-1")


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[LocalPostgres]:
    """A server that the test may stop and start."""
    server = LocalPostgres(tmp_path / "data")
    server.start()
    yield server
    server.stop()


@pytest.mark.parametrize("what", ["lock", "load", "keys", "delete"])
def test_a_database_that_is_away_is_an_error_in_one_line(what: str) -> None:
    store = PostgresTokenStore(f"postgresql://u:sesame@127.0.0.1:{free_port()}/db")
    uses = {
        "lock": lambda: store.lock(KEY).__enter__(),
        "load": lambda: store.load(KEY),
        "keys": store.keys,
        "delete": lambda: store.delete(KEY),
    }

    with pytest.raises(TokenStoreError, match=r"^token_store: PostgreSQL at 127.0.0.1") as raised:
        uses[what]()
    assert "refused" in str(raised.value)
    assert "\n" not in str(raised.value)
    assert "sesame" not in f"{raised.value} {raised.value.__cause__}"


def test_a_save_waits_a_minute_for_the_database() -> None:
    naps: list[float] = []
    address = f"postgresql://u@127.0.0.1:{free_port()}/db"

    with pytest.raises(TokenStoreError, match="refused"):
        PostgresTokenStore(address, sleep=naps.append).save(KEY, TOKEN)

    assert naps == list(SAVE_WAITS)
    assert 60 < sum(naps) < 90


def test_a_save_outlasts_a_restart_of_the_server(own_server: LocalPostgres) -> None:
    """The new refresh token is the only one there is."""
    naps: list[float] = []

    def sleep(seconds: float) -> None:
        naps.append(seconds)
        if len(naps) == 2:
            own_server.start()

    store = PostgresTokenStore(own_server.connection().url, sleep=sleep)
    with store.lock(KEY):
        store.save(KEY, Token(refresh_token="refresh-0"))
        own_server.stop()
        store.save(KEY, TOKEN)

    assert naps == [1, 2]
    assert store.load(KEY) == TOKEN
    with store.lock(KEY):
        pass


def test_a_worker_that_waits_while_the_server_stops_is_told(own_server: LocalPostgres) -> None:
    address = own_server.connection().url
    first, second = PostgresTokenStore(address), PostgresTokenStore(address)

    def wait_for_it() -> None:
        with second.lock(KEY):
            pass

    with ThreadPoolExecutor(1) as pool:
        with first.lock(KEY), psycopg.connect(address, autocommit=True) as connection:
            waiting = pool.submit(wait_for_it)
            count = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            while connection.execute(count).fetchone() == (0,):
                pass
            connection.close()
            own_server.stop()
        with pytest.raises(TokenStoreError, match=r"^token_store: ") as raised:
            waiting.result(10)

    assert "\n" not in str(raised.value)


def test_a_lost_lock_does_not_hide_what_went_wrong(own_server: LocalPostgres) -> None:
    store = PostgresTokenStore(own_server.connection().url)

    def fail() -> None:
        own_server.stop()
        _ = 1 / 0

    with pytest.raises(ZeroDivisionError), store.lock(KEY):
        fail()


@pytest.mark.parametrize(
    "setting",
    [
        "idle_in_transaction_session_timeout",
        "idle_session_timeout",
        "statement_timeout",
        "lock_timeout",
    ],
)
def test_a_time_limit_of_the_database_does_not_end_the_lock(
    token_tables: str, setting: str
) -> None:
    """Neither for the worker that has it nor for one that waits for it."""
    first = PostgresTokenStore(f"{token_tables}?options=-c%20{setting}%3D100")
    second = PostgresTokenStore(f"{token_tables}?options=-c%20{setting}%3D100")
    order: list[str] = []

    def wait_for_it() -> None:
        with second.lock(KEY):
            order.append("second")

    with ThreadPoolExecutor(1) as pool, psycopg.connect(token_tables) as clock:
        with first.lock(KEY):
            waiting = pool.submit(wait_for_it)
            clock.execute("SELECT pg_sleep(0.4)")
            order.append("first")
        waiting.result(10)

    assert order == ["first", "second"]
