"""Read in order, batched and repeated in whatever way: the table has what was read last."""

from __future__ import annotations

from typing import Any, NamedTuple

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

ROWS = (
    "SELECT id, payload ->> 'v', extract(epoch FROM last_updated_utc)::int / 60 % 1440,"
    " deleted_at_utc IS NOT NULL FROM raw.qb_invoices"
)


class Read(NamedTuple):
    """What one look at an object has given."""

    key: str
    version: int
    stamped: bool
    deleted: bool


# Few keys and versions, so that much is the same; a key's stamp is its version's number.
READS = st.lists(
    st.builds(
        Read,
        key=st.sampled_from("ab"),
        version=st.integers(0, 3),
        stamped=st.booleans(),
        deleted=st.booleans(),
    ),
    min_size=1,
    max_size=12,
)
# Where a run ends, how far back the next one begins, and how large its batches are.
RUNS = st.lists(st.tuples(st.integers(1, 6), st.integers(0, 4), st.integers(1, 5)), max_size=2)
# What another loader brings once more, late.
LATE = st.tuples(st.integers(0, 8), st.integers(1, 4))


def _messages(singer: Any, reads: list[Read]) -> tuple[list[list[Any]], dict[str, Any]]:
    """Each read's messages, with stamps that never go back, and the rows that are left."""
    messages, rows = [], {}
    stamps: dict[str, int] = {}
    for moment, read in enumerate(reads):
        _, payload, stamp, _ = rows.get(read.key, (read.key, None, None, False))
        if read.deleted:
            message = [singer.tombstone_schema(), singer.tombstone(read.key, moment, moment)]
        else:
            payload = str(read.version)
            if read.stamped or read.key in stamps:
                stamp = stamps[read.key] = max(read.version, stamps.get(read.key, 0))
            record = singer.living(read.key, {"v": read.version}, stamp, moment)
            message = [singer.schema(), record]
        messages.append(message)
        rows[read.key] = (read.key, payload, stamp, read.deleted)
    return messages, rows


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(READS, RUNS, LATE)
def test_what_was_read_last_is_what_is_there(
    lasting: Any,
    singer: Any,
    reads: list[Read],
    runs: list[tuple[int, int, int]],
    late: tuple[int, int],
) -> None:
    lasting.load(singer.schema())
    with lasting.connect() as connection:
        connection.execute("TRUNCATE raw.qb_invoices")
    messages, rows = _messages(singer, reads)
    start = 0
    for length, back, batch in (*runs, (len(reads), 1, 3)):
        part = messages[max(0, start - back) : start + length]
        start = min(len(reads), start + length)
        lasting.load(*(line for message in part for line in message), batch_size_rows=batch)
    lasting.load(*(line for message in messages[late[0] :][: late[1]] for line in message))
    assert sorted(lasting.rows(ROWS)) == sorted(rows.values())
