"""The command as people, shells and Meltano use it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import local_postgres
import psutil
import pytest
from local_postgres.binaries import BINDIR_VARIABLE
from local_postgres.cli import PORT_VARIABLE, run
from local_postgres.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from local_postgres.server import LocalPostgres

    Command = Callable[..., subprocess.CompletedProcess[str]]

NOBODY = 65534
MAIN = "from local_postgres.cli import main; main()"


def python_for(user: int | None) -> str:
    """Return a Python with our packages that this user may run; ours may be in root's home."""
    if user is None:
        return sys.executable
    for python in (sys.executable, "/usr/bin/python3"):
        try:
            subprocess.run(
                [
                    python,
                    "-c",
                    "import local_postgres.cli, sys; sys.version_info >= (3, 11) or 1/0",
                ],
                check=True,
                capture_output=True,
                env=environment(),
                cwd="/",
                user=user,
            )
        except (OSError, subprocess.CalledProcessError):
            continue
        return python
    pytest.skip("there is no Python that other users may run")


def environment() -> dict[str, str]:
    packages = {str(Path(module.__file__ or "").parents[1]) for module in (local_postgres, psutil)}
    return dict(os.environ) | {"PYTHONPATH": ":".join(packages)}


def command(*arguments: str, user: int | None = None) -> subprocess.CompletedProcess[str]:
    """Run it as a program; returns only if nothing left behind holds its output."""
    groups = None if user is None else []
    return subprocess.run(
        [python_for(user), "-W", "error", "-c", MAIN, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=environment(),
        cwd="/",
        user=user,
        group=user,
        extra_groups=groups,
    )


@pytest.fixture
def data(new_server: LocalPostgres) -> str:
    return str(new_server.folder.path)


@pytest.mark.pipeline
@pytest.mark.usefixtures("bindir")
def test_the_commands_in_their_order(data: str) -> None:
    assert command("status", "--data", data).returncode == 3
    started = command("start", "--data", data)
    assert re.fullmatch(
        rf"PostgreSQL \d+\.\d+ is ready at 127\.0\.0\.1:\d+, database quickbooks, data in {data}\n",
        started.stdout,
    )
    assert command("start", "--data", data).stdout == started.stdout
    status = command("status", "--data", data)
    assert status.returncode == 0
    assert status.stdout.startswith("running   127.0.0.1:")
    stopped = command("stop", "--data", data)
    assert (stopped.returncode, stopped.stdout) == (0, f"PostgreSQL is stopped: {data}\n")
    again = command("stop", "--data", data)
    assert (again.returncode, again.stdout) == (0, f"PostgreSQL was not running: {data}\n")
    for name in ("status", "url", "psql"):
        assert command(name, "--data", data).returncode == 3


@pytest.mark.pipeline
@pytest.mark.usefixtures("bindir")
def test_psql_gets_its_arguments(server: LocalPostgres, data: str) -> None:
    server.start()
    answer = command("psql", "--data", data, "-At", "-c", "select current_database()")
    assert (answer.stdout, answer.stderr) == ("quickbooks\n", "")


@pytest.mark.pipeline
def test_the_environment_lines_suit_a_shell_and_a_makefile(
    server: LocalPostgres, data: str, tmp_path: Path
) -> None:
    connection = server.start()
    lines = command("url", "--env", "--data", data).stdout
    expected = connection.url + "\n"
    assert command("url", "--data", data).stdout == expected
    url = "postgresql://{}POSTGRES_USER}:{}POSTGRES_PASSWORD}@{}POSTGRES_HOST}:{}POSTGRES_PORT}"
    url = (url + "/{}POSTGRES_DB}").replace("{}", "${")
    shell = ["sh", "-c", f'export $1; env -i sh -c "echo {url}"', "sh", lines]
    assert subprocess.run(shell, capture_output=True, text=True, check=True).stdout == expected
    (tmp_path / "Makefile").write_text(f"{lines}\nurl:\n\t@echo {url}\n")
    make = ["make", "-s", "-C", str(tmp_path), "url"]
    assert subprocess.run(make, capture_output=True, text=True, check=True).stdout == expected


@pytest.mark.pipeline
def test_simultaneous_commands_make_one_server(data: str) -> None:
    program = [sys.executable, "-c", MAIN, "start", "--data", data]
    running = [subprocess.Popen(program, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    answers = {process.communicate(timeout=60)[0] for process in running}
    assert len(answers) == 1
    assert [process.returncode for process in running] == [0, 0, 0]


@pytest.mark.pipeline
def test_a_forced_port_is_taken(
    server: LocalPostgres,
    data: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    port = free_port()
    monkeypatch.setenv(PORT_VARIABLE, str(port))
    assert run(["start", "--data", data]) == 0
    assert server.connection().port == port
    other = str(Path(data).with_name("other"))
    capsys.readouterr()
    assert run(["start", "--data", other, "--port", str(port)]) == 1
    assert capsys.readouterr().err == (
        f"embedded-postgres: Port {port} is in use by another program: name another, or none.\n"
    )


@pytest.mark.parametrize("port", ["0", "65536", "-1", "x"])
def test_a_port_that_is_none_is_refused(
    data: str, capsys: pytest.CaptureFixture[str], port: str
) -> None:
    assert run(["start", "--data", data, f"--port={port}"]) == 1
    assert capsys.readouterr().err == (
        f"embedded-postgres: --port is {port}: a port is a number from 1 to 65535.\n"
    )


def test_the_data_are_in_the_project_by_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MELTANO_PROJECT_ROOT", str(tmp_path / "project"))
    assert run(["stop"]) == 0
    assert f"was not running: {tmp_path / 'project' / '.postgres'}" in capsys.readouterr().out
    assert not (tmp_path / "project").exists()


def test_help_teaches_by_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        run(["--help"])
    assert "export $(embedded-postgres url --env)" in capsys.readouterr().out


@pytest.fixture
def nobodys_folder() -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("only root can be another user")
    folder = Path(tempfile.mkdtemp())  # Not tmp_path, which others cannot enter.
    os.chown(folder, NOBODY, NOBODY)
    yield folder
    command("stop", "--data", str(folder / "pg"))
    shutil.rmtree(folder)


@pytest.mark.pipeline
@pytest.mark.usefixtures("bindir")
def test_an_ordinary_user_needs_no_root(nobodys_folder: Path) -> None:
    data = str(nobodys_folder / "pg")
    started = command("start", "--data", data, user=NOBODY)
    assert (started.returncode, started.stderr) == (0, "")
    assert command("psql", "--data", data, "-c", "select 1", user=NOBODY).returncode == 0
    assert command("stop", "--data", data, user=NOBODY).stdout.startswith("PostgreSQL is stopped")


@pytest.mark.pipeline
@pytest.mark.usefixtures("bindir")
def test_root_takes_over_the_folder_of_an_ordinary_user(nobodys_folder: Path) -> None:
    data = str(nobodys_folder / "pg")
    started = command("start", "--data", data, user=NOBODY)
    assert command("start", "--data", data).stdout == started.stdout
    assert command("stop", "--data", data).stdout.startswith("PostgreSQL is stopped")
    assert command("start", "--data", data).stdout == started.stdout
    assert command("status", "--data", data, user=NOBODY).returncode == 0


@pytest.mark.pipeline
def test_the_folder_of_another_user_is_refused_in_one_line(server: LocalPostgres) -> None:
    server.start()
    if os.geteuid() != 0:
        pytest.skip("only root can be another user")
    refused = command("status", "--data", str(server.folder.path), user=NOBODY)
    assert refused.returncode == 1
    assert refused.stderr.count("\n") == 1
    assert "run this as the owner of the folder" in refused.stderr


def test_a_forced_folder_without_programs_is_refused(
    data: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(BINDIR_VARIABLE, str(tmp_path))
    assert run(["start", "--data", data]) == 1
    assert f"{BINDIR_VARIABLE} is {tmp_path}, which has no working" in capsys.readouterr().err
