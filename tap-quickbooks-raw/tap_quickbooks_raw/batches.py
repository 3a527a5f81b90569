"""Small queries, thirty in one batch call.

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
FAULTS = ("Fault", "fault")

Lists = dict[str, msgspec.Raw]


def ask_batch(client: QuickBooksClient, texts: Sequence[str]) -> list[Lists | None]:
    """Send queries as one batch, which may be done without.

    Args:
        client: Sends the batch.
        texts: Texts of queries, `BATCH_ITEMS` at most.

    Returns:
        The lists of an answer by key, for each query; None where it has none, for whatever
        reason.
    """
    try:
        answer = client.batch(texts, attempts=2)
    except EntityError:
        return [None] * len(texts)
    answers = dict(_item(item) for item in answer.items)
    return [answers.get(str(number)) for number in range(len(texts))]


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
        texts = [query.count() for query in queries[first : first + BATCH_ITEMS]]
        answers = ask_batch(client, texts)
        counts += [None if lists is None else total_count(lists) for lists in answers]
    return counts


def _item(item: Mapping[str, msgspec.Raw]) -> tuple[str, Lists | None]:
    try:
        number = msgspec.json.decode(item["bId"], type=str | int)
        lists = msgspec.json.decode(item["QueryResponse"], type=Lists)
    except (KeyError, msgspec.DecodeError):
        return "", None
    is_fault = any(
        bytes(part.get(key, b"null")) != b"null" for part in (item, lists) for key in FAULTS
    )
    return str(number), None if is_fault else lists
