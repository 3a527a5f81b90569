"""Batches: up to thirty independent items in one request, each with its own fault."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from quickbooks_simulator.calls import Call, entity_of
from quickbooks_simulator.disorder import disordered
from quickbooks_simulator.entities import ENTITIES
from quickbooks_simulator.faults import INACTIVE, Fault, system_failure, unsupported
from quickbooks_simulator.jsontext import encode
from quickbooks_simulator.selection import select
from quickbooks_simulator.writes import write

if TYPE_CHECKING:
    from quickbooks_simulator.company import Company
    from quickbooks_simulator.pages import Tricks
    from quickbooks_simulator.simulator import Simulator


def run_batch(
    simulator: Simulator, company: Company, call: Call, tricks: Tricks
) -> tuple[bytes, int]:
    """Return `"BatchItemResponse": [...]` and the number of rows in it.

    Raises:
        Fault: The batch as a whole is refused.
    """
    settings = simulator.settings
    items = call.body.get("BatchItemRequest") if isinstance(call.body, dict) else None
    if settings.refuse_batch:
        raise unsupported("batch")
    if not isinstance(items, list) or not items:
        raise Fault("2010", "MalformedRequest", "Batch Request is Empty")
    if len(items) > settings.batch_items:
        raise Fault(
            "1040",
            "Maximum batch items exceeded",
            f"The maximum number of batch items is {settings.batch_items}.",
        )
    answers, rows = [], 0
    for item in items:
        room = None if settings.batch_objects is None else settings.batch_objects - rows
        body, count = _item(simulator, company, item, _limited(tricks, room))
        answers.append(body)
        rows += count
    if settings.batch_shuffled:
        answers = disordered(answers, f"{company.spec.seed}/{len(items)}")
    meter = simulator.meters.of(company.realm_id)
    meter.batch_items += len(items)
    return b'"BatchItemResponse":[' + b",".join(answers) + b"]", rows


def _limited(tricks: Tricks, room: int | None) -> Tricks:
    """Let no page have more rows than there is room for."""
    if room is None:
        return tricks
    return {
        name: trick._replace(keep=max(0, room if trick.keep is None else min(room, trick.keep)))
        for name, trick in tricks.items()
    }


def _item(
    simulator: Simulator, company: Company, item: object, tricks: Tricks
) -> tuple[bytes, int]:
    content = item if isinstance(item, dict) else {}
    try:
        body, rows = _answer(simulator, company, content, tricks)
    except Fault as fault:
        body, rows = b'"Fault":' + encode(fault.body()), 0
    return b'{"bId":%s,%s}' % (encode(content.get("bId", "")), body), rows


def _answer(
    simulator: Simulator, company: Company, item: dict[str, Any], tricks: Tricks
) -> tuple[bytes, int]:
    if "Query" not in item:
        return write(simulator, company, _call(item)), 0
    statement, settings = str(item["Query"]), simulator.settings
    if settings.lists(settings.batch_faults, company.realm_id, entity_of(statement)):
        raise system_failure(INACTIVE)
    selected = select(
        company,
        statement,
        settings=settings,
        clock=simulator.clock,
        tricks=tricks,
    )
    return b'"QueryResponse":' + selected.body, selected.rows


def _call(item: dict[str, Any]) -> Call:
    key = next((key for key in item if key in ENTITIES), None)
    if key is None:
        raise unsupported(str(item.get("operation", "")))
    operation = str(item.get("operation", ""))
    if "void" in str(item.get("optionsData", "")).lower():
        operation = "void"
    return Call(operation, key, "", (ENTITIES[key].path,), {}, item[key])
