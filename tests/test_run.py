"""`make run`: whose company, which state, which addresses."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg import sql
from requests.utils import should_bypass_proxies

if TYPE_CHECKING:
    from local_postgres.server import Connection

PATH = Path(__file__).resolve().parent.parent / "orchestrate" / "run.py"


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The script, as a module."""
    monkeypatch.syspath_prepend(str(PATH.parent))
    spec = importlib.util.spec_from_file_location("orchestrate_run", PATH)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("settings", "real"),
    [
        ({}, False),
        ({"QB_CLIENT_ID": "", "QB_CLIENT_SECRET": None, "QB_REALM_ID": " "}, False),
        ({"POSTGRES_HOST": "db", "TAP_QUICKBOOKS_RAW_ENVIRONMENT": "sandbox"}, False),
        ({"QB_CLIENT_SECRET": "x"}, True),
        ({"TAP_QUICKBOOKS_RAW_CLIENT_ID": "x"}, True),
        ({"TAP_QUICKBOOKS_RAW_CLIENT_SECRET": "x"}, True),
        ({"TAP_QUICKBOOKS_RAW_REALM_ID": "1"}, True),
        ({"QB_REFRESH_TOKEN": "x"}, True),
        ({"TAP_QUICKBOOKS_RAW_REFRESH_TOKEN": "x"}, True),
    ],
)
def test_no_part_of_real_keys_is_sent_to_the_simulator(
    run: Any, settings: dict[str, str | None], *, real: bool
) -> None:
    assert run.is_real(settings) is real


@pytest.fixture
def started(run: Any, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What `main` would start, instead of starting it."""
    steps: list[str] = []
    for name in ("start_postgres", "start_simulator", "load_and_verify", "run", "say"):
        monkeypatch.setattr(run, name, lambda *_, name=name: steps.append(name) or 0)
    monkeypatch.setattr(run, "PROJECT", Path("/nowhere"))
    monkeypatch.setattr(run, "os", type("os", (), {"environ": {"POSTGRES_HOST": "db"}}))
    return steps


@pytest.mark.parametrize("names", [3 * ["QB_"], 3 * ["TAP_QUICKBOOKS_RAW_"]], ids=lambda n: n[0])
def test_with_keys_of_either_name_the_real_company_is_loaded(
    run: Any, started: list[str], names: list[str]
) -> None:
    for prefix, name in zip(names, ("CLIENT_ID", "CLIENT_SECRET", "REALM_ID"), strict=True):
        run.os.environ[prefix + name] = "1"

    assert run.main() == 0
    assert started == ["load_and_verify"]


def test_with_some_keys_nothing_is_started(run: Any, started: list[str]) -> None:
    run.os.environ["TAP_QUICKBOOKS_RAW_CLIENT_SECRET"] = "real"

    assert run.main() == 1
    assert started == ["say"]


def test_without_keys_the_simulator_stands_in(run: Any, started: list[str]) -> None:
    assert run.main() == 0
    assert started == ["start_simulator", "load_and_verify", "run"]


@pytest.mark.parametrize(
    ("settings", "suffix", "state"),
    [
        ({}, [], "dev:tap-quickbooks-raw-to-target-postgres-raw"),
        ({"MELTANO_ENVIRONMENT": ""}, [], "dev:tap-quickbooks-raw-to-target-postgres-raw"),
        (
            {"MELTANO_ENVIRONMENT": "prod"},
            ["simulator"],
            "prod:tap-quickbooks-raw-to-target-postgres-raw:simulator",
        ),
        (
            {"MELTANO_RUN_STATE_ID_SUFFIX": "12"},
            [],
            "dev:tap-quickbooks-raw-to-target-postgres-raw:12",
        ),
        (
            {"MELTANO_RUN_STATE_ID_SUFFIX": "12"},
            ["simulator"],
            "dev:tap-quickbooks-raw-to-target-postgres-raw:simulator",
        ),
    ],
    ids=["default", "empty", "prod-with-suffix", "environments-suffix", "the-option-wins"],
)
def test_the_state_is_the_one_of_the_environment(
    run: Any, settings: dict[str, str], suffix: list[str], state: str
) -> None:
    assert run.state_id(settings, *suffix) == state


@pytest.mark.parametrize(
    ("had", "has"),
    [
        ({}, "127.0.0.1,localhost"),
        ({"NO_PROXY": "a.example, b"}, "a.example,b,127.0.0.1,localhost"),
        ({"no_proxy": "a", "NO_PROXY": "a,b,"}, "a,b,127.0.0.1,localhost"),
        ({"no_proxy": "localhost"}, "localhost,127.0.0.1"),
        ({"NO_PROXY": "*"}, "*"),
        ({"NO_PROXY": None}, "127.0.0.1,localhost"),
    ],
    ids=str,
)
def test_the_simulator_is_reached_without_a_proxy(
    run: Any, monkeypatch: pytest.MonkeyPatch, had: dict[str, str | None], has: str
) -> None:
    variables = run.without_proxy(had)

    assert variables == {"no_proxy": has, "NO_PROXY": has}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert should_bypass_proxies("http://127.0.0.1:8080/v3", no_proxy=None)


@pytest.mark.parametrize("schema", ["raw", "bronze"])
@pytest.mark.parametrize(
    ("rows", "loaded"),
    [(None, False), ([], False), (["2"], False), (["2", "1"], True)],
    ids=["no-table", "empty", "another-company", "this-company"],
)
def test_rows_of_the_company_tell_that_it_is_loaded(
    run: Any, postgres: Connection, *, schema: str, rows: list[str] | None, loaded: bool
) -> None:
    settings: dict[str, str | None] = {
        "QB_REALM_ID": "1",
        "TARGET_POSTGRES_DEFAULT_TARGET_SCHEMA": "" if schema == "raw" else schema,
        "POSTGRES_HOST": postgres.host,
        "POSTGRES_PORT": str(postgres.port),
        "POSTGRES_USER": postgres.user,
        "POSTGRES_PASSWORD": postgres.password,
        "POSTGRES_DB": postgres.database,
    }
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        name = sql.Identifier(schema)
        connection.execute(sql.SQL("CREATE SCHEMA {}").format(name))
        table = sql.Identifier(schema, "qb_items")
        if rows is not None:
            connection.execute(sql.SQL("CREATE TABLE {} (realm_id text)").format(table))
        for realm_id in rows or []:
            connection.execute(sql.SQL("INSERT INTO {} VALUES (%s)").format(table), (realm_id,))
        try:
            assert run.is_loaded(settings) is loaded
        finally:
            connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(name))
