"""The tap as a program: what it says and how it ends."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from quickbooks_simulator.server import RunningSimulator

TAP = Path(sys.executable).with_name("tap-quickbooks-raw")
KEYS = {"client_id": "id", "client_secret": "hush-hush", "realm_id": "4620816365000001"}


def start(folder: Path, config: object, *arguments: str) -> subprocess.Popen[bytes]:
    """Start the tap with a config file."""
    file = folder / "config.json"
    file.write_text(config if isinstance(config, str) else json.dumps(config))
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("TAP_", "MELTANO_", "QB_"))
    }
    return subprocess.Popen(
        [TAP, "--config", file, *arguments],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def run(folder: Path, config: object, *arguments: str) -> tuple[int, list[dict[str, Any]], str]:
    """Run the tap; return exit code, messages and log."""
    with start(folder, config, *arguments) as process:
        output, log = process.communicate(timeout=120)
    return process.returncode, [json.loads(line) for line in output.splitlines()], log.decode()


def problem(log: str) -> str:
    """The lines that report an error, without those of the SDK."""
    lines = [
        line for line in log.splitlines() if "ERROR" in line and "validation failed" not in line
    ]
    assert "Traceback" not in log, log
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"client_id": None}, "client_id: is missing; set QB_CLIENT_ID in .env"),
        ({"client_secret": ""}, "client_secret: is missing; set QB_CLIENT_SECRET in .env"),
        ({"realm_id": "acme"}, "realm_id: 'acme' is not of the right form"),
        ({"page_size": 1001}, "page_size: 1001 is greater than the maximum of 1000"),
        ({"page_size": 0}, "page_size: 0 is less than the minimum of 1"),
        ({"concurrency": 11}, "concurrency: 11 is greater"),
        ({"start_date": "soon"}, "start_date: 'soon' is no date"),
        ({"fecha_fin": "1999-12-31"}, "end_date: 1999-12-31 is not after start_date 2000-01-01"),
        ({"fecha_inicio": "2020-01-01", "start_date": "2021-01-01"}, "fecha_inicio: contradicts"),
        ({"pagesize": 5}, "pagesize: is no setting; did you mean page_size?"),
        ({"environment": "live"}, "environment: 'live' is not one of"),
        ({"token_store": "redis://x"}, "token_store: 'redis' is not supported"),
        ({}, "refresh_token: company (realm) 4620816365000001 has no stored tokens yet"),
    ],
    ids=lambda value: next(iter(value), "nothing") if isinstance(value, dict) else "",
)
def test_a_wrong_setting_is_named_in_one_line_before_anything_is_sent(
    tmp_path: Path, settings: dict[str, Any], said: str
) -> None:
    config = KEYS | {"api_url": "http://127.0.0.1:9", "token_url": "http://127.0.0.1:9"} | settings
    code, messages, log = run(tmp_path, config)
    assert code == 1
    assert said in problem(log)
    assert len(problem(log).splitlines()) == 1
    assert "hush-hush" not in log
    assert [message for message in messages if message["type"] == "RECORD"] == []


def test_discovery_and_about_need_no_settings_and_no_network(tmp_path: Path) -> None:
    code, catalog, _ = run_text(tmp_path, "--discover")
    assert code == 0
    assert len(json.loads(catalog)["streams"]) == 41
    code, about, _ = run_text(tmp_path, "--about", "--format", "json")
    assert code == 0
    assert "fecha_inicio" in about


def run_text(folder: Path, *arguments: str) -> tuple[int, str, str]:
    """Run the tap for its plain output."""
    with start(folder, {}, *arguments) as process:
        output, log = process.communicate(timeout=60)
    return process.returncode, output.decode(), log.decode()


def test_a_dead_server_is_named(tmp_path: Path) -> None:
    config = KEYS | {"refresh_token": "r3fresh", "token_url": "http://127.0.0.1:9/token"}
    code, _, log = run(tmp_path, config)
    assert code == 1
    assert "The token endpoint http://127.0.0.1:9/token did not answer" in problem(log)
    assert "r3fresh" not in log


def test_wrong_keys_and_dead_tokens_say_what_to_do(
    tmp_path: Path, config: Any, simulator: RunningSimulator
) -> None:
    code, _, log = run(tmp_path, config(simulator, client_secret="wrong"))
    assert code == 1
    assert "check QB_CLIENT_ID and QB_CLIENT_SECRET" in problem(log)
    store = (tmp_path / "other-tokens.json").as_uri()
    code, _, log = run(tmp_path, config(simulator, refresh_token="spent", token_store=store))
    assert code == 1
    assert "sign in again with `tap-quickbooks-raw-auth login`" in problem(log)


def test_a_realm_that_the_token_may_not_read_stops_the_run_once(
    tmp_path: Path, config: Any, simulator: RunningSimulator
) -> None:
    code, _, log = run(tmp_path, config(simulator, realm_id="4620816365999999"))
    assert code == 1
    assert "check QB_REALM_ID" in problem(log)
    assert len(problem(log).splitlines()) == 1


def test_a_damaged_token_store_is_left_as_it_is(
    tmp_path: Path, config: Any, simulator: RunningSimulator
) -> None:
    store = tmp_path / "tokens.json"
    store.write_text("{half")
    code, _, log = run(tmp_path, config(simulator))
    assert code == 1
    assert f"token_store: {store} is damaged" in problem(log)
    assert store.read_text() == "{half"


def test_tokens_are_kept_for_the_owner_only_and_used_by_the_next_run(
    tmp_path: Path, config: Any, own_simulator: Any
) -> None:
    simulator = own_simulator(rows=110, rotation="always")
    settings = config(simulator)
    settings["token_store"] = (tmp_path / "vault" / "tokens.json").as_uri()
    assert run(tmp_path, settings)[0] == 0
    store = tmp_path / "vault" / "tokens.json"
    assert stat.S_IMODE(store.stat().st_mode) == 0o600
    assert stat.S_IMODE(store.parent.stat().st_mode) == 0o700
    simulator.expire_access_tokens()
    simulator.clear_requests()
    code, _, log = run(tmp_path, settings)
    assert code == 0, log
    assert [entry.status for entry in simulator.requests() if entry.operation == "token"] == [200]


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("{half", "The state file"),
        ('{"bookmarks": []}', "The state is no Singer state"),
        (
            '{"bookmarks": {"qb_items": {"replication_key_value": "noon"}}}',
            "The bookmark of qb_items is 'noon', which is no date-time",
        ),
        (
            '{"bookmarks": {"qb_items": {"realm_id": "77"}}}',
            "This state belongs to company (realm) 77, but realm_id is 4620816365000001",
        ),
    ],
    ids=["cut short", "another shape", "no date", "another company"],
)
def test_a_state_that_cannot_be_used_is_refused(tmp_path: Path, state: str, said: str) -> None:
    file = tmp_path / "state.json"
    file.write_text(state)
    code, messages, log = run(tmp_path, KEYS, "--state", str(file))
    assert code == 1
    assert said in problem(log)
    assert messages == []


@pytest.mark.parametrize("choice", ["none", "unknown"])
def test_a_selection_of_nothing_or_of_the_unknown_is_refused(tmp_path: Path, choice: str) -> None:
    _, text, _ = run_text(tmp_path, "--discover")
    catalog = json.loads(text)
    for stream in catalog["streams"]:
        if choice == "none":
            for entry in stream["metadata"]:
                entry["metadata"] |= {"selected": False}
        else:
            stream["stream"] = stream["tap_stream_id"] = stream["tap_stream_id"].replace("_", "-")
    file = tmp_path / "catalog.json"
    file.write_text(json.dumps(catalog))
    code, _, log = run(tmp_path, KEYS, "--catalog", str(file))
    assert code == 1
    assert "select: " in problem(log)


def test_deselected_columns_stay_out(
    tmp_path: Path, config: Any, simulator: RunningSimulator
) -> None:
    _, text, _ = run_text(tmp_path, "--discover")
    catalog = json.loads(text)
    for stream in catalog["streams"]:
        for entry in stream["metadata"]:
            if entry["breadcrumb"] == ["properties", "request_payload"]:
                entry["metadata"]["selected"] = False
            if not entry["breadcrumb"]:
                entry["metadata"]["selected"] = stream["tap_stream_id"] == "qb_items"
    file = tmp_path / "catalog.json"
    file.write_text(json.dumps(catalog))
    code, messages, log = run(tmp_path, config(simulator), "--catalog", str(file))
    assert code == 0, log
    records = [message["record"] for message in messages if message["type"] == "RECORD"]
    assert len(records) == len(simulator.rows(KEYS["realm_id"], "Item"))
    assert all("request_payload" not in record and "payload" in record for record in records)


def test_sigterm_while_the_pipe_is_full_ends_with_the_state_of_what_was_written(
    tmp_path: Path, config: Any, own_simulator: Any
) -> None:
    simulator = own_simulator(counts={"Bill": 4000})
    with start(tmp_path, config(simulator, page_size=200)) as process:
        assert process.stdout is not None
        while sum(entry.operation == "query" for entry in simulator.requests()) < 5:
            assert process.poll() is None
            time.sleep(0.02)
        time.sleep(0.5)  # Nobody reads: the pipe is full, and the tap is stuck in a write.
        process.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        output = process.stdout.read()
        assert process.wait(timeout=30) == 143
    messages = [json.loads(line) for line in output.splitlines()]
    assert messages[-1]["type"] == "STATE"
    emitted: dict[str, str] = {}
    for message in messages:
        if message["type"] == "RECORD" and message["record"]["last_updated_utc"]:
            emitted[message["stream"]] = message["record"]["last_updated_utc"]
    bookmarks = messages[-1]["value"]["bookmarks"]
    last = next(reversed(emitted))
    assert bookmarks[last]["replication_key_value"] >= emitted[last]


def test_sigterm_while_waiting_for_an_answer_ends_within_seconds(
    tmp_path: Path, config: Any, own_simulator: Any
) -> None:
    simulator = own_simulator(rows=110)
    simulator.add_rules([{"match": {"operation": "query"}, "times": None, "do": {"hang": True}}])
    with start(tmp_path, config(simulator)) as process:
        while not any(entry.operation == "query" for entry in simulator.requests()):
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        begin = time.monotonic()
        output, _ = process.communicate(timeout=30)
        assert time.monotonic() - begin < 5
    assert process.returncode == 143
    assert all(json.loads(line) for line in output.splitlines())


def test_a_budget_ends_the_run_cleanly_and_the_next_run_goes_on(
    tmp_path: Path, config: Any, own_simulator: Any
) -> None:
    simulator = own_simulator(rows=300)
    state = tmp_path / "state.json"
    state.write_text("{}")
    seen: dict[str, set[str]] = {}
    runs = 0
    finished = False
    while not finished:
        runs += 1
        assert runs < 12
        simulator.clear_requests()
        code, messages, log = run(
            tmp_path, config(simulator, max_api_calls=20), "--state", str(state)
        )
        assert code == 0, log
        assert sum(entry.operation != "token" for entry in simulator.requests()) <= 20
        for message in messages:
            if message["type"] == "RECORD":
                seen.setdefault(message["stream"], set()).add(message["record"]["id"])
            if message["type"] == "STATE":
                state.write_text(json.dumps(message["value"]))
        finished = "more is left for the next run" not in log
    assert runs > 2
    assert len(seen) == 41
    assert len(seen["qb_invoices"]) == simulator.counts(KEYS["realm_id"])["Invoice"]


def test_a_reader_that_ends_early_is_named(
    tmp_path: Path, config: Any, simulator: RunningSimulator
) -> None:
    with start(tmp_path, config(simulator)) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        log = process.stderr.read().decode()
    assert process.returncode == 1
    assert "The loader has ended early" in problem(log)


def test_an_object_that_qbo_cannot_send_is_named_and_the_run_fails_at_the_end(
    tmp_path: Path, config: Any, own_simulator: Any
) -> None:
    simulator = own_simulator(rows=200)
    ids = [json.loads(row)["Id"] for row in simulator.rows(KEYS["realm_id"], "Item")]
    simulator.configure(poison=[{"entity": "Item", "id": ids[2]}])
    code, messages, log = run(tmp_path, config(simulator, max_attempts=2))
    assert code == 1
    loaded = {
        message["record"]["id"]
        for message in messages
        if message.get("stream") == "qb_items"
        if message["type"] == "RECORD"
    }
    assert loaded == set(ids) - {ids[2]}
    last = problem(log).splitlines()[-1]
    assert "qb_items was not loaded completely: 1 object(s) that QBO cannot send" in last
    assert "LastUpdatedTime >= '" in last
    assert "intuit_tid" in last
    bookmarks = messages[-1]["value"]["bookmarks"]
    assert bookmarks["qb_items"] == bookmarks["qb_vendors"]


def test_the_log_has_a_line_for_each_window_and_stream(
    tmp_path: Path, config: Any, simulator: RunningSimulator
) -> None:
    _, messages, log = run(tmp_path, config(simulator, page_size=10))
    records = [message for message in messages if message["type"] == "RECORD"]
    invoices = sum(record["stream"] == "qb_invoices" for record in records)
    windows = re.findall(
        r"qb_invoices, window (\S+Z) to (\S+Z): (\d+) rows in (\d+) calls, [\d.]+ s, [\d,]+ rows/s",
        log,
    )
    assert len(windows) > 3
    assert sum(int(rows) for *_, rows, _ in windows) == invoices
    assert all(before[1] == after[0] for before, after in pairwise(windows))
    calls = sum(int(calls) for *_, calls in windows)
    assert f"qb_invoices, all: {invoices} rows in {calls} calls, " in log
    assert f"{len(records)} rows in " in log.splitlines()[-1]


def test_what_cannot_be_sent_is_told_again_by_the_run_that_reaches_the_end(
    tmp_path: Path, config: Any, own_simulator: Any
) -> None:
    """The run that met it may have been killed."""
    simulator = own_simulator(counts={"Item": 60, "Account": 40})
    ids = [json.loads(row)["Id"] for row in simulator.rows(KEYS["realm_id"], "Item")]
    simulator.configure(poison=[{"entity": "Item", "id": ids[5]}])
    _, text, _ = run_text(tmp_path, "--discover")
    catalog = json.loads(text)
    for stream in catalog["streams"]:
        for entry in stream["metadata"]:
            if not entry["breadcrumb"]:
                entry["metadata"]["selected"] = stream["tap_stream_id"] == "qb_items"
    (tmp_path / "catalog.json").write_text(json.dumps(catalog))
    state = tmp_path / "state.json"
    state.write_text("{}")
    settings = {"page_size": 5, "concurrency": 1, "max_attempts": 1}
    arguments = ("--state", str(state), "--catalog", str(tmp_path / "catalog.json"))
    codes, told = [], []
    for calls in (24, 1000, 1000):
        code, messages, log = run(
            tmp_path, config(simulator, **settings, max_api_calls=calls), *arguments
        )
        state.write_text(json.dumps(messages[-1]["value"]))
        codes.append(code)
        told.append("1 object(s) that QBO cannot send are missing" in log)
    assert codes == [1, 1, 0]
    assert told == [True, True, False]
    assert "lost" not in state.read_text()
