"""The command, the data directory, and running in the background."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import requests
from quickbooks_simulator.cli import main
from quickbooks_simulator.company import CompanySpec
from quickbooks_simulator.datadir import DataDir
from quickbooks_simulator.edits import apply_edit
from quickbooks_simulator.rules import Edit
from quickbooks_simulator.server import bind
from quickbooks_simulator.settings import Settings
from quickbooks_simulator.simulator import Simulator

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SPEC = CompanySpec(realm_id="42", rows=300, country="ALL")
COMPANY = ["--company", "42:300:1:ALL"]


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Path]:
    """Return a data directory; what runs on it in the background ends with the test."""
    path = tmp_path / "data"
    yield path
    main(["stop", "--data", str(path)])


def everything(simulator: Simulator) -> dict[str, list[bytes]]:
    tables = simulator.companies["42"].tables
    return {key: table.texts(table.in_order("oldest")) for key, table in tables.items()}


def test_a_restart_continues_with_the_same_data_and_tokens(tmp_path: Path) -> None:
    first_dir = DataDir(tmp_path)
    first = Simulator([SPEC], data=first_dir)
    company = first.companies["42"]
    for op in ("create", "update", "delete", "void", "touch"):
        apply_edit(company, Edit(op, "Invoice", random=3), first.clock, 0.0)
    apply_edit(company, Edit("deactivate", "Customer", random=2), first.clock, 0.0)
    apply_edit(company, Edit("update", "Item", id="8"), first.clock, 0.0)
    first.configure({"rotation": "always"})
    first.tokens.refresh("simulator-refresh-token", first.clock.now(), "always")
    first.advance(1000)
    first_dir.close()

    second_dir = DataDir(tmp_path)
    second = Simulator([SPEC], data=second_dir, settings=Settings())
    assert everything(second) == everything(first)
    assert second.tokens == first.tokens
    assert second.clock.offset == 1000
    tombstones = second.companies["42"].tables["Invoice"].tombstones
    assert tombstones == company.tables["Invoice"].tombstones
    assert second.companies["42"].next_id("Invoice") == company.next_id("Invoice")
    assert len(second.companies["42"].tables["Customer"].inactive) == len(
        company.tables["Customer"].inactive
    )
    second_dir.close()


def test_a_data_directory_belongs_to_its_companies(tmp_path: Path) -> None:
    directory = DataDir(tmp_path)
    Simulator([SPEC], data=directory)
    directory.close()
    with pytest.raises(ValueError, match="was made with other companies"):
        Simulator([CompanySpec(realm_id="43")], data=DataDir(tmp_path))


def test_a_line_cut_by_a_crash_is_skipped(tmp_path: Path) -> None:
    directory = DataDir(tmp_path)
    simulator = Simulator([SPEC], data=directory)
    edit = Edit("update", "Invoice", random=1)
    apply_edit(simulator.companies["42"], edit, simulator.clock, 0.0)
    directory.close()
    with (tmp_path / "journal.ndjson").open("ab") as journal:
        journal.write(b'{"realm":"42","ent')
    for _ in range(2):
        again_dir = DataDir(tmp_path)
        again = Simulator([SPEC], data=again_dir)
        assert everything(again) == everything(simulator)
        apply_edit(again.companies["42"], edit, again.clock, 0.0)
        simulator = again
        again_dir.close()


def test_starting_twice_gives_one_server(data: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["start", "--data", str(data), *COMPANY]) == 0
    url = capfd.readouterr().out.strip()
    assert main(["start", "--data", str(data), *COMPANY]) == 0
    assert capfd.readouterr().out.strip() == url
    assert main(["status", "--data", str(data)]) == 0
    assert capfd.readouterr().out.strip() == url
    assert requests.get(f"{url}/_simulator/health", timeout=10).json()["realm_ids"] == ["42"]
    connection = data / "connection.json"
    assert stat.S_IMODE(connection.stat().st_mode) == 0o600
    assert json.loads(connection.read_text())["url"] == url
    assert main(["stop", "--data", str(data)]) == 0
    assert main(["status", "--data", str(data)]) == 3
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{url}/_simulator/health", timeout=10)


def test_a_crash_leaves_nothing_in_the_way(data: Path, capfd: pytest.CaptureFixture[str]) -> None:
    main(["start", "--data", str(data), *COMPANY])
    os.kill(pid := int((data / "lock").read_text()), signal.SIGKILL)
    capfd.readouterr()
    while main(["status", "--data", str(data)]) == 0:
        pass
    assert main(["start", "--data", str(data), *COMPANY]) == 0
    assert int((data / "lock").read_text()) != pid


def test_a_server_that_cannot_start_says_why(data: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["start", "--data", str(data), "--company", "x"]) == 1
    assert "'x': a realm id is made of digits." in capfd.readouterr().err


def test_a_port_in_use_is_one_clear_line(capfd: pytest.CaptureFixture[str]) -> None:
    with bind("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        assert main(["serve", "--port", str(port)]) == 1
    err = capfd.readouterr().err
    assert err == (
        f"quickbooks-simulator: Cannot listen on 127.0.0.1:{port}: Address already in use.\n"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--company", "1:many"], "is not realm[:rows[:seed[:country]]]"),
        (["--count", "1:Invoice=5"], "--count 1:Invoice=5"),
        (["--set", "speed=9"], "unknown field `speed`"),
        (["--rules", "/nowhere.json"], "No such file or directory"),
    ],
)
def test_wrong_options_are_one_clear_line(
    capfd: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert main(["serve", *arguments]) == 1
    err = capfd.readouterr().err
    assert message in err
    assert err.count("\n") == 1


def test_serving_ends_on_a_signal_and_tells_how_to_connect(tmp_path: Path) -> None:
    rules: list[dict[str, Any]] = [{"match": {"operation": "token"}, "do": {"status": 503}}]
    (tmp_path / "rules.json").write_text(json.dumps(rules))
    command = [sys.executable, "-m", "quickbooks_simulator", "serve", *COMPANY]
    command += ["--rules", str(tmp_path / "rules.json"), "--url-file", str(tmp_path / "url.json")]
    command += ["--limits", "--count", "42:Invoice=7"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        url = process.stdout.readline().decode().strip()
        connection = json.loads((tmp_path / "url.json").read_text())
        assert connection == {
            "url": url,
            "token_url": f"{url}/oauth2/v1/tokens/bearer",
            "client_id": "simulator-client",
            "client_secret": "simulator-secret",
            "refresh_token": "simulator-refresh-token",
            "realm_ids": ["42"],
        }
        assert requests.post(connection["token_url"], timeout=10).status_code == 503
        counts = requests.get(f"{url}/_simulator/companies/42/counts", timeout=10).json()
        assert counts["Invoice"] == 7
        switches = requests.get(f"{url}/_simulator/settings", timeout=10).json()
        assert switches["requests_per_minute"] == 500
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=5) == 0
        assert process.stderr is not None
        assert process.stderr.read() == b""
