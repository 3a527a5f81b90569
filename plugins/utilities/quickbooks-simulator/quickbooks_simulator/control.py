"""The endpoints under `/_simulator/`: look inside, edit data, script trouble, move the clock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from quickbooks_simulator.entities import BY_QUERY_NAME, ENTITIES
from quickbooks_simulator.jsontext import encode, loads
from quickbooks_simulator.rules import Edit
from quickbooks_simulator.tables import key_slot

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from starlette.requests import Request

    from quickbooks_simulator.company import Company
    from quickbooks_simulator.simulator import Simulator
    from quickbooks_simulator.tables import Table

NDJSON = "application/x-ndjson"
CHUNK = 1000


class RefusedError(Exception):
    """A control request makes no sense; the message says why."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


def _json(value: object, status: int = 200) -> Response:
    return Response(encode(value), status, media_type="application/json")


def control(
    answer: Callable[[Simulator, Request, Any], object],
) -> Callable[[Request], Awaitable[Response]]:
    """Turn a function of the simulator, the request and its JSON body into an endpoint."""

    async def endpoint(request: Request) -> Response:
        body = await request.body()
        try:
            content = loads(body) if body else None
            value = answer(request.app.state.simulator, request, content)
        except RefusedError as error:
            return _json({"error": str(error)}, error.status)
        except ValueError as error:
            return _json({"error": str(error)}, 400)
        return value if isinstance(value, Response) else _json(value)

    return endpoint


def rows_of(table: Table) -> list[bytes]:
    """Return every living object of a table as it is served, in order of creation."""
    return table.texts(table.in_order("oldest"))


def _company(simulator: Simulator, request: Request) -> Company:
    realm = request.path_params["realm"]
    company = simulator.companies.get(realm)
    if company is None:
        raise RefusedError(f"There is no company {realm}.", 404)
    company.reveal(simulator.clock.now())
    return company


def read_edits(content: object) -> list[Edit]:
    """Read a list of edits.

    Raises:
        ValueError: A key is unknown or a value of the wrong kind.
    """
    try:
        return msgspec.convert(content, list[Edit])
    except msgspec.ValidationError as error:
        raise ValueError(f"Edits: {error}.") from None


def _health(simulator: Simulator, _request: Request, _content: object) -> object:
    return {"status": "ok", "realm_ids": list(simulator.companies)}


def _requests(simulator: Simulator, request: Request, _content: object) -> object:
    if request.method == "DELETE":
        simulator.log.clear()
        return {"cleared": True}
    return simulator.log.entries()


def _rows(simulator: Simulator, request: Request, _content: object) -> object:
    company, name = _company(simulator, request), request.path_params["entity"]
    entity = ENTITIES.get(name) or BY_QUERY_NAME.get(name.lower())
    if entity is None:
        raise RefusedError(f"There is no entity {name}.", 404)
    table = company.table(entity)
    slots = [key_slot(key) for key in table.by_time]
    slots.sort()

    def lines() -> Iterator[bytes]:
        for start in range(0, len(slots), CHUNK):
            yield b"".join(text + b"\n" for text in table.texts(slots[start : start + CHUNK]))

    return StreamingResponse(lines(), media_type=NDJSON)


def _counts(simulator: Simulator, request: Request, _content: object) -> object:
    return _company(simulator, request).counts()


def _edits(simulator: Simulator, request: Request, content: object) -> object:
    realm = _company(simulator, request).realm_id
    return {"ids": simulator.edit(realm, read_edits(content))}


def _rules(simulator: Simulator, request: Request, content: object) -> object:
    if request.method == "DELETE":
        simulator.rules.clear()
        return {"rules": 0}
    return {"added": simulator.rules.add(content)}


def _settings(simulator: Simulator, request: Request, content: object) -> object:
    if request.method == "PATCH":
        if not isinstance(content, dict):
            raise RefusedError("Settings: a JSON object is expected.")
        simulator.configure(content)
    return simulator.settings


def _meter(simulator: Simulator, _request: Request, _content: object) -> object:
    return simulator.meters.all()


def _clock(simulator: Simulator, _request: Request, content: object) -> object:
    if not isinstance(content, dict) or set(content) != {"advance_seconds"}:
        raise RefusedError('Clock: {"advance_seconds": number} is expected.')
    simulator.advance(float(content["advance_seconds"]))
    return {"time": simulator.clock.envelope_time()}


def _tokens(simulator: Simulator, _request: Request, _content: object) -> object:
    simulator.tokens.expire_access()
    return {"expired": True}


ROUTES = [
    Route("/_simulator/health", control(_health)),
    Route("/_simulator/requests", control(_requests), methods=["GET", "DELETE"]),
    Route("/_simulator/companies/{realm}/rows/{entity}", control(_rows)),
    Route("/_simulator/companies/{realm}/counts", control(_counts)),
    Route("/_simulator/companies/{realm}/edits", control(_edits), methods=["POST"]),
    Route("/_simulator/rules", control(_rules), methods=["POST", "DELETE"]),
    Route("/_simulator/settings", control(_settings), methods=["GET", "PATCH"]),
    Route("/_simulator/meter", control(_meter)),
    Route("/_simulator/clock", control(_clock), methods=["POST"]),
    Route("/_simulator/expire-access-tokens", control(_tokens), methods=["POST"]),
]
