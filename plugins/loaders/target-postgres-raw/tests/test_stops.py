"""However it ends, the state that came out is true, and the next run completes the table."""

from __future__ import annotations

import fcntl
import json
import os
import random
import select
import signal
import struct
import termios
import threading
import time
from contextlib import suppress
from typing import Any

import pytest

ROWS = 3000


def _messages(singer: Any) -> list[Any]:
    """Rows of two streams, with a state behind every tenth."""
    messages: list[Any] = [singer.schema(), singer.schema(stream="qb_bills")]
    for number in range(1, ROWS + 1):
        record = singer.living(str(number), {"n": number, "text": "x" * 500}, 1, 1)
        record["stream"] = ("qb_invoices", "qb_bills")[number % 2]
        messages.append(record)
        if number % 10 == 0:
            messages.append(singer.state(number))
    return messages


def _missing(database: Any, upto: int) -> int:
    """How many of the first rows are not there."""
    query = "SELECT count(*) FROM (TABLE raw.qb_invoices UNION ALL TABLE raw.qb_bills) AS t"
    return upto - database.rows(f"{query} WHERE id::int <= {upto}")[0][0]


def _feed(process: Any, data: bytes) -> threading.Thread:
    def write() -> None:
        try:
            process.stdin.write(data)
            process.stdin.flush()
        except BrokenPipeError:
            pass

    thread = threading.Thread(target=write)
    thread.start()
    return thread


@pytest.mark.parametrize("seed", range(6))
def test_a_killed_run_has_told_only_what_is_true(database: Any, singer: Any, seed: int) -> None:
    chance = random.Random(seed)
    lines = singer.lines(_messages(singer))
    process = database.start(batch_size_rows=chance.choice([20, 100, 333]))
    feeding = _feed(process, lines)
    told = [json.loads(process.stdout.readline())]
    time.sleep(chance.uniform(0, 0.4))
    process.kill()
    rest, _ = process.communicate()
    feeding.join()
    told += [json.loads(line) for line in rest.splitlines()]
    states = [state["at"] for state in told]
    assert states == sorted(states)
    assert _missing(database, states[-1]) == 0
    again = [
        message
        for message in _messages(singer)
        if message["type"] == "SCHEMA" or int(message.get("record", {}).get("id", 0)) > states[-1]
    ]
    database.load(*again, singer.state(ROWS))
    assert _missing(database, ROWS) == 0


def test_a_terminated_run_finishes_its_batch(database: Any, singer: Any) -> None:
    """With the pipe still open, and nothing in it."""
    process = database.start(batch_size_seconds=600)
    messages = _messages(singer)[:222]
    process.stdin.write(singer.lines(messages))
    process.stdin.flush()
    _wait_until_read(process)
    process.send_signal(signal.SIGTERM)
    with process:
        out, said = process.stdout.read(), process.stderr.read()
        assert process.wait(30) == 0, said.decode()
    # What was taken from the pipe may still be under way; it stops before the next line.
    at = [json.loads(line)["at"] for line in out.splitlines()]
    assert len(at) <= 1
    assert all(each in range(10, 201, 10) for each in at)
    assert not at or _missing(database, at[0]) == 0
    assert b"Told to stop" in said


def test_a_run_is_terminated_while_lines_come(database: Any, singer: Any) -> None:
    process = database.start(batch_size_rows=100)
    feeding = _feed(process, singer.lines(_messages(singer)) * 20)
    first = json.loads(process.stdout.readline())
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGTERM)
    out, said = process.stdout.read(), process.stderr.read()
    assert process.wait(30) == 0, said.decode()
    feeding.join()
    with suppress(BrokenPipeError), process:
        pass  # Closes the pipes.
    states = [first["at"], *(json.loads(line)["at"] for line in out.splitlines())]
    assert _missing(database, states[-1]) == 0
    assert b"Told to stop" in said


def test_an_idle_pipe_does_not_keep_rows_waiting(database: Any, singer: Any) -> None:
    process = database.start(batch_size_seconds=0.1)
    process.stdin.write(singer.lines([*_messages(singer)[:12], singer.state(10)]))
    process.stdin.flush()
    assert select.select([process.stdout], [], [], 20)[0], "a state, though nothing more comes"
    assert json.loads(process.stdout.readline()) == {"at": 10}
    assert _missing(database, 10) == 0
    process.stdin.write(singer.lines([singer.state(11)]))
    process.stdin.flush()
    assert json.loads(process.stdout.readline()) == {"at": 11}, "a state alone counts too"
    process.communicate()
    assert process.returncode == 0


def test_a_failure_ends_a_run_that_waits_for_input(database: Any, singer: Any) -> None:
    process = database.start(batch_size_seconds=0.1)
    record = singer.living("1", {}, 1, 1)
    record["record"]["page_number"] = "x"
    process.stdin.write(singer.lines([singer.schema(), record]))
    process.stdin.flush()
    assert process.wait(30) == 1
    process.communicate()


def test_a_cut_line_does_not_spoil_what_came_before(database: Any, singer: Any) -> None:
    """The tap was killed while it wrote."""
    lines = singer.lines(_messages(singer)[:102])
    process = database.start()
    out, said = process.communicate(lines + b'{"type":"RECORD","stream":"qb_inv')
    assert process.returncode == 1
    assert b"Not a line of JSON" in said
    assert json.loads(out.splitlines()[-1]) == {"at": 90}
    assert _missing(database, 91) == 0


def test_state_follows_every_batch(database: Any, singer: Any) -> None:
    messages = [singer.schema()]
    for number in range(1, 101):
        messages += [singer.living(str(number), {}, 1, 1), singer.state(number)]
    states = database.load(*messages, batch_size_rows=10)
    assert states == [{"at": number} for number in range(10, 101, 10)]


def test_state_waits_for_stock_streams_too(database: Any, singer: Any) -> None:
    """Rows without a key go the stock way; each row is there when the state says so."""
    keyless = singer.schema("id", stream="log", keys=[])
    messages = [singer.schema(), keyless]
    for number in range(1, 101):
        stream = ("qb_invoices", "log")[number % 2]
        record = singer.living(str(number), {}, 1, 1)["record"]
        messages += [singer.record(stream, **record), singer.state(number)]
    lines = singer.lines(messages)
    process = database.start(batch_size_rows=10)
    process.stdin.write(lines)
    process.stdin.close()
    for line in process.stdout:
        upto = json.loads(line)["at"]
        query = "SELECT (SELECT count(*) FROM raw.qb_invoices), (SELECT count(*) FROM raw.log)"
        assert sum(database.rows(query)[0]) >= upto
    assert process.wait(20) == 0
    assert upto == 100
    with process:
        pass  # Closes the pipes.


def _wait_until_read(process: Any) -> None:
    """Wait until the loader has taken what is in its pipe, and waits for more."""
    while True:
        (left,) = struct.unpack(
            "i", fcntl.ioctl(process.stdin.fileno(), termios.FIONREAD, struct.pack("i", 0))
        )
        if left == 0:
            return
        os.sched_yield()
