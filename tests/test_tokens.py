"""Every token store keeps the same promises: whole, durable, one worker at a time."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from tap_quickbooks_raw.exceptions import TokenStoreError
from tap_quickbooks_raw.sealing import Seal, new_key
from tap_quickbooks_raw.token_stores import store_at
from tap_quickbooks_raw.tokens import Token, TokenKey, fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable

    from tap_quickbooks_raw.tokens import TokenStore

    Open = Callable[[], TokenStore]

KEY = TokenKey("app", "1185883450")
TOKEN = Token(
    refresh_token="refresh-1",
    access_token="access-1",
    expires_at=1.5e9,
    refreshed_at=1.4e9,
    seed="seed",
    asked_at=1.3e9,
    connected_at=1.2e9,
    ends_at=1.6e9,
    environment="sandbox",
)
LOCKED = """
import sys
from tap_quickbooks_raw.sealing import Seal
from tap_quickbooks_raw.token_stores import store_at
from tap_quickbooks_raw.tokens import TokenKey
with store_at(sys.argv[1], Seal()).lock(TokenKey("app", "1185883450")):
    print("locked", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(params=["plain", "sealed"])
def open_store(request: pytest.FixtureRequest, store_address: str) -> Open:
    """Open the same store again, as another process does."""
    seal = Seal(new_key() if request.param == "sealed" else "")
    return lambda: store_at(store_address, seal)


@pytest.fixture
def store(open_store: Open) -> TokenStore:
    return open_store()


def test_tokens_come_back_as_they_were_saved(store: TokenStore, open_store: Open) -> None:
    assert store.load(KEY) is None

    store.save(KEY, TOKEN)

    assert store.load(KEY) == open_store().load(KEY) == TOKEN


def test_the_last_save_counts(store: TokenStore) -> None:
    for number in range(3):
        store.save(KEY, Token(refresh_token=f"refresh-{number}"))

    assert store.load(KEY) == Token(refresh_token="refresh-2")
    assert store.keys() == [KEY]


def test_each_company_and_each_app_has_its_own_tokens(store: TokenStore) -> None:
    keys = [KEY, TokenKey("app", "9341453000000001"), TokenKey("other", KEY.realm_id)]
    for number, key in enumerate(keys):
        store.save(key, Token(refresh_token=f"refresh-{number}"))

    assert [f"refresh-{number}" for number in range(3)] == [
        token.refresh_token for key in keys if (token := store.load(key))
    ]


@pytest.mark.parametrize(
    "key",
    [
        TokenKey("a/b", "1"),
        TokenKey("", "1"),
        TokenKey("caf\u00e9 \U0001f600", "1"),
        TokenKey("'; DROP TABLE tokens --", "%s"),
    ],
    ids=["slash", "empty", "unicode", "sql"],
)
def test_odd_names_are_names(store: TokenStore, key: TokenKey) -> None:
    store.save(key, TOKEN)
    with store.lock(key):
        assert store.load(key) == TOKEN

    assert store.keys() == [key]
    store.delete(key)
    assert store.load(key) is None


@pytest.mark.parametrize("text", ["\x00", "\u2028 \"quoted\" 'and' \\ %s", "\U0001f600" * 3000])
def test_odd_tokens_come_back_as_they_were_saved(store: TokenStore, text: str) -> None:
    token = Token(refresh_token=text, access_token=text)
    store.save(KEY, token)

    assert store.load(KEY) == token


def test_a_deleted_company_is_gone_and_the_others_stay(store: TokenStore) -> None:
    other = TokenKey("app", "2")
    store.delete(KEY)
    store.save(KEY, TOKEN)
    store.save(other, TOKEN)

    store.delete(KEY)

    assert store.load(KEY) is None
    assert store.keys() == [other]


def test_the_companies_are_listed_in_order(store: TokenStore) -> None:
    keys = [TokenKey(app, realm) for app in ("b", "a") for realm in ("20", "1")]
    assert store.keys() == []
    for key in keys:
        store.save(key, TOKEN)

    assert store.keys() == sorted(keys, key=str)


def test_saves_at_the_same_time_do_not_lose_each_others_tokens(
    store: TokenStore, open_store: Open
) -> None:
    keys = [TokenKey("app", str(number)) for number in range(40)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: open_store().save(key, TOKEN), keys))

    assert all(store.load(key) == TOKEN for key in keys)


def test_the_lock_of_one_company_does_not_hold_up_another(
    store: TokenStore, open_store: Open
) -> None:
    with store.lock(KEY), store.lock(TokenKey("app", "2")), open_store().lock(TokenKey("b", "1")):
        store.save(KEY, TOKEN)


def test_a_lock_is_given_back_after_an_error(store: TokenStore, open_store: Open) -> None:
    with pytest.raises(ZeroDivisionError), store.lock(KEY):
        _ = 1 / 0

    with open_store().lock(KEY):
        pass


def test_what_is_saved_under_the_lock_stays_even_if_the_work_fails_later(
    store: TokenStore, open_store: Open
) -> None:
    def work() -> None:
        store.save(KEY, TOKEN)
        _ = 1 / 0

    with pytest.raises(ZeroDivisionError), store.lock(KEY):
        work()

    assert open_store().load(KEY) == TOKEN


def test_a_worker_reads_without_the_lock_what_was_saved_under_it(
    store: TokenStore, open_store: Open
) -> None:
    """It is durable at once, not at the end of the lock."""
    with store.lock(KEY):
        store.save(KEY, TOKEN)
        assert open_store().load(KEY) == TOKEN


def test_only_one_worker_has_the_lock(store: TokenStore, open_store: Open) -> None:
    inside: list[int] = []
    most = []

    def work(number: int) -> None:
        with open_store().lock(KEY):
            inside.append(number)
            most.append(len(inside))
            store.save(KEY, TOKEN)
            inside.remove(number)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(24)))

    assert most == [1] * 24


def test_a_killed_process_gives_its_lock_back(store_address: str, store: TokenStore) -> None:
    got = threading.Event()

    def wait_for_it() -> None:
        with store.lock(KEY):
            got.set()

    process = subprocess.Popen(
        [sys.executable, "-c", LOCKED, store_address],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with process, ThreadPoolExecutor(1) as pool:
        assert process.stdout is not None
        assert process.stdout.readline() == b"locked\n"
        waiting = pool.submit(wait_for_it)
        assert not got.wait(0.1)
        process.send_signal(signal.SIGKILL)
        waiting.result(10)

    assert got.is_set()


def test_what_is_sealed_needs_one_of_its_keys(store_address: str) -> None:
    key = new_key()
    store = store_at(store_address, Seal(key))
    store.save(KEY, TOKEN)

    for other in (Seal(), Seal(new_key())):
        with pytest.raises(TokenStoreError, match=r"^token_encryption_key: ") as raised:
            store_at(store_address, other).load(KEY)
        assert "\n" not in str(raised.value)
        assert key not in str(raised.value)
    assert store_at(store_address, Seal(f"{new_key()},{key}")).load(KEY) == TOKEN


def test_tokens_are_hidden_from_sight() -> None:
    assert "refresh-1" not in f"{TOKEN} {TOKEN!r} {[TOKEN]}"
    assert "access-1" not in f"{TOKEN} {TOKEN!r} {[TOKEN]}"
    assert "refresh-1" not in fingerprint("refresh-1")
    assert fingerprint("refresh-1") != fingerprint("refresh-2")
