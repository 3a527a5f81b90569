"""Mends what differs: loads objects again as the tap does, and marks what is gone.

A newer version is never overwritten by an older one, and an equal row is left as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import psycopg
from psycopg import sql

from tap_quickbooks_raw.exceptions import EntityError
from tap_quickbooks_raw.raw_tables import reason
from tap_quickbooks_raw.records import PRIMARY_KEYS, RAW_SCHEMA, RecordLines
from tap_quickbooks_raw.verification.objects import objects

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import datetime

    from tap_quickbooks_raw.pages import Page
    from tap_quickbooks_raw.verification.finding import Finding
    from tap_quickbooks_raw.verification.scope import Scope

# So much is not deleted in a company's everyday life: that many rows, and such a share of all.
MANY_ROWS = 100
LARGE_SHARE = 0.05
_JSON = {name for name, kind in RAW_SCHEMA["properties"].items() if "object" in kind["type"]}
_INSTANTS = {name for name, kind in RAW_SCHEMA["properties"].items() if "format" in kind}


class _Line(msgspec.Struct):
    record: dict[str, msgspec.Raw]


_line = msgspec.json.Decoder(_Line).decode


def repair(scope: Scope, finding: Finding, *, moment: datetime, is_sure: bool) -> bool:
    """Load again what is missing, older or different in `raw`, and mark what is gone.

    Args:
        scope: What is compared.
        finding: What was found; `repaired` is counted in it.
        moment: What is put down as the time of a deletion.
        is_sure: Whether to mark however many are gone.

    Returns:
        Whether anything was changed.

    Raises:
        CompanyError: Nothing of the company can be read.
        BudgetReached: No further request may be sent; what is done is done.
    """
    wanted = _wanted(finding)
    try:
        if wanted:
            finding.repaired += _load(scope, finding, wanted)
        if finding.gone:
            finding.repaired += _mark(scope, finding, moment, is_sure=is_sure)
    except EntityError as error:
        finding.notes.append(f"cannot be repaired: {error}")
    except psycopg.Error as error:
        if scope.connection.closed:
            raise
        finding.notes.append(f"cannot be repaired: PostgreSQL says {reason(error)}")
    return finding.repaired > 0


def _wanted(finding: Finding) -> set[str]:
    """Ids to load again: all that differ, but for what is explained."""
    missing = finding.missing if isinstance(finding.missing, set) else set()
    return (missing | (finding.newer or set()) | finding.differing.keys()) - finding.explained


def _load(scope: Scope, finding: Finding, ids: Collection[str]) -> int:
    columns = scope.rows(finding.entity).columns
    if not columns:
        finding.notes.append("cannot be repaired: there is no table yet; run the job")
        return 0
    lines = RecordLines(
        finding.entity.stream,
        scope.run.settings.realm_id,
        columns=columns,
        minor_version=scope.run.settings.minor_version,
    )
    statement = _upsert(scope, finding, columns)
    written = 0
    for page in objects(scope, finding.entity, ids):
        # In one order, as the loader has it: so two that write the same rows never wait in a ring.
        rows = sorted(_records(lines, page), key=_id)
        with scope.connection.transaction(), scope.connection.cursor() as cursor:
            cursor.executemany(statement, rows)
            written += cursor.rowcount
    return written


def _mark(scope: Scope, finding: Finding, moment: datetime, *, is_sure: bool) -> int:
    rows = scope.rows(finding.entity)
    if "deleted_at_utc" not in rows.columns:
        finding.notes.append("cannot be marked: there is no column deleted_at_utc")
        return 0
    living = rows.living()
    gone = finding.gone & living.keys()
    if not is_sure and len(gone) > max(MANY_ROWS, LARGE_SHARE * len(living)):
        finding.notes.append(
            f"refused: {len(gone):,} rows would be marked as deleted "
            f"({len(gone) / len(living):.0%}); --yes marks them"
        )
        return 0
    return rows.mark_deleted({key: living[key] for key in sorted(gone)}, moment)


def _id(record: dict[str, Any]) -> str:
    return str(record["id"])


def _records(lines: RecordLines, page: Page) -> Iterable[dict[str, Any]]:
    """The rows of a page as the tap would send them, every value a text or null."""
    for line in lines.encode(page, None).splitlines():
        record = _line(line).record
        yield {
            name: bytes(raw).decode() if name in _JSON else msgspec.json.decode(raw)
            for name, raw in record.items()
        }


def _upsert(scope: Scope, finding: Finding, columns: Collection[str]) -> sql.Composed:
    """Insert a row or write it over an older one; the columns that a record has and there are."""
    names = [name for name in RAW_SCHEMA["properties"] if name in columns]
    values = [name for name in names if name not in PRIMARY_KEYS]
    return sql.SQL(
        "INSERT INTO {table} AS kept ({columns}) VALUES ({values})"
        " ON CONFLICT (realm_id, id) DO UPDATE SET {set} WHERE ({newer}) AND ({differs})"
    ).format(
        table=sql.Identifier(scope.schema, finding.entity.stream),
        columns=_list(map(sql.Identifier, names)),
        values=_list(map(_value, names)),
        set=_list(sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name)) for name in values),
        newer=_newer(columns),
        differs=_differs(columns),
    )


def _value(name: str) -> sql.Composable:
    value = sql.Placeholder(name)
    if name in _JSON:
        return sql.SQL("{}::jsonb").format(value)
    # A timestamp in UTC takes the same instant, for the session is in UTC.
    return sql.SQL("{}::timestamptz").format(value) if name in _INSTANTS else value


def _newer(columns: Collection[str]) -> sql.Composable:
    """A later version or the same one; over a tombstone only the time of reading decides."""
    versions = [name for name in ("last_updated_utc", "ingested_at_utc") if name in columns]
    if not versions:
        return sql.SQL("true")

    def version(relation: str) -> sql.Composed:
        return sql.SQL("ROW({})").format(
            _list(
                sql.SQL("coalesce({}, '-infinity')").format(sql.Identifier(relation, name))
                for name in versions
            )
        )

    newer = sql.SQL("{} >= {}").format(version("excluded"), version("kept"))
    if not {"deleted_at_utc", "ingested_at_utc"} <= set(columns):
        return newer
    return sql.SQL(
        "CASE WHEN kept.deleted_at_utc IS NULL THEN {newer}"
        " ELSE coalesce(excluded.ingested_at_utc > kept.ingested_at_utc, true) END"
    ).format(newer=newer)


def _differs(columns: Collection[str]) -> sql.Composable:
    parts = [
        sql.SQL("kept.{0}{1} IS DISTINCT FROM excluded.{0}{1}").format(
            sql.Identifier(name), sql.SQL("::text" if name in _JSON else "")
        )
        for name in ("payload", "last_updated_utc", "deleted_at_utc")
        if name in columns
    ]
    return sql.SQL(" OR ").join(parts) if parts else sql.SQL("true")


def _list(parts: Iterable[sql.Composable]) -> sql.Composed:
    return sql.SQL(", ").join(parts)
