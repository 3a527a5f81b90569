"""Source against destination: objects in QBO beside rows in `raw`, entity by entity.

The settings come from the environment, under the names that `.env` gives them: ``QB_*`` and
``TAP_QUICKBOOKS_RAW_*`` for QBO, ``POSTGRES_*`` for the database.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from contextlib import closing, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import psycopg

from tap_quickbooks_raw.command_settings import from_environment
from tap_quickbooks_raw.evidence.store import record
from tap_quickbooks_raw.evidence.writing import write
from tap_quickbooks_raw.exceptions import (
    BudgetReached,
    Interrupted,
    QuickBooksError,
    SettingsError,
)
from tap_quickbooks_raw.raw_tables import connect, schema_of
from tap_quickbooks_raw.read_ahead import in_thread
from tap_quickbooks_raw.run import Run
from tap_quickbooks_raw.settings import parse, problems, resolve
from tap_quickbooks_raw.verification import options as command_line
from tap_quickbooks_raw.verification.finding import REASON_LENGTH, UNAVAILABLE
from tap_quickbooks_raw.verification.reporting import document, table
from tap_quickbooks_raw.verification.scope import Scope
from tap_quickbooks_raw.verification.verifying import Verifier

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from tap_quickbooks_raw.settings import Settings
    from tap_quickbooks_raw.verification.finding import Finding
    from tap_quickbooks_raw.verification.options import Options

__all__ = ["REASON_LENGTH", "UNAVAILABLE", "connect", "main", "settings_from"]

logger = logging.getLogger("tap-quickbooks-raw.verify")


def settings_from(environment: Mapping[str, str]) -> Settings:
    """Read the tap's settings from environment variables.

    Raises:
        SettingsError: One is missing or wrong.
    """
    resolved = resolve(from_environment(environment))
    errors = problems(resolved)
    if errors:
        raise SettingsError("; ".join(errors))
    return parse(resolved)


def main() -> None:
    """Compare, print the table, exit 0 only if every entity agrees or is explained."""
    options = command_line.parse(sys.argv[1:], os.environ)
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    logger.setLevel(logging.INFO)
    try:
        sys.exit(_run(options))
    except QuickBooksError as error:
        logger.error("%s", error)  # noqa: TRY400  One line; a traceback says no more.
        sys.exit(1)


def _run(options: Options) -> int:
    settings = settings_from(os.environ)
    # Closed, not committed: a thread that was left behind may be in a transaction.
    with closing(connect(os.environ)) as connection:
        run = Run(settings)
        run.command = "verify"
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda number, _: run.interrupt(number))
        scope = Scope(run, connection, schema_of(os.environ))
        verifier = Verifier(scope, options.streams, options.depth)
        try:
            ended_by = _verify(verifier, run)
        finally:
            run.conclude()
        if ended_by is not None:
            with suppress(psycopg.Error):  # There may be nothing to cancel any more.
                connection.cancel()
    findings = _judged(verifier.findings, ended_by, is_strict=options.is_strict)
    if options.payloads:
        sys.stdout.write(f"{options.payloads:,} payloads are compared with --seed {options.seed}\n")
    sys.stdout.write(f"{table(findings)}\n")
    is_kept = options.evidence is None or _keep(scope, findings, options.evidence)
    if isinstance(ended_by, Interrupted):
        return ended_by.exit_code
    agree = all(finding.agrees for finding in findings)
    if not agree:
        logger.error(
            "Not everything agrees: run the job again (what changed during the run is read then); "
            "--ids names what differs, and --repair mends it"
        )
    return 0 if agree and is_kept and ended_by is None else 1


def _verify(verifier: Verifier, run: Run) -> QuickBooksError | None:
    """Verify as far as possible; return what has ended it early, if something has."""
    try:
        # In a thread, so that a signal ends all waiting.
        in_thread(verifier.verify, check=run.check)
    except BudgetReached as limit:
        run.limit = limit
        run.is_over = True
        logger.warning("Stopped at a limit (%s): not everything was compared", limit)
        return limit
    except QuickBooksError as error:
        logger.error("%s", error)  # noqa: TRY400  One line; a traceback says no more.
        return error
    run.is_over = True
    return None


def _judged(
    findings: Sequence[Finding], ended_by: QuickBooksError | None, *, is_strict: bool
) -> list[Finding]:
    """Return the findings; what was not finished does not agree."""
    for finding in findings:
        if ended_by is not None:
            finding.stop(ended_by)
        if is_strict:
            finding.faults += finding.excused
            finding.excused = []
    return list(findings)


def _keep(scope: Scope, findings: Sequence[Finding], folder: Path) -> bool:
    """Write down what was found; return whether that could be done."""
    try:
        # A connection of its own: that of the comparison may be in the middle of something.
        with connect(os.environ) as connection:
            scope = replace(scope, connection=connection)
            told = document(scope, findings, options=sys.argv[1:])
            is_recorded = _is_done(lambda: record(connection, told, schema=scope.schema))
    except SettingsError as error:
        logger.error("%s", error)  # noqa: TRY400  One line; a traceback says no more.
        return False
    return _is_done(lambda: _show(write(told, folder)[1])) and is_recorded


def _show(page: Path) -> None:
    sys.stdout.write(f"Evidence: {page}\n")


def _is_done(work: Callable[[], None]) -> bool:
    try:
        work()
    except SettingsError as error:
        logger.error("%s; --no-evidence leaves it out", error)  # noqa: TRY400  As above.
        return False
    return True
