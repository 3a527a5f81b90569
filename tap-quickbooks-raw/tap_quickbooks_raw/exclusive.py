"""One run at a time for a company: a lock that ends with the processes that hold it.

All runs of a Meltano project see it, whatever started them and whichever state they use. Two
at once would send twice as many requests as Intuit allows.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tap_quickbooks_raw.exceptions import CompanyError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PROJECT = "MELTANO_PROJECT_ROOT"
# Meltano gives it to what it runs as an extractor.
EXTRACTOR = "MELTANO_EXTRACTOR_NAME"
# Names the lock that a command holds for the load that it has started.
HELD = "QUICKBOOKS_RAW_LOCK"
MOST_HOLDER_BYTES = 200


class Lock(NamedTuple):
    """A lock that is held.

    Attributes:
        path: Its file.
        handle: The open file. A process that inherits it holds the lock as well, so that what
            the holder has started keeps it if the holder is killed.
    """

    path: Path
    handle: int


@contextmanager
def load(realm_id: str, environment: Mapping[str, str]) -> Iterator[None]:
    """Hold a company alone for a load by Meltano; outside of it nothing is held.

    Raises:
        CompanyError: Another run holds it.
        SettingsError: The lock cannot be used.
    """
    project = environment.get(PROJECT) if EXTRACTOR in environment else None
    if not project or environment.get(HELD) == str(lock_of(project, realm_id)):
        yield
        return
    with hold(project, realm_id, what=environment[EXTRACTOR]):
        yield


@contextmanager
def hold(project: str, realm_id: str, *, what: str) -> Iterator[Lock]:
    """Hold a company alone in a project.

    Args:
        project: The folder of the Meltano project.
        realm_id: The company.
        what: What the holder is, for those that are refused.

    Yields:
        The lock.

    Raises:
        CompanyError: Another run holds it.
        SettingsError: The lock cannot be used.
    """
    path = lock_of(project, realm_id)
    handle = _open(path)
    try:
        _acquire(handle, path, realm_id)
        since = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
        # It is held on a full disk as well; only who holds it is then not told.
        with suppress(OSError):
            os.truncate(handle, 0)
            os.pwrite(handle, f"{what}, process {os.getpid()}, since {since}".encode(), 0)
        yield Lock(path, handle)
    finally:
        os.close(handle)


def lock_of(project: str, realm_id: str) -> Path:
    """The file of a company's lock, the same whichever way leads to the project."""
    return Path(project).resolve() / ".meltano" / "run" / f"quickbooks-{realm_id}.lock"


def _acquire(handle: int, path: Path, realm_id: str) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(handle, MOST_HOLDER_BYTES, 0).decode(errors="replace")
        raise CompanyError(
            f"Another run of company (realm) {realm_id} is in progress ({holder or 'just begun'}); "
            "nothing was read. Start again when it has ended"
        ) from None
    except OSError as error:
        raise _unusable(path, error) from None


def _open(path: Path) -> int:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if os.geteuid() == 0:
            # What root makes belongs to the folder's owner, whose runs need it.
            owner = path.parent.stat()
            os.fchown(handle, owner.st_uid, owner.st_gid)
    except OSError as error:
        raise _unusable(path, error) from None
    return handle


def _unusable(path: Path, error: OSError) -> SettingsError:
    return SettingsError(
        f"{PROJECT}: the lock {path} cannot be used ({error.strerror}); this user must be "
        "able to write there, and the file system to lock files"
    )
