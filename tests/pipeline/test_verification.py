"""The verification as an operator starts it, after either loader."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pipeline.comparison import mended, parse, raw_rows, source_rows
from pipeline.conftest import REALM, Project, both_loaders

if TYPE_CHECKING:
    from quickbooks_simulator.server import RunningSimulator

LOADED = {
    "qb_bills": "Bill",
    "qb_customers": "Customer",
    "qb_invoices": "Invoice",
    "qb_items": "Item",
    "qb_time_activities": "TimeActivity",
}
VERIFY = ("invoke", "quickbooks-verify")


def test_what_a_load_has_brought_agrees_to_the_last_digit(
    project: Project, company: RunningSimulator
) -> None:
    project.load()
    company.clear_requests()
    code, output = project.meltano(*VERIFY)
    assert code == 0, output
    assert "41 of 41 agree" in output
    made = [entry for entry in company.requests() if entry.operation != "token"]
    assert len(made) == 7

    code, output = project.meltano(*VERIFY, "--ids", "--payloads", "2000", "--seed", "7")
    assert code == 0, output
    assert "41 of 41 agree" in output
    pages = sorted((project.folder / "evidence").glob(f"2*-{REALM}.json"))
    assert len(pages) == 2
    document = json.loads(pages[-1].read_text())
    assert sum(entity["sampled"] for entity in document["entities"]) == 2000
    assert document["company"]
    assert document["progress"]
    assert document["calls_per_day"][0]["calls"] > document["calls"] > 41
    with project.connect() as connection:
        query = "SELECT count(DISTINCT verification_id), count(*) FROM raw.qb_verifications"
        assert connection.execute(query).fetchone() == (2, 82)


@both_loaders
def test_what_differs_is_explained_or_mended(project: Project, company: RunningSimulator) -> None:
    project.load()
    edits = [
        {"op": "create", "entity": "Customer"},
        {"op": "delete", "entity": "Bill", "random": 1},
        {"op": "delete", "entity": "TimeActivity", "random": 1},
    ]
    _, bills, activities = company.edit(REALM, edits)
    code, output = project.meltano(*VERIFY)
    assert code == 1
    assert "40 of 41 agree" in output
    for text in ("ok: 1 changed since", "ok: 1 deleted since", "1 too many"):
        assert text in output

    with project.connect() as connection:
        connection.execute(
            "DELETE FROM raw.qb_invoices WHERE id = (SELECT max(id) FROM raw.qb_invoices)"
        )
        connection.execute(
            "UPDATE raw.qb_items SET last_updated_utc = '2001-01-01', payload = '{}'"
        )
    code, output = project.meltano(*VERIFY, "--repair")
    assert code == 0, output
    assert "41 of 41 agree" in output
    company.advance(60)
    project.load()
    with project.connect() as connection:
        for stream, entity in LOADED.items():
            rows = raw_rows(connection, stream, REALM)
            marked = {key for key, row in rows.items() if row["deleted_at_utc"]}
            assert marked == set({"Bill": bills, "TimeActivity": activities}.get(entity, ()))
            living = {key: parse(row["text"]) for key, row in rows.items() if key not in marked}
            assert living == mended(source_rows(company, REALM, entity))
    code, output = project.meltano(*VERIFY, "--ids")
    assert code == 0, output
    assert "since" not in output
