"""A connection stays alive: refreshed once, saved before use, never refreshed blindly."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from tap_quickbooks_raw.auth import EARLY_SECONDS, Authenticator
from tap_quickbooks_raw.exceptions import (
    SettingsError,
    TokenStoreError,
)
from tap_quickbooks_raw.token_files import FileTokenStore
from tap_quickbooks_raw.tokens import Token, TokenKey

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from quickbooks_simulator.server import RunningSimulator

    Start = Callable[..., RunningSimulator]
    Authenticate = Callable[..., Authenticator]

REALM = "4620816365000001"
FIRST = "simulator-refresh-token"
KEY = TokenKey("simulator-client", REALM)
DAY = 86_400


def stored(store: FileTokenStore) -> Token:
    token = store.load(KEY)
    assert token is not None
    return token


def refreshes(simulator: RunningSimulator) -> int:
    return sum(entry.operation == "token" for entry in simulator.requests())


def script(simulator: RunningSimulator, do: dict[str, Any]) -> None:
    simulator.add_rules([{"match": {"operation": "token"}, "do": do, "times": None}])


@pytest.mark.parametrize("rotation", ["same-within-24h", "always", "grace", "strict"])
def test_a_connection_outlives_many_rotations(
    own_simulator: Start, authenticate: Authenticate, store: FileTokenStore, rotation: str
) -> None:
    """Each run is a new process that knows only the store and the first token."""
    simulator = own_simulator(rotation=rotation)
    bearers = set()
    for _ in range(5):
        bearers.add(authenticate(simulator).bearer())
        assert stored(store).refresh_token == simulator.refresh_token
        simulator.advance(25 * 3600)

    assert len(bearers) == 5
    assert refreshes(simulator) == 5


def test_an_access_token_is_reused_by_other_processes_until_shortly_before_its_end(
    own_simulator: Start, authenticate: Authenticate
) -> None:
    simulator = own_simulator()
    first = authenticate(simulator).bearer()
    simulator.advance(3600 - EARLY_SECONDS - 5)
    again = authenticate(simulator).bearer()
    simulator.advance(10)
    later = authenticate(simulator).bearer()

    assert first == again
    assert first != later
    assert refreshes(simulator) == 2


def test_the_new_refresh_token_is_durable_before_the_access_token_is_used(
    own_simulator: Start, authenticate: Authenticate, store: FileTokenStore
) -> None:
    simulator = own_simulator(rotation="always")

    bearer = authenticate(simulator).bearer()

    assert stored(store).refresh_token == simulator.refresh_token != FIRST
    assert stored(store).access_token == bearer


def test_what_another_process_has_stored_is_taken_over(
    own_simulator: Start, authenticate: Authenticate
) -> None:
    """The store is read again inside the lock."""
    simulator = own_simulator(rotation="strict")
    one, two = authenticate(simulator), authenticate(simulator)
    first = one.bearer()
    assert two.bearer() == first

    second = two.bearer(rejected=first)
    assert one.bearer(rejected=first) == second != first
    assert refreshes(simulator) == 2


def test_threads_that_wait_for_the_lock_refresh_only_once(
    own_simulator: Start, authenticate: Authenticate, store: FileTokenStore
) -> None:
    simulator = own_simulator(rotation="strict")
    ready = threading.Barrier(5)

    def bearer(authenticator: Authenticator) -> str:
        ready.wait()
        return authenticator.bearer()

    with ThreadPoolExecutor(4) as pool:
        with store.lock(KEY):
            waiting = [pool.submit(bearer, authenticate(simulator)) for _ in range(4)]
            ready.wait()
            assert refreshes(simulator) == 0
        bearers = {future.result(10) for future in waiting}

    assert len(bearers) == 1
    assert refreshes(simulator) == 1


PROCESS = """
import sys
from pathlib import Path
from tap_quickbooks_raw.auth import Authenticator
from tap_quickbooks_raw.token_endpoint import Credentials
from tap_quickbooks_raw.token_files import FileTokenStore
client_id, client_secret, realm_id, refresh_token, token_url, path = sys.argv[1:]
keys = Credentials(client_id, client_secret, realm_id, refresh_token)
auth = Authenticator(keys, token_url, store=FileTokenStore(Path(path)))
bearer = ""
for _ in range(8):
    bearer = auth.bearer(rejected=bearer)
print("alive")
"""


def test_two_processes_that_refresh_at_once_keep_the_connection_alive(
    own_simulator: Start, store: FileTokenStore
) -> None:
    """Against a server that ends the connection when an old refresh token is used."""
    simulator = own_simulator(rotation="strict", token_latency_ms=20)
    arguments = (simulator.client_id, simulator.client_secret, REALM, FIRST, simulator.token_url)
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PROCESS, *arguments, str(store._path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for _ in range(2)
    ]

    outputs = [process.communicate(timeout=60)[0] for process in processes]

    assert outputs == ["alive\n", "alive\n"]
    assert stored(store).refresh_token == simulator.refresh_token != ""
    assert refreshes(simulator) >= 8


# ---- The configured token and the stored one


def test_the_stored_token_is_used_and_not_the_first_one(
    own_simulator: Start, authenticate: Authenticate
) -> None:
    simulator = own_simulator(rotation="strict")
    for _ in range(3):
        authenticate(simulator).bearer()
        simulator.advance(DAY)

    assert authenticate(simulator, "").bearer()


def test_a_newer_configured_token_wins_and_is_then_followed(
    own_simulator: Start, authenticate: Authenticate, store: FileTokenStore
) -> None:
    """A person has signed in again."""
    simulator = own_simulator(rotation="strict", grants={"first": [REALM], "second": [REALM]})
    first = authenticate(simulator, "first").bearer()
    second = authenticate(simulator, "second").bearer()
    simulator.advance(DAY)
    third = authenticate(simulator, "second").bearer()

    assert len({first, second, third}) == 3
    assert stored(store).refresh_token not in {"first", "second"}


def test_the_current_token_may_be_configured_and_is_not_used_again_when_it_is_old(
    own_simulator: Start, authenticate: Authenticate
) -> None:
    """Somebody copied it from the store: it is no newer sign-in, and its use would be the end."""
    simulator = own_simulator(rotation="strict")
    bearer = authenticate(simulator).bearer()
    copied = simulator.refresh_token
    assert authenticate(simulator, copied).bearer() == bearer
    for _ in range(3):
        simulator.advance(DAY)
        assert authenticate(simulator, copied).bearer()

    assert refreshes(simulator) == 4


def test_without_any_refresh_token_the_setting_is_named(
    own_simulator: Start, authenticate: Authenticate
) -> None:
    simulator = own_simulator()

    with pytest.raises(SettingsError, match=r"^refresh_token: .*QB_REFRESH_TOKEN"):
        authenticate(simulator, "").bearer()
    assert refreshes(simulator) == 0


def test_companies_do_not_share_tokens(
    own_simulator: Start, authenticate: Authenticate, store: FileTokenStore
) -> None:
    simulator = own_simulator()
    authenticate(simulator).bearer()

    assert store.load(TokenKey("simulator-client", "1")) is None
    assert store.load(TokenKey("another-client", REALM)) is None


@pytest.mark.parametrize("seconds", [60, 180, 360])
def test_a_short_lived_access_token_is_used_for_half_of_its_life(
    own_simulator: Start, authenticate: Authenticate, seconds: int
) -> None:
    """Not one refresh per request."""
    simulator = own_simulator(rotation="strict", access_token_seconds=seconds)
    first = authenticate(simulator).bearer()
    simulator.advance(seconds / 2 - 5)
    again = authenticate(simulator).bearer()
    simulator.advance(10)
    later = authenticate(simulator).bearer()

    assert first == again
    assert first != later
    assert refreshes(simulator) == 2


@pytest.mark.parametrize("content", [b"", b"{", b'{"a": 1}', b"\xff\xfe", b"null"])
def test_a_damaged_store_costs_no_refresh(
    simulator: RunningSimulator, authenticate: Authenticate, store: FileTokenStore, content: bytes
) -> None:
    """The only copy of the token may still be found in it."""
    store._path.parent.mkdir()
    store._path.write_bytes(content)

    with pytest.raises(TokenStoreError):
        authenticate(simulator).bearer()
    assert refreshes(simulator) == 0
    assert store._path.read_bytes() == content


def test_a_store_that_cannot_be_written_is_found_before_a_token_is_spent(
    simulator: RunningSimulator, authenticate: Authenticate, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    store = FileTokenStore(tmp_path / "file" / "tokens.json")

    with pytest.raises(TokenStoreError, match="token_store"):
        authenticate(simulator, store=store).bearer()
    assert refreshes(simulator) == 0


def test_tokens_that_cannot_be_saved_are_not_asked_for(
    own_simulator: Start, authenticate: Authenticate, tmp_path: Path
) -> None:
    class FullDisk(FileTokenStore):
        def save(self, key: TokenKey, token: Token) -> None:
            raise TokenStoreError(f"no space for {key} {token}")

    simulator = own_simulator(rotation="strict")
    authenticator = authenticate(simulator, store=FullDisk(tmp_path / "tokens.json"))

    for _ in range(2):
        with pytest.raises(TokenStoreError):
            authenticator.bearer()
    assert refreshes(simulator) == 0


def test_closing_waits_for_a_refresh_under_way(
    own_simulator: Start, authenticate: Authenticate, store: FileTokenStore
) -> None:
    """Its answer may be the only copy of the next token."""
    simulator = own_simulator(rotation="always", token_latency_ms=150)
    authenticator = authenticate(simulator)
    with ThreadPoolExecutor(1) as pool:
        pool.submit(authenticator.bearer)
        while not refreshes(simulator):
            pass
        authenticator.close()

    assert stored(store).refresh_token == simulator.refresh_token
