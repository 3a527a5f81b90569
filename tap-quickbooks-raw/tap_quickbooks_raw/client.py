"""One request to QBO: session, limits, retries, errors.

The attempts are counted here and not by urllib3, since they depend on more than a status:
a Fault inside a 200, a cut answer, a token to refresh once, and a 429 that has to hold back
all requests of the company.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import requests
import urllib3

from tap_quickbooks_raw.answers import Answer, decode, http_date
from tap_quickbooks_raw.exceptions import (
    CompanyError,
    QuickBooksError,
    RetriesExhausted,
    UnreadableError,
)
from tap_quickbooks_raw.faults import Fault, Passing, advice, meaning_of, parse_fault
from tap_quickbooks_raw.policy import Budget
from tap_quickbooks_raw.transport import BearerAuth, read_body, retry_after

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager

    from tap_quickbooks_raw.auth import Authenticator
    from tap_quickbooks_raw.limiter import Limiter
    from tap_quickbooks_raw.policy import RetryPolicy

# QBO ends a request after 120 seconds (learn/rest-api-features, "limits and throttles").
TIMEOUT_SECONDS = (10.0, 125.0)
# Intuit asks for 60 s after a 429; three pauses of 20 s outlast its window.
THROTTLE_PAUSE_SECONDS = 20.0
# A connection that is closed after so long a time may have been closed for the size.
HEAVY_SECONDS = 30.0
RETRY_AFTER_CEILING_SECONDS = 300.0

logger = logging.getLogger("tap-quickbooks-raw.client")


class _Failure(NamedTuple):
    """A passing trouble of one attempt."""

    fault: Fault
    trouble: Passing
    retry_after: float | None = None


class QuickBooksClient:
    """Sends requests for one company.

    Args:
        api_url: The base before ``/v3/company/...``.
        realm_id: The company.
        auth: Hands out bearer tokens.
        limiter: Intuit's ceilings.
        policy: When to try again.
        minor_version: QBO minor version.
        budget: What the run may use.
        timeout: Seconds for connecting and for each read.

    Attributes:
        calls: Requests sent so far.
        batch_items: Queries in the batches among them.
        clock: The server's clock at its first answer.
    """

    def __init__(  # noqa: PLR0913  The seams that tests replace.
        self,
        api_url: str,
        realm_id: str,
        *,
        auth: Authenticator,
        limiter: Limiter,
        policy: RetryPolicy,
        minor_version: int = 75,
        budget: Budget | None = None,
        timeout: tuple[float, float] = TIMEOUT_SECONDS,
    ) -> None:
        self.realm_id = realm_id
        self.minor_version = minor_version
        self.calls = 0
        self.batch_items = 0
        self.clock: datetime | None = None
        self._base = f"{api_url.rstrip('/')}/v3/company/{realm_id}"
        self._auth = auth
        self._limiter = limiter
        self._policy = policy
        self._budget = budget or Budget()
        self._timeout = timeout
        self._local = threading.local()
        self._counting = threading.Lock()
        self._halted = threading.Event()
        self._reason: QuickBooksError | None = None

    def reserve(self, calls: int) -> AbstractContextManager[None]:
        """Keep some calls of the budget for what is done in this context."""
        return self._budget.reserve(calls, used=self.calls)

    def share(self, part: float) -> int | None:
        """How many calls are a part of the budget; None if there is no limit."""
        return None if self._budget.calls is None else math.ceil(self._budget.calls * part)

    @property
    def calls_of_thread(self) -> int:
        """Requests that the calling thread has sent so far."""
        return getattr(self._local, "calls", 0)

    def get(
        self, path: str, *, attempts: int | None = None, patience: int | None = None, **params: str
    ) -> Answer:
        """Send a GET.

        Args:
            path: Path below the company, such as ``query``.
            attempts: Fewer attempts than the policy's, for a request that may be done without.
            patience: Fewer attempts where a smaller answer may be what helps.
            **params: Query parameters.

        Raises:
            CompanyError: Nothing of this company can be read.
            UnreadableError: This answer cannot be made; a smaller one might be.
            EntityError: This request failed for good.
            BudgetReached: The run's budget is used up.
        """
        return self._send("GET", path, attempts=attempts, patience=patience, params=params)

    def batch(self, texts: Sequence[str], *, attempts: int | None = None) -> Answer:
        """Send queries as one batch; raises as `get` does."""
        items = [{"bId": str(number), "Query": text} for number, text in enumerate(texts)]
        with self._counting:
            self.batch_items += len(items)
        return self._send("POST", "batch", attempts=attempts, json={"BatchItemRequest": items})

    def halt(self, reason: QuickBooksError) -> None:
        """Send nothing more; waits end at once and raise the reason."""
        if self._reason is None:
            self._reason = reason
        self._halted.set()

    def close(self) -> None:
        """Halt, and wait until a refresh of the tokens that is under way has been stored."""
        self.halt(QuickBooksError("the client is closed"))
        self._auth.close()

    def _send(
        self,
        method: str,
        path: str,
        *,
        attempts: int | None,
        patience: int | None = None,
        params: Mapping[str, str] | None = None,
        **content: Any,  # noqa: ANN401  It is requests' own.
    ) -> Answer:
        query = {**(params or {}), "minorversion": str(self.minor_version)}
        attempts = min(attempts or self._policy.attempts, self._policy.attempts)
        attempt = 0
        rejected = ""
        while True:
            attempt += 1
            self._check()
            bearer = self._bearer(rejected)
            outcome = self._attempt(method, path, bearer, params=query, **content)
            if isinstance(outcome, Answer):
                return outcome
            if outcome.trouble is Passing.UNAUTHENTICATED:
                if rejected:
                    raise self._stop_company(outcome.fault)
                rejected = bearer
                attempt -= 1
                continue
            # Batches have a ceiling of their own, shared with other apps, and can be done without.
            throttled = outcome.trouble is Passing.THROTTLED and path != "batch"
            unreadable = outcome.trouble in {Passing.BROKEN, Passing.HEAVY}
            # Being too fast is nothing that a request can be done without for.
            enough = self._policy.attempts if throttled else attempts
            if attempt >= (min(enough, patience or enough) if unreadable else enough):
                if throttled:
                    raise self._stop_company(outcome.fault)
                times = "once" if attempt == 1 else f"{attempt} times, last"
                message = f"{method} {path} failed {times} with {outcome.fault}"
                if unreadable:
                    raise UnreadableError(message, is_heavy=outcome.trouble is Passing.HEAVY)
                raise RetriesExhausted(message)
            self._pause(outcome, attempt)

    def _bearer(self, rejected: str) -> str:
        try:
            return self._auth.bearer(rejected)
        except CompanyError as error:
            self.halt(error)
            raise

    def _attempt(
        self,
        method: str,
        path: str,
        bearer: str,
        **arguments: Any,  # noqa: ANN401  They are requests' own.
    ) -> Answer | _Failure:
        """Send once; return the answer or the passing trouble; raise what will not pass."""
        with self._limiter.request(batch=path == "batch"):
            with self._counting:
                self._check()
                self.calls += 1
            self._local.calls = self.calls_of_thread + 1
            response, started = None, time.monotonic()
            try:
                response = self._session().request(
                    method,
                    f"{self._base}/{path}",
                    auth=BearerAuth(bearer),
                    timeout=self._timeout,
                    # An API does not move; another host must not be taken for QBO.
                    allow_redirects=False,
                    stream=True,
                    **arguments,
                )
                body = read_body(response)
            except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
                fault = Fault(0, "", f"no answer ({type(error).__name__})")
                # A connection that fails once the answer has begun, or while it is being made.
                is_heavy = (
                    response is not None
                    or isinstance(error, requests.ReadTimeout)
                    or time.monotonic() - started > HEAVY_SECONDS
                )
                return _Failure(fault, Passing.HEAVY if is_heavy else Passing.SERVER)
        received_at = datetime.now(UTC)
        tid = response.headers.get("intuit_tid", "")
        logger.debug(
            "%s %s: %d, %d bytes, intuit_tid %s",
            method,
            path,
            response.status_code,
            len(body),
            tid,
        )
        date = http_date(response.headers.get("Date"))
        if response.status_code == requests.codes.ok:
            try:
                envelope = decode(body, response.headers.get("Content-Type", ""))
            except msgspec.DecodeError as error:
                fault = Fault(200, "", f"the answer is cut short or no JSON ({error})", tid)
                return _Failure(fault, Passing.HEAVY)
            if envelope.carries_data:
                self.clock = self.clock or envelope.clock or date
                return Answer(
                    envelope.query or {}, envelope.items or [], received_at, tid, envelope.changes
                )
        if response.status_code == requests.codes.bad_request:
            self.clock = self.clock or date  # QBO's own; a gateway's may be wrong.
        fault = parse_fault(response.status_code, body, tid)
        match meaning_of(fault, path):
            case Passing() as trouble:
                return _Failure(fault, trouble, retry_after(response.headers))
            case meaning if issubclass(meaning, CompanyError):
                raise self._stop_company(fault)
            case meaning:
                raise meaning(str(fault))

    def _pause(self, failure: _Failure, attempt: int) -> None:
        seconds = self._policy.wait(attempt)
        if failure.retry_after is not None and failure.retry_after > 0:
            seconds = max(seconds, min(failure.retry_after, RETRY_AFTER_CEILING_SECONDS))
        elif failure.trouble is Passing.THROTTLED:
            seconds = max(seconds, THROTTLE_PAUSE_SECONDS)
        logger.warning(
            "Attempt %d failed (%s); the next one in %.1f s", attempt, failure.fault, seconds
        )
        if failure.trouble is Passing.THROTTLED:
            self._limiter.pause(seconds)
        else:
            self._halted.wait(seconds)
        self._check()

    def _check(self) -> None:
        if self._reason is not None:
            raise self._reason
        self._budget.check(self.calls)

    def _stop_company(self, fault: Fault) -> CompanyError:
        error = CompanyError(
            f"Company (realm) {self.realm_id} cannot be read: {fault}{advice(fault)}"
        )
        self.halt(error)
        return error

    def _session(self) -> requests.Session:
        """One session per thread; sessions are not made for sharing."""
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = requests.Session()
            session.headers.update(
                {
                    "Accept": "application/json",
                    "Accept-Encoding": "gzip, deflate",
                    "User-Agent": "tap-quickbooks-raw",
                }
            )
        return session
