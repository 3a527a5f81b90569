"""The tap's settings: checked, with their defaults, ready for use."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jsonschema import Draft7Validator
from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

from tap_quickbooks_raw.config_schema import CONFIG_SCHEMA, VISIBLE
from tap_quickbooks_raw.exceptions import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from jsonschema import ValidationError

# Hosts: https://developer.intuit.com/app/developer/qbo/docs/learn/rest-api-features
API_URLS = {
    "production": "https://quickbooks.api.intuit.com",
    "sandbox": "https://sandbox-quickbooks.api.intuit.com",
}
TOKEN_URL = "https://oauth.platform.intuit.com/oauth2/v1/tokens/bearer"  # noqa: S105  An address.

# The first version of this pipeline had Spanish names; they still work.
ALIASES = {"fecha_inicio": "start_date", "fecha_fin": "end_date"}

# How a setting is given in `.env`, for messages.
ENVIRONMENT_NAMES = {
    "client_id": "QB_CLIENT_ID",
    "client_secret": "QB_CLIENT_SECRET",
    "realm_id": "QB_REALM_ID",
    "refresh_token": "QB_REFRESH_TOKEN",
}


@dataclass(frozen=True, slots=True)
class Settings:
    """Valid settings, ready for use."""

    client_id: str
    client_secret: str
    realm_id: str
    refresh_token: str
    token_store: str
    token_encryption_key: str
    environment: str
    api_url: str
    token_url: str
    start: datetime
    end: datetime | None
    settle: timedelta
    chunk_days: int | None
    incremental_method: str
    rarely_read: timedelta
    page_size: int
    concurrency: int
    requests_per_minute: int
    max_attempts: int
    max_api_calls: int | None
    max_run_seconds: int | None
    minor_version: int
    runs_file: str
    metrics_file: str

    def __repr__(self) -> str:
        return f"Settings(realm_id={self.realm_id!r})"


def resolve(config: Mapping[str, Any]) -> dict[str, Any]:
    """Replace aliases, leave out what is empty, trim texts, fill in defaults.

    Raises:
        SettingsError: A setting and its alias are both given and differ.
    """
    # A secret read from a file ends with a line break.
    texts = {name: value.strip() for name, value in config.items() if isinstance(value, str)}
    given = {name: value for name, value in {**config, **texts}.items() if value not in (None, "")}
    for alias, name in ALIASES.items():
        if alias in given:
            value = given.pop(alias)
            if given.setdefault(name, value) != value:
                raise SettingsError(f"{alias}: contradicts {name}; give only one of them")
    defaults = {
        name: entry["default"]
        for name, entry in CONFIG_SCHEMA["properties"].items()
        if "default" in entry
    }
    return defaults | given


def problems(config: Mapping[str, Any]) -> list[str]:
    """Say what is wrong with resolved settings, a line each; nothing if they are valid."""
    lines = [
        line
        for error in Draft7Validator(CONFIG_SCHEMA).iter_errors(config)
        for line in _explain(error, config)
    ]
    return lines or [*_address_problems(config), *_date_problems(config)]


def parse(config: Mapping[str, Any]) -> Settings:
    """Turn resolved and valid settings into what the program uses."""
    end_date = config.get("end_date")
    return Settings(
        client_id=config["client_id"],
        client_secret=config["client_secret"],
        realm_id=config["realm_id"],
        refresh_token=config.get("refresh_token", ""),
        token_store=config.get("token_store")
        or Path(".tokens", "quickbooks.json").resolve().as_uri(),
        token_encryption_key=config.get("token_encryption_key", ""),
        environment=config["environment"],
        api_url=config.get("api_url") or API_URLS[config["environment"]],
        token_url=config.get("token_url") or TOKEN_URL,
        start=parse_date(config["start_date"]),
        end=parse_date(end_date) if end_date else None,
        settle=timedelta(seconds=config["settle_seconds"]),
        chunk_days=config.get("chunk_days"),
        incremental_method=config["incremental_method"],
        rarely_read=timedelta(hours=config["rarely_read_hours"]),
        page_size=config["page_size"],
        concurrency=config["concurrency"],
        requests_per_minute=config["requests_per_minute"],
        max_attempts=config["max_attempts"],
        max_api_calls=config.get("max_api_calls"),
        max_run_seconds=config.get("max_run_seconds"),
        minor_version=config["minor_version"],
        runs_file=config.get("runs_file", ""),
        metrics_file=config.get("metrics_file", "").replace("{realm_id}", config["realm_id"]),
    )


def parse_date(text: str) -> datetime:
    """Read a date or date-time, in whole seconds; without an offset it is in UTC.

    Raises:
        ValueError: It is neither, or not within the years 1 to 9999 in UTC.
    """
    moment = datetime.fromisoformat(text)
    try:
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError(str(error)) from None
    return moment.replace(microsecond=0)


def _explain(error: ValidationError, config: Mapping[str, Any]) -> Iterator[str]:
    match error.validator:
        case "required":
            for name in CONFIG_SCHEMA["required"]:
                if name not in config and f"'{name}'" in error.message:
                    yield f"{name}: is missing; set {ENVIRONMENT_NAMES[name]} in .env"
        case "additionalProperties":
            names = CONFIG_SCHEMA["properties"]
            for name in sorted(set(config) - set(names)):
                near = difflib.get_close_matches(name, names, n=1)
                yield f"{name}: is no setting" + (f"; did you mean {near[0]}?" if near else "")
        case _:
            name = str(error.path[0])
            if error.validator == "pattern" and error.validator_value == VISIBLE:
                # Not shown either: it may be the secret in the wrong line.
                yield f"{name}: has blanks or characters outside ASCII; copy it again"
            elif CONFIG_SCHEMA["properties"][name].get("secret"):
                yield f"{name}: is not a text"
            elif error.validator == "pattern":
                meaning = CONFIG_SCHEMA["properties"][name]["description"]
                yield f"{name}: {error.instance!r} is not of the right form. {meaning}"
            else:
                yield f"{name}: {error.message}"


def _address_problems(config: Mapping[str, Any]) -> Iterator[str]:
    for name in ("api_url", "token_url"):
        address = config.get(name, TOKEN_URL)
        try:
            parts = parse_url(address)
            usable = bool(parts.host) and parts.port != 0 and not re.search(r"\s", address)
        except LocationParseError:
            usable = False
        if not usable:
            yield f"{name}: {address!r} is no address; write it like https://host:443/path"


def _date_problems(config: Mapping[str, Any]) -> Iterator[str]:
    dates: dict[str, datetime] = {}
    for name in ("start_date", "end_date"):
        if name in config:
            try:
                dates[name] = parse_date(config[name])
            except ValueError:
                yield f"{name}: {config[name]!r} is no date; write it like 2024-01-31"
    if "end_date" in dates and dates["end_date"] <= dates.get("start_date", dates["end_date"]):
        yield f"end_date: {config['end_date']} is not after start_date {config['start_date']}"
