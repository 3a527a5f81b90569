"""The company as it really is: what exists, and every version that anything ever had."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from tap_quickbooks_raw.answers import mend

from attack.scenario import FAULTS, STREAMS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from quickbooks_simulator.company import Company
    from quickbooks_simulator.server import RunningSimulator
    from quickbooks_simulator.tables import Version

    from attack.scenario import Change, Event, Scenario


class Image(NamedTuple):
    """An object at a time, as it has to arrive."""

    stamp: datetime
    payload: bytes


class Books:
    """A simulated company whose every change is noted; it stands in for the journal.

    Args:
        simulator: The simulator; it has one company.
        scenario: What the company is made of.
    """

    def __init__(self, simulator: RunningSimulator, scenario: Scenario) -> None:
        self.simulator = simulator
        self.realm = simulator.realm_ids[0]
        self._scenario = scenario
        self._images: dict[tuple[str, str], list[Image]] = defaultdict(list)
        self._deleted: dict[tuple[str, str], datetime] = {}
        self._edit(
            {"op": "touch", "entity": tie.entity, "random": tie.many, "at": tie.second}
            for tie in scenario.ties
        )
        for stream in map(STREAMS.__getitem__, scenario.counts):
            for key, image in self.living(stream).items():
                self._images[stream, key].append(image)
        simulator.configure(**scenario.switches)
        self._company.journal = self  # type: ignore[assignment]  # It has the methods used.

    @property
    def _company(self) -> Company:
        return self.simulator._simulator.companies[self.realm]

    def record(self, _realm: str, entity: str, id: str, version: Version) -> None:
        """Note a new version; the simulator calls it."""
        self._images[STREAMS[entity], id].append(_image(version))

    def record_deletion(self, _realm: str, entity: str, id: str, stamp: int) -> None:
        """Note a deletion; the simulator calls it."""
        self._deleted[STREAMS[entity], id] = datetime.fromtimestamp(stamp, UTC)

    def close(self) -> None:
        """Nothing is open."""

    def now(self) -> datetime:
        """The company's clock."""
        return datetime.fromtimestamp(self.simulator.now(), UTC)

    def living(self, stream: str) -> dict[str, Image]:
        """Everything of a stream that queries show now, by id."""
        table = self._company.tables[next(key for key in STREAMS if STREAMS[key] == stream)]

        def read() -> dict[str, Image]:
            table.reveal(self.simulator.now())
            found = ((slot, table.shown(slot)) for slot in table.in_order("oldest"))
            return {table.id(slot): _image(version) for slot, version in found if version}

        return self.simulator._server.call(read)

    def images(self, stream: str, id: str) -> list[Image]:
        """Every version that an object ever had, oldest first."""
        return list(self._images.get((stream, id), ()))

    def deleted(self, stream: str) -> dict[str, datetime]:
        """What somebody has deleted, and when."""
        return {key: moment for (name, key), moment in self._deleted.items() if name == stream}

    def script(self, events: Iterable[Event]) -> None:
        """Let this happen, and nothing else."""
        self.simulator.clear_rules()
        self.simulator.add_rules([self._rule(event) for event in events])

    def pause(self, seconds: int, later: Iterable[Change]) -> None:
        """Let time go by, with changes in it."""
        self.simulator.advance(seconds)
        if seconds <= self._scenario.delay:
            self._edit(map(self._change, later))
            return
        # These happened long enough ago to be seen.
        for stream in map(STREAMS.__getitem__, self._scenario.counts):
            self.living(stream)
        self.simulator.configure(visibility_delay_seconds=0)
        self._edit(map(self._change, sorted(later, key=lambda change: -change.age)))
        self.simulator.configure(visibility_delay_seconds=self._scenario.delay)

    def _edit(self, edits: Iterable[dict[str, object]]) -> None:
        for edit in edits:
            self.simulator.edit(self.realm, [edit])

    def _change(self, change: Change) -> dict[str, object]:
        edit: dict[str, object] = {
            "op": change.op,
            "entity": change.entity,
            "random": change.many,
            "realm": self.realm,
        }
        if change.age:
            edit["at"] = (self.now() - timedelta(seconds=change.age)).isoformat()
        return edit

    def _rule(self, event: Event) -> dict[str, object]:
        return {
            "match": {
                "operation": event.operation,
                "entity": event.entity,
                "from": event.nth,
                "to": event.nth + event.repeat - 1,
            },
            "before": [self._change(change) for change in event.before],
            "after": [self._change(change) for change in event.after],
            "do": FAULTS.get(event.fault),
        }


def _image(version: Version) -> Image:
    return Image(datetime.fromtimestamp(version.updated, UTC), mend(version.text))
