"""Documents and configuration say what the code says.

When one of these fails, change the document beside the code in the same commit.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from tap_quickbooks_raw.config_schema import CONFIG_SCHEMA
from tap_quickbooks_raw.entities import ENTITIES
from tap_quickbooks_raw.records import RAW_SCHEMA
from tap_quickbooks_raw.settings import ALIASES

PROJECT = Path(__file__).resolve().parent.parent
README = (PROJECT / "README.md").read_text()


def table(title: str) -> dict[str, list[str]]:
    """The rows of the README's table whose first heading is `title`, by their first cell."""
    match = re.search(
        rf"^\| {re.escape(title)} \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", README, re.MULTILINE
    )
    assert match is not None, f"the README has no table of {title!r}"
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in match[1].splitlines()]
    return {cells[0].strip("`"): cells[1:] for cells in rows}


@pytest.fixture(scope="module")
def meltano() -> dict[str, Any]:
    return yaml.safe_load((PROJECT / "meltano.yml").read_text())


def test_the_readme_describes_every_setting() -> None:
    described = table("setting")
    assert list(described) == list(CONFIG_SCHEMA["properties"])
    for name, (meaning, default) in described.items():
        entry = CONFIG_SCHEMA["properties"][name]
        assert meaning == entry["description"]
        assert default.strip("`") == str(
            entry.get("default", "required" if name in CONFIG_SCHEMA["required"] else "")
        )


def test_the_readme_lists_every_stream() -> None:
    listed = {stream: cells[0] for stream, cells in table("stream and table").items()}
    assert listed == {entity.stream: entity.name for entity in ENTITIES}


def test_the_readme_describes_every_column() -> None:
    described = {column: cells[0] for column, cells in table("column").items()}
    assert described == {
        name: entry["description"] for name, entry in RAW_SCHEMA["properties"].items()
    }


def test_meltano_knows_every_setting_of_the_tap(meltano: dict[str, Any]) -> None:
    (tap,) = (
        plugin
        for plugin in meltano["plugins"]["extractors"]
        if plugin["name"] == "tap-quickbooks-raw"
    )
    known = {setting["name"]: setting for setting in tap["settings"]}
    assert list(known) == list(CONFIG_SCHEMA["properties"])
    for name, entry in CONFIG_SCHEMA["properties"].items():
        setting = known[name]
        assert setting["description"] == entry["description"]
        assert setting.get("sensitive", False) == entry.get("secret", False)
        assert setting.get("value") == entry.get("default")
        assert (setting.get("kind") == "integer") == (entry["type"] == "integer")
        assert setting.get("aliases", []) == [a for a, target in ALIASES.items() if target == name]


def test_the_example_environment_names_what_meltano_reads(meltano: dict[str, Any]) -> None:
    example = (PROJECT / ".env.example").read_text()
    for plugin in (meltano["plugins"]["extractors"][0], meltano["plugins"]["loaders"][0]):
        for value in plugin["config"].values():
            # Meltano itself says where the project is.
            if str(value).startswith("$") and not str(value).startswith("$MELTANO_"):
                assert re.search(rf"^#?{value[1:]}=", example, re.MULTILINE), value


def test_plugin_environments_get_the_locked_versions() -> None:
    """`make lock` renews both files."""
    lock = tomllib.loads((PROJECT / "uv.lock").read_text())
    locked = {(package["name"], package.get("version")) for package in lock["package"]}
    lines = (PROJECT / "plugins" / "constraints.txt").read_text().splitlines()
    pinned = {tuple(line.partition(";")[0].strip().split("==")) for line in lines if "==" in line}
    assert pinned <= locked


def test_nothing_in_the_catalog_has_changed_unnoticed() -> None:
    """All streams share one schema, key and bookmark; only stamped entities have one."""
    assert list(RAW_SCHEMA["properties"])[:4] == [
        "realm_id",
        "id",
        "payload",
        "last_updated_utc",
    ]
    assert [entity.stream for entity in ENTITIES if not entity.stamped] == [
        "qb_tax_classifications"
    ]
