"""Every form in which QBO reports an error is understood."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tap_quickbooks_raw.exceptions import (
    CompanyError,
    EntityError,
    QuickBooksError,
    RefusedError,
    UnavailableError,
)
from tap_quickbooks_raw.faults import TEXT_LIMIT, Fault, Passing, advice, classify, parse_fault

if TYPE_CHECKING:
    from collections.abc import Callable


def service(code: str, message: str, detail: str = "", kind: str = "ValidationFault") -> bytes:
    """A fault as the service spells it."""
    error = {"Message": message, "Detail": detail, "code": code, "element": ""}
    return json.dumps({"Fault": {"Error": [error], "type": kind}, "time": "2024-01-01"}).encode()


def gateway(code: str | int, message: str, detail: str | None = None) -> bytes:
    """A fault as the gateway spells it: small letters, nulls, milliseconds."""
    error = {"message": message, "detail": detail, "code": code, "element": None}
    body = {
        "warnings": None,
        "fault": {"error": [error], "type": "SERVICE"},
        "queryResponse": None,
        "batchItemResponse": [],
        "time": 1730000000000,
    }
    return json.dumps(body).encode()


def xml(code: str, message: str, detail: str = "") -> bytes:
    """A fault as the gateway sends it whatever was asked for."""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<IntuitResponse time="2024-01-01"'
        f' xmlns="http://schema.intuit.com/finance/v3">\n<Fault type="SERVICE">\n'
        f'<Error code="{code}">\n<Message>{message}</Message>\n<Detail>{detail}</Detail>\n'
        "</Error></Fault></IntuitResponse>"
    ).encode()


THROTTLED = "message=ThrottleExceeded; errorCode=003001; statusCode=429"

FORMS: dict[str, tuple[bytes, str, str]] = {
    "service": (service("4001", "Invalid query", "too large"), "4001", "Invalid query; too large"),
    "gateway": (gateway("3001", THROTTLED, "slow"), "3001", f"{THROTTLED}; slow"),
    "gateway-number": (gateway(3200, "AuthenticationFailed"), "3200", "AuthenticationFailed"),
    "leading-zeros": (gateway("003100", "no"), "3100", "no"),
    "xml": (xml("3001", THROTTLED, "slow"), "3001", f"{THROTTLED}; slow"),
    "xml-single-quotes": (b"<Error code='100'><Message>General</Message>", "100", "General"),
    "xml-on-several-lines": (xml("6002", "Gateway\n  Timeout"), "6002", "Gateway Timeout;"),
    "html": (b"<html><title>502 Bad\nGateway</title><h1>x</h1></html>", "", "502 Bad Gateway"),
    "html-without-title": (b"<h1>Oops</h1>", "", "<h1>Oops</h1>"),
    "text": (b"upstream  connect\nerror", "", "upstream connect error"),
    "nothing": (b"", "", "no text"),
    "blanks": (b" \n ", "", "no text"),
    "bytes": (b"\xff\xfe\x00", "", "��\x00"),
    "in-the-query-response": (
        b'{"QueryResponse": {"Fault": {"Error": [{"Message": "m", "code": "4002"}]}}}',
        "4002",
        "m",
    ),
    "several-errors": (
        b'{"Fault": {"Error": [{"Message": "a", "code": "610"}, {"Message": "b"}]}}',
        "610",
        "a; b",
    ),
    "the-same-text-twice": (service("610", "Not Found", "Not Found"), "610", "Not Found"),
    "type-only": (b'{"Fault": {"Error": [], "type": "SystemFault"}}', "", "SystemFault"),
    "null-errors": (b'{"fault": {"error": null, "type": "SERVICE"}}', "", "SERVICE"),
    "errors-of-no-kind": (b'{"Fault": {"Error": ["x"], "type": "T"}}', "", "T"),
    "one-error-without-a-list": (b'{"Fault": {"Error": 5, "type": "T"}}', "", "T"),
    "one-error-as-an-object": (b'{"Fault": {"Error": {"code": "5", "Detail": "d"}}}', "5", "d"),
    "fault-of-no-kind": (b'{"Fault": "broken"}', "", '{"Fault": "broken"}'),
    "json-of-no-kind": (b"[1]", "", "[1]"),
    "other-json": (b'{"error": "x"}', "", '{"error": "x"}'),
    "null-query-response": (b'{"QueryResponse": null}', "", '{"QueryResponse": null}'),
}


@pytest.mark.parametrize(("body", "code", "text"), FORMS.values(), ids=list(FORMS))
def test_a_fault_is_read_in_every_form(body: bytes, code: str, text: str) -> None:
    assert parse_fault(400, body, "tid-1") == Fault(400, code, text, "tid-1")


@given(
    st.binary()
    | st.recursive(
        st.none() | st.text() | st.integers(),
        lambda children: (
            st.lists(children)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "Fault",
                        "fault",
                        "Error",
                        "error",
                        "code",
                        "Message",
                        "detail",
                        "QueryResponse",
                        "type",
                    ]
                ),
                children,
            )
        ),
    ).map(lambda document: json.dumps(document).encode())
)
def test_no_body_breaks_the_reading(body: bytes) -> None:
    fault = parse_fault(500, body)

    assert 0 < len(fault.text) <= TEXT_LIMIT
    assert "\n" not in str(fault)
    assert classify(fault) in {Passing.BROKEN, Passing.SERVER, Passing.THROTTLED}


def test_a_fault_says_status_code_text_and_trace_id() -> None:
    assert str(Fault(400, "4001", "no", "1-x")) == "status 400, code 4001: no [intuit_tid 1-x]"
    assert str(Fault(502, "", "no")) == "status 502: no"


def test_a_long_text_is_cut() -> None:
    assert TEXT_LIMIT - 5 <= len(parse_fault(500, b"word " * 1000).text) <= TEXT_LIMIT


@pytest.mark.parametrize("make", [service, gateway, xml])
def test_a_token_in_a_fault_is_not_passed_on(make: Callable[..., bytes]) -> None:
    token = "eyJ" + "a_-B9" * 200 + ".." + "z" * 50

    fault = parse_fault(401, make("3200", "AuthenticationFailed", f"Token expired: {token}"))

    assert "Token expired: (token)" in fault.text


# ---- What a fault means

MEANINGS: dict[str, tuple[int, str, str, Passing | type[QuickBooksError]]] = {
    "500": (500, "", "", Passing.BROKEN),
    "502": (502, "", "Bad Gateway", Passing.SERVER),
    "503": (503, "", "", Passing.SERVER),
    "504": (504, "6002", "GatewayTimeout", Passing.HEAVY),
    "500-with-3100": (500, "3100", "InternalServerError", Passing.SERVER),
    "500-with-10000": (500, "10000", "System Failure", Passing.BROKEN),
    "503-with-3001": (503, "3001", "ThrottleExceeded", Passing.THROTTLED),
    "200-with-10000": (200, "10000", "UnsupportedOperationException", Passing.BROKEN),
    "200-with-4001": (200, "4001", "", RefusedError),
    "200-with-another": (200, "620", "", EntityError),
    "429": (429, "3001", "", Passing.THROTTLED),
    "429-without-a-code": (429, "", "", Passing.THROTTLED),
    "403-with-3001": (403, "3001", "", Passing.THROTTLED),
    "401": (401, "3200", "", Passing.UNAUTHENTICATED),
    "401-with-100": (401, "100", "General Authentication Error", Passing.UNAUTHENTICATED),
    "401-without-a-code": (401, "", "", Passing.UNAUTHENTICATED),
    "120": (401, "120", "Authorization Failure", CompanyError),
    "3201": (401, "3201", "", CompanyError),
    "3100": (403, "3100", "ApplicationAuthorizationFailed", CompanyError),
    "403-without-a-code": (403, "", "", CompanyError),
    "6190-as-400": (400, "6190", "Invalid Company Status", CompanyError),
    "6190-as-403": (403, "6190", "Invalid Company Status", CompanyError),
    "4000": (400, "4000", "Error parsing query", RefusedError),
    "4001": (400, "4001", "property 'X' is not queryable", RefusedError),
    "4002": (400, "4002", "Error processing query", RefusedError),
    "no-such-entity": (400, "4001", "Metadata not found for Entity: Foo", UnavailableError),
    "5030": (400, "5030", "", UnavailableError),
    "feature-by-its-words": (400, "", "This feature is not supported", UnavailableError),
    "feature-switched-off": (400, "6000", "Feature X is not enabled", UnavailableError),
    "610": (400, "610", "Object Not Found", EntityError),
    "5020": (400, "5020", "Permission Denied", EntityError),
    "404": (404, "", "", EntityError),
    "413": (413, "", "", EntityError),
    "unknown-code": (400, "77777", "", EntityError),
}


@pytest.mark.parametrize(
    ("status", "code", "text", "meaning"), MEANINGS.values(), ids=list(MEANINGS)
)
def test_a_fault_means_what_to_do(
    status: int, code: str, text: str, meaning: Passing | type[QuickBooksError]
) -> None:
    assert classify(Fault(status, code, text)) is meaning


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        (403, "3100", "QB_REALM_ID"),
        (403, "6190", "renew"),
        (401, "3200", "QB_REFRESH_TOKEN"),
        (401, "", "QB_REFRESH_TOKEN"),
        (403, "", "QB_REALM_ID"),
        (401, "120", "administrator"),
        (401, "3201", "scope"),
        (401, "100", "QB_REFRESH_TOKEN"),
        (404, "", "QB_REALM_ID"),
    ],
)
def test_the_companys_trouble_comes_with_advice(status: int, code: str, words: str) -> None:
    assert words in advice(Fault(status, code, ""))


@pytest.mark.parametrize("status", [400, 413, 500])
def test_without_knowledge_there_is_no_advice(status: int) -> None:
    assert advice(Fault(status, "", "")) == ""


def test_a_429_gets_advice_about_pace_and_not_about_tokens() -> None:
    hint = advice(Fault(429, "3001", "ThrottleExceeded"))

    assert "sign in" not in hint
    assert "later" in hint
