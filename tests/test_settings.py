"""A wrong setting is one clear line that names it; nothing else is touched."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tap_quickbooks_raw.config_schema import CONFIG_SCHEMA
from tap_quickbooks_raw.exceptions import SettingsError
from tap_quickbooks_raw.settings import (
    API_URLS,
    TOKEN_URL,
    parse,
    parse_date,
    problems,
    resolve,
)

GOOD = {"client_id": "app", "client_secret": "s3cr3t", "realm_id": "9341453000000000"}
SECRETS = {"client_secret", "refresh_token"}


def lines(**settings: object) -> list[str]:
    return problems(resolve({**GOOD, **settings}))


def test_good_settings_have_no_problem() -> None:
    assert lines() == []


def test_the_defaults_are_the_promised_ones() -> None:
    settings = parse(resolve(GOOD))

    assert (settings.api_url, settings.token_url) == (API_URLS["production"], TOKEN_URL)
    assert (settings.start, settings.end) == (datetime(2000, 1, 1, tzinfo=UTC), None)
    assert settings.settle == timedelta(seconds=30)
    assert settings.chunk_days is None
    assert (settings.page_size, settings.concurrency) == (1000, 8)
    assert (settings.requests_per_minute, settings.max_attempts) == (500, 5)
    assert (settings.max_api_calls, settings.max_run_seconds) == (None, None)
    assert (settings.minor_version, settings.refresh_token) == (75, "")
    assert settings.token_store == Path(".tokens", "quickbooks.json").resolve().as_uri()


def test_sandbox_has_a_host_of_its_own() -> None:
    settings = parse(resolve({**GOOD, "environment": "sandbox"}))

    assert settings.api_url == "https://sandbox-quickbooks.api.intuit.com"
    assert settings.token_url == TOKEN_URL


def test_both_addresses_can_be_overridden() -> None:
    settings = parse(
        resolve({**GOOD, "api_url": "http://[::1]:81", "token_url": "http://localhost/t"})
    )

    assert (settings.api_url, settings.token_url) == ("http://[::1]:81", "http://localhost/t")


BAD: list[tuple[str, Any]] = [
    ("realm_id", "12a"),
    ("realm_id", "-1"),
    ("realm_id", 9341453000000000),
    ("realm_id", "١٢٣"),
    ("client_id", 5),
    ("client_id", "app id"),
    ("client_id", "a\u0441pp"),
    ("client_secret", 5),
    ("client_secret", "s3\ncr3t"),
    ("client_secret", "s3cr\u00e9t"),
    ("refresh_token", ["x"]),
    ("environment", "live"),
    ("api_url", "quickbooks.api.intuit.com"),
    ("api_url", "https:///x"),
    ("api_url", "http://host:99999"),
    ("api_url", "http://host:abc/"),
    ("api_url", "http://host:0"),
    ("api_url", "http://:80"),
    ("api_url", "http://[::1"),
    ("api_url", "http://a host/"),
    ("api_url", "http://host/a b"),
    ("token_url", "http://host:-1/x"),
    ("token_url", "http://host/a\nb"),
    ("token_url", "ftp://host/x"),
    ("start_date", "yesterday"),
    ("start_date", "2024-02-30"),
    ("start_date", "01/31/2024"),
    ("start_date", 20240131),
    ("start_date", "0001-01-01T00:00:00+14:00"),
    ("end_date", "9999-12-31T23:59:59-14:00"),
    ("end_date", "2024-13-01"),
    ("end_date", "2000-01-01"),
    ("end_date", "1999-12-31T23:59:59Z"),
    ("chunk_days", 0),
    ("chunk_days", 1.5),
    ("chunk_days", 36_501),
    ("settle_seconds", -1),
    ("settle_seconds", 86_401),
    ("page_size", 0),
    ("page_size", 1001),
    ("page_size", "500"),
    ("page_size", True),
    ("concurrency", 0),
    ("concurrency", 11),
    ("requests_per_minute", 0),
    ("requests_per_minute", 10_001),
    ("max_attempts", 0),
    ("max_attempts", 21),
    ("max_api_calls", 0),
    ("max_run_seconds", 0),
    ("minor_version", 0),
    ("no_such_setting", "x"),
]


@pytest.mark.parametrize(("name", "value"), BAD, ids=lambda part: str(part).replace("/", "-"))
def test_a_bad_setting_is_one_line_that_names_it(name: str, value: object) -> None:
    (line,) = lines(**{name: value})

    assert line.startswith(f"{name}: ")
    assert "\n" not in line


@pytest.mark.parametrize("name", sorted(SECRETS))
def test_a_bad_secret_is_not_shown(name: str) -> None:
    (line,) = lines(**{name: ["very-secret"]})

    assert "very-secret" not in line


@pytest.mark.parametrize("name", ["client_id", "client_secret"])
@pytest.mark.parametrize("value", ["very-secret text", "very-secret\u00e9"], ids=ascii)
def test_a_key_that_fits_no_header_is_not_shown(name: str, value: str) -> None:
    """The secret may stand in the line of the ID."""
    (line,) = lines(**{name: value})

    assert line.startswith(f"{name}: ")
    assert "very-secret" not in line


def test_the_largest_numbers_are_within_what_dates_can_bear() -> None:
    assert lines(chunk_days=36_500, settle_seconds=86_400, requests_per_minute=10_000) == []


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_a_moment_outside_of_the_calendar_is_no_date(text: str) -> None:
    with pytest.raises(ValueError, match="out of range"):
        parse_date(text)


@pytest.mark.parametrize("name", ["client_id", "client_secret", "realm_id"])
@pytest.mark.parametrize("value", [None, "", " \n", "absent"], ids=repr)
def test_a_missing_setting_names_its_line_in_the_env_file(name: str, value: str | None) -> None:
    given: dict[str, str | None] = {**GOOD, name: value}
    if value == "absent":
        del given[name]

    assert problems(resolve(given)) == [f"{name}: is missing; set QB_{name.upper()} in .env"]


def test_every_bad_setting_is_named_at_once() -> None:
    found = lines(page_size=0, concurrency=0, typo=1)

    assert sorted(line.split(":")[0] for line in found) == ["concurrency", "page_size", "typo"]


def test_a_misspelt_setting_is_recognised() -> None:
    assert lines(chunk_day=7) == ["chunk_day: is no setting; did you mean chunk_days?"]


@pytest.mark.parametrize("empty", ["", None, "  "])
@pytest.mark.parametrize("name", sorted(set(CONFIG_SCHEMA["properties"]) - set(GOOD)))
def test_an_empty_setting_counts_as_not_given(name: str, empty: str | None) -> None:
    """An unset variable in `.env` reaches the tap as an empty text."""
    assert resolve({**GOOD, name: empty}) == resolve(GOOD)
    assert problems(resolve({**GOOD, name: empty})) == []


@pytest.mark.parametrize("name", ["client_id", "client_secret", "refresh_token", "realm_id"])
def test_a_line_break_behind_a_secret_does_not_count(name: str) -> None:
    """`$(cat secret)` and files of secrets end with one."""
    assert resolve({**GOOD, name: "12345\n"})[name] == "12345"


# ---- Dates and their Spanish names


def test_the_spanish_names_still_work() -> None:
    settings = parse(resolve({**GOOD, "fecha_inicio": "2024-01-01", "fecha_fin": "2024-02-01"}))

    assert settings.start == datetime(2024, 1, 1, tzinfo=UTC)
    assert settings.end == datetime(2024, 2, 1, tzinfo=UTC)


def test_a_name_and_its_alias_may_agree() -> None:
    config = resolve({**GOOD, "fecha_inicio": "2024-01-01", "start_date": "2024-01-01"})

    assert config["start_date"] == "2024-01-01"
    assert problems(config) == []


@pytest.mark.parametrize(
    ("alias", "name"), [("fecha_inicio", "start_date"), ("fecha_fin", "end_date")]
)
def test_a_name_and_its_alias_must_not_differ(alias: str, name: str) -> None:
    with pytest.raises(SettingsError, match=f"^{alias}: contradicts {name}"):
        resolve({**GOOD, alias: "2024-01-01", name: "2024-01-02"})


@pytest.mark.parametrize("alias", ["fecha_inicio", "fecha_fin"])
def test_an_empty_alias_counts_as_not_given(alias: str) -> None:
    assert resolve({**GOOD, alias: ""}) == resolve(GOOD)


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("2024-01-02", "2024-01-02"),
        ("2024-01-02", "2024-01-01"),
        ("2024-01-02T00:00:00-08:00", "2024-01-02T08:00:00Z"),
        ("2024-01-02T00:00:00.9", "2024-01-02T00:00:00.95"),
    ],
    ids=["equal", "before", "equal-in-other-zones", "equal-in-whole-seconds"],
)
def test_an_end_that_is_not_after_the_start_is_refused(start: str, end: str) -> None:
    (line,) = lines(start_date=start, end_date=end)

    assert line.startswith("end_date: ")
    assert "start_date" in line


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2024-01-31", datetime(2024, 1, 31, tzinfo=UTC)),
        ("2024-01-31T10:00:00", datetime(2024, 1, 31, 10, tzinfo=UTC)),
        ("2024-01-31T10:00:00Z", datetime(2024, 1, 31, 10, tzinfo=UTC)),
        ("2024-01-31T10:00:00-08:00", datetime(2024, 1, 31, 18, tzinfo=UTC)),
        ("2024-01-31T10:00:00.999+00:00", datetime(2024, 1, 31, 10, tzinfo=UTC)),
    ],
    ids=["date", "no-offset", "utc", "offset", "fraction"],
)
def test_dates_are_read_as_utc_in_whole_seconds(text: str, moment: datetime) -> None:
    assert parse_date(text) == moment
    assert parse_date(text).tzinfo is UTC


# ---- The description


def test_every_setting_is_described() -> None:
    for name, entry in CONFIG_SCHEMA["properties"].items():
        assert entry["title"], name
        assert entry["description"].endswith("."), name


def test_secrets_are_marked_as_such() -> None:
    marked = {name for name, entry in CONFIG_SCHEMA["properties"].items() if entry.get("secret")}

    assert marked >= SECRETS


def test_settings_hide_their_secrets() -> None:
    settings = parse(resolve({**GOOD, "refresh_token": "r3fr3sh"}))

    assert "s3cr3t" not in f"{settings} {settings!r}"
    assert "r3fr3sh" not in f"{settings} {settings!r}"
