"""A company is read by one run at a time, whatever started it."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import select
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tap_quickbooks_raw import exclusive
from tap_quickbooks_raw.exceptions import CompanyError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable

ORCHESTRATE = Path(__file__).resolve().parent.parent / "orchestrate"
REALM = "4620816365000001"
HOLDER = """
import sys, time
from tap_quickbooks_raw import exclusive
with exclusive.hold(sys.argv[1], sys.argv[2], what="a test"):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def extractor(tmp_path: Path) -> dict[str, str]:
    """What Meltano tells an extractor."""
    return {"MELTANO_PROJECT_ROOT": str(tmp_path), "MELTANO_EXTRACTOR_NAME": "tap-quickbooks-raw"}


def test_a_second_run_is_refused_and_told_who_reads(
    tmp_path: Path, extractor: dict[str, str]
) -> None:
    with exclusive.hold(str(tmp_path), REALM, what="quickbooks-operate:weekly"):
        with pytest.raises(CompanyError) as caught, exclusive.load(REALM, extractor):
            pytest.fail("both read")

        assert "\n" not in str(caught.value)
        assert (
            f"Another run of company (realm) {REALM} is in progress (quickbooks-operate:weekly, "
            f"process {os.getpid()}, since 20"
        ) in str(caught.value)


def test_a_run_that_is_refused_is_no_run(tmp_path: Path, extractor: dict[str, str]) -> None:
    """It leaves no record, and no alarm in the metrics of the one that reads."""
    config = tmp_path / "config.json"
    files = {"runs_file": tmp_path / "runs.jsonl", "metrics_file": tmp_path / "metrics.prom"}
    settings = {"client_id": "i", "client_secret": "s", "realm_id": REALM, "refresh_token": "r"}
    config.write_text(json.dumps(settings | {name: str(path) for name, path in files.items()}))
    with exclusive.hold(str(tmp_path), REALM, what="a load"):
        done = subprocess.run(
            [Path(sys.executable).with_name("tap-quickbooks-raw"), "--config", config],
            env=os.environ | extractor,
            capture_output=True,
            text=True,
            check=False,
        )

    assert done.returncode == 1
    assert f"Another run of company (realm) {REALM} is in progress (a load" in done.stderr
    assert not any(path.exists() for path in files.values())


def test_runs_one_after_another_are_let_in(extractor: dict[str, str]) -> None:
    for _ in range(2):
        with exclusive.load(REALM, extractor):
            pass


def test_companies_and_projects_do_not_wait_for_each_other(tmp_path: Path) -> None:
    with ExitStack() as stack:
        for project in ("one", "two"):
            for realm in ("1", "2"):
                stack.enter_context(exclusive.hold(str(tmp_path / project), realm, what="a load"))


def test_what_the_holder_has_started_is_let_in(tmp_path: Path, extractor: dict[str, str]) -> None:
    with exclusive.hold(str(tmp_path), REALM, what="weekly") as lock:
        held = str(lock.path)
        with exclusive.load(REALM, extractor | {exclusive.HELD: held}):
            pass
        other = str(exclusive.lock_of(str(tmp_path), "1"))
        with (
            pytest.raises(CompanyError),
            exclusive.load(REALM, extractor | {exclusive.HELD: other}),
        ):
            pytest.fail("the lock of another company was taken for this one's")


@pytest.mark.parametrize("missing", ["MELTANO_PROJECT_ROOT", "MELTANO_EXTRACTOR_NAME"])
def test_outside_of_meltano_nothing_is_held(
    tmp_path: Path, extractor: dict[str, str], missing: str
) -> None:
    del extractor[missing]
    with exclusive.hold(str(tmp_path), REALM, what="x"), exclusive.load(REALM, extractor):
        pass


def test_a_killed_run_holds_nothing(tmp_path: Path, extractor: dict[str, str]) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path), REALM], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with (
            pytest.raises(CompanyError, match=f"process {holder.pid}"),
            exclusive.load(REALM, extractor),
        ):
            pytest.fail("both read")
        holder.send_signal(signal.SIGKILL)

    with exclusive.load(REALM, extractor):
        pass


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / ".meltano").write_text("")

    with pytest.raises(SettingsError) as caught, exclusive.hold(str(tmp_path), REALM, what="x"):
        pytest.fail("held nothing")

    assert f"the lock {exclusive.lock_of(str(tmp_path), REALM)} cannot be used" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_link_to_the_project_leads_to_the_same_lock(
    tmp_path: Path, extractor: dict[str, str]
) -> None:
    """Meltano tells its plugins the folder behind the link."""
    link = tmp_path / "link"
    link.symlink_to(tmp_path)

    with (
        exclusive.hold(str(link), REALM, what="weekly") as lock,
        exclusive.load(REALM, extractor | {exclusive.HELD: str(lock.path)}),
    ):
        pass


def failing(number: int) -> Callable[..., None]:
    """A call of the system that fails."""

    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    return fail


def test_a_file_system_without_locks_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fcntl, "flock", failing(errno.ENOLCK))

    with (
        pytest.raises(SettingsError, match=r"cannot be used \(No locks available\)"),
        exclusive.hold(str(tmp_path), REALM, what="x"),
    ):
        pytest.fail("held nothing")


def test_a_full_disk_is_no_reason_not_to_hold(
    tmp_path: Path, extractor: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "pwrite", failing(errno.ENOSPC))

    with (
        exclusive.hold(str(tmp_path), REALM, what="x"),
        pytest.raises(CompanyError, match="just begun"),
        exclusive.load(REALM, extractor),
    ):
        pytest.fail("both read")


OPERATE = """
import os, sys
import commands
from tap_quickbooks_raw import exclusive
commands.BIN = commands.PROJECT
runner = commands.Runner(os.environ)
with exclusive.hold(sys.argv[1], sys.argv[2], what="weekly") as lock:
    runner.handles = (lock.handle,)
    runner.run("meltano")
"""


def test_what_a_killed_holder_has_started_goes_on_holding(
    tmp_path: Path, extractor: dict[str, str]
) -> None:
    """Its load still reads the company."""
    load = tmp_path / "meltano"
    load.write_text("#!/bin/sh\necho $$\nexec sleep 60\n")
    load.chmod(0o755)
    with subprocess.Popen(
        [sys.executable, "-c", OPERATE, str(tmp_path), REALM],
        env=os.environ | {"PYTHONPATH": str(ORCHESTRATE), "MELTANO_PROJECT_ROOT": str(tmp_path)},
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        started = int(holder.stdout.readline())
        holder.send_signal(signal.SIGKILL)
    try:
        with pytest.raises(CompanyError), exclusive.load(REALM, extractor):
            pytest.fail("both read")
    finally:
        handle = os.pidfd_open(started)
        os.kill(started, signal.SIGKILL)
        select.select([handle], [], [], 20)
        os.close(handle)

    with exclusive.load(REALM, extractor):
        pass
