"""The statements that bring staged rows into their table, with the guards.

Staged rows are texts; a column gets its type here. What the guards look at is cast first, the
rest only for the rows that are written at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from psycopg import sql

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

TIMESTAMP = "timestamp without time zone"


class Guards(NamedTuple):
    """Which columns say what about a row; for tables that have all of a line, else it is empty.

    Attributes:
        versions: Order the versions of a row, the last of them being the time of reading.
        content: A row that has these already is left alone.
        tombstone: Says that a row is deleted.
    """

    versions: tuple[str, ...] = ()
    content: tuple[str, ...] = ()
    tombstone: str | None = None


@dataclass(frozen=True, eq=False)
class Table:
    """A table to load into.

    Attributes:
        stream: The stream that is loaded into it.
        schema: Its schema, if not that of the search path.
        name: Its name.
        keys: The key columns.
        types: PostgreSQL's type of every column that it has.
        guards: What is looked at before a row is written over.
    """

    stream: str
    schema: str | None
    name: str
    keys: tuple[str, ...]
    types: Mapping[str, str]
    guards: Guards

    @property
    def identifier(self) -> sql.Identifier:
        """The quoted name."""
        return sql.Identifier(*((self.schema, self.name) if self.schema else (self.name,)))


def merge(table: Table, stage: sql.Identifier, columns: Sequence[str]) -> sql.Composed:
    """Return the statement that brings the staged rows of some columns into the table."""
    versions = [name for name in table.guards.versions if name in columns]
    needed = {*table.keys, *versions, *table.guards.content, table.guards.tombstone}
    newest = sql.SQL(
        "SELECT DISTINCT ON ({keys}) {early} FROM {stage} AS s ORDER BY {keys}, {order} s.ctid DESC"
    ).format(
        keys=_list(_cast(table, key) for key in table.keys),
        early=_list(
            sql.SQL("{} AS {}").format(_cast(table, name), sql.Identifier(name))
            if name in needed
            else _column("s", name)
            for name in columns
        ),
        stage=stage,
        order=sql.SQL("").join(
            sql.SQL("{} DESC NULLS LAST, ").format(_cast(table, name)) for name in versions
        ),
    )
    chosen = sql.SQL("SELECT {late} FROM ({newest}) AS s").format(
        late=_list(
            _column("s", name) if name in needed else _cast(table, name) for name in columns
        ),
        newest=newest,
    )
    conditions = _conditions(table, columns, versions, new="s")
    if conditions:
        # Whoever comes as far as ON CONFLICT locks the row, and so writes to it; rows that are
        # to be left alone are therefore taken out before.
        chosen = sql.SQL(
            "{chosen} LEFT JOIN {table} AS t ON {same} WHERE t.{key} IS NULL OR ({guards})"
        ).format(
            chosen=chosen,
            table=table.identifier,
            same=_all(sql.SQL("t.{0} = s.{0}").format(sql.Identifier(key)) for key in table.keys),
            key=sql.Identifier(table.keys[0]),
            guards=_all(conditions),
        )
    return sql.SQL(
        "INSERT INTO {table} AS t ({columns}) {chosen} ORDER BY {order} "
        "ON CONFLICT ({keys}) DO {action}"
    ).format(
        table=table.identifier,
        columns=_list(map(sql.Identifier, columns)),
        chosen=chosen,
        order=_list(_column("s", key) for key in table.keys),
        keys=_list(map(sql.Identifier, table.keys)),
        action=_action(table, columns, versions),
    )


def _action(table: Table, columns: Sequence[str], versions: Sequence[str]) -> sql.Composable:
    values = [name for name in columns if name not in table.keys]
    if not values:
        return sql.SQL("NOTHING")
    update = sql.SQL("UPDATE SET {}").format(
        _list(sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name)) for name in values)
    )
    # Once more, for what another session has written since.
    conditions = _conditions(table, columns, versions, new="excluded")
    return sql.SQL("{} WHERE {}").format(update, _all(conditions)) if conditions else update


def _conditions(
    table: Table, columns: Sequence[str], versions: Sequence[str], *, new: str
) -> list[sql.Composed]:
    """What must hold for a row to be written over by the one of the relation `new`."""
    conditions = []
    if versions:
        conditions.append(_newer(table.guards, columns, versions, new))
    if content := [name for name in table.guards.content if name in columns]:
        # Images, as they lie in the table: every digit counts, and nothing walks through the
        # documents.
        conditions.append(
            sql.SQL("record_image_ne(ROW({}), ROW({}))").format(
                _list(_column(new, name) for name in content),
                _list(_column("t", name) for name in content),
            )
        )
    return conditions


def _newer(
    guards: Guards, columns: Sequence[str], versions: Sequence[str], new: str
) -> sql.Composed:
    """A later version, or the same; nulls are the earliest.

    A tombstone has no version but the time of reading, and that alone decides over it: what was
    read after it revives the row, what was read before it does not.
    """
    newer = sql.SQL("record_ge(ROW({}), ROW({}))").format(
        _list(map(_nulls_first, [new] * len(versions), versions)),
        _list(map(_nulls_first, ["t"] * len(versions), versions)),
    )
    tombstone = guards.tombstone
    if not tombstone or tombstone not in columns or len(versions) < len(guards.versions):
        return newer
    return sql.SQL(
        "CASE WHEN t.{tombstone} IS NULL OR {new}.{tombstone} IS NOT NULL THEN {newer} "
        "ELSE {new}.{read} IS NOT NULL AND coalesce({new}.{read} > t.{read}, true) END"
    ).format(
        new=sql.Identifier(new),
        tombstone=sql.Identifier(tombstone),
        newer=newer,
        read=sql.Identifier(versions[-1]),
    )


def _nulls_first(relation: str, name: str) -> sql.Composed:
    column = _column(relation, name)
    return sql.SQL("{0} IS NOT NULL, {0}").format(column)


def _cast(table: Table, name: str) -> sql.Composed:
    type_ = table.types[name]
    column = _column("s", name)
    if type_ == TIMESTAMP:
        # Straight from a text, the offset would be dropped. The session is in UTC.
        column = sql.SQL("{}::timestamp with time zone").format(column)
    return sql.SQL("{}::{}").format(column, sql.SQL(type_))


def _column(relation: str, name: str) -> sql.Composed:
    return sql.SQL("{}.{}").format(sql.Identifier(relation), sql.Identifier(name))


def _list(parts: Iterable[sql.Composable]) -> sql.Composed:
    return sql.SQL(", ").join(parts)


def _all(parts: Iterable[sql.Composable]) -> sql.Composed:
    return sql.SQL(" AND ").join(parts)
