"""One request to QBO: session, limits, retries, errors.

The attempts are counted here and not by urllib3, since they depend on more than a status:
a Fault inside a 200, a cut answer, a token to refresh once, and a 429 that has to hold back
all requests of the company.
"""

from __future__ import annotations

import logging
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

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
from tap_quickbooks_raw.faults import Failure, Fault, Passing, advice, meaning_of, parse_fault
from tap_quickbooks_raw.policy import Budget, Reason
from tap_quickbooks_raw.transport import BearerAuth, PerThread, is_unsent, read_body, retry_after

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager

    from tap_quickbooks_raw.auth import Authenticator
    from tap_quickbooks_raw.limiter import Limiter
    from tap_quickbooks_raw.policy import RetryPolicy

# QBO ends a request after 120 seconds (learn/rest-api-features, "limits and throttles").
TIMEOUT_SECONDS = (10.0, 125.0)
# A connection that is closed after so long a time may have been closed for the size.
HEAVY_SECONDS = 30.0

logger = logging.getLogger("tap-quickbooks-raw.client")


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
        retries: Requests that were further attempts.
        received: Bytes of all answers' bodies, decompressed.
        waits: How long requests were held back.
        budget: What the run may use.
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
        self.retries = 0
        self.received = 0
        self.waits = limiter.waits
        self.budget = budget or Budget()
        self.clock: datetime | None = None
        self._base = f"{api_url.rstrip('/')}/v3/company/{realm_id}"
        self._auth = auth
        self._limiter = limiter
        self._policy = policy
        self._timeout = timeout
        self._local = PerThread()
        self._counting = threading.Lock()
        self._halted = threading.Event()
        self._reason: QuickBooksError | None = None

    def reserve(self, calls: int) -> AbstractContextManager[None]:
        """Keep some calls of the budget for what is done in this context."""
        return self.budget.reserve(calls, used=self.calls)

    @property
    def calls_of_thread(self) -> int:
        """Requests that the calling thread has sent so far."""
        return self._local.calls

    @property
    def refreshes(self) -> int:
        """Refreshes of the tokens so far."""
        return self._auth.refreshes

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
        content["params"] = {**(params or {}), "minorversion": str(self.minor_version)}
        attempts = min(attempts or self._policy.attempts, self._policy.attempts)
        attempt = 0
        rejected = ""
        while True:
            attempt += 1
            self._check()
            bearer = self._bearer(rejected)
            is_retry = attempt > 1 or rejected != ""
            outcome = self._attempt(method, path, bearer, is_retry=is_retry, **content)
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
            # Without a network, or being too fast, no request can be done without.
            is_general = throttled or outcome.trouble is Passing.UNREACHED
            enough = self._policy.attempts if is_general else attempts
            if attempt >= (min(enough, patience or enough) if unreadable else enough):
                if is_general:
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
        *,
        is_retry: bool,
        **arguments: Any,  # noqa: ANN401  They are requests' own.
    ) -> Answer | Failure:
        """Send once; return the answer or the passing trouble; raise what will not pass."""
        with self._limiter.request(batch=path == "batch"):
            with self._counting:
                self._check()
                self.calls += 1
                self.retries += is_retry
                self.batch_items += len(arguments.get("json", {}).get("BatchItemRequest", ()))
            self._local.calls += 1
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
                if is_unsent(error):
                    return Failure(fault, Passing.UNREACHED)
                # A connection that fails once the answer has begun, or while it is being made.
                is_heavy = (
                    response is not None
                    or isinstance(error, requests.ReadTimeout)
                    or time.monotonic() - started > HEAVY_SECONDS
                )
                return Failure(fault, Passing.HEAVY if is_heavy else Passing.SERVER)
        received_at = datetime.now(UTC)
        with self._counting:
            self.received += len(body)
        status, tid = response.status_code, response.headers.get("intuit_tid", "")
        logger.debug("%s %s: %d, %d bytes, intuit_tid %s", method, path, status, len(body), tid)
        date = http_date(response.headers.get("Date"))
        if status == requests.codes.ok:
            try:
                envelope = decode(body, response.headers.get("Content-Type", ""))
            except msgspec.DecodeError as error:
                fault = Fault(200, "", f"the answer is cut short or no JSON ({error})", tid)
                return Failure(fault, Passing.HEAVY)
            if envelope.carries_data:
                self.clock = self.clock or envelope.clock or date
                return Answer(
                    envelope.query or {}, envelope.items or [], received_at, tid, envelope.changes
                )
        if status == requests.codes.bad_request:
            self.clock = self.clock or date  # QBO's own; a gateway's may be wrong.
        fault = parse_fault(status, body, tid)
        match meaning_of(fault, path):
            case Passing() as trouble:
                return Failure(fault, trouble, retry_after(response.headers))
            case meaning if issubclass(meaning, CompanyError):
                raise self._stop_company(fault)
            case meaning:
                raise meaning(str(fault))

    def _pause(self, failure: Failure, attempt: int) -> None:
        is_throttled = failure.trouble is Passing.THROTTLED
        seconds = self._policy.pause(attempt, failure.retry_after, is_throttled=is_throttled)
        logger.warning(
            "Attempt %d failed (%s); the next one in %.1f s", attempt, failure.fault, seconds
        )
        if is_throttled:
            self._limiter.pause(seconds)
        else:
            started = time.monotonic()
            self._halted.wait(seconds)
            reason: Reason = "retry_after" if failure.retry_after > 0 else "backoff"
            self.waits.add(reason, time.monotonic() - started)
        self._check()

    def _check(self) -> None:
        if self._reason is not None:
            raise self._reason
        self.budget.check(self.calls)

    def _stop_company(self, fault: Fault) -> CompanyError:
        error = CompanyError(
            f"Company (realm) {self.realm_id} cannot be read: {fault}{advice(fault)}"
        )
        self.halt(error)
        return error

    def _session(self) -> requests.Session:
        return self._local.session
