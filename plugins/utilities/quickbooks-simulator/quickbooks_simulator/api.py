"""The endpoint `/v3/company/{realm}/...`: log, limits, scripted trouble, token, answer."""

from __future__ import annotations

import asyncio
import gzip
import uuid
from time import perf_counter
from typing import TYPE_CHECKING

from quickbooks_simulator.calls import Call, Sent, classify
from quickbooks_simulator.delivery import Breakage, BreakingResponse
from quickbooks_simulator.execution import execute
from quickbooks_simulator.faults import (
    HTML,
    JSON,
    TEXT,
    Answer,
    AnswerError,
    authentication_failed,
    authorization_failed,
    company_status,
    general_authentication_error,
    throttled,
)
from quickbooks_simulator.pages import PageTrick
from quickbooks_simulator.requestlog import Entry
from quickbooks_simulator.troubles import NAMED

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from starlette.requests import Request

    from quickbooks_simulator.company import Company
    from quickbooks_simulator.rules import Do, Edit, Rule
    from quickbooks_simulator.simulator import Simulator

WRITES = frozenset({"create", "update", "delete", "void"})
ACCESS_LENGTH = range(60, 4097)
NO_COMPANY = b"<html><head><title>404 Not Found</title></head><body>Not Found</body></html>"


async def company_endpoint(request: Request) -> BreakingResponse:
    """Answer a request to a company."""
    simulator: Simulator = request.app.state.simulator
    body = await request.body()
    realm, path = request.path_params["realm"], request.path_params["path"]
    sent = Sent(body, request.headers.get("content-type", ""))
    call = classify(request.method, path, request.query_params, sent)
    entry = simulator.log.open(
        Entry(
            seq=0,
            time=simulator.clock.now(),
            method=request.method,
            path=request.url.path,
            operation=call.operation,
            realm=realm,
            entity=call.entity,
            statement=call.statement,
            in_flight=simulator.limiter.in_flight[realm],
            intuit_tid=f"1-{uuid.uuid4().hex[:8]}-{uuid.uuid4().hex[:24]}",
        )
    )
    begun = perf_counter()
    simulator.limiter.in_flight[realm] += 1
    try:
        answer, breakage = await _Turn(simulator, entry, call, request).take()
        response = _response(simulator, entry, answer, request)
        if breakage.hang or breakage.close:
            entry.status = 0
        while breakage.hang and (await request.receive())["type"] != "http.disconnect":
            pass
        response.breakage = breakage
        return response
    finally:
        simulator.limiter.in_flight[realm] -= 1
        entry.duration = round(perf_counter() - begun, 6)


def _response(
    simulator: Simulator, entry: Entry, answer: Answer, request: Request
) -> BreakingResponse:
    headers = {
        "Content-Type": answer.content_type,
        "intuit_tid": entry.intuit_tid,
        "QBO-Version": "1989.190",
        "Date": simulator.clock.http_date(),
        "Cache-Control": "max-age=0, no-cache, no-store, must-revalidate, private",
        **dict(answer.headers),
    }
    body = answer.body
    if simulator.settings.gzip and "gzip" in request.headers.get("accept-encoding", ""):
        headers["Content-Encoding"] = "gzip"
        body = gzip.compress(body, compresslevel=1, mtime=0)
    entry.status, entry.rows = answer.status, answer.rows
    return BreakingResponse(body, answer.status, headers)


class _Turn:
    """One request on its way through the server."""

    def __init__(self, simulator: Simulator, entry: Entry, call: Call, request: Request) -> None:
        self.simulator, self.entry, self.call, self.request = simulator, entry, call, request

    async def take(self) -> tuple[Answer, Breakage]:
        """Run edits and trouble around the answer."""
        simulator = self.simulator
        fired = simulator.rules.fire(self.entry)
        deeds = [rule.do for rule in fired if rule.do]
        if wrong := self._edited(edit for rule in fired for edit in rule.before):
            return wrong, Breakage()
        for do in deeds:
            if do.delay:
                await asyncio.sleep(do.delay)
        begun = perf_counter()
        answer = self._scripted(deeds) or await self._answer(deeds)
        if wrong := self._edited(edit for rule in fired for edit in rule.after):
            return wrong, Breakage()
        settings = simulator.settings
        if pause := settings.latency_ms + settings.ms_per_row * answer.rows:
            await asyncio.sleep(max(0, pause / 1000 - (perf_counter() - begun)))
        return _shortened(answer, deeds), _breakage(fired)

    def _edited(self, edits: Iterable[Edit]) -> Answer | None:
        """Apply the edits of a rule; a rule that makes no sense answers 500 and says why."""
        try:
            self.simulator.edit(self.entry.realm, list(edits))
        except ValueError as error:
            return Answer(500, f"Rule of the simulator: {error}\n".encode(), TEXT)
        return None

    def _scripted(self, deeds: Sequence[Do]) -> Answer | None:
        for do in deeds:
            if do.fault:
                answer = NAMED[do.fault](self.simulator.clock)
                return answer._replace(
                    status=do.status or answer.status, headers=tuple(do.headers.items())
                )
            if do.status is not None:
                headers = tuple(do.headers.items())
                return Answer(do.status, do.body.encode(), do.content_type, headers)
        return None

    async def _answer(self, deeds: Sequence[Do]) -> Answer:
        simulator, realm = self.simulator, self.entry.realm
        now, batch = simulator.clock.now(), self.call.operation == "batch"
        if not simulator.limiter.admit(realm, now, simulator.settings, batch=batch):
            answer = throttled(simulator.clock)
            wait = simulator.settings.retry_after
            headers = (("Retry-After", str(wait)),) if wait is not None else ()
            return answer._replace(headers=headers)
        # Between two answers the loop takes up what has arrived, so that requests count when they
        # come and not when the pages before them are made.
        async with simulator.turn:
            return self._admitted(now, deeds)

    def _admitted(self, now: float, deeds: Sequence[Do]) -> Answer:
        simulator, realm = self.simulator, self.entry.realm
        try:
            company = self._authorized(now)
        except AnswerError as error:
            return error.answer
        company.reveal(now)
        if realm in simulator.settings.suspended_realms:
            return company_status().answer(simulator.clock)
        return self._executed(company, deeds)

    def _executed(self, company: Company, deeds: Sequence[Do]) -> Answer:
        simulator, call = self.simulator, self.call
        tricks = {
            "": PageTrick(
                extra=sum(do.limit_plus_one for do in deeds),
                keep=next((do.short_page for do in deeds if do.short_page is not None), None),
                duplicate=any(do.duplicate_row for do in deeds),
            )
        }
        try:
            answer = execute(simulator, company, call, tricks)
        except AnswerError as error:
            return error.answer
        if answer.status == 200:  # noqa: PLR2004 - only successes are billed
            meter = simulator.meters.of(company.realm_id)
            if call.operation in WRITES:
                meter.writes += 1
            else:
                meter.reads += 1
        return answer

    def _authorized(self, now: float) -> Company:
        simulator, realm = self.simulator, self.entry.realm
        kind, _, token = self.request.headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer" or not token:
            raise AnswerError(general_authentication_error(simulator.clock))
        state, chain = simulator.tokens.check(token, now)
        if chain and realm in simulator.settings.revoked_realms:
            state = "revoked"
        if state != "valid" or chain is None:
            detail = f"Token {'revoked' if state == 'revoked' else 'expired'}: 0000"
            if state == "unknown" and len(token) not in ACCESS_LENGTH:
                detail = "Malformed bearer token: too short or too long"
            raise AnswerError(authentication_failed(simulator.clock, detail))
        if realm not in chain.realms:
            raise AnswerError(authorization_failed(simulator.clock))
        company = simulator.companies.get(realm)
        if company is None:
            raise AnswerError(Answer(404, NO_COMPANY, HTML))
        return company


def _shortened(answer: Answer, deeds: Sequence[Do]) -> Answer:
    for do in deeds:
        if do.short_json is not None:
            return answer._replace(body=answer.body[: do.short_json], content_type=JSON)
    return answer


def _breakage(fired: Sequence[Rule]) -> Breakage:
    for rule in fired:
        do = rule.do
        if do and (do.hang or do.close or do.truncate is not None):
            return Breakage(do.hang, do.close, do.truncate)
    return Breakage()
