"""The stock connector, with time zones, and with what loading has to know of a table."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import sqlalchemy
from paramiko import SSHException  # type: ignore[import-untyped]  # The tunnel's.
from psycopg import sql
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP
from sqlalchemy.exc import ArgumentError
from target_postgres.connector import PostgresConnector
from target_postgres.driver import PSYCOPG3
from typing_extensions import override

from target_postgres_raw.failures import LoadError, clip

if TYPE_CHECKING:
    from collections.abc import Sequence

    from singer_sdk.sql.connector import JSONSchemaToSQL

    from target_postgres_raw.sinks import Prepared

# Without a length: a cast to one would cut what is too long, and not refuse it.
COLUMNS = sqlalchemy.text("""
    SELECT attname, format_type(atttypid, -1) FROM pg_attribute
    WHERE attrelid = CAST(:name AS regclass) AND attnum > 0 AND NOT attisdropped
""")
UNIQUE = sqlalchemy.text("""
    SELECT EXISTS (
        SELECT FROM pg_index
        WHERE indrelid = CAST(:name AS regclass) AND indisunique AND indisvalid AND indimmediate
        AND indpred IS NULL AND indexprs IS NULL
        AND (
            SELECT array_agg(attname::text ORDER BY attname::text) FROM pg_attribute
            WHERE attrelid = indrelid AND attnum = ANY(indkey[0\\:indnkeyatts - 1])
        ) = CAST(:keys AS text[])
    )
""")
LZ4 = sqlalchemy.text("""
    SELECT EXISTS (
        SELECT FROM pg_settings WHERE name = 'default_toast_compression' AND 'lz4' = ANY(enumvals)
    )
""")


class RawConnector(PostgresConnector):
    """Makes tables as the stock connector does, but for moments, which keep their offset."""

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__(config)
        self.prepared: dict[tuple[str | None, str], Prepared] = {}

    @property
    def has_psycopg(self) -> bool:
        """Whether the driver is the one that has COPY."""
        return f"{self._engine.dialect.name}+{self._engine.dialect.driver}" == PSYCOPG3

    @property
    def engine(self) -> sqlalchemy.Engine:
        """Where connections come from: TLS, tunnel and all."""
        return self._engine

    @cached_property
    @override
    def jsonschema_to_sql(self) -> JSONSchemaToSQL:
        to_sql = super().jsonschema_to_sql
        to_sql.register_format_handler("date-time", lambda _: TIMESTAMP(timezone=True))
        return to_sql

    @override
    def create_empty_table(  # type: ignore[override]  # The stock connector's.
        self, *args: Any, **kwargs: Any
    ) -> sqlalchemy.Table:
        table = super().create_empty_table(*args, **kwargs)
        connection: sqlalchemy.Connection = kwargs["connection"]
        documents = [column for column in table.columns if isinstance(column.type, JSONB)]
        if documents and connection.scalar(LZ4):
            quote = connection.dialect.identifier_preparer
            actions = (
                f"ALTER {quote.format_column(column)} SET COMPRESSION lz4" for column in documents
            )
            connection.exec_driver_sql(
                f"ALTER TABLE {quote.format_table(table)} {', '.join(actions)}"
            )
        return table

    def column_types(self, schema: str | None, name: str) -> dict[str, str]:
        """Return PostgreSQL's type of every column of a table."""
        with self._connect() as connection:
            rows = connection.execute(COLUMNS, {"name": _quoted(schema, name)})
            return {column: type_ for column, type_ in rows}  # noqa: C416  Rows are no pairs.

    def is_unique(self, schema: str | None, name: str, columns: Sequence[str]) -> bool:
        """Whether a table allows each combination of the columns' values once."""
        with self._connect() as connection:
            parameters = {"name": _quoted(schema, name), "keys": sorted(columns)}
            return bool(connection.scalar(UNIQUE, parameters))


def make_connector(config: dict[str, Any]) -> RawConnector:
    """Return the connector that the settings describe.

    Raises:
        LoadError: They describe none.
    """
    try:
        connector = RawConnector(config)
        has_psycopg = connector.has_psycopg
    except (ArgumentError, ImportError, KeyError, OSError, SSHException, ValueError) as error:
        # What is wrong in an address may be a part of its password.
        secret = isinstance(error, ValueError) and config.get("sqlalchemy_url")
        why = "" if secret else f": {clip(str(error))}"
        raise LoadError(
            f"The settings do not lead to a database ({type(error).__name__}{why}). "
            "Check sqlalchemy_url, dialect+driver, the ssl_ settings (ssl_storage_directory has to "
            "be there) and ssh_tunnel."
        ) from error
    if config.get("use_copy") and not has_psycopg:
        raise LoadError(
            "use_copy needs the driver psycopg: let sqlalchemy_url begin with "
            "postgresql+psycopg://, or switch use_copy off."
        )
    return connector


def _quoted(schema: str | None, name: str) -> str:
    return sql.Identifier(*((schema, name) if schema else (name,))).as_string()
