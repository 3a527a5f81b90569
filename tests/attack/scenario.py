"""A scenario: a company, the settings of a tap, and what happens while the tap reads it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Literal, NamedTuple

# Entities by their key in answers, and their streams: plain ones, lists that hide what is
# inactive, one whose rows wrap the object, one that CDC does not follow.
STREAMS = {
    "Customer": "qb_customers",
    "Invoice": "qb_invoices",
    "Item": "qb_items",
    "Payment": "qb_payments",
    "RecurringTransaction": "qb_recurring_transactions",
    "TimeActivity": "qb_time_activities",
}
SETTLE = 30
_FIRST = datetime(2000, 1, 1, tzinfo=UTC)
# Seconds that many objects may share: on both sides of a bound of 30-day windows, on a bound
# of yearly ones, on a day of its own.
SECONDS = (
    "2020-05-05T05:05:05Z",
    (_FIRST + timedelta(days=30 * 250, seconds=-1)).isoformat(),
    (_FIRST + timedelta(days=30 * 250)).isoformat(),
    (_FIRST + timedelta(days=365 * 20)).isoformat(),
)

# Faults that pass; what takes an argument has it here.
FAULTS: dict[str, dict[str, Any]] = {
    "429": {"fault": "throttle_xml"},
    "429 as JSON": {"fault": "throttle_json"},
    "429 with Retry-After": {"fault": "throttle_xml", "headers": {"Retry-After": "7"}},
    "500": {"status": 500, "body": "down"},
    "500 with 10000": {"fault": "system_failure_10000"},
    "502": {"fault": "bad_gateway_html"},
    "503": {"fault": "service_unavailable_html"},
    "504": {"fault": "gateway_timeout_xml"},
    "200 with a fault": {"fault": "fault_in_200"},
    "200 that is no JSON": {"status": 200, "body": "<html>", "content_type": "text/html"},
    "token expired": {"fault": "token_expired"},
    "closed": {"close": True},
    "hangs": {"hang": True},
    "cut early": {"truncate": 20},
    "cut late": {"truncate": 3000},
    "half the JSON": {"short_json": 500},
    "a row too many": {"limit_plus_one": True},
    "only one row": {"short_page": 1},
    "only three rows": {"short_page": 3},
    "a row twice": {"duplicate_row": True},
}

Operation = Literal["create", "update", "delete", "void", "deactivate", "touch"]


class Change(NamedTuple):
    """An edit by somebody else; all its rows get one stamp.

    Attributes:
        op: What is done.
        entity: To what.
        many: To how many objects, chosen by the simulator.
        age: How many seconds ago; never so long ago that its second has settled.
    """

    op: Operation
    entity: str
    many: int = 1
    age: int = 0


class Event(NamedTuple):
    """What happens around some requests.

    Attributes:
        operation: To which requests: query, count, batch; empty for all.
        entity: Of which entity; empty for all.
        nth: From which of these on.
        repeat: To how many of them.
        before: Changes just before the answer.
        after: Changes just behind it.
        fault: What goes wrong; only once.
    """

    operation: str = ""
    entity: str = ""
    nth: int = 1
    repeat: int = 1
    before: tuple[Change, ...] = ()
    after: tuple[Change, ...] = ()
    fault: str = ""


class Stop(NamedTuple):
    """An end before the end.

    Attributes:
        how: `budget` (max_api_calls), `term` (SIGTERM), `pipe` (the loader has gone) or `kill`
            (SIGKILL; what was in the loader's hands is lost with it).
        at: After so many calls, or lines of output.
    """

    how: Literal["budget", "term", "pipe", "kill"]
    at: int


class Pass(NamedTuple):
    """One run of the tap.

    Attributes:
        events: What happens meanwhile.
        stop: What ends it early.
        pause: Seconds that go by afterwards.
        later: Changes within that pause.
    """

    events: tuple[Event, ...] = ()
    stop: Stop | None = None
    pause: int = 0
    later: tuple[Change, ...] = ()


class Tie(NamedTuple):
    """Objects that share one second of the past, as after a bulk update."""

    entity: str
    many: int
    second: str


class Scenario(NamedTuple):
    """Everything about one case; a quiet run follows behind the passes."""

    counts: dict[str, int]
    ties: tuple[Tie, ...] = ()
    page_size: int = 1000
    concurrency: int = 4
    chunk_days: int | None = None
    switches: dict[str, Any] = {}  # noqa: RUF012  Never changed.
    passes: tuple[Pass, ...] = (Pass(),)

    @property
    def delay(self) -> int:
        """Seconds after which queries see a change."""
        return int(self.switches.get("visibility_delay_seconds", 0))

    @property
    def can_hang(self) -> bool:
        """Whether an answer may never come."""
        return any(event.fault == "hangs" for each in self.passes for event in each.events)
