"""What Meltano's runs did: one line of JSON in its log, and one in the project's runs file."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from quickbooks_simulator.server import CompanySpec, running_simulator

from pipeline.conftest import make_project

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.conftest import Project

REALM = "9341453000000001"


def told(output: str) -> list[dict[str, Any]]:
    """The lines of JSON in a log of Meltano, as it shows it to people."""
    return [
        json.loads(line)
        for line in re.findall(r"tap-quickbooks-raw\S* (\{.*\})$", output, re.MULTILINE)
    ]


def written(project: Project) -> list[dict[str, Any]]:
    """The lines of the runs file."""
    lines = (project.folder / "evidence" / "runs.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_every_command_leaves_a_line(tmp_path: Path, database: dict[str, str]) -> None:
    spec = CompanySpec(realm_id=REALM, rows=200, country="ALL")
    with running_simulator([spec]) as simulator:
        project = make_project(tmp_path, database, simulator, REALM)

        [load] = told(project.load())
        calls = sum(entry.operation != "token" for entry in simulator.requests())
        assert (load["command"], load["outcome"], load["calls"]) == ("sync", "complete", calls)
        assert load["streams"]["qb_invoices"] == project.count("qb_invoices")

        code, output = project.meltano("--log-format", "json", "run", "qb_items_backfill")
        assert code == 0, output
        events = [json.loads(line)["event"] for line in output.splitlines() if line[:1] == "{"]
        [items] = [json.loads(event) for event in events if event.startswith("{")]
        assert (items["outcome"], items["selected"]) == ("complete", ["qb_items"])

        for command in ("quickbooks-verify:sweep", "tap-quickbooks-raw --plan"):
            code, output = project.meltano("invoke", *command.split())
            assert code == 0, output
            assert told(output) == []

    *runs, sweep, plan = written(project)
    assert runs == [load, items]
    assert (sweep["command"], sweep["outcome"]) == ("sweep", "complete")
    assert (plan["command"], plan["calls"]) == ("plan", 2)
