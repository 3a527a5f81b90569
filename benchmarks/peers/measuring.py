"""One run of a connector, and what it loses when a row moves between two of its pages."""

from __future__ import annotations

import itertools
import json
import os
import resource
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from connectors import REALM, START, Connector, Output, State
from quickbooks_simulator.server import CompanySpec, RunningSimulator, running_simulator

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from quickbooks_simulator.requestlog import Entry

# Besides the invoices a company has about so many objects.
OTHER_ROWS = 110
# Between a run and the next; longer than our tap stays behind the server's clock.
PAUSE_SECONDS = 60


class Run(NamedTuple):
    """One run of a connector's command.

    Attributes:
        seconds: From the start of the process to its end.
        cpu_seconds: Processor time of the process.
        calls: The requests that the simulator saw, without those for tokens.
        output: What it wrote.
    """

    seconds: float
    cpu_seconds: float
    calls: list[Entry]
    output: Output


class Page(NamedTuple):
    """The page after which a row is edited: the first of the oldest invoices, and a full one.

    Attributes:
        row: Id of its first row.
        operation: The kind of its request.
        nth: Its number among the requests of the kind that name the start date.
    """

    row: str
    operation: str
    nth: int


class Loss(NamedTuple):
    """Rows that the company has and no run has brought.

    Attributes:
        first: After the run in which a row was edited.
        later: After one more run that started from the state of the first.
    """

    first: int
    later: int


@contextmanager
def company(invoices: int) -> Iterator[RunningSimulator]:
    """Serve a company of so many invoices and little else until the end of the block."""
    # Airbyte's source stops with an error at a lone surrogate, so there are no awkward texts.
    spec = CompanySpec(realm_id=REALM, rows=OTHER_ROWS, counts={"Invoice": invoices}, awkward=False)
    with running_simulator([spec]) as simulator:
        simulator._simulator.companies[REALM].warm()  # noqa: SLF001  The handle does not offer it.
        yield simulator


class Reader:
    """A connector that is ready to read a company.

    Args:
        connector: The connector.
        simulator: Serves the company.
        folder: Of its own, for its files.
    """

    def __init__(self, connector: Connector, simulator: RunningSimulator, folder: Path) -> None:
        self._connector, self._simulator, self._folder = connector, simulator, folder

    def prepare(self) -> None:
        """Write the settings and the catalog."""
        self._folder.mkdir(parents=True, exist_ok=True)
        config = self._connector.config(self._simulator, self._folder)
        self._write("config", config)
        discovered = self._start(self._connector.discovery(self._file("config")))
        self._write("catalog", self._connector.catalog(discovered.read_text()))

    def read(self, state: State = None) -> Run:
        """Read from a state, or all."""
        words = self._connector.reading(
            self._file("config"),
            self._file("catalog"),
            None if state is None else self._write("state", state),
        )
        self._simulator.clear_requests()
        started, cpu_before = time.monotonic(), _cpu_seconds()
        path = self._start(words)
        seconds, cpu_seconds = time.monotonic() - started, _cpu_seconds() - cpu_before
        calls = [entry for entry in self._simulator.requests() if entry.operation != "token"]
        output = self._connector.output(path)
        path.unlink()
        return Run(seconds, cpu_seconds, calls, output)

    def _start(self, words: Sequence[str]) -> Path:
        command = [*self._connector.command, *words]
        return run_command(command, folder=self._folder, url=self._simulator.url)

    def _file(self, name: str) -> Path:
        return self._folder / f"{name}.json"

    def _write(self, name: str, content: object) -> Path:
        path = self._file(name)
        path.write_text(json.dumps(content))
        return path


def run_command(command: Sequence[str], *, folder: Path, url: str) -> Path:
    """Run a connector and return the file with its output.

    Args:
        command: Its command line.
        folder: For its files.
        url: Where the simulator is.

    Raises:
        RuntimeError: It failed.
    """
    path = folder / "output"
    errors = folder / "errors"
    with path.open("wb") as stdout, errors.open("wb") as stderr:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            env={**os.environ, "SIMULATOR_URL": url},
            check=False,
        )
    if done.returncode:
        # Airbyte's sources tell of errors in the output.
        told = (errors.read_text() or path.read_text())[-2000:]
        raise RuntimeError(f"{' '.join(command[:3])} ended with {done.returncode}:\n{told}")
    return path


def first_page(run: Run) -> Page:
    """Find the page in an undisturbed run.

    Raises:
        RuntimeError: No page comes after it.
    """
    full = max(entry.rows for entry in run.calls)
    operation = next(entry.operation for entry in run.calls if entry.rows == full)
    nth = 0
    for entry, successor in itertools.pairwise(run.calls):
        if entry.operation == operation and START in entry.statement:
            nth += 1
            if entry.rows == full and successor.rows:
                return Page(run.output.ids[0], operation, nth)
    raise RuntimeError("page 1 is not a full one; give the company more rows")


def loss(connector: Connector, page: Page, op: str, *, invoices: int, folder: Path) -> Loss:
    """Count the rows lost when the first row of a page is edited right after its answer.

    Args:
        connector: The connector.
        page: The page.
        op: The edit: `touch` or `delete`.
        invoices: Number of invoices in the company.
        folder: For the connector's files.

    Raises:
        RuntimeError: The row was not edited.
    """
    match = {"operation": page.operation, "contains": START, "nth": page.nth}
    edit = {"op": op, "entity": "Invoice", "id": page.row}
    with company(invoices) as simulator:
        reader = Reader(connector, simulator, folder)
        reader.prepare()
        before = simulator.rows(REALM, "Invoice")
        simulator.add_rules([{"match": match, "after": [edit]}])
        first = reader.read()
        after = simulator.rows(REALM, "Invoice")
        if len(set(before) - set(after)) != 1:
            raise RuntimeError(f"{connector.name}: the row was not edited")
        missing = {json.loads(row)["Id"] for row in after} - set(first.output.ids)
        simulator.advance(PAUSE_SECONDS)
        later = reader.read(first.output.state)
        return Loss(len(missing), len(missing - set(later.output.ids)))


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
