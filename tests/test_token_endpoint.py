"""Whatever the token endpoint answers: one clear line, one request, no token lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from tap_quickbooks_raw import token_endpoint
from tap_quickbooks_raw.exceptions import (
    CompanyError,
    ReconnectError,
    UnansweredError,
)
from tap_quickbooks_raw.tokens import Token, TokenKey
from urllib3.util import Retry

if TYPE_CHECKING:
    from collections.abc import Callable

    from quickbooks_simulator.server import RunningSimulator
    from tap_quickbooks_raw.auth import Authenticator
    from tap_quickbooks_raw.token_files import FileTokenStore

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


REFUSALS: dict[str, tuple[dict[str, Any], type[CompanyError], str]] = {
    "invalid-grant": ({"fault": "invalid_grant"}, ReconnectError, "sign in again"),
    "invalid-client": ({"fault": "invalid_client"}, CompanyError, "QB_CLIENT_SECRET"),
    "invalid-client-400": (
        {"status": 400, "body": '{"error": "invalid_client"}'},
        CompanyError,
        "QB_CLIENT_SECRET",
    ),
    "other-400": (
        {"status": 400, "body": '{"error": "invalid_request"}'},
        CompanyError,
        "invalid_request",
    ),
    "400-html": ({"status": 400, "body": "<html>Bad</html>"}, CompanyError, "400"),
    "401-nothing": ({"status": 401}, CompanyError, "401"),
    "500": ({"status": 500, "body": "oops"}, UnansweredError, "500"),
    "400-a-token-as-error": (
        {"status": 400, "body": '{"error": "AB11-secret-token", "refresh_token": "AB12"}'},
        CompanyError,
        r"answered 400 \(Bad Request\)",
    ),
    "400-no-text-as-error": (
        {"status": 400, "body": '{"error": {"invalid_grant": 1}}'},
        CompanyError,
        r"answered 400 \(Bad Request\)",
    ),
    "503-html": ({"fault": "service_unavailable_html"}, UnansweredError, "503"),
    "429": ({"fault": "throttle_json"}, CompanyError, "429"),
    "200-html": ({"status": 200, "body": "<html>Hello</html>"}, UnansweredError, "token_url"),
    "200-empty": ({"status": 200}, UnansweredError, "token_url"),
    "200-without-tokens": ({"status": 200, "body": "{}"}, UnansweredError, "token_url"),
    "200-null-tokens": (
        {"status": 200, "body": '{"access_token": null, "refresh_token": null}'},
        UnansweredError,
        "token_url",
    ),
    "redirect": (
        {"status": 307, "headers": {"Location": "/oauth2/v1/tokens/bearer"}},
        CompanyError,
        "307",
    ),
    "cut": ({"close": True}, UnansweredError, "did not answer"),
    "truncated": ({"truncate": 9, "status": 200, "body": "x" * 99}, UnansweredError, "not answer"),
    "hangs": ({"hang": True}, UnansweredError, "did not answer"),
}


@pytest.mark.parametrize(("do", "error", "advice"), REFUSALS.values(), ids=list(REFUSALS))
def test_a_failed_refresh_is_one_clear_line_and_loses_nothing(  # noqa: PLR0913
    simulator: RunningSimulator,
    authenticate: Authenticate,
    store: FileTokenStore,
    monkeypatch: pytest.MonkeyPatch,
    *,
    do: dict[str, Any],
    error: type[CompanyError],
    advice: str,
) -> None:
    """Nor is the request sent again, by whatever thread: its answer may be the only copy."""
    monkeypatch.setattr(token_endpoint, "TIMEOUT_SECONDS", (2, 0.2))
    before = Token(refresh_token="kept", seed="of-an-older-setting")
    store.save(KEY, before)
    script(simulator, do)
    authenticator = authenticate(simulator, "")

    with pytest.raises(error, match=advice) as raised:
        authenticator.bearer()
    with pytest.raises(error):
        authenticator.bearer()

    assert type(raised.value) is error
    assert "\n" not in str(raised.value)
    assert simulator.client_secret not in str(raised.value)
    assert "AB1" not in str(raised.value)
    after = stored(store)
    assert msgspec.structs.replace(after, asked_at=0.0, refused_at=0.0, padding="") == before
    # What an answer has refused was not lost; what has no answer may have been.
    assert (after.asked_at > 0) == issubclass(error, UnansweredError)
    assert refreshes(simulator) == 1


def test_an_endpoint_that_is_not_there_is_named(
    simulator: RunningSimulator,
    authenticate: Authenticate,
    store: FileTokenStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(token_endpoint, "CONNECT_AGAIN", Retry(connect=1, allowed_methods=None))

    with pytest.raises(CompanyError, match=r"http://127\.0\.0\.1:9/ did not answer") as raised:
        authenticate(simulator, token_url="http://127.0.0.1:9/").bearer()

    # Nothing was sent, so nothing was lost, and the next run need not say so.
    assert type(raised.value) is CompanyError
    assert stored(store).asked_at == 0


NEW = '{"access_token": "new-access", "refresh_token": "new-refresh"'
ODD_ANSWERS: dict[str, tuple[int, str]] = {
    "no-seconds": (200, NEW + "}"),
    "more-keys": (200, NEW + ', "x": 1, "id_token": null}'),
    "byte-order-mark": (200, "\ufeff" + NEW + "}"),
    "201": (201, NEW + "}"),
    "control-character": (200, NEW + ', "x": "\n"}'),
} | {
    f"{seconds}-seconds": (200, f'{NEW}, "expires_in": {seconds}}}')
    for seconds in (
        *("3600", '"3600"', "null", '"never"', "{}", "[]", "true", "1e999", '"1e999"', "NaN"),
        *('"NaN"', '"-Infinity"', "0", "-5"),
    )
}


@pytest.mark.parametrize(("status", "body"), ODD_ANSWERS.values(), ids=list(ODD_ANSWERS))
def test_an_odd_answer_does_not_lose_the_new_token(
    simulator: RunningSimulator,
    authenticate: Authenticate,
    store: FileTokenStore,
    *,
    status: int,
    body: str,
) -> None:
    script(simulator, {"status": status, "body": body})

    assert authenticate(simulator).bearer() == "new-access"
    assert stored(store).refresh_token == "new-refresh"
    assert 3000 < stored(store).expires_at - simulator.now() < 3700


@pytest.mark.parametrize("seconds", ["1" * 5000, "[" * 100_000], ids=["digits", "depth"])
def test_what_json_does_not_bear_is_no_traceback(
    simulator: RunningSimulator, authenticate: Authenticate, seconds: str
) -> None:
    script(simulator, {"status": 200, "body": f'{{"expires_in": {seconds}}}'})

    with pytest.raises(CompanyError, match="no usable access token"):
        authenticate(simulator).bearer()


@pytest.mark.parametrize(
    "access_token",
    ["", ', "access_token": 5', ', "access_token": ""', ', "access_token": "a\\nb"']
    + [f', "access_token": "{text}"' for text in ("a b", "\u00e9", "\\ud800")],
    ids=["missing", "number", "empty", "line-break", "blank", "accent", "surrogate"],
)
def test_a_new_refresh_token_is_kept_even_where_there_is_no_usable_access_token(
    simulator: RunningSimulator,
    authenticate: Authenticate,
    store: FileTokenStore,
    access_token: str,
) -> None:
    body = f'{{"refresh_token": "new-refresh"{access_token}}}'
    script(simulator, {"status": 200, "body": body})

    with pytest.raises(CompanyError, match="no usable access token") as raised:
        authenticate(simulator).bearer()

    assert "\n" not in str(raised.value)
    assert stored(store).refresh_token == "new-refresh"
    assert stored(store).access_token == ""


@pytest.mark.parametrize("refresh_token", ["5", "null", '""', '"\\ud800"', "{}"])
def test_an_odd_refresh_token_does_not_replace_the_old_one(
    simulator: RunningSimulator,
    authenticate: Authenticate,
    store: FileTokenStore,
    refresh_token: str,
) -> None:
    body = f'{{"access_token": "new", "refresh_token": {refresh_token}}}'
    script(simulator, {"status": 200, "body": body})

    assert authenticate(simulator).bearer() == "new"
    assert stored(store).refresh_token == FIRST


def test_a_stored_access_token_that_fits_no_header_is_renewed(
    simulator: RunningSimulator, authenticate: Authenticate, store: FileTokenStore
) -> None:
    end = simulator.now() + 3600
    store.save(KEY, Token(refresh_token=FIRST, access_token="a\nb", expires_at=end))

    assert "\n" not in authenticate(simulator, "").bearer()
    assert refreshes(simulator) == 1


def test_an_answer_without_a_refresh_token_keeps_the_old_one(
    simulator: RunningSimulator, authenticate: Authenticate, store: FileTokenStore
) -> None:
    script(simulator, {"status": 200, "body": '{"access_token": "new", "expires_in": 3600}'})

    assert authenticate(simulator).bearer() == "new"
    assert stored(store).refresh_token == FIRST
