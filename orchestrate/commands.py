"""Starts the project's commands, passes their output on, and ends them when asked to end."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping


def project_folder() -> Path:
    """The project: Meltano's choice, or this folder if it is one, or the one this file is in."""
    given = os.environ.get("MELTANO_PROJECT_ROOT")
    if given:
        return Path(given).resolve()
    return Path.cwd() if Path("meltano.yml").exists() else Path(__file__).resolve().parent.parent


PROJECT = project_folder()
BIN = Path(sys.executable).parent
STOPPED = 128 + signal.SIGTERM
# Asked by a service, by Ctrl-C, or by the end of the terminal.
ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
SAVED = "Stopped; what was loaded is saved, and the next start goes on from there."
WATCH_SECONDS = 0.5
PROCESSES = Path("/proc")
# What ends cleanly when it is asked to end, and what ends when nothing comes any more.
TOLD = ("tap-quickbooks-raw", "operate.py")
LOADERS = ("target-",)
# Meltano starts itself by the link .meltano/run/bin.
MELTANO = {"meltano", "bin"}
# They name the run around this one, which the one inside must not take for its own.
NOT_INHERITED = ("MELTANO_RUN_ID", "MELTANO_RUN_TIMEOUT", "MELTANO_PARENT_CONTEXT_UUID")


class Stopped(Exception):  # noqa: N818  No error: somebody asked for it.
    """What was under way has ended, since this process was asked to end."""


class Runner:
    """Runs commands one after another, each in a session of its own.

    So a signal reaches them once and from here alone, and they may say their last words after
    those who read them have gone.

    Args:
        environment: The variables of the commands.

    Attributes:
        handles: Open files that what is run inherits: it holds a lock as long as it lives.
        is_stopped: Whether it was asked to end; nothing is started any more.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.environment = {
            name: value for name, value in environment.items() if name not in NOT_INHERITED
        }
        self.handles: tuple[int, ...] = ()
        self.is_stopped = False
        self._lock = threading.RLock()
        self._under_way: subprocess.Popen[bytes] | None = None

    def run(self, command: str, *arguments: str) -> int:
        """Run a command and return its exit code, 128 + n if signal n has ended it.

        Raises:
            Stopped: This process was asked to end, before or meanwhile.
        """
        with self._lock:
            if self.is_stopped:
                raise Stopped
            process = subprocess.Popen(
                [find(command, self.environment), *arguments],
                cwd=PROJECT,
                env=self.environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=self.handles,
                start_new_session=True,
            )
            self._under_way = process
        with process:
            # Up to its end, which comes when the last of those has ended that it has started.
            pass_on(process.stdout or ())
        code = process.returncode
        with self._lock:
            self._under_way = None
            if self.is_stopped:
                raise Stopped
        return code if code >= 0 else 128 - code

    def output(self, command: str, *arguments: str) -> str:
        """Run a command that asks something, and return what it prints."""
        return subprocess.run(
            [find(command, self.environment), *arguments],
            cwd=PROJECT,
            env=self.environment,
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        ).stdout

    def stop(self) -> None:
        """End what is under way, wait for its end, and start nothing more."""
        with self._lock:
            self.is_stopped = True
            process = self._under_way
        told: set[int] = set()
        while process is not None and process.poll() is None:
            self._tell(process.pid, told)
            time.sleep(WATCH_SECONDS)

    def _tell(self, session: int, told: set[int]) -> None:
        """Ask the processes of a session to end that have not been asked yet.

        A tap that ends lets Meltano save the state of all that it has read. Meltano itself, asked
        to end, takes no more notice of the loader's last state.
        """
        members = dict(members_of(session))
        ours = {pid for pid, name in members.items() if name.startswith(TOLD)}
        is_loading = any(name.startswith(LOADERS) for name in members.values())
        whom = ours if ours or is_loading or told else {-session}
        for pid in whom - told:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        told |= whom

    def stop_on_signals(self) -> None:
        """End when a signal asks for it, and when the Meltano that has started this has ended.

        Meltano passes no signal on to a utility's command, nor to a schedule's run.
        """
        # Not in the handler itself: it may have interrupted whoever holds the lock.
        on_signals(lambda: threading.Thread(target=self.stop).start())
        if "MELTANO_UTILITY_NAME" in os.environ:
            threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        watched = [os.getppid(), *meltano_above(os.getppid())]
        while os.getppid() == watched[0] and all(is_alive(pid) for pid in watched):
            time.sleep(WATCH_SECONDS)
        self.stop()


def on_signals(end: Callable[[], object]) -> None:
    """Do something when asked to end; what is ignored, as under `nohup`, stays so."""
    for number in ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda *_: end())


def find(command: str, environment: Mapping[str, str]) -> str:
    """Return the path of a command: Meltano's is the one that has started this, if one has."""
    places = [BIN / command]
    if command == "meltano" and "MELTANO_SYS_DIR_ROOT" in environment:
        places.insert(0, Path(environment["MELTANO_SYS_DIR_ROOT"], "run", "bin"))
    return next((str(place) for place in places if place.exists()), command)


def pass_on(lines: Iterable[bytes]) -> None:
    """Write lines to stdout as they come, and read them to the end if nobody wants them."""
    is_wanted = True
    for line in lines:
        if is_wanted:
            try:
                sys.stdout.buffer.write(line)
                sys.stdout.buffer.flush()
            except OSError:
                is_wanted = False


def meltano_above(pid: int) -> Iterator[int]:
    """The processes above one, as far as they are Meltano; none where there is no /proc."""
    while (pid := int(_fields(pid).get("parent", 0))) > 1 and name_of(pid) in MELTANO:
        yield pid


def members_of(session: int) -> Iterator[tuple[int, str]]:
    """The processes of a session and their names; none where there is no /proc."""
    for entry in PROCESSES.glob("[0-9]*"):
        if _fields(int(entry.name)).get("session") == str(session):
            yield int(entry.name), name_of(int(entry.name))


def name_of(pid: int) -> str:
    """The name of the program that a process runs: of a Python program, that of its script."""
    try:
        words = (PROCESSES / str(pid) / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return ""
    names = [Path(os.fsdecode(word)).name for word in words[:2]]
    return names[-1] if names[0].startswith("python") else names[0]


def is_alive(pid: int) -> bool:
    """Whether a process has not ended; taken for true where there is no /proc."""
    return not PROCESSES.is_dir() or _fields(pid).get("state", "Z") != "Z"


def _fields(pid: int) -> dict[str, str]:
    """State, parent, group and session of a process; nothing if there is none."""
    try:
        # The name before may have blanks and brackets in it.
        words = (PROCESSES / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return {}
    return dict(zip(("state", "parent", "group", "session"), words, strict=False))


def say(text: str) -> None:
    """Tell the person at the terminal, or who reads the log."""
    with contextlib.suppress(OSError):
        sys.stderr.write(f"\n{text}\n")
        sys.stderr.flush()
