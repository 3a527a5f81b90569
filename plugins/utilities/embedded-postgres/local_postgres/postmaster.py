"""The running server, seen from outside: its pid file and its processes."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

import psutil

from local_postgres.exceptions import LocalPostgresError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

POLL_SECONDS = 0.02


class Postmaster(NamedTuple):
    """The server's first process, as its pid file describes it."""

    process: psutil.Process
    port: int
    is_ready: bool


def find_postmaster(data: Path) -> Postmaster | None:
    """Return the server that runs on this data, or None.

    A pid alone proves nothing, for it may belong to another program by now. The server and all
    its children work inside the data folder, and a dead process works nowhere.
    """
    try:
        # https://www.postgresql.org/docs/current/storage-file-layout.html: pid, data folder,
        # start time, port, socket folder, address, shared memory, status; one line each.
        lines = (data / "postmaster.pid").read_text().splitlines()
        process = psutil.Process(int(lines[0]))
        if not _works_in(process, data):
            return None
        return Postmaster(process, int(lines[3]), "ready" in "".join(lines[7:]))
    except (FileNotFoundError, IndexError, ValueError, psutil.NoSuchProcess):
        return None


def wait_until_ready(data: Path, seconds: float) -> Postmaster | None:
    """Return the server once it takes connections, or None if it ended.

    Raises:
        LocalPostgresError: It takes too long.
    """
    deadline = time.monotonic() + seconds
    while (postmaster := find_postmaster(data)) and not postmaster.is_ready:
        if time.monotonic() > deadline:
            raise LocalPostgresError(
                f"The server (process {postmaster.process.pid}) is still starting after "
                f"{seconds:.0f} s: it may be recovering; start it again, or look into its log."
            )
        time.sleep(POLL_SECONDS)
    return postmaster


def stop_postmaster(postmaster: Postmaster, data: Path, seconds: float) -> None:
    """End the server without waiting for its clients, and wait until it is gone.

    Raises:
        LocalPostgresError: It takes too long.
    """
    with suppress(psutil.NoSuchProcess):
        postmaster.process.send_signal(signal.SIGINT)  # PostgreSQL's "fast" mode.
    if not _wait(lambda: find_postmaster(data) is None, seconds):
        raise LocalPostgresError(
            f"The server (process {postmaster.process.pid}) is still stopping after "
            f"{seconds:.0f} s: wait for it, or look into its log."
        )


def clear_remains(data: Path, seconds: float) -> None:
    """End what a killed server left behind: child processes and the pid file.

    PostgreSQL itself refuses to start as long as a child works on the data, and also when the
    pid in the file belongs to anybody else by now.

    Raises:
        LocalPostgresError: A process does not end.
    """
    pid_file = data / "postmaster.pid"
    if not pid_file.exists():
        return
    for process in _children(data):
        with suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGQUIT)
    if not _wait(lambda: not any(_children(data)), seconds):
        pids = ", ".join(str(process.pid) for process in _children(data))
        raise LocalPostgresError(f"Processes of a killed server do not end: kill -9 {pids}")
    pid_file.unlink(missing_ok=True)


def _children(data: Path) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        with suppress(psutil.NoSuchProcess):
            if process.name() == "postgres" and _works_in(process, data):
                yield process


def _works_in(process: psutil.Process, data: Path) -> bool:
    try:
        folder = process.cwd()
    except psutil.AccessDenied:
        folder = _cwd_as_owner(process, data)
    return folder == str(data.resolve())


def _cwd_as_owner(process: psutil.Process, data: Path) -> str:
    """Look as the data's owner: root in a container may not look into other users' processes."""
    if os.geteuid() != 0:
        return ""
    owner = data.stat()
    return subprocess.run(
        ["readlink", "--", f"/proc/{process.pid}/cwd"],  # noqa: S607  The system decides where it is.
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=False,
        cwd="/",
        user=owner.st_uid,
        group=owner.st_gid,
        extra_groups=[],
    ).stdout.removesuffix("\n")


def _wait(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True
