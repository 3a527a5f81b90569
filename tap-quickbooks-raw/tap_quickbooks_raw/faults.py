"""Error answers of QBO, in all the forms that it sends them.

JSON in two spellings (``Fault`` from the service, ``fault`` from the gateway), XML and HTML,
whatever was asked for, with any status, 200 included
(https://developer.intuit.com/app/developer/qbo/docs/develop/troubleshooting/error-codes;
gateway forms from recorded answers).
"""

from __future__ import annotations

import re
from enum import Enum
from typing import Any, NamedTuple

import msgspec

from tap_quickbooks_raw.exceptions import (
    CompanyError,
    EntityError,
    QuickBooksError,
    RefusedError,
    UnavailableError,
)

TEXT_LIMIT = 300


class Passing(Enum):
    """Troubles that may be gone at the next attempt."""

    SERVER = "the server failed"
    BROKEN = "the answer cannot be made"
    HEAVY = "the answer is too large to be made or to arrive"
    THROTTLED = "too many requests"
    UNAUTHENTICATED = "the access token was refused"
    UNREACHED = "no connection could be made"


class Fault(NamedTuple):
    """What an error answer says.

    Attributes:
        status: HTTP status.
        code: QBO's code, a digit string; empty where the answer names none.
        text: Message and detail.
        tid: `intuit_tid`, the trace id that Intuit's support asks for.
    """

    status: int
    code: str
    text: str
    tid: str = ""

    def __str__(self) -> str:
        code = f", code {self.code}" if self.code else ""
        tid = f" [intuit_tid {self.tid}]" if self.tid else ""
        status = f"status {self.status}{code}: " if self.status else ""
        return f"{status}{self.text}{tid}"


class Failure(NamedTuple):
    """A passing trouble of one attempt.

    Attributes:
        fault: What was answered.
        trouble: Its meaning.
        retry_after: Seconds to wait that the answer asks for; 0 if it does not.
    """

    fault: Fault
    trouble: Passing
    retry_after: float = 0.0


OK, FORBIDDEN, NOT_FOUND = 200, 403, 404
REDIRECTIONS = range(300, 400)
BY_RETRIED_STATUS = {
    500: Passing.BROKEN,
    502: Passing.SERVER,
    503: Passing.SERVER,
    504: Passing.HEAVY,
}

BY_CODE: dict[str, Passing | type[QuickBooksError]] = {
    "100": Passing.UNAUTHENTICATED,
    "120": CompanyError,
    "3001": Passing.THROTTLED,
    "3100": CompanyError,
    "3200": Passing.UNAUTHENTICATED,
    "3201": CompanyError,
    "4000": RefusedError,
    "4001": RefusedError,
    "4002": RefusedError,
    "5020": EntityError,
    "5030": UnavailableError,
    "6002": Passing.HEAVY,
    "6190": CompanyError,
    "10000": Passing.BROKEN,
}

BY_STATUS: dict[int, Passing | type[QuickBooksError]] = {
    401: Passing.UNAUTHENTICATED,
    403: CompanyError,
    429: Passing.THROTTLED,
}

# Where an answer names no code that we know.
_CODE_BY_STATUS = {401: "3200", 403: "3100", 404: "404", 429: "3001"}

ADVICE = {
    "3001": "QBO allows no more requests now: run again later, with a lower requests_per_minute "
    "if other apps read this company; a used-up monthly allowance ends with the month",
    "120": "the person who connected the company has lost the right to read it: sign in again "
    "as an administrator of the company, with `tap-quickbooks-raw-auth login`",
    "3100": "these keys may not read this company: check QB_REALM_ID and that the app's keys, "
    "`environment` and company are all production or all sandbox; `tap-quickbooks-raw-auth "
    "doctor` tells which",
    "3200": "the access token is refused even after a refresh: sign in again with "
    "`tap-quickbooks-raw-auth login`, or set QB_REFRESH_TOKEN to a new one",
    "3201": "the app may not read this company: sign in again with the accounting scope, with "
    "`tap-quickbooks-raw-auth login`",
    "404": "QBO knows no such company: check QB_REALM_ID and api_url; `tap-quickbooks-raw-auth "
    "status` shows which companies are connected",
    "6190": "the company's QuickBooks subscription has ended or is suspended: renew it, "
    "then run again; `tap-quickbooks-raw-auth doctor` tells whether it can be read",
}

# What else comes with a status of 5xx, whatever it is.
_CODES_OF_OUTAGES = {"3001": Passing.THROTTLED, "3100": Passing.SERVER, "3200": Passing.SERVER}

# The entity exists in QBO, but not for this company.
_UNAVAILABLE = re.compile(
    r"metadata not found for entity|feature\b.{0,40}\bnot (supported|enabled|available)",
    re.IGNORECASE,
)
# "Token expired: ..." names the token.
_TOKEN = re.compile(r"[\w.-]{45,}")
_XML_ERROR = re.compile(rb"<Error\b[^>]*\bcode=[\"'](\d+)", re.IGNORECASE)
_XML_TEXT = re.compile(rb"<(?:Message|Detail)>(.*?)</", re.IGNORECASE | re.DOTALL)
_HTML_TITLE = re.compile(rb"<title>(.*?)</title>", re.IGNORECASE | re.DOTALL)


def parse_fault(status: int, body: bytes, tid: str = "") -> Fault:
    """Read an error answer of any form."""
    code, text = _from_json(body) or _from_markup(body)
    return Fault(status, code.lstrip("0"), _sayable(text) or "no text", tid)


def from_object(status: int, fault: dict[str, Any], tid: str = "") -> Fault:
    """Read the object under ``Fault`` or ``fault``."""
    lowered = {key.lower(): value for key, value in fault.items()}
    found = lowered.get("error")
    errors = [
        {key.lower(): value for key, value in error.items()}
        for error in (found if isinstance(found, list) else [found])
        if isinstance(error, dict)
    ]
    code = next((str(error["code"]) for error in errors if error.get("code")), "")
    texts = [str(error[key]) for error in errors for key in ("message", "detail") if error.get(key)]
    text = "; ".join(dict.fromkeys(texts)) or str(lowered.get("type") or "")
    return Fault(status, code.lstrip("0"), _sayable(text), tid)


def classify(fault: Fault) -> Passing | type[QuickBooksError]:
    """Tell what a fault means: a passing trouble, or the exception to raise."""
    if fault.status in REDIRECTIONS:
        return CompanyError
    if fault.status in BY_RETRIED_STATUS:
        if fault.code in _CODES_OF_OUTAGES:
            return _CODES_OF_OUTAGES[fault.code]
        return BY_RETRIED_STATUS[fault.status]
    if _UNAVAILABLE.search(fault.text):
        return UnavailableError
    if fault.code in BY_CODE:
        return BY_CODE[fault.code]
    return BY_STATUS.get(fault.status, EntityError)


def meaning_of(fault: Fault, path: str) -> Passing | type[QuickBooksError]:
    """Tell what a fault means as the answer to a request for a path below the company."""
    if fault.status == OK and not fault.code:
        return Passing.SERVER  # A 200 without anything that was asked for.
    if fault.status == NOT_FOUND and path == "query":
        return CompanyError  # Every company has this path: the realm or api_url is wrong.
    if path in {"batch", "cdc"} and fault.status == FORBIDDEN and not fault.code:
        return EntityError  # Queries may still be allowed.
    if (fault.status == NOT_FOUND or fault.code == "610") and path not in {"query", "batch"}:
        return UnavailableError  # A resource of its own that this company does not have.
    return classify(fault)


def advice(fault: Fault) -> str:
    """Tell a person what to do about a fault; empty where nobody knows."""
    if fault.status in REDIRECTIONS:
        return "; the server sends requests elsewhere: check api_url"
    if not fault.status:
        return "; is the network up? `tap-quickbooks-raw-auth doctor` tells what answers"
    hint = ADVICE.get(fault.code) or ADVICE.get(_CODE_BY_STATUS.get(fault.status, ""))
    return f"; {hint}" if hint else ""


def _sayable(text: str) -> str:
    """One line of bounded length without tokens."""
    return _TOKEN.sub("(token)", " ".join(text.split()))[:TEXT_LIMIT]


def _from_json(body: bytes) -> tuple[str, str] | None:
    try:
        content = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    if isinstance(content, dict):
        for place in (content, content.get("QueryResponse") or {}):
            for key in ("Fault", "fault"):
                if isinstance(place, dict) and isinstance(place.get(key), dict):
                    fault = from_object(0, place[key])
                    return fault.code, fault.text
    return "", body.decode(errors="replace")


def _from_markup(body: bytes) -> tuple[str, str]:
    code = _XML_ERROR.search(body)
    texts = _XML_TEXT.findall(body) or _HTML_TITLE.findall(body)
    text = b"; ".join(texts) if texts else body[: 10 * TEXT_LIMIT]
    return code.group(1).decode() if code else "", text.decode(errors="replace")
