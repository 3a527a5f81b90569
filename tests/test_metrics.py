"""What a run did is told once, whatever its end, and in numbers that the server confirms."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tap_quickbooks_raw import metrics
from tap_quickbooks_raw.exceptions import EntityError
from tap_quickbooks_raw.limiter import Limiter
from tap_quickbooks_raw.metrics import append, calls_by_day, record_run
from tap_quickbooks_raw.run import Run
from tap_quickbooks_raw.settings import parse, resolve

if TYPE_CHECKING:
    from collections.abc import Callable

    from quickbooks_simulator.server import RunningSimulator

TAP = Path(sys.executable).with_name("tap-quickbooks-raw")
REALM = "4620816365000001"
LINE = re.compile(r"^[^{]* \| (\{.*\})$", re.MULTILINE)


@dataclass(frozen=True)
class Ended:
    """A run of the tap that has ended."""

    code: int
    messages: list[dict[str, Any]]
    log: str
    folder: Path

    @property
    def told(self) -> dict[str, Any]:
        """The one line of JSON in the log; the same one is in the runs file."""
        (line,) = LINE.findall(self.log)
        assert self.file == [json.loads(line)]
        return json.loads(line)

    @property
    def file(self) -> list[dict[str, Any]]:
        """The lines of the runs file."""
        file = self.folder / "runs.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    @property
    def rows(self) -> Counter[str]:
        """Objects that were emitted, by stream."""
        return Counter(
            message["stream"]
            for message in self.messages
            if message["type"] == "RECORD" and "payload" in message["record"]
        )


class Tap:
    """Runs the tap as a process, in a folder of its own."""

    def __init__(self, folder: Path, config: Callable[..., dict[str, Any]]) -> None:
        self.folder = folder
        self._config = config

    def start(
        self, simulator: RunningSimulator, *arguments: str, **settings: object
    ) -> subprocess.Popen[bytes]:
        """Start the tap with a runs file."""
        defaults = {"runs_file": str(self.folder / "runs.jsonl")}
        file = self.folder / "config.json"
        file.write_text(json.dumps(self._config(simulator, **(defaults | settings))))
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("TAP_", "MELTANO_", "QB_"))
        }
        return subprocess.Popen(
            [TAP, "--config", file, *arguments],
            cwd=self.folder,
            env=kept,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def run(self, simulator: RunningSimulator, *arguments: str, **settings: object) -> Ended:
        """Run the tap to its end."""
        with self.start(simulator, *arguments, **settings) as process:
            output, log = process.communicate(timeout=120)
        return self.ended(process, output, log)

    def ended(self, process: subprocess.Popen[bytes], output: bytes, log: bytes) -> Ended:
        """What is left of a run."""
        lines = output.splitlines() if output.startswith(b'{"type"') else []
        messages = [json.loads(line) for line in lines]
        return Ended(process.returncode, messages, log.decode(), self.folder)


@pytest.fixture
def tap(tmp_path: Path, config: Callable[..., dict[str, Any]]) -> Tap:
    """The tap as a program."""
    return Tap(tmp_path, config)


@pytest.fixture
def run(
    config: Callable[..., dict[str, Any]], simulator: RunningSimulator, fake_time: Any
) -> Callable[..., Run]:
    """Build a run that keeps no ceilings and has sent nothing yet."""

    def build(**settings: object) -> Run:
        limiter = Limiter(concurrency=4, now=fake_time.now, sleep=fake_time.sleep)
        return Run(parse(resolve(config(simulator, **settings))), limiter)

    return build


def confirm(told: dict[str, Any], simulator: RunningSimulator) -> None:
    """Compare with what the server has noted."""
    entries = simulator.requests()
    assert told["calls"] == sum(entry.operation != "token" for entry in entries)
    tokens = [entry.status for entry in entries if entry.operation == "token"]
    assert told["refreshes"] == tokens.count(200)


def names(folder: Path) -> list[str]:
    """What is in a folder."""
    return sorted(path.name for path in folder.iterdir())


def wait_for_query(simulator: RunningSimulator, process: subprocess.Popen[bytes]) -> None:
    """Wait until the tap reads."""
    while not any(entry.operation == "query" for entry in simulator.requests()):
        assert process.poll() is None
        time.sleep(0.02)


# ---- Every ending


def test_a_run_that_is_complete(tap: Tap, own_simulator: Any) -> None:
    simulator = own_simulator(rows=200)

    ended = tap.run(simulator)

    told = ended.told
    assert (ended.code, told["outcome"], told["command"]) == (0, "complete", "sync")
    confirm(told, simulator)
    assert told["streams"] == ended.rows
    assert told["rows"] == ended.rows.total() > 0
    assert told["batch_items"] == simulator.meter(REALM).batch_items > 0
    assert (told["realm_id"], told["environment"]) == (REALM, "production")
    assert (told["deleted"], told["retries"], told["failures"]) == (0, 0, [])
    assert told["selected"] is None
    # 10 requests a second, and more than 10 of them.
    assert 1 < told["waits"]["limits"] < told["seconds"]
    assert told["waits"] | {"limits": 0} == {"limits": 0, "retry_after": 0, "backoff": 0}
    assert told["bytes"] > 1000 * len(ended.rows)
    assert told["started_at"] < told["finished_at"]
    assert told["started_at"].endswith("Z")
    words = f"{told['rows']} rows in {told['calls']} calls ({told['batch_items']} batch items), "
    assert words in ended.log.splitlines()[-1]


def test_a_run_of_some_streams_names_them(tap: Tap, own_simulator: Any) -> None:
    simulator = own_simulator(counts={"Item": 20, "Invoice": 20})
    discovered = tap.start(simulator, "--discover").communicate(timeout=60)[0]
    catalog = json.loads(discovered)
    for stream in catalog["streams"]:
        for entry in stream["metadata"]:
            if not entry["breadcrumb"]:
                is_wanted = stream["tap_stream_id"] in {"qb_items", "qb_terms"}
                entry["metadata"]["selected"] = is_wanted
    (tap.folder / "catalog.json").write_text(json.dumps(catalog))

    told = tap.run(simulator, "--catalog", str(tap.folder / "catalog.json")).told

    assert told["selected"] == ["qb_items", "qb_terms"]
    assert told["streams"] == {"qb_items": 20, "qb_terms": 5}


def test_deletions_are_counted_apart(tap: Tap, own_simulator: Any) -> None:
    simulator = own_simulator(counts={"Invoice": 30})
    first = tap.run(simulator, incremental_method="cdc")
    (tap.folder / "state.json").write_text(json.dumps(first.messages[-1]["value"]))
    (tap.folder / "runs.jsonl").unlink()
    simulator.advance(120)
    simulator.edit(REALM, [{"op": "delete", "entity": "Invoice", "random": 3}])
    simulator.advance(120)

    told = tap.run(simulator, "--state", str(tap.folder / "state.json")).told

    assert told["deleted"] == 3
    assert "qb_invoices" not in told["streams"]


def test_a_run_that_reaches_its_limit(tap: Tap, own_simulator: Any) -> None:
    simulator = own_simulator(rows=300)

    ended = tap.run(simulator, max_api_calls=9)

    told = ended.told
    assert (ended.code, told["outcome"], told["calls"]) == (0, "limit", 9)
    confirm(told, simulator)
    assert told["streams"] == ended.rows


def test_a_run_that_cannot_read_an_entity(tap: Tap, own_simulator: Any) -> None:
    simulator = own_simulator(counts={"Item": 20, "Account": 30})
    rule = {"match": {"operation": "query", "entity": "Item"}, "do": {"status": 503}, "times": None}
    simulator.add_rules([rule])

    ended = tap.run(simulator, max_attempts=2)

    told = ended.told
    assert (ended.code, told["outcome"], told["failures"]) == (1, "failed", ["qb_items"])
    confirm(told, simulator)
    texts = [
        entry.statement
        for entry in simulator.requests()
        if entry.operation == "query" and entry.status == 503
    ]
    assert told["retries"] == len(texts) - len(set(texts)) > 0
    assert told["waits"]["backoff"] >= told["retries"]
    assert "qb_items was not loaded completely" in ended.log.splitlines()[-1]


def test_a_429_is_waited_for_apart(tap: Tap, own_simulator: Any) -> None:
    simulator = own_simulator(counts={"Item": 20})
    throttle = {"fault": "throttle_xml", "headers": {"Retry-After": "3"}}
    simulator.add_rules([{"match": {"operation": "batch"}, "do": throttle, "times": 1}])

    told = tap.run(simulator).told

    assert told["retries"] == 1
    assert 2.5 < told["waits"]["retry_after"] < 5
    assert told["waits"]["backoff"] == 0
    confirm(told, simulator)
    # Sent twice, and refused once before it was looked at.
    assert told["batch_items"] > simulator.meter(REALM).batch_items


def test_a_company_in_trouble(tap: Tap, simulator: RunningSimulator) -> None:
    simulator.configure(suspended_realms=simulator.realm_ids)

    ended = tap.run(simulator)

    told = ended.told
    assert (ended.code, told["outcome"], told["rows"]) == (1, "failed", 0)
    confirm(told, simulator)
    assert "renew it, then run again" in ended.log.splitlines()[-1]


def test_a_dead_connection(tap: Tap, simulator: RunningSimulator) -> None:
    ended = tap.run(simulator, refresh_token="spent")

    told = ended.told
    assert (ended.code, told["outcome"]) == (1, "failed")
    assert (told["calls"], told["refreshes"], told["bytes"]) == (0, 0, 0)


def test_sigterm(tap: Tap, own_simulator: Any) -> None:
    simulator = own_simulator(rows=110)
    simulator.add_rules([{"match": {"operation": "query"}, "times": None, "do": {"hang": True}}])
    with tap.start(simulator) as process:
        wait_for_query(simulator, process)
        process.send_signal(signal.SIGTERM)
        output, log = process.communicate(timeout=60)
    ended = tap.ended(process, output, log)

    told = ended.told
    assert (ended.code, told["outcome"]) == (143, "interrupted")
    assert told["streams"] == ended.rows
    confirm(told, simulator)
    assert "Stopped (stopped by signal 15)" in ended.log.splitlines()[-1]


def test_a_loader_that_ends_early(tap: Tap, simulator: RunningSimulator) -> None:
    with tap.start(simulator) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        log = process.stderr.read()
    ended = tap.ended(process, b"", log)

    told = ended.told
    assert (ended.code, told["outcome"]) == (1, "failed")
    confirm(told, simulator)


def test_a_defect_of_the_tap_itself(
    run: Callable[..., Run], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    runs = run(runs_file=str(tmp_path / "runs.jsonl"))
    with suppress(ZeroDivisionError):
        try:
            _ = 1 / 0
        finally:
            runs.conclude()
    runs.conclude()

    (line,) = (tmp_path / "runs.jsonl").read_text().splitlines()
    assert json.loads(line)["outcome"] == "failed"
    assert caplog.messages.count(line) == 1


@pytest.mark.parametrize("arguments", [("--about",), ("--discover",)], ids=str)
def test_what_is_no_run_is_not_told(
    tap: Tap, simulator: RunningSimulator, arguments: tuple[str, ...]
) -> None:
    ended = tap.run(simulator, *arguments, metrics_file=str(tap.folder / "qb.prom"))

    assert ended.code == 0
    assert LINE.findall(ended.log) == []
    assert names(tap.folder) == ["config.json"]


def test_a_run_with_wrong_settings_is_none(tap: Tap, simulator: RunningSimulator) -> None:
    ended = tap.run(simulator, page_size=0)

    assert ended.code == 1
    assert LINE.findall(ended.log) == []
    assert ended.file == []


def test_a_plan_is_told_in_the_file_alone(tap: Tap, simulator: RunningSimulator) -> None:
    ended = tap.run(simulator, "--plan", metrics_file=str(tap.folder / "qb.prom"))

    assert ended.code == 0
    assert LINE.findall(ended.log) == []
    (told,) = ended.file
    assert (told["command"], told["outcome"], told["rows"]) == ("plan", "complete", 0)
    confirm(told, simulator)
    assert not (tap.folder / "qb.prom").exists()


def test_a_plan_that_cannot_be_made_has_failed(tap: Tap, simulator: RunningSimulator) -> None:
    simulator.configure(suspended_realms=simulator.realm_ids)

    ended = tap.run(simulator, "--plan")

    assert ended.code == 1
    assert [line["outcome"] for line in ended.file] == ["failed"]


def test_no_file_is_written_where_none_is_named(tap: Tap, simulator: RunningSimulator) -> None:
    ended = tap.run(simulator, runs_file="", max_api_calls=1)

    assert len(LINE.findall(ended.log)) == 1
    assert not (tap.folder / "runs.jsonl").exists()
    assert not (tap.folder / "evidence").exists()


def test_the_log_may_be_of_json_too(tap: Tap, simulator: RunningSimulator) -> None:
    """As Meltano asks for it, from plugins with structured logs."""
    handler = {"class": "logging.StreamHandler", "formatter": "json", "stream": "ext://sys.stderr"}
    logging = {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": "singer_sdk.logging.StructuredFormatter"}},
        "handlers": {"console": handler},
        "root": {"level": "INFO", "handlers": ["console"]},
    }
    (tap.folder / "logging.json").write_text(json.dumps(logging))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SINGER_SDK_LOG_CONFIG", str(tap.folder / "logging.json"))
        ended = tap.run(simulator, max_api_calls=5)

    messages = [json.loads(line)["message"] for line in ended.log.splitlines()]
    (told,) = [json.loads(message) for message in messages if message.startswith("{")]
    assert [told] == ended.file


def test_no_secret_is_written(tap: Tap, own_simulator: Any) -> None:
    simulator = own_simulator(rows=110, rotation="always")

    tap.run(simulator, metrics_file=str(tap.folder / "qb.prom"), max_api_calls=20)

    store = json.loads((tap.folder / "tokens.json").read_text())
    secrets = {simulator.client_id, simulator.client_secret, simulator.refresh_token}
    secrets |= set(re.findall(r'_token": "([^"]+)"', json.dumps(store)))
    assert len(secrets) >= 4
    for name in ("runs.jsonl", "qb.prom"):
        text = (tap.folder / name).read_text()
        assert REALM in text
        assert not [secret for secret in secrets if secret in text]


# ---- What is counted


def test_bytes_are_those_of_the_bodies_decompressed(
    simulator: RunningSimulator, connect: Any
) -> None:
    body = '{"QueryResponse": {}}'
    simulator.add_rules(
        [{"match": {"operation": "query"}, "do": {"status": 200, "body": body}, "times": 2}]
    )
    client = connect(simulator)

    client.get("query", query="SELECT * FROM Term")
    simulator.configure(gzip=True)
    client.get("query", query="SELECT * FROM Term")

    assert client.received == 2 * len(body)


def test_a_refused_access_token_costs_a_retry_and_a_refresh(
    simulator: RunningSimulator, connect: Any
) -> None:
    simulator.add_rules(
        [{"match": {"operation": "query"}, "do": {"fault": "token_expired"}, "times": 1}]
    )
    client = connect(simulator)

    client.get("query", query="SELECT * FROM Term")

    assert (client.calls, client.retries, client.refreshes) == (2, 1, 2)


def test_what_a_limit_forbids_is_not_counted(
    run: Callable[..., Run], simulator: RunningSimulator
) -> None:
    begun = run(max_api_calls=1)
    begun.client.batch(["SELECT * FROM Term"])
    with suppress(Exception):
        begun.client.batch(["SELECT * FROM Term"])
    begun.close()

    assert (begun.client.calls, begun.client.batch_items) == (1, 1)
    assert simulator.meter(REALM).batch_items >= 1


def test_waits_for_the_ceilings_are_told(fake_time: Any) -> None:
    limiter = Limiter(concurrency=1, per_second=10, now=fake_time.now, sleep=fake_time.sleep)
    for _ in range(11):
        with limiter.request():
            pass
    assert limiter.waits.seconds() == {"limits": 1.2, "retry_after": 0, "backoff": 0}
    limiter.pause(20)
    with limiter.request():
        pass

    assert limiter.waits.seconds() == {"limits": 1.2, "retry_after": 20, "backoff": 0}


def test_a_wait_that_is_cut_short_counts_as_long_as_it_was(fake_time: Any) -> None:
    def sleep(seconds: float) -> None:
        fake_time.sleep(seconds / 4)
        raise InterruptedError

    limiter = Limiter(concurrency=1, now=fake_time.now, sleep=sleep)
    limiter.pause(20)
    with suppress(InterruptedError), limiter.request():
        pass

    assert limiter.waits.retry_after == 5


@pytest.mark.parametrize(
    ("headers", "reason"), [({"Retry-After": "1"}, "retry_after"), ({}, "backoff")], ids=str
)
def test_waits_before_a_further_attempt_are_told_by_their_reason(
    run: Callable[..., Run], simulator: RunningSimulator, headers: dict[str, str], reason: str
) -> None:
    do = {"status": 503, "headers": headers}
    simulator.add_rules([{"match": {"operation": "query"}, "do": do, "times": 1}])
    begun = run()
    begun.client.get("query", query="SELECT * FROM Term")
    begun.close()

    waits = begun.client.waits.seconds()
    assert 1 <= waits.pop(reason) < 3
    assert set(waits.values()) == {0}


# ---- The runs file

WRITER = """
import sys
from pathlib import Path
from tap_quickbooks_raw.metrics import append
for number in range(100):
    append(Path(sys.argv[1]), (sys.argv[2] * (1 + number * 997 % 150_000)).encode())
"""


def test_lines_stay_whole_when_eight_processes_write_at_once(tmp_path: Path) -> None:
    file = tmp_path / "runs.jsonl"
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, file, letter]) for letter in "abcdefgh"
    ]
    assert [writer.wait(120) for writer in writers] == [0] * 8

    lines = file.read_text().splitlines()
    lengths = sorted(1 + number * 997 % 150_000 for number in range(100))
    for letter in "abcdefgh":
        own = [line for line in lines if line[0] == letter]
        assert sorted(map(len, own)) == lengths
        assert all(set(line) == {letter} for line in own)
    assert len(lines) == 800


def test_a_line_that_was_cut_is_ended_before_the_next(tmp_path: Path) -> None:
    file = tmp_path / "runs.jsonl"
    file.write_text('{"calls": 1}\n{"cal')

    append(file, b'{"calls": 2}')

    assert file.read_text() == '{"calls": 1}\n{"cal\n{"calls": 2}\n'


def test_the_file_is_made_for_its_owner_only(tmp_path: Path) -> None:
    file = tmp_path / "evidence" / "of this" / "runs.jsonl"

    append(file, b"{}")
    append(file, b"{}")

    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.read_text() == "{}\n{}\n"


def test_the_mode_that_somebody_has_given_it_stays(tmp_path: Path) -> None:
    file = tmp_path / "runs.jsonl"
    file.touch()
    file.chmod(0o640)

    append(file, b"{}")

    assert stat.S_IMODE(file.stat().st_mode) == 0o640


@pytest.mark.parametrize("setting", ["runs_file", "metrics_file"])
@pytest.mark.parametrize("trouble", ["a folder", "below a file", "no device"])
def test_a_file_that_cannot_be_written_is_one_warning(
    run: Callable[..., Run],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    setting: str,
    trouble: str,
) -> None:
    (tmp_path / "file").touch()
    paths = {
        "a folder": str(tmp_path),
        "below a file": str(tmp_path / "file" / "runs.jsonl"),
        "no device": "/proc/nothing/runs.jsonl",
    }
    before = names(tmp_path), names(tmp_path.parent)

    record = record_run(run(**{setting: paths[trouble]}), command="sync", outcome="complete")

    (said,) = caplog.messages
    assert said.startswith(f"{setting}: {paths[trouble]} cannot be written (")
    assert record.outcome == "complete"
    assert (names(tmp_path), names(tmp_path.parent)) == before


def test_a_library_that_is_not_installed_yet_is_one_warning(
    run: Callable[..., Run],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, "tap_quickbooks_raw.metrics_file", raising=False)
    monkeypatch.delattr("tap_quickbooks_raw.metrics_file", raising=False)
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    monkeypatch.setattr("tap_quickbooks_raw.progress.PROGRESS_SECONDS", 0.0)
    begun = run(metrics_file=str(tmp_path / "qb.prom"))
    begun.count("qb_items", 5)

    record_run(begun, command="sync", outcome="complete")

    (said,) = caplog.messages
    assert said.endswith("; install the tap again")


def test_a_full_disk_is_one_warning(
    run: Callable[..., Run], caplog: pytest.LogCaptureFixture
) -> None:
    record_run(run(runs_file="/dev/full"), command="sync", outcome="complete")

    (said,) = caplog.messages
    assert said.startswith("runs_file: /dev/full cannot be written (No space left on device)")


def test_a_line_that_did_not_fit_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "runs.jsonl"
    append(file, b"first")
    write = os.write

    def half(handle: int, content: memoryview) -> int:
        if len(content) < 5:
            raise OSError(28, "No space left on device")
        return write(handle, content[: len(content) // 2])

    monkeypatch.setattr(os, "write", half)
    with pytest.raises(OSError, match="No space left"):
        append(file, b"second")
    monkeypatch.undo()
    append(file, b"third")

    assert file.read_text() == "first\nthird\n"


def test_a_file_that_somebody_keeps_locked_holds_up_nobody(
    run: Callable[..., Run],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(metrics, "LOCK_SECONDS", 0.1)
    file = tmp_path / "runs.jsonl"
    with file.open("w") as held:
        metrics.fcntl.flock(held, metrics.fcntl.LOCK_EX)
        record_run(run(runs_file=str(file)), command="sync", outcome="complete")

    (said,) = caplog.messages
    assert "cannot be written (another process keeps it locked)" in said
    assert file.read_text() == ""


def test_a_pipe_in_its_place_holds_up_nobody(run: Callable[..., Run], tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "runs.jsonl")
    writer = threading.Thread(
        target=record_run,
        args=(run(runs_file=str(tmp_path / "runs.jsonl")),),
        kwargs={"command": "sync", "outcome": "complete"},
        daemon=True,
    )
    writer.start()
    writer.join(10)

    assert not writer.is_alive()


# ---- Calls by day


def test_calls_are_added_up_by_day_for_one_company_and_month(tmp_path: Path) -> None:
    def line(started: str, calls: Any, items: Any = 0, realm: Any = REALM) -> str:
        return json.dumps(
            {"realm_id": realm, "started_at": started, "calls": calls, "batch_items": items}
        )

    file = tmp_path / "runs.jsonl"
    file.write_bytes(
        "\n".join(
            [
                line("2026-03-14T10:00:00Z", 5, 41),
                line("2026-03-02T10:00:00Z", 7),
                line("2026-03-14T23:59:59.999999Z", 2, 1),
                # It is the first of April in UTC, the last of February in the other.
                line("2026-03-31T23:30:00-01:00", 100),
                line("2026-03-01T00:30:00+01:00", 100),
                line("2026-04-01T00:00:00Z", 100),
                line("2025-03-14T10:00:00Z", 100),
                line("2026-03-14T10:00:00Z", 100, realm="77"),
                line("2026-03-14T10:00:00Z", -100),
                line("2026-03-14T10:00:00Z", "100"),
                line("2026-03-14T10:00:00", 100),
                line("yesterday", 100),
                line("2026-03-14T10:00:00Z", 10**30),
                '{"calls": 100}',
                "[1, 2]",
                "[" * 100_000,
                "null",
                "",
                "2026-03-14 100 calls",
                line("2026-03-14T10:00:00Z", 100)[:60],
                "",
            ]
        ).encode()
        + b"\xff\xfe\x00{\n"
        + line("2026-03-20T10:00:00Z", 1).encode()
    )

    days = calls_by_day(file, REALM, "2026-03")

    assert [(day.day, day.calls, day.batch_items) for day in days] == [
        ("2026-03-02", 7, 0),
        ("2026-03-14", 7, 42),
        ("2026-03-20", 1, 0),
    ]


@pytest.mark.parametrize("path", ["nothing", ".", "/dev/null"])
def test_a_file_that_cannot_be_read_has_no_calls(tmp_path: Path, path: str) -> None:
    assert calls_by_day(str(tmp_path / path), REALM, "2026-03") == []


def test_what_runs_have_written_is_read(run: Callable[..., Run], tmp_path: Path) -> None:
    begun = run(runs_file=str(tmp_path / "runs.jsonl"))
    begun.client.batch(["SELECT * FROM Term", "SELECT * FROM Class"])
    begun.close()
    begun.failures["qb_items"] = EntityError("x")
    record = record_run(begun, command="verify", outcome="failed")
    record_run(begun, command="sweep", outcome="complete")

    (day,) = calls_by_day(tmp_path / "runs.jsonl", REALM, f"{record.started_at:%Y-%m}")

    assert (day.day, day.calls, day.batch_items) == (f"{record.started_at:%Y-%m-%d}", 2, 4)
