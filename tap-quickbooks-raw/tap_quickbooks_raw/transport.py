"""What of HTTP the client does itself, since `requests` does it otherwise."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import requests
from requests.auth import AuthBase
from typing_extensions import override
from urllib3.exceptions import MaxRetryError, NewConnectionError

from tap_quickbooks_raw.answers import http_date

if TYPE_CHECKING:
    from collections.abc import Mapping

# A time-out of `requests` begins anew with each byte; a whole answer gets this much.
BODY_SECONDS = 180.0
CHUNK_BYTES = 1 << 20


class BearerAuth(AuthBase):
    """Sets the header last: without an `auth`, requests would prefer a netrc file."""

    def __init__(self, token: str) -> None:
        self._token = token

    @override
    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class PerThread(threading.local):
    """What each thread has for itself.

    Attributes:
        session: Its session, for sessions are not made for sharing.
        calls: Requests that it has sent.
    """

    def __init__(self) -> None:
        self.calls = 0
        self.session = requests.Session()
        self.session.headers.update(
            {
                "Accept": "application/json",
                "Accept-Encoding": "gzip, deflate",
                "User-Agent": "tap-quickbooks-raw",
            }
        )


def is_unsent(error: Exception) -> bool:
    """Whether a request was not sent, since no connection was made."""
    cause = error.args[0] if error.args else None
    return isinstance(error, requests.ConnectTimeout) or (
        isinstance(cause, MaxRetryError) and isinstance(cause.reason, NewConnectionError)
    )


def read_body(response: requests.Response) -> bytes:
    """Read the body, but not for ever where it only trickles in."""
    deadline = time.monotonic() + BODY_SECONDS
    chunks = []
    with response:
        while chunk := response.raw.read1(CHUNK_BYTES, decode_content=True):
            chunks.append(chunk)
            if time.monotonic() > deadline:
                raise requests.Timeout("the answer does not end")
    return b"".join(chunks)


def retry_after(headers: Mapping[str, str]) -> float:
    """Read Retry-After in seconds, 0 for none; a date counts from the server's own Date."""
    header = headers.get("Retry-After", "").strip()
    if header.isascii() and header.isdecimal():
        return float(header)
    moment = http_date(header)
    if moment is None:
        return 0.0
    seconds = (moment - (http_date(headers.get("Date")) or datetime.now(UTC))).total_seconds()
    return max(seconds, 0.0)
