"""From a classified call to its answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from quickbooks_simulator.batch import run_batch
from quickbooks_simulator.changes import change_data
from quickbooks_simulator.faults import (
    HTML,
    INACTIVE,
    Answer,
    Fault,
    invalid_query,
    missing,
    not_available,
    not_found,
    system_failure,
)
from quickbooks_simulator.reports import report
from quickbooks_simulator.selection import select
from quickbooks_simulator.singles import company_info, exchange_rate, preferences, tax_classes
from quickbooks_simulator.writes import write

if TYPE_CHECKING:
    from collections.abc import Callable

    from quickbooks_simulator.calls import Call
    from quickbooks_simulator.company import Company
    from quickbooks_simulator.pages import Tricks
    from quickbooks_simulator.simulator import Simulator

UNKNOWN_PATH = b"""<html>
<head><title>404 Not Found</title></head>
<body><h1>Not Found</h1></body>
</html>
"""


class Result(NamedTuple):
    """The keys of an answer before its `time`, and the rows to be billed."""

    body: bytes
    rows: int = 0


def execute(simulator: Simulator, company: Company, call: Call, tricks: Tricks) -> Answer:
    """Answer a call whose token is good."""
    work = _WORK.get(call.operation)
    if work is None:
        return Answer(404, UNKNOWN_PATH, HTML)
    try:
        result = work(simulator, company, call, tricks)
    except Fault as fault:
        return fault.answer(simulator.clock)
    if call.operation == "report":
        return Answer(200, result.body)
    time = simulator.clock.envelope_time()
    body = b'{%s,"time":"%s"}' % (result.body, time.encode())
    return Answer(200, body, rows=result.rows)


def read(simulator: Simulator, company: Company, call: Call) -> bytes:
    """Answer a read by id.

    Raises:
        Fault: There is no such object, or it is poisoned.
    """
    entity = call.target
    if entity is None or not entity.queryable:
        raise invalid_query("Metadata not found")
    settings = simulator.settings
    if not entity.available_in(company.country) or settings.lists(
        settings.entities_off, company.realm_id, entity.key
    ):
        raise not_available()
    if len(call.parts) < 2:  # noqa: PLR2004 - entity and id
        raise missing("Id")
    table = company.table(entity)
    slot = table.slot(call.parts[1])
    version = None if slot is None else table.latest(slot)
    if version is None or entity.key == "ExchangeRate":
        raise not_found()
    for bad in settings.poison:
        if (bad.entity, bad.id) == (entity.key, call.parts[1]) and bad.realm in (
            "",
            company.realm_id,
        ):
            raise system_failure(INACTIVE, status=400)
    if entity.key == "RecurringTransaction":
        page = b'{"RecurringTransaction":[%s],"startPosition":1,"maxResults":1}' % version.text
        return b'"QueryResponse":' + page
    return b'"%s":%s' % (entity.key.encode(), version.text)


def _query(simulator: Simulator, company: Company, call: Call, tricks: Tricks) -> Result:
    if "unsupported" in call.parts:
        raise Fault("2010", "Request has invalid or unsupported property", "Content-Type")
    selected = select(
        company, call.statement, settings=simulator.settings, clock=simulator.clock, tricks=tricks
    )
    return Result(b'"QueryResponse":' + selected.body, selected.rows)


def _cdc(simulator: Simulator, company: Company, call: Call, _tricks: Tricks) -> Result:
    entities = call.params.get("entities", "")
    body, rows = change_data(
        company, entities, call.statement, settings=simulator.settings, clock=simulator.clock
    )
    return Result(b'"CDCResponse":' + body, rows)


_WORK: dict[str, Callable[[Simulator, Company, Call, Tricks], Result]] = {
    "query": _query,
    "count": _query,
    "cdc": _cdc,
    "batch": lambda simulator, company, call, tricks: Result(
        *run_batch(simulator, company, call, tricks)
    ),
    "read": lambda simulator, company, call, _: Result(read(simulator, company, call), 1),
    "companyinfo": lambda _s, company, call, _t: Result(company_info(company, call.parts), 1),
    "preferences": lambda _s, company, _c, _t: Result(preferences(company), 1),
    "exchangerate": lambda simulator, company, call, _: Result(
        exchange_rate(company, call.params, simulator.clock), 1
    ),
    "taxclassification": lambda _s, company, call, _t: Result(
        *tax_classes(company, call.parts, call.params)
    ),
    "report": lambda simulator, company, call, _: Result(
        report(company, call.entity, call.params, simulator.clock)
    ),
    **dict.fromkeys(
        ("create", "update", "delete", "void"),
        lambda simulator, company, call, _: Result(write(simulator, company, call)),
    ),
}
