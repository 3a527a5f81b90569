"""Running the server in the background: start, stop, status.

The running server holds a lock on a file in the data directory, so a stale process id after a crash
is never mistaken for a living server.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

START_SECONDS = 60.0
STOP_SECONDS = 10.0
CONNECTION = "connection.json"
LOG = "server.log"
LOCK = "lock"
_PAUSE = 0.02


def hold_lock(data: Path) -> int:
    """Lock a data directory for the rest of the process and write the process id.

    Raises:
        OSError: Another server has it.
    """
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(data / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise OSError(f"A simulator with the data in {data} runs already.") from None
    os.ftruncate(descriptor, 0)
    os.write(descriptor, f"{os.getpid()}\n".encode())
    return descriptor


def running_pid(data: Path) -> int | None:
    """Return the process id of the server that runs on a data directory, or None."""
    try:
        descriptor = os.open(data / LOCK, os.O_RDWR)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        text = os.read(descriptor, 32).decode().strip()
        return int(text) if text else None
    else:
        return None
    finally:
        os.close(descriptor)


def _url(data: Path) -> str:
    try:
        connection = json.loads((data / CONNECTION).read_text())
    except (FileNotFoundError, ValueError):
        return ""
    return str(connection["url"])


def start(data: Path, arguments: Sequence[str]) -> int:
    """Start a server in the background, unless one runs, and print its address."""
    if running_pid(data) is None:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        (data / CONNECTION).unlink(missing_ok=True)
        process = _spawn(data, arguments)
        deadline = time.monotonic() + START_SECONDS
        while not _url(data):
            if process.poll() is not None:
                if running_pid(data) is not None:
                    break  # Another start won the race.
                tail = (data / LOG).read_text(errors="replace").strip().splitlines()[-1:]
                sys.stderr.write(f"{tail[0] if tail else 'The simulator did not start.'}\n")
                return 1
            if time.monotonic() > deadline:
                sys.stderr.write(f"The simulator did not start; see {data / LOG}.\n")
                return 1
            time.sleep(_PAUSE)
        process.returncode = 0  # It lives on, which Popen would warn about.
    deadline = time.monotonic() + START_SECONDS
    while not _url(data) and time.monotonic() < deadline:
        time.sleep(_PAUSE)
    sys.stdout.write(f"{_url(data)}\n")
    return 0


def _spawn(data: Path, arguments: Sequence[str]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "quickbooks_simulator", "serve", "--data", str(data)]
    command += ["--url-file", str(data / CONNECTION), *arguments]
    with (data / LOG).open("ab") as log:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            close_fds=True,
        )


def stop(data: Path) -> int:
    """End the server in the background and wait until it is gone."""
    pid = running_pid(data)
    if pid is None:
        sys.stdout.write("not running\n")
        return 0
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while running_pid(data) == pid:
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
            deadline += STOP_SECONDS
        time.sleep(_PAUSE)
    (data / CONNECTION).unlink(missing_ok=True)
    sys.stdout.write("stopped\n")
    return 0


def status(data: Path) -> int:
    """Print the address of the server in the background; exit code 3 when there is none."""
    if running_pid(data) is None:
        sys.stdout.write("not running\n")
        return 3
    sys.stdout.write(f"{_url(data)}\n")
    return 0
