"""What is of the past is never sent again, and what another process does is waited for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest
from tap_quickbooks_raw import auth
from tap_quickbooks_raw.auth import Authenticator
from tap_quickbooks_raw.token_endpoint import Credentials
from tap_quickbooks_raw.token_files import FileTokenStore
from tap_quickbooks_raw.tokens import Token, TokenKey, mark

from tests.conftest import REALM

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from quickbooks_simulator.server import RunningSimulator

    Start = Callable[..., RunningSimulator]


UNDER_WAY_SECONDS = 75.0


@pytest.fixture
def others_may_live(monkeypatch: pytest.MonkeyPatch) -> None:
    """A refresh that was begun may be under way for as long as it is in earnest."""
    monkeypatch.setattr(auth, "UNDER_WAY_SECONDS", UNDER_WAY_SECONDS)


class Uncertain(FileTokenStore):
    """A store whose lock may have been lost."""

    is_lock_certain = False


def build(
    simulator: RunningSimulator, store: FileTokenStore, refresh_token: str, **seams: object
) -> Authenticator:
    keys = Credentials(simulator.client_id, simulator.client_secret, REALM, refresh_token)
    return Authenticator(keys, simulator.token_url, store=store, **seams)  # type: ignore[arg-type]


def test_a_value_of_the_past_that_returns_to_the_settings_is_not_sent(
    own_simulator: Start, tmp_path: Path
) -> None:
    """As where a settings file is rolled back; the server ends a connection for it."""
    simulator = own_simulator(rotation="strict")
    store = FileTokenStore(tmp_path / "tokens.json")
    key = TokenKey(simulator.client_id, REALM)
    first = simulator.refresh_token
    bearer = build(simulator, store, first).bearer()
    second = store.load(key)
    assert second is not None
    bearer = build(simulator, store, second.refresh_token).bearer(bearer)

    again = build(simulator, store, first).bearer(bearer)

    assert again != bearer
    stored = store.load(key)
    assert stored is not None
    assert {mark(first), mark(second.refresh_token)} <= set(stored.spent)
    assert mark(stored.refresh_token) not in stored.spent


@pytest.mark.usefixtures("others_may_live")
def test_a_refresh_of_another_process_is_waited_for(own_simulator: Start, tmp_path: Path) -> None:
    simulator = own_simulator(rotation="strict")
    store = Uncertain(tmp_path / "tokens.json")
    key = TokenKey(simulator.client_id, REALM)
    store.save(key, Token(refresh_token="gone", asked_at=995.0, padding=" "))
    fresh = Token(refresh_token="new", access_token="bearer", expires_at=9e9, refreshed_at=1_000.0)

    def sleep(_: float) -> None:
        store.save(key, fresh)

    assert build(simulator, store, "", now=lambda: 1_000.0, sleep=sleep).bearer() == "bearer"
    assert simulator.requests() == []


@pytest.mark.usefixtures("others_may_live")
def test_a_refresh_that_was_lost_is_not_waited_for_any_longer(
    own_simulator: Start, tmp_path: Path
) -> None:
    simulator = own_simulator(rotation="strict")
    store = Uncertain(tmp_path / "tokens.json")
    key = TokenKey(simulator.client_id, REALM)
    store.save(key, Token(refresh_token=simulator.refresh_token, asked_at=995.0, padding=" "))
    clock = [1_000.0]

    def sleep(seconds: float) -> None:
        clock[0] += seconds

    assert build(simulator, store, "", now=lambda: clock[0], sleep=sleep).bearer()
    assert clock[0] - 995 >= UNDER_WAY_SECONDS


def test_a_refusal_does_not_undo_what_another_process_has_stored(
    own_simulator: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulator = own_simulator()
    store = FileTokenStore(tmp_path / "tokens.json")
    key = TokenKey(simulator.client_id, REALM)
    store.save(key, Token(refresh_token="dead"))
    good = Token(refresh_token="good")
    authenticator = build(simulator, store, "")
    ask = authenticator._endpoint.refresh

    def refused(token: str) -> object:
        store.save(key, good)
        return ask(token)

    monkeypatch.setattr(authenticator._endpoint, "refresh", refused)
    try:
        authenticator.bearer()
    except Exception as error:  # noqa: BLE001  Whatever it is called.
        assert "invalid_grant" in str(error)  # noqa: PT017  And the store is what counts.

    assert store.load(key) == good


def test_the_note_takes_more_room_than_the_answer(own_simulator: Start, tmp_path: Path) -> None:
    """So a disk that takes the one takes the other."""
    simulator = own_simulator(rotation="always")
    sizes = []

    class Watching(FileTokenStore):
        def save(self, key: TokenKey, token: Token) -> None:
            sizes.append(len(msgspec.json.encode(token)))
            super().save(key, token)

    build(simulator, Watching(tmp_path / "tokens.json"), simulator.refresh_token).bearer()

    note, answer = sizes
    assert note > answer + 8_000
