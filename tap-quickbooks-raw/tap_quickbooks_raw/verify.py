"""Source against destination: rows in QBO beside rows in `raw`, entity by entity.

The settings come from the environment, under the names that `.env` gives them: ``QB_*`` and
``TAP_QUICKBOOKS_RAW_*`` for QBO, ``POSTGRES_*`` for the database.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import textwrap
from typing import TYPE_CHECKING, NamedTuple

from tap_quickbooks_raw.batches import count_all
from tap_quickbooks_raw.command_settings import from_environment
from tap_quickbooks_raw.company import CompanyReader
from tap_quickbooks_raw.entities import ENTITIES, Reading
from tap_quickbooks_raw.exceptions import (
    EntityError,
    QuickBooksError,
    SettingsError,
    UnavailableError,
)
from tap_quickbooks_raw.planning import ReadingSettings, Task, base_query
from tap_quickbooks_raw.raw_tables import RawTable, connect, schema_of
from tap_quickbooks_raw.run import Run
from tap_quickbooks_raw.settings import parse, problems, resolve

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import psycopg

    from tap_quickbooks_raw.entities import Entity
    from tap_quickbooks_raw.settings import Settings

UNAVAILABLE = "unavailable"
REASON_LENGTH = 100

logger = logging.getLogger("tap-quickbooks-raw.verify")


class Verdict(NamedTuple):
    """The comparison of one entity.

    Attributes:
        entity: The entity.
        source: Rows in QBO, or why they cannot be counted.
        raw: Living rows in `raw`.
    """

    entity: Entity
    source: int | EntityError
    raw: int

    @property
    def rows(self) -> int:
        """Rows in QBO, as far as they are known."""
        return self.source if isinstance(self.source, int) else 0

    @property
    def agrees(self) -> bool:
        """Whether nothing is missing and nothing is too much."""
        known = isinstance(self.source, int | UnavailableError)
        return known and self.rows == self.raw

    @property
    def text(self) -> str:
        """The verdict in a word or two."""
        difference = self.raw - self.rows
        match self.source:
            case int() | UnavailableError() if difference:
                return f"{-difference} missing" if difference < 0 else f"{difference} too many"
            case int():
                return "ok"
            case UnavailableError():
                return UNAVAILABLE
            case error:
                return f"cannot be counted: {textwrap.shorten(str(error), REASON_LENGTH)}"


def compare(settings: Settings, connection: psycopg.Connection) -> Iterator[Verdict]:
    """Count every entity on both sides, QBO first."""
    run = Run(settings)
    schema = schema_of(os.environ)
    try:
        counts = count_source(run)
        for entity in ENTITIES:
            raw = RawTable(connection, entity.stream, schema=schema, realm_id=settings.realm_id)
            rows = raw.count(settings.start, settings.end)
            yield Verdict(entity, counts[entity.stream], rows)
    finally:
        run.close()


def count_source(run: Run) -> dict[str, int | EntityError]:
    """Count the objects of every entity in QBO, or say why one cannot be counted."""
    start = run.settings.start
    countable = [
        entity for entity in ENTITIES if entity.reading not in {Reading.GET, Reading.RATES}
    ]
    queries = [base_query(entity).between(start, run.settings.end) for entity in countable]
    counted = dict(zip(countable, count_all(run.client, queries), strict=True))
    counts: dict[str, int | EntityError] = {}
    for entity in ENTITIES:
        count = counted.get(entity)
        counts[entity.stream] = _sweep(run, entity) if count is None else count
    return counts


def _sweep(run: Run, entity: Entity) -> int | EntityError:
    """Count an entity that QBO does not count: by its ids."""
    task = Task(entity, run.settings.start)
    reading = ReadingSettings(end=run.settings.end, settle=run.settings.settle)
    reader = CompanyReader(run.client, reading, tasks=[task], check=run.check)
    try:
        return len({row.id for page in reader.read_all(entity.stream) for row in page.rows})
    except EntityError as error:
        return error
    finally:
        reader.close()


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


def table(verdicts: list[Verdict]) -> str:
    """Lay out the verdicts for reading."""
    lines = [f"{'entity':<22}{'rows in QBO':>12}{'rows in raw':>12}  verdict"]
    for verdict in verdicts:
        source = f"{verdict.source:,}" if isinstance(verdict.source, int) else "-"
        lines.append(f"{verdict.entity.name:<22}{source:>12}{verdict.raw:>12,}  {verdict.text}")
    total = sum(verdict.rows for verdict in verdicts)
    agree = sum(verdict.agrees for verdict in verdicts)
    lines.append(
        f"{'total':<22}{total:>12,}{sum(verdict.raw for verdict in verdicts):>12,}"
        f"  {agree} of {len(verdicts)} agree"
    )
    return "\n".join(lines)


def main() -> None:
    """Compare, print the table, exit 0 only if every entity agrees."""
    parser = argparse.ArgumentParser(
        prog="tap-quickbooks-raw-verify",
        description="Compare the rows in QuickBooks Online with the rows in PostgreSQL's raw "
        "schema, entity by entity. Settings come from the environment: QB_CLIENT_ID, "
        "QB_CLIENT_SECRET, QB_REALM_ID, QB_REFRESH_TOKEN, POSTGRES_HOST, POSTGRES_PORT, "
        "POSTGRES_USER, POSTGRES_PASSWORD, POSTGRES_DB, and TAP_QUICKBOOKS_RAW_<SETTING> for "
        "every other setting of the tap. In a Meltano project: meltano invoke quickbooks-verify.",
        epilog="Exit code 0: every entity agrees. 1: something is missing or too much, or the "
        "comparison could not be made.",
    )
    parser.parse_args()
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    try:
        settings = settings_from(os.environ)
        with connect(os.environ) as connection:
            verdicts = list(compare(settings, connection))
    except QuickBooksError as error:
        logger.error("%s", error)  # noqa: TRY400  One line; a traceback says no more.
        sys.exit(1)
    sys.stdout.write(f"{table(verdicts)}\n")
    if not all(verdict.agrees for verdict in verdicts):
        logger.error(
            "Not everything agrees: run the job again (what changed during the run is read then); "
            "where rows are too many, `meltano invoke quickbooks-verify:sweep` marks the deleted "
            "ones; where rows stay missing, run the job with --full-refresh"
        )
        sys.exit(1)
