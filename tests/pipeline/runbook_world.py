"""Where the runbook's chapters take place."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING

import psycopg
from local_postgres.binaries import find_binaries
from psycopg import sql

from pipeline.conftest import BIN, REALM

if TYPE_CHECKING:
    from collections.abc import Callable

    from quickbooks_simulator.server import RunningSimulator

    from pipeline.conftest import Project

    Happening = Callable[["World", subprocess.Popen[str]], None]

SECONDS = 120
# A run is disturbed when it has sent so many.
QUERIES = 3
# The sign-in listens on the one port of the redirect URI.
LISTENING = Lock()


@dataclass
class World:
    """A project, its database and its companies; commands are run there as a person types them."""

    project: Project
    company: RunningSimulator
    superuser: str
    environment: dict[str, str] = field(default_factory=dict)
    broken: str = ""

    def __post_init__(self) -> None:
        postgres = self.project.postgres
        self.environment |= self.project.environment | {
            "PATH": f"{BIN}:{find_binaries().bindir}:{os.environ['PATH']}",
            "BROWSER": browser(REALM),
            "PGHOST": postgres["POSTGRES_HOST"],
            "PGPORT": postgres["POSTGRES_PORT"],
            "PGUSER": postgres["POSTGRES_USER"],
            "PGPASSWORD": postgres["POSTGRES_PASSWORD"],
            "PGDATABASE": postgres["POSTGRES_DB"],
        }

    def run(self, command: str, during: Happening | None = None) -> tuple[int, str]:
        """Run a command; return its exit code and what it printed.

        Args:
            command: A line of bash.
            during: What happens meanwhile.
        """
        self.company.clear_requests()
        with LISTENING if " login" in command else nullcontext():
            return self._run(command, during)

    def _run(self, command: str, during: Happening | None) -> tuple[int, str]:
        process = subprocess.Popen(
            ["bash", "-o", "pipefail", "-c", command],
            cwd=self.project.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        with process, ThreadPoolExecutor(1) as thread:
            event = thread.submit(during, self, process) if during else None
            output, _ = process.communicate(timeout=SECONDS)
            if event:
                event.result()
        # As a shell says it: 137 after a kill -9.
        code = process.returncode
        return (code if code >= 0 else 128 - code), output

    def run_well(self, command: str) -> None:
        """Run a command that has to succeed."""
        code, output = self.run(command)
        assert code == 0, output

    def wait_for_queries(self, process: subprocess.Popen[str]) -> None:
        """Wait until the running command has sent some queries."""
        while sum(entry.operation == "query" for entry in self.company.requests()) < QUERIES:
            assert process.poll() is None, f"the command ended before it had sent {QUERIES} queries"
            time.sleep(0.02)


def administer(url: str, statement: str, *names: str) -> None:
    """Execute a statement as the server's administrator."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


def browser(realm: str) -> str:
    """A browser whose user connects this company at once."""
    code = (
        "import sys, urllib.request as r; "
        f"r.urlopen(sys.argv[1], data=b'realm={realm}&choice=connect')"
    )
    return f'{sys.executable} -c "{code}" %s &'
