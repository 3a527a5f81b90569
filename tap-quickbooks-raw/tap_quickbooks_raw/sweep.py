"""Finds what was deleted in QBO: living rows of `raw` whose ids are no longer there.

The settings come from the environment, as for the verification.
"""

from __future__ import annotations

import argparse
import difflib
import logging
import os
import sys
import textwrap
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

import psycopg

from tap_quickbooks_raw.entities import BY_STREAM, ENTITIES, Reading
from tap_quickbooks_raw.exceptions import (
    BudgetReached,
    EntityError,
    QuickBooksError,
    UnavailableError,
)
from tap_quickbooks_raw.listing import Listing
from tap_quickbooks_raw.raw_tables import RawTable, connect, reason, schema_of
from tap_quickbooks_raw.run import Run
from tap_quickbooks_raw.verify import REASON_LENGTH, UNAVAILABLE, settings_from

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tap_quickbooks_raw.client import QuickBooksClient
    from tap_quickbooks_raw.entities import Entity

# So much is not deleted in a company's everyday life: that many rows, and such a share of all.
MANY_ROWS = 100
LARGE_SHARE = 0.05
# Ids that a dry run names of each stream.
NAMED_IDS = 20
# A rate has no Id, and nobody can delete it.
SWEPT = tuple(entity for entity in ENTITIES if entity.reading is not Reading.RATES)

logger = logging.getLogger("tap-quickbooks-raw.sweep")


class Swept(NamedTuple):
    """What became of one entity.

    Attributes:
        stream: Its stream.
        rows: Living rows in `raw` before.
        missing: Those of them that QBO does not have; None if that is not known.
        marked: Those that were marked as deleted; in a dry run, those that would be.
        extra: Objects in QBO without a living row; None if that is not known.
        verdict: What to say about it.
        is_fine: Whether it was done, or nothing was to be done.
        gone: Ids of those marked.
    """

    stream: str
    rows: int = 0
    missing: int | None = None
    marked: int = 0
    extra: int | None = None
    verdict: str = "ok"
    is_fine: bool = True
    gone: tuple[str, ...] = ()

    def failed(self, why: object) -> Swept:
        """Return this for an entity of which nothing was marked."""
        told = textwrap.shorten(f"failed: {why}", REASON_LENGTH)
        return self._replace(verdict=told, is_fine=False)


@dataclass(frozen=True, slots=True)
class Sweep:
    """A sweep of one company, entity by entity.

    Attributes:
        client: Asks QBO.
        connection: The database, with autocommit and in UTC.
        moment: What is put down as the time of a deletion.
        schema: The raw schema.
        page_size: Ids per page at most.
        is_dry: Whether to mark nothing.
        is_sure: Whether to mark however many are missing.
        results: What has become of the entities until now.
    """

    client: QuickBooksClient
    connection: psycopg.Connection
    moment: datetime
    schema: str = "raw"
    page_size: int = 1000
    is_dry: bool = False
    is_sure: bool = False
    results: list[Swept] = field(default_factory=list)

    def entity(self, entity: Entity) -> Swept:
        """Sweep an entity; what is proven to be gone is marked when this returns.

        Raises:
            CompanyError: Nothing of the company can be read.
            BudgetReached: No further request may be sent.
            QuickBooksError: The database has gone away.
        """
        swept = Swept(entity.stream)
        table = RawTable(
            self.connection, entity.stream, schema=self.schema, realm_id=self.client.realm_id
        )
        try:
            # The rows first: one that is loaded after this is none of those that are missing.
            living = table.living()
            swept = swept._replace(rows=len(living))
            if not living:
                return swept._replace(verdict="nothing in raw")
            return self._mark(Listing(self.client, entity, size=self.page_size), living, table)
        except UnavailableError:
            return swept._replace(verdict=UNAVAILABLE)
        except EntityError as error:
            return swept.failed(error)
        except psycopg.Error as error:
            if self.connection.closed:
                raise QuickBooksError(f"the database has gone away ({reason(error)})") from None
            return swept.failed(f"PostgreSQL says {reason(error)}")

    def _mark(self, listing: Listing, living: dict[str, str | None], table: RawTable) -> Swept:
        listed = listing.read()
        missing = living.keys() - listed
        swept = Swept(table.stream, len(living), len(missing), extra=len(listed - living.keys()))
        if not self.is_sure and len(missing) > max(MANY_ROWS, LARGE_SHARE * len(living)):
            share = len(missing) / len(living)
            text = f"refused: {len(missing):,} rows are missing ({share:.0%}); --yes marks them"
            return swept._replace(verdict=text, is_fine=False)
        gone = listing.absent(missing, listed)
        swept = swept._replace(missing=len(gone), gone=tuple(sorted(gone)))
        if self.is_dry or not gone:
            return swept._replace(marked=len(gone))
        marked = table.mark_deleted({key: living[key] for key in swept.gone}, self.moment)
        left = len(gone) - marked
        text = f"ok, {left:,} changed meanwhile and left" if left else "ok"
        return swept._replace(marked=marked, verdict=text)


def heading(*, is_dry: bool) -> str:
    """The first line of the table."""
    marked = "to mark" if is_dry else "marked"
    return (
        f"{'stream':<26}{'rows in raw':>12}{'missing in QBO':>16}{marked:>9}{'not in raw':>12}"
        "  verdict"
    )


def line(swept: Swept) -> str:
    """A line of the table."""
    missing, extra = (
        "-" if number is None else f"{number:,}" for number in (swept.missing, swept.extra)
    )
    return (
        f"{swept.stream:<26}{swept.rows:>12,}{missing:>16}{swept.marked:>9,}{extra:>12}"
        f"  {swept.verdict}"
    )


def names(swept: Swept) -> str:
    """A line that names what would be marked; empty if nothing would be."""
    if not swept.gone:
        return ""
    more = len(swept.gone) - NAMED_IDS
    return f"  {', '.join(swept.gone[:NAMED_IDS])}{f' and {more:,} more' if more > 0 else ''}\n"


def total(results: Iterable[Swept], calls: int) -> str:
    """The last line of the table."""
    results = list(results)
    fine = sum(swept.is_fine for swept in results)
    return line(
        Swept(
            "total",
            sum(swept.rows for swept in results),
            sum(swept.missing or 0 for swept in results),
            sum(swept.marked for swept in results),
            sum(swept.extra or 0 for swept in results),
            f"{fine} of {len(results)} done, {calls:,} calls",
        )
    )


def streams(text: str) -> list[Entity]:
    """Read the names of `--streams`.

    Raises:
        argparse.ArgumentTypeError: One is no stream that can be swept.
    """
    wanted = {name.strip() for name in text.split(",")} - {""}
    known = [entity.stream for entity in SWEPT]
    for name in sorted(wanted.difference(known)):
        if name in BY_STREAM:
            raise argparse.ArgumentTypeError(f"{name}: exchange rates are never deleted")
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise argparse.ArgumentTypeError(f"{name} is no stream{hint}")
    if not wanted:
        raise argparse.ArgumentTypeError("names no stream")
    return [entity for entity in SWEPT if entity.stream in wanted]


def run_sweep(sweep: Sweep, entities: Iterable[Entity]) -> list[Swept]:
    """Sweep entities, and print the line of each as soon as it is done."""
    _print(f"{heading(is_dry=sweep.is_dry)}\n")
    try:
        for entity in entities:
            swept = sweep.entity(entity)
            sweep.results.append(swept)
            _print(f"{line(swept)}\n{names(swept) if sweep.is_dry else ''}")
    finally:
        _print(f"{total(sweep.results, sweep.client.calls)}\n")
    return sweep.results


def conclude(run: Run, sweep: Sweep) -> None:
    """End the threads, and write down what the sweep has done until now."""
    run.command = "sweep"
    run.deletions = 0 if sweep.is_dry else sum(swept.marked for swept in sweep.results)
    failed = [swept for swept in sweep.results if not swept.is_fine]
    run.failures = {swept.stream: EntityError(swept.verdict) for swept in failed}
    run.conclude()


def _print(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tap-quickbooks-raw-sweep",
        description="Find the objects that were deleted in QuickBooks Online: compare its ids "
        "with those of the living rows in PostgreSQL's raw schema, ask for each missing one "
        "again, and set deleted_at_utc of those that are gone; their last payload stays. "
        "Settings come from the environment, as for tap-quickbooks-raw-verify. "
        "In a Meltano project: meltano invoke quickbooks-verify:sweep.",
        epilog="Exit code 0: every entity was swept. 1: one could not be, or too many of its rows "
        "are missing, and nothing of it was marked; or the sweep could not be made.",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="mark nothing, and name what would be marked"
    )
    parser.add_argument(
        "--yes",
        action="store_true",
        help=f"mark also where more than {MANY_ROWS} rows and more than {LARGE_SHARE:.0%} of an "
        "entity's are missing".replace("%", "%%"),
    )
    parser.add_argument(
        "--streams",
        type=streams,
        default=SWEPT,
        metavar="NAMES",
        help="sweep these only, such as qb_invoices,qb_bills; default: all but exchange rates, "
        "which are never deleted",
    )
    return parser


def main() -> None:
    """Sweep, print the table, exit 0 only if nothing failed and nothing was refused."""
    options = _parser().parse_args()
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    try:
        settings = settings_from(os.environ)
        with connect(os.environ) as connection:
            run = Run(settings)
            sweep = Sweep(
                run.client,
                connection,
                datetime.now(UTC),
                schema=schema_of(os.environ),
                page_size=settings.page_size,
                is_dry=options.dry_run,
                is_sure=options.yes,
            )
            try:
                results = run_sweep(sweep, options.streams)
                run.is_over = True
            except BudgetReached as limit:
                run.limit, run.is_over = limit, True
                raise
            finally:
                conclude(run, sweep)
    except QuickBooksError as error:
        logger.error("%s", error)  # noqa: TRY400  One line; a traceback says no more.
        sys.exit(1)
    if not all(swept.is_fine for swept in results):
        logger.error("Not everything was swept: of what failed or was refused nothing is marked")
        sys.exit(1)
