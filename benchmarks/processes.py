"""Other processes: running them and measuring what they use."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections import defaultdict
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

import psutil
from local_postgres.postmaster import find_postmaster
from uncapped_tap import high_water

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

PROJECT = Path(__file__).resolve().parent.parent
SAMPLE_SECONDS = 0.05


def cpu_seconds(process: psutil.Process) -> float:
    """Processor time that a process has used itself."""
    times = process.cpu_times()
    return float(times.user + times.system)


def postgres_seconds(data: Path) -> float:
    """Processor time of a PostgreSQL server: its processes, and those that have ended."""
    postmaster = find_postmaster(data)
    if postmaster is None:
        raise RuntimeError(f"no server runs on {data}")
    while True:
        try:
            living = sum(map(cpu_seconds, postmaster.process.children(recursive=True)))
        except psutil.NoSuchProcess:
            continue  # It has ended since, and counts as such at the next look.
        times = postmaster.process.cpu_times()
        ended = float(times.children_user + times.children_system)
        return cpu_seconds(postmaster.process) + ended + living


def machine_seconds() -> float:
    """Processor time of all that runs on this machine."""
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system)


class Used(NamedTuple):
    """What a command and its children used.

    Attributes:
        wall: Seconds on the clock.
        cpu: Processor seconds by the name of the process.
        peak: The most memory that was resident at once, in bytes, by the same name.
    """

    wall: float
    cpu: dict[str, float]
    peak: dict[str, int]


def run_watched(
    command: Sequence[str],
    *,
    name: Callable[[list[str]], str],
    log: Path,
    stdin: IO[bytes] | int = subprocess.DEVNULL,
    env: Mapping[str, str],
) -> Used:
    """Run a command in the project's folder and measure it.

    Args:
        command: The command.
        name: Names a process by its command line.
        log: Takes all output.
        stdin: What the command reads.
        env: Its environment.

    Raises:
        RuntimeError: It failed; the message has the end of its output.
    """
    started = time.monotonic()
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, cwd=PROJECT, env=env, stdin=stdin, stdout=out, stderr=out
        )
    watch = _Watch(process.pid, name)
    try:
        code = process.wait()
        seconds = time.monotonic() - started
    except BaseException:
        process.terminate()
        process.wait()
        raise
    finally:
        watch.end()
    if code:
        raise RuntimeError(f"{command[0]} ended with {code}:\n{log.read_text()[-4000:]}")
    return Used(seconds, watch.cpu(), watch.peak())


class _Watch:
    """Watches the processor time and the memory of a process and its children.

    Looks every few milliseconds, so what a process uses after the last look is not seen.

    Args:
        pid: The process.
        name: Names a process by its command line.
    """

    def __init__(self, pid: int, name: Callable[[list[str]], str]) -> None:
        self._root = psutil.Process(pid)
        self._name = name
        self._names: dict[psutil.Process, str] = {}
        self._seen: dict[psutil.Process, float] = {}
        self._peaks: dict[psutil.Process, int] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look_often)
        self._thread.start()

    def end(self) -> None:
        """Look no more."""
        self._ended.set()
        self._thread.join()

    def cpu(self) -> dict[str, float]:
        """Return the processor seconds by name."""
        seconds: defaultdict[str, float] = defaultdict(float)
        for process, used in self._seen.items():
            seconds[self._names.get(process, "")] += used
        return seconds

    def peak(self) -> dict[str, int]:
        """Return the bytes of the largest process of each name."""
        peaks: defaultdict[str, int] = defaultdict(int)
        for process, peak in self._peaks.items():
            name = self._names.get(process, "")
            peaks[name] = max(peaks[name], peak)
        return peaks

    def _look_often(self) -> None:
        while not self._ended.wait(SAMPLE_SECONDS):
            try:
                processes = [self._root, *self._root.children(recursive=True)]
            except psutil.NoSuchProcess:
                return
            for process in processes:
                self._look(process)

    def _look(self, process: psutil.Process) -> None:
        try:
            self._seen[process] = cpu_seconds(process)
            # Between fork and exec a child has its parent's, while it ends it has none.
            if command := process.cmdline():
                self._names[process] = self._name(command)
                self._peaks[process] = _peak(process, self._peaks.get(process, 0))
        except psutil.NoSuchProcess:
            pass


def _peak(process: psutil.Process, before: int) -> int:
    """The most memory that a process has had; where the system does not tell, at any look."""
    if sys.platform != "linux":
        return max(before, int(process.memory_info().rss))
    with suppress(RuntimeError, OSError):  # It has ended.
        return high_water(process.pid)
    return before
