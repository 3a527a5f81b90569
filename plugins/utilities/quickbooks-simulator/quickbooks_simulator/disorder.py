"""Another order than the one that was asked for, the same each time."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

T = TypeVar("T")


def disordered(items: Sequence[T], seed: str) -> list[T]:
    """Return the items in an order that differs from theirs whenever there are two."""
    order = list(range(len(items)))
    random.Random(seed).shuffle(order)  # noqa: S311 - no secret
    if order == sorted(order):
        order.reverse()
    return [items[place] for place in order]
