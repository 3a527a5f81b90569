"""The token store in PostgreSQL, for workers on several machines."""

from __future__ import annotations

import re
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psycopg
from psycopg import conninfo

from tap_quickbooks_raw.creation import make
from tap_quickbooks_raw.exceptions import SettingsError, TokenStoreError
from tap_quickbooks_raw.sealing import DAMAGE, Seal
from tap_quickbooks_raw.tokens import Token, TokenKey, fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, LiteralString

SCHEMA = "quickbooks_tokens"
FORM = (
    "token_store: is no address of a database; write it like "
    "postgresql://user:password@host:5432/database, special characters of the password as in "
    "URLs (%40 for @, %2F for /)"
)
_PORTS = re.compile("[0-9,]*")
CONNECT_SECONDS = 10
# A new refresh token is the only one there is: it is worth a minute of waiting.
SAVE_WAITS = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0)

_LOOK: LiteralString = """
SELECT to_regclass('quickbooks_tokens.tokens') IS NOT NULL,
    to_regnamespace('quickbooks_tokens') IS NOT NULL"""
_CREATE_SCHEMA: LiteralString = "CREATE SCHEMA IF NOT EXISTS quickbooks_tokens"
_CREATE: LiteralString = """
CREATE TABLE IF NOT EXISTS quickbooks_tokens.tokens (
    client_id text NOT NULL,
    realm_id text NOT NULL,
    content text NOT NULL,
    saved_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (client_id, realm_id)
)"""
# Whatever the user's, the database's or the server's defaults are; older servers have fewer.
_TAKE_YOUR_TIME: LiteralString = """
SELECT set_config(name, '0', true) FROM pg_settings WHERE name IN (
    'idle_in_transaction_session_timeout', 'lock_timeout', 'statement_timeout',
    'transaction_timeout')"""
_SAVE: LiteralString = """
INSERT INTO quickbooks_tokens.tokens (client_id, realm_id, content) VALUES (%s, %s, %s)
ON CONFLICT (client_id, realm_id) DO UPDATE SET content = EXCLUDED.content, saved_at = now()"""


class PostgresTokenStore:
    """A table in a schema of its own; an advisory lock per company.

    The lock is held by a transaction of its own, so that it works behind a connection pooler,
    too; what is saved meanwhile is committed at once by another connection.

    Args:
        address: ``postgresql://user:password@host:port/database``.
        seal: Encrypts the tokens, if it has keys.
        sleep: Waits for some seconds.

    Raises:
        SettingsError: The address cannot be understood.
    """

    is_lock_certain = False

    def __init__(
        self,
        address: str,
        *,
        seal: Seal | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        try:
            self._options = conninfo.conninfo_to_dict(address)
            self._conninfo = conninfo.make_conninfo(
                "", **{"connect_timeout": CONNECT_SECONDS, **self._options}
            )
        except psycopg.ProgrammingError:
            # Its message quotes the address, which may have the password in it.
            raise SettingsError(FORM) from None
        # A password with a slash or an at sign in it would be taken for one of these.
        host, port, database = (
            str(self._options.get(name, "")) for name in ("host", "port", "dbname")
        )
        if "@" in host + database or not _PORTS.fullmatch(port):
            raise SettingsError(FORM)
        self.seal = seal or Seal()
        self._sleep = sleep
        self._is_prepared = False

    def __str__(self) -> str:
        options = self._options
        place = f"{options.get('host', 'localhost')}:{options.get('port', 5432)}"
        return f"PostgreSQL at {place}, database {options.get('dbname', '')}, schema {SCHEMA}"

    @contextmanager
    def lock(self, key: TokenKey) -> Iterator[None]:
        """Hold the company's tokens alone, against every other process on any machine."""
        with self._connection() as connection:
            self._try(lambda: connection.execute("BEGIN"))
            self._try(lambda: connection.execute(_TAKE_YOUR_TIME))
            self._try(
                lambda: connection.execute(
                    "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))",
                    [f"{SCHEMA} {fingerprint(str(key))}"],
                )
            )
            # It ends with the connection, which the server may have ended before: no error,
            # for all that was to be kept has been saved.
            yield

    def load(self, key: TokenKey) -> Token | None:
        """Return the stored tokens, or None where there are none."""
        rows = self._execute(
            "SELECT content FROM quickbooks_tokens.tokens WHERE client_id = %s AND realm_id = %s",
            [key.client_id, key.realm_id],
        )
        try:
            return self.seal.open(rows[0][0].encode()) if rows else None
        except DAMAGE:
            raise TokenStoreError(
                f"token_store: the tokens of company (realm) {key.realm_id} in {self} are damaged; "
                "delete the row and connect the company again: `tap-quickbooks-raw-auth login`"
            ) from None

    def save(self, key: TokenKey, token: Token) -> None:
        """Store and commit; a database that is away for a moment is waited for."""
        values = [key.client_id, key.realm_id, self.seal.close(token).decode()]
        for seconds in SAVE_WAITS:
            try:
                self._execute(_SAVE, values)
            except TokenStoreError as error:
                if not isinstance(error.__cause__, psycopg.OperationalError):
                    raise
                self._sleep(seconds)
            else:
                return
        self._execute(_SAVE, values)

    def delete(self, key: TokenKey) -> None:
        """Forget the tokens of a company."""
        self._execute(
            "DELETE FROM quickbooks_tokens.tokens WHERE client_id = %s AND realm_id = %s",
            [key.client_id, key.realm_id],
        )

    def keys(self) -> list[TokenKey]:
        """Return whose tokens are stored, sorted."""
        rows = self._execute("SELECT client_id, realm_id FROM quickbooks_tokens.tokens", [])
        return sorted((TokenKey(*row) for row in rows), key=str)

    def prove(self) -> None:
        """Raise TokenStoreError if nothing can be stored."""
        rows = self._execute(
            "SELECT has_table_privilege('quickbooks_tokens.tokens', 'INSERT')"
            " AND has_table_privilege('quickbooks_tokens.tokens', 'UPDATE')"
            " AND NOT pg_is_in_recovery()",
            [],
        )
        if rows != [(True,)]:
            raise TokenStoreError(
                f"token_store: {self} cannot be written; the user needs INSERT and UPDATE there"
            )

    def is_sealed(self, key: TokenKey) -> bool:
        """Whether the tokens of a company are stored encrypted."""
        rows = self._execute(
            "SELECT content FROM quickbooks_tokens.tokens WHERE client_id = %s AND realm_id = %s",
            [key.client_id, key.realm_id],
        )
        return bool(rows) and isinstance(self.seal.read(rows[0][0].encode()), str)

    def _execute(self, statement: LiteralString, values: list[str]) -> list[tuple[Any, ...]]:
        with self._connection() as connection:
            # Durable before the access token is used, whatever the database's default is.
            self._try(lambda: connection.execute("SET synchronous_commit = on"))
            if not self._is_prepared:
                self._prepare(connection)
            cursor = self._try(lambda: connection.execute(statement, values))
            return cursor.fetchall() if cursor.description else []

    def _prepare(self, connection: psycopg.Connection) -> None:
        """Make the table where it is missing; without the right to, it has to be there."""
        has_table, has_schema = self._try(lambda: connection.execute(_LOOK).fetchone())
        if not has_table:
            try:
                # Even if there is nothing to make, making a schema needs the right to.
                make(connection, *(() if has_schema else (_CREATE_SCHEMA,)), _CREATE)
            except psycopg.Error as error:
                raise self._unusable(error) from error
        self._is_prepared = True

    @contextmanager
    def _connection(self) -> Iterator[psycopg.Connection]:
        connection = self._try(lambda: psycopg.connect(self._conninfo, autocommit=True))
        try:
            yield connection
        finally:
            connection.close()

    def _try(self, work: Callable[[], Any]) -> Any:  # noqa: ANN401  The result of any work.
        try:
            return work()
        except psycopg.Error as error:
            raise self._unusable(error) from error

    def _unusable(self, error: psycopg.Error) -> TokenStoreError:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        password = str(self._options.get("password") or "")
        if password:
            reason = reason.replace(password, "(password)")
        return TokenStoreError(
            f"token_store: {self} cannot be used ({reason}). The user needs the schema {SCHEMA}, "
            "or the right to create it"
        )
