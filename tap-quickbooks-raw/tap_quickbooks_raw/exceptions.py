"""What can go wrong, named by what to do about it.

::

    QuickBooksError
    ├── SettingsError        a setting is wrong: mend it and start again
    ├── StateError           the given state cannot be used: see its message
    ├── TokenStoreError      the token store cannot be read or written
    ├── CompanyError         the whole company cannot be read: stop the run
    │   ├── ReconnectError   only a person who signs in again can mend it
    │   └── UnansweredError  a token may have been replaced without our knowing
    ├── EntityError          one entity cannot be read: go on with the others
    │   ├── UnavailableError the company's country or plan does not have it: no failure
    │   ├── RefusedError     QBO refuses this form of the request: ask differently
    │   ├── LostError        QBO cannot send some of its objects; the others are loaded
    │   └── RetriesExhausted a passing trouble that outlasted its attempts
    │       └── UnreadableError  QBO cannot make this page: ask for fewer rows
    ├── BudgetReached        max_api_calls or max_run_seconds: stop cleanly
    └── Interrupted          SIGTERM or SIGINT: stop, state saved
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

# So many objects that QBO cannot send are named again at the end.
MOST_NAMED = 10


class QuickBooksError(Exception):
    """Anything this tap reports in one line."""


class SettingsError(QuickBooksError):
    """A setting is missing or wrong; the message names it."""


class StateError(QuickBooksError):
    """The given state belongs to another company or is not readable."""


class TokenStoreError(QuickBooksError):
    """The token store cannot be read or written."""


class CompanyError(QuickBooksError):
    """Nothing of this company can be read now, whatever the entity."""


class ReconnectError(CompanyError):
    """The connection to the company is dead; a person has to sign in again."""


class UnansweredError(CompanyError):
    """The token endpoint may have done what it was asked for, but did not tell the result."""


class EntityError(QuickBooksError):
    """One entity failed for good; the others are not concerned."""


class UnavailableError(EntityError):
    """The company does not have this entity (country, plan or a feature not switched on)."""


class RefusedError(EntityError):
    """QBO refuses the form of this query (4000, 4001, 4002)."""


class RetriesExhausted(EntityError):  # noqa: N818  It says what happened.
    """A passing trouble (5xx, time-out, broken answer) outlasted its attempts."""


class UnreadableError(RetriesExhausted):
    """QBO cannot make this page: one of its objects is broken, or it is too heavy.

    Attributes:
        is_heavy: True if the page is too large (a time-out, a cut answer), so that any page of
            this size may fail; False if one object in it is likely to be at fault.
    """

    def __init__(self, message: str, *, is_heavy: bool) -> None:
        super().__init__(message)
        self.is_heavy = is_heavy


class LostError(EntityError):
    """QBO cannot send some objects of an entity; the others are loaded.

    Args:
        lost: What to say about each.
    """

    def __init__(self, lost: Sequence[str]) -> None:
        more = len(lost) - MOST_NAMED
        super().__init__(
            f"{len(lost)} object(s) that QBO cannot send are missing; once mended in QBO they "
            f"come by themselves: {'; '.join(lost[:MOST_NAMED])}"
            + (f"; and {more} more, named above" if more > 0 else "")
        )


class BudgetReached(QuickBooksError):  # noqa: N818  No error: the run ends as asked.
    """The run has used what max_api_calls or max_run_seconds allow."""


class Interrupted(QuickBooksError):  # noqa: N818  No error: somebody asked for it.
    """The process was asked to stop."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(f"stopped by signal {signal_number}")
        self.exit_code = 128 + signal_number
