"""What CDC tells to be deleted, of several entities at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tap_quickbooks_raw.cdc import ChangeData, Span
from tap_quickbooks_raw.entities import Cdc
from tap_quickbooks_raw.following import REACH
from tap_quickbooks_raw.planning import Task
from tap_quickbooks_raw.verification.scope import Since

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from tap_quickbooks_raw.entities import Entity
    from tap_quickbooks_raw.verification.scope import Scope

    # When objects were deleted, by Id.
    Deleted = dict[str, datetime]


def deletions(scope: Scope, since: Mapping[Entity, datetime]) -> dict[str, Deleted]:
    """Ask CDC what was deleted, one call as a rule.

    Args:
        scope: What is compared.
        since: The entities to ask for, and from when on.

    Returns:
        What was deleted since then, by stream; what is not told is not in it.

    Raises:
        CompanyError: Nothing of the company can be read.
        BudgetReached: No further request may be sent.
    """
    oldest = scope.clock - REACH
    data = ChangeData(scope.run.client)
    data.ask(
        Span(max(moment, oldest), Task(entity, max(moment, oldest)))
        for entity, moment in since.items()
        if entity.cdc is not Cdc.NO
    )
    found: dict[str, Deleted] = {}
    for stream, reply in (data.replies | data.cut).items():
        living = {row.id for row in reply.changes.living}
        # CDC is asked from a second before, or a day for the sake of others.
        after = Since(since[reply.span.task.entity], "asked for")
        found[stream] = {
            each.id: each.stamp.moment if each.stamp else reply.received_at
            for each in reply.changes.deleted
            if each.id not in living and (each.stamp is None or after.covers(each.stamp))
        }
    return found
