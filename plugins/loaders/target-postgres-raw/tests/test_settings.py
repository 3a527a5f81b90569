"""Settings that lead nowhere are refused in words; whatever the stock loader takes is taken."""

from __future__ import annotations

import json
from typing import Any

import pytest
from singer_sdk.exceptions import ConfigValidationError
from target_postgres_raw.failures import LoadError
from target_postgres_raw.target import TargetPostgresRaw

HOST = {"host": "127.0.0.1", "port": 1, "user": "u", "password": "hidden", "database": "d"}
COUNT = "SELECT count(*) FROM raw.qb_invoices"


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({}, "Need either the sqlalchemy_url to be set or host"),
        (HOST | {"ssl_enable": True, "ssl_mode": "perhaps"}, "ssl_mode"),
        (HOST | {"add_record_metadata": False}, "activate_version"),
        (HOST | {"batch_size_bytes": 0}, "batch_size_bytes"),
        (HOST | {"version_columns": "last_updated_utc"}, "version_columns"),
    ],
    ids=["nothing", "ssl_mode", "activate_version", "size", "no list"],
)
def test_settings_that_do_not_fit(config: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigValidationError) as raised:
        TargetPostgresRaw(config=config)
    assert words in " ".join(raised.value.errors)


def test_they_are_refused_in_lines_without_a_traceback(database: Any) -> None:
    code, states, said = database.run(host=None)
    assert (code, states) == (1, [])
    assert "Need either the sqlalchemy_url to be set or host" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"sqlalchemy_url": "postgresql://u:hidden@h/d"}, "use_copy needs the driver psycopg"),
        ({"sqlalchemy_url": "postgresql+pg8000://u:hidden@h/d"}, "No module named 'pg8000'"),
        ({"sqlalchemy_url": "nothing+psycopg://u:hidden@h/d"}, "NoSuchModuleError"),
        ({"sqlalchemy_url": "hidden"}, "ArgumentError"),
        ({"sqlalchemy_url": "postgresql+psycopg://u:hidden/d"}, "(ValueError)"),
        ({"ssl_enable": True, "ssl_storage_directory": "/nowhere"}, "'/nowhere/root.crt'"),
        ({"ssh_tunnel": {"enable": True}}, "KeyError: 'host'"),
        (
            {
                "ssh_tunnel": {
                    "enable": True,
                    "host": "h",
                    "port": 1,
                    "username": "u",
                    "private_key": "hidden",
                }
            },
            "the key type",
        ),
    ],
    ids=["psycopg2", "pg8000", "no dialect", "no address", "password", "ssl", "tunnel", "key"],
)
def test_settings_that_lead_to_no_database(
    singer: Any, settings: dict[str, Any], words: str
) -> None:
    config = HOST | {"activate_version": False, "use_copy": True} | settings
    target = TargetPostgresRaw(config=config)
    with pytest.raises(LoadError) as raised:
        target.listen(iter([singer.lines([singer.schema()]).decode()]))
    assert words in str(raised.value)
    assert "hidden" not in str(raised.value)


@pytest.mark.parametrize(
    "settings",
    [
        {"batch_size_bytes": None, "batch_size_seconds": None, "batch_size_rows": None},
        {"version_columns": None, "content_columns": None, "tombstone_column": None},
        {"batch_size_seconds": 0},
        {"use_copy": False, "dialect+driver": "postgresql+psycopg2"},
        {"load_method": "overwrite"},
        {"stream_maps": {"qb_invoices": {"page_number": "5"}}},
        {"flattening_enabled": True, "flattening_max_depth": 1},
        {"add_record_metadata": True, "activate_version": True, "validate_records": True},
    ],
    ids=" ".join,
)
def test_settings_of_all_kinds(database: Any, singer: Any, settings: dict[str, Any]) -> None:
    messages = (singer.schema(), singer.living("1", {}, 1, 1), singer.state(1))
    for _ in range(2):
        states = database.load(*messages, **settings)
        assert json.dumps(states[-1]) == '{"at": 1}'
    assert database.rows(COUNT) == [(1,)]
