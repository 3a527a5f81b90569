"""The first load: what its marker needs, and when it is set."""

from __future__ import annotations

import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from threading import Barrier
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg import sql

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local_postgres.server import Connection

ORCHESTRATE = Path(__file__).resolve().parent.parent / "orchestrate"
REALM = "4620816365000001"
NOW = datetime(2026, 11, 28, 9, 0, tzinfo=UTC)
BOOKMARKS = '{"singer_state": {"bookmarks": {"qb_items": {}}}}'


@pytest.fixture
def backfill(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The script, as a module."""
    monkeypatch.syspath_prepend(str(ORCHESTRATE))
    import backfill  # noqa: PLC0415  It is found only now.

    return backfill


class Commands:
    """Runs nothing: a load that is complete, and Meltano's states."""

    def __init__(self, runs_file: Path) -> None:
        self.environment = {"TAP_QUICKBOOKS_RAW_RUNS_FILE": str(runs_file)}
        self.steps: list[str] = []
        self.state: str | None = "{}"
        self.copied = 0

    def run(self, command: str, *arguments: str) -> int:
        if "copy" in arguments:
            self.steps.append("hand on")
            return self.copied
        if arguments[:1] == ("run",):
            record = {
                "command": "sync",
                "realm_id": REALM,
                "outcome": "complete",
                "started_at": datetime.now(UTC).isoformat(),
                "selected": None,
            }
            Path(self.environment["TAP_QUICKBOOKS_RAW_RUNS_FILE"]).write_text(json.dumps(record))
        self.steps.append(command)
        return 0

    def output(self, command: str, *arguments: str) -> str:
        if self.state is None:
            raise subprocess.CalledProcessError(1, [command, *arguments])
        return self.state


class Marker:
    """Keeps in mind what it was told."""

    def __init__(self, steps: list[str]) -> None:
        self._steps = steps

    def __call__(self, *_: object) -> Marker:
        return self

    def all(self) -> list[object]:
        return []

    def begin(self, _: datetime) -> None:
        self._steps.append("begin")

    def complete(self, *_: object, is_verified: bool) -> None:
        assert is_verified
        self._steps.append("complete")


@pytest.fixture
def commands(backfill: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Commands:
    runner = Commands(tmp_path / "runs.jsonl")
    monkeypatch.setattr(backfill, "Marker", Marker(runner.steps))
    monkeypatch.setattr(backfill, "connect", lambda _: nullcontext())
    return runner


LOAD = ["begin", "meltano", "tap-quickbooks-raw-verify"]


def test_the_state_is_handed_on_before_the_marker_is_set(backfill: Any, commands: Commands) -> None:
    assert backfill.backfill_once(commands, REALM, again=False) == 0
    assert commands.steps == [*LOAD, "hand on", "complete"]


def test_a_state_that_others_have_is_left_to_them(backfill: Any, commands: Commands) -> None:
    commands.state = BOOKMARKS

    assert backfill.backfill_once(commands, REALM, again=False) == 0
    assert commands.steps == [*LOAD, "complete"]


@pytest.mark.parametrize(("state", "copied"), [(None, 0), ("{}", 1)], ids=["get", "copy"])
def test_without_a_state_handed_on_nothing_is_marked(
    backfill: Any, commands: Commands, state: str | None, copied: int
) -> None:
    commands.state, commands.copied = state, copied

    assert backfill.backfill_once(commands, REALM, again=False) == 1
    assert "complete" not in commands.steps


def test_a_runs_file_that_cannot_be_read_tells_nothing(backfill: Any, tmp_path: Path) -> None:
    """As that of another user; here a folder has its place."""
    assert backfill.outcome_since(tmp_path, REALM, NOW) is None


@pytest.fixture
def loader(postgres: Connection) -> Iterator[psycopg.Connection]:
    """A user who owns the schema, and may make no other."""
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute("CREATE ROLE loader")
        connection.execute("CREATE SCHEMA bronze AUTHORIZATION loader")
        connection.execute("SET ROLE loader")
        yield connection
        connection.execute("RESET ROLE")
        connection.execute("DROP SCHEMA bronze CASCADE")
        connection.execute("DROP ROLE loader")


def test_the_marker_asks_for_no_more_rights_than_the_load(
    backfill: Any, loader: psycopg.Connection
) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        loader.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS bronze"))

    marker = backfill.Marker(loader, "bronze", REALM)
    marker.begin(NOW)

    assert marker.all() == [(NOW, None, None)]


def test_companies_may_begin_at_once_in_a_new_database(backfill: Any, postgres: Connection) -> None:
    """They make the schema and the table that they share."""
    ready = Barrier(8)

    def begin(number: int) -> int:
        with psycopg.connect(postgres.url, autocommit=True) as connection:
            ready.wait()
            marker = backfill.Marker(connection, "shared", str(number))
            marker.begin(NOW)
            return len(marker.all())

    with psycopg.connect(postgres.url, autocommit=True) as connection:
        for _ in range(5):
            connection.execute("DROP SCHEMA IF EXISTS shared CASCADE")
            with ThreadPoolExecutor(8) as pool:
                assert list(pool.map(begin, range(8))) == [1] * 8
        connection.execute("DROP SCHEMA shared CASCADE")
