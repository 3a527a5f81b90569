"""Two loaders on the same tables at once lose nothing and do not wait for each other forever."""

from __future__ import annotations

import random
from itertools import chain
from typing import Any

STREAMS = ("qb_invoices", "qb_bills", "qb_items")


def _messages(singer: Any, seed: int) -> list[Any]:
    """Every row of every stream three times, in an order and with versions of its own."""
    chance = random.Random(seed)
    records = []
    for stream in STREAMS:
        for key in range(150):
            for _ in range(3):
                version = chance.randrange(1, 1000)
                record = singer.living(str(key), {"v": version, "seed": seed}, version, seed)
                record["stream"] = stream
                records.append(record)
    chance.shuffle(records)
    return [*(singer.schema(stream=stream) for stream in STREAMS), *records]


def test_the_newest_version_stays_whoever_brought_it(database: Any, singer: Any) -> None:
    """Tables are made by whoever comes first, and then wanted by all."""
    messages = [_messages(singer, seed) for seed in range(3)]
    processes = [database.start(batch_size_rows=100) for _ in messages]
    for process, lines in zip(processes, map(singer.lines, messages), strict=True):
        process.stdin.write(lines)
        process.stdin.flush()
    for process in processes:
        _, said = process.communicate(timeout=60)
        assert process.returncode == 0, said.decode()
    for stream in STREAMS:
        newest: dict[str, tuple[int, int]] = {}
        for message in chain.from_iterable(messages):
            if message["type"] == "RECORD" and message["stream"] == stream:
                record = message["record"]
                version = (record["payload"]["v"], record["payload"]["seed"])
                newest[record["id"]] = max(newest.get(record["id"], (0, 0)), version)
        found = database.rows(
            f"SELECT id, (payload ->> 'v')::int, (payload ->> 'seed')::int FROM raw.{stream}"
        )
        assert {key: version for key, *version in found} == {
            key: list(version) for key, version in newest.items()
        }
