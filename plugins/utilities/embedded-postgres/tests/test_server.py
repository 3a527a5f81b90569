"""Starting, stopping and surviving, in the process of the caller."""

from __future__ import annotations

import os
import signal
import socket
import stat
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from typing import TYPE_CHECKING

import psutil
import psycopg
import pytest
from local_postgres.binaries import BINDIR_VARIABLE
from local_postgres.exceptions import LocalPostgresError, NotRunningError, PortInUseError
from local_postgres.ports import HOST, free_port, is_free
from local_postgres.postmaster import find_postmaster
from local_postgres.server import LocalPostgres

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from local_postgres.server import Connection

    Query = Callable[[Connection, str], list[tuple[object, ...]]]

# Never notices that its parent is gone.
BUSY = b"do $$ begin loop null; end loop; end $$"

pytestmark = pytest.mark.pipeline


def pid_of(server: LocalPostgres) -> int:
    postmaster = find_postmaster(server.folder.data)
    assert postmaster is not None
    return postmaster.process.pid


def kill(server: LocalPostgres) -> None:
    os.kill(pid_of(server), signal.SIGKILL)
    while find_postmaster(server.folder.data):
        """The kernel takes a moment."""


@pytest.mark.usefixtures("bindir")
def test_a_new_server_is_as_promised(new_server: LocalPostgres, query: Query) -> None:
    connection = new_server.start()
    row = query(
        connection,
        """
        select current_database(), current_user, current_setting('TimeZone'),
               pg_encoding_to_char(encoding), datcollate, datctype,
               current_setting('listen_addresses'), current_setting('unix_socket_directories'),
               current_setting('fsync'), current_setting('password_encryption')
          from pg_database where datname = current_database()
        """,
    )
    assert row == [
        ("quickbooks", "postgres", "UTC", "UTF8", "C", "C", HOST, "", "on", "scram-sha-256")
    ]


@pytest.mark.usefixtures("bindir")
def test_data_survive_a_restart_on_the_same_port(server: LocalPostgres, query: Query) -> None:
    first = server.start()
    query(first, "create table kept as select 1 as one")
    assert server.stop()
    second = server.start()
    assert second == first
    assert query(second, "select one from kept") == [(1,)]


def test_starting_and_stopping_twice_is_harmless(server: LocalPostgres) -> None:
    first = server.start()
    pid = pid_of(server)
    assert server.start() == first
    assert pid_of(server) == pid
    assert server.stop()
    assert not server.stop()
    with pytest.raises(NotRunningError, match="start it first"):
        server.connection()


def test_a_context_manager_connects_and_stops(tmp_path: Path, query: Query) -> None:
    server = LocalPostgres(tmp_path / "pg")
    with server as connection:
        assert query(connection, "select 1") == [(1,)]
    assert find_postmaster(server.folder.data) is None


def test_the_password_is_needed_and_private(new_server: LocalPostgres) -> None:
    connection = new_server.start()
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(connection._replace(password="wrong").url)
    modes = [
        stat.S_IMODE(path.stat().st_mode)
        for path in (new_server.folder.path, new_server.folder.data)
    ]
    assert modes == [0o700, 0o700]
    assert stat.S_IMODE((new_server.folder.path / "password").stat().st_mode) == 0o600
    assert (new_server.folder.path / ".gitignore").read_text() == "*\n"


def test_stopping_a_killed_server_ends_its_busy_child(server: LocalPostgres) -> None:
    connection = server.start()
    with closing(psycopg.connect(connection.url, autocommit=True)) as session:
        child = psutil.Process(session.info.backend_pid)
        session.pgconn.send_query(BUSY)
        kill(server)
        assert not server.stop()
    with suppress(psutil.NoSuchProcess):  # Or a zombie, if nobody has noted its end so far.
        assert child.cwd() == ""


@pytest.mark.usefixtures("bindir")
def test_a_killed_server_starts_again(server: LocalPostgres, query: Query) -> None:
    connection = server.start()
    query(connection, "create table kept as select 1 as one")
    kill(server)
    assert query(server.start(), "select one from kept") == [(1,)]


def test_a_busy_child_of_a_killed_server_is_ended(server: LocalPostgres, query: Query) -> None:
    connection = server.start()
    with closing(psycopg.connect(connection.url, autocommit=True)) as session:
        session.pgconn.send_query(BUSY)
        kill(server)
        assert query(server.start(), "select 1") == [(1,)]


def test_a_pid_that_belongs_to_another_program_by_now_is_no_server(server: LocalPostgres) -> None:
    server.start()
    pid_file = server.folder.data / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    server.stop()
    pid_file.write_text("\n".join([str(os.getpid()), *lines[1:]]))
    assert not server.stop()
    server.start()


def test_a_wanted_port_in_use_is_named(tmp_path: Path) -> None:
    with socket.create_server((HOST, 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(PortInUseError, match=f"Port {port} is in use"):
            LocalPostgres(tmp_path / "pg", port=port).start()


def test_a_port_that_failed_is_not_remembered(server: LocalPostgres) -> None:
    remembered = server.folder.remembered_port
    with (server.folder.data / "postgresql.conf").open("a") as file:
        file.write("shared_buffers = 'many'\n")
    with pytest.raises(LocalPostgresError, match="did not start"):
        LocalPostgres(server.folder.path, port=free_port()).start()
    assert server.folder.remembered_port == remembered


def test_a_remembered_port_in_use_is_left(server: LocalPostgres, query: Query) -> None:
    first = server.start()
    server.stop()
    with socket.create_server((HOST, first.port)):
        second = server.start()
    assert second.port != first.port
    assert query(second, "select 1") == [(1,)]


def test_a_running_server_does_not_move_to_another_port(server: LocalPostgres) -> None:
    port = server.start().port
    with pytest.raises(LocalPostgresError, match=f"runs on port {port}: stop it"):
        LocalPostgres(server.folder.path, port=free_port()).start()


def test_simultaneous_starts_make_one_server(new_server: LocalPostgres) -> None:
    servers = [LocalPostgres(new_server.folder.path) for _ in range(4)]
    with ThreadPoolExecutor(len(servers)) as pool:
        connections = set(pool.map(LocalPostgres.start, servers))
    assert len(connections) == 1
    assert is_free(connections.pop().port) is False


@pytest.mark.parametrize(
    "name", ["/".join(["deep" * 10] * 10), "a 'b' \"c\" $HOME `d` é"], ids=["deep", "odd"]
)
def test_any_path_will_do(tmp_path: Path, query: Query, name: str) -> None:
    with LocalPostgres(tmp_path / name) as connection:
        assert query(connection, "select 1") == [(1,)]


def test_an_interrupted_initdb_is_made_again(new_server: LocalPostgres, query: Query) -> None:
    new_server.folder.create()
    unfinished = new_server.folder.path / "unfinished"
    unfinished.mkdir()
    (unfinished / "PG_VERSION").write_text("15\n")
    assert query(new_server.start(), "select 1") == [(1,)]
    assert not unfinished.exists()


def test_a_folder_with_other_files_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    mode = tmp_path.stat().st_mode
    with pytest.raises(LocalPostgresError, match="files that are not ours"):
        LocalPostgres(tmp_path).start()
    assert tmp_path.stat().st_mode == mode
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_data_of_another_major_version_are_refused(
    server: LocalPostgres, bindir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.start()
    server.stop()
    (server.folder.data / "PG_VERSION").write_text("99\n")
    monkeypatch.setenv(BINDIR_VARIABLE, str(bindir))
    with pytest.raises(LocalPostgresError, match=r"PostgreSQL 99, .* \(1\d\.\d+ in .*remove"):
        server.start()


def test_data_choose_the_binaries_of_their_version(
    server: LocalPostgres, bindir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.start()
    server.stop()
    monkeypatch.delenv(BINDIR_VARIABLE)
    server.start()
    assert server.binaries().bindir == bindir


def test_a_server_that_cannot_start_says_why(server: LocalPostgres) -> None:
    server.start()
    server.stop()
    with (server.folder.data / "postgresql.conf").open("a") as file:
        file.write("shared_buffers = 'many'\n")
    with pytest.raises(LocalPostgresError, match=r"did not start: .*FATAL: .*server\.log"):
        server.start()


def test_a_lost_password_file_is_named(server: LocalPostgres) -> None:
    server.start()
    (server.folder.path / "password").unlink()
    with pytest.raises(LocalPostgresError, match="password is gone"):
        server.start()
