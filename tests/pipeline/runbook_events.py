"""What happens in the runbook's chapters, by the names that its comments give it."""

from __future__ import annotations

import fcntl
import os
import signal
import time
from typing import TYPE_CHECKING

import requests
from tap_quickbooks_raw import exclusive

from pipeline.conftest import REALM
from pipeline.runbook_page import first_missing
from pipeline.runbook_world import administer, browser

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    from pipeline.runbook_page import Block
    from pipeline.runbook_world import Happening, World

OTHER = "4620816365000002"
STATE_ID = "dev:tap-quickbooks-raw-to-target-postgres-raw"
# Five attempts, the default, take half a minute for each request that fails for good.
FEW_ATTEMPTS = {"TAP_QUICKBOOKS_RAW_MAX_ATTEMPTS": "1"}


def play(world: World, block: Block) -> None:
    """Run a block, and hold what happens against what the page says."""
    for name in block.setup:
        SETUPS[name](world)
    for command in block.commands:
        during = DURING[block.during] if block.during else None
        code, output = world.run(command.text, during)
        told = f"$ {command.text}\n{output}\nexit code {code}"
        assert code == (block.exit if command is block.commands[-1] else 0), told
        lost = first_missing(command.shown, output)
        assert lost is None, f"{told}\nThe page shows, but it did not print: {lost}"


def _load(world: World) -> None:
    world.run_well("meltano run quickbooks-to-raw")


def _answer_slowly(world: World) -> None:
    world.company.configure(latency_ms=150)


def _answer_quickly(world: World) -> None:
    world.company.configure(latency_ms=0)


def _bring_back_the_database(world: World) -> None:
    # The tap of the run that has failed may still be waiting for its last answers.
    lock = exclusive.lock_of(str(world.project.folder), REALM)
    deadline = time.monotonic() + 60
    while lock.exists() and not _is_free(lock):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    administer(
        world.superuser, "ALTER DATABASE {} ALLOW_CONNECTIONS true", world.environment["PGDATABASE"]
    )


def _is_free(lock: Path) -> bool:
    with lock.open("r+") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def _lose_the_database(world: World) -> None:
    administer(
        world.superuser,
        "ALTER DATABASE {} ALLOW_CONNECTIONS false",
        world.environment["PGDATABASE"],
    )


def _be_well(world: World) -> None:
    """End all trouble that was scripted."""
    world.company.clear_rules()
    for name in FEW_ATTEMPTS:
        del world.environment[name]


def _be_impatient(world: World) -> None:
    world.environment.update(FEW_ATTEMPTS)


def _lose_the_network(world: World, process: subprocess.Popen[str]) -> None:
    world.wait_for_queries(process)
    world.company.add_rules([{"match": {}, "times": None, "do": {"close": True}}])


def _terminate(world: World, process: subprocess.Popen[str]) -> None:
    world.wait_for_queries(process)
    process.send_signal(signal.SIGTERM)


def _kill(world: World, process: subprocess.Popen[str]) -> None:
    world.wait_for_queries(process)
    os.killpg(process.pid, signal.SIGKILL)


def _revoke_the_connection(world: World) -> None:
    """Do what a person does who disconnects the app in QuickBooks."""
    answer = requests.post(
        f"{world.company.url}/v2/oauth2/tokens/revoke",
        json={"token": world.company.refresh_token},
        auth=(world.company.client_id, world.company.client_secret),
        timeout=10,
    )
    answer.raise_for_status()


def _throttle(world: World) -> None:
    do = {"fault": "throttle_xml", "headers": {"Retry-After": "1"}}
    world.company.add_rules([{"match": {"realm": REALM}, "times": 2, "do": do}])


def _use_up_the_allowance(world: World) -> None:
    do = {"fault": "throttle_xml", "headers": {"Retry-After": "1"}}
    world.company.add_rules([{"match": {"realm": REALM}, "times": None, "do": do}])


def _change_the_books(world: World) -> None:
    edits = [
        {"op": "create", "entity": "Customer", "random": 2},
        {"op": "update", "entity": "Invoice", "random": 3},
        {"op": "delete", "entity": "Bill", "random": 1},
    ]
    world.company.edit(REALM, edits)
    world.company.advance(60)


def _break_an_invoice(world: World) -> None:
    """Let QBO fail on one that has changed since the last run."""
    ((world.broken,),) = world.company.edit(
        REALM, [{"op": "update", "entity": "Invoice", "random": 1}]
    )
    world.company.configure(poison=[{"entity": "Invoice", "id": world.broken}])
    world.company.advance(60)


def _mend_the_invoice(world: World) -> None:
    _be_well(world)
    world.company.configure(poison=[])
    world.company.edit(REALM, [{"op": "update", "entity": "Invoice", "id": world.broken}])
    world.company.advance(60)


def _delete_time_activities(world: World) -> None:
    """CDC does not tell it."""
    world.company.edit(REALM, [{"op": "delete", "entity": "TimeActivity", "random": 2}])
    world.company.advance(60)


def _lose_march(world: World) -> None:
    """Somebody deletes rows in the database."""
    with world.project.connect() as connection:
        connection.execute(
            "DELETE FROM raw.qb_invoices WHERE last_updated_utc >= '2026-03-01'"
            " AND last_updated_utc < '2026-04-01'"
        )


def _lose_items(world: World) -> None:
    with world.project.connect() as connection:
        connection.execute(
            "DELETE FROM raw.qb_items WHERE id IN (SELECT min(id) FROM raw.qb_items"
            " UNION SELECT max(id) FROM raw.qb_items)"
        )


def _forget_the_state(world: World) -> None:
    world.run_well(f"meltano state clear --force {STATE_ID}")


def _load_with_the_stock_loader(world: World) -> None:
    world.run_well("meltano run tap-quickbooks-raw target-postgres")


def _lose_the_schema(world: World) -> None:
    with world.project.connect() as connection:
        connection.execute("DROP SCHEMA raw CASCADE")


def _open_the_other_company(world: World) -> None:
    """The person at the browser chooses the second company."""
    world.environment["BROWSER"] = browser(OTHER)


SETUPS: dict[str, Callable[[World], None]] = {
    "loaded": _load,
    "loaded-by-stock-loader": _load_with_the_stock_loader,
    "slow-answers": _answer_slowly,
    "quick-answers": _answer_quickly,
    "impatient": _be_impatient,
    "database-lost": _lose_the_database,
    "database-back": _bring_back_the_database,
    "network-back": _be_well,
    "disconnected": _revoke_the_connection,
    "throttled": _throttle,
    "allowance-used-up": _use_up_the_allowance,
    "new-month": _be_well,
    "books-changed": _change_the_books,
    "invoice-broken": _break_an_invoice,
    "invoice-mended": _mend_the_invoice,
    "deleted-untold": _delete_time_activities,
    "march-lost": _lose_march,
    "items-lost": _lose_items,
    "schema-lost": _lose_the_schema,
    "empty-state": _forget_the_state,
    "other-company": _open_the_other_company,
}
DURING: dict[str, Happening] = {
    "sigterm": _terminate,
    "kill": _kill,
    "network-lost": _lose_the_network,
}
