"""COUNT for many queries at once: thirty in one batch call.

https://developer.intuit.com/app/developer/qbo/docs/api/accounting/all-entities/batch
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from tap_quickbooks_raw.exceptions import EntityError
from tap_quickbooks_raw.pages import total_count

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tap_quickbooks_raw.client import QuickBooksClient
    from tap_quickbooks_raw.query import Query

BATCH_ITEMS = 30


def count_all(
    client: QuickBooksClient, queries: Sequence[Query], *, enough: int | None = None
) -> list[int | None]:
    """Count the objects of many queries.

    Args:
        client: Sends the batches.
        queries: What to count.
        enough: When so many are counted, the rest is taken to be empty.

    Returns:
        A number per query; None where QBO does not count, for whatever reason.
    """
    counts: list[int | None] = []
    for first in range(0, len(queries), BATCH_ITEMS):
        known = sum(count or 0 for count in counts)
        if enough is not None and known >= enough and None not in counts:
            counts += [0] * (len(queries) - first)
            break
        counts += _count_batch(client, queries[first : first + BATCH_ITEMS])
    return counts


def _count_batch(client: QuickBooksClient, queries: Sequence[Query]) -> list[int | None]:
    items = [{"bId": str(number), "Query": query.count()} for number, query in enumerate(queries)]
    try:
        answer = client.post("batch", {"BatchItemRequest": items}, attempts=2)
    except EntityError:
        return [None] * len(queries)
    counts = dict(_item(item) for item in answer.items)
    return [counts.get(str(number)) for number in range(len(queries))]


def _item(item: Mapping[str, msgspec.Raw]) -> tuple[str, int | None]:
    try:
        number = msgspec.json.decode(item["bId"], type=str)
        query = msgspec.json.decode(item["QueryResponse"], type=dict[str, msgspec.Raw])
    except (KeyError, msgspec.DecodeError):
        return "", None
    return number, total_count(query)
