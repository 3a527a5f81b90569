"""The command line of `tap-quickbooks-raw-verify`."""

from __future__ import annotations

import argparse
import difflib
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from tap_quickbooks_raw.entities import BY_STREAM, ENTITIES
from tap_quickbooks_raw.verification.locating import MONTHS
from tap_quickbooks_raw.verification.verifying import Depth

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tap_quickbooks_raw.entities import Entity

DESCRIPTION = """\
Compare the objects in QuickBooks Online (QBO) with the rows in PostgreSQL's raw schema, entity
by entity, and write down what was found.

By default QBO counts, 30 entities to a call, within start_date and end_date, and deactivated
objects too; entities that it does not count are listed by their ids. Two counts that differ are
looked into: what was changed or deleted in QBO since raw was loaded cannot be there yet, and is
asked for and looked up in raw. What is not explained to the last row fails, and is counted by
month to show where it lies. Equal counts are believed; --ids is the proof.

Settings come from the environment: QB_CLIENT_ID, QB_CLIENT_SECRET, QB_REALM_ID,
QB_REFRESH_TOKEN, POSTGRES_HOST, POSTGRES_PORT, POSTGRES_USER, POSTGRES_PASSWORD, POSTGRES_DB, and
TAP_QUICKBOOKS_RAW_<SETTING> for every other setting of the tap, max_api_calls and
max_run_seconds among them. In a Meltano project: meltano invoke quickbooks-verify.
"""
EPILOG = """\
What it costs, in calls for a company of R objects:
  default         about 7, whatever R is; where counts differ 1 for 6 to 10 such entities, 1 to ask
                  what was deleted, and 4 for 10 years of months of each that does not agree
  --ids           about R / 1000, and 2 for each entity; 3 for each 49 rows that QBO does not list
  --payloads N    about N / 49, at least 1 for each entity
  --windows month about 4 for each entity and 10 years
  --repair        as --ids, then 1 for each 50 objects that are read again, and the listing of
                  what was mended once more

Examples:
  tap-quickbooks-raw-verify --ids --payloads 500       proof after a backfill
  tap-quickbooks-raw-verify --streams qb_invoices --windows 7
  tap-quickbooks-raw-verify --repair                   mend what differs, then look again

Exit code 0: every entity agrees, or its differences are explained. 1: something is missing, too
much or different, or the comparison could not be made. 143: stopped by SIGTERM.
"""


class Options(argparse.Namespace):
    """The options.

    Attributes:
        streams: The entities to compare.
        evidence: Where to write files; None for nowhere.
        is_strict: Whether explained differences fail, too.
        depth: How deep to look.
    """

    streams: list[Entity]
    evidence: Path | None
    is_strict: bool
    ids: bool
    payloads: int
    seed: str
    windows: int | str | None
    repair: bool
    yes: bool

    @property
    def depth(self) -> Depth:
        """How deep to look."""
        return Depth(
            ids=self.ids,
            payloads=self.payloads,
            seed=self.seed,
            windows=self.windows,
            repairs=self.repair,
            is_sure=self.yes,
        )


def parse(arguments: list[str], environment: Mapping[str, str]) -> Options:
    """Read the command line; it may end the process."""
    project = environment.get("MELTANO_PROJECT_ROOT") or "."
    return _parser(Path(project, "evidence")).parse_args(arguments, namespace=Options())


def streams(text: str) -> list[Entity]:
    """Read the names of `--streams`.

    Raises:
        argparse.ArgumentTypeError: One is no stream.
    """
    wanted = {name.strip() for name in text.split(",")} - {""}
    for name in sorted(wanted.difference(BY_STREAM)):
        near = difflib.get_close_matches(name, BY_STREAM, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise argparse.ArgumentTypeError(f"{name} is no stream{hint}")
    if not wanted:
        raise argparse.ArgumentTypeError("names no stream")
    return [entity for entity in ENTITIES if entity.stream in wanted]


def _parser(evidence: Path) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tap-quickbooks-raw-verify",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--ids",
        action="store_true",
        help="compare all ids and LastUpdatedTimes, and name what is missing, extra or newer",
    )
    parser.add_argument(
        "--payloads",
        type=_whole,
        default=0,
        metavar="N",
        help="compare N objects, spread over entities and time, digit by digit",
    )
    parser.add_argument(
        "--seed",
        type=_printable,
        default=secrets.token_hex(4),
        help="choose the same N objects again; default: a random one, which is printed",
    )
    parser.add_argument(
        "--windows",
        type=_window,
        metavar="month|DAYS",
        help="count every entity by windows of LastUpdatedTime, not only those that differ",
    )
    parser.add_argument(
        "--repair",
        action="store_true",
        help="load again what is missing, older or different in raw, mark as deleted what is "
        "gone, and verify that again; compares ids",
    )
    parser.add_argument(
        "--yes",
        action="store_true",
        help="with --repair: mark also where more than 100 rows and more than 5%% of an "
        "entity's are gone",
    )
    parser.add_argument(
        "--strict",
        dest="is_strict",
        action="store_true",
        help="fail for explained differences as well",
    )
    parser.add_argument(
        "--streams",
        type=streams,
        default=list(ENTITIES),
        metavar="NAMES",
        help="compare these only, such as qb_invoices,qb_bills",
    )
    place = parser.add_mutually_exclusive_group()
    place.add_argument(
        "--evidence",
        type=Path,
        default=evidence,
        metavar="DIR",
        help="write a JSON file and a page to look at into this folder; default: evidence in "
        "the Meltano project, else in the working folder",
    )
    place.add_argument(
        "--no-evidence",
        dest="evidence",
        action="store_const",
        const=None,
        help="write no files, and no rows into qb_verifications",
    )
    return parser


def _printable(text: str) -> str:
    if text.isprintable():
        return text
    raise argparse.ArgumentTypeError("has characters that cannot be printed")


def _window(text: str) -> int | str:
    return MONTHS if text == MONTHS else _whole(text, 1)


def _whole(text: str, least: int = 0) -> int:
    if text.isascii() and text.isdecimal() and int(text) >= least:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text} is no whole number from {least} on")
