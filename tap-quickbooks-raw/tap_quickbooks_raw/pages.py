"""Pages of objects: what a page is, and how one is fetched and taken apart.

An object is never rebuilt: a small head is read from it (Id and LastUpdatedTime), the object
itself stays the bytes that were sent.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from tap_quickbooks_raw.entities import Reading
from tap_quickbooks_raw.exceptions import EntityError
from tap_quickbooks_raw.fitting import Sizes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tap_quickbooks_raw.client import QuickBooksClient
    from tap_quickbooks_raw.entities import Entity
    from tap_quickbooks_raw.query import Query


class Stamp(NamedTuple):
    """A LastUpdatedTime.

    Attributes:
        moment: The instant, in UTC.
        exact: False for a bare date (seen for InventoryAdjustment), which stands for the
            midnight in UTC and cannot be used for paging.
    """

    moment: datetime
    exact: bool


class Row(NamedTuple):
    """One object.

    Attributes:
        id: Its key within the entity.
        stamp: Its LastUpdatedTime, if it has one.
        payload: The object as sent.
    """

    id: str
    stamp: Stamp | None
    payload: msgspec.Raw


class Page(NamedTuple):
    """Rows of one answer.

    Attributes:
        rows: The rows, in the order of the answer.
        received_at: When it was received, in UTC.
        path: What was asked, below the company.
        query: The text of the query; None for a plain GET.
        size: Rows asked for.
        number: Number of the page within its window, from 1.
        params: What else is asked for, as in the address.
    """

    rows: list[Row]
    received_at: datetime
    path: str
    query: str | None
    size: int
    number: int = 1
    params: Mapping[str, str] = {}


class _MetaData(msgspec.Struct):
    updated: str | None = msgspec.field(default=None, name="LastUpdatedTime")


class _Head(msgspec.Struct):
    id: str | int | None = msgspec.field(default=None, name="Id")
    lower_id: str | int | None = msgspec.field(default=None, name="id")
    meta: _MetaData | None = msgspec.field(default=None, name="MetaData")
    source: str | None = msgspec.field(default=None, name="SourceCurrencyCode")
    target: str | None = msgspec.field(default=None, name="TargetCurrencyCode")
    as_of: str | None = msgspec.field(default=None, name="AsOfDate")

    @property
    def key(self) -> str | None:
        if self.id not in {None, ""}:
            return str(self.id)
        if self.source and self.target and self.as_of:
            return f"{self.source}-{self.target}-{self.as_of}"
        return None if self.lower_id in {None, ""} else str(self.lower_id)


_split = msgspec.json.Decoder(list[msgspec.Raw]).decode
_head = msgspec.json.Decoder(_Head).decode
_nested = msgspec.json.Decoder(dict[str, _Head]).decode


logger = logging.getLogger("tap-quickbooks-raw.pages")


class Source:
    """The pages of one entity; all that read this entity share it.

    Args:
        client: Sends the requests.
        entity: What is asked for.
        size: Rows per page at most.

    Attributes:
        sizes: How many rows a page may have.
        lost: What to say about each object that cannot be read.
    """

    def __init__(self, client: QuickBooksClient, entity: Entity, *, size: int = 1000) -> None:
        self.entity = entity
        self.sizes = Sizes(size)
        self.lost: list[str] = []
        self._client = client

    def fetch(self, query: Query, *, position: int, size: int, patience: int | None = None) -> Page:
        """Fetch a page of a query; positions count from 1."""
        text = query.page(position=position, rows=size)
        answer = self._client.get("query", patience=patience, query=text)
        rows = self.rows(answer.query, answer.tid)
        return Page(rows, answer.received_at, "query", text, size)

    def fetch_all(self) -> Page:
        """Fetch an entity that has a GET of its own, whole."""
        path = self.entity.name.lower()
        answer = self._client.get(path)
        rows = self.rows(answer.query, answer.tid)
        return Page(rows, answer.received_at, path, None, len(rows))

    def count(self, query: Query) -> int | None:
        """Ask for the number of objects; None where QBO does not count this entity."""
        try:
            answer = self._client.get("query", attempts=1, query=query.count())
        except EntityError:
            return None
        return total_count(answer.query)

    def report(self, query: Query, errors: Sequence[EntityError], *, known: set[str]) -> None:
        """Note that objects of a query cannot be read, one for each error.

        Args:
            query: A query for them and for those around them.
            errors: What QBO said for each.
            known: Ids of those around them.
        """
        ids = sorted(self._ids(query) - known)
        named = ids if len(ids) == len(errors) else [""] * len(errors)
        where = " AND ".join(query.conditions) or "all"
        for name, error in zip(named, errors, strict=True):
            text = f"{self.entity.name} {name or '(Id unknown)'} ({where}): {error}"
            self.lost.append(text)
            logger.error("%s: QBO cannot send an object: %s", self.entity.stream, text)

    def _ids(self, query: Query) -> set[str]:
        """Ask for Ids alone, which may work where whole objects do not; empty if it does not."""
        text = query.page(position=1, rows=self.sizes.limit, columns="Id")
        try:
            answer = self._client.get("query", attempts=1, query=text)
            return {row.id for row in self.rows(answer.query, answer.tid)}
        except EntityError:
            return set()

    def rows(self, query: Mapping[str, msgspec.Raw], tid: str) -> list[Row]:
        """Take the list in an answer apart.

        Args:
            query: The answer's lists by key.
            tid: Its `intuit_tid`.
        """
        content = _list(query, self.entity)
        return [] if content is None else rows_of(self.entity, content, tid)


def rows_of(entity: Entity, content: msgspec.Raw | Sequence[msgspec.Raw], tid: str) -> list[Row]:
    """Read the heads of objects.

    Args:
        entity: What they are.
        content: The objects, or the list of them as sent.
        tid: The answer's `intuit_tid`.

    Raises:
        EntityError: An object is not what it should be.
    """
    read = _nested_head if entity.reading is Reading.NESTED else _head
    try:
        objects = _split(content) if isinstance(content, msgspec.Raw) else content
        heads = [read(raw) for raw in objects]
    except msgspec.DecodeError as error:
        raise EntityError(f"an object has another shape than documented ({error})") from None
    return [
        Row(_key(head, tid), _stamp(head), raw) for head, raw in zip(heads, objects, strict=True)
    ]


def total_count(query: Mapping[str, msgspec.Raw]) -> int | None:
    """Read the answer to a COUNT; None where it has no number."""
    try:
        return msgspec.json.decode(query["totalCount"], type=int)
    except (KeyError, msgspec.DecodeError):
        return None


@lru_cache(maxsize=4096)
def parse_stamp(text: str) -> Stamp | None:
    """Read a LastUpdatedTime; None where it is no date-time at all."""
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            return Stamp(moment.replace(tzinfo=UTC), exact=False)
        return Stamp(moment.astimezone(UTC), exact=True)
    except (ValueError, OverflowError):
        return None


def _list(query: Mapping[str, msgspec.Raw], entity: Entity) -> msgspec.Raw | None:
    """The list of objects, by its key or as the only list there is; None where there is none."""
    if entity.response_key in query:
        return query[entity.response_key]
    lists = [raw for raw in query.values() if bytes(raw).lstrip()[:1] == b"["]
    if len(lists) > 1 or (not lists and bytes(query.get("maxResults", b"0")) != b"0"):
        raise EntityError(f"the answer has no list {entity.response_key!r}")
    return lists[0] if lists else None


def _nested_head(raw: msgspec.Raw) -> _Head:
    heads = _nested(raw)
    return next((head for head in heads.values() if head.id is not None), _Head())


def _key(head: _Head, tid: str) -> str:
    key = head.key
    if key is None:
        raise EntityError(f"an object has no Id [intuit_tid {tid}]")
    return key


def _stamp(head: _Head) -> Stamp | None:
    return parse_stamp(head.meta.updated) if head.meta and head.meta.updated else None
