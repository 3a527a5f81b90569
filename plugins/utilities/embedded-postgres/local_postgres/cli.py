"""The command `embedded-postgres`."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from local_postgres.exceptions import LocalPostgresError, NotRunningError
from local_postgres.server import LocalPostgres

if TYPE_CHECKING:
    from collections.abc import Sequence

    from local_postgres.server import Connection

PORT_VARIABLE = "EMBEDDED_POSTGRES_PORT"
HIGHEST_PORT = 65535
EXIT_FAILED = 1
EXIT_NOT_RUNNING = 3

DESCRIPTION = """\
A PostgreSQL of your own to load into: no root, no Docker, no installation.
It listens on 127.0.0.1 only and keeps everything in one folder of the project."""

EXAMPLES = """\
examples:
  embedded-postgres start                     start it (harmless where it runs)
  embedded-postgres status                    is it running, where, which version
  embedded-postgres psql                      a prompt in the database quickbooks
  embedded-postgres psql -c 'select now()'    psql's own options are passed on
  embedded-postgres url                       the address, for any PostgreSQL client
  export $(embedded-postgres url --env)       POSTGRES_HOST, _PORT, _USER, _PASSWORD, _DB
  embedded-postgres url --env > pg.mk         the same for `include pg.mk` in a Makefile
  embedded-postgres start --port 5432         on a port of your choice
  embedded-postgres stop                      stop it; the data stays
  rm -rf .postgres                            ... and then remove it

exit codes:
  0  done; running     1  failed, the message says why     3  not running

environment:
  EMBEDDED_POSTGRES_PORT    the port, where --port names none (default: the last one, if free)
  EMBEDDED_POSTGRES_BINDIR  the folder of PostgreSQL's programs (default: the system's
                            PostgreSQL 14 or newer, else the Python package embedded-postgres)
  MELTANO_PROJECT_ROOT      the project, in which the data is .postgres (default: this folder)
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and exit."""
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code."""
    parser = _parser()
    options, rest = parser.parse_known_args(arguments)
    if rest and options.command != "psql":
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    try:
        return _run(options, rest)
    except NotRunningError as error:
        return _fail(str(error), EXIT_NOT_RUNNING)
    except LocalPostgresError as error:
        return _fail(str(error), EXIT_FAILED)
    except PermissionError as error:
        return _fail(f"{error}: run this as the owner of the folder.", EXIT_FAILED)
    except OSError as error:
        return _fail(str(error), EXIT_FAILED)


def _run(options: argparse.Namespace, rest: list[str]) -> int:
    server = LocalPostgres(options.data, port=_port(options))
    match options.command:
        case "start":
            connection = server.start()
            _say(
                f"PostgreSQL {server.binaries().version} is ready at "
                f"{connection.host}:{connection.port}, database {connection.database}, "
                f"data in {server.folder.path}"
            )
        case "stop":
            ran = server.stop()
            _say(f"PostgreSQL {'is stopped' if ran else 'was not running'}: {server.folder.path}")
        case "status":
            return _print_status(server)
        case "url":
            connection = server.connection()
            _say(connection.url if not options.env else _environment_lines(connection))
        case _:
            _become_psql(server, rest)
    return 0


def _print_status(server: LocalPostgres) -> int:
    try:
        connection, code = server.connection(), 0
        _say(f"running   {connection.host}:{connection.port}, database {connection.database}")
    except NotRunningError:
        code = EXIT_NOT_RUNNING
        _say("not running")
    binaries = server.binaries()
    _say(
        f"version   {binaries.version}\n"
        f"data      {server.folder.path}\n"
        f"log       {server.folder.log}\n"
        f"binaries  {binaries.bindir}"
    )
    return code


def _environment_lines(connection: Connection) -> str:
    return (
        f"POSTGRES_HOST={connection.host}\n"
        f"POSTGRES_PORT={connection.port}\n"
        f"POSTGRES_USER={connection.user}\n"
        f"POSTGRES_PASSWORD={connection.password}\n"
        f"POSTGRES_DB={connection.database}"
    )


def _become_psql(server: LocalPostgres, arguments: list[str]) -> None:
    connection = server.connection()
    psql = server.binaries().program("psql")
    if not os.access(psql, os.X_OK):
        raise LocalPostgresError(f"There is no {psql}: install PostgreSQL's client programs.")
    # By the environment, for other users can read command lines.
    environment = {name: value for name, value in os.environ.items() if name[:2] != "PG"} | {
        "PGHOST": connection.host,
        "PGPORT": str(connection.port),
        "PGUSER": connection.user,
        "PGPASSWORD": connection.password,
        "PGDATABASE": connection.database,
    }
    os.execve(psql, [psql, *arguments], environment)  # noqa: S606  No shell is wanted.


def _port(options: argparse.Namespace) -> int | None:
    if options.command != "start":
        return None
    source, text = "--port", options.port
    if text is None:
        source, text = PORT_VARIABLE, os.environ.get(PORT_VARIABLE)
    if not text:
        return None
    if not text.isdecimal() or not 0 < int(text) <= HIGHEST_PORT:
        raise LocalPostgresError(f"{source} is {text}: a port is a number from 1 to 65535.")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="embedded-postgres",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    project = Path(os.environ.get("MELTANO_PROJECT_ROOT") or Path.cwd())
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument(
        "--data",
        metavar="DIR",
        type=Path,
        default=project / ".postgres",
        help="folder of the data (default: %(default)s)",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, summary: str) -> argparse.ArgumentParser:
        description = summary.capitalize() + "."
        return commands.add_parser(
            name, parents=[shared], help=summary, description=description, allow_abbrev=False
        )

    add("start", "start the server, in the background").add_argument(
        "--port", metavar="N", help="port to listen on (default: the last one, if free)"
    )
    add("stop", "stop the server and wait until it is gone")
    add("status", "show whether it runs (exit code 0) or not (3), and where")
    add("url", "print how to connect").add_argument(
        "--env", action="store_true", help="as POSTGRES_* lines for a shell or a Makefile"
    )
    add("psql", "run psql on the database; its own arguments are passed on")
    return parser


def _say(text: str) -> None:
    print(text)  # noqa: T201  A command prints.


def _fail(message: str, code: int) -> int:
    print(f"embedded-postgres: {message}", file=sys.stderr)  # noqa: T201  A command prints.
    return code
