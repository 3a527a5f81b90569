"""A virtual environment for each peer, made once and kept with the project's tools."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

HERE = Path(__file__).parent
TOOLS = HERE.parents[1] / ".tools"
# airbyte-source-quickbooks 4.0.4 takes 3.10 and 3.11.
PYTHON = "3.11"


def environment(package: str) -> Path:
    """Return the folder of commands of an environment with a package and its pinned dependencies.

    Raises:
        RuntimeError: It cannot be made.
    """
    pins = HERE / f"{package}.txt"
    folder = TOOLS / "peers" / package
    installed = folder / "installed.txt"
    if not installed.exists() or installed.read_text() != pins.read_text():
        _uv("venv", "--clear", "--python", PYTHON, str(folder))
        python = folder / "bin" / "python"
        _uv("pip", "install", "--python", str(python), "--no-deps", "--requirements", str(pins))
        installed.write_text(pins.read_text())
    return folder / "bin"


def _uv(*words: str) -> None:
    uv = TOOLS / "bin" / "uv"
    if not uv.exists():
        raise RuntimeError("uv is not installed; run `make install` first")
    done = subprocess.run(
        [str(uv), *words],
        env={**os.environ, "UV_PYTHON_DOWNLOADS": "never"},
        capture_output=True,
        check=False,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(f"uv {' '.join(words)} failed:\n{done.stderr[-2000:]}")
