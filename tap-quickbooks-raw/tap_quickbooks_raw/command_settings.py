"""The tap's settings for the commands beside it: from files, the environment and `.env`."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from dotenv import dotenv_values

from tap_quickbooks_raw.auth import Authenticator
from tap_quickbooks_raw.config_schema import CONFIG_SCHEMA
from tap_quickbooks_raw.exceptions import SettingsError
from tap_quickbooks_raw.settings import ALIASES, ENVIRONMENT_NAMES, parse, problems, resolve
from tap_quickbooks_raw.token_endpoint import Credentials

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tap_quickbooks_raw.settings import Settings
    from tap_quickbooks_raw.tokens import TokenStore

ENV = "ENV"
_DIGIT, _WORD = "0", "x"


def read_config(sources: Sequence[str], environment: Mapping[str, str]) -> dict[str, object]:
    """Read settings as the tap does; without any source, from the environment.

    Args:
        sources: Paths of JSON files, later ones win; `ENV` for the environment and the file
            `.env` of the working directory.
        environment: The environment's variables.

    Raises:
        SettingsError: A file cannot be read.
    """
    config: dict[str, object] = {}
    for source in sources or [ENV]:
        config |= (
            _from_file(Path(source)) if source != ENV else from_environment(_given(environment))
        )
    return config


def from_environment(given: Mapping[str, str]) -> dict[str, object]:
    """Read settings from variables: TAP_QUICKBOOKS_RAW_<SETTING>, the secrets also as QB_*.

    In a Meltano project the runs file has its place.
    """
    config: dict[str, object] = {}
    for name in (*CONFIG_SCHEMA["properties"], *ALIASES):
        entry = CONFIG_SCHEMA["properties"][ALIASES.get(name, name)]
        text = given.get(f"TAP_QUICKBOOKS_RAW_{name.upper()}") or given.get(
            ENVIRONMENT_NAMES.get(name, ""), ""
        )
        is_number = entry["type"] == "integer" and text.isascii() and text.isdecimal()
        config[name] = int(text) if is_number else text
    # Meltano gives it to the tap, but not to what is declared as a utility.
    if not config["runs_file"] and (project := given.get("MELTANO_PROJECT_ROOT")):
        config["runs_file"] = str(Path(project, "evidence", "runs.jsonl"))
    return config


def parse_settings(config: Mapping[str, object], *, needs_keys: bool = True) -> Settings:
    """Check settings of which the company may be missing, and with it the keys of the app.

    Args:
        config: The settings.
        needs_keys: Whether the keys of the app are required.

    Raises:
        SettingsError: One is missing or wrong; there is a line for each.
    """
    resolved = resolve(config)
    optional = {"realm_id": _DIGIT}
    if not needs_keys:
        optional |= {"client_id": _WORD, "client_secret": _WORD}
    errors = problems(optional | resolved)
    if errors:
        raise SettingsError("\n".join(errors))
    missing = dict.fromkeys(optional.keys() - resolved.keys(), "")
    return replace(parse(optional | resolved), **missing)  # type: ignore[arg-type]  # All texts.


def of_company(
    config: Mapping[str, object], realm_id: str, *, keeps_token: bool = False
) -> dict[str, object]:
    """Return the config with the company of `--realm`, if one is given.

    The refresh token of the settings belongs to the company of the settings: it goes with it.

    Args:
        config: The settings.
        realm_id: The company; empty for that of the settings.
        keeps_token: Keep the refresh token all the same, to recognise it later.
    """
    configured = str(config.get("realm_id") or "").strip()
    changed = dict(config)
    if realm_id:
        changed["realm_id"] = realm_id
        if configured not in {"", realm_id.strip()} and not keeps_token:
            changed.pop("refresh_token", None)
    return changed


def choose_company(settings: Settings, store: TokenStore) -> Settings:
    """Return the settings with a company: theirs, or the only one that is connected.

    Raises:
        SettingsError: None is named, and not exactly one is connected.
    """
    if settings.realm_id:
        return settings
    stored = store.keys()
    realms = [key.realm_id for key in stored if key.client_id == settings.client_id]
    match realms:
        case [realm_id]:
            return replace(settings, realm_id=realm_id)
        case []:
            raise SettingsError(
                "realm_id: no company is connected yet; sign in with "
                "`tap-quickbooks-raw-auth login`"
            )
        case _:
            raise SettingsError(
                f"realm_id: several companies are connected ({', '.join(realms)}); name one of "
                "them with --realm, or set QB_REALM_ID"
            )


def authenticator(settings: Settings, store: TokenStore) -> Authenticator:
    """Return what keeps the tokens of the settings' company fresh."""
    keys = Credentials(
        settings.client_id, settings.client_secret, settings.realm_id, settings.refresh_token
    )
    return Authenticator(keys, settings.token_url, store=store, environment=settings.environment)


def _given(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment's variables, and those of `.env` that it does not have."""
    try:
        found = {name: text or "" for name, text in dotenv_values(Path(".env")).items()}
    except OSError as error:
        raise SettingsError(f".env: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise SettingsError(".env: is no text in UTF-8; save it as such") from None
    return found | {name: text for name, text in environment.items() if text}


def _from_file(path: Path) -> dict[str, object]:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"--config: {path} cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError):
        config = None
    if not isinstance(config, dict):
        raise SettingsError(f"--config: {path} is no JSON object of settings")
    return config
