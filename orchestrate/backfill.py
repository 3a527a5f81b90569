"""The first load of a company, which is made once: it goes on until it is complete, then rests.

What has been done is told by the table `qb_backfills` beside the data: it goes where they go
(another machine, a backup), and a new database knows of no backfill.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from commands import PROJECT, say
from loading import load_then_verify, state_id
from psycopg import sql
from tap_quickbooks_raw.creation import make
from tap_quickbooks_raw.raw_tables import connect, schema_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import psycopg
    from commands import Runner

JOB = "quickbooks-to-raw"
SUFFIX = "backfill"
AGAIN = "QUICKBOOKS_BACKFILL_AGAIN"
RUNS_FILE = "TAP_QUICKBOOKS_RAW_RUNS_FILE"


class Backfill(NamedTuple):
    """A backfill of a company.

    Attributes:
        started: When its first run began.
        completed: When everything was loaded; None if it was not yet.
        is_verified: Whether every entity agreed then.
    """

    started: datetime
    completed: datetime | None
    is_verified: bool | None


class Marker:
    """The backfills of a company in a database.

    Args:
        connection: The database, with autocommit.
        schema: The raw schema.
        realm_id: The company.
    """

    def __init__(self, connection: psycopg.Connection, schema: str, realm_id: str) -> None:
        self._connection = connection
        self._realm_id = realm_id
        self._table = sql.Identifier(schema, "qb_backfills")
        # Looked for first: who may not make a schema may not even if it is there.
        found = connection.execute(
            "SELECT 1 FROM pg_namespace WHERE nspname = %s", (schema,)
        ).fetchone()
        if found is None:
            name = sql.Identifier(schema)
            make(connection, sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(name))
        make(
            connection,
            sql.SQL(
                "CREATE TABLE IF NOT EXISTS {} (realm_id text, started_at_utc timestamptz,"
                " runs integer NOT NULL, completed_at_utc timestamptz, is_verified boolean,"
                " PRIMARY KEY (realm_id, started_at_utc))"
            ).format(self._table),
        )

    def all(self) -> list[Backfill]:
        """Return them in the order of their beginning."""
        rows = self._connection.execute(
            sql.SQL(
                "SELECT started_at_utc, completed_at_utc, is_verified FROM {}"
                " WHERE realm_id = %s ORDER BY started_at_utc"
            ).format(self._table),
            (self._realm_id,),
        )
        return [Backfill(*row) for row in rows]

    def begin(self, started: datetime) -> None:
        """Put down that a run of a backfill begins."""
        self._connection.execute(
            sql.SQL(
                "INSERT INTO {} AS backfill (realm_id, started_at_utc, runs) VALUES (%s, %s, 1)"
                " ON CONFLICT (realm_id, started_at_utc) DO UPDATE SET runs = backfill.runs + 1"
            ).format(self._table),
            (self._realm_id, started),
        )

    def complete(self, started: datetime, moment: datetime, *, is_verified: bool) -> None:
        """Put down that a backfill is complete."""
        self._connection.execute(
            sql.SQL(
                "UPDATE {} SET completed_at_utc = %s, is_verified = %s"
                " WHERE realm_id = %s AND started_at_utc = %s"
            ).format(self._table),
            (moment, is_verified, self._realm_id, started),
        )


def backfill_once(runner: Runner, realm_id: str, *, again: bool) -> int:
    """Begin the backfill, go on with it, or say that it has been made; return the exit code.

    Args:
        runner: Runs commands; its environment names the company and the database.
        realm_id: The company.
        again: Make another one, though one is complete.
    """
    variables = runner.environment
    with connect(variables) as connection:
        backfills = Marker(connection, schema_of(variables), realm_id).all()
    done = next((backfill for backfill in backfills if backfill.completed), None)
    is_open = bool(backfills) and not backfills[-1].completed
    if done and not is_open and not again:
        say(refusal(realm_id, done))
        return 0
    moment = datetime.now(UTC)
    started = backfills[-1].started if is_open else moment
    suffix = suffix_of(variables, started)
    say(
        f"The backfill of company (realm) {realm_id} that began {at(started)} goes on."
        if is_open
        else f"The backfill of company (realm) {realm_id} begins."
    )
    with connect(variables) as connection:
        Marker(connection, schema_of(variables), realm_id).begin(started)
    runner.environment |= {RUNS_FILE: str(runs_file(variables))}
    loaded, verified = load_then_verify(runner.run, "--state-id-suffix", suffix, JOB)
    outcome = outcome_since(runs_file(variables), realm_id, moment)
    if loaded or outcome != "complete":
        return say_what_is_left(loaded, outcome)
    # First, since what is marked is not looked at again.
    if not hand_on(runner, suffix):
        say(
            "The state of the backfill could not be handed on to the other runs, so it is not "
            "marked complete; see the lines above, and start it again."
        )
        return 1
    with connect(variables) as connection:
        Marker(connection, schema_of(variables), realm_id).complete(
            started, datetime.now(UTC), is_verified=not verified
        )
    say(f"The backfill of company (realm) {realm_id} is complete.")
    return verified


def refusal(realm_id: str, done: Backfill) -> str:
    """Say that the backfill has been made."""
    found = "every entity agreed" if done.is_verified else "the verification did not agree"
    return (
        f"The backfill of company (realm) {realm_id} into this database was completed "
        f"{at(done.completed)}, and {found}. Nothing was loaded. To make it once more: "
        f"{AGAIN}=1, or `meltano invoke quickbooks-operate:backfill-once --again`."
    )


def say_what_is_left(loaded: int, outcome: str | None) -> int:
    """Say why a backfill is not complete, and return the exit code."""
    match outcome:
        case "limit":
            say("The backfill stopped at a limit; the next start goes on from there.")
            return loaded
        case "selection":
            say("Not all streams are selected, so this was no backfill of the company.")
        case None if not loaded:
            say(
                f"{RUNS_FILE}: the run has left no record there, so whether it was complete is "
                "not known, and the backfill is not marked so; start it again"
            )
        case _:
            say("The backfill is not complete; the next start goes on from there.")
    return loaded or 1


def suffix_of(variables: Mapping[str, str], started: datetime) -> str:
    """What tells a backfill's state from all others.

    Each backfill has a state of its own: that of another one, of another database say, would
    leave gaps.
    """
    ours = f"{SUFFIX}-{started.astimezone(UTC):%Y%m%dT%H%M%SZ}"
    given = variables.get("MELTANO_RUN_STATE_ID_SUFFIX")
    return f"{given}-{ours}" if given else ours


def runs_file(variables: Mapping[str, str]) -> Path:
    """Where the tap puts down what became of its runs."""
    return PROJECT / (variables.get(RUNS_FILE) or "evidence/runs.jsonl")


def outcome_since(path: Path, realm_id: str, moment: datetime) -> str | None:
    """What the load of a company that began after a moment says of itself; None if nothing.

    Those that were refused meanwhile, since a load was under way, have failed.
    """
    outcome = None
    with contextlib.suppress(OSError):
        for line in path.read_bytes().splitlines():
            with contextlib.suppress(ValueError, KeyError, TypeError):
                record = json.loads(line)
                is_ours = (record["realm_id"], record["command"]) == (realm_id, "sync")
                begun = datetime.fromisoformat(record["started_at"])
                if is_ours and begun >= moment and record["outcome"] != "failed":
                    is_whole = record.get("selected") is None
                    outcome = str(record["outcome"]) if is_whole else "selection"
    return outcome


def hand_on(runner: Runner, suffix: str) -> bool:
    """Let the other runs go on from the backfill's state, if they have none of their own.

    Returns:
        Whether they have one now.
    """
    meltano = ("meltano", "--log-level", "error", "state")
    theirs = state_id(runner.environment)
    try:
        state = runner.output(*meltano, "get", theirs)
    except subprocess.CalledProcessError:
        return False
    if json.loads(state or "{}").get("singer_state", {}).get("bookmarks"):
        return True
    ours = state_id(runner.environment, suffix)
    return runner.run(*meltano, "copy", "--force", ours, theirs) == 0


def at(moment: datetime | None) -> str:
    """A moment for reading."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M UTC}" if moment else "never"
