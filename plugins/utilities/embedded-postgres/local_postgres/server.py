"""A local PostgreSQL server: start, stop, connect."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from local_postgres.account import choose_account
from local_postgres.binaries import Binaries, find_binaries, inspect_folder
from local_postgres.cluster import DATABASE, USER, configure_cluster, make_cluster
from local_postgres.exceptions import LocalPostgresError, NotRunningError, PortInUseError
from local_postgres.folder import Folder
from local_postgres.ports import HOST, free_port, is_free
from local_postgres.postmaster import (
    Postmaster,
    clear_remains,
    find_postmaster,
    stop_postmaster,
    wait_until_ready,
)

if TYPE_CHECKING:
    from types import TracebackType

    from local_postgres.account import Account

START_SECONDS = 300  # Recovering after a crash takes its time.
STOP_SECONDS = 120
REMAINS_SECONDS = 20
PORT_ATTEMPTS = 5


class Connection(NamedTuple):
    """Where a running server is, and how to get in."""

    host: str
    port: int
    user: str
    password: str
    database: str

    @property
    def url(self) -> str:
        """The address that libpq and its descendants take."""
        return f"postgresql://{self.user}:{self.password}@{self.host}:{self.port}/{self.database}"


class LocalPostgres:
    """A PostgreSQL server on the loopback address, with its data in a folder of its own.

    As a context manager it yields the `Connection` and stops the server at the end.
    """

    def __init__(self, data_dir: Path | str, *, port: int | None = None) -> None:
        self.folder = Folder(Path(data_dir))
        self._port = port

    def __enter__(self) -> Connection:
        return self.start()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> Connection:
        """Start the server where it does not run, and return once it takes connections.

        Raises:
            PortInUseError: Another program has the port that was asked for.
            LocalPostgresError: It cannot start; the message says why.
        """
        self.folder.create()
        with self.folder.lock():
            postmaster = wait_until_ready(self.folder.data, START_SECONDS) or self._launch()
        if self._port not in (None, postmaster.port):
            raise LocalPostgresError(
                f"The server runs on port {postmaster.port}: stop it to start it on {self._port}."
            )
        return self._connection(postmaster)

    def stop(self) -> bool:
        """Stop the server and return once it is gone; tell whether it ran."""
        if not self.folder.exists:
            return False
        with self.folder.lock():
            postmaster = find_postmaster(self.folder.data)
            if postmaster:
                stop_postmaster(postmaster, self.folder.data, STOP_SECONDS)
            clear_remains(self.folder.data, REMAINS_SECONDS)
        return postmaster is not None

    def connection(self) -> Connection:
        """Return how to connect to the running server.

        Raises:
            NotRunningError: It does not run.
        """
        postmaster = find_postmaster(self.folder.data)
        if postmaster is None:
            raise NotRunningError(f"No server runs on {self.folder.path}: start it first.")
        return self._connection(postmaster)

    def binaries(self) -> Binaries:
        """Return the programs that run the server, or that would."""
        program = self.folder.server_program
        running = program and find_postmaster(self.folder.data) and inspect_folder(program.parent)
        return running or find_binaries(self.folder.major)

    def _connection(self, postmaster: Postmaster) -> Connection:
        return Connection(HOST, postmaster.port, USER, self.folder.password, DATABASE)

    def _launch(self) -> Postmaster:
        binaries = find_binaries(self.folder.major)
        if self._port and not is_free(self._port):
            raise PortInUseError(self._port)
        account = choose_account(self.folder.path, binaries.program("postgres"))
        if self.folder.major is None:
            make_cluster(self.folder, binaries, account)
        clear_remains(self.folder.data, REMAINS_SECONDS)
        for _ in range(PORT_ATTEMPTS):
            port = self._port or self._choose_port()
            words = self._launch_on(port, binaries, account)
            if postmaster := wait_until_ready(self.folder.data, START_SECONDS):
                account.own(self.folder.remember_port(port))
                return postmaster
            if is_free(port):
                raise LocalPostgresError(
                    f"PostgreSQL {binaries.version} did not start: {words} (log: {self.folder.log})"
                )
        raise PortInUseError(port)

    def _launch_on(self, port: int, binaries: Binaries, account: Account) -> str:
        """Try to start, and return why it did not if it did not."""
        folder = self.folder
        configure_cluster(folder.data, port, binaries, account)
        folder.rotate_log()
        account.own(folder.path)
        # Relative paths: pg_ctl hands them to a shell, in which some characters mean something.
        # It also detaches the server: a session of its own, with the log as its only output.
        # fmt: off
        done = account.run(
            binaries.program("pg_ctl"), "start", "--pgdata", folder.data.name,
            "--log", folder.log.name, "--wait", "--timeout", str(START_SECONDS),
            cwd=folder.path,
        )
        # fmt: on
        try:
            lines = folder.log.read_text(errors="replace").splitlines()
        except FileNotFoundError:
            return done.stderr.strip()
        why = (line for line in lines if "FATAL:" in line or "could not bind" in line)
        return next(why, done.stderr.strip())

    def _choose_port(self) -> int:
        remembered = self.folder.remembered_port
        return remembered if remembered and is_free(remembered) else free_port()
