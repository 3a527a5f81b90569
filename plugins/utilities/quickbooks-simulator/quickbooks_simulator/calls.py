"""What a request to a company asks for: operation, entity and statement."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from quickbooks_simulator.entities import BY_QUERY_NAME, ENTITIES, Entity
from quickbooks_simulator.jsontext import loads

if TYPE_CHECKING:
    from collections.abc import Mapping

BY_PATH = {entity.path: entity for entity in ENTITIES.values()}
_FROM = re.compile(r"\bfrom\s+(\w+)", re.IGNORECASE)
_COUNT = re.compile(r"^\s*select\s+count\s*\(", re.IGNORECASE)
SINGLE = {"companyinfo", "preferences", "exchangerate", "taxclassification"}


class Sent(NamedTuple):
    """The body of a request."""

    body: bytes
    content_type: str = ""


class Call(NamedTuple):
    """One request to `/v3/company/{realm}/...`."""

    operation: str
    entity: str = ""
    statement: str = ""
    parts: tuple[str, ...] = ()
    params: Mapping[str, str] = {}
    body: Any = None

    @property
    def target(self) -> Entity | None:
        """Return the entity that the path names."""
        return BY_PATH.get(self.parts[0]) if self.parts else None


def entity_of(statement: str) -> str:
    """Return the response key of the entity that a statement reads."""
    found = _FROM.search(statement)
    return entity_key(found[1] if found else "")


def entity_key(name: str) -> str:
    """Return the response key of an entity called by its query name, or the name itself."""
    entity = BY_QUERY_NAME.get(name.lower())
    return entity.key if entity else name


def classify(method: str, path: str, params: Mapping[str, str], sent: Sent) -> Call:
    """Name the operation of a request; unknown ones are `unknown`."""
    original = tuple(part for part in path.split("/") if part)
    head = original[0].lower() if original else ""
    parts = (head, *original[1:])
    match head:
        case "query":
            return _query(method, params, sent)
        case "cdc":
            names = (entity_key(name.strip()) for name in params.get("entities", "").split(","))
            return Call("cdc", ",".join(names), params.get("changedSince", ""), parts, params)
        case "batch":
            return _batch(sent.body, params)
        case "reports":
            return Call("report", "/".join(original[1:]), "", parts, params)
        case _:
            return _entity_call(method, parts, params, sent)


def _entity_call(
    method: str, parts: tuple[str, ...], params: Mapping[str, str], sent: Sent
) -> Call:
    """Name an operation on the entity that the path names."""
    head = parts[0]
    operation = "unknown"
    if method == "GET" and head in SINGLE:
        operation = head
    elif method == "GET" and head in BY_PATH and len(parts) > 1:
        operation = "read"
    elif method == "POST" and head in BY_PATH:
        return _write(BY_PATH[head].key, head, params, sent.body)
    key = BY_PATH[head].key if head in BY_PATH else ""
    return Call(operation, key, "", parts, params)


def _query(method: str, params: Mapping[str, str], sent: Sent) -> Call:
    statement = params.get("query", "")
    if method == "POST" and not statement:
        kind = sent.content_type.partition(";")[0].strip().lower()
        if kind not in ("application/text", "text/plain"):
            return Call("query", "", "", ("query", "unsupported"), params)
        statement = sent.body.decode("utf-8", "replace")
    operation = "count" if _COUNT.match(statement) else "query"
    return Call(operation, entity_of(statement), statement.strip(), ("query",), params)


def _batch(body: bytes, params: Mapping[str, str]) -> Call:
    content = _json(body)
    items = content.get("BatchItemRequest") if isinstance(content, dict) else None
    names: list[str] = []
    for item in items if isinstance(items, list) else []:
        if isinstance(item, dict):
            query = item.get("Query")
            names.append(
                entity_of(str(query)) if query else next((k for k in item if k in ENTITIES), "")
            )
    statement = body.decode("utf-8", "replace")
    return Call("batch", ",".join(dict.fromkeys(names)), statement, ("batch",), params, content)


def _write(key: str, head: str, params: Mapping[str, str], body: bytes) -> Call:
    content = _json(body)
    operation = params.get("operation", "").lower()
    if operation == "update" and params.get("include", "").lower() == "void":
        operation = "void"
    if operation not in ("delete", "void"):
        has_id = isinstance(content, dict) and "Id" in content
        operation = "update" if has_id or operation == "update" else "create"
    return Call(operation, key, "", (head,), params, content)


def _json(body: bytes) -> Any:  # noqa: ANN401 - whatever the client sent
    try:
        return loads(body)
    except ValueError:
        return None
