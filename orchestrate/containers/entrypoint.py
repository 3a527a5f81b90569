"""The container's entry point: read the secrets from their files, then become the command.

A variable NAME_FILE names the file that holds NAME, as in the image of PostgreSQL, so that no
secret stands in the container's description. The command is a job (`quickbooks-to-raw` also
verifies), `scheduler`, or any command of the project, such as `meltano state list`.
Meltano keeps its state in the database that is loaded, in a schema of its own: whatever becomes
of the rows, by a restored backup or a new database, the state that belongs to them goes with them.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.error import URLError
from urllib.parse import quote, urlencode, urlsplit
from urllib.request import urlopen

import psycopg
from psycopg import pq
from tap_quickbooks_raw.exceptions import SettingsError
from tap_quickbooks_raw.raw_tables import connect, reason

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ORCHESTRATE = Path(__file__).resolve().parent.parent
STATE_SCHEMA = "meltano"
SECRETS = (
    "POSTGRES_PASSWORD",
    "QB_CLIENT_ID",
    "QB_CLIENT_SECRET",
    "QB_REFRESH_TOKEN",
    "TAP_QUICKBOOKS_RAW_TOKEN_ENCRYPTION_KEY",
    "TAP_QUICKBOOKS_RAW_TOKEN_STORE",
    "MELTANO_DATABASE_URI",
)
COMPANY = ("QB_CLIENT_ID", "QB_CLIENT_SECRET", "QB_REALM_ID")
HEARTBEAT = "/tmp/heartbeat"  # noqa: S108 - the container's own; compose looks at its age
# What stands in the repository is no secret.
DEMO_PASSWORD = "demo-only"  # noqa: S105 - it is refused for a real company
DATABASE_SECONDS = 60.0
SIMULATOR_SECONDS = 5.0
PAUSE_SECONDS = 1.0


class EntryError(Exception):
    """What keeps the container from its command, and what to do about it."""


def main(arguments: Sequence[str]) -> None:
    """Become the command; this returns only by an error.

    Raises:
        EntryError: A secret cannot be read, something is not filled in, or the database is down.
    """
    environment = with_secrets(os.environ)
    if not any(environment.get(name) for name in (*COMPANY, "QB_REFRESH_TOKEN")):
        environment |= simulated_company(environment)
    if is_job(arguments):
        check_company(environment)
    command = command_of(arguments)
    if is_job(arguments) or command[0] == "meltano":
        wait_for_database(environment)
        if not environment.get("MELTANO_DATABASE_URI"):
            environment["MELTANO_DATABASE_URI"] = state_database(environment)
    os.execvpe(command[0], command, environment)  # noqa: S606 - it takes this process's place


def with_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment with each NAME_FILE replaced by NAME, unless the file is empty.

    What is empty is not given: Compose passes it on, and Meltano takes it for a wrong number.

    Raises:
        EntryError: A file cannot be read, or both NAME and NAME_FILE are given.
    """
    found = {name: value for name, value in environment.items() if value}
    for name in SECRETS:
        path = found.pop(f"{name}_FILE", "")
        if not path:
            continue
        if found.get(name):
            raise EntryError(f"{name} and {name}_FILE are both given; keep one of them.")
        if value := read_secret(name, Path(path)):
            found[name] = value
    return found


def read_secret(name: str, path: Path) -> str:
    """Return what a secret's file holds, without the line end, as the image of PostgreSQL does.

    Raises:
        EntryError: It cannot be read, or is no line of text.
    """
    try:
        value = path.read_bytes().decode().rstrip("\n")
    except FileNotFoundError:
        raise EntryError(f"{name}_FILE: there is no file {path}.") from None
    except PermissionError:
        raise EntryError(
            f"{name}_FILE: user {os.getuid()} may not read {path}. Let everyone read the file, "
            "and keep others out of its folder: chmod 700 secrets; chmod 644 secrets/*"
        ) from None
    except (OSError, UnicodeDecodeError):
        raise EntryError(f"{name}_FILE: {path} is no text file.") from None
    if not value.isprintable():
        raise EntryError(f"{name}_FILE: {path} is more than one line of text.")
    return value


def is_job(arguments: Sequence[str]) -> bool:
    """Whether a company is to be loaded: by jobs and the scheduler, not by the other commands."""
    match arguments:
        case [tap, loader, *_] if tap.startswith("tap-") and loader.startswith("target-"):
            return True  # A pipeline, though its tap is a command as well.
    return not arguments or not shutil.which(arguments[0])


def command_of(arguments: Sequence[str]) -> list[str]:
    """Return what the arguments of the container stand for."""
    if not is_job(arguments):
        return list(arguments)
    match arguments:
        case [] | ["quickbooks-to-raw"]:
            return [sys.executable, str(ORCHESTRATE / "run.py")]
        case ["scheduler"]:
            return [sys.executable, str(ORCHESTRATE / "scheduler.py"), "--heartbeat", HEARTBEAT]
        case _:
            return ["meltano", "run", *arguments]


def check_company(environment: Mapping[str, str]) -> None:
    """Refuse a company that is not filled in.

    Raises:
        EntryError: A part of its keys, or the database's password, is missing.
    """
    if missing := [name for name in COMPANY if not environment.get(name)]:
        raise EntryError(
            f"{', '.join(missing)}: not filled in. QB_REALM_ID belongs into .env; the others into "
            "files of their own in the folder that SECRETS names there, see docs/containers.md. "
            "Without an account: docker compose --profile demo up"
        )
    is_simulated = "TAP_QUICKBOOKS_RAW_API_URL" in environment
    password = environment.get("POSTGRES_PASSWORD")
    if not password or (password == DEMO_PASSWORD and not is_simulated):
        raise EntryError(
            "POSTGRES_PASSWORD: not filled in. Put a password of your own into the file "
            "postgres_password, in the folder that SECRETS names in .env."
        )


def simulated_company(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the settings of the simulated company, or none where the simulator does not run."""
    url = environment.get("SIMULATOR_URL", "")
    written = Path(environment.get("SIMULATOR_CONNECTION", ""))
    if not url or not written.is_file() or not answers(f"{url}/_simulator/health"):
        return {}
    connection = json.loads(written.read_text())
    say(f"No QB_* is filled in: this is the simulated company at {url}.")
    return {
        "QB_CLIENT_ID": connection["client_id"],
        "QB_CLIENT_SECRET": connection["client_secret"],
        "QB_REALM_ID": connection["realm_ids"][0],
        "QB_REFRESH_TOKEN": connection["refresh_token"],
        "TAP_QUICKBOOKS_RAW_API_URL": url,
        "TAP_QUICKBOOKS_RAW_TOKEN_URL": url + urlsplit(connection["token_url"]).path,
    }


def answers(url: str) -> bool:
    """Whether a server answers at an address."""
    try:
        with urlopen(url, timeout=SIMULATOR_SECONDS):  # noqa: S310 - an address of our own
            return True
    except (URLError, TimeoutError):
        return False


def wait_for_database(environment: Mapping[str, str], *, seconds: float = DATABASE_SECONDS) -> None:
    """Wait until PostgreSQL takes connections: after a restart of the machine nobody else does.

    Raises:
        EntryError: It does not in time.
    """
    host, port = environment.get("POSTGRES_HOST", ""), environment.get("POSTGRES_PORT", "5432")
    deadline = time.monotonic() + seconds
    while pq.PGconn.ping(f"host={host} port={port} connect_timeout=5".encode()) != pq.Ping.OK:
        if time.monotonic() > deadline:
            raise EntryError(
                f"POSTGRES_HOST: {host}:{port} has taken no connections for "
                f"{seconds:.0f} seconds; is the database up?"
            )
        time.sleep(PAUSE_SECONDS)


def state_database(environment: Mapping[str, str]) -> str:
    """Make the schema for Meltano's state, unless it is there, and return its address.

    Raises:
        EntryError: The database refuses.
    """
    try:
        with (
            connect(environment) as connection,
            contextlib.suppress(psycopg.errors.UniqueViolation),
        ):
            # Looked for first, since a user who may not make a schema may not even if it is there.
            found = connection.execute("SELECT to_regnamespace(%s)", (STATE_SCHEMA,)).fetchone()
            if found == (None,):
                connection.execute(f"CREATE SCHEMA IF NOT EXISTS {STATE_SCHEMA}".encode())
    except SettingsError as error:
        raise EntryError(str(error)) from None
    except psycopg.Error as error:
        raise EntryError(
            f"POSTGRES_USER: cannot make the schema {STATE_SCHEMA} for Meltano's state "
            f"({reason(error)}). Make it for this user, or name another place by "
            "MELTANO_DATABASE_URI_FILE."
        ) from None
    user, password, host, port, name = (
        quote(environment.get(f"POSTGRES_{part}", ""), safe="")
        for part in ("USER", "PASSWORD", "HOST", "PORT", "DB")
    )
    options = urlencode(
        {
            "sslmode": environment.get("POSTGRES_SSLMODE") or "prefer",
            "options": f"-csearch_path={STATE_SCHEMA}",
        }
    )
    return f"postgresql+psycopg://{user}:{password}@{host}:{port}/{name}?{options}"


def say(text: str) -> None:
    """Tell the person who reads the log."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except EntryError as error:
        sys.exit(str(error))
