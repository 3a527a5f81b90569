"""Runs the tap in this process, without its waits, and ends it where a scenario says."""

from __future__ import annotations

import io
import json
import logging
import signal
import threading
import time
from contextlib import contextmanager, redirect_stdout
from functools import cache, cached_property
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple

from tap_quickbooks_raw import read_ahead
from tap_quickbooks_raw.limiter import Limiter
from tap_quickbooks_raw.policy import RetryPolicy
from tap_quickbooks_raw.run import Run
from tap_quickbooks_raw.tap import TapQuickBooksRaw
from typing_extensions import Buffer, override

from attack.table import Line, read_lines

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from attack.scenario import Stop

# Of a server in this process; only where an answer never comes is it waited for.
PATIENCE_SECONDS = 0.5
ENDING_SECONDS = 5.0
POLL_SECONDS = 0.01
KILLED = -9


class Outcome(NamedTuple):
    """What a run has left behind.

    Attributes:
        lines: Everything that it has written in complete lines.
        kept: How many of these the loader has kept.
        state: The last state that was saved.
        exit_code: The exit code; KILLED where there was none.
        log: What it warned of.
    """

    lines: list[Line]
    kept: int
    state: dict[str, Any]
    exit_code: int
    log: list[str]

    @property
    def is_complete(self) -> bool:
        """Whether it read all that it had to."""
        return self.exit_code == 0 and not any("Stopped at a limit" in said for said in self.log)


class Killed(BaseException):
    """The process is gone."""


class Pipe(io.RawIOBase):
    """Stands in for what is behind stdout, and is where a run ends early."""

    def __init__(self, stop: Stop | None) -> None:
        super().__init__()
        self.output = bytearray()
        self._stop = stop
        self._room = stop.at if stop and stop.how != "budget" else None

    @override
    def writable(self) -> bool:
        return True

    @override
    def write(self, lines: Buffer) -> int:
        """Take what the tap writes, and at times end it."""
        whole = bytes(lines)
        if self._room is None:
            self.output += whole
            return len(whole)
        taken = whole.splitlines(keepends=True)[: self._room]
        self._room -= len(taken)
        if self._room > 0:
            self.output += whole
            return len(whole)
        self._room = None
        return self._end(b"".join(taken), whole)

    def _end(self, taken: bytes, whole: bytes) -> int:
        match self._stop:
            case (("kill" | "pipe") as how, _):
                # The last line is only half written.
                self.output += taken[:-7]
                raise Killed if how == "kill" else BrokenPipeError
            case _:
                self.output += whole
                signal.raise_signal(signal.SIGTERM)
                return len(whole)


class Clock:
    """Moves only when somebody waits."""

    def __init__(self) -> None:
        self._moment = 1_000.0

    def now(self) -> float:
        """The time."""
        return self._moment

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self._moment += max(seconds, 1e-6)


class Impatient(RetryPolicy):
    """The retry policy without its waits."""

    __slots__ = ()

    @override
    def wait(self, attempt: int) -> float:
        return 0.0


class HastyTap(TapQuickBooksRaw):
    """The tap, with a clock that does not keep it waiting."""

    patience: float | None = None

    @cached_property
    @override
    def run(self) -> Run:
        clock = Clock()
        limiter = Limiter(
            concurrency=self.settings.concurrency,
            per_minute=self.settings.requests_per_minute,
            now=clock.now,
            sleep=clock.sleep,
        )
        run = Run(self.settings, limiter)
        run.client._policy = Impatient(self.settings.max_attempts)
        if self.patience is not None:
            run.client._timeout = (self.patience, self.patience)
        return run


def run_tap(
    config: dict[str, Any],
    streams: Sequence[str],
    state: dict[str, Any],
    *,
    stop: Stop | None,
    can_hang: bool,
) -> Outcome:
    """Run the tap until it ends or is stopped."""
    if stop and stop.how == "budget":
        config = {**config, "max_api_calls": stop.at}
    HastyTap.patience = PATIENCE_SECONDS if can_hang else None
    pipe = Pipe(stop)
    stdout = io.TextIOWrapper(pipe)  # type: ignore[type-var]  # It needs no more than `write`.
    with _listening() as log, _own_signals(), _quick_threads(), redirect_stdout(stdout):
        try:
            HastyTap.invoke(
                config=SimpleNamespace(config=config, parse_env=False),  # type: ignore[arg-type]  # The SDK's own is private.
                state=io.StringIO(json.dumps(state)),
                catalog=io.StringIO(_catalog(tuple(streams))),
            )
        except SystemExit as end:
            exit_code = int(str(end.code))
        except Killed:
            exit_code = KILLED
    whole, _, _ = bytes(pipe.output).rpartition(b"\n")
    lines = read_lines(whole)
    states = [number for number, line in enumerate(lines) if line.type == "STATE"]
    last = lines[states[-1]].value if states else None
    kept = len(lines) if exit_code != KILLED else (states[-1] + 1 if states else 0)
    return Outcome(lines, kept, last or state, exit_code, log)


@cache
def _catalog(streams: tuple[str, ...]) -> str:
    catalog = TapQuickBooksRaw(validate_config=False).catalog_dict
    for entry in catalog["streams"]:
        for metadata in entry["metadata"]:
            if not metadata["breadcrumb"]:
                metadata["metadata"]["selected"] = entry["tap_stream_id"] in streams
    return json.dumps(catalog)


class _Ear(logging.Handler):
    def __init__(self, heard: list[str]) -> None:
        super().__init__()
        self._heard = heard

    @override
    def emit(self, record: logging.LogRecord) -> None:
        self._heard.append(record.getMessage())


@contextmanager
def _listening() -> Iterator[list[str]]:
    """Hear the tap's warnings, and nobody else."""
    heard: list[str] = []
    ear = _Ear(heard)
    loggers = [logging.getLogger(name) for name in (TapQuickBooksRaw.name, "singer_sdk.metrics")]
    before = [(logger, logger.level, logger.propagate) for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
        logger.propagate = False
    loggers[0].addHandler(ear)
    try:
        yield heard
    finally:
        loggers[0].removeHandler(ear)
        for logger, level, propagate in before:
            logger.setLevel(level)
            logger.propagate = propagate


@contextmanager
def _own_signals() -> Iterator[None]:
    """Give back the signals that the tap listens to."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _quick_threads() -> Iterator[None]:
    """Wait for the threads that a run leaves, so that the next one meets none of them."""
    poll = read_ahead.POLL_SECONDS
    read_ahead.POLL_SECONDS = POLL_SECONDS
    before = set(threading.enumerate())
    try:
        yield
        deadline = time.monotonic() + ENDING_SECONDS
        for thread in set(threading.enumerate()) - before:
            thread.join(max(0.0, deadline - time.monotonic()))
            assert not thread.is_alive(), "a thread outlives its run"
    finally:
        read_ahead.POLL_SECONDS = poll
