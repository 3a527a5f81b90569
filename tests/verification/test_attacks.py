"""Random edits and random damage: each difference is found by id, and none is made up."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from tests.conftest import REALM
from tests.verification.conftest import disagreeing

if TYPE_CHECKING:
    from tests.verification.conftest import OwnSimulator, Raw, Verify

STREAMS = {"qb_invoices": "Invoice", "qb_customers": "Customer", "qb_items": "Item"}
EDITS = ("create", "touch", "update", "delete", "deactivate", "void")


@pytest.mark.parametrize("seed", range(12))
def test_damage_is_found_among_edits_and_mended(
    own_simulator: OwnSimulator, raw: Raw, verify: Verify, seed: int
) -> None:
    dice = random.Random(seed)
    company = own_simulator(
        counts={"Invoice": 90, "Customer": 50, "Item": 30}, shuffle_ties=dice.random() < 0.5
    )
    raw.load(company, *STREAMS)
    damaged: dict[str, dict[str, set[str]]] = {}
    for stream in STREAMS:
        ids = raw.some(30, stream)
        lost, old, wrong = (set(ids[n : n + dice.randrange(4)]) for n in (0, 5, 10))
        raw.drop(lost, stream)
        back = "SET last_updated_utc = last_updated_utc - interval '1 s' WHERE id = ANY(%(ids)s)"
        raw.execute(f"UPDATE {{}} {back}", stream, ids=list(old))
        change = 'SET payload = payload || \'{{"SyncToken": "x"}}\' WHERE id = ANY(%(ids)s)'
        raw.execute(f"UPDATE {{}} {change}", stream, ids=list(wrong))
        ghosts = {f"ghost-{n}" for n in range(dice.randrange(3))}
        for ghost in ghosts:
            text = "INSERT INTO {} (realm_id, id) VALUES (%(realm)s, %(id)s)"
            raw.execute(text, stream, realm=REALM, id=ghost)
        damaged[stream] = {"lost": lost, "old": old, "wrong": wrong, "ghosts": ghosts}
    safe = {stream: set(raw.some(999, stream)) for stream in STREAMS}
    edited: set[tuple[str, str]] = set()
    for stream, entity in STREAMS.items():
        spared = set().union(*damaged[stream].values())
        free = sorted(safe[stream] - spared)
        for key in dice.sample(free, 8):
            op = dice.choice(EDITS[1:])
            if (op == "void") > (entity == "Invoice") or (op == "deactivate") > (
                entity != "Invoice"
            ):
                op = "touch"
            company.edit(REALM, [{"op": op, "entity": entity, "id": key}])
            edited.add((stream, key))
        company.edit(REALM, [{"op": "create", "entity": entity}] * dice.randrange(3))

    findings = verify(company, *STREAMS, ids=True, payloads=9999)

    for stream, finding in findings.items():
        expected, found = damaged[stream], finding
        assert isinstance(found.missing, set)
        assert isinstance(found.extra, set)
        assert found.newer is not None
        assert found.missing - found.explained == expected["lost"]
        assert found.extra - found.explained == expected["ghosts"]
        assert found.newer - found.explained == expected["old"]
        assert found.differing.keys() == expected["wrong"]
        assert found.agrees == (not any(expected.values()))
    by_count = verify(company, *STREAMS)
    for stream, finding in by_count.items():
        left = len(damaged[stream]["lost"]) - len(damaged[stream]["ghosts"])
        # Equal counts are believed: what compensates each other only ids tell.
        assert finding.agrees == (left == 0 or finding.rows == finding.raw_rows)
    mended = verify(company, *STREAMS, payloads=9999, repairs=True)
    assert disagreeing(mended) == {}
    assert disagreeing(verify(company, *STREAMS, ids=True, payloads=9999)) == {}
