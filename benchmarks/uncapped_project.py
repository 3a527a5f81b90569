"""A project of Meltano's with the tap without ceilings and any loader, for `meltano run`."""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING

import yaml
from processes import PROJECT
from tap_process import UNCAPPED_TAP

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from loaders import Loader

TAP = "tap-quickbooks-raw"


def make_project(folder: Path, loaders: Sequence[Loader], stream: str) -> Path:
    """Make it and return its folder; its loaders are named `loader-0` and so on.

    Args:
        folder: A temporary folder.
        loaders: What it may load with; each has its settings already.
        stream: What the tap reads.
    """
    project = folder / "project"
    project.mkdir()
    ours = yaml.safe_load((PROJECT / "meltano.yml").read_text())
    tap = next(each for each in ours["plugins"]["extractors"] if each["name"] == TAP)
    del tap["pip_url"]
    command = _script(project / "tap", [sys.executable, str(UNCAPPED_TAP)], '"$@"')
    extractor = {**tap, "executable": command, "select": [f"{stream}.*"]}
    content = {
        **{name: value for name, value in ours.items() if name not in {"jobs", "schedules"}},
        "plugins": {
            "extractors": [extractor],
            "loaders": [
                {
                    "name": name,
                    "namespace": name.replace("-", "_"),
                    # Meltano would give it a file with no settings.
                    "executable": _script(project / name, loader.command, ""),
                }
                for name, loader in ((f"loader-{n}", each) for n, each in enumerate(loaders))
            ],
        },
    }
    (project / "meltano.yml").write_text(yaml.safe_dump(content))
    return project


def _script(path: Path, command: Sequence[str], arguments: str) -> str:
    path.write_text(f"#!/bin/sh\nexec {shlex.join(command)} {arguments}\n")
    path.chmod(0o755)
    return str(path)
