"""How root starts a server that refuses to run as root."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from local_postgres.account import choose_account
from local_postgres.exceptions import LocalPostgresError
from local_postgres.server import LocalPostgres

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from local_postgres.server import Connection

    Query = Callable[[Connection, str], list[tuple[object, ...]]]

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root has to become somebody")
NOBODY = 65534


@pytest.fixture
def no_namespaces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put an `unshare` first that fails, as it does in most containers."""
    unshare = tmp_path / "unshare"
    unshare.write_text("#!/bin/sh\nexit 1\n")
    unshare.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Make a folder that everybody may enter, unlike tmp_path."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.pipeline
def test_in_a_namespace_the_files_stay_roots(server: LocalPostgres) -> None:
    server.start()
    assert {path.stat().st_uid for path in server.folder.path.rglob("*")} == {0}


@pytest.mark.pipeline
@pytest.mark.usefixtures("no_namespaces", "bindir")
def test_without_namespaces_the_folder_goes_to_an_ordinary_user(
    open_folder: Path, query: Query
) -> None:
    server = LocalPostgres(open_folder / "pg")
    with server as connection:
        assert query(connection, "select 1") == [(1,)]
        assert 0 not in {path.stat().st_uid for path in server.folder.path.rglob("*")}
    with server as connection:
        assert query(connection, "select 1") == [(1,)]
    assert open_folder.stat().st_uid == 0


@pytest.mark.usefixtures("no_namespaces")
def test_the_owner_of_the_folder_above_comes_before_other_users(open_folder: Path) -> None:
    os.chown(open_folder, NOBODY, NOBODY)
    folder = open_folder / "pg"
    folder.mkdir()
    assert choose_account(folder, "/bin/true").user == (NOBODY, NOBODY)
    assert folder.stat().st_uid == NOBODY


@pytest.mark.usefixtures("no_namespaces")
def test_without_any_way_root_is_told_and_keeps_the_folder(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    folder = tmp_path / "pg"
    folder.mkdir()
    with pytest.raises(LocalPostgresError, match=r"refuses to run as root, .*ordinary user"):
        choose_account(folder, "/bin/true")
    assert folder.stat().st_uid == 0
