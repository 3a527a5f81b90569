"""The table `qb_verifications` of the raw schema: a row per entity and verification."""

from __future__ import annotations

from typing import TYPE_CHECKING, LiteralString

import psycopg
from psycopg import errors, sql
from psycopg.types.json import Jsonb

from tap_quickbooks_raw.creation import make
from tap_quickbooks_raw.evidence.scrubbing import scrub
from tap_quickbooks_raw.exceptions import SettingsError
from tap_quickbooks_raw.raw_tables import reason

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tap_quickbooks_raw.evidence.document import EntityResult, Verification

TABLE = "qb_verifications"
_ABOUT: LiteralString = "What each verification of a company found: a row per entity."
# Name, type and meaning of each column.
_COLUMNS: tuple[tuple[LiteralString, LiteralString, LiteralString], ...] = (
    ("verification_id", "uuid NOT NULL", "The verification; its rows share it."),
    ("realm_id", "text NOT NULL", "The company (realm)."),
    ("entity", "text NOT NULL", "QBO's name of the entity."),
    ("stream", "text NOT NULL", "Its stream and table."),
    ("started_at_utc", "timestamptz NOT NULL", "When the verification began."),
    ("qbo_rows", "bigint", "Objects in QBO; null if they cannot be counted."),
    ("qbo_counted_at_utc", "timestamptz", "When they were counted."),
    ("raw_rows", "bigint NOT NULL", "Living rows in the table."),
    ("raw_counted_at_utc", "timestamptz", "When they were counted."),
    ("missing", "bigint", "Objects without a living row; null if not known."),
    ("extra", "bigint", "Living rows without an object; null if not known."),
    ("newer", "bigint", "Objects that QBO has in a newer version; null if not looked at."),
    ("sampled", "bigint NOT NULL", "Objects that were compared digit by digit."),
    ("differing", "bigint NOT NULL", "Those of them that differ."),
    ("repaired", "bigint NOT NULL", "Rows that were loaded again or marked as deleted."),
    ("verdict", "text NOT NULL", "The verdict in a few words."),
    ("agrees", "boolean NOT NULL", "Whether nothing is left to explain."),
    ("explanations", "jsonb NOT NULL", "Why a difference is none to worry about: texts."),
    ("calls", "bigint NOT NULL", "Requests of the whole verification."),
    ("window_start_utc", "timestamptz", "Lower bound of what was compared, inclusive."),
    ("window_end_utc", "timestamptz", "Upper bound, exclusive; null if there is none."),
    ("version", "text NOT NULL", "Version of tap-quickbooks-raw."),
)


def record(
    connection: psycopg.Connection, verification: Verification, *, schema: str = "raw"
) -> None:
    """Write a row per entity into `qb_verifications`, and make the table if there is none.

    What is written already is left as it is.

    Raises:
        SettingsError: The database does not take it; the message says what to grant.
    """
    document = scrub(verification)
    try:
        _prepare(connection, schema)
        with connection.transaction(), connection.cursor() as cursor:
            cursor.executemany(_insertion(schema), list(_rows(document)))
    except (errors.InsufficientPrivilege, errors.ReadOnlySqlTransaction) as error:
        raise SettingsError(
            f"POSTGRES_USER: {connection.info.user} may not write {schema}.{TABLE} "
            f"({reason(error)}); GRANT USAGE, CREATE ON SCHEMA {schema}, or make the table as "
            "its owner and GRANT SELECT, INSERT on it"
        ) from None
    except psycopg.Error as error:
        raise SettingsError(
            f"POSTGRES_HOST: the verification cannot be written to {schema}.{TABLE} "
            f"({reason(error)})"
        ) from None


def _prepare(connection: psycopg.Connection, schema: str) -> None:
    """Make what is missing; nothing is tried that is there, for it would need the right to."""
    found = connection.execute(
        "SELECT to_regnamespace(quote_ident(%s)) IS NOT NULL, to_regclass(%s) IS NOT NULL",
        (schema, sql.Identifier(schema, TABLE).as_string(connection)),
    ).fetchone()
    has_schema, has_table = found or (False, False)
    if not has_schema:
        make(connection, sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema)))
    if not has_table:
        make(connection, *_creation(schema))


def _creation(schema: str) -> Iterator[sql.Composed]:
    table = sql.Identifier(schema, TABLE)
    columns = [
        sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(kind)) for name, kind, _ in _COLUMNS
    ]
    yield sql.SQL("CREATE TABLE {} ({}, PRIMARY KEY (verification_id, stream))").format(
        table, sql.SQL(", ").join(columns)
    )
    yield sql.SQL("COMMENT ON TABLE {} IS {}").format(table, sql.Literal(_ABOUT))
    for name, _, meaning in _COLUMNS:
        yield sql.SQL("COMMENT ON COLUMN {} IS {}").format(
            sql.Identifier(schema, TABLE, name), sql.Literal(meaning)
        )


def _insertion(schema: str) -> sql.Composed:
    names = [name for name, _, _ in _COLUMNS]
    return sql.SQL("INSERT INTO {} ({}) VALUES ({}) ON CONFLICT DO NOTHING").format(
        sql.Identifier(schema, TABLE),
        sql.SQL(", ").join(map(sql.Identifier, names)),
        sql.SQL(", ").join(map(sql.Placeholder, names)),
    )


def _rows(verification: Verification) -> Iterator[dict[str, object]]:
    whole = {
        "verification_id": verification.id,
        "realm_id": verification.realm_id,
        "started_at_utc": verification.started_at,
        "calls": verification.calls,
        "window_start_utc": verification.window_start,
        "window_end_utc": verification.window_end,
        "version": verification.version,
    }
    for result in verification.entities:
        yield whole | _row(result)


def _row(result: EntityResult) -> dict[str, object]:
    return {
        "entity": result.entity,
        "stream": result.stream,
        "qbo_rows": result.qbo_rows,
        "qbo_counted_at_utc": result.qbo_counted_at,
        "raw_rows": result.raw_rows,
        "raw_counted_at_utc": result.raw_counted_at,
        "missing": result.missing,
        "extra": result.extra,
        "newer": result.newer,
        "sampled": result.sampled,
        "differing": len(result.differing_ids),
        "repaired": result.repaired,
        "verdict": result.verdict,
        "agrees": result.agrees,
        "explanations": Jsonb(list(result.explanations)),
    }
