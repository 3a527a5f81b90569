"""A sample of objects, compared with `raw` digit by digit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tap_quickbooks_raw.exceptions import EntityError
from tap_quickbooks_raw.verification.finding import Reason
from tap_quickbooks_raw.verification.objects import objects

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tap_quickbooks_raw.pages import Row
    from tap_quickbooks_raw.verification.finding import Finding
    from tap_quickbooks_raw.verification.scope import Scope, Since

# What moves while it is read is read again.
ROUNDS = 2
NAMED = 10
UNREAD = "not sampled"


def shares(rows: Mapping[str, int], number: int) -> dict[str, int]:
    """Spread a number over entities by their rows, each that has any getting one first.

    Args:
        rows: Rows by stream.
        number: How many in all.
    """
    found = dict.fromkeys(rows, 0)
    filled = [stream for stream in sorted(rows, key=lambda name: -rows[name]) if rows[stream]]
    for stream in filled[:number]:
        found[stream] = 1
    left = number - sum(found.values())
    spare = {stream: rows[stream] - found[stream] for stream in filled}
    total = sum(spare.values())
    if left <= 0 or not total:
        return found
    for stream in filled:
        found[stream] += min(spare[stream], left * spare[stream] // total)
    for stream in filled:
        left = number - sum(found.values())
        found[stream] += max(0, min(left, rows[stream] - found[stream]))
    return found


def compare_sample(scope: Scope, finding: Finding, ids: Iterable[str], since: Since) -> None:
    """Read some objects and compare them with their rows.

    Args:
        scope: What is compared.
        finding: What was found of their entity.
        ids: Their ids.
        since: From when on changes need not be in `raw` yet.
    """
    rows = scope.rows(finding.entity)
    asked = set(ids)
    sent: dict[str, Row] = {}
    differing: dict[str, list[str]] = {}
    left = asked
    try:
        for _ in range(ROUNDS):
            pages = objects(scope, finding.entity, left)
            found = {row.id: row for page in pages for row in page.rows}
            sent |= found
            differing = rows.differing({key: bytes(row.payload) for key, row in found.items()})
            left = set(differing)
            if not left:
                break
    except EntityError as error:
        finding.faults.append(Reason(len(asked), UNREAD, f"the sample cannot be read: {error}"))
        return
    finding.sampled = len(sent)
    _note_unsent(finding, asked - sent.keys())
    changed = {key for key in differing if since.covers(sent[key].stamp)}
    if changed:
        told = f"{len(changed):,} of the sample changed in QBO after {since}"
        finding.excused.append(Reason(len(changed), "changed since", told))
    finding.differing = {key: differing[key] for key in sorted(differing.keys() - changed)}
    if finding.differing:
        text = "; ".join(_told(key, names) for key, names in finding.differing.items())
        finding.faults.append(Reason(len(finding.differing), "differ", f"payloads differ: {text}"))


def _note_unsent(finding: Finding, unsent: set[str]) -> None:
    """Note what QBO did not send; whether it is gone the comparison of ids tells."""
    if unsent:
        finding.notes.append(
            f"{len(unsent):,} of the sample were not sent by QBO, which --ids looks into: "
            + ", ".join(sorted(unsent)[:NAMED])
        )


def _told(key: str, names: list[str]) -> str:
    return f"{key} ({', '.join(names) or 'payload'})"
