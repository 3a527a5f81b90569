"""What the state holds of a stream, beside the SDK's own bookmark."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tap_quickbooks_raw.settings import parse_date

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

READ_TO = "replication_key_value"
DELETIONS_KNOWN_TO = "deletions_known_to"
DELETIONS_UNKNOWN_BEFORE = "deletions_unknown_before"
CHECKED_AT = "checked_at"
CDC_REFUSED_AT = "cdc_refused_at"
READ_WHOLE = "read_whole"
WHOLE_DIGEST = "whole_digest"
LOST = "lost"
INSTANTS = (READ_TO, DELETIONS_KNOWN_TO, DELETIONS_UNKNOWN_BEFORE, CHECKED_AT, CDC_REFUSED_AT)


@dataclass(frozen=True, slots=True)
class Bookmark:
    """How far a stream has been read.

    Attributes:
        read_to: Everything that was last changed before has been emitted.
        deletions_known_to: So have the deletions before, as far as they were after the start
            of the first run.
        checked_at: When something that is asked for rarely was last asked for.
        cdc_refused_at: When CDC last refused the entity.
        read_whole: How many objects there were when the entity had to be read whole, for want
            of windows; None if it had not.
        whole_digest: What these objects were when they were last emitted in passing.
    """

    read_to: datetime | None = None
    deletions_known_to: datetime | None = None
    checked_at: datetime | None = None
    cdc_refused_at: datetime | None = None
    read_whole: int | None = None
    whole_digest: str = ""

    @property
    def is_read(self) -> bool:
        """Whether it has been read at all, wholly or in part."""
        return self.read_to is not None or self.read_whole is not None

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> Bookmark:
        """Read a stream's part of the state."""

        def instant(name: str) -> datetime | None:
            return parse_date(values[name]) if values.get(name) else None

        whole = values.get(READ_WHOLE)
        return cls(
            instant(READ_TO),
            instant(DELETIONS_KNOWN_TO),
            instant(CHECKED_AT),
            instant(CDC_REFUSED_AT),
            read_whole=whole if isinstance(whole, int) else None,
            whole_digest=str(values.get(WHOLE_DIGEST, "")),
        )
