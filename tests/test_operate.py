"""What runs the pipeline unattended: its commands, its units, and how it ends."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from meltano.core.schedule import is_valid_cron

if TYPE_CHECKING:
    from collections.abc import Callable

PROJECT = Path(__file__).resolve().parent.parent
ORCHESTRATE = PROJECT / "orchestrate"
UNITS = ORCHESTRATE / "systemd"
SCHEDULES = [
    one["name"] for one in yaml.safe_load((PROJECT / "meltano.yml").read_text())["schedules"]
]
NOW = datetime(2026, 11, 28, 9, 0, tzinfo=UTC)
REALM = "4620816365000001"


@pytest.fixture(autouse=True)
def _scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The scripts find each other as when they are run."""
    monkeypatch.syspath_prepend(str(ORCHESTRATE))


@pytest.fixture
def commands() -> Any:
    import commands  # noqa: PLC0415  It is found only now.

    return commands


@pytest.fixture
def programs(tmp_path: Path) -> Callable[[str, str], Path]:
    """Writes a Python program by the name that it has among the processes."""

    def write(name: str, code: str) -> Path:
        path = tmp_path / name
        path.write_text(f"#!{sys.executable}\nimport os, signal, subprocess, sys, time\n{code}")
        path.chmod(0o755)
        return path

    return write


@pytest.fixture
def runner(commands: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    monkeypatch.setattr(commands, "BIN", tmp_path)
    monkeypatch.setattr(commands, "PROJECT", tmp_path)
    return commands.Runner(dict(os.environ))


class Running:
    """A command that runs in a thread, and what it has written."""

    def __init__(self, runner: Any, stopped: type[Exception]) -> None:
        self.lines: list[bytes] = []
        self.ready = threading.Event()
        self.outcome: object = None
        self._thread = threading.Thread(target=self._run, args=(runner, stopped))

    def begin(self) -> None:
        """Start it, and wait until it is ready."""
        self._thread.start()
        assert self.ready.wait(20)

    def pass_on(self, lines: Any) -> None:
        for line in lines:
            self.lines.append(line)
            if b"ready" in line:
                self.ready.set()

    def _run(self, runner: Any, stopped: type[Exception]) -> None:
        try:
            self.outcome = runner.run("meltano")
        except stopped:
            self.outcome = "stopped"
        self.ready.set()

    def end(self) -> str:
        """Wait for its end; return all that it has written."""
        self._thread.join(20)
        assert not self._thread.is_alive()
        return b"".join(self.lines).decode()


@pytest.fixture
def running(runner: Any, commands: Any, monkeypatch: pytest.MonkeyPatch) -> Running:
    """The program `meltano`, not yet begun."""
    process = Running(runner, commands.Stopped)
    monkeypatch.setattr(commands, "pass_on", process.pass_on)
    return process


@pytest.mark.parametrize(
    ("code", "exit_code"),
    [("sys.exit(0)", 0), ("sys.exit(3)", 3), ("os.kill(os.getpid(), signal.SIGKILL)", 137)],
    ids=["all-done", "failed", "killed"],
)
def test_a_commands_exit_code_is_returned(
    runner: Any, programs: Any, code: str, exit_code: int
) -> None:
    programs("meltano", code)

    assert runner.run("meltano") == exit_code


TAP = """
signal.signal(signal.SIGTERM, lambda *_: (print("tap saved", flush=True), os._exit(143)))
print("ready", flush=True)
time.sleep(60)
"""
LOADER = """
for line in sys.stdin: pass
time.sleep(0.5)
print("loader saved", flush=True)
"""
# Like Meltano: asked to end itself, it would lose what the loader says last.
MELTANO = """
here = os.path.dirname(__file__)
signal.signal(signal.SIGTERM, lambda *_: (print("meltano lost it", flush=True), os._exit(143)))
loader = subprocess.Popen([here + "/target-postgres-raw"], stdin=subprocess.PIPE)
tap = subprocess.Popen([here + "/tap-quickbooks-raw"])
tap.wait()
loader.stdin.close()
loader.wait()
print("meltano saved", flush=True)
sys.exit(1)
"""


def test_asked_to_end_the_tap_ends_and_the_rest_follows(
    runner: Any, commands: Any, programs: Any, running: Running
) -> None:
    for name, code in (
        ("tap-quickbooks-raw", TAP),
        ("target-postgres-raw", LOADER),
        ("meltano", MELTANO),
    ):
        programs(name, code)
    running.begin()

    runner.stop()

    assert running.end().split("\n") == ["ready", "tap saved", "loader saved", "meltano saved", ""]
    assert running.outcome == "stopped"
    with pytest.raises(commands.Stopped):
        runner.run("meltano")


def test_without_a_tap_all_that_was_started_is_asked_to_end(
    runner: Any, programs: Any, running: Running
) -> None:
    programs("inner", "print('ready', flush=True); time.sleep(60)")
    # It does not pass the signal on, like `meltano schedule run`.
    programs("meltano", "subprocess.run([os.path.dirname(__file__) + '/inner'])")
    running.begin()

    runner.stop()

    running.end()
    assert running.outcome == "stopped"


def test_the_end_is_that_of_the_last_process_that_writes(
    runner: Any, programs: Any, capfd: Any
) -> None:
    """`meltano schedule run` dies of a signal before the run that it has started."""
    programs("inner", "time.sleep(0.5); print('last word', flush=True)")
    programs("meltano", "subprocess.Popen([os.path.dirname(__file__) + '/inner'])")

    assert runner.run("meltano") == 0
    assert capfd.readouterr().out == "last word\n"


def test_a_reader_who_has_gone_stops_nobody(programs: Any, tmp_path: Path) -> None:
    mark = tmp_path / "done"
    programs("meltano", f"print('x' * 100000, flush=True); open({str(mark)!r}, 'w')")
    code = (
        "import commands, os; commands.BIN = commands.PROJECT\n"
        "commands.Runner(os.environ).run('meltano')"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(ORCHESTRATE), "MELTANO_PROJECT_ROOT": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        process.wait(20)

    assert mark.exists()


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="processes are seen in /proc")
@pytest.mark.parametrize("depth", [1, 2], ids=["run", "schedule-run"])
def test_when_the_meltano_around_it_is_gone_it_ends(
    programs: Any, tmp_path: Path, depth: int
) -> None:
    """Meltano dies of a signal without passing it on to a utility's command."""
    mark = tmp_path / "ended"
    programs(
        "tap-quickbooks-raw",
        f"signal.signal(signal.SIGTERM, lambda *_: (open({str(mark)!r}, 'w'), os._exit(143)))\n"
        "print('ready', flush=True); time.sleep(60)",
    )
    programs(
        "operate.py",
        "import commands; commands.BIN = commands.PROJECT\n"
        "runner = commands.Runner(os.environ); runner.stop_on_signals()\n"
        "try: runner.run('tap-quickbooks-raw')\nexcept commands.Stopped: print('stopped')",
    )
    programs(
        "meltano", "subprocess.run([os.path.dirname(__file__) + '/' + sys.argv[1], *sys.argv[2:]])"
    )
    command = [str(tmp_path / "meltano"), *["meltano"] * (depth - 1), "operate.py"]
    with subprocess.Popen(
        command,
        env=os.environ
        | {
            "PYTHONPATH": str(ORCHESTRATE),
            "MELTANO_PROJECT_ROOT": str(tmp_path),
            "MELTANO_UTILITY_NAME": "quickbooks-operate",
        },
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGKILL)

        assert process.stdout.read() == "stopped\n"
        assert mark.exists()


STOPPABLE = """
import os, signal, sys
import commands
signal.signal(signal.Signals[sys.argv[1]], getattr(signal, sys.argv[2]))
commands.BIN = commands.PROJECT
runner = commands.Runner(os.environ)
runner.stop_on_signals()
try:
    runner.run("meltano")
except commands.Stopped:
    sys.exit(commands.STOPPED)
"""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP"])
@pytest.mark.parametrize("is_ignored", [False, True], ids=["heard", "ignored"])
def test_what_asks_it_to_end_is_heard_unless_it_was_ignored(
    programs: Any, tmp_path: Path, name: str, *, is_ignored: bool
) -> None:
    """The end of the terminal, too, but not under `nohup`."""
    programs("meltano", f"print('ready', flush=True); time.sleep({1 if is_ignored else 60})")
    with subprocess.Popen(
        [sys.executable, "-c", STOPPABLE, name, "SIG_IGN" if is_ignored else "SIG_DFL"],
        env=os.environ | {"PYTHONPATH": str(ORCHESTRATE), "MELTANO_PROJECT_ROOT": str(tmp_path)},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"

        process.send_signal(signal.Signals[name])

        assert process.wait(20) == (0 if is_ignored else 143)


def record(**fields: object) -> str:
    known: dict[str, object] = {
        "command": "sync",
        "realm_id": REALM,
        "outcome": "complete",
        "started_at": (NOW + timedelta(seconds=5)).isoformat().replace("+00:00", "Z"),
        "selected": None,
    }
    return json.dumps(known | fields)


@pytest.mark.parametrize(
    ("lines", "outcome"),
    [
        ([], None),
        ([record()], "complete"),
        ([record(outcome="limit")], "limit"),
        ([record(), record(outcome="limit")], "limit"),
        ([record(realm_id="1")], None),
        ([record(command="verify")], None),
        ([record(started_at="2026-11-28T08:59:59Z")], None),
        ([record(selected=["qb_items"])], "selection"),
        ([record(outcome="limit"), record(outcome="failed")], "limit"),
        ([record(outcome="failed")], None),
        (
            ["", "no JSON", "[]", "1", "{}", record(started_at=5), record(), record()[:40]],
            "complete",
        ),
    ],
    ids=[
        "empty",
        "complete",
        "limit",
        "the-last-one",
        "another-company",
        "another-command",
        "before",
        "some-streams",
        "another-one-refused-meanwhile",
        "failed",
        "cut-and-foreign-lines",
    ],
)
def test_a_backfill_is_complete_if_the_tap_says_so(
    tmp_path: Path, lines: list[str], outcome: str | None
) -> None:
    import backfill  # noqa: PLC0415  It is found only now.

    path = tmp_path / "runs.jsonl"
    path.write_text("\n".join(lines))

    assert backfill.outcome_since(path, REALM, NOW) == outcome


def test_without_a_runs_file_nothing_is_known(tmp_path: Path) -> None:
    import backfill  # noqa: PLC0415  It is found only now.

    assert backfill.outcome_since(tmp_path / "none", REALM, NOW) is None
    assert backfill.say_what_is_left(0, None) == 1


@pytest.mark.parametrize(
    ("given", "suffix"),
    [
        ({}, "backfill-20261128T090000Z"),
        ({"MELTANO_RUN_STATE_ID_SUFFIX": "12"}, "12-backfill-20261128T090000Z"),
    ],
    ids=["one-company", "several-companies"],
)
def test_each_backfill_has_a_state_of_its_own(given: dict[str, str], suffix: str) -> None:
    import backfill  # noqa: PLC0415  It is found only now.

    in_kolkata = NOW.astimezone(timezone(timedelta(hours=5, minutes=30)))

    assert backfill.suffix_of(given, in_kolkata) == suffix


@pytest.mark.parametrize("name", SCHEDULES)
def test_every_schedule_has_its_units(name: str) -> None:
    service = (UNITS / f"{name}@.service").read_text()

    assert f"orchestrate/operate.py schedule {name}\n" in service
    assert "KillMode=mixed\n" in service
    assert "SuccessExitStatus=143\n" in service
    assert int(re.findall(r"^TimeoutStopSec=(\d+)$", service, re.MULTILINE)[0]) >= 75
    assert "Persistent=true\n" in (UNITS / f"{name}@.timer").read_text()
    assert f"$RUN {name} 2>&1 | logger -t {name}\n" in cron_file()


@pytest.fixture
def verified(tmp_path: Path) -> Callable[[str, str], str]:
    """What `systemd-analyze verify` says of a unit, with this checkout and this user in it."""
    tool = shutil.which("systemd-analyze")
    if tool is None:
        pytest.skip("systemd-analyze is not installed")

    def verify(name: str, addition: str) -> str:
        for path in UNITS.iterdir():
            text = path.read_text().replace("/opt/tap-quickbooks-raw", str(PROJECT))
            text = text.replace("=quickbooks\n", "=root\n") + addition
            (tmp_path / path.name.replace("@", f"@{REALM}")).write_text(text)
        return subprocess.run(
            [tool, "verify", str(tmp_path / name.replace("@", f"@{REALM}"))],
            capture_output=True,
            text=True,
            check=False,
        ).stderr

    return verify


@pytest.mark.parametrize("name", sorted(path.name for path in UNITS.iterdir()))
def test_systemd_takes_the_units(verified: Callable[[str, str], str], name: str) -> None:
    assert verified(name, "") == ""


def test_systemd_would_complain(verified: Callable[[str, str], str]) -> None:
    assert "Unknown key" in verified("quickbooks-hourly@.service", "\n[Service]\nNoSuchKey=1\n")


def cron_file() -> str:
    return (ORCHESTRATE / "cron" / "quickbooks.cron").read_text()


def test_cron_takes_the_lines() -> None:
    lines = [line for line in cron_file().splitlines() if line and not line.startswith("#")]
    variables = [line for line in lines if re.fullmatch(r"[A-Z]+=.*", line)]
    entries = [line.split(maxsplit=6) for line in lines if line not in variables]

    assert len(entries) == len(SCHEDULES)
    for entry in entries:
        assert is_valid_cron(" ".join(entry[:5]))
        assert entry[5] == "quickbooks"
        # Cron takes an unescaped percent sign for the end of the command.
        assert "%" not in entry[6]
    for command in (entry[6] for entry in entries):
        subprocess.run(["sh", "-n", "-c", command], check=True)


@pytest.mark.parametrize(
    "command", [["--help"], ["backfill-once", "--help"], ["schedule", "--help"]]
)
def test_help_teaches(command: list[str]) -> None:
    shown = subprocess.run(
        [sys.executable, "orchestrate/operate.py", *command],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    assert shown.startswith("usage: operate.py")


@pytest.mark.parametrize("realm", [None, "", "12a"])
def test_without_a_company_nothing_begins(tmp_path: Path, realm: str | None) -> None:
    (tmp_path / "meltano.yml").write_text("")
    kept = {name: text for name, text in os.environ.items() if not name.startswith(("QB_", "TAP_"))}
    given = {} if realm is None else {"QB_REALM_ID": realm}
    process = subprocess.run(
        [sys.executable, str(ORCHESTRATE / "operate.py"), "weekly"],
        cwd=tmp_path,
        env=kept | given | {"MELTANO_PROJECT_ROOT": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert process.returncode == 1
    assert process.stderr == "\nrealm_id: is missing; set QB_REALM_ID in .env\n"
