"""Where a stream goes: the fast way, or the stock loader's for what only that knows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy.exc import IntegrityError, InvalidRequestError, ProgrammingError
from sqlalchemy.types import JSON, Boolean, Date, DateTime, Integer, Numeric, String, Time, Uuid
from target_postgres.sinks import PostgresSink
from typing_extensions import override

from target_postgres_raw.connector import RawConnector
from target_postgres_raw.failures import LoadError, clip, persist
from target_postgres_raw.merge import Guards, Table
from target_postgres_raw.rows import Layouts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# What PostgreSQL itself makes of a JSON value's own bytes.
FAST_TYPES = (JSON, Uuid, Boolean, Date, DateTime, Integer, Numeric, String, Time)
SETUP_ATTEMPTS = 3


class Prepared(NamedTuple):
    """A table that is as its stream's schema says.

    Attributes:
        table: The table.
        layouts: How records become its rows.
        properties: The columns, as the schema has them.
    """

    table: Table
    layouts: Layouts
    properties: Mapping[str, Any]


class RawSink(PostgresSink):
    """A stream's table.

    Attributes:
        prepared: The table, if the stream goes the fast way; else this is a stock sink.
    """

    connector_class = RawConnector
    connector: RawConnector

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.prepared: Prepared | None = None
        self.validator = self._validator

    @override
    def setup(self) -> None:
        persist(
            self._set_up,
            what=f"Preparing the table of {self.stream_name}",
            forget=self.connector.engine.dispose,
            logger=self.logger,
        )

    def _set_up(self) -> None:
        self.append_only = not self.key_properties
        place = (self.schema_name, self.table_name)
        known = self.connector.prepared.get(place)
        if known and self._is_part_of(known):
            self.prepared = known
            return
        self._prepare_table()
        if reason := self._needs_stock():
            level = self.logger.warning if self._has_guard_columns() else self.logger.info
            level("%s goes the stock loader's way, without guards: %s", self.stream_name, reason)
            return
        self.prepared = self._prepare(*place)
        self.connector.prepared[place] = self.prepared

    def _prepare_table(self) -> None:
        for attempt in range(1, SETUP_ATTEMPTS + 1):
            try:
                super().setup()
            except (IntegrityError, ProgrammingError) as error:
                # Another loader has just made it.
                made = getattr(error.orig, "sqlstate", "") in {"23505", "42P06", "42P07", "42701"}
                if not made or attempt == SETUP_ATTEMPTS:
                    raise
            except InvalidRequestError as error:
                raise self._unprepared("it is no table, but a view or the like") from error
            except NotImplementedError as error:
                unknown = "a column has a type that the stock loader does not know"
                raise self._unprepared(clip(str(error)) or unknown) from error
            else:
                return

    def _unprepared(self, why: str) -> LoadError:
        return LoadError(f"Stream {self.stream_name}: its table cannot be prepared: {why}.")

    def _is_part_of(self, known: Prepared) -> bool:
        return known.table.keys == tuple(self.key_properties) and all(
            known.properties.get(name) == schema
            for name, schema in self.schema["properties"].items()
        )

    def _needs_stock(self) -> str | None:
        """Why the stream cannot go the fast way, if it cannot."""
        for setting in ("add_record_metadata", "stream_maps", "flattening_enabled"):
            if self.config.get(setting):
                return f"{setting} is set"
        if not self.connector.has_psycopg:
            return "the driver is not psycopg"
        if not self.key_properties:
            return "it has no key"
        for name, schema in self.schema["properties"].items():
            type_ = self.connector.to_sql_type(schema)
            if not isinstance(type_, FAST_TYPES):
                return f"its column {name} is of the type {type(type_).__name__}"
        if not self.connector.is_unique(self.schema_name, self.table_name, self.key_properties):
            return "its table has no unique constraint on the key"
        return None

    def _has_guard_columns(self) -> bool:
        return any(self._guards(self.schema["properties"]))

    def _prepare(self, schema: str | None, name: str) -> Prepared:
        types = self.connector.column_types(schema, name)
        properties = self.schema["properties"]
        if cut := [column for column in properties if column not in types]:
            raise LoadError(
                f"Stream {self.stream_name}: its table cannot have the column {cut[0]}: "
                "PostgreSQL's names end after 63 bytes."
            )
        table = Table(
            stream=self.stream_name,
            schema=schema,
            name=name,
            keys=tuple(self.key_properties),
            types=types,
            guards=self._guards(types),
        )
        layouts = Layouts(
            self.stream_name,
            {column: self._form(types[column], properties[column]) for column in properties},
            table.keys,
            sanitize=self.connector.sanitize_null_text_characters,
        )
        return Prepared(table, layouts, properties)

    def _form(self, type_: str, schema: dict[str, Any]) -> str:
        """The type that a column's values are sent as: a document is one in a text, too."""
        return "jsonb" if isinstance(self.connector.to_sql_type(schema), JSON) else type_

    def _guards(self, columns: Mapping[str, Any]) -> Guards:
        def named(setting: str) -> Sequence[str]:
            names = self.config.get(setting) or []
            return names if all(name in columns for name in names) else []

        tombstone = self.config.get("tombstone_column")
        return Guards(
            versions=tuple(named("version_columns")),
            content=tuple(named("content_columns")),
            tombstone=tombstone if tombstone in columns else None,
        )
