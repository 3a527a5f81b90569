"""What goes wrong with the database: what may be repeated, and the words for the rest.

LoadError            ends the run; its text is the one line that people read
└── MisfitError      a record that does not fit its column
"""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, TypeVar

import psycopg
from sqlalchemy.exc import DBAPIError

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable

T = TypeVar("T")

RECONNECT_SECONDS = (0.5, 1, 2, 4, 8, 16)
REPEATS = 8
REPEAT_SECONDS = 0.2

# SQLSTATE, https://www.postgresql.org/docs/current/errcodes-appendix.html
CONFLICTS = {"40001", "40P01"}
OUTAGES = {"25P03", "57P01", "57P02", "57P03", "57P05", "53300"}
ADVICE = {
    "25006": "the database takes no writes; load into the primary server",
    "28000": "check user and host",
    "28P01": "check user and password",
    "3D000": "create the database, or correct its name",
    "42501": "grant the loader's user what it lacks",
    "42P10": "give the table a primary key or a unique constraint on the stream's key",
    "53100": "make room on the database's disk",
    "53200": "the server is out of memory; lower batch_size_bytes",
    "55P03": "another session keeps the table or the row locked",
    "57014": "if that was statement_timeout, raise it or lower batch_size_rows",
}
WORDS_LIMIT = 300


class LoadError(Exception):
    """Ends the run; its text is the one line that people read."""


class MisfitError(LoadError):
    """A record does not fit the table."""

    def __init__(self, stream: str, key: str, column: str | None, why: str) -> None:
        where = f", column {column}" if column else ""
        super().__init__(
            f"Stream {stream}: the record with {key}{where} does not fit: {why}. "
            "Neither it nor what follows is loaded; the batches before it are."
        )


def clip(words: str) -> str:
    """Return words on one line of a length that people read."""
    line = " ".join(words.split())
    return line if len(line) <= WORDS_LIMIT else f"{line[:WORDS_LIMIT]}..."


def database_error(error: BaseException) -> psycopg.Error | None:
    """Return what PostgreSQL's driver raised, out of SQLAlchemy's wrapping."""
    inner = error.orig if isinstance(error, DBAPIError) else error
    return inner if isinstance(inner, psycopg.Error) else None


def is_outage(error: psycopg.Error) -> bool:
    """Whether the connection is gone, or cannot be had now, so that another may help."""
    if error.sqlstate:
        return error.sqlstate in OUTAGES or error.sqlstate.startswith("08")
    # The driver has no SQLSTATE of a refused connection; a server that gives its own reason
    # for refusing is not gone, unless it starts or stops.
    words = str(error)
    passing = (
        "starting up",
        "shutting down",
        "recovery",
        "not yet accepting",
        "too many",
        "remaining connection",
    )
    lasting = ("FATAL", "does not support SSL")
    return isinstance(error, psycopg.OperationalError) and (
        not any(word in words for word in lasting) or any(word in words for word in passing)
    )


def in_words(error: psycopg.Error, what: str) -> str:
    """Say in one line what failed, why, and what to do."""
    words = clip(error.diag.message_primary or str(error))
    advice = ADVICE.get(error.sqlstate or "")
    return f"{what}: {words}" + (f" ({advice})" if advice else "")


def persist(
    work: Callable[[], T], *, what: str, forget: Callable[[], None], logger: logging.Logger
) -> T:
    """Do work that may be repeated whole until it succeeds, or cannot.

    Args:
        work: One transaction.
        what: What is done, for the message.
        forget: Gives up the connection, so that the next try makes a new one.
        logger: Hears of every repetition.

    Raises:
        LoadError: It cannot be done; the message says why.
    """
    outages = conflicts = 0
    while True:
        try:
            return work()
        except (psycopg.Error, DBAPIError) as raised:
            error = database_error(raised)
            if error is None:
                raise
            if is_outage(error) and outages < len(RECONNECT_SECONDS):
                pause = RECONNECT_SECONDS[outages]
                outages += 1
                forget()
            elif error.sqlstate in CONFLICTS and conflicts < REPEATS:
                conflicts += 1
                pause = random.uniform(0, REPEAT_SECONDS * conflicts)  # noqa: S311  No secret.
            else:
                raise LoadError(in_words(error, what)) from error
        logger.warning("%s; trying again in %.1f s", in_words(error, what), pause)
        time.sleep(pause)
