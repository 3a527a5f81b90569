"""What a verification compares."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

import psycopg
from typing_extensions import override

from tap_quickbooks_raw.exceptions import QuickBooksError
from tap_quickbooks_raw.query import instant
from tap_quickbooks_raw.raw_tables import reason
from tap_quickbooks_raw.verification.raw_rows import RawRows

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from tap_quickbooks_raw.entities import Entity
    from tap_quickbooks_raw.pages import Stamp
    from tap_quickbooks_raw.run import Run
    from tap_quickbooks_raw.verification.finding import Finding

# A bare date is a day of the company, which may end 12 hours later than in UTC.
BARE_DAY = timedelta(hours=36)


class Since(NamedTuple):
    """From when on changes need not be in `raw` yet.

    Attributes:
        moment: The moment.
        why: Why this one.
    """

    moment: datetime
    why: str

    @override
    def __str__(self) -> str:
        return f"{instant(self.moment)} ({self.why})"

    def covers(self, stamp: Stamp | None) -> bool:
        """Whether a change with this time may have been made since."""
        if stamp is None:
            return False
        return stamp.moment >= self.moment - (timedelta() if stamp.exact else BARE_DAY)


@dataclass(frozen=True, slots=True)
class Scope:
    """What is compared.

    Attributes:
        run: The company and the settings.
        connection: The database, with autocommit and in UTC.
        schema: The raw schema.
    """

    run: Run
    connection: psycopg.Connection
    schema: str = "raw"

    @property
    def start(self) -> datetime:
        """Lower bound of LastUpdatedTime, inclusive."""
        return self.run.settings.start

    @property
    def end(self) -> datetime | None:
        """Upper bound, exclusive; None for none."""
        return self.run.settings.end

    @property
    def clock(self) -> datetime:
        """The time, as QBO tells it."""
        return self.run.clock

    def rows(self, entity: Entity) -> RawRows:
        """The company's rows of an entity."""
        return RawRows(
            self.connection,
            entity.stream,
            schema=self.schema,
            realm_id=self.run.settings.realm_id,
        )

    @contextmanager
    def reading(self, finding: Finding) -> Iterator[None]:
        """Keep trouble with a table to its entity.

        Raises:
            QuickBooksError: The database has gone away.
        """
        try:
            yield
        except psycopg.Error as error:
            if self.connection.closed:
                raise QuickBooksError(f"the database has gone away ({reason(error)})") from None
            finding.raw_error = reason(error)

    def since(self, entity: Entity, loaded_to: datetime | None) -> Since:
        """From when on changes need not be in `raw` yet.

        Args:
            entity: The entity.
            loaded_to: Up to when `raw` was loaded; None if nothing tells.
        """
        settings = self.run.settings
        settled = Since(self.clock - settings.settle, "what is younger no run reads yet")
        since = settled
        if loaded_to is not None and loaded_to <= settled.moment:
            since = Since(loaded_to, "up to which raw was loaded")
        if entity.is_rare:
            rested = Since(self.clock - settings.rarely_read, "see rarely_read_hours")
            since = min(since, rested)
        return min(since, Since(self.end, "end_date")) if self.end else since
