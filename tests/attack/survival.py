"""Plays a scenario and says where the table is wrong."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from quickbooks_simulator.server import CompanySpec, running_simulator

from attack.books import Books
from attack.scenario import SETTLE, STREAMS, Pass
from attack.table import Table
from attack.tap_run import KILLED, run_tap

if TYPE_CHECKING:
    from attack.books import Image
    from attack.scenario import Scenario
    from attack.table import Record
    from attack.tap_run import Outcome

REALM = "4620816365000001"
TERMINATED = 143
NEVER = datetime.min.replace(tzinfo=UTC)


class Survival:
    """One case: a company, a table, and the runs between them.

    Args:
        scenario: What happens.
        books: The company.
        folder: Where tokens are kept.
    """

    def __init__(self, scenario: Scenario, books: Books, folder: Path) -> None:
        simulator = books.simulator
        self._scenario = scenario
        self._books = books
        self._table = Table()
        self._state: dict[str, Any] = {}
        switches = scenario.switches
        # Whose deletions are told by nobody, or perhaps not.
        silent = switches.get("cdc_off", ()) if "cdc_unsupported" in switches else ()
        self._untold = {"qb_time_activities", *map(STREAMS.__getitem__, silent)}
        doubtful = (*switches.get("cdc_off", ()), *switches.get("cdc_faults", ()))
        self._doubtful = {*map(STREAMS.__getitem__, doubtful)}
        if switches.get("cdc_omits_empty"):
            # An answer that says nothing at all is none, and the deletions wait for one.
            self._doubtful = {*STREAMS.values()}
        self._streams = [STREAMS[entity] for entity in scenario.counts]
        self._config = {
            "client_id": simulator.client_id,
            "client_secret": simulator.client_secret,
            "realm_id": books.realm,
            "refresh_token": simulator.refresh_token,
            "token_store": (folder / "tokens.json").as_uri(),
            "api_url": simulator.url,
            "token_url": simulator.token_url,
            "page_size": scenario.page_size,
            "concurrency": scenario.concurrency,
            **({"chunk_days": scenario.chunk_days} if scenario.chunk_days else {}),
        }

    def play(self) -> None:
        """Make all runs, then two quiet ones, and check after each.

        The first may finish what was begun; the second tells what was deleted since that began.
        """
        for each in self._scenario.passes:
            self._run(each)
            self._books.pause(each.pause, each.later)
        for _ in range(2):
            self._books.pause(SETTLE + self._scenario.delay + 60, ())
            outcome = self._run(Pass())
            assert outcome.is_complete, outcome.log
        for stream in self._streams:
            self._check_all(stream)

    def _run(self, each: Pass) -> Outcome:
        books, before = self._books, self._state
        books.script(each.events)
        settled = books.now() - timedelta(seconds=SETTLE + 1)
        shown = {stream: books.living(stream) for stream in self._streams}
        outcome = run_tap(
            self._config, self._streams, before, stop=each.stop, can_hang=self._scenario.can_hang
        )
        self._table.apply(outcome.lines[: outcome.kept])
        self._state = outcome.state
        self._check_exit(each, outcome)
        for stream in self._streams:
            records = [
                line.record for line in outcome.lines if line.record and line.stream == stream
            ]
            start, end = _bookmark(before, stream), _bookmark(self._state, stream)
            self._check_order(stream, records)
            self._check_source(stream, records, shown[stream], start)
            assert start is None or (end is not None and end >= start), f"{stream} goes back"
            if end is not None:
                self._check_complete(stream, end)
            if outcome.is_complete:
                self._check_complete(stream, settled)
        return outcome

    @staticmethod
    def _check_exit(each: Pass, outcome: Outcome) -> None:
        """It ends as it has to; only trouble with tokens may end it before."""
        excused = any(
            event.fault == "token expired" or (event.fault and event.operation == "token")
            for event in each.events
        )
        expected = (
            {
                "kill": {0, KILLED},
                "pipe": {0, 1},
                "term": {0, TERMINATED},
                "budget": {0},
            }[each.stop.how]
            if each.stop
            else {0}
        )
        assert outcome.exit_code in expected | ({1} if excused else set()), outcome.log

    def _check_order(self, stream: str, records: list[Record]) -> None:
        """Records leave in ascending order, and no object goes back in time."""
        latest: datetime | None = None
        seen: dict[str, datetime] = {}
        deleted = set()
        for record in records:
            if record.deleted_at_utc:
                deleted.add(record.id)
                continue
            assert record.id not in deleted, f"{stream} {record.id} comes behind its tombstone"
            stamp = record.last_updated_utc
            if record.is_in_order:
                assert latest is None or stamp >= latest, f"{stream} {record.id} is out of order"
                latest = stamp
            assert stamp >= seen.get(record.id, stamp), f"{stream} {record.id} goes back"
            seen[record.id] = stamp

    def _check_source(
        self, stream: str, records: list[Record], shown: dict[str, Image], start: datetime | None
    ) -> None:
        """A record is what the object was during this run, in the window asked for."""
        for record in records:
            name = f"{stream} {record.id}"
            if record.deleted_at_utc:
                deleted_at = self._books.deleted(stream).get(record.id)
                assert record.deleted_at_utc == deleted_at, f"{name} was not deleted then"
                continue
            images = self._books.images(stream, record.id)
            assert record.image in images, f"{name} was never like that"
            if record.id in shown:
                at_start = images.index(shown[record.id])
                assert images.index(record.image) >= at_start, f"{name} is stale"
            stamp = record.last_updated_utc
            assert stamp < record.extract_window_end_utc, f"{name} is outside its window"
            assert start is None or stamp >= start, f"{name} is read again"

    def _check_complete(self, stream: str, end: datetime) -> None:
        """What was last changed before `end` is there as it is."""
        found = self._table.images(stream)
        for key, image in self._books.living(stream).items():
            if image.stamp < end:
                assert key in found, f"{stream} {key} of {image.stamp} is missing below {end}"
                assert found[key] == image, f"{stream} {key} of {image.stamp} is not current"

    def _check_all(self, stream: str) -> None:
        """The table is the company; only what was deleted may be left over."""
        found, living = self._table.images(stream), self._books.living(stream)
        missing = sorted(living.keys() - found)
        assert not missing, f"{stream} {missing} are missing"
        for key, image in found.items():
            if key in living:
                assert image == living[key], f"{stream} {key} is not current"
            else:
                assert key in self._books.deleted(stream), f"{stream} {key} never existed"
        self._check_deleted(stream)

    def _check_deleted(self, stream: str) -> None:
        """What was deleted is marked so, unless the state says that it may not be."""
        marked, loaded = self._table.deleted(stream), self._table.images(stream)
        unknown_before = _instant(self._state, stream, "deletions_unknown_before")
        known_to = _instant(self._state, stream, "deletions_known_to") or NEVER
        if stream in self._untold:
            known_to = NEVER
        elif stream not in self._doubtful:
            assert known_to > self._books.now() - timedelta(seconds=SETTLE + 60)
        for key, moment in self._books.deleted(stream).items():
            is_told = (unknown_before or NEVER) <= moment < known_to
            assert not (is_told and key in loaded), f"{stream} {key} is not marked as deleted"
        alive = marked.keys() & self._books.living(stream)
        assert not alive, f"{stream} {alive} are marked as deleted and live"


def survive(scenario: Scenario) -> None:
    """Play a scenario; an AssertionError says what is wrong with the table."""
    spec = CompanySpec(realm_id=REALM, rows=0, counts=scenario.counts, country="ALL")
    with ExitStack() as stack:
        folder = stack.enter_context(TemporaryDirectory())
        simulator = stack.enter_context(running_simulator([spec]))
        books = Books(simulator, scenario)
        try:
            Survival(scenario, books, Path(folder)).play()
        except AssertionError as error:
            for entry in simulator.requests():
                error.add_note(f"{entry.status} {entry.operation} {entry.rows} {entry.statement}")
            raise


def _bookmark(state: dict[str, Any], stream: str) -> datetime | None:
    return _instant(state, stream, "replication_key_value")


def _instant(state: dict[str, Any], stream: str, name: str) -> datetime | None:
    value = state.get("bookmarks", {}).get(stream, {}).get(name)
    return datetime.fromisoformat(value) if value else None
