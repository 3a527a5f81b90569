"""The folder that holds a local PostgreSQL: its data, password, port and log."""

from __future__ import annotations

import fcntl
import secrets
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from local_postgres.exceptions import LocalPostgresError

if TYPE_CHECKING:
    from collections.abc import Iterator

LOCK_NAME = "embedded-postgres.lock"


class Folder:
    """The files of one local PostgreSQL."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.data = self.path / "data"
        self.log = self.path / "server.log"
        self._lock = self.path / LOCK_NAME
        self._password = self.path / "password"
        self._port = self.path / "port"

    @property
    def exists(self) -> bool:
        """Whether this was ever started."""
        return self._lock.exists()

    @property
    def major(self) -> int | None:
        """The major version of PostgreSQL that made the data, or None where there is none."""
        try:
            return int((self.data / "PG_VERSION").read_text())
        except FileNotFoundError:
            return None

    @property
    def server_program(self) -> Path | None:
        """The program `postgres` that ran last, or None before the first start."""
        try:
            # One line: the program, then each argument in quotes.
            return Path((self.data / "postmaster.opts").read_text().partition(' "')[0])
        except FileNotFoundError:
            return None

    @property
    def password(self) -> str:
        """The password of the user `postgres`."""
        try:
            return self._password.read_text()
        except FileNotFoundError:
            raise LocalPostgresError(
                f"{self._password} is gone: put it back, or remove {self.path} and load again."
            ) from None

    @property
    def remembered_port(self) -> int | None:
        """The port of the last start."""
        try:
            return int(self._port.read_text())
        except (FileNotFoundError, ValueError):
            return None

    def remember_port(self, port: int) -> Path:
        """Keep the port for the next start, and return the file."""
        self._port.write_text(f"{port}\n")
        return self._port

    def rotate_log(self) -> None:
        """Begin a new log and keep the one before."""
        with suppress(FileNotFoundError):
            self.log.rename(self.path / "server.log.1")

    def create(self) -> None:
        """Make the folder, private to its owner and unseen by git; harmless where it exists.

        Raises:
            LocalPostgresError: The folder holds something else.
        """
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        names = {path.name for path in self.path.iterdir()}
        if names and LOCK_NAME not in names:
            raise LocalPostgresError(
                f"{self.path} holds files that are not ours: name an empty or a new folder."
            )
        self._lock.touch()  # First, for it marks the folder as ours.
        self.path.chmod(0o700)
        (self.path / ".gitignore").write_text("*\n")

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other processes and threads from starting or stopping this server."""
        with self._lock.open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def new_password_file(self) -> Path:
        """Write a new password and return the file."""
        self._password.touch(mode=0o600)
        self._password.chmod(0o600)
        # Letters and digits only: it stands unquoted in URLs, shells and Makefiles.
        self._password.write_text(secrets.token_hex(16))
        return self._password
