"""Rotation that cannot break: many workers, killed at any time, on one connection.

One hole cannot be closed by any client: a worker that is killed after the server has rotated
and before the answer is on disk takes the only copy of the next refresh token with it. So
against a `strict` server, which ends the connection when an old value is used, workers are
killed at any point but there; against servers where the old value lives on, at any point.
"""

from __future__ import annotations

import json
import logging
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest
from tap_quickbooks_raw.exceptions import ReconnectError
from tap_quickbooks_raw.sealing import Seal
from tap_quickbooks_raw.token_stores import store_at
from tap_quickbooks_raw.tokens import TokenKey

if TYPE_CHECKING:
    from collections.abc import Callable

    from quickbooks_simulator.server import RunningSimulator
    from tap_quickbooks_raw.auth import Authenticator
    from tap_quickbooks_raw.tokens import TokenStore

    Start = Callable[..., RunningSimulator]
    Authenticate = Callable[..., Authenticator]

REALM = "4620816365000001"
FIRST = "simulator-refresh-token"
KEY = TokenKey("simulator-client", REALM)
WORKER = Path(__file__).with_name("rotation_worker.py")
WORKERS, ROTATIONS, KILLS = 8, 50, 16
LOST = "The answer to the refresh of "

pytestmark = pytest.mark.skipif(
    not hasattr(os, "waitid"), reason="needs to see that a process stands still"
)


class Crew:
    """Workers on one store, of which any may be killed and replaced.

    Args:
        folder: Where each worker's marks and output are.
        address: The store.
        simulator: The server.
    """

    def __init__(self, folder: Path, address: str, simulator: RunningSimulator) -> None:
        self._folder, self._address, self._simulator = folder, address, simulator
        self._begin = time.time()
        self._random = random.Random(8)
        self._running: dict[int, subprocess.Popen[bytes]] = {}
        self.said = folder / "said"
        self.kills = 0

    def start(self, number: int, *, die: str = "", rotations: int = ROTATIONS) -> None:
        """Start a worker, or its replacement."""
        marks = self._folder / f"marks-{number}"
        if not marks.exists():
            marks.write_bytes(bytes(3))
        simulator = self._simulator
        order = (
            self._address,
            simulator.token_url,
            (simulator.client_id, simulator.client_secret, REALM, FIRST),
            str(marks),
            rotations,
            die,
            0 if die else self._begin,
        )
        with self.said.open("ab") as output:
            self._running[number] = subprocess.Popen(
                [sys.executable, WORKER, json.dumps(order)], stdout=output, stderr=output
            )

    def kill(self, number: int, *, asking: bool) -> bool:
        """Kill a worker if an answer can now be lost with it, or if none can."""
        process = self._running[number]
        if process.poll() is not None:
            return False
        os.kill(process.pid, signal.SIGSTOP)
        # Once it stands still, what it has told last is true.
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
        hit = self._is_asking(number) == asking
        if hit:
            os.kill(process.pid, signal.SIGKILL)
            self.kills += 1
        os.kill(process.pid, signal.SIGCONT)
        return hit

    def work(self, *, everywhere: bool) -> None:
        """Let all work until each has done its rotations; kill some on the way.

        Args:
            everywhere: Kill every other one while it waits for an answer or stores it.
        """
        for number in range(WORKERS):
            self.start(number)
        while self._running:
            number = self._random.choice(list(self._running))
            if self.wait(number, self._random.uniform(0, 0.1)) or self.kills >= KILLS:
                continue
            if everywhere and self.kills % 2:
                tries = (number for _ in range(100) for number in self._running)
                any(self._is_asking(number) and self.kill(number, asking=True) for number in tries)
            else:
                self.kill(number, asking=False)

    def wait(self, number: int, seconds: float) -> bool:
        """Wait for the end of a worker; replace it if it was killed."""
        process = self._running[number]
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        del self._running[number]
        if code == -signal.SIGKILL:
            self.start(number)
        else:
            assert code == 0, self.said.read_text()[-3000:]
        return True

    def _is_asking(self, number: int) -> bool:
        return (self._folder / f"marks-{number}").read_bytes()[0] == 1

    def end(self, number: int) -> int:
        """Wait for the end of a worker, and return its exit code."""
        return self._running.pop(number).wait(60)

    def close(self) -> None:
        """Leave no process behind."""
        for process in self._running.values():
            process.kill()
            process.wait()


@pytest.fixture
def crew(tmp_path: Path, store_address: str) -> Callable[[RunningSimulator], Crew]:
    with ExitStack() as stack:

        def build(simulator: RunningSimulator) -> Crew:
            crew = Crew(tmp_path, store_address, simulator)
            stack.callback(crew.close)
            return crew

        yield build


@pytest.fixture
def store(store_address: str) -> TokenStore:
    return store_at(store_address, Seal())


def statuses(simulator: RunningSimulator) -> list[int]:
    return [entry.status for entry in simulator.requests() if entry.operation == "token"]


def said_by(crew: Crew) -> list[str]:
    text = crew.said.read_text()
    print(text)  # noqa: T201  So that it is looked through for secrets, too.
    return text.splitlines()


def test_killed_workers_leave_a_strict_connection_alive(
    own_simulator: Start, crew: Callable[[RunningSimulator], Crew], authenticate: Authenticate
) -> None:
    """Each rotation is a use of a value that ends the connection if it is the wrong one."""
    simulator = own_simulator(rotation="strict", access_token_seconds=1)
    workers = crew(simulator)
    workers.work(everywhere=False)

    answers = statuses(simulator)
    assert set(answers) == {200}
    assert len(answers) >= WORKERS * ROTATIONS
    assert workers.kills == KILLS
    assert all(line.startswith(LOST) for line in said_by(workers))
    assert authenticate(simulator).bearer()


def test_workers_killed_anywhere_leave_a_connection_alive_whose_old_values_live_on(
    own_simulator: Start, crew: Callable[[RunningSimulator], Crew], authenticate: Authenticate
) -> None:
    simulator = own_simulator(rotation="grace", access_token_seconds=1)
    workers = crew(simulator)
    workers.work(everywhere=True)

    answers = statuses(simulator)
    assert set(answers) == {200}
    assert len(answers) >= WORKERS * ROTATIONS
    assert workers.kills == KILLS
    lines = said_by(workers)
    assert lines
    assert all(line.startswith(LOST) for line in lines)
    assert authenticate(simulator).bearer()


# ---- A worker that is killed at each step of a rotation

STEPS = {
    "before-the-note": ("before the note", "strict", 0, "renewed"),
    "after-the-note": ("after the note", "strict", 0, "warned"),
    "after-the-answer": ("after the answer", "strict", 1, "dead"),
    "after-the-answer-grace": ("after the answer", "grace", 1, "warned"),
    "after-the-save": ("after the save", "strict", 1, "reused"),
}


@pytest.mark.parametrize(("step", "rotation", "sent", "then"), STEPS.values(), ids=list(STEPS))
def test_the_run_after_a_crash_goes_on_and_tells_what_was_lost(  # noqa: PLR0913
    own_simulator: Start,
    crew: Callable[[RunningSimulator], Crew],
    authenticate: Authenticate,
    store: TokenStore,
    caplog: pytest.LogCaptureFixture,
    *,
    step: str,
    rotation: str,
    sent: int,
    then: str,
) -> None:
    simulator = own_simulator(rotation=rotation)
    bearer = authenticate(simulator).bearer()
    due = store.load(KEY)
    assert due is not None
    store.save(KEY, msgspec.structs.replace(due, expires_at=0.0))
    workers = crew(simulator)
    workers.start(0, die=step, rotations=9)
    assert workers.end(0) == -signal.SIGKILL
    assert len(statuses(simulator)) == 1 + sent

    if then == "dead":
        for _ in range(2):  # It is told until somebody signs in.
            with pytest.raises(ReconnectError, match=r"login.*the answer to the .* was lost"):
                authenticate(simulator).bearer()
    else:
        assert authenticate(simulator).bearer() != bearer
        assert len(statuses(simulator)) == 1 + sent + (then != "reused")
        assert authenticate(simulator).bearer()
    assert warnings(caplog).startswith(LOST) == (then in {"warned", "dead"})
    assert warnings(caplog).count(LOST) <= 1 + (then == "dead")


def warnings(caplog: pytest.LogCaptureFixture) -> str:
    return "\n".join(entry.message for entry in caplog.records if entry.levelno >= logging.WARNING)


def test_a_first_run_that_was_killed_has_kept_the_configured_token(
    own_simulator: Start,
    crew: Callable[[RunningSimulator], Crew],
    authenticate: Authenticate,
    caplog: pytest.LogCaptureFixture,
) -> None:
    simulator = own_simulator(rotation="strict")
    workers = crew(simulator)
    workers.start(0, die="after the note")
    assert workers.end(0) == -signal.SIGKILL

    assert authenticate(simulator, "").bearer()
    assert warnings(caplog).startswith(LOST)
