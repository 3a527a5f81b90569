"""Pages as large as QBO can make them.

A page may fail for good: one object in it is broken (code 10000, "something you're trying to
use has been made inactive"), or it is too heavy (504, a time-out, an answer cut short). Then
fewer rows are asked for: where one object is at fault, half of those among which it must be,
until it is alone; where the size is, half as many from then on.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from tap_quickbooks_raw.exceptions import UnreadableError

if TYPE_CHECKING:
    from tap_quickbooks_raw.pages import Page, Source
    from tap_quickbooks_raw.query import Query

# After so many pages of a reduced size a larger one is tried again.
PAGES_UNTIL_GROWTH = 50
# A full page is asked for twice before a smaller one is; smaller ones are asked for once.
PATIENCE = 2

logger = logging.getLogger("tap-quickbooks-raw.fitting")


class Sizes:
    """How many rows a page of an entity may have; shared by all that read this entity.

    Args:
        most: The size that was asked for by the user.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._good = 0
        self._until_growth = PAGES_UNTIL_GROWTH
        self._has_grown = False
        self.limit = most

    def reduce(self, size: int) -> None:
        """Note that pages of a size are too heavy."""
        if self._has_grown:
            self._until_growth *= 2
            self._has_grown = False
        self.limit = max(1, min(self.limit, size // 2))
        self._good = 0

    def restore(self, limit: int) -> None:
        """Note that not the size was at fault."""
        self.limit = max(self.limit, limit)

    def note_success(self) -> None:
        """Try larger pages again after many good ones, and after more each time it fails."""
        if self.limit < self._most:
            self._good += 1
            if self._good >= self._until_growth:
                self._good = 0
                self._has_grown = True
                self.limit = min(2 * self.limit, self._most)


class Fitting:
    """Fetches pages of one query, each as large as it can be had.

    Args:
        source: Fetches the pages.
        doubtful: Whether an object that cannot be read is known to be near, so that one that
            fails alone is believed to be broken without using all attempts.
    """

    def __init__(self, source: Source, *, doubtful: bool = False) -> None:
        self._source = source
        self._doubtful = doubtful
        self.most: int | None = None  # There are fewer rows than these.
        self._suspects = 0  # So many unread rows are next, and one of them is broken.

    def fetch(self, query: Query, *, position: int = 1, known: int = 0) -> Page:
        """Fetch a page.

        Args:
            query: What is asked for.
            position: Where the page begins, from 1.
            known: So many rows at its beginning have been read before.

        Raises:
            UnreadableError: The first unread row alone cannot be read.
        """
        sizes = self._source.sizes
        limit = sizes.limit
        is_sure = False
        while True:
            unread = max(1, self._suspects // 2) if self._suspects else sizes.limit
            size = min(known + unread, sizes.limit, self.most or sizes.limit)
            is_alone = size <= known + 1
            patience = None if is_sure else self._patience(alone=is_alone)
            is_sure = False
            try:
                page = self._source.fetch(query, position=position, size=size, patience=patience)
            except UnreadableError as error:
                if is_alone and error.is_heavy and patience is not None:
                    is_sure = True  # It may be slow today; only all attempts tell.
                    continue
                if is_alone:
                    self._suspects = 0
                    if error.is_heavy:
                        sizes.restore(limit)  # This one row was at fault.
                    raise
                logger.info(
                    "%s: %d rows cannot be read at once, asking for fewer (%s)",
                    self._source.entity.stream,
                    size,
                    error,
                )
                if error.is_heavy:
                    sizes.reduce(size)
                else:
                    self._suspects = size - known
                continue
            if len(page.rows) == self.most:
                self.most = None  # There are more than were counted.
            sizes.note_success()
            self._suspects = max(0, self._suspects - max(1, len(page.rows) - known))
            return page

    def _patience(self, *, alone: bool) -> int | None:
        if alone:
            return PATIENCE if self._doubtful or self._source.lost else None
        return 1 if self._suspects else PATIENCE
