"""Scripted trouble: which requests it meets, and what happens to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec

from quickbooks_simulator.troubles import NAMED

if TYPE_CHECKING:
    from quickbooks_simulator.requestlog import Entry

Operation = Literal["create", "update", "delete", "void", "deactivate", "touch", "merge"]


class Edit(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A change of data as another user of the company would make it.

    `ids` and `id` name rows; `random` takes that many rows by chance (or makes that many new ones).
    `at` is the stamp, a date-time; without it the server's clock. `touch` stamps without SyncToken.
    `into` is the name that `merge` keeps; without it a random one.
    `realm` is another company than the one addressed.
    """

    op: Operation
    entity: str
    realm: str = ""
    id: str = ""
    ids: list[str] = []
    into: str = ""
    random: int = 0
    at: str = ""
    fields: dict[str, Any] = {}


class Match(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Which requests a rule meets; `nth`, `from` and `to` count the requests that match."""

    realm: str = ""
    entity: str = ""
    operation: str = ""
    contains: str = ""
    nth: int | None = None
    from_: int | None = msgspec.field(default=None, name="from")
    to: int | None = None

    def meets(self, entry: Entry) -> bool:
        """Tell whether a request matches, whatever its number."""
        return (
            self.realm in ("", entry.realm)
            and (not self.entity or self.entity in entry.entity.split(","))
            and self.operation in ("", entry.operation)
            and self.contains.lower() in entry.statement.lower()
        )

    def counts(self, number: int) -> bool:
        """Tell whether the n-th matching request is meant."""
        if self.nth is not None:
            return number == self.nth
        return (self.from_ or 1) <= number and (self.to is None or number <= self.to)


class Do(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What happens to a request instead of its answer, or to its answer."""

    status: int | None = None
    headers: dict[str, str] = {}
    body: str = ""
    content_type: str = "text/plain"
    fault: str = ""
    delay: float = 0.0
    hang: bool = False
    truncate: int | None = None
    short_json: int | None = None
    close: bool = False
    limit_plus_one: bool = False
    short_page: int | None = None
    duplicate_row: bool = False


class Rule(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Edits and trouble around the requests that match; `times` null means for ever."""

    match: Match = Match()
    times: int | msgspec.UnsetType | None = msgspec.UNSET
    before: list[Edit] = []
    after: list[Edit] = []
    do: Do | None = None


class _Armed(msgspec.Struct):
    rule: Rule
    met: int = 0
    fired: int = 0


class Rules:
    """The rules in force, in the order in which they were added."""

    def __init__(self) -> None:
        self._armed: list[_Armed] = []

    def add(self, raw: object) -> int:
        """Add rules in their JSON form and return their number.

        Raises:
            ValueError: A rule has an unknown key, fault or value.
        """
        try:
            rules = msgspec.convert(raw, list[Rule])
        except msgspec.ValidationError as error:
            raise ValueError(f"Rules: {error}.") from None
        for rule in rules:
            if rule.do and rule.do.fault and rule.do.fault not in NAMED:
                raise ValueError(
                    f"Rules: unknown fault {rule.do.fault!r}; there are: {', '.join(NAMED)}."
                )
        self._armed += [_Armed(rule) for rule in rules]
        return len(rules)

    def clear(self) -> None:
        """Remove all rules."""
        self._armed.clear()

    def fire(self, entry: Entry) -> list[Rule]:
        """Return the rules that a request sets off, and count it."""
        fired = []
        for armed in self._armed:
            rule = armed.rule
            if not rule.match.meets(entry):
                continue
            armed.met += 1
            times = rule.times
            if times is msgspec.UNSET:
                ranged = rule.match.from_ is not None or rule.match.to is not None
                times = None if ranged else 1
            if rule.match.counts(armed.met) and (times is None or armed.fired < times):
                armed.fired += 1
                fired.append(rule)
        return fired
