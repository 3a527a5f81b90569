"""Up to when raw was loaded: the rows tell, and the runs."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from tap_quickbooks_raw.verification.loads import Loads

from tests.conftest import REALM
from tests.verification.conftest import SETTLE, disagreeing, server_time

if TYPE_CHECKING:
    from pathlib import Path

    from tests.verification.conftest import OwnSimulator, Raw, Verify

INVOICES, ITEMS = "qb_invoices", "qb_items"


def at(hour: int) -> datetime:
    return datetime(2026, 11, 1, hour, tzinfo=UTC)


def run(hour: int, **values: Any) -> str:
    record = {
        "command": "sync",
        "outcome": "complete",
        "realm_id": REALM,
        "started_at": (at(hour) + SETTLE).isoformat(),
        "selected": None,
        "bytes": 7,
    }
    return json.dumps(record | values)


@pytest.mark.parametrize(
    ("runs", "asked_to", "expected"),
    [
        ([], {}, None),
        ([], {INVOICES: at(1), ITEMS: at(2)}, at(2)),
        ([run(3)], {}, at(3)),
        ([run(3)], {INVOICES: at(1)}, at(3)),
        ([run(3), run(5, outcome="failed")], {INVOICES: at(1)}, at(3)),
        ([run(3), run(5, outcome="limit")], {INVOICES: at(1)}, at(3)),
        ([run(3), run(5, command="verify")], {INVOICES: at(1)}, at(3)),
        # A window ends with a whole second.
        ([run(3, started_at="2026-11-01T03:00:30.999999+00:00")], {}, at(3)),
        ([run(3), run(5, realm_id="1")], {INVOICES: at(1)}, at(3)),
        ([run(3), run(5, selected=[ITEMS])], {INVOICES: at(3), ITEMS: at(5)}, at(3)),
        ([run(3), run(5, selected=[INVOICES])], {}, at(5)),
        ([run(3)], {INVOICES: at(1), ITEMS: at(9)}, at(9)),  # By a run that is not written down.
        ([run(5, selected=[ITEMS])], {INVOICES: at(1), ITEMS: at(5)}, at(5)),
        (["", "{", "[]", '{"command":"sync"}', run(3)[:40], run(2)], {}, at(2)),
    ],
)
def test_the_newest_load_counts(
    tmp_path: Path, runs: list[str], asked_to: dict[str, datetime], expected: datetime | None
) -> None:
    path = tmp_path / "runs.jsonl"
    path.write_text("\n".join(runs))
    loads = Loads(str(path), REALM, settle=SETTLE, asked_to=asked_to)
    assert loads.to(INVOICES) == expected


def test_without_a_file_the_rows_tell(tmp_path: Path) -> None:
    for path in ("", str(tmp_path / "none"), str(tmp_path)):
        loads = Loads(path, REALM, settle=SETTLE, asked_to={INVOICES: at(1)})
        assert loads.to(ITEMS) == at(1)


def test_lines_that_are_no_text_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    broken = run(5).encode().replace(b"sync", b"\xff")
    path.write_bytes(broken + b"\n" + b"[" * 9999 + b"\n" + run(3).encode())
    loads = Loads(str(path), REALM, settle=SETTLE, asked_to={})
    assert loads.to(ITEMS) == at(3)


def test_a_run_that_found_nothing_makes_older_changes_missing(
    own_simulator: OwnSimulator, raw: Raw, verify: Verify, tmp_path: Path
) -> None:
    company = own_simulator(counts={"Customer": 20})
    raw.load(company)
    company.edit(REALM, [{"op": "create", "entity": "Customer"}])
    company.advance(7200)
    path = tmp_path / "runs.jsonl"
    assert disagreeing(verify(company, runs_file=str(path))) == {}

    later = server_time(company) - timedelta(seconds=60)
    path.write_text(run(1, started_at=later.isoformat()))
    found = verify(company, runs_file=str(path))
    assert disagreeing(found) == {"qb_customers": "1 missing"}
