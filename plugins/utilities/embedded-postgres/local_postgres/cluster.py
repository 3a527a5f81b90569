"""The data folder of a server: made once, configured at every start."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from local_postgres.exceptions import LocalPostgresError
from local_postgres.ports import HOST

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

    from local_postgres.account import Account
    from local_postgres.binaries import Binaries
    from local_postgres.folder import Folder

USER = "postgres"
DATABASE = "quickbooks"
SETTINGS_FILE = "embedded-postgres.conf"
SETTINGS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",  # Their paths must be short (107 characters); projects' are not.
    "timezone": "UTC",
    "log_timezone": "UTC",
    "shared_buffers": "256MB",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
    "jit": "off",
}


def make_cluster(folder: Folder, binaries: Binaries, account: Account) -> None:
    """Make the data folder with an empty database; all of it, or nothing.

    Raises:
        LocalPostgresError: PostgreSQL's own words.
    """
    unfinished = folder.path / "unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    password_file = folder.new_password_file()
    account.own(folder.path)
    # fmt: off
    made = account.run(
        binaries.program("initdb"), "--pgdata", str(unfinished), "--username", USER,
        "--auth", "scram-sha-256", "--pwfile", str(password_file),
        "--encoding", "UTF8", "--no-locale",
        cwd=folder.path,
    )
    # fmt: on
    _check(made, "initdb")
    single = (binaries.program("postgres"), "--single", "-D", str(unfinished), "postgres")
    created = account.run(*single, cwd=folder.path, stdin=f"CREATE DATABASE {DATABASE}\n")
    if "ERROR:" in created.stderr:  # It does not show in the exit code.
        created.returncode = 1
    _check(created, "create the database")
    with (unfinished / "postgresql.conf").open("a") as file:
        file.write(f"\ninclude_if_exists '{SETTINGS_FILE}'\n")
    unfinished.rename(folder.data)


def configure_cluster(data: Path, port: int, binaries: Binaries, account: Account) -> None:
    """Write the settings of the next start."""
    settings = SETTINGS | {"port": str(port)}
    if _has_lz4(data, binaries, account):
        settings["default_toast_compression"] = "lz4"
    lines = [f"{name} = '{value}'\n" for name, value in settings.items()]
    head = "# Written at each start; ALTER SYSTEM sets what should stay.\n"
    (data / SETTINGS_FILE).write_text(head + "".join(lines))


def _has_lz4(data: Path, binaries: Binaries, account: Account) -> bool:
    """Ask this PostgreSQL for lz4: built without it, it refuses the value."""
    setting = "default_toast_compression"
    command = ("-D", str(data), "-C", setting, "-c", f"{setting}=lz4")
    return account.run(binaries.program("postgres"), *command).returncode == 0


def _check(done: subprocess.CompletedProcess[str], what: str) -> None:
    if done.returncode != 0:
        words = (done.stderr or done.stdout).strip().splitlines()
        raise LocalPostgresError(f"PostgreSQL could not {what}: {' | '.join(words[-5:])}")
