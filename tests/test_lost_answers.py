"""After a refresh whose answer was lost: what is tried, in which order, and what is said."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest
from tap_quickbooks_raw.exceptions import CompanyError, ReconnectError, UnansweredError
from tap_quickbooks_raw.sealing import Seal
from tap_quickbooks_raw.token_endpoint import TokenEndpoint
from tap_quickbooks_raw.token_stores import store_at
from tap_quickbooks_raw.tokens import Token, TokenKey

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
LOST = "The answer to the refresh of "
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


def lose(
    simulator: RunningSimulator, authenticate: Authenticate, refresh_token: str, after: int = DAY
) -> None:
    """Let the server rotate and cut the connection before it answers."""
    simulator.advance(after)
    fail(simulator, {"close": True})
    with pytest.raises(UnansweredError, match="did not answer"):
        authenticate(simulator, refresh_token).bearer()


@pytest.mark.parametrize("rotation", ["grace", "strict", "always", "same-within-24h"])
def test_a_lost_answer_costs_a_connection_only_where_the_old_value_is_dead(  # noqa: PLR0913
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
    known = stored(store).refresh_token
    lose(simulator, authenticate, "first")
    assert warnings(caplog) == []
    assert stored(store).asked_at > 0

    if rotation == "grace":
        assert authenticate(simulator, "first").bearer()
        assert tried == ["first", known, known]
        said = warnings(caplog)
        assert len(said) == 1
        assert said[0].startswith(LOST)
        assert f"company (realm) {REALM}" in said[0]
        assert stored(store).asked_at == 0
        simulator.advance(DAY)
        assert authenticate(simulator, "first").bearer()
        assert warnings(caplog) == []
    else:
        with pytest.raises(ReconnectError, match=r"sign in again .*the answer .* was lost, and"):
            authenticate(simulator, "first").bearer()
        assert tried[:3] == ["first", known, known]
        assert warnings(caplog)[0].startswith(LOST)


def test_within_a_day_a_lost_answer_is_no_loss_where_the_value_is_kept(
    own_simulator: Start, authenticate: Authenticate, caplog: pytest.LogCaptureFixture
) -> None:
    simulator = own_simulator(rotation="same-within-24h")
    authenticate(simulator).bearer()
    simulator.advance(2 * 3600)
    fail(simulator, {"close": True})
    with pytest.raises(UnansweredError):
        authenticate(simulator).bearer()

    assert authenticate(simulator).bearer()
    assert len(warnings(caplog)) == 1


@pytest.mark.parametrize("do", [{"hang": True}, {"status": 500}, {"status": 200, "body": "{"}])
def test_an_answer_that_tells_nothing_counts_as_lost(
    own_simulator: Start,
    authenticate: Authenticate,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    do: dict[str, Any],
) -> None:
    """Here the server has not rotated, so that the next run goes on."""
    monkeypatch.setattr("tap_quickbooks_raw.token_endpoint.TIMEOUT_SECONDS", (2, 0.3))
    simulator = own_simulator(rotation="strict")
    fail(simulator, {"status": 500, **do})
    with pytest.raises(UnansweredError):
        authenticate(simulator).bearer()
    monkeypatch.undo()

    assert authenticate(simulator).bearer()
    assert warnings(caplog)[0].startswith(LOST)


def test_a_loss_is_remembered_over_a_run_that_was_refused_for_another_reason(
    own_simulator: Start, authenticate: Authenticate, caplog: pytest.LogCaptureFixture
) -> None:
    simulator = own_simulator(rotation="strict", grants=GRANTS)
    authenticate(simulator, "first").bearer()
    lose(simulator, authenticate, "first")
    fail(simulator, {"fault": "throttle_json"})
    with pytest.raises(CompanyError, match="429"):
        authenticate(simulator, "first").bearer()
    warnings(caplog)

    with pytest.raises(ReconnectError, match=r"the answer to the refresh of .* was lost"):
        authenticate(simulator, "first").bearer()
    assert warnings(caplog)[0].startswith(LOST)


def test_a_new_sign_in_ends_a_loss(
    own_simulator: Start,
    authenticate: Authenticate,
    store: TokenStore,
    tried: list[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    simulator = own_simulator(rotation="strict", grants=GRANTS)
    authenticate(simulator, "first").bearer()
    lose(simulator, authenticate, "first")
    with pytest.raises(ReconnectError):
        authenticate(simulator, "first").bearer()
    tried.clear()
    warnings(caplog)

    assert authenticate(simulator, "second").bearer()
    assert tried == ["second"]
    assert stored(store).asked_at == 0
    simulator.advance(DAY)
    warnings(caplog)
    assert authenticate(simulator, "second").bearer()
    assert warnings(caplog) == []


def test_the_first_answer_may_be_lost(
    own_simulator: Start, authenticate: Authenticate, tried: list[str]
) -> None:
    simulator = own_simulator(rotation="grace", grants=GRANTS)
    lose(simulator, authenticate, "first")

    assert authenticate(simulator, "first").bearer()
    assert tried == ["first", "first"]


def test_the_answer_to_a_newly_configured_token_may_be_lost(
    own_simulator: Start,
    authenticate: Authenticate,
    store: TokenStore,
    tried: list[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The new chain is dead then, but the old one may still live."""
    simulator = own_simulator(rotation="strict", grants=GRANTS)
    authenticate(simulator, "first").bearer()
    known = stored(store).refresh_token
    lose(simulator, authenticate, "second")

    assert authenticate(simulator, "second").bearer()

    assert tried == ["first", "second", "second", known]
    said = warnings(caplog)
    assert said[0].startswith(LOST)
    assert SETTINGS_REFUSED in said[1]


def test_two_losses_in_a_row_are_told_once_each(
    own_simulator: Start, authenticate: Authenticate, caplog: pytest.LogCaptureFixture
) -> None:
    simulator = own_simulator(rotation="grace", grants=GRANTS)
    authenticate(simulator, "first").bearer()
    lose(simulator, authenticate, "first")
    lose(simulator, authenticate, "first", after=60)

    assert len(warnings(caplog)) == 1
    assert authenticate(simulator, "first").bearer()
    assert len(warnings(caplog)) == 1
