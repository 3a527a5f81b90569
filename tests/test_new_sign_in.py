"""A new token in the settings wins over the stored one; a wrong one costs a warning."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest
from tap_quickbooks_raw.exceptions import CompanyError, ReconnectError
from tap_quickbooks_raw.sealing import Seal
from tap_quickbooks_raw.token_endpoint import TokenEndpoint
from tap_quickbooks_raw.token_stores import store_at
from tap_quickbooks_raw.tokens import Token, TokenKey, fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable

    from quickbooks_simulator.server import RunningSimulator
    from tap_quickbooks_raw.auth import Authenticator
    from tap_quickbooks_raw.token_endpoint import Grant
    from tap_quickbooks_raw.tokens import TokenStore

    Start = Callable[..., RunningSimulator]
    Authenticate = Callable[..., Authenticator]

REALM = "4620816365000001"
KEY = TokenKey("simulator-client", REALM)
GRANTS = {"first": [REALM], "second": [REALM]}
DAY = 86_400
SETTINGS_REFUSED = "does not accept the refresh token in the settings (QB_REFRESH_TOKEN)"


@pytest.fixture
def store(store_address: str) -> TokenStore:
    return store_at(store_address, Seal())


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every refresh token that was sent, in order."""
    tokens: list[str] = []
    refresh = TokenEndpoint.refresh

    def noted(self: TokenEndpoint, refresh_token: str) -> Grant:
        tokens.append(refresh_token)
        return refresh(self, refresh_token)

    monkeypatch.setattr(TokenEndpoint, "refresh", noted)
    return tokens


def stored(store: TokenStore) -> Token:
    token = store.load(KEY)
    assert token is not None
    return token


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    said = [entry.message for entry in caplog.records if entry.levelno >= logging.WARNING]
    caplog.clear()
    return said


def fail(simulator: RunningSimulator, do: dict[str, Any]) -> None:
    simulator.add_rules([{"match": {"operation": "token"}, "do": do}])


@pytest.mark.parametrize("rotation", ["grace", "strict", "same-within-24h"])
def test_a_wrong_configured_token_falls_back_and_is_not_tried_again(  # noqa: PLR0913
    own_simulator: Start,
    authenticate: Authenticate,
    store: TokenStore,
    tried: list[str],
    caplog: pytest.LogCaptureFixture,
    *,
    rotation: str,
) -> None:
    simulator = own_simulator(rotation=rotation, grants=GRANTS)
    authenticate(simulator, "first").bearer()
    connected_at = stored(store).connected_at
    for _ in range(3):
        simulator.advance(DAY)
        assert authenticate(simulator, "wrong").bearer()

    assert tried.count("wrong") == 1
    assert len(tried) == 1 + 1 + 3
    said = warnings(caplog)
    assert len(said) == 1
    assert SETTINGS_REFUSED in said[0]
    assert stored(store).connected_at == connected_at


def test_a_right_token_after_a_wrong_one_wins(
    own_simulator: Start, authenticate: Authenticate, store: TokenStore, tried: list[str]
) -> None:
    simulator = own_simulator(rotation="strict", grants=GRANTS)
    authenticate(simulator, "first").bearer()
    simulator.advance(DAY)
    authenticate(simulator, "wrong").bearer()
    tried.clear()

    assert authenticate(simulator, "second").bearer()

    assert tried == ["second"]
    assert stored(store).seed == fingerprint("second")


def test_a_right_token_wins_although_the_stored_one_still_works(
    own_simulator: Start, authenticate: Authenticate, store: TokenStore, tried: list[str]
) -> None:
    simulator = own_simulator(rotation="strict", grants=GRANTS)
    first = authenticate(simulator, "first").bearer()

    assert authenticate(simulator, "second").bearer() != first
    assert tried == ["first", "second"]
    assert stored(store).connected_at > 0


def test_where_both_are_refused_a_person_is_asked(
    own_simulator: Start,
    authenticate: Authenticate,
    tried: list[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    simulator = own_simulator(rotation="strict", grants=GRANTS)
    authenticate(simulator, "first").bearer()
    simulator.configure(revoked_realms=[REALM])

    authenticator = authenticate(simulator, "wrong")
    for _ in range(2):
        with pytest.raises(ReconnectError, match=r"invalid_grant.*login"):
            authenticator.bearer()

    assert len(tried) == 3
    assert len(warnings(caplog)) == 1


def test_keys_that_are_refused_leave_the_other_token_alone(
    own_simulator: Start, authenticate: Authenticate, store: TokenStore, tried: list[str]
) -> None:
    """It is no word on the token."""
    simulator = own_simulator(rotation="strict", grants=GRANTS)
    authenticate(simulator, "first").bearer()
    before = stored(store)
    fail(simulator, {"fault": "invalid_client"})

    with pytest.raises(CompanyError, match="QB_CLIENT_SECRET"):
        authenticate(simulator, "second").bearer()

    assert tried == ["first", "second"]
    assert stored(store) == before
