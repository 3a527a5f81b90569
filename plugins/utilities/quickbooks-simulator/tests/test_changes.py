"""Every doubt about change data capture, played."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from quickbooks_simulator.server import CompanySpec, running_simulator

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Client
    from quickbooks_simulator.server import RunningSimulator

NOON = "2026-07-04T12:00:00-07:00"
BEFORE, AFTER = "2026-07-04T11:59:59-07:00", "2026-07-04T12:00:01-07:00"


def ids(group: dict[str, Any], entity: str) -> list[str]:
    return [row["Id"] for row in group.get(entity, [])]


def code(content: dict[str, Any]) -> str:
    found: str = content["Fault"]["Error"][0]["code"]
    return found


class TestSince:
    @pytest.mark.parametrize(
        ("since", "exclusive", "number"),
        [
            (BEFORE, False, 2),
            (NOON, False, 2),
            ("2026-07-04T12:00:00.5-07:00", False, 0),
            (AFTER, False, 0),
            (BEFORE, True, 2),
            ("2026-07-04T11:59:59.5-07:00", True, 2),
            (NOON, True, 0),
        ],
    )
    def test_the_bound_belongs_to_the_changes_or_not(
        self,
        simulator: RunningSimulator,
        client: Client,
        since: str,
        exclusive: bool,  # noqa: FBT001 - a parameter of the test
        number: int,
    ) -> None:
        simulator.configure(cdc_exclusive=exclusive, cdc_days=36500)
        client.edit(
            {"op": "touch", "entity": "Transfer", "random": 1, "at": NOON},
            {"op": "delete", "entity": "Bill", "random": 1, "at": NOON},
        )
        end = "2026-07-04T12:00:02-07:00"
        groups = client.changes("Transfer,Bill", since)
        assert client.changes("Transfer,Bill", end) == [{}, {}]
        assert sum(group.get("maxResults", 0) for group in groups) == number

    def test_what_is_too_old_can_be_left_out_without_a_word(
        self, simulator: RunningSimulator, client: Client
    ) -> None:
        old, new = (client.ago(days=days) for days in (40, 20))
        (_,), (recent,), (_,) = client.edit(
            {"op": "touch", "entity": "Transfer", "random": 1, "at": old},
            {"op": "touch", "entity": "Bill", "random": 1, "at": new},
            {"op": "delete", "entity": "Bill", "random": 1, "at": old},
        )
        since = client.ago(days=60)
        response = client.get("cdc", entities="Bill", changedSince=since)
        assert (response.status_code, code(response.json())) == (400, "500")
        simulator.configure(cdc_too_old="ignore")
        transfers, bills = client.changes("Transfer,Bill", since)
        assert (transfers, ids(bills, "Bill")) == ({}, [recent])


class TestFollowing:
    def test_what_is_not_followed_can_be_empty(
        self, simulator: RunningSimulator, client: Client
    ) -> None:
        client.edit({"op": "touch", "entity": "TimeActivity", "random": 1})
        simulator.configure(cdc_unsupported="ignore")
        assert client.changes("TimeActivity,TaxCode") == [{}, {}]

    @pytest.mark.parametrize("name", ["Bill", "4620816365000001/Bill"])
    def test_a_company_can_follow_less_than_documented(
        self, simulator: RunningSimulator, client: Client, name: str
    ) -> None:
        client.edit({"op": "touch", "entity": "Bill", "random": 1})
        simulator.configure(cdc_off=[name, "1/Invoice"])
        since = client.ago(days=1)
        response = client.get("cdc", entities="Invoice,Bill", changedSince=since)
        assert code(response.json()) == "500"
        assert client.changes("Invoice", since) == [{}]
        simulator.configure(cdc_unsupported="ignore")
        assert client.changes("Invoice,Bill", since) == [{}, {}]

    def test_a_group_can_be_a_fault_beside_others(
        self, simulator: RunningSimulator, client: Client
    ) -> None:
        simulator.configure(cdc_faults=["Bill"], cdc_objects=1)
        _, (changed,) = client.edit(
            {"op": "touch", "entity": "Bill", "random": 1},
            {"op": "touch", "entity": "Invoice", "random": 1},
        )
        bills, invoices = client.changes("Bill,Invoice")
        assert (set(bills), code(bills)) == ({"Fault"}, "10000")
        assert ids(invoices, "Invoice") == [changed]

    def test_templates_are_nested_and_their_stubs_plain(self, client: Client) -> None:
        ((made,),) = client.edit({"op": "create", "entity": "RecurringTransaction"})
        client.edit({"op": "touch", "entity": "RecurringTransaction", "id": made})
        statement = "select * from RecurringTransaction maxresults 1000"
        queried = client.rows(statement)
        (group,) = client.changes("RecurringTransaction")
        (living,) = group["RecurringTransaction"]
        assert living in queried
        assert next(iter(living.values()))["Id"] == made
        client.edit({"op": "delete", "entity": "RecurringTransaction", "id": made})
        (group,) = client.changes("RecurringTransaction")
        (stub,) = group["RecurringTransaction"]
        assert (stub["Id"], stub["status"]) == (made, "Deleted")
        assert set(stub) == {"domain", "status", "Id", "MetaData"}

    def test_changes_and_deletions_are_seen_late_like_in_queries(
        self, simulator: RunningSimulator, client: Client
    ) -> None:
        simulator.configure(visibility_delay_seconds=30)
        (touched,), (gone,), (made,) = client.edit(
            {"op": "touch", "entity": "Invoice", "random": 1},
            {"op": "delete", "entity": "Bill", "random": 1},
            {"op": "create", "entity": "Transfer", "random": 1},
        )
        client.edit({"op": "delete", "entity": "Transfer", "id": made})
        since, names = client.ago(days=1), "Invoice,Bill,Transfer"
        assert client.changes(names, since) == [{}, {}, {}]
        assert gone in client.ids("select * from Bill maxresults 1000")
        simulator.advance(31)
        invoices, bills, transfers = client.changes(names, since)
        assert ids(invoices, "Invoice") == [touched]
        assert (ids(bills, "Bill"), ids(transfers, "Transfer")) == ([gone], [made])
        assert gone not in client.ids("select * from Bill maxresults 1000")

    def test_what_comes_at_once_is_not_undone_by_what_comes_late(
        self, simulator: RunningSimulator, client: Client
    ) -> None:
        simulator.configure(visibility_delay_seconds=30)
        ((chosen,),) = client.edit({"op": "update", "entity": "Bill", "random": 1})
        simulator.configure(visibility_delay_seconds=0)
        client.edit({"op": "delete", "entity": "Bill", "id": chosen})
        simulator.advance(31)
        assert chosen not in client.ids("select * from Bill maxresults 1000")
        (bills,) = client.changes("Bill")
        assert [each["status"] for each in bills["Bill"]] == ["Deleted"]


class TestRoom:
    @pytest.mark.parametrize(
        ("room", "living", "deleted"),
        [
            (1, (1, 0), (0, 0)),
            (5, (3, 2), (0, 0)),
            (6, (3, 3), (0, 0)),
            (7, (3, 3), (1, 0)),
            (9, (3, 3), (2, 1)),
            (10, (3, 3), (2, 2)),
        ],
    )
    def test_deletions_of_all_entities_are_cut_first(
        self,
        simulator: RunningSimulator,
        client: Client,
        room: int,
        living: tuple[int, int],
        deleted: tuple[int, int],
    ) -> None:
        simulator.configure(cdc_objects=room)
        for entity in ("Invoice", "Bill"):
            client.edit(
                {"op": "delete", "entity": entity, "random": 2},
                {"op": "touch", "entity": entity, "random": 3},
            )
        groups = client.changes("Invoice,Bill")
        rows: list[list[Any]] = [next(iter(group.values()), []) for group in groups]
        dead = [[each for each in group if each.get("status") == "Deleted"] for group in rows]
        assert tuple(map(len, dead)) == deleted
        assert tuple(len(rows[n]) - len(dead[n]) for n in (0, 1)) == living

    def test_the_room_can_be_for_each_entity(
        self, simulator: RunningSimulator, client: Client
    ) -> None:
        simulator.configure(cdc_objects=4, cdc_per_entity=True)
        for entity in ("Invoice", "Bill"):
            client.edit(
                {"op": "delete", "entity": entity, "random": 2},
                {"op": "touch", "entity": entity, "random": 3},
            )
        groups = client.changes("Invoice,Bill")
        assert [group["maxResults"] for group in groups] == [4, 4]


class TestForm:
    def test_groups_can_come_in_another_order(
        self, simulator: RunningSimulator, client: Client
    ) -> None:
        names = ["Invoice", "Bill", "Transfer"]
        client.edit(*({"op": "touch", "entity": name, "random": 1} for name in names))
        since = client.ago(days=1)
        plain = client.changes(",".join(names), since)
        simulator.configure(cdc_shuffled=True)
        shuffled = client.changes(",".join(names), since)
        assert shuffled == client.changes(",".join(names), since)
        assert shuffled != plain
        assert sorted(map(str, shuffled)) == sorted(map(str, plain))
        assert client.changes("Bill,Invoice", since) == [plain[0], plain[1]]

    def test_unchanged_entities_can_have_no_group(
        self, simulator: RunningSimulator, client: Client
    ) -> None:
        simulator.configure(cdc_omits_empty=True)
        client.edit({"op": "touch", "entity": "Bill", "random": 1})
        (bills,) = client.changes("Invoice,Bill,Customer")
        assert "Bill" in bills
        assert client.changes("Invoice") == []

    def test_a_group_of_one_can_be_the_bare_object(
        self, simulator: RunningSimulator, client: Client
    ) -> None:
        simulator.configure(cdc_single_object=True)
        (one,), two, (gone,) = client.edit(
            {"op": "touch", "entity": "Bill", "random": 1},
            {"op": "touch", "entity": "Invoice", "random": 2},
            {"op": "delete", "entity": "Transfer", "random": 1},
        )
        bills, invoices, transfers = client.changes("Bill,Invoice,Transfer")
        assert (bills["Bill"]["Id"], bills["maxResults"]) == (one, 1)
        assert sorted(ids(invoices, "Invoice")) == sorted(two)
        assert transfers["Transfer"]["Id"] == gone


def test_log_and_meter_tell_of_changes_and_batches(connect: Callable[..., Client]) -> None:
    with running_simulator([CompanySpec(realm_id="42", rows=100)]) as simulator:
        client = connect(simulator, "42")
        since = client.ago(days=1)
        client.changes("Invoice,CreditCardPayment", since)
        items = [{"bId": str(n), "Query": "select * from Term"} for n in range(3)]
        client.post("batch", {"BatchItemRequest": items})
        _, changes, batch = simulator.requests()
        assert (changes.operation, changes.entity, changes.statement) == (
            "cdc",
            "Invoice,CreditCardPaymentTxn",
            since,
        )
        assert json.loads(batch.statement) == {"BatchItemRequest": items}
        meter = simulator.meter("42")
        assert (meter.reads, meter.batch_items, meter.writes) == (2, 3, 0)
