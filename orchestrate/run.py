"""What `make run` does: bring up what `.env` does not name, run the job, verify, report.

Without POSTGRES_HOST the embedded PostgreSQL is started and stays up, so that the rows can be
looked at. Without QB_* credentials the simulator stands in for QuickBooks Online while the job
runs; its data and tokens are kept, so that the next run is an incremental one.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

from commands import BIN, PROJECT, SAVED, STOPPED, Runner, Stopped, say
from dotenv import dotenv_values
from loading import load_then_verify, state_id
from psycopg import sql
from tap_quickbooks_raw import exclusive
from tap_quickbooks_raw.command_settings import from_environment
from tap_quickbooks_raw.exceptions import QuickBooksError, SettingsError
from tap_quickbooks_raw.raw_tables import connect

if TYPE_CHECKING:
    from collections.abc import Mapping

SIMULATOR = PROJECT / ".simulator"
CREDENTIALS = ("CLIENT_ID", "CLIENT_SECRET", "REALM_ID")
# Either prefix may carry them: `.env`'s own, or the one by which Meltano names settings.
PREFIXES = ("QB_", "TAP_QUICKBOOKS_RAW_")
LOCAL = ("127.0.0.1", "localhost")
JOB = "quickbooks-to-raw"
# The simulated company has a state of its own, so that a real one may follow.
DEMO_SUFFIX = "simulator"
INTERRUPTED = 128 + signal.SIGINT
# Held until this process ends.
LOCKS = contextlib.ExitStack()


def main() -> int:
    """Run everything; return the exit code."""
    settings = {**dotenv_values(PROJECT / ".env"), **os.environ}
    real = is_real(settings)
    if real and (missing := [f"QB_{name}" for name in CREDENTIALS if not given(settings, name)]):
        say(
            f"{', '.join(missing)}: missing in .env. "
            "Give all QB_* credentials, or none for the simulator."
        )
        return 1
    if not settings.get("POSTGRES_HOST"):
        start_postgres()
    if real:
        return load_and_verify(settings)
    start_simulator(settings)
    try:
        return load_and_verify(settings, "--state-id-suffix", DEMO_SUFFIX)
    finally:
        run("quickbooks-simulator", "stop", "--data", str(SIMULATOR))


def given(settings: Mapping[str, str | None], name: str) -> bool:
    """Whether a credential is given, under whichever of its names."""
    return any((settings.get(prefix + name) or "").strip() for prefix in PREFIXES)


def is_real(settings: Mapping[str, str | None]) -> bool:
    """Whether a real company is meant: no part of its keys may be sent to the simulator."""
    return any(given(settings, name) for name in (*CREDENTIALS, "REFRESH_TOKEN"))


def without_proxy(settings: Mapping[str, str | None]) -> dict[str, str]:
    """The variables by which local addresses are reached directly, with what they had."""
    had = [settings.get(name) or "" for name in ("no_proxy", "NO_PROXY")]
    if "*" in had:
        return dict.fromkeys(("no_proxy", "NO_PROXY"), "*")
    hosts = [host.strip() for hosts in had for host in hosts.split(",") if host.strip()]
    return dict.fromkeys(("no_proxy", "NO_PROXY"), ",".join(dict.fromkeys((*hosts, *LOCAL))))


def load_and_verify(settings: dict[str, str | None], *options: str) -> int:
    """Run the job, then the verification whatever became of the job."""
    try:
        fresh = not is_loaded(settings)
    except SettingsError as error:
        say(str(error))
        return 1
    if fresh:
        # A state from another database would leave this one with gaps.
        state = state_id(settings, *options[1:])
        run("meltano", "--log-level", "error", "state", "clear", "--force", state)
    runner = Runner(named(settings))
    runner.stop_on_signals()
    try:
        loaded, verified = load_then_verify(runner.run, *options, JOB)
    except Stopped:
        say(SAVED)
        return STOPPED
    return loaded or verified


def start_postgres() -> None:
    """Start the embedded PostgreSQL and hand its address to everything that follows."""
    if run("embedded-postgres", "start"):
        sys.exit(1)
    for line in output("embedded-postgres", "url", "--env").splitlines():
        name, _, value = line.partition("=")
        os.environ[name] = value


def start_simulator(settings: Mapping[str, str | None]) -> None:
    """Start the simulator and hand its address and credentials to everything that follows.

    One `make run` at a time has it, since its end is the simulator's.
    """
    try:
        LOCKS.enter_context(exclusive.hold(str(PROJECT), DEMO_SUFFIX, what="make run"))
    except QuickBooksError as error:
        say(str(error))
        sys.exit(1)
    if run("quickbooks-simulator", "start", "--data", str(SIMULATOR)):
        sys.exit(1)
    address = json.loads((SIMULATOR / "connection.json").read_text())
    os.environ.update(
        without_proxy(settings),
        QB_CLIENT_ID=address["client_id"],
        QB_CLIENT_SECRET=address["client_secret"],
        QB_REALM_ID=address["realm_ids"][0],
        QB_REFRESH_TOKEN=address["refresh_token"],
        TAP_QUICKBOOKS_RAW_API_URL=address["url"],
        TAP_QUICKBOOKS_RAW_TOKEN_URL=address["token_url"],
    )


def is_loaded(settings: dict[str, str | None]) -> bool:
    """Whether the database has rows of the company.

    Those of another one do not count: the state of this company would not be theirs.

    Raises:
        SettingsError: It cannot be reached.
    """
    environment = named(settings)
    schema = environment.get("TARGET_POSTGRES_DEFAULT_TARGET_SCHEMA") or "raw"
    realm_id = str(from_environment(environment)["realm_id"]).strip()
    with connect(environment) as connection:
        tables = connection.execute(
            r"SELECT tablename FROM pg_tables WHERE schemaname = %s AND tablename LIKE 'qb\_%%'"
            " AND tablename NOT IN ('qb_backfills', 'qb_verifications')",
            (schema,),
        ).fetchall()
        has_row = sql.SQL("SELECT 1 FROM {} WHERE realm_id = %s LIMIT 1")
        return any(
            connection.execute(
                has_row.format(sql.Identifier(schema, table)), (realm_id,)
            ).fetchone()
            for (table,) in tables
        )


def named(settings: dict[str, str | None]) -> dict[str, str]:
    """The environment with what `.env` adds to it; what is empty is not given."""
    return {name: value for name, value in {**settings, **os.environ}.items() if value}


def run(command: str, *arguments: str) -> int:
    """Run a command of the project and return its exit code."""
    return subprocess.run([str(BIN / command), *arguments], cwd=PROJECT, check=False).returncode


def output(command: str, *arguments: str) -> str:
    """Run a command of the project and return what it prints."""
    return subprocess.run(
        [str(BIN / command), *arguments], cwd=PROJECT, check=True, capture_output=True, text=True
    ).stdout


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        say("Stopped before the load began, or after it.")
        sys.exit(INTERRUPTED)
