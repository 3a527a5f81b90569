"""Meltano knows the settings that the loader has."""

from __future__ import annotations

from pathlib import Path

import yaml
from target_postgres.target import TargetPostgres
from target_postgres_raw.settings import OWN_SETTINGS
from target_postgres_raw.target import TargetPostgresRaw

PROJECT = Path(__file__).resolve().parents[4]


def test_meltano_knows_every_own_setting() -> None:
    plugins = yaml.safe_load((PROJECT / "meltano.yml").read_text())["plugins"]["loaders"]
    (loader,) = (plugin for plugin in plugins if plugin["name"] == TargetPostgresRaw.name)
    assert loader["config"] == {
        name: entry["default"] for name, entry in OWN_SETTINGS["properties"].items()
    }


def test_every_setting_of_the_stock_loader_is_one_of_this() -> None:
    stock = TargetPostgres.config_jsonschema["properties"]
    assert TargetPostgresRaw.config_jsonschema["properties"] == stock | OWN_SETTINGS["properties"]
