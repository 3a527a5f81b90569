"""The tap's settings, described once: names, meanings, defaults, limits."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jsonschema import Draft7Validator

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

CONFIG_SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["client_id", "client_secret", "realm_id"],
    "properties": {
        "client_id": {
            "type": "string",
            "title": "Client ID",
            "description": "Client ID of the Intuit app.",
        },
        "client_secret": {
            "type": "string",
            "title": "Client secret",
            "description": "Client secret of the Intuit app.",
            "secret": True,
        },
        "realm_id": {
            "type": "string",
            "pattern": "^[0-9]+$",
            "title": "Realm ID",
            "description": "The company, a digit string.",
        },
        "refresh_token": {
            "type": "string",
            "title": "Refresh token",
            "description": "First refresh token; afterwards the token store has the newer one.",
            "secret": True,
        },
        "token_store": {
            "type": "string",
            "title": "Token store",
            "description": "Where rotating tokens are kept: file:///path of a JSON file. "
            "Default: .tokens/quickbooks.json in the project.",
        },
        "environment": {
            "type": "string",
            "enum": ["production", "sandbox"],
            "default": "production",
            "title": "Environment",
            "description": "Chooses Intuit's host: production or sandbox.",
        },
        "api_url": {
            "type": "string",
            "pattern": "^https?://[^/]",
            "title": "API URL",
            "description": "Overrides Intuit's API host (simulator, proxy): "
            "the base before /v3/company/...",
        },
        "token_url": {
            "type": "string",
            "pattern": "^https?://[^/]",
            "title": "Token URL",
            "description": "Overrides the full address of Intuit's token endpoint.",
        },
        "start_date": {
            "type": "string",
            "default": "2000-01-01",
            "title": "Start date",
            "description": "Lower bound of MetaData.LastUpdatedTime, inclusive; used only where "
            "the stream has no bookmark. Alias: fecha_inicio.",
        },
        "end_date": {
            "type": "string",
            "title": "End date",
            "description": "Upper bound, exclusive. Default: the server's clock less "
            "settle_seconds, which also caps a later value. Alias: fecha_fin.",
        },
        "chunk_days": {
            "type": "integer",
            "minimum": 1,
            "title": "Chunk days",
            "description": "Fixed length of a window in days. Default: one window per stream.",
        },
        "settle_seconds": {
            "type": "integer",
            "minimum": 0,
            "default": 30,
            "title": "Settle seconds",
            "description": "How far the upper bound stays behind the server's clock.",
        },
        "page_size": {
            "type": "integer",
            "minimum": 1,
            "maximum": 1000,
            "default": 1000,
            "title": "Page size",
            "description": "Rows per page, 1 to 1000.",
        },
        "concurrency": {
            "type": "integer",
            "minimum": 1,
            "maximum": 10,
            "default": 8,
            "title": "Concurrency",
            "description": "Requests in flight per company, 1 to 10.",
        },
        "requests_per_minute": {
            "type": "integer",
            "minimum": 1,
            "default": 500,
            "title": "Requests per minute",
            "description": "Ceiling per company; Intuit allows 500.",
        },
        "max_attempts": {
            "type": "integer",
            "minimum": 1,
            "maximum": 20,
            "default": 5,
            "title": "Max attempts",
            "description": "Attempts per request.",
        },
        "max_api_calls": {
            "type": "integer",
            "minimum": 1,
            "title": "Max API calls",
            "description": "Stop cleanly (exit 0, state saved) after so many requests.",
        },
        "max_run_seconds": {
            "type": "integer",
            "minimum": 1,
            "title": "Max run seconds",
            "description": "Stop cleanly (exit 0, state saved) after so many seconds.",
        },
        "minor_version": {
            "type": "integer",
            "minimum": 1,
            "default": 75,
            "title": "Minor version",
            "description": "QBO minor version; Intuit serves anything below 75 as 75.",
        },
    },
}


@dataclass(frozen=True, slots=True)
class Settings:
    """Valid settings, ready for use."""

    client_id: str
    client_secret: str
    realm_id: str
    refresh_token: str
    token_store: str
    api_url: str
    token_url: str
    start: datetime
    end: datetime | None
    settle: timedelta
    chunk_days: int | None
    page_size: int
    concurrency: int
    requests_per_minute: int
    max_attempts: int
    max_api_calls: int | None
    max_run_seconds: int | None
    minor_version: int

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
    return lines or list(_date_problems(config))


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
        api_url=config.get("api_url") or API_URLS[config["environment"]],
        token_url=config.get("token_url") or TOKEN_URL,
        start=parse_date(config["start_date"]),
        end=parse_date(end_date) if end_date else None,
        settle=timedelta(seconds=config["settle_seconds"]),
        chunk_days=config.get("chunk_days"),
        page_size=config["page_size"],
        concurrency=config["concurrency"],
        requests_per_minute=config["requests_per_minute"],
        max_attempts=config["max_attempts"],
        max_api_calls=config.get("max_api_calls"),
        max_run_seconds=config.get("max_run_seconds"),
        minor_version=config["minor_version"],
    )


def parse_date(text: str) -> datetime:
    """Read a date or date-time, in whole seconds; without an offset it is in UTC.

    Raises:
        ValueError: It is neither.
    """
    moment = datetime.fromisoformat(text)
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
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
            if CONFIG_SCHEMA["properties"][name].get("secret"):
                yield f"{name}: is not a text"
            elif error.validator == "pattern":
                meaning = CONFIG_SCHEMA["properties"][name]["description"]
                yield f"{name}: {error.instance!r} is not of the right form. {meaning}"
            else:
                yield f"{name}: {error.message}"


def _date_problems(config: Mapping[str, Any]) -> Iterator[str]:
    dates: dict[str, datetime] = {}
    for name in ("start_date", "end_date"):
        if name in config:
            try:
                dates[name] = parse_date(config[name])
            except (ValueError, OverflowError):
                yield f"{name}: {config[name]!r} is no date; write it like 2024-01-31"
    if "end_date" in dates and dates["end_date"] <= dates.get("start_date", dates["end_date"]):
        yield f"end_date: {config['end_date']} is not after start_date {config['start_date']}"
