"""The connection is looked after through Meltano, which hands the settings over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.conftest import REALM, make_project

if TYPE_CHECKING:
    from pathlib import Path

    from quickbooks_simulator.server import RunningSimulator


def test_meltano_invokes_the_commands(tmp_path: Path, company: RunningSimulator) -> None:
    project = make_project(tmp_path, {}, company)

    code, output = project.meltano("invoke", "tap-quickbooks-raw:status")
    assert code == 1
    assert "sign in: `tap-quickbooks-raw-auth login`" in output

    code, output = project.meltano("invoke", "tap-quickbooks-raw:doctor")
    assert code == 0, output
    assert "ok    company      Simulated Company 1" in output
    assert "39 of 39 can be read" in output

    code, output = project.meltano("invoke", "tap-quickbooks-raw:status")
    assert code == 0, output
    assert f"{REALM}  production" in output

    code, output = project.meltano("invoke", "tap-quickbooks-raw:logout")
    assert code == 0, output
    assert "revoked at Intuit" in output
