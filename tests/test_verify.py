"""The command: what it prints, what it leaves behind, how it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import psycopg
import pytest
from tap_quickbooks_raw.entities import BY_STREAM
from tap_quickbooks_raw.exceptions import EntityError, SettingsError, UnavailableError
from tap_quickbooks_raw.verification import options as command_line
from tap_quickbooks_raw.verification.finding import Counted, Finding, Reason
from tap_quickbooks_raw.verification.raw_rows import Tally
from tap_quickbooks_raw.verification.reporting import table
from tap_quickbooks_raw.verify import _judged, settings_from

from tests.conftest import REALM, SECRET

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from local_postgres.server import Connection
    from quickbooks_simulator.server import RunningSimulator

    Own = Callable[..., RunningSimulator]

INVOICES = BY_STREAM["qb_invoices"]
KEYS = {"QB_CLIENT_ID": "app", "QB_CLIENT_SECRET": "s3cr3t", "QB_REALM_ID": "1"}
NOW = datetime(2026, 11, 1, tzinfo=UTC)
MAIN = "from tap_quickbooks_raw.verify import main; main()"
GONE, FAILED = UnavailableError("no such thing"), EntityError("QBO said 500\nintuit_tid 1-2")


# ---- The table


def judged(source: int | EntityError, raw: int) -> Finding:
    counted = Counted(NOW, source) if isinstance(source, int) else Counted(NOW, error=source)
    finding = Finding(INVOICES, counted, Tally(NOW, raw), is_judged=True)
    finding.judge()
    return finding


@pytest.mark.parametrize(
    ("source", "raw", "text", "agrees"),
    [
        (0, 0, "ok", True),
        (5, 5, "ok", True),
        (5, 3, "2 missing", False),
        (3, 5, "2 too many", False),
        (GONE, 0, "unavailable", True),
        (GONE, 2, "2 too many", False),
        (FAILED, 0, "cannot be counted: QBO said 500 intuit_tid 1-2", False),
        (FAILED, 2, "cannot be counted: QBO said 500 intuit_tid 1-2", False),
    ],
)
def test_the_verdict_of_an_entity(
    source: int | EntityError, raw: int, *, text: str, agrees: bool
) -> None:
    finding = judged(source, raw)

    assert (finding.verdict, finding.agrees) == (text, agrees)
    result = finding.result()
    assert (result.verdict, result.agrees) == (text, agrees)


def test_the_table_has_a_line_for_every_entity_and_the_total() -> None:
    _, good, bad, total = table([judged(1200, 1200), judged(FAILED, 7)]).splitlines()

    assert good.split() == ["Invoice", "1,200", "1,200", "ok"]
    assert bad.split()[:6] == ["Invoice", "-", "7", "cannot", "be", "counted:"]
    assert total.split() == ["total", "1,200", "1,207", "1", "of", "2", "agree"]


def test_explanations_stand_below_their_entity() -> None:
    finding = judged(5, 5)
    finding.excused.append(Reason(2, "changed since", "2 changed in QBO after noon"))
    _, line, explanation, _ = table([finding]).splitlines()

    assert line.endswith("  ok: 2 changed since")
    assert explanation == "  2 changed in QBO after noon"


def test_a_long_reason_does_not_break_the_table() -> None:
    assert len(judged(EntityError("so it is " * 99), 0).verdict) < 130


def test_what_was_not_compared_does_not_agree() -> None:
    finding = Finding(INVOICES)
    finding.stop("max_api_calls: 3 calls are used")
    assert not finding.agrees
    assert finding.verdict == "not compared: max_api_calls: 3 calls are used"


def test_strictly_an_explained_difference_fails() -> None:
    finding = judged(5, 5)
    finding.excused.append(Reason(2, "changed since", "2 changed in QBO after noon"))
    [same] = _judged([finding], None, is_strict=False)
    assert same.agrees
    [strict] = _judged([finding], None, is_strict=True)
    assert (strict.agrees, strict.verdict) == (False, "2 changed since")
    assert strict.explanations == ("2 changed in QBO after noon",)


# ---- The command line


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--streams", "qb_invoces"], "qb_invoces is no stream; did you mean qb_invoices?"),
        (["--streams", ","], "names no stream"),
        (["--payloads", "-1"], "-1"),
        (["--payloads", "many"], "many is no whole number from 0 on"),
        (["--seed", "\udcff"], "has characters that cannot be printed"),
        (["--windows", "0"], "0 is no whole number from 1 on"),
        (["--windows", "week"], "week is no whole number"),
        (["--evidence", "x", "--no-evidence"], "not allowed with"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_option_is_named(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        command_line.parse(arguments, {})
    assert ended.value.code == 2
    assert words in capsys.readouterr().err


def test_the_help_says_what_it_costs(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command_line.parse(["--help"], {})
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert "What it costs, in calls" in text
    assert "more than 5% of" in text


def test_evidence_lies_in_the_project() -> None:
    assert str(command_line.parse([], {"MELTANO_PROJECT_ROOT": "/p"}).evidence) == "/p/evidence"
    assert str(command_line.parse([], {}).evidence) == "evidence"
    assert command_line.parse(["--no-evidence"], {}).evidence is None


# ---- The whole command


class Command(NamedTuple):
    """The command for a simulated company and an empty database."""

    folder: Path
    environment: dict[str, str]
    url: str

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", MAIN, *arguments],
            cwd=self.folder,
            env=self.environment | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, **environment: str) -> tuple[int, str, str]:
        process = self.start(*arguments, **environment)
        output, errors = process.communicate(timeout=120)
        assert "Traceback" not in errors
        return process.returncode, output, errors

    def records(self) -> list[dict[str, Any]]:
        """The lines of the runs file."""
        path = self.folder / "runs.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()]

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url, autocommit=True) as connection:
            return connection.execute(statement).fetchall()


@pytest.fixture
def command(postgres: Connection, tmp_path: Path) -> Iterator[Callable[..., Command]]:
    def build(simulator: RunningSimulator, **settings: str) -> Command:
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("QB_", "POSTGRES_", "TAP_", "TARGET_", "MELTANO_", "PG"))
        }
        named = {f"TAP_QUICKBOOKS_RAW_{name.upper()}": text for name, text in settings.items()}
        return Command(
            tmp_path,
            kept
            | {
                "QB_CLIENT_ID": simulator.client_id,
                "QB_CLIENT_SECRET": simulator.client_secret,
                "QB_REALM_ID": REALM,
                "QB_REFRESH_TOKEN": simulator.refresh_token,
                "TAP_QUICKBOOKS_RAW_API_URL": simulator.url,
                "TAP_QUICKBOOKS_RAW_TOKEN_URL": simulator.token_url,
                "TAP_QUICKBOOKS_RAW_RUNS_FILE": str(tmp_path / "runs.jsonl"),
                "TARGET_POSTGRES_DEFAULT_TARGET_SCHEMA": "commanded",
                "POSTGRES_HOST": postgres.host,
                "POSTGRES_PORT": str(postgres.port),
                "POSTGRES_USER": postgres.user,
                "POSTGRES_PASSWORD": postgres.password,
                "POSTGRES_DB": postgres.database,
            }
            | named,
            postgres.url,
        )

    yield build
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute("SET client_min_messages = warning")
        connection.execute("DROP SCHEMA IF EXISTS commanded CASCADE")


SMALL = ("--streams", "qb_invoices,qb_tax_classifications")


def test_evidence_is_left_whatever_the_outcome(
    own_simulator: Own, command: Callable[..., Command]
) -> None:
    verify = command(own_simulator(counts={"Invoice": 3}))
    code, output, errors = verify.run(*SMALL)

    assert code == 1
    assert "3 missing" in output
    assert "0 of 2 agree" in output
    assert "Not everything agrees" in errors
    last = output.splitlines()[-1]
    page = last.removeprefix("Evidence: ")
    assert page.endswith(f"-{REALM}.html")
    html = (verify.folder / page).read_text()
    document = json.loads((verify.folder / page).with_suffix(".json").read_text())
    assert document["options"] == list(SMALL)
    assert document["calls"] == 2
    assert [each["calls"] for each in document["calls_per_day"]] == [2]
    assert document["settings"]["realm_id"] == REALM
    for text in (html, json.dumps(document)):
        assert not SECRET.search(text)
    [rows] = verify.rows("SELECT count(*), bool_or(agrees) FROM commanded.qb_verifications")
    assert rows == (2, False)
    [record] = verify.records()
    assert (record["command"], record["outcome"], record["calls"]) == ("verify", "complete", 2)


def test_an_empty_company_agrees_and_leaves_nothing_if_told_so(
    own_simulator: Own, command: Callable[..., Command]
) -> None:
    verify = command(own_simulator(counts={"Invoice": 0}))
    code, output, errors = verify.run("--no-evidence", "--streams", "qb_invoices")

    assert (code, errors) == (0, "")
    assert output.splitlines()[-1].split()[-4:] == ["1", "of", "1", "agree"]
    assert not (verify.folder / "evidence").exists()
    assert verify.rows("SELECT to_regclass('commanded.qb_verifications')") == [(None,)]


def test_a_budget_ends_it_cleanly(own_simulator: Own, command: Callable[..., Command]) -> None:
    verify = command(own_simulator(counts={"Invoice": 3}), max_api_calls="1")
    code, output, errors = verify.run(*SMALL)

    assert code == 1
    assert "not compared: max_api_calls: 1 calls are used" in output
    assert "Stopped at a limit" in errors
    assert [record["outcome"] for record in verify.records()] == ["limit"]
    assert verify.rows("SELECT count(*) FROM commanded.qb_verifications") == [(2,)]


def test_sigterm_ends_it_while_it_waits(
    own_simulator: Own, command: Callable[..., Command]
) -> None:
    simulator = own_simulator(counts={"Invoice": 3})
    simulator.add_rules([{"match": {"operation": "batch"}, "do": {"hang": True}, "times": None}])
    verify = command(simulator)
    process = verify.start(*SMALL)
    while not any(entry.operation == "token" for entry in simulator.requests()):
        assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=60)

    assert process.returncode == 143
    assert "not compared: stopped by signal 15" in output
    assert [record["outcome"] for record in verify.records()] == ["interrupted"]


def test_sigterm_ends_it_while_the_database_waits(
    own_simulator: Own, command: Callable[..., Command]
) -> None:
    """A repair that waits for somebody else's lock is given up, and nothing of it stays."""
    verify = command(own_simulator(counts={"Invoice": 3}))
    columns = "realm_id text, id text, payload jsonb, PRIMARY KEY (realm_id, id)"
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    with psycopg.connect(verify.url, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA IF NOT EXISTS commanded")
        connection.execute(f"CREATE TABLE commanded.qb_invoices ({columns})")
        connection.execute("INSERT INTO commanded.qb_invoices VALUES ('1', '1', NULL)")
    with psycopg.connect(verify.url) as other:
        other.execute("LOCK TABLE commanded.qb_invoices IN EXCLUSIVE MODE")
        process = verify.start("--streams", "qb_invoices", "--repair")
        while verify.rows(waiting) == [(0,)]:
            assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
        assert (process.returncode, "Traceback" in errors) == (143, False)
        while verify.rows(waiting) != [(0,)]:
            pass
    assert verify.rows("SELECT realm_id FROM commanded.qb_invoices") == [("1",)]


def test_a_company_that_cannot_be_read_is_one_line(
    own_simulator: Own, command: Callable[..., Command]
) -> None:
    simulator = own_simulator(counts={"Invoice": 3})
    simulator.configure(suspended_realms=[REALM])
    code, output, errors = command(simulator).run(*SMALL)

    assert code == 1
    assert "0 of 2 agree" in output
    assert "6190" in errors.splitlines()[0]


def test_a_database_out_of_reach_is_one_line(
    simulator: RunningSimulator, command: Callable[..., Command]
) -> None:
    code, output, errors = command(simulator).run(POSTGRES_PORT="1")

    assert (code, output) == (1, "")
    assert errors.startswith("POSTGRES_HOST: the database at")
    assert len(errors.splitlines()) == 1
    assert simulator.requests() == []


def test_a_table_that_may_not_be_read_fails_alone(
    own_simulator: Own, command: Callable[..., Command]
) -> None:
    verify = command(own_simulator(counts={"Invoice": 3}))
    with psycopg.connect(verify.url, autocommit=True) as connection:
        connection.execute("SET client_min_messages = warning")
        connection.execute("DROP ROLE IF EXISTS reader")
        connection.execute("CREATE ROLE reader LOGIN PASSWORD 'reader'")
        connection.execute("CREATE SCHEMA IF NOT EXISTS commanded")
        connection.execute("GRANT USAGE ON SCHEMA commanded TO reader")
        for stream in ("qb_invoices", "qb_tax_classifications"):
            connection.execute(f"CREATE TABLE commanded.{stream} (realm_id text, id text)")
        connection.execute("GRANT SELECT ON commanded.qb_tax_classifications TO reader")
    role = {"POSTGRES_USER": "reader", "POSTGRES_PASSWORD": "reader"}
    code, output, errors = verify.run(*SMALL, **role)

    assert code == 1
    assert "raw cannot be read: permission denied for table qb_invoices" in output
    assert "4 missing" in output
    assert "may not write commanded.qb_verifications" in errors
    assert "--no-evidence leaves it out" in errors
    assert "Evidence: " in output
    code, _, errors = verify.run(*SMALL, "--no-evidence", **role)
    assert "may not write" not in errors
    with psycopg.connect(verify.url, autocommit=True) as connection:
        connection.execute("DROP OWNED BY reader")
        connection.execute("DROP ROLE reader")


# ---- Settings from the environment


def test_the_spanish_names_are_read_too() -> None:
    """Or another range would be compared than the one that was loaded."""
    names = {
        "TAP_QUICKBOOKS_RAW_FECHA_INICIO": "2024-01-01",
        "TAP_QUICKBOOKS_RAW_FECHA_FIN": "2024-02-01",
    }
    settings = settings_from(KEYS | names)

    assert settings.start.isoformat() == "2024-01-01T00:00:00+00:00"
    assert settings.end is not None
    assert settings.end.isoformat() == "2024-02-01T00:00:00+00:00"


def test_a_name_and_its_alias_must_not_differ() -> None:
    names = {
        "TAP_QUICKBOOKS_RAW_START_DATE": "2024-01-01",
        "TAP_QUICKBOOKS_RAW_FECHA_INICIO": "2024-01-02",
    }
    with pytest.raises(SettingsError, match=r"^fecha_inicio: contradicts start_date"):
        settings_from(KEYS | names)


def test_numbers_are_read_as_numbers() -> None:
    assert settings_from(KEYS | {"TAP_QUICKBOOKS_RAW_CHUNK_DAYS": "7"}).chunk_days == 7
    with pytest.raises(SettingsError, match=r"^chunk_days: "):
        settings_from(KEYS | {"TAP_QUICKBOOKS_RAW_CHUNK_DAYS": "²"})


def test_a_missing_setting_is_named() -> None:
    with pytest.raises(SettingsError, match="QB_REALM_ID"):
        settings_from({name: value for name, value in KEYS.items() if name != "QB_REALM_ID"})
