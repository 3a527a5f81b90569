"""The metrics file is one that a node exporter reads, whatever it finds in its place."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client import parser
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_of
from tap_quickbooks_raw.metrics import RunRecord
from tap_quickbooks_raw.metrics_file import write
from tap_quickbooks_raw.run import Run
from tap_quickbooks_raw.settings import parse, resolve

if TYPE_CHECKING:
    from collections.abc import Callable

    from quickbooks_simulator.server import RunningSimulator

REALM = "4620816365000001"
NOON = datetime(2026, 3, 14, 12, tzinfo=UTC)
OUTCOMES = ["complete", "limit", "failed", "interrupted", "running"]


def record(outcome: Any = "complete", minutes: int = 0, realm: str = REALM) -> RunRecord:
    return RunRecord(
        command="sync",
        outcome=outcome,
        realm_id=realm,
        environment="sandbox",
        started_at=NOON,
        finished_at=NOON + timedelta(minutes=minutes),
        seconds=1.5,
        rows=1_234_567,
        deleted=2,
        calls=3,
        batch_items=4,
        retries=5,
        refreshes=1,
        bytes=2_000_000_001,
        waits={"limits": 0.25, "retry_after": 20.0, "backoff": 3.0},
        selected=None,
        streams={"qb_items": 1_234_000, "qb_bills": 567},
        failures=["qb_invoices"],
    )


def read(path: Path) -> dict[tuple[str, ...], float]:
    """The values by name and labels, all of them of one company."""
    text = path.read_text()
    families = list(parser.text_string_to_metric_families(text))
    # An exporter of node knows no other kind of OpenMetrics' than these.
    assert {family.type for family in families} == {"gauge"}
    assert all(family.documentation for family in families)
    values = {
        (sample.name, *(value for name, value in sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }
    assert {sample.timestamp for family in families for sample in family.samples} == {None}
    assert text.endswith("# EOF\n")
    assert [family.name for family in openmetrics_of(text)] == [family.name for family in families]
    return values


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "quickbooks.prom"


def test_it_has_the_numbers_of_the_run(file: Path) -> None:
    write(file, record(minutes=1))

    values = read(file)
    prefix = "quickbooks_raw_"
    assert {
        name.removeprefix(prefix): value
        for (name, *labels), value in values.items()
        if labels == [REALM]
    } == {
        "rows": 1_234_567,
        "deleted": 2,
        "calls": 3,
        "batch_items": 4,
        "retries": 5,
        "token_refreshes": 1,
        "received_bytes": 2_000_000_001,
        "duration_seconds": 1.5,
        "failed_streams": 1,
        "last_success_timestamp_seconds": NOON.timestamp() + 60,
        "last_end_timestamp_seconds": NOON.timestamp() + 60,
    }
    assert values[prefix + "wait_seconds", REALM, "retry_after"] == 20
    assert values[prefix + "stream_rows", REALM, "qb_bills"] == 567
    assert [values[prefix + "outcome", "sandbox", name, REALM] for name in OUTCOMES] == [
        1,
        0,
        0,
        0,
        0,
    ]


def ends(file: Path) -> tuple[float, float]:
    """Minutes after noon of the last success and of the last end; -1 for none."""
    values = read(file)
    success, end = (
        values[f"quickbooks_raw_last_{name}_timestamp_seconds", REALM]
        for name in ("success", "end")
    )
    return tuple((at - NOON.timestamp()) / 60 if at else -1 for at in (success, end))  # type: ignore[return-value]


def test_the_last_success_outlives_runs_that_are_none(file: Path) -> None:
    seen = []
    for minutes, outcome in enumerate(
        ["failed", "running", "complete", "running", "limit", "interrupted", "failed", "complete"]
    ):
        write(file, record(outcome, minutes))
        seen.append(ends(file))
        assert read(file)["quickbooks_raw_outcome", "sandbox", outcome, REALM] == 1

    assert seen == [(-1, 0), (-1, 0), (2, 2), (2, 2), (2, 4), (2, 5), (2, 6), (7, 7)]


@pytest.mark.parametrize(
    "before",
    [
        b"",
        b"\xff\xfe\x00",
        b"# HELP half",
        b'quickbooks_raw_last_success_timestamp_seconds{realm_id="4620816365000001"} 1.7e\n',
        b'quickbooks_raw_last_success_timestamp_seconds{realm_id="4620816365000001"} ....\n',
        b'quickbooks_raw_last_success_timestamp_seconds{realm_id="77"} 1.7e+09\n',
    ],
    ids=["empty", "binary", "cut", "cut-number", "no-number", "another-company"],
)
def test_what_stood_there_before_may_be_anything(file: Path, before: bytes) -> None:
    file.write_bytes(before)

    write(file, record("failed", 1))

    assert ends(file) == (-1, 1)


def test_others_may_read_it_and_never_half_of_it(file: Path) -> None:
    write(file, record())
    before = file.stat().st_ino
    with file.open() as reader:
        write(file, record("failed"))
        assert reader.read().endswith("# EOF\n")

    assert file.stat().st_ino != before
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    assert [*file.parent.iterdir()] == [file]


def test_where_it_cannot_be_replaced_nothing_is_left_behind(file: Path) -> None:
    file.mkdir()

    with pytest.raises(IsADirectoryError):
        write(file, record())

    assert [*file.parent.iterdir()] == [file]


def test_each_company_may_have_its_own(
    tmp_path: Path, config: Callable[..., dict[str, Any]], simulator: RunningSimulator
) -> None:
    settings = config(simulator, metrics_file=str(tmp_path / "qb-{realm_id}.prom"))

    assert parse(resolve(settings)).metrics_file == str(tmp_path / f"qb-{REALM}.prom")


def test_it_grows_during_a_run(
    tmp_path: Path,
    config: Callable[..., dict[str, Any]],
    simulator: RunningSimulator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = tmp_path / "qb.prom"
    run = Run(parse(resolve(config(simulator, metrics_file=str(file)))))
    run.count("qb_items", 5)
    assert not file.exists()
    monkeypatch.setattr("tap_quickbooks_raw.progress.PROGRESS_SECONDS", 0.0)
    run.count("qb_items", 7)

    values = read(file)
    assert values["quickbooks_raw_rows", REALM] == 12
    assert values["quickbooks_raw_outcome", "production", "running", REALM] == 1
    file.unlink()
    file.mkdir()
    assert run.count("qb_items", 1)
    run.close()


def test_a_run_of_the_tap_writes_it(
    tmp_path: Path, config: Callable[..., dict[str, Any]], simulator: RunningSimulator
) -> None:
    settings = config(simulator, metrics_file=str(tmp_path / "qb-{realm_id}.prom"), max_api_calls=8)
    (tmp_path / "config.json").write_text(json.dumps(settings))
    tap = Path(sys.executable).with_name("tap-quickbooks-raw")

    subprocess.run(
        [tap, "--config", tmp_path / "config.json"], cwd=tmp_path, check=True, capture_output=True
    )

    values = read(tmp_path / f"qb-{REALM}.prom")
    assert values["quickbooks_raw_calls", REALM] == 8
    assert values["quickbooks_raw_outcome", "production", "limit", REALM] == 1
    assert values["quickbooks_raw_last_success_timestamp_seconds", REALM] == 0


def test_the_library_is_loaded_only_where_the_file_is_asked_for() -> None:
    """It would make each start of the tap slower."""
    code = "import sys, tap_quickbooks_raw.tap; sys.exit('prometheus_client' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
