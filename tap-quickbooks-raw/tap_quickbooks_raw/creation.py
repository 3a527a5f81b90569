"""Tables and schemas that several sessions may make at the same moment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psycopg import errors

if TYPE_CHECKING:
    from typing import LiteralString

    import psycopg
    from psycopg import sql

# What PostgreSQL says of a thing that another session has just made, also with IF NOT EXISTS; the
# object is the type of a table's rows.
MADE_MEANWHILE = (
    errors.DuplicateSchema,
    errors.DuplicateTable,
    errors.DuplicateObject,
    errors.UniqueViolation,
)


def make(connection: psycopg.Connection, *statements: sql.Composed | LiteralString) -> None:
    """Make it all or nothing; who comes second finds it made.

    Raises:
        psycopg.Error: The database does not take it.
    """
    try:
        with connection.transaction():
            for statement in statements:
                connection.execute(statement)
    except MADE_MEANWHILE:
        pass
