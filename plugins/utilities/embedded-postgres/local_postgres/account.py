"""Who runs PostgreSQL's programs: they refuse to run as root.

Root has three ways, tried in this order, and none of them touches a file outside the folder:

1. the folder's owner, where that is an ordinary user;
2. a user namespace, inside which root looks like an ordinary user (files stay root's outside);
3. an existing ordinary user, to whom the folder is given: the owner of the folder above, or
   `postgres`, or `nobody`.
"""

from __future__ import annotations

import os
import pwd
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from local_postgres.exceptions import LocalPostgresError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True)
class Account:
    """A way to start a program as somebody.

    Attributes:
        prefix: What comes before the program on its command line.
        user: User and group ids to change to; None to stay who we are.
    """

    prefix: tuple[str, ...] = ()
    user: tuple[int, int] | None = None

    def run(
        self, *command: str, cwd: Path | None = None, stdin: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end as this account, whatever its exit code."""
        uid, gid = self.user or (None, None)
        return subprocess.run(
            [*self.prefix, *command],
            cwd=cwd,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            user=uid,
            group=gid,
            extra_groups=None if self.user is None else [],
        )

    def own(self, path: Path) -> None:
        """Give a file, or a folder and all that is in it, to this account's user."""
        if self.user:
            _give(path, self.user)

    def can_use(self, folder: Path, program: str) -> bool:
        """Tell whether this account can write to the folder and run the program."""
        test = 'test -w "$0" && exec "$1" --version'
        try:
            return self.run("/bin/sh", "-c", test, str(folder), program).returncode == 0
        except OSError:
            return False


def choose_account(folder: Path, program: str) -> Account:
    """Return the account that runs PostgreSQL on this folder, and give it the folder.

    Args:
        folder: The existing folder that is to be written to.
        program: Any of PostgreSQL's programs.

    Raises:
        LocalPostgresError: Root found no way that works.
    """
    if os.geteuid() != 0:
        # initdb wants a user with a name, which a container started under a made-up id lacks.
        namespace = _user_namespace()
        nameless = not _has_name(os.geteuid()) and namespace.can_use(folder, program)
        return namespace if nameless else Account()
    for account in _accounts_for_root(folder):
        account.own(folder)
        if account.can_use(folder, program):
            return account
        if account.user and _owner(folder) != (0, 0):
            _give(folder, (0, 0))
    raise LocalPostgresError(
        f"PostgreSQL refuses to run as root, user namespaces are not allowed here, and no "
        f"ordinary user can reach both {folder} and {program}: run this as an ordinary user, "
        f"or move the project to a folder that everybody may enter, "
        f"or set POSTGRES_HOST to a server of your own."
    )


def _accounts_for_root(folder: Path) -> Iterator[Account]:
    owner = _owner(folder)
    if owner[0] != 0:
        yield Account(user=owner)
        return
    yield _user_namespace()
    above = _owner(folder.parent)
    if above[0] != 0:
        yield Account(user=above)
    users = {user.pw_name: (user.pw_uid, user.pw_gid) for user in pwd.getpwall()}
    for name in ("postgres", "nobody"):
        if name in users:
            yield Account(user=users[name])


def _user_namespace() -> Account:
    # Any name does, but there must be one: initdb looks it up.
    user = min((user for user in pwd.getpwall() if user.pw_uid), key=lambda user: user.pw_uid)
    mapped = (f"--map-user={user.pw_uid}", f"--map-group={user.pw_gid}")
    return Account(prefix=("unshare", "--user", *mapped, "--"))


def _has_name(uid: int) -> bool:
    return any(user.pw_uid == uid for user in pwd.getpwall())


def _owner(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_uid, status.st_gid


def _give(path: Path, user: tuple[int, int]) -> None:
    for each in (path, *path.rglob("*")):
        os.chown(each, *user, follow_symlinks=False)
