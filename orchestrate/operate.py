"""Runs the pipeline unattended: what the schedules and their units start.

``backfill-once`` and ``weekly`` are commands of the utility `quickbooks-operate`: they run Meltano
inside, and the verification after it whatever became of the load. ``schedule NAME`` runs a
schedule of `meltano.yml`, and ends it cleanly when it is asked to end, which `meltano schedule
run` alone does not.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

import psycopg
from backfill import AGAIN, backfill_once
from commands import PROJECT, SAVED, STOPPED, Runner, Stopped, say
from loading import environment, load_then_verify
from tap_quickbooks_raw import exclusive
from tap_quickbooks_raw.command_settings import from_environment
from tap_quickbooks_raw.exceptions import QuickBooksError
from tap_quickbooks_raw.raw_tables import reason
from tap_quickbooks_raw.settings import ENVIRONMENT_NAMES

if TYPE_CHECKING:
    from collections.abc import Sequence

SWEEP_JOB = "quickbooks-sweep"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line names; return the exit code."""
    options = parser().parse_args(arguments)
    runner = Runner(environment())
    runner.stop_on_signals()
    try:
        if options.command == "schedule":
            return runner.run("meltano", "schedule", "run", options.name)
        return alone(runner, options)
    except Stopped:
        say(SAVED)
        return STOPPED


def alone(runner: Runner, options: argparse.Namespace) -> int:
    """Run a command while nothing else reads the company."""
    try:
        realm_id = str(from_environment(runner.environment)["realm_id"]).strip()
        if not realm_id.isdigit():
            say(f"realm_id: is missing; set {ENVIRONMENT_NAMES['realm_id']} in .env")
            return 1
        what = f"quickbooks-operate:{options.command}"
        with exclusive.hold(str(PROJECT), realm_id, what=what) as lock:
            runner.environment[exclusive.HELD] = str(lock.path)
            runner.handles = (lock.handle,)
            if options.command == "weekly":
                loaded, verified = load_then_verify(runner.run, SWEEP_JOB)
                return loaded or verified
            again = options.again or runner.environment.get(AGAIN, "").lower() in {"1", "true"}
            return backfill_once(runner, realm_id, again=again)
    except QuickBooksError as error:
        say(str(error))
    except psycopg.Error as error:
        say(f"POSTGRES_HOST: the database fails ({reason(error)})")
    return 1


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(
        prog="operate.py",
        description="Run the pipeline unattended, for one company. Settings come from the "
        "environment and .env.",
        epilog="Exit code 0: all done, or stopped cleanly at a limit. 1: something was not "
        "loaded or does not agree. 143: stopped by SIGTERM, state saved.",
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="command")
    once = commands.add_parser(
        "backfill-once",
        help="load the whole company once, then verify; goes on where it was stopped",
    )
    once.add_argument(
        "--again",
        action="store_true",
        help=f"make it once more though it is complete (or {AGAIN}=1)",
    )
    commands.add_parser("weekly", help="load, sweep what was deleted, then verify")
    schedule = commands.add_parser("schedule", help="run a schedule of meltano.yml now")
    schedule.add_argument("name", help="its name; `meltano schedule list` shows all")
    return top


if __name__ == "__main__":
    sys.exit(main())
